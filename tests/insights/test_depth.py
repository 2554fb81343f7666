"""Form and class along the depth, on networks whose answers are known."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes
from pellucid.errors import InputError, NotFiniteError, SettingError
from pellucid.insights.cuts import cut_sites
from pellucid.insights.depth import along_depth
from pellucid.insights.form import luminance
from pellucid.models.preprocessing import Preprocessing

SIDE = 16


def identity(inputs: int, outputs: int) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, 1, bias=False)
    nn.init.dirac_(conv.weight)
    return conv


class Copies(nn.Module):
    """Hands the picture on, sees texture in the middle, and only there the class can be told apart."""

    def __init__(self) -> None:
        super().__init__()
        self.same = identity(3, 3)
        self.edges = nn.Conv2d(3, 2, 3, padding=1, padding_mode="circular", bias=False)
        kernel = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]]) / 3
        self.edges.weight.data = torch.stack([kernel.expand(3, 3, 3), -kernel.expand(3, 3, 3)])
        self.head = nn.Linear(2, 2, bias=False)
        self.head.weight.data = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
        # Half way between what smooth and rough pictures give.
        self.head.bias = nn.Parameter(torch.tensor([-0.61, 0.61]))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.edges(self.same(x))).mean((2, 3)))


def picture(seed: int, *, rough: bool) -> np.ndarray:
    """Coarse blocks of grey, or the same greys scattered: equal means, and only the texture tells them apart."""
    random = np.random.default_rng(seed)
    grey = np.repeat(np.repeat(random.permutation(np.linspace(20, 235, 16)).reshape(4, 4), 4, axis=0), 4, axis=1)
    if rough:
        grey = random.permutation(grey.ravel()).reshape(grey.shape)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def probe_set(count: int = 48) -> tuple[list[pellucid.Image], list[str]]:
    images = [pellucid.read(picture(seed, rough=bool(seed % 2))) for seed in range(count)]
    return images, ["rough" if seed % 2 else "smooth" for seed in range(count)]


def model_of(module: nn.Module) -> pellucid.Model:
    return pellucid.load(module.eval(), preprocessing=Preprocessing(resize=None, crop=None, source="flags"))


@pytest.fixture(scope="module")
def found() -> dict[str, object]:
    images, labels = probe_set()
    depth = along_depth(model_of(Copies()), images, labels=labels, shown=pellucid.read(picture(999, rough=False)))
    return {"depth": depth, **{site.name: site for site in depth.sites}}


def test_what_hands_the_picture_on_keeps_all_of_its_form(found: dict) -> None:
    same = found["same"]
    assert same.form.value == pytest.approx(1.0, abs=1e-4)
    assert same.read_form == pytest.approx(1.0, abs=1e-4)
    assert np.allclose(same.read, luminance(picture(999, rough=False)), atol=1e-2)


def test_means_over_positions_keep_none_of_it(found: dict) -> None:
    assert found["head"].form.value < 0.05
    assert found["/relu"].form.value < found["same"].form.value


def test_the_class_emerges_where_the_network_first_tells_it_apart(found: dict) -> None:
    assert found["depth"].chance == 0.5
    assert found["same"].emerged.value < 0.75
    assert found["/relu"].emerged.value == 1.0
    assert found["head"].emerged.value == 1.0


def test_before_a_mean_over_positions_their_order_is_not_needed(found: dict) -> None:
    assert (found["/relu"].flips.value, found["/relu"].lead_lost.value) == (0.0, pytest.approx(0.0, abs=1e-5))
    # Scattered, a smooth picture is a rough one.
    assert found["same"].flips.value == pytest.approx(0.5)
    assert found["head"].flips is None


def test_the_random_twin_is_measured_at_the_same_sites_and_the_model_is_untouched() -> None:
    images, labels = probe_set(24)
    module = Copies()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state = torch.get_rng_state()
    depth = along_depth(model_of(module), images, labels=labels, repeats=1)
    assert [site.name for site in depth.twin] == [site.name for site in depth.sites]
    assert depth.twin[0].form.value != depth.sites[0].form.value
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_the_same_seed_gives_the_same_numbers() -> None:
    images, _ = probe_set(18)
    one, other = (along_depth(model_of(Copies()), images, repeats=1, seed=3).to_record() for _ in range(2))
    assert one == other
    assert one["labels"] == "decisions"


def test_too_few_pictures_of_a_class_give_no_accuracy() -> None:
    images, _ = probe_set(18)
    depth = along_depth(model_of(Copies()), images, labels=[str(i) for i in range(18)], repeats=1, twin=False)
    assert (depth.classes, depth.probed, depth.chance) == (0, 0, None)
    assert all(site.emerged is None for site in depth.sites)


def test_too_few_pictures_are_refused_with_what_to_do() -> None:
    images, _ = probe_set(5)
    with pytest.raises(InputError, match="the probe set has 5 different pictures, expected 16 or more"):
        along_depth(model_of(Copies()), images)


def test_a_picture_that_comes_again_takes_part_once() -> None:
    images, labels = probe_set(20)
    again = [pellucid.read(image.pixels) for image in images]
    once, twice = (
        along_depth(model_of(Copies()), given, labels=named, repeats=1, twin=False).to_record()
        for given, named in ((images, labels), ([*images, *again], labels * 2))
    )
    assert twice == once
    with pytest.raises(InputError, match="10 different pictures"):
        along_depth(model_of(Copies()), images[:10] * 4, labels=labels[:10] * 4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_model_in_another_precision_gets_pictures_of_its_own(dtype: torch.dtype) -> None:
    images, labels = probe_set(16)
    depth = along_depth(model_of(Copies().to(dtype)), images, labels=labels, repeats=1, sites=3)
    assert depth.sites[0].form.value == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("setting", "given", "least"), [("sites", 2, 3), ("repeats", 0, 1), ("seed", -1, 0)])
def test_settings_that_mean_nothing_are_refused(setting: str, given: int, least: int) -> None:
    images, labels = probe_set(16)
    with pytest.raises(SettingError, match=f"{setting} is {given}, expected {least} or more"):
        along_depth(model_of(Copies()), images, labels=labels, **{setting: given})


class Normalises(Copies):
    """BatchNorm behind the mean over positions, and dropout that is never turned off."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(F.dropout(F.relu(self.edges(self.same(x))), 0.1, training=True).mean((2, 3))))


def test_a_last_picture_of_its_own_is_no_batch_for_the_twin_and_random_states_stay() -> None:
    images, labels = probe_set(17)
    model = model_of(Normalises())
    state = torch.get_rng_state()
    depth = along_depth(model, images, labels=labels, repeats=1)
    assert len(depth.twin) == len(depth.sites)
    assert torch.equal(state, torch.get_rng_state())


def test_answers_that_are_not_finite_are_refused() -> None:
    images, labels = probe_set(16)
    module = Copies()
    module.edges.weight.data[0, 0, 0, 0] = torch.nan
    with pytest.raises(NotFiniteError, match=r"its weight 'edges\.weight' is not finite"):
        along_depth(model_of(module), images, labels=labels)


def test_where_no_class_leads_no_lead_is_lost() -> None:
    images, labels = probe_set(16)
    module = Copies()
    module.head.weight.data.zero_()
    module.head.bias.data.zero_()
    depth = along_depth(model_of(module), images, labels=labels, repeats=1, twin=False)
    assert depth.sites[0].flips.value == 0
    assert depth.sites[0].lead_lost is None


class Branches(nn.Module):
    """A residual block between two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inside = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.bn, self.last, self.head = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn(self.first(x)))
        x = x + F.relu(self.inside(x))
        return self.head(F.relu(self.last(x)).mean((2, 3)))


def test_only_sites_that_every_path_passes_are_cuts_and_the_last_of_each_layer_is_taken() -> None:
    facts = passes.facts(Branches().eval(), torch.zeros(1, 3, 12, 12))
    assert [site.name for site in cut_sites(facts)] == ["/relu", "/add", "/relu#3", "/mean", "head"]
