"""Deletion and insertion against a loop over pixels, one forward pass for each step."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pellucid
from pellucid.errors import NotFiniteError, SettingError
from pellucid.methods.explanation import Explanation, Part
from pellucid.metrics.deletion import counts, deletion_insertion
from pellucid.models.preprocessing import Preprocessing

SIDE, STEPS = 12, 7


class Net(nn.Module):
    """Batch norms that know statistics of their own, a residual sum and an activation in place."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.second, self.head = nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, 3)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.first(x)))
        maps = x + self.relu(self.second(x))
        return self.head(maps.mean((2, 3)))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def model() -> pellucid.Model:
    torch.manual_seed(1)
    module = Net()
    with torch.no_grad():
        module.norm.running_mean.normal_()  # type: ignore[union-attr]
        module.head.weight.mul_(6)
    preparing = Preprocessing(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), source="flags")
    return pellucid.load(module.eval(), preprocessing=preparing)


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(3)]


@pytest.fixture(scope="module")
def whys(model: pellucid.Model, pictures: list[np.ndarray]) -> list[Explanation]:
    return list(pellucid.explain_many(model, pictures, methods=["input-x-gradient"], targets=["top:1"]))


def by_hand(
    model: pellucid.Model, picture: np.ndarray, values: np.ndarray, *, class_number: int, base: Tensor, insert: bool
) -> np.ndarray:
    """Petsiuk's procedure, pixel by pixel; no two values are equal."""
    x = model.tensor([pellucid.read(picture)])
    start, other = (base.clone(), x) if insert else (x.clone(), base)
    order = sorted(range(SIDE * SIDE), key=lambda place: -values.ravel()[place])
    heights, done = [], 0
    for step in range(STEPS + 1):
        while done < round(step * SIDE * SIDE / STEPS):
            row, column = divmod(order[done], SIDE)
            start[0, :, row, column] = other[0, :, row, column]
            done += 1
        with torch.no_grad():
            heights.append(float(model.module(start).softmax(1)[0, class_number]))
    return np.array(heights)


def with_map(why: Explanation, values: np.ndarray) -> Explanation:
    box = (0.0, 0.0, float(SIDE), float(SIDE))
    part = Part(name="pixels", place="input", axes=("height", "width"), values=values, box=box)
    return replace(why, parts=(part,))


def measure(whys: Explanation | Sequence[Explanation], model: Any, given: Any, **settings: Any) -> Any:
    return deletion_insertion(whys, model=model, input=given, **{"steps": STEPS, "orders": 0, **settings})


def test_both_curves_equal_a_loop_over_pixels(
    model: pellucid.Model, pictures: list[np.ndarray], whys: list[Explanation]
) -> None:
    found = measure(whys, model, pictures, deletion_baseline="black", insertion_baseline="mean", steps=STEPS)
    for number, (picture, why) in enumerate(zip(pictures, whys, strict=True)):
        x = model.tensor([pellucid.read(picture)])
        black = model.tensor([pellucid.read(np.zeros_like(picture))])
        mean = x.mean((2, 3), keepdim=True).expand_as(x)
        values, chosen = why.parts[0].plane(), why.target.classes[0]
        removed = by_hand(model, picture, values, class_number=chosen, base=black, insert=False)
        put_in = by_hand(model, picture, values, class_number=chosen, base=mean, insert=True)
        assert found.deletion.amount[number] == pytest.approx(removed, abs=1e-5)
        assert found.insertion.amount[number] == pytest.approx(put_in, abs=1e-5)
        heights = (removed[0] / 2 + removed[1:-1].sum() + removed[-1] / 2) / STEPS
        assert found.deletion.areas()[number] == pytest.approx(heights, abs=1e-5)
    assert found.deletion.score[:, 0] == pytest.approx([why.score for why in whys], abs=1e-5)


def test_zero_and_blur_are_in_the_units_that_the_model_sees(
    model: pellucid.Model, pictures: list[np.ndarray], whys: list[Explanation]
) -> None:
    found = measure(whys[:1], model, pictures)
    with torch.no_grad():
        grey = model.module(torch.zeros(1, 3, SIDE, SIDE)).softmax(1)[0, whys[0].target.classes[0]]
    assert found.deletion.amount[0, -1] == pytest.approx(float(grey), abs=1e-5)
    assert found.deletion.amount[0, 0] == pytest.approx(found.insertion.amount[0, -1], abs=1e-6)


class Counting(nn.Module):
    """Its first logit counts the pixels that are not 0 in all colours, its second those that are not 0 in one."""

    def forward(self, x: Tensor) -> Tensor:
        alive = (x != 0).float()
        return torch.stack([alive.prod(1).sum((1, 2)), alive.amax(1).sum((1, 2))], dim=1)


@pytest.mark.parametrize("steps", [1, 3, 50])
def test_exactly_the_share_is_removed_where_most_values_are_equal_and_all_colours_go_at_once(steps: int) -> None:
    x = torch.rand(1, 3, SIDE, SIDE) + 0.5
    module = Counting()
    module.register_parameter("weight", nn.Parameter(torch.zeros(1)))
    values = np.zeros((SIDE, SIDE))
    values[:2] = 1.0
    why = with_map(pellucid.explain(module, x, method="occlusion(window=6, stride=6)", target="output:0"), values)
    found = deletion_insertion(why, model=module, input=x, steps=steps, insertion_baseline="zero", orders=0)
    left = [SIDE * SIDE - count for count in counts(SIDE * SIDE, steps)]
    assert found.deletion.amount[0].tolist() == left
    assert found.insertion.amount[0].tolist() == left[::-1]
    both = deletion_insertion(
        replace(why, target=replace(why.target, asked="output:1", classes=(1,))), model=module, input=x, steps=steps
    )
    assert both.deletion.amount[0].tolist() == left
    assert found.deletion.unit == "output"


def test_counts_are_the_nearest_whole_numbers() -> None:
    assert counts(10, 4) == [0, 3, 5, 8, 10]
    assert counts(3, 6) == [0, 1, 1, 2, 2, 3, 3]


def test_equal_values_are_not_ordered_by_their_place(model: pellucid.Model, pictures: list[np.ndarray]) -> None:
    why = pellucid.explain(model, pictures[0])
    values = np.zeros((SIDE, SIDE))
    values[0, 0] = 1
    tied = with_map(why, values)
    one, again, other = (measure(tied, model, pictures[0], seed=seed).deletion.score for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.allclose(one[0, 1:-1], other[0, 1:-1])


def test_neither_batch_size_nor_company_matters(
    model: pellucid.Model, pictures: list[np.ndarray], whys: list[Explanation]
) -> None:
    together = measure(whys, model, pictures, orders=2)
    for number, (picture, why) in enumerate(zip(pictures, whys, strict=True)):
        alone = measure(why, model, picture, orders=2, batch_size=1)
        for way in ("deletion", "insertion"):
            for name in ("amount", "chance_amount"):
                mine, theirs = getattr(getattr(alone, way), name), getattr(getattr(together, way), name)
                assert mine[..., 0, :] == pytest.approx(theirs[..., number, :], abs=1e-5)


def test_few_steps_and_many_agree_where_they_meet(
    model: pellucid.Model, pictures: list[np.ndarray], whys: list[Explanation]
) -> None:
    # Few variants run through the model's own code, many through a recorded pass.
    few = measure(whys[0], model, pictures, steps=4)
    many = measure(whys[0], model, pictures, steps=12)
    assert few.insertion.score[0] == pytest.approx(many.insertion.score[0, ::3], abs=1e-4)


def test_a_constant_map_has_no_ranking_and_is_not_measured(
    model: pellucid.Model, pictures: list[np.ndarray], whys: list[Explanation]
) -> None:
    flat = with_map(whys[0], np.full((SIDE, SIDE), 0.3))
    found = measure([flat, whys[1]], model, pictures).deletion
    assert found.ranked.tolist() == [False, True]
    assert np.isnan(found.amount[0]).all()
    assert found.area().count == 1
    assert found.to_record()["amount"][0][0] is None
    assert "1 without a ranking" in repr(found)
    with pytest.raises(SettingError, match="none with a ranking"):
        measure(flat, model, pictures).deletion.area()


def test_nan_is_refused(model: pellucid.Model, pictures: list[np.ndarray], whys: list[Explanation]) -> None:
    values = np.zeros((SIDE, SIDE))
    values[1, 1] = np.inf
    with pytest.raises(SettingError, match="1 of 144 values are NaN or infinite"):
        measure(with_map(whys[0], values), model, pictures)


class Logarithm(nn.Module):
    """Not finite where the picture is black."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(x.mean((1, 2, 3)))[:, None] * self.weight


def test_an_answer_that_is_not_finite_is_no_point_of_a_curve() -> None:
    x = torch.rand(1, 3, SIDE, SIDE)
    module = Logarithm()
    why = pellucid.explain(module, x, method="saliency", target="class:0")
    ranked = with_map(why, np.arange(SIDE * SIDE, dtype=float).reshape(SIDE, SIDE))
    with pytest.raises(NotFiniteError, match="deleted or inserted pixels; use another baseline"):
        measure(ranked, module, x)


def test_the_true_order_beats_chance_and_its_reverse_loses(model: pellucid.Model, pictures: list[np.ndarray]) -> None:
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 2, bias=False))
    known = pellucid.load(linear, preprocessing=Preprocessing(source="none"))
    true = list(pellucid.explain_many(known, pictures, methods=["input-x-gradient"], targets=["class:1"]))
    # On a linear model the curve of the score is the sum of what is left, so no order can fall faster.
    found = measure(true, known, pictures, insertion_baseline="zero", orders=3)
    reverse = [with_map(each, -each.parts[0].plane()) for each in true]
    lost = measure(reverse, known, pictures, insertion_baseline="zero", orders=3)
    for way in ("deletion", "insertion"):
        assert getattr(found, way).gain("score").low > 0
        assert getattr(lost, way).gain("score").high < 0
    x = known.tensor([pellucid.read(pictures[0])])
    strongest = np.sort(true[0].parts[0].plane().ravel())[::-1]
    with torch.no_grad():
        whole = float(linear(x)[0, 1])
    expected = [whole - strongest[:count].sum() for count in counts(SIDE * SIDE, STEPS)]
    assert found.deletion.score[0] == pytest.approx(expected, abs=1e-3)
    # From 1 at the picture to 0 at the baseline, whatever the size of the logit.
    fraction = np.trapezoid(found.deletion.score[0] / found.deletion.score[0, 0], dx=1 / STEPS)
    assert found.deletion.areas("fraction")[0] == pytest.approx(fraction, abs=1e-3)


@pytest.mark.parametrize("chance", ["shifted", "pixels"])
def test_chance_is_seeded_and_one_draw_is_not_another(
    chance: str, model: pellucid.Model, pictures: list[np.ndarray], whys: list[Explanation]
) -> None:
    one, again = (measure(whys[0], model, pictures, orders=2, chance=chance).insertion for _ in range(2))
    assert np.array_equal(one.chance_score, again.chance_score)
    assert not np.allclose(one.chance_score[0], one.chance_score[1])


def test_the_model_and_the_global_generators_stay_as_they_were(
    model: pellucid.Model, pictures: list[np.ndarray], whys: list[Explanation]
) -> None:
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    random, numpy = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
    measure(whys[0], model, pictures, deletion_baseline="noise", orders=1)
    assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())
    assert torch.equal(random, torch.get_rng_state())
    assert np.array_equal(numpy, np.random.get_state()[1])  # type: ignore[index]


def test_a_map_of_a_site_is_enlarged_before_it_is_ranked(model: pellucid.Model, pictures: list[np.ndarray]) -> None:
    why = pellucid.explain(model, pictures[0], method="layer-cam(site=first)")
    assert measure(why, model, pictures).deletion.ranked.all()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"steps": 0}, "steps is 0, expected a whole number, 1 or more"),
        ({"orders": -1}, "orders is -1, expected a whole number, 0 or more"),
        ({"seed": -1}, "seed is -1"),
        ({"deletion_baseline": "grey"}, "baseline is 'grey', expected zero, black"),
        ({"chance": "luck"}, "chance is 'luck', expected 'shifted' or 'pixels'"),
    ],
)
def test_a_bad_setting_is_refused(
    settings: dict[str, Any], told: str, model: pellucid.Model, pictures: list[np.ndarray], whys: list[Explanation]
) -> None:
    with pytest.raises(SettingError, match=told):
        measure(whys, model, pictures, **settings)


def test_another_model_picture_or_a_unit_is_refused(
    model: pellucid.Model, pictures: list[np.ndarray], whys: list[Explanation]
) -> None:
    with pytest.raises(SettingError, match="its weights differ: explain again"):
        measure(whys, Net(), pictures)
    with pytest.raises(SettingError, match=r"input is '1 pictures .*expected the explained"):
        measure(whys, model, pictures[:1])
    unit = pellucid.explain(model, pictures[0], method="saliency", target="unit:first/2")
    with pytest.raises(SettingError, match="expected explanations of a class or an output"):
        measure(unit, model, pictures)
