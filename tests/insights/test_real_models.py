"""Filters of real networks with real photographs: damage is named, and what is sound gets no alarm."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from pellucid.insights.filter_report import FilterReport
from pellucid.insights.filters import inspect_filters
from real_models import loaded, photographs

SMALL = ("resnet20_cifar10",)
ALL = ("squeezenet1_0", "mobilenet_v2", *SMALL)


class Real:
    """A network of the shared data, loaded anew at each call, and eight photographs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def model(self, name: str) -> pellucid.Model:
        return loaded(name, self.folder)

    def photographs(self, name: str) -> list[Path]:
        return photographs(name, self.folder, count=8)[0]


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Real:
    return Real(shared_data)


def exchange(first: nn.Module, second: nn.Module) -> None:
    """Two BatchNorm layers change their statistics."""
    for field in ("running_mean", "running_var"):
        one, other = getattr(first, field), getattr(second, field)
        kept = one.clone()
        one.copy_(other)
        other.copy_(kept)


def kinds(report: FilterReport) -> list[tuple[str, tuple[str, ...]]]:
    return [(finding.kind, finding.sites) for finding in report.damage]


@pytest.mark.parametrize("name", ALL)
def test_a_sound_network_gets_no_alarm(name: str, real: Real) -> None:
    report = inspect_filters(real.model(name), real.photographs(name))
    assert report.damage == ()
    assert report.pictures == 8
    # Nearly everything is well within the limits, not just inside.
    assert all(check.mean_gap < 0.6 and check.variance_gap < 1.4 for check in report.norms)


def test_what_training_itself_has_killed_or_doubled_is_told_as_a_fact(real: Real) -> None:
    model = real.model("squeezenet1_0")
    report = inspect_filters(model)
    layer = report.layer("features.9.expand1x1")
    flat = dict(model.module.named_modules())[layer.name].weight.detach().flatten(1).double().numpy()
    norms = np.linalg.norm(flat, axis=1)
    assert [each.channel for each in layer.dead] == np.flatnonzero(norms < 1e-3 * np.median(norms)).tolist() == [19]
    alive = np.delete(np.arange(len(flat)), 19)
    directions = flat[alive] / norms[alive, None]
    same = np.tril(np.abs(directions @ directions.T) >= 0.99, -1).any(axis=1)
    assert [twin.pair.channel for twin in layer.twins] == alive[same].tolist()
    assert {finding.kind for finding in report.findings} == {"dead", "duplicate"}


def test_pictures_that_are_prepared_in_another_way_are_a_named_reason_and_no_swap(real: Real) -> None:
    model = real.model("resnet20_cifar10")
    bright = replace(model, preprocessing=replace(model.preprocessing, mean=(0, 0, 0), std=(1 / 255,) * 3))
    (finding,) = inspect_filters(bright, real.photographs("resnet20_cifar10")).damage
    assert (finding.kind, finding.sites) == ("foreign-statistics", ("bn1",))
    assert "or prepared in another way" in finding.sentence


def test_swapped_statistics_are_no_memory_of_a_filter_that_was_alive(real: Real) -> None:
    model = real.model("mobilenet_v2")
    parts = dict(model.module.named_modules())
    # features.12.conv.0.0 has a filter that training has killed.
    pair = ("features.12.conv.0.1", "features.12.conv.1.1")
    exchange(parts[pair[0]], parts[pair[1]])
    assert kinds(inspect_filters(model, real.photographs("mobilenet_v2"))) == [("swapped-statistics", pair)]


@pytest.mark.parametrize("name", SMALL)
def test_five_copied_and_five_killed_filters_are_named(name: str, real: Real) -> None:
    model = real.model(name)
    parts = dict(model.module.named_modules())
    copied = {f"layer{stage}.{block}.conv1": (1, 3) for stage, block in ((1, 1), (2, 0), (2, 2), (3, 0), (3, 2))}
    killed = {f"layer{stage}.{block}.conv2": 9 for stage, block in ((1, 0), (1, 2), (2, 1), (3, 1), (3, 2))}
    with torch.no_grad():
        for layer, (one, other) in copied.items():
            parts[layer].weight[one] = parts[layer].weight[other]
        for layer, channel in killed.items():
            parts[layer].weight[channel] = 0
    report = inspect_filters(model, real.photographs(name))
    found = {(each.kind, each.sites[0], each.channels) for each in report.damage}
    assert found == {
        *(("duplicate", layer, pair) for layer, pair in copied.items()),
        *(("dead", layer, (channel,)) for layer, channel in killed.items()),
    }
    for layer in copied:
        (twin,) = (each for each in report.layer(layer).twins if each.exact)
        assert twin.removal is not None
        assert twin.replacement is not None
        assert twin.replacement.largest < 1e-3


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet20_cifar10", "layer2.1.conv2"),
        ("squeezenet1_0", "features.7.expand3x3"),
    ],
)
def test_a_layer_that_was_initialised_anew_is_named(name: str, layer: str, real: Real) -> None:
    model = real.model(name)
    torch.manual_seed(0)
    dict(model.module.named_modules())[layer].reset_parameters()
    assert kinds(inspect_filters(model, real.photographs(name))) == [("re-initialised", (layer,))]


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("resnet20_cifar10", ("layer1.0.bn2", "layer1.2.bn2")),
    ],
)
def test_swapped_statistics_are_named(name: str, pair: tuple[str, str], real: Real) -> None:
    model = real.model(name)
    parts: dict[str, nn.Module] = dict(model.module.named_modules())
    exchange(parts[pair[0]], parts[pair[1]])
    assert kinds(inspect_filters(model, real.photographs(name))) == [("swapped-statistics", pair)]
