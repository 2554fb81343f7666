"""RISE: the sum of the paper's equation 6 written out, the masks, and a linear model in the limit."""

import numpy as np
import pytest
import torch
from tests.methods.nets import net, pictures
from torch import Tensor, nn

import pellucid
from pellucid.errors import MethodError, SettingError
from pellucid.methods.baselines import blurred
from pellucid.methods.rise import Rise, mask_of


def masks_of(method: Rise, height: int, width: int, seed: int = 0) -> Tensor:
    grids, shifts = method._drawn(torch.Generator().manual_seed(seed), height, width)
    return torch.stack([mask_of(grid, shift, height, width) for grid, shift in zip(grids, shifts, strict=True)])


@pytest.mark.parametrize("baseline", ["zero", "blur:2"])
def test_equals_the_papers_sum(baseline: str) -> None:
    module, x = net("batch norm").double(), pictures().double()
    method = Rise(masks=40, cells=3, probability=0.3, baseline=baseline)
    made = pellucid.explain(module, x, method=method, target="class:1")
    masks, cover = masks_of(method, 12, 12).double(), x * 0 if baseline == "zero" else blurred(x, 2.0)
    with torch.no_grad():
        scores = module(masks[:, None] * x + (1 - masks[:, None]) * cover)[:, 1]
    terms = scores[:, None, None] * masks / 0.3
    papers = made.part("not centred")
    np.testing.assert_allclose(papers.values, terms.mean(0), atol=1e-10)
    np.testing.assert_allclose(papers.standard_error, terms.std(0) / 40**0.5, atol=1e-8)
    np.testing.assert_allclose(made.values, ((scores - scores.mean())[:, None, None] * masks / 0.3).mean(0), atol=1e-10)
    assert made.checks["mean score under the masks"] == pytest.approx(float(scores.mean()))


@pytest.mark.parametrize(("height", "width", "cells"), [(12, 12, 3), (13, 17, 5), (9, 30, 7)])
def test_masks_are_shown_as_often_as_asked_for_everywhere_and_lie_between_0_and_1(
    height: int, width: int, cells: int
) -> None:
    masks = masks_of(Rise(masks=4000, cells=cells, probability=0.4), height, width)
    assert masks.shape == (4000, height, width)
    assert float(masks.min()) >= 0
    assert float(masks.max()) <= 1
    assert float((masks.mean(0) - 0.4).abs().max()) < 0.04
    # Neighbours differ by less than a cell's share of the step from 0 to 1: they are smooth.
    assert float(masks.diff(dim=1).abs().max()) <= 1 / -(-height // cells) + 1e-6


def test_only_what_the_model_sees_gets_values_above_the_mean_score() -> None:
    class Corner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x[:, :, :4, :4].mean((1, 2, 3)), x.mean((1, 2, 3)) * 0], dim=1)

    made = pellucid.explain(Corner(), torch.ones(1, 3, 12, 12), method="rise(masks=2000, cells=4)", target="class:0")
    part = made.part("pixels")
    assert part.standard_error is not None
    assert part.values[:4, :4].min() > 5 * part.standard_error[:4, :4].max()
    assert (np.abs(part.values[8:, 8:]) < 4.5 * part.standard_error[8:, 8:]).all()


def test_settings_that_make_no_sense_and_inputs_that_are_no_pictures_are_refused() -> None:
    for setting in ({"masks": 1}, {"cells": 0}, {"probability": 0.0}, {"probability": 1.0}, {"baseline": "grey"}):
        with pytest.raises(SettingError):
            Rise(**setting)  # type: ignore[arg-type]
    with pytest.raises(MethodError, match=r"^rise covers parts of pictures, and the input has shape 8; use saliency"):
        pellucid.explain(nn.Linear(8, 2), torch.randn(1, 8), method="rise")
