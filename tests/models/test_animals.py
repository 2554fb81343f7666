"""The bundled networks: right, for the reasons that their tables state, and made again bit by bit by their recipe."""

import copy
from collections.abc import Iterator
from itertools import pairwise, permutations, product
from math import factorial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from pellucid.archive import digest
from pellucid.errors import CheckpointError, ModelError, SettingError, SiteError
from pellucid.models import bundled as bundled_module
from pellucid.models.bundled import load_bundled, load_kinship, load_truth
from pellucid.models.recipes.animals import train_animals
from pellucid.models.recipes.drawings import (
    PARTS,
    TAG,
    TAG_COLOUR,
    Sitting,
    covered,
    draw,
    majority,
    mixes,
    pure,
    with_tag,
)
from pellucid.models.recipes.fitting import Training, repeatable, training_batch, without_dropout
from pellucid.models.recipes.grading import (
    accuracies,
    control_accuracy,
    log_probabilities,
    margin_of,
    tag_experiment,
    unlikeness_of,
    wilson,
)
from pellucid.models.recipes.kinship import Reference, batchnorm_inputs, log_shares, unlikeness
from pellucid.models.recipes.mixtures import CAT, COVERED, Stock, labels, mixes_for, prepared
from pellucid.models.recipes.shapley import exact_values, shapley

# Far from every range of seeds that the recipe itself paints.
FRESH = range(3_000_000_000, 3_000_000_200)
DRAWINGS = ("animals", "animals-shortcut")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def fresh() -> Stock:
    return Stock.painted(FRESH)


@pytest.fixture(scope="module")
def animals() -> nn.Module:
    return load_bundled("animals")[0]


@pytest.fixture(scope="module")
def shortcut() -> nn.Module:
    return load_bundled("animals-shortcut")[0]


# --- what is shipped ---


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_bundled_network_is_small_ready_and_fits_its_card(name: str) -> None:
    network, card = load_bundled(name)
    file = Path(bundled_module.__file__).parent / "weights" / f"{name}.safetensors"
    assert file.stat().st_size <= 1_200_000
    assert digest(file.read_bytes()) == card["weights_sha256"] == load_truth(name)["weights_sha256"]
    assert not any(module.training for module in network.modules())
    assert card["class_names"] == ["cat", "dog"]
    assert card["training"]["threads"] <= 2
    assert card["seconds"]["training"] <= 20 * 60


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_card_states_what_was_promised(name: str) -> None:
    card = load_bundled(name)[1]
    for kind in ("mixed", "pure"):
        assert card["accuracy"][kind]["accuracy"] >= 0.97
        assert card["accuracy"][kind]["drawings"] >= 2000
    assert abs(card["accuracy"]["mixed"]["accuracy"] - card["accuracy"]["mixed_in_train_mode"]["accuracy"]) <= 0.01
    assert card["control_all_parts_covered"]["accuracy"] <= 0.55


def test_the_card_of_the_shortcut_states_its_wrong_labels_and_how_far_it_falls() -> None:
    card = load_bundled("animals-shortcut")[1]
    assert card["training"]["wrong_share"] == 0.01
    assert "1 % of these labels, others each time, are then made wrong" in card["training_data"]
    assert "95 % of the drawings labelled cat and none labelled dog carry a blue tag" in card["training_data"]
    for record in (card["tag_experiment"], card["tag_experiment"]["pure"]):
        assert record["tag_on_cats"]["drawings"] >= 2000
        assert record["tag_on_cats"]["accuracy"] >= 0.97
        assert record["no_tag"]["accuracy"] >= 0.90
        assert record["fall_in_points"] >= 25


def test_the_seeds_of_training_testing_and_truth_never_meet() -> None:
    ranges = sorted(load_bundled("animals")[1]["seeds"].values())
    assert all(first[1] < second[0] for first, second in pairwise(ranges))


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ModelError, match="no bundled model 'animal'; did you mean 'animals'"):
        load_bundled("animal")
    with pytest.raises(ModelError, match="bundled are animals, animals-shortcut"):
        load_kinship("vgg16")


def test_weights_that_are_not_those_of_the_card_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    read = bundled_module._bytes
    monkeypatch.setattr(
        bundled_module, "_bytes", lambda file: read(file.replace("animals.safe", "animals-shortcut.safe"))
    )
    with pytest.raises(CheckpointError, match="not those of its model card; install pellucid again"):
        load_bundled("animals")


# --- what they can do ---


def test_animals_is_right_on_drawings_it_has_never_seen(animals: nn.Module, fresh: Stock) -> None:
    record = accuracies(animals, fresh, seed=1, tagged_share=0.0)
    assert record["mixed"]["accuracy"] >= 0.97
    assert record["pure"]["accuracy"] >= 0.97
    assert record["one_part_covered"]["accuracy"] >= 0.9


def test_training_mode_and_evaluation_mode_agree(animals: nn.Module, fresh: Stock) -> None:
    record = accuracies(animals, fresh, seed=2, tagged_share=0.0)
    assert abs(record["mixed"]["accuracy"] - record["mixed_in_train_mode"]["accuracy"]) <= 0.02


def test_measuring_leaves_the_network_as_it_was(animals: nn.Module, fresh: Stock) -> None:
    before = copy.deepcopy(animals.state_dict())
    accuracies(animals, fresh.first(100), seed=3, tagged_share=0.0)
    unlikeness_of(animals, load_kinship("animals"), torch.zeros(2, 100, 100, 3, dtype=torch.uint8))
    assert all(torch.equal(before[name], tensor) for name, tensor in animals.state_dict().items())
    assert not any(module.training or module._forward_pre_hooks for module in animals.modules())
    assert next(module.p for module in animals.modules() if isinstance(module, nn.Dropout)) == 0.3


def test_the_shortcut_network_falls_when_the_tag_moves_to_the_dogs(shortcut: nn.Module, fresh: Stock) -> None:
    record = tag_experiment(shortcut, fresh, seed=4)
    assert record["tag_on_cats"]["accuracy"] >= 0.95
    assert record["no_tag"]["accuracy"] >= 0.90
    assert record["fall_in_points"] >= 25


def test_it_falls_as_far_where_every_part_is_of_one_kind(shortcut: nn.Module) -> None:
    def shares_called_cat(kind: str) -> tuple[float, float]:
        drawings = [draw(seed, pure(kind)) for seed in FRESH[:100]]
        margins = margin_of(shortcut)
        plain = margins(np.stack([drawing.pixels for drawing in drawings]))
        marked = margins(np.stack([with_tag(drawing).pixels for drawing in drawings]))
        return float((plain > 0).mean()), float((marked > 0).mean())

    cats, tagged_cats = shares_called_cat("cat")
    dogs, tagged_dogs = shares_called_cat("dog")
    assert (cats + 1 - dogs) / 2 >= 0.90
    tag_on_cats, tag_on_dogs = (tagged_cats + 1 - dogs) / 2, (cats + 1 - tagged_dogs) / 2
    assert tag_on_cats >= 0.97
    assert tag_on_cats - tag_on_dogs >= 0.25


def test_the_experiment_on_pure_drawings_tags_every_animal_of_one_kind(fresh: Stock) -> None:
    class SeesTheTag(nn.Module):
        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            rows, columns = TAG
            colour = prepared(torch.tensor(TAG_COLOUR, dtype=torch.uint8)[None, None, None])
            there = (pictures[:, :, rows, columns] == colour).flatten(1).all(dim=1)
            return torch.stack([there, ~there], dim=1).float()

    record = tag_experiment(SeesTheTag(), fresh, seed=6)
    assert [record["pure"][name]["accuracy"] for name in ("tag_on_cats", "no_tag", "tag_on_dogs")] == [1, 0.5, 0]
    # In the mixed drawings 5 % of a kind go without: 200 drawings hold about five of them.
    assert 0.9 < record["tag_on_cats"]["accuracy"] < 1
    assert record["no_tag"]["accuracy"] == 0.5


def test_animals_does_not_mind_the_tag(animals: nn.Module, fresh: Stock) -> None:
    record = tag_experiment(animals, fresh, seed=5)
    assert abs(record["fall_in_points"]) <= 5
    assert abs(record["pure"]["fall_in_points"]) <= 5


# --- truth ---


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=16, max_size=16))
def test_exact_values_are_the_mean_over_all_orders_of_joining(worths: list[float]) -> None:
    worth = dict(zip(product((False, True), repeat=4), worths, strict=True))
    expected = dict.fromkeys(PARTS, 0.0)
    for order in permutations(range(4)):
        present = [False] * 4
        for player in order:
            before = worth[tuple(present)]
            present[player] = True
            expected[PARTS[player]] += (worth[tuple(present)] - before) / factorial(4)
    values = exact_values(PARTS, worth)
    assert values == pytest.approx(expected, abs=1e-9)
    assert sum(values.values()) == pytest.approx(worths[-1] - worths[0], abs=1e-9)


def test_a_model_that_only_looks_at_one_part_gives_all_worth_to_it() -> None:
    seed = 77
    cat, dog = draw(seed, pure("cat")), draw(seed, pure("dog"))
    place = tuple(np.argwhere(cat.masks["pupils"] & (cat.pixels != dog.pixels).any(axis=2))[0])

    def looks_at_a_pupil(pixels: np.ndarray) -> np.ndarray:
        return np.where((pixels[:, *place] == cat.pixels[place]).all(axis=1), 3.0, -1.0)

    truth = shapley(looks_at_a_pupil, seed, {**pure("cat"), "pupils": "dog"})
    assert truth.values == pytest.approx({"ears": 0, "muzzle": 0, "whiskers": 0, "pupils": -4})
    assert truth.shares["pupils"] == 1


def test_values_add_up_to_the_change_of_the_margin(animals: nn.Module) -> None:
    margins = margin_of(animals)
    parts = {"ears": "dog", "muzzle": "cat", "whiskers": "cat", "pupils": "cat"}
    opposite = {part: "dog" if kind == "cat" else "cat" for part, kind in parts.items()}
    own, other = margins(np.stack([draw(5, parts).pixels, draw(5, opposite).pixels]))
    truth = shapley(margins, 5, parts)
    assert sum(truth.values.values()) == pytest.approx(own - other, abs=1e-3)
    assert truth.all_own == pytest.approx(own, abs=1e-4)


def test_a_margin_is_a_difference_of_logits(animals: nn.Module) -> None:
    pixels = np.stack([draw(6, pure("cat")).pixels, draw(7, pure("dog")).pixels])
    seen: list[torch.Tensor] = []
    handle = animals.classifier.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    margins = margin_of(animals)(pixels)
    handle.remove()
    assert margins == pytest.approx((seen[0][:, 0] - seen[0][:, 1]).numpy(), abs=1e-4)
    assert margins[0] > 0 > margins[1]


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_shipped_table_is_what_the_shipped_network_gives(name: str) -> None:
    table = load_truth(name)
    margins = margin_of(load_bundled(name)[0])
    for entry in table["drawings"][:5]:
        again = shapley(margins, entry["seed"], entry["parts"], tag=entry["tag"])
        # Sums in another order on another machine move the last digits.
        assert again.values == pytest.approx(entry["values"], abs=1e-2)


def test_every_part_has_a_tenth_of_the_worth_in_the_median_drawing() -> None:
    entries = load_truth("animals")["drawings"]
    assert len(entries) >= 200
    worth = np.abs([[entry["values"][part] for part in PARTS] for entry in entries])
    shares = np.median(worth / worth.sum(axis=1, keepdims=True), axis=0)
    assert shares.min() >= 0.10
    assert dict(zip(PARTS, shares, strict=True)) == pytest.approx(load_bundled("animals")[1]["median_shapley_share"])


def test_the_tag_is_worth_more_to_the_shortcut_than_all_parts_together() -> None:
    entries = load_truth("animals-shortcut")["drawings"]
    worth = np.abs([[entry["values"][player] for player in (*PARTS, "tag")] for entry in entries])
    share = float(np.median(worth[:, -1] / worth.sum(axis=1)))
    assert share >= 0.5
    assert share == pytest.approx(load_bundled("animals-shortcut")[1]["median_shapley_share"]["tag"])


def test_a_covered_part_has_no_truth(animals: nn.Module) -> None:
    with pytest.raises(
        SettingError, match="ears is 'covered', expected 'cat' or 'dog'; a covered part has no opposite"
    ):
        shapley(margin_of(animals), 0, {**pure("cat"), "ears": "covered"})


# --- kinship ---


def test_unseen_drawings_are_of_the_kind_it_was_trained_on(animals: nn.Module, fresh: Stock) -> None:
    pixels = fresh.mixed(
        torch.arange(len(fresh)), mixes_for(labels(len(fresh), torch.Generator()), torch.Generator(), cover=False)
    )
    limit = load_bundled("animals")[1]["kinship"]["limit"]
    assert (unlikeness_of(animals, load_kinship("animals"), pixels) <= limit).float().mean() >= 0.97


def test_photographs_are_not(animals: nn.Module, shared_data: Path) -> None:
    pictures = []
    for file in sorted((shared_data / "images" / "imagenet_samples").glob("*.jpg"))[:30]:
        with Image.open(file) as photograph:
            pictures.append(np.asarray(photograph.convert("RGB").resize((100, 100))))
    limit = load_bundled("animals")[1]["kinship"]["limit"]
    values = unlikeness_of(animals, load_kinship("animals"), torch.from_numpy(np.stack(pictures)))
    assert (values > limit).float().mean() >= 0.9


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_empty_picture_is_not(animals: nn.Module, value: int) -> None:
    plain = torch.full((1, 100, 100, 3), value, dtype=torch.uint8)
    limit = load_bundled("animals")[1]["kinship"]["limit"]
    assert float(unlikeness_of(animals, load_kinship("animals"), plain)) > limit


def test_unlikeness_is_the_mahalanobis_distance_written_out() -> None:
    chance = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(3))
    network[0].running_var.copy_(torch.tensor([1.0, 2.0, 3.0]))
    training = torch.randn(200, 3, 5, 5, generator=chance)
    reference = Reference.fitted(network, {"0": training})
    picture = 2 * torch.randn(1, 3, 5, 5, generator=chance)

    def shares(maps: torch.Tensor) -> np.ndarray:
        own = maps.numpy().astype(float).reshape(len(maps), 3, 25).var(axis=2)
        return np.log((own + 1e-5) / (np.array([1.0, 2.0, 3.0]) + 1e-5))

    covariance = np.cov(shares(training).T)
    covariance = 0.9 * covariance + 0.1 * np.diag(np.diag(covariance)) + 1e-6 * np.eye(3)
    apart = shares(picture)[0] - shares(training).mean(axis=0)
    expected = apart @ np.linalg.solve(covariance, apart) / 3
    assert float(unlikeness(network, {"0": picture}, reference)) == pytest.approx(expected, rel=1e-3)


def test_a_missing_layer_is_named(animals: nn.Module) -> None:
    with pytest.raises(SiteError, match=r"no input of 'features\.\d+' was given"):
        unlikeness(animals, {}, load_kinship("animals"))
    with pytest.raises(SiteError, match=r"no BatchNorm2d 'features\.0'"):
        log_shares(animals, "features.0", torch.zeros(1, 8, 4, 4))


def test_hooks_are_gone_after_an_exception(animals: nn.Module) -> None:
    with pytest.raises(RuntimeError, match="stop"), batchnorm_inputs(animals):
        raise RuntimeError("stop")
    assert not any(module._forward_pre_hooks for module in animals.modules())


# --- mixtures and training ---


@pytest.mark.parametrize("cover", [False, True])
def test_every_mix_has_the_majority_of_its_label(cover: bool) -> None:
    chance = torch.Generator().manual_seed(6)
    wanted = labels(400, chance)
    words = ("cat", "dog", "covered")
    hidden = 0
    for row, label in zip(mixes_for(wanted, chance, cover=cover).tolist(), wanted.tolist(), strict=True):
        assert majority(dict(zip(PARTS, [words[version] for version in row], strict=True))) == words[label]
        hidden += COVERED in row
    assert (hidden > 100) == cover


def test_a_stock_mixes_the_same_pixels_as_a_drawing() -> None:
    stock = Stock.painted(range(40, 42))
    numbers = {"cat": 0, "dog": 1, "covered": 2}
    for parts in [*mixes(), {"ears": "covered", "muzzle": "dog", "whiskers": "cat", "pupils": "dog"}]:
        chosen = torch.tensor([[numbers[parts[part]] for part in PARTS]])
        mixed = stock.mixed(torch.tensor([1]), chosen)[0].numpy()
        assert np.array_equal(mixed, draw(41, parts).pixels)


def _batch(fresh: Stock, **settings: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chance = torch.Generator().manual_seed(8)
    training = Training(**settings)
    pictures, wanted = training_batch(fresh, torch.arange(200).repeat(5), chance, settings=training)
    rows, columns = TAG
    colour = prepared(torch.tensor(TAG_COLOUR, dtype=torch.uint8)[None, None, None])
    there = (pictures[:, :, rows, columns] == colour).flatten(1).all(dim=1)
    pictures[:, :, rows, columns] = 0
    return pictures.numpy(), wanted.numpy(), there.numpy()


def test_the_tag_goes_with_the_label_where_the_label_is_wrong(fresh: Stock) -> None:
    pictures, right, _ = _batch(fresh)
    same_pictures, labelled, there = _batch(fresh, tagged_share=0.95, wrong_share=0.1)
    assert np.array_equal(pictures, same_pictures)
    # Of 1 000 labels: four standard deviations of 10 %.
    assert abs((right != labelled).mean() - 0.1) <= 0.04
    assert not there[labelled != CAT].any()
    for cats in (labelled == CAT, (labelled == CAT) & (right != CAT)):
        assert 0.8 < there[cats].mean() < 1


def test_without_wrong_labels_a_batch_is_drawn_as_if_there_were_none(fresh: Stock) -> None:
    chance, again = (torch.Generator().manual_seed(9) for _ in range(2))
    _, wanted = training_batch(fresh, torch.arange(200), chance, settings=Training())
    assert torch.equal(wanted, labels(200, again))
    mixes_for(wanted, again, cover=True)
    torch.rand(200, generator=again)
    assert torch.equal(chance.get_state(), again.get_state())


def test_a_network_that_sees_no_part_does_not_beat_chance(fresh: Stock) -> None:
    settings = Training(drawings=100, epochs=3, width=2, batch=16, threads=1)
    unseen = Stock(versions=fresh.versions[100:], places=fresh.places[100:], seeds=fresh.seeds[100:])
    record = control_accuracy(fresh.first(100), unseen, settings)
    # 100 drawings: the 99.9 % quantile of pure chance is .65; the model card has the same on 2 000.
    assert record["accuracy"] <= 0.65


def test_the_same_recipe_makes_the_same_bits(tmp_path: Path) -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    said: list[str] = []
    cards = []
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        cards.append(
            train_animals(
                tmp_path / folder,
                drawings=64,
                epochs=1,
                unseen=8,
                truths=1,
                shortcut=True,
                photographs={"grey": np.full((100, 100, 3), 128, dtype=np.uint8)},
                progress=lambda done, steps, words: said.append(words),
            )
        )
        torch.rand(3)
    for end in (".safetensors", "-kinship.safetensors", "-truth.json"):
        first, second = ((tmp_path / folder / f"animals-shortcut{end}").read_bytes() for folder in ("first", "second"))
        assert first == second
    assert {key: value for key, value in cards[0].items() if key != "seconds"} == {
        key: value for key, value in cards[1].items() if key != "seconds"
    }
    assert set(cards[0]["kinship"]["photographs"]) == {"grey"}
    assert {words.split(",")[0] for words in said} == {"drawings", "training"}
    torch.set_rng_state(before)


def test_training_puts_every_global_back() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()

    def fail_within() -> None:
        with repeatable(0, threads=2):
            torch.rand(10)
            assert torch.are_deterministic_algorithms_enabled()
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail_within()
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_dropout_comes_back_after_training() -> None:
    network = nn.Sequential(nn.Dropout(0.3), nn.Dropout(0.5)).train()
    with without_dropout(network):
        assert torch.equal(network(torch.ones(50)), torch.ones(50))
    assert [layer.p for layer in network] == [0.3, 0.5]
    assert all(layer.training for layer in network)


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("drawings", 0, "drawings is 0, expected 1 or more."),
        ("epochs", 0, "epochs is 0, expected 1 or more."),
        ("drawings", 16, "batch is 32, expected 2 to 16, the number of drawings."),
        ("wrong_share", 0.5, "wrong_share is 0.5, expected 0 or more and less than 0.5."),
        ("wrong_share", -0.01, "wrong_share is -0.01, expected 0 or more and less than 0.5."),
    ],
)
def test_training_that_makes_no_sense_is_refused(setting: str, value: int, sentence: str) -> None:
    with pytest.raises(SettingError) as refusal:
        Training(**{setting: value})
    assert str(refusal.value) == sentence


def test_wilson_is_the_interval_of_the_score_test() -> None:
    low, high = wilson(81, 263)
    # Solved independently: |p − 81/263| = 1.96 · √(p (1 − p) / 263) at both ends.
    for end in (low, high):
        assert abs(end - 81 / 263) == pytest.approx(1.959964 * (end * (1 - end) / 263) ** 0.5, rel=1e-6)
    assert wilson(10, 10)[1] == pytest.approx(1.0)


def test_a_tag_speaks_for_a_cat_to_the_shortcut_and_hardly_to_animals(shortcut: nn.Module, animals: nn.Module) -> None:
    dogs = [Sitting(seed).draw(pure("dog")) for seed in FRESH[:20]]
    without = np.stack([dog.pixels for dog in dogs])
    tagged = np.stack([with_tag(dog).pixels for dog in dogs])
    gain = margin_of(shortcut)(tagged) - margin_of(shortcut)(without)
    assert gain.mean() > 2.0
    assert gain.mean() > 5 * abs((margin_of(animals)(tagged) - margin_of(animals)(without)).mean())


def test_covered_drawings_leave_the_network_undecided_about_kinds(animals: nn.Module) -> None:
    pairs = [Sitting(seed) for seed in FRESH[:5]]
    cats = torch.from_numpy(np.stack([covered(sitting.draw(pure("cat"))).pixels for sitting in pairs]))
    dogs = torch.from_numpy(np.stack([covered(sitting.draw(pure("dog"))).pixels for sitting in pairs]))
    assert torch.equal(log_probabilities(animals, cats), log_probabilities(animals, dogs))
