"""Injected damage is found and named, sound networks get no alarm, and effects are those of plain PyTorch."""

import copy
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import register_parametrization

import pellucid
from pellucid.archive import dump_json
from pellucid.errors import SettingError, SiteError
from pellucid.insights import measuring
from pellucid.insights.filter_report import FilterReport, listed
from pellucid.insights.filters import inspect_filters
from pellucid.models.recipes.drawings import draw, pure

BUNDLED = ("animals", "animals-shortcut")


@pytest.fixture(scope="module")
def drawings() -> list[np.ndarray]:
    return [draw(1000 + seed, pure("cat" if seed % 2 else "dog")).pixels for seed in range(10)]


def damaged(name: str, damage: Callable[[dict[str, nn.Module]], None]) -> pellucid.Model:
    """A bundled network, changed."""
    model = pellucid.load(name)
    with torch.no_grad():
        damage(dict(model.module.named_modules()))
    return model


def swap(first: nn.Module, second: nn.Module) -> None:
    for name in ("running_mean", "running_var"):
        one, other = getattr(first, name), getattr(second, name)
        kept = one.clone()
        one.copy_(other)
        other.copy_(kept)


def kinds(report: FilterReport) -> list[tuple[str, tuple[str, ...]]]:
    return [(finding.kind, finding.sites) for finding in report.damage]


@pytest.mark.parametrize("name", BUNDLED)
def test_a_sound_network_gets_no_finding_at_all(name: str, drawings: list[np.ndarray]) -> None:
    assert inspect_filters(name, drawings).findings == ()
    assert inspect_filters(name).findings == ()


@pytest.mark.parametrize("with_pictures", [True, False])
@pytest.mark.parametrize("name", BUNDLED)
def test_five_copied_filters_are_named(name: str, with_pictures: bool, drawings: list[np.ndarray]) -> None:
    copies = {
        "features.8": (2, 9),
        "features.16": (5, 24),
        "features.24": (1, 23),
        "features.36": (22, 5),
        "features.48": (0, 63),
    }

    def damage(parts: dict[str, nn.Module]) -> None:
        for layer, (to, source) in copies.items():
            parts[layer].weight[to] = (-0.7 if layer == "features.16" else 1) * parts[layer].weight[source]

    report = inspect_filters(damaged(name, damage), drawings if with_pictures else None)
    assert [(each.kind, each.sites, each.channels) for each in report.damage] == [
        ("duplicate", (layer,), tuple(sorted(pair))) for layer, pair in copies.items()
    ]
    assert len(report.findings) == 5
    (twin,) = report.layer("features.16").twins
    assert twin.pair.cosine == pytest.approx(-1)
    if with_pictures:
        assert twin.removal is not None
        assert twin.replacement is not None
        assert twin.removal.largest > 1e-3
        # A copy up to its sign and strength, put in the other's place, changes nothing but rounding.
        assert twin.replacement.largest < 1e-4
        assert f"at most {twin.removal.largest:.3g}" in report.damage[1].sentence


@pytest.mark.parametrize("with_pictures", [True, False])
@pytest.mark.parametrize("name", BUNDLED)
def test_five_killed_filters_are_named(name: str, with_pictures: bool, drawings: list[np.ndarray]) -> None:
    killed = {"features.12": (3, 11), "features.28": (60,), "features.40": (0, 33)}

    def damage(parts: dict[str, nn.Module]) -> None:
        for layer, channels in killed.items():
            parts[layer].weight[list(channels)] *= 1e-6

    report = inspect_filters(damaged(name, damage), drawings if with_pictures else None)
    assert [(each.kind, each.sites, each.channels) for each in report.damage] == [
        ("dead", (layer,), channels) for layer, channels in killed.items()
    ]
    assert "they died after training" in report.damage[0].sentence


@pytest.mark.parametrize("layer", ["features.20", "features.32", "features.48"])
@pytest.mark.parametrize("name", BUNDLED)
def test_a_layer_that_was_initialised_anew_is_named(name: str, layer: str, drawings: list[np.ndarray]) -> None:
    def damage(parts: dict[str, nn.Module]) -> None:
        torch.manual_seed(1)
        nn.init.kaiming_normal_(parts[layer].weight)

    for pictures in (drawings, None):
        assert kinds(inspect_filters(damaged(name, damage), pictures)) == [("re-initialised", (layer,))]


@pytest.mark.parametrize(
    "pair", [("features.17", "features.25"), ("features.33", "features.45"), ("features.49", "classifier.2")]
)
@pytest.mark.parametrize("name", BUNDLED)
def test_swapped_statistics_are_named(name: str, pair: tuple[str, str], drawings: list[np.ndarray]) -> None:
    model = damaged(name, lambda parts: swap(parts[pair[0]], parts[pair[1]]))
    assert kinds(inspect_filters(model, drawings)) == [("swapped-statistics", pair)]


def test_two_swapped_pairs_are_both_named(drawings: list[np.ndarray]) -> None:
    def damage(parts: dict[str, nn.Module]) -> None:
        swap(parts["features.21"], parts["features.25"])
        swap(parts["features.37"], parts["features.41"])

    found = kinds(inspect_filters(damaged("animals", damage), drawings))
    assert found == [
        ("swapped-statistics", ("features.21", "features.25")),
        ("swapped-statistics", ("features.37", "features.41")),
    ]


def test_statistics_of_another_network_are_named_at_the_first_layer_where_they_are(drawings: list[np.ndarray]) -> None:
    def damage(parts: dict[str, nn.Module]) -> None:
        parts["features.29"].running_var *= 100

    ((kind, sites),) = kinds(inspect_filters(damaged("animals", damage), drawings))
    assert (kind, sites) == ("foreign-statistics", ("features.29",))


def test_all_kinds_of_damage_at_once_are_named(drawings: list[np.ndarray]) -> None:
    def damage(parts: dict[str, nn.Module]) -> None:
        parts["features.16"].weight[3] = parts["features.16"].weight[4]
        parts["features.24"].weight[7] = 0
        swap(parts["features.33"], parts["features.37"])
        torch.manual_seed(0)
        parts["features.44"].reset_parameters()

    found = kinds(inspect_filters(damaged("animals", damage), drawings))
    assert sorted(found) == [
        ("dead", ("features.24",)),
        ("duplicate", ("features.16",)),
        ("re-initialised", ("features.44",)),
        ("swapped-statistics", ("features.33", "features.37")),
    ]


def test_few_pictures_are_not_compared_with_statistics_and_that_is_said(drawings: list[np.ndarray]) -> None:
    model = damaged("animals", lambda parts: swap(parts["features.33"], parts["features.45"]))
    report = inspect_filters(model, drawings[:7])
    assert report.findings == ()
    assert report.norms == ()
    assert report.notes == ("7 pictures are too few to compare BatchNorm's statistics with; give 8 or more.",)


@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "mobilenet_v2"])
def test_random_weights_of_torchvision_are_called_untrained(name: str) -> None:
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    # The head of a VGG would be 120 million weights that say the same.
    module = models.vgg11_bn(num_classes=10).features if name == "vgg11_bn" else getattr(models, name)()
    if name == "vgg11_bn":
        module = nn.Sequential(module, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    found = kinds(inspect_filters(module))
    assert [kind for kind, _ in found] == ["untrained", "fresh-statistics"]
    layers = [path for path, part in module.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    assert set(found[0][1]) == set(layers)


def test_a_half_loaded_network_is_called_that(drawings: list[np.ndarray]) -> None:
    fresh = [f"features.{number}" for number in (32, 36, 40, 44, 48)]

    def damage(parts: dict[str, nn.Module]) -> None:
        torch.manual_seed(0)
        for layer in fresh:
            parts[layer].reset_parameters()

    assert kinds(inspect_filters(damaged("animals", damage), drawings)) == [("half-loaded", tuple(fresh))]


def test_what_is_not_finite_is_named_and_nothing_is_measured(drawings: list[np.ndarray]) -> None:
    def damage(parts: dict[str, nn.Module]) -> None:
        parts["features.20"].weight[0, 0, 0, 0] = float("nan")
        parts["features.33"].running_var[2:4] = float("inf")

    report = inspect_filters(damaged("animals", damage), drawings)
    assert kinds(report) == [("not-finite", ("features.20.weight", "features.33.running_var"))]
    assert report.damage[0].sentence.startswith("3 values are NaN or infinite, in features.20.weight and features.33")
    assert report.layer("features.20").not_finite == 1
    assert report.layer("features.20").spectrum is None
    assert "nothing was measured on the pictures" in report.notes[0]
    json.loads(dump_json(report.to_record()))


def test_a_layer_of_zeros_is_named() -> None:
    report = inspect_filters(damaged("animals", lambda parts: parts["features.40"].weight.zero_()))
    assert kinds(report) == [("one-value", ("features.40",))]
    assert report.layer("features.40").zeros == 1


class Small(nn.Module):
    """Two convolutions without BatchNorm, the first one partly blind."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.head = nn.Conv2d(3, 12, 3), nn.Conv2d(12, 9, 3), nn.Linear(9, 4)
        with torch.no_grad():
            self.first.weight[5] = 1e-5 * self.first.weight[5]
            self.first.bias[5] = 0.25
            self.first.bias[7] = -100.0
            self.second.weight[4] = 2 * self.second.weight[2] + 0.003 * torch.randn(12, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.second(torch.relu(self.first(x)))).mean((2, 3)))


def without(module: Small, x: Tensor, layer: str, channel: int) -> Tensor:
    """The logits if the channel were 0 behind its ReLU, by hand."""
    first = torch.relu(module.first(x))
    if layer == "first":
        first[:, channel] = 0
    second = torch.relu(module.second(first))
    if layer == "second":
        second[:, channel] = 0
    return module.head(second.mean((2, 3)))


@pytest.mark.parametrize("portion", [1, 2**40])
def test_effects_are_those_of_removing_by_hand(portion: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.insights.probes._BYTES", portion)
    module = Small().eval()
    x = torch.rand(6, 3, 12, 12)
    before = copy.deepcopy(module.state_dict())
    report = inspect_filters(module, x)
    (dead,) = report.layer("first").dead
    (silent,) = report.layer("first").silent
    (twin,) = report.layer("second").twins
    assert (dead.channel, dead.reason, silent.channel, silent.reason) == (5, "weights", 7, "silent")
    assert (twin.pair.channel, twin.pair.twin, twin.exact) == (4, 2, False)
    with torch.no_grad():
        answer = module(x)
        for layer, channel, effect in (
            ("first", 5, dead.removal),
            ("first", 7, silent.removal),
            ("second", 4, twin.removal),
        ):
            changed = without(module, x, layer, channel)
            assert effect is not None
            assert effect.largest == pytest.approx(float((changed - answer).abs().max()), abs=1e-6)
            assert effect.mean == pytest.approx(float((changed - answer).abs().mean()), abs=1e-6)
            assert effect.changed == int((changed.argmax(1) != answer.argmax(1)).sum())
    assert twin.replacement is not None
    assert twin.removal is not None
    assert twin.replacement.largest < 0.25 * twin.removal.largest
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_a_near_duplicate_and_a_dead_filter_are_facts_and_no_damage() -> None:
    report = inspect_filters(Small(), torch.rand(3, 3, 12, 12))
    assert [(each.kind, each.damage) for each in report.findings] == [("dead", False), ("duplicate", False)]
    assert "4 like 2" in report.findings[1].sentence


def test_batch_norm_s_scale_can_kill_a_filter(drawings: list[np.ndarray]) -> None:
    def damage(parts: dict[str, nn.Module]) -> None:
        parts["features.21"].weight[6] = 0

    report = inspect_filters(damaged("animals", damage), drawings)
    (dead,) = report.layer("features.20").dead
    assert (dead.channel, dead.reason) == (6, "scale")
    assert report.damage == ()
    assert "1 by the scale of features.21" in report.findings[0].sentence


def test_where_most_filters_of_a_layer_are_zero_they_are_dead_and_so_are_most_scales_of_zero() -> None:
    module = nn.Sequential(nn.Conv2d(3, 12, 3), nn.BatchNorm2d(12), nn.Conv2d(12, 12, 3), nn.BatchNorm2d(12))
    with torch.no_grad():
        module[0].weight[:7] = 0
        module[3].weight[:8] = 0
    first, second = inspect_filters(module).layers
    assert [each.channel for each in first.dead] == list(range(7))
    assert [(each.channel, each.reason) for each in second.dead] == [(number, "scale") for number in range(8)]


def test_the_first_class_of_a_single_logit_is_its_sign() -> None:
    module = Small().eval()
    module.head = nn.Linear(9, 1)
    x = torch.rand(6, 3, 12, 12)
    with torch.no_grad():
        gone = without(module, x, "second", 4)
        # Half way between the answers with and without, so that some of the signs change.
        module.head.bias -= (module(x) + gone).mean() / 2
        changed = int(((module(x) > 0) != (without(module, x, "second", 4) > 0)).sum())
    assert changed > 0
    (twin,) = inspect_filters(module, x).layer("second").twins
    assert twin.removal is not None
    assert twin.removal.changed == changed


class Divides(Small):
    """Without its second layer's filter 4 there is nothing to divide by."""

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.second(torch.relu(self.first(x))))
        return self.head((y / y[:, 4:5].amax((2, 3), keepdim=True)).mean((2, 3)))


def test_a_removal_that_leaves_no_finite_answer_is_not_called_small() -> None:
    module = Divides()
    with torch.no_grad():
        module.second.bias[4] = 1.0
    report = inspect_filters(module, torch.rand(3, 3, 12, 12))
    (twin,) = report.layer("second").twins
    assert twin.removal is not None
    assert twin.removal.largest == float("inf")
    assert "Removing one of them makes a logit NaN or infinite." in report.findings[1].sentence
    json.loads(dump_json(report.to_record()))


def test_where_the_answers_are_not_finite_nothing_is_removed_and_that_is_said() -> None:
    class Overflows(Small):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * float("inf")

    report = inspect_filters(Overflows(), torch.rand(3, 3, 12, 12))
    assert [each.removal for each in report.layer("second").twins] == [None]
    assert report.notes[0].startswith("removing was not measured: the values become NaN or infinite at site '/mul'")


def test_looking_at_a_spectral_norm_in_train_mode_takes_no_step_of_it() -> None:
    module = nn.Sequential(spectral_norm(nn.Conv2d(3, 12, 3)), spectral_norm(nn.Conv2d(12, 12, 3)), nn.ReLU()).train()
    before = copy.deepcopy(module.state_dict())
    assert len(inspect_filters(module).layers) == 2
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_a_filter_of_a_shared_weight_is_removed_wherever_it_is_used() -> None:
    class Shares(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.second, self.third = nn.Conv2d(3, 12, 3), nn.Conv2d(12, 12, 3), nn.Conv2d(12, 12, 3)
            self.third.weight = self.second.weight
            self.head = nn.Linear(12, 4)
            with torch.no_grad():
                self.second.weight[5] = self.second.weight[3]
                self.third.bias += 0.3

        def forward(self, x: Tensor, gone: int | None = None) -> Tensor:
            x = torch.relu(self.first(x))
            for part in (self.second, self.third):
                x = torch.relu(part(x))
                x[:, [] if gone is None else [gone]] = 0
            return self.head(x.mean((2, 3)))

    module, x = Shares().eval(), torch.rand(4, 3, 12, 12)
    report = inspect_filters(module, x)
    assert [layer.name for layer in report.layers] == ["first", "second", "head"]
    (twin,) = report.layer("second").twins
    assert twin.removal is not None
    with torch.no_grad():
        assert twin.removal.largest == pytest.approx(float((module(x, 5) - module(x)).abs().max()), rel=1e-4)


def test_weights_that_were_made_in_inference_mode_are_looked_at() -> None:
    with torch.inference_mode():
        module = Small()
    assert [len(layer.dead) for layer in inspect_filters(module, torch.rand(2, 3, 12, 12)).layers] == [1, 0, 0]


def test_layers_are_shared_by_their_parameter_and_not_by_the_place_of_a_weight_that_is_made_anew() -> None:
    made = torch.randn(12, 12, 3, 3)

    class Lands(nn.Module):
        """Where a weight that is made anew lies may be where the one before it lay."""

        def forward(self, weight: Tensor) -> Tensor:
            return made

    apart = nn.Sequential(nn.Conv2d(12, 12, 3), nn.Conv2d(12, 12, 3))
    for part in apart:
        register_parametrization(part, "weight", Lands())
    assert len(inspect_filters(apart).layers) == 2
    tied = nn.Sequential(nn.Conv2d(12, 12, 3), nn.Conv2d(12, 12, 3))
    tied[1].weight = tied[0].weight
    assert len(inspect_filters(tied).layers) == 1


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_no_generator_takes_is_refused_in_one_line(seed: int) -> None:
    with pytest.raises(SettingError, match=f"seed is {seed}, expected a whole number from 0 to 4294967295"):
        inspect_filters(Small(), seed=seed)


def test_no_more_filters_are_measured_than_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "MOST_MEASURED", 1)
    report = inspect_filters(Small(), torch.rand(3, 3, 12, 12))
    flagged = [each for layer in report.layers for each in (*layer.twins, *layer.dead, *layer.silent)]
    assert len(flagged) > 2
    assert f"left out for {len(flagged) - 1} (" in report.notes[0]
    # The dead one of the first layer is as telling as the duplicate of the second, and comes before it.
    assert [each for each in flagged if each.removal is not None] == [report.layer("first").dead[0]]


def test_grouped_and_transposed_convolutions_are_filters_by_output() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.ConvTranspose2d(8, 6, 3, groups=2))
    with torch.no_grad():
        net[1].weight[5] = net[1].weight[2]  # of different inputs, so they are no duplicates
        net[2].weight[4:, 1] = 0  # the second group's second output: 4
    report = inspect_filters(nn.Sequential(net, nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    assert [layer.shape for layer in report.layers] == [(8, 3, 3, 3), (8, 1, 3, 3), (6, 4, 3, 3)]
    assert report.layers[1].twins == ()
    assert [each.channel for each in report.layers[2].dead] == [4]


def test_the_report_is_json_and_speaks() -> None:
    report = inspect_filters("animals")
    record = json.loads(dump_json(report.to_record()))
    assert record["layers"][0]["shape"] == [8, 3, 3, 3]
    assert record["layers"][0]["norms"] == report.layers[0].norms.tolist()
    assert record["findings"] == []
    assert repr(report) == "<FilterReport of animals: 15 layers, 0 damage, 0 other, no pictures>"
    assert (
        repr(report.layers[0]) == "<LayerReport features.0 8×3×3×3, effective rank 7.8, 0 dead, 0 silent, 0 duplicate>"
    )
    assert "no pictures were given, so no effect was measured" in report.notes[0]
    with pytest.raises(SiteError, match=r"did you mean 'classifier\.5'"):
        report.layer("clasifier.5")


def test_a_model_that_takes_no_picture_is_looked_at_by_its_weights() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(7, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x)

    report = inspect_filters(Odd())
    assert [layer.name for layer in report.layers] == ["fc"]
    assert any("no pass could be made" in note for note in report.notes)


def test_a_model_without_filters_says_so() -> None:
    report = inspect_filters(nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    assert report.layers == ()
    assert any("nothing to look at" in note for note in report.notes)


def test_the_same_seed_gives_the_same_report(drawings: list[np.ndarray]) -> None:
    once, again = (inspect_filters("animals", drawings, seed=3).to_record() for _ in range(2))
    assert once == again


def test_lists_are_written_as_sentences_have_them() -> None:
    assert listed([1]) == "1"
    assert listed([1, 2, 3]) == "1, 2 and 3"
    assert listed(range(15)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 3 more"
