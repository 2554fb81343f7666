"""Summaries of a site's values, computed where they are made, so that no map has to be kept."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

BINS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """A summary of all values of a site, over batch, channels and positions.

    Attributes:
        mean: Arithmetic mean.
        std: Population standard deviation (divided by n).
        zeros: Share of values that are exactly 0, in 0 … 1.
        not_finite: How many values are NaN or infinite; mean and std are then over the finite ones.
        low: Least finite value; None unless asked for.
        high: Greatest finite value; None unless asked for.
        histogram: Counts in 64 bins of equal width from low to high; None unless asked for.
    """

    mean: float
    std: float
    zeros: float
    not_finite: int
    low: float | None = None
    high: float | None = None
    histogram: tuple[int, ...] | None = None


def summarise(values: Tensor, *, full: bool = False) -> Statistics:
    """Summarise a tensor; `full` adds least and greatest value and the histogram.

    The sums are a matrix-vector product with ones and norms of rows, which torch computes several times faster than its
    reductions; where they would cancel (a mean far larger than the spread) the exact two-pass formula is used.
    """
    values = values.detach()
    count = values.numel()
    if count == 0:
        return Statistics(mean=math.nan, std=math.nan, zeros=math.nan, not_finite=0)
    if values.dtype not in (torch.float32, torch.float64):
        values = values.float()
    flat = values.reshape(-1) if values.is_contiguous() else values.contiguous().reshape(-1)
    zeros = _zeros(flat) / count
    total = float(_sum(flat))
    square = float(_sum_of_squares(flat))
    not_finite = 0
    if not (math.isfinite(total) and math.isfinite(square)):
        finite = flat[torch.isfinite(flat)].double()
        not_finite = count - finite.numel()
        mean, std = (float(finite.mean()), float(finite.std(correction=0))) if finite.numel() else (math.nan, math.nan)
        flat = finite
    else:
        mean = total / count
        variance = square / count - mean * mean
        # Squares of very small values vanish in float32.
        if variance < 1e-3 * mean * mean or square < 1e-30:
            double = flat.double()
            mean, variance = float(double.mean()), float(double.var(correction=0))
        std = math.sqrt(max(variance, 0.0))
    if not full:
        return Statistics(mean=mean, std=std, zeros=zeros, not_finite=not_finite)
    if flat.numel() == 0:
        return Statistics(mean=mean, std=std, zeros=zeros, not_finite=not_finite)
    low, high = (float(v) for v in torch.aminmax(flat))
    if high > low:
        # histc rounds in the values' own type; double keeps values on a bin's edge where they belong.
        counts = torch.histc(flat.double().cpu(), bins=BINS, min=low, max=high)
        histogram = tuple(int(v) for v in counts)
    else:
        histogram = (flat.numel(),) + (0,) * (BINS - 1)
    return Statistics(mean=mean, std=std, zeros=zeros, not_finite=not_finite, low=low, high=high, histogram=histogram)


def _zeros(flat: Tensor) -> int:
    """How many values are 0; on the CPU NumPy counts truths many times faster than torch counts numbers."""
    if flat.device.type == "cpu":
        return int(np.count_nonzero((flat == 0).numpy()))
    return flat.numel() - int(torch.count_nonzero(flat))


# Rows of this length keep the running sums short, so that float32 is enough within a row; rows are added in double.
_ROW = 4096


def _sum(flat: Tensor) -> Tensor:
    whole = flat.numel() // _ROW * _ROW
    rows = torch.mv(flat[:whole].view(-1, _ROW), flat.new_ones(_ROW)).double().sum()
    return rows + flat[whole:].double().sum()


def _sum_of_squares(flat: Tensor) -> Tensor:
    # In one piece, the norm of 25 million values is wrong by a thousandth.
    whole = flat.numel() // _ROW * _ROW
    rows: Tensor = torch.linalg.vector_norm(flat[:whole].view(-1, _ROW), dim=1).double().square().sum()
    return rows + flat[whole:].double().square().sum()
