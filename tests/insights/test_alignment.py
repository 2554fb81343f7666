from dataclasses import replace

import pytest
import torch
from torch import nn

import pellucid
from pellucid.capture.sites import Site
from pellucid.insights.alignment import Alignment, align


def sites(module: nn.Module, side: int = 16) -> tuple[Site, ...]:
    return pellucid.trace(module.eval(), torch.rand(1, 3, side, side), keep="statistics").sites


def names(found: Alignment) -> list[tuple[str, str, str]]:
    return [(pair.first.name, pair.second.name, pair.by) for pair in found.pairs]


def block(*widths: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for before, after in zip((3, *widths), widths, strict=False):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    return layers


def test_one_model_is_aligned_by_its_names() -> None:
    found = sites(nn.Sequential(*block(4, 8)))
    assert names(align(found, found, same_model=True)) == [(s.name, s.name, "name") for s in found]


def test_pictures_of_two_sizes_leave_maps_alone_but_not_what_follows_the_mean() -> None:
    net = nn.Sequential(*block(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    found = align(sites(net, 16), sites(net, 24), same_model=True)
    assert [pair.first.name for pair in found.pairs] == ["2", "3", "4"]
    assert [site.name for site in found.first_alone] == ["0", "1"]
    assert [site.name for site in found.second_alone] == ["0", "1"]


def test_two_models_are_aligned_by_name_and_then_by_order_among_equal_shapes_of_one_kind() -> None:
    first = nn.Sequential(*block(4, 8, 8))
    second = nn.Sequential(nn.Identity(), *block(4, 8))
    found = align(sites(first), sites(second), same_model=False)
    assert names(found) == [("0", "1", "order"), ("1", "2", "order"), ("2", "3", "order"), ("3", "4", "order")]
    assert [site.name for site in found.first_alone] == ["4", "5"]
    assert [site.name for site in found.second_alone] == ["0"]


def test_a_common_name_with_another_shape_is_no_partner() -> None:
    found = align(sites(nn.Sequential(*block(4))), sites(nn.Sequential(*block(5))), same_model=False)
    assert found.pairs == ()
    assert (len(found.first_alone), len(found.second_alone)) == (2, 2)


@pytest.mark.parametrize("same_model", [True, False])
def test_every_site_is_in_one_place_exactly(same_model: bool) -> None:
    first, second = sites(nn.Sequential(*block(4, 8, 8))), sites(nn.Sequential(*block(4, 4, 8, 8)))
    found = align(first, second, same_model=same_model)
    assert sorted([p.first.index for p in found.pairs] + [s.index for s in found.first_alone]) == list(range(6))
    assert sorted([p.second.index for p in found.pairs] + [s.index for s in found.second_alone]) == list(range(8))
    assert all(pair.first.shape == pair.second.shape for pair in found.pairs)


def test_sites_of_one_model_are_never_paired_by_order() -> None:
    found = sites(nn.Sequential(*block(4)))
    renamed = [replace(site, name=f"{site.name}#2") for site in found]
    assert align(found, renamed, same_model=True).pairs == ()
    assert len(align(found, renamed, same_model=False).pairs) == 2
