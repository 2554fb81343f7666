"""How sure a measured number is: 95 % intervals of medians, means and shares."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_RESAMPLES = 2000
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A measured number with its 95 % interval.

    Attributes:
        value: The estimate.
        low: The interval's lower end.
        high: The interval's upper end.
        count: How many pictures it comes from.
    """

    value: float
    low: float
    high: float
    count: int

    def to_record(self) -> dict[str, Any]:
        """As JSON types."""
        return {"value": self.value, "low": self.low, "high": self.high, "count": self.count}


def median_of(values: Sequence[float] | np.ndarray, *, seed: int) -> Estimate:
    """The median and its percentile bootstrap interval over pictures."""
    return _bootstrapped(np.asarray(values, dtype=np.float64), np.median, seed)


def mean_of(values: Sequence[float] | np.ndarray, *, seed: int) -> Estimate:
    """The mean and its percentile bootstrap interval over pictures."""
    return _bootstrapped(np.asarray(values, dtype=np.float64), np.mean, seed)


def share_of(hits: float, count: int) -> Estimate:
    """A share of pictures with Wilson's score interval.

    Args:
        hits: How many; a picture that is hit in part counts as that part, which makes the interval no narrower.
        count: How many pictures there are.

    Reference:
        Wilson, Probable Inference, the Law of Succession, and Statistical Inference, JASA 1927.
    """
    share, spread = hits / count, _Z * _Z / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    # Rounding must not push an end past the estimate where all or none are hits.
    return Estimate(value=share, low=min(share, max(0.0, middle - half)), high=max(share, middle + half), count=count)


def r_squared(missed: np.ndarray, whole: np.ndarray, *, seed: int) -> Estimate:
    """1 − Σ missed / Σ whole, and its percentile bootstrap interval over the rows.

    Args:
        missed: (rows,): the squared error of each row.
        whole: (rows,): its squared distance from the mean; not 0 in all rows.
        seed: For the resampling.
    """
    random, count = np.random.default_rng(seed), len(missed)
    resampled = np.zeros(_RESAMPLES)
    for number in range(_RESAMPLES):  # one by one: all draws of a large graph at once would take gigabytes
        draw = random.integers(0, count, count)
        total = float(whole[draw].sum())
        resampled[number] = 1 - float(missed[draw].sum()) / total if total > 0 else np.nan
    low, high = np.nanquantile(resampled, (0.025, 0.975))
    value = 1 - float(missed.sum()) / float(whole.sum())
    return Estimate(value=value, low=float(low), high=float(high), count=count)


def _bootstrapped(values: np.ndarray, statistic: Any, seed: int) -> Estimate:
    draws = np.random.default_rng(seed).integers(0, len(values), (_RESAMPLES, len(values)))
    resampled = statistic(values[draws], axis=1)
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Estimate(value=float(statistic(values)), low=float(low), high=float(high), count=len(values))
