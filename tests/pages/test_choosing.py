import numpy as np
import pytest
from tests.pages.conftest import model, picture, seed_network
from torch import nn

import pellucid
from pellucid.pages.choosing import channels_to_show, sites_to_show


def test_the_seed_network_shows_the_textbooks_sites_and_its_last_maps() -> None:
    trace = pellucid.trace(seed_network(), picture(), sites=())
    assert sites_to_show(trace.sites) == ["features.0", "features.20", "features.40", "features.50"]


def test_a_deep_network_shows_five_sites_from_the_first_convolution_to_the_last_maps() -> None:
    layers = [part for _ in range(12) for part in (nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())]
    deep = nn.Sequential(*layers, nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    trace = pellucid.trace(model(module=deep, class_names=None), picture(), sites=())
    chosen = sites_to_show(trace.sites)
    assert (chosen[0], chosen[-1], len(chosen)) == ("0", "35", 5)
    assert all(trace[name].kind == "activation" for name in chosen[1:-1])


def test_a_network_without_maps_shows_none() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 4)).eval()
    assert sites_to_show(pellucid.trace(model(module=flat), picture(), sites=()).sites) == []


def test_a_map_that_only_varies_at_its_border_is_not_chosen() -> None:
    rng = np.random.default_rng(0)
    maps = np.zeros((3, 16, 16), dtype=np.float32)
    maps[0, :, 0] = 1000  # what padding leaves behind
    maps[1, 4:12, 4:12] = rng.normal(size=(8, 8))
    maps[2, 4:12, 4:12] = 5 * rng.normal(size=(8, 8))
    assert channels_to_show("top:2", maps) == ((2, 1), "spread")


def test_a_map_with_nan_comes_last() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)
    maps[0, 4, 4] = np.nan
    assert channels_to_show("top:3", maps)[0][-1] == 0


@pytest.mark.parametrize("spec", ["0-2", (0, 1, 2)])
def test_named_channels_are_taken_as_they_are_named(spec: object) -> None:
    assert channels_to_show(spec, np.zeros((5, 4, 4))) == ((0, 1, 2), "named")  # type: ignore[arg-type]
