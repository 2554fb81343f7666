"""Norms, spectra, ranks, dead and duplicate filters, against plain numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.insights import kernels
from pellucid.insights.kernels import Pair, comparable, dead_of, grouped, norms_of, pairs_of, spectrum_of

NONE = np.array([], dtype=int)


def rows(count: int, length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, length))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 99))
def test_singular_values_and_ranks_are_those_of_the_decomposition(count: int, length: int, seed: int) -> None:
    flat = rows(count, length, seed)
    found = spectrum_of(flat, seed=0)
    values = np.linalg.svd(flat, compute_uv=False)
    np.testing.assert_allclose(found.values, values, atol=1e-6 * values[0])
    share = values / values.sum()
    assert found.effective_rank == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-4)
    assert found.stable_rank == pytest.approx(np.linalg.norm(flat) ** 2 / np.linalg.norm(flat, 2) ** 2)


def test_ranks_of_equal_and_of_single_directions_are_their_number() -> None:
    assert spectrum_of(3 * np.eye(7, 12), seed=0).effective_rank == pytest.approx(7)
    assert spectrum_of(3 * np.eye(7, 12), seed=0).stable_rank == pytest.approx(7)
    one = spectrum_of(np.outer(np.arange(1, 6), np.arange(1, 9)), seed=0)
    assert one.effective_rank == pytest.approx(1, abs=1e-5)
    assert one.stable_rank == pytest.approx(1)


def test_a_layer_without_weights_has_rank_0() -> None:
    assert spectrum_of(np.zeros((4, 9)), seed=0).effective_rank == 0
    assert spectrum_of(np.zeros((4, 9)), seed=0).stable_rank == 0


def test_of_a_very_large_layer_rows_are_drawn_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "MOST_ROWS", 20)
    flat = rows(30, 50)
    found = spectrum_of(flat, seed=3)
    assert found.of == (20, 50)
    assert np.array_equal(found.values, spectrum_of(flat, seed=3).values)
    assert not np.array_equal(found.values, spectrum_of(flat, seed=4).values)
    assert spectrum_of(rows(30, 10), seed=3).of == (30, 10)


def test_a_filter_far_below_the_median_is_dead_and_one_at_a_hundredth_is_not() -> None:
    flat = rows(9, 30)
    flat[4] *= 1e-4
    flat[7] *= 1e-2
    flat[8] = 0
    assert dead_of(norms_of(flat)).tolist() == [4, 8]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.sampled_from([1, 2, 4]), st.integers(1, 3000))
def test_pairs_are_those_of_all_cosines(seed: int, groups: int, block: int) -> None:
    flat = rows(16, 12, seed)
    chance = np.random.default_rng(seed)
    for channel, twin, sign in ((5, 4, 2.0), (7, 4, -0.3), (15, 2, 1.0)):
        flat[channel] = sign * flat[twin] + 1e-3 * chance.normal(size=12)
    directions = flat / np.linalg.norm(flat, axis=1)[:, None]
    cosines = np.abs(directions @ directions.T)
    same = [
        channel
        for channel in range(16)
        if any(
            cosines[channel, twin] >= 0.99 for twin in range(channel) if twin * groups // 16 == channel * groups // 16
        )
    ]
    before, kernels._BLOCK = kernels._BLOCK, block
    try:
        found = pairs_of(flat, groups=groups, leave_out=NONE)
    finally:
        kernels._BLOCK = before
    assert [pair.channel for pair in found] == same
    assert all(cosines[pair.channel, pair.twin] == pytest.approx(abs(pair.cosine)) for pair in found)


def test_a_negative_has_a_negative_cosine_and_dead_filters_have_no_twin() -> None:
    flat = rows(6, 20)
    flat[3] = -2 * flat[1]
    flat[4] = flat[5] = 0
    (pair,) = pairs_of(flat, groups=1, leave_out=np.array([4, 5]))
    assert (pair.channel, pair.twin) == (3, 1)
    assert pair.cosine == pytest.approx(-1)
    assert pairs_of(flat, groups=1, leave_out=np.array([1, 4, 5])) == ()


def test_short_filters_are_not_compared_where_chance_makes_twins() -> None:
    chance = np.random.default_rng(0)
    for count, length in ((64, 3), (64, 9), (16, 4), (500, 6)):
        draws = 20
        pairs = 0
        for _ in range(draws):
            flat = chance.normal(size=(count, length))
            directions = flat / np.linalg.norm(flat, axis=1)[:, None]
            pairs += int((np.abs(np.tril(directions @ directions.T, -1)) >= 0.99).sum())
        if comparable(count, length):
            assert pairs == 0
    assert comparable(64, 27)
    assert not comparable(64, 3)
    assert pairs_of(np.ones((64, 3)), groups=1, leave_out=NONE) == ()


def test_groups_join_what_is_joined_by_a_third() -> None:
    pairs = tuple(Pair(channel=a, twin=b, cosine=1.0) for a, b in ((5, 2), (9, 5), (8, 7)))
    assert grouped(pairs) == ((2, 5, 9), (7, 8))
    assert grouped(()) == ()
