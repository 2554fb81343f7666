"""Extremal perturbation: the slope through the mask, the projection, and models whose best mask is known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.methods.nets import net, pictures
from torch import Tensor, nn

import pellucid
from pellucid.errors import MethodError, SettingError
from pellucid.methods.baselines import blurred
from pellucid.methods.extremal import ExtremalPerturbation, bumps, projected


@given(seed=st.integers(0, 999), area=st.floats(0.01, 0.99))
@settings(deadline=None, max_examples=30)
def test_the_projection_is_the_nearest_mask_of_the_area(seed: int, area: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    cells = torch.randn(2, 4, 5, generator=rng, dtype=torch.float64)
    share = torch.rand(2, 4, 5, generator=rng, dtype=torch.float64) + 0.1
    share = share / share.sum((1, 2), keepdim=True)
    found = projected(cells, share, area)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    np.testing.assert_allclose((found * share).sum((1, 2)), area, atol=1e-9)
    # No other mask of that area is nearer (the variational inequality of a projection onto a convex set).
    for _ in range(20):
        other = projected(torch.randn(2, 4, 5, generator=rng, dtype=torch.float64), share, area)
        assert bool((((cells - found) * (other - found)).sum((1, 2)) <= 1e-7).all())


def test_one_step_climbs_the_slope_through_the_mask() -> None:
    module, x = net("batch norm").double(), pictures().double()
    made = pellucid.explain(
        module, x, method="extremal-perturbation(steps=1, cells=4, area=0.4, baseline=zero)", target="class:1"
    )
    side = bumps(12, 4)
    cells = torch.full((1, 4, 4), 0.4, dtype=torch.float64, requires_grad=True)
    score = module(side @ cells @ side.T * x)[0, 1]
    [slope] = torch.autograd.grad(score, cells)
    share = (side.mean(0)[:, None] * side.mean(0))[None]
    step = 0.1 * 0.1 * slope / slope.square().mean().sqrt()
    expected = side @ projected(cells.detach() + step, share, 0.4) @ side.T
    np.testing.assert_allclose(made.values, expected[0], atol=1e-10)


def test_the_mask_finds_the_square_that_a_model_looks_at() -> None:
    class Square(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            inside = x[:, :, 3:9, 6:12].mean((1, 2, 3))
            return torch.stack([inside, -inside], dim=1)

    made = pellucid.explain(
        Square(), torch.ones(1, 3, 12, 12), method="extremal-perturbation(area=0.25, cells=12, baseline=zero)"
    )
    inside = np.zeros((12, 12), dtype=bool)
    inside[3:9, 6:12] = True
    assert made.values[inside].mean() > 0.85
    assert made.values[~inside].mean() < 0.05
    assert made.checks["area"] == pytest.approx(0.25, abs=1e-5)
    assert made.checks["score under the mask"] > 0.85
    assert made.checks["score of the baseline"] == 0


def test_the_mask_keeps_more_of_the_score_than_random_masks_of_its_area() -> None:
    module, x = net("residual").double(), pictures().double()
    method = ExtremalPerturbation(area=0.3, cells=6, baseline="blur:3")
    made = pellucid.explain(module, x, method=method, target="class:1")
    side, cover = bumps(12, 6), blurred(x, 3.0)
    share = (side.mean(0)[:, None] * side.mean(0)).expand(200, -1, -1)
    cells = torch.randn(share.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    masks = (side @ projected(cells * 3, share, 0.3) @ side.T)[:, None]
    with torch.no_grad():
        others = module(cover + masks * (x - cover))[:, 1]
        kept = module(cover + torch.from_numpy(made.values.copy()) * (x - cover))[0, 1]
    assert made.checks["score under the mask"] == pytest.approx(float(kept))
    assert float(kept) > float(others.max())


def test_the_scale_of_the_score_does_not_matter() -> None:
    x = pictures().double()
    small, large = net("residual").double(), net("residual").double()
    large.last.weight.data *= 1000  # type: ignore[union-attr, operator]
    large.last.bias.data *= 1000  # type: ignore[union-attr, operator]
    one, other = (
        pellucid.explain(each, x, method="extremal-perturbation(steps=20, cells=4)").values for each in (small, large)
    )
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_without_any_slope_all_is_0_and_that_is_said() -> None:
    made = pellucid.explain(net("residual"), torch.zeros(1, 3, 12, 12), method="extremal-perturbation(steps=2)")
    assert not made.values.any()
    assert any("no mask is better than another" in note for note in made.notes)


def test_settings_that_make_no_sense_and_inputs_that_are_no_pictures_are_refused() -> None:
    for setting in ({"area": 0.0}, {"area": 1.0}, {"steps": 0}, {"cells": 1}, {"rate": 2.0}, {"baseline": "grey"}):
        with pytest.raises(SettingError):
            ExtremalPerturbation(**setting)  # type: ignore[arg-type]
    with pytest.raises(MethodError, match=r"^extremal-perturbation covers parts of pictures, and the input has shape"):
        pellucid.explain(nn.Linear(8, 2), torch.randn(1, 8), method="extremal-perturbation")
