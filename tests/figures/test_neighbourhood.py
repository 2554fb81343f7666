"""Neighbourhoods: nearest first, always connected, exact counts, and work that does not grow with the graph."""

import time
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import SettingError
from pellucid.figures.neighbourhood import index_arcs, neighbourhood


def distances(arcs: np.ndarray, n: int, centre: int) -> dict[int, int]:
    """Breadth first, by hand, against the arcs."""
    found, queue = {centre: 0}, deque([centre])
    while queue:
        node = queue.popleft()
        for sender in arcs[0, arcs[1] == node].tolist():
            if sender not in found:
                found[sender] = found[node] + 1
                queue.append(sender)
    return found


@given(st.integers(1, 25), st.integers(0, 80), st.integers(0, 4), st.integers(1, 12), st.integers(0, 99))
@settings(deadline=None, max_examples=80)
def test_it_keeps_the_nearest_and_counts_all(n: int, m: int, hops: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arcs = rng.integers(0, n, size=(2, m))
    values = rng.normal(size=n)
    cut = neighbourhood(index_arcs(arcs, num_nodes=n), centre=0, hops=hops, max_nodes=most, values=values)
    far = {node: d for node, d in distances(arcs, n, 0).items() if d <= hops}
    ranked = sorted(far, key=lambda node: (far[node], -abs(values[node]), node))
    assert cut.nodes.tolist() == ranked[:most]
    assert cut.hops.tolist() == [far[node] for node in ranked[:most]]
    assert sum(cut.found) == len(far)
    assert sum(cut.shown) == min(most, len(far))
    kept = set(cut.nodes.tolist())
    inside = [k for k in range(m) if arcs[0, k] in kept and arcs[1, k] in kept]
    assert cut.arcs.tolist() == inside
    assert np.array_equal(cut.nodes[cut.edges].reshape(-1, 2), arcs.T[inside])
    assert distances(cut.edges.T, len(cut.nodes), 0).keys() == set(range(len(cut.nodes)))


def test_without_values_nodes_with_more_neighbours_come_first_and_ties_go_by_number() -> None:
    arcs = np.array([[1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 3, 3]])
    cut = neighbourhood(index_arcs(arcs, num_nodes=7), centre=0, hops=2, max_nodes=4)
    assert cut.nodes.tolist() == [0, 3, 1, 2]
    assert cut.found == (1, 4, 2)
    assert cut.shown == (1, 3, 0)
    assert not cut.complete
    assert cut.said() == "3 of 6 neighbours shown"
    assert cut.said(pattern="이웃 {found}개 중 {shown}개") == "이웃 6개 중 3개"
    assert repr(cut) == "Neighbourhood(of 0, 2 hops, 3 of 6 neighbours shown)"


def test_values_that_are_not_finite_rank_last() -> None:
    arcs = np.array([[1, 2, 3], [0, 0, 0]])
    values = [0.0, np.nan, 0.0, -1.0]
    cut = neighbourhood(index_arcs(arcs, num_nodes=4), centre=0, hops=1, max_nodes=3, values=values)
    assert cut.nodes.tolist() == [0, 3, 2]


def test_a_node_without_neighbours_is_its_own_neighbourhood() -> None:
    cut = neighbourhood(index_arcs(np.zeros((2, 0)), num_nodes=3), centre=1)
    assert (cut.nodes.tolist(), cut.edges.shape, cut.said()) == ([1], (0, 2), "0 of 0 neighbours shown")
    assert cut.complete


def test_the_work_grows_with_the_neighbourhood_and_not_with_the_graph() -> None:
    n = 400_000
    ring = np.arange(n)
    index = index_arcs(np.stack([np.append(ring, (ring + 1) % n), np.append((ring + 1) % n, ring)]), num_nodes=n)
    start = time.perf_counter()
    for centre in range(100):
        assert len(neighbourhood(index, centre=centre, hops=3).nodes) == 7
    assert time.perf_counter() - start < 1.0


def test_settings_that_make_no_sense_are_refused_in_one_line() -> None:
    index = index_arcs(np.array([[0], [1]]), num_nodes=2)
    for wrong, line in (
        ({"centre": 2}, "centre is 2, expected a node, 0 to 1."),
        ({"centre": 0, "hops": -1}, "hops is -1, expected 0 or more."),
        ({"centre": 0, "max_nodes": 0}, "max_nodes is 0, expected 1 or more."),
        ({"centre": 0, "values": [1.0]}, "values is (1,), expected one for each of 2 nodes."),
    ):
        with pytest.raises(SettingError) as caught:
            neighbourhood(index, **wrong)  # type: ignore[arg-type]
        assert str(caught.value) == line
    with pytest.raises(SettingError, match="arcs is 'ends 0 to 9', expected nodes 0 to 1"):
        index_arcs(np.array([[0], [9]]), num_nodes=2)
    with pytest.raises(SettingError, match=r"whole numbers of shape \(2, arcs\)"):
        index_arcs(np.zeros((3, 3)), num_nodes=2)
