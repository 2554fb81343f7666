"""Intervals against their formulas, and against how often they should hold."""

import numpy as np
import pytest

from pellucid.intervals import mean_of, median_of, share_of


def test_wilsons_interval_equals_the_published_example() -> None:
    # Newcombe 1998, table I: 81 of 263, score method without continuity correction.
    found = share_of(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize("hits", [0, 10])
def test_an_interval_holds_its_estimate_where_all_or_none_are_hits(hits: int) -> None:
    found = share_of(hits, 10)
    assert found.low <= found.value <= found.high
    assert found.high - found.low > 0.2


def test_the_bootstrap_interval_of_a_mean_is_near_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(2, 3, 400)
    found = mean_of(values, seed=1)
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == (
        pytest.approx(values.mean() - half, abs=0.05),
        pytest.approx(values.mean() + half, abs=0.05),
    )


def test_a_median_lies_in_its_interval() -> None:
    found = median_of([1.0, 2.0, 3.0, 4.0, 100.0], seed=0)
    assert (found.value, found.count) == (3.0, 5)
    assert found.low <= 3.0 <= found.high
