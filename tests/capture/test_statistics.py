"""Summaries equal those of float64 numpy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

from pellucid.capture.statistics import BINS, Statistics, summarise


def oracle(values: Tensor) -> dict[str, float]:
    flat = values.double().numpy().ravel()
    finite = flat[np.isfinite(flat)]
    return {
        "mean": finite.mean() if finite.size else math.nan,
        "std": finite.std() if finite.size else math.nan,
        "zeros": float((flat == 0).mean()) if flat.size else math.nan,
        "not_finite": flat.size - finite.size,
        "low": finite.min() if finite.size else None,
        "high": finite.max() if finite.size else None,
    }


def agrees(values: Tensor, *, relative: float = 1e-5) -> Statistics:
    ours, theirs = summarise(values, full=True), oracle(values)
    scale = max(abs(theirs["mean"]), theirs["std"]) if math.isfinite(theirs["mean"]) else 1.0
    assert ours.mean == pytest.approx(theirs["mean"], abs=relative * scale, nan_ok=True)
    assert ours.std == pytest.approx(theirs["std"], rel=100 * relative, abs=relative * relative * scale, nan_ok=True)
    for name in ("zeros", "not_finite", "low", "high"):
        assert getattr(ours, name) == pytest.approx(theirs[name], nan_ok=True), name
    basic = summarise(values)
    assert (basic.mean, basic.std, basic.zeros) == pytest.approx((ours.mean, ours.std, ours.zeros), nan_ok=True)
    assert basic.histogram is None
    return ours


CASES = {
    "normal": torch.randn(3, 5, 70, 71),
    "after a relu": torch.randn(2, 8, 30, 30).relu(),
    "constant": torch.full((4, 100), 0.1),
    "zero": torch.zeros(10),
    "huge mean, small spread": 1e4 + torch.randn(20_000) * 1e-1,
    "large mean": 300 + torch.randn(50_000),
    "tiny": torch.randn(5000) * 1e-25,
    "huge": torch.randn(5000) * 1e30,
    "one value": torch.tensor([3.5]),
    "a number": torch.tensor(-2.0),
    "not contiguous": torch.randn(40, 30, 20).permute(2, 0, 1)[:, ::2],
    "channels last": torch.randn(2, 3, 8, 9).to(memory_format=torch.channels_last),
    "double": torch.randn(5000, dtype=torch.float64) * 1e-9 + 1e-3,
    "with gradients": torch.randn(10, 10).requires_grad_().detach(),
    "bfloat16": torch.randn(3000).bfloat16(),
    "half": (torch.randn(3000) * 100).half(),
    "half whose sum overflows": torch.full((3000,), 60_000.0).half(),
    "more than a row": torch.randn(4096 * 3 + 17),
    "some not finite": torch.tensor([math.nan, 1.0, math.inf, 2.0, -math.inf, 0.0]),
    "none finite": torch.tensor([math.nan, math.inf]),
}


@pytest.mark.parametrize("name", CASES)
def test_summaries_equal_float64_numpy(name: str) -> None:
    agrees(CASES[name])


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.float32, st.integers(1, 60), elements=st.floats(width=32, allow_subnormal=False)))
def test_summaries_of_any_values_equal_float64_numpy(values: np.ndarray) -> None:
    agrees(torch.from_numpy(values.copy()), relative=1e-4)


def test_the_sums_of_millions_of_values_keep_six_digits() -> None:
    values = torch.randn(6_000_003).relu()
    theirs = oracle(values)
    ours = summarise(values)
    assert ours.mean == pytest.approx(theirs["mean"], rel=1e-6)
    assert ours.std == pytest.approx(theirs["std"], rel=1e-6)


def test_nothing_has_no_mean_and_no_share_of_zeros() -> None:
    empty = summarise(torch.zeros(0, 3), full=True)
    assert math.isnan(empty.mean)
    assert math.isnan(empty.zeros)
    assert (empty.not_finite, empty.histogram) == (0, None)


@pytest.mark.parametrize("name", ["normal", "after a relu", "half", "huge mean, small spread", "some not finite"])
def test_the_histogram_is_that_of_numpy(name: str) -> None:
    ours = summarise(CASES[name], full=True)
    flat = CASES[name].double().numpy().ravel()
    expected, _ = np.histogram(flat[np.isfinite(flat)], bins=BINS, range=(ours.low, ours.high))
    assert sum(ours.histogram) == expected.sum()
    # A value on the edge between two bins may be counted in either.
    assert np.abs(np.cumsum(ours.histogram) - np.cumsum(expected)).max() <= 1


def test_the_histogram_of_a_constant_has_all_in_one_bin() -> None:
    assert summarise(torch.full((7,), 2.5), full=True).histogram == (7, *[0] * (BINS - 1))
    assert summarise(torch.tensor([math.nan]), full=True).histogram is None
