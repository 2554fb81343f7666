"""Rank agreement: the ranks are scipy's, grids are brought together by area, and what has no ranking says so."""

from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import SettingError
from pellucid.metrics.map_controls import map_controls
from pellucid.metrics.rank_agreement import PlacedMap, rank_agreement

SIDE = 12
WHOLE = (0.0, 0.0, float(SIDE), float(SIDE))


def placed(values: Any, *, name: str = "map", box: tuple[float, float, float, float] = WHOLE) -> PlacedMap:
    array = np.asarray(values, dtype=np.float64)
    return PlacedMap(name=name, values=array, box=box, signed=bool((array < 0).any()))


def pair(a: PlacedMap, b: PlacedMap, *, size: tuple[int, int] = (SIDE, SIDE)) -> tuple[float, float]:
    found = rank_agreement([a, b], size=size)
    assert found.absolute[0, 1] == found.absolute[1, 0] or np.isnan(found.absolute[0, 1])
    return float(found.absolute[0, 1]), float(found.signed[0, 1])


def noise(rows: int, columns: int, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_on_one_grid_it_is_the_spearman_correlation_of_scipy_also_with_ties(seed: int, levels: int) -> None:
    chance = np.random.default_rng(seed)
    a, b = (chance.integers(-levels, levels + 1, (4, 5)).astype(float) for _ in range(2))
    a[0, :2], b[0, :2] = (-1, 0), (0, -1)  # both signed, neither constant
    absolute, signed = pair(placed(a), placed(b))
    assert signed == pytest.approx(scipy.stats.spearmanr(a.ravel(), b.ravel()).statistic, abs=1e-12)
    one, other = np.abs(a).ravel(), np.abs(b).ravel()
    if len(set(one)) > 1 and len(set(other)) > 1:
        assert absolute == pytest.approx(scipy.stats.spearmanr(one, other).statistic, abs=1e-12)


def test_the_finer_map_is_averaged_over_the_cells_of_the_coarser_one() -> None:
    fine, coarse = noise(12, 12, seed=0), noise(4, 3, seed=1)
    absolute, signed = pair(placed(fine), placed(coarse))
    means = fine.reshape(4, 3, 3, 4).mean(axis=(1, 3))
    sizes = np.abs(fine).reshape(4, 3, 3, 4).mean(axis=(1, 3))
    assert signed == pytest.approx(scipy.stats.spearmanr(means.ravel(), coarse.ravel()).statistic)
    assert absolute == pytest.approx(scipy.stats.spearmanr(sizes.ravel(), np.abs(coarse).ravel()).statistic)


def test_cells_that_do_not_divide_each_other_share_values_by_area() -> None:
    fine, coarse = noise(5, 7, seed=2), noise(3, 2, seed=3)
    # The oracle: both enlarged to a grid that divides both, then averaged.
    large = np.kron(fine, np.ones((3, 2)))
    means = large.reshape(3, 5, 2, 7).mean(axis=(1, 3))
    expected = scipy.stats.spearmanr(means.ravel(), coarse.ravel()).statistic
    assert pair(placed(fine), placed(coarse))[1] == pytest.approx(expected)


def test_along_each_axis_the_coarser_grid_counts() -> None:
    tall, wide = placed(noise(12, 3, seed=4)), placed(noise(2, 12, seed=5))
    found = rank_agreement([tall, wide], size=(SIDE, SIDE))
    assert found.positions.tolist() == [[36, 6], [6, 24]]


def test_only_what_lies_in_both_maps_and_in_the_picture_is_compared() -> None:
    # Cells of 4 pixels from -2 on: of the first and of the last one exactly half lies in the picture.
    sticking_out = placed(noise(4, 4, seed=6), box=(-2.0, -2.0, 14.0, 14.0))
    shifted = placed(noise(4, 4, seed=7), box=(-3.0, -3.0, 13.0, 13.0))
    inner = placed(noise(6, 6, seed=8), box=(3.0, 3.0, 9.0, 9.0))
    whole = placed(noise(12, 12, seed=9))
    found = rank_agreement([sticking_out, shifted, inner, whole], size=(SIDE, SIDE))
    assert np.diag(found.positions).tolist() == [16, 9, 36, 144]
    assert found.positions[2, 3] == 36
    expected = scipy.stats.spearmanr(whole.values[3:9, 3:9].ravel(), inner.values.ravel()).statistic
    assert found.signed[2, 3] == pytest.approx(expected)


def test_neither_the_order_nor_the_unit_of_maps_matters() -> None:
    maps = [placed(noise(12, 12, seed=1)), placed(noise(5, 7, seed=2)), placed(np.abs(noise(3, 4, seed=3)))]
    found = rank_agreement(maps, size=(SIDE, SIDE))
    again = rank_agreement([placed(1e-9 * each.values) for each in maps[::-1]], size=(SIDE, SIDE))
    np.testing.assert_array_equal(found.absolute, again.absolute[::-1, ::-1])
    np.testing.assert_array_equal(found.signed, again.signed[::-1, ::-1])


def test_equal_values_stay_tied_when_averages_round() -> None:
    segments = np.kron([[0.1, 0.3], [0.7, -0.9]], np.ones((6, 6)))
    coarse = noise(4, 4, seed=3)
    expected = scipy.stats.spearmanr(segments[::3, ::3].ravel(), coarse.ravel()).statistic
    assert pair(placed(segments), placed(coarse))[1] == pytest.approx(expected, abs=1e-12)


def test_the_sign_is_compared_only_where_both_maps_have_one() -> None:
    mixed, above = noise(4, 4, seed=1), np.abs(noise(4, 4, seed=2))
    assert np.isnan(pair(placed(mixed), placed(above))[1])
    assert pair(placed(mixed), placed(-mixed)) == pytest.approx((1.0, -1.0))


def test_a_constant_map_and_one_that_is_not_finite_have_no_ranking_and_say_why() -> None:
    broken = noise(4, 4, seed=1)
    broken[0, :2] = np.nan, np.inf
    maps = [
        placed(np.full((4, 4), 0.3), name="flat"),
        placed(broken, name="broken"),
        placed(np.tile([[1.0, -1.0]], (4, 2)), name="flat without sign"),
        placed(noise(4, 4, seed=2), name="fine"),
    ]
    found = rank_agreement(maps, size=(SIDE, SIDE))
    record = found.to_record()
    assert record["absolute"][0] == record["signed"][1] == [None] * 4
    assert record["absolute"][2][3] is None
    assert record["signed"][2][3] == pytest.approx(found.signed[3, 2])
    assert {"maps": ["flat"], "reason": "no ranking: every value is the same"} in record["null_because"]
    reason = "not finite: 2 of 16 values are NaN or infinite"
    assert {"maps": ["broken"], "reason": reason} in record["null_because"]
    reason = "no ranking: every absolute value is the same on the common grid"
    assert {"maps": ["flat without sign", "fine"], "reason": reason} in record["null_because"]


def test_maps_that_hardly_meet_are_not_compared() -> None:
    corner = placed(noise(2, 2, seed=1), box=(0.0, 0.0, 4.0, 4.0))
    other = placed(noise(2, 2, seed=2), box=(8.0, 8.0, 12.0, 12.0))
    found = rank_agreement([corner, other], size=(SIDE, SIDE))
    assert found.positions[0, 1] == 0
    assert found.pair_refusals[0, 1] == "the maps have 0 positions in common, fewer than 3"


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(SettingError, match="maps is"):
        rank_agreement([], size=(SIDE, SIDE))
    with pytest.raises(SettingError, match="size is"):
        rank_agreement([placed(noise(2, 2, seed=0))], size=(0, 3))
    with pytest.raises(SettingError, match=r"values is 'shape \(4,\)'"):
        placed([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(SettingError, match="left < right"):
        placed([[1.0]], box=(3.0, 0.0, 1.0, 1.0))


def test_the_controls_are_the_middle_and_the_edges_of_the_picture() -> None:
    pixels = np.zeros((9, 15, 3), dtype=np.uint8)
    pixels[:, 8:] = 200
    centre, edges = map_controls(pixels)
    assert centre.values.shape == edges.values.shape == (9, 15)
    assert np.unravel_index(centre.values.argmax(), (9, 15)) == (4, 7)
    np.testing.assert_allclose(centre.values, centre.values[::-1, ::-1])
    assert (edges.values[:, [7, 8]] > 0).all()
    assert (np.delete(edges.values, [7, 8], axis=1) < 1e-9).all()
    assert not centre.signed
    assert not edges.signed
