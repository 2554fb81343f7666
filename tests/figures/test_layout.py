"""Layouts: the same graph has the same positions, parts do not overlap, and distances on paper follow the graph."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from pellucid.errors import SettingError
from pellucid.figures.layout import layout


def edges_of(graph: nx.Graph) -> np.ndarray:
    return np.array(nx.convert_node_labels_to_integers(graph).edges, dtype=np.int64).reshape(-1, 2)


KARATE = edges_of(nx.karate_club_graph())


def test_the_same_graph_has_the_same_positions_to_the_bit_however_its_edges_are_written() -> None:
    first = layout(KARATE, num_nodes=34)
    shuffled = np.random.default_rng(0).permutation(KARATE)[:, ::-1]
    again = layout(np.concatenate([shuffled, shuffled[:3], [[4, 4]]]), num_nodes=34)
    assert first.tobytes() == again.tobytes()


@given(st.integers(1, 40), st.integers(0, 60), st.integers(0, 5))
@settings(deadline=None, max_examples=30)
def test_every_graph_gets_finite_positions_in_the_unit_box_and_no_two_nodes_share_one(
    n: int, m: int, seed: int
) -> None:
    edges = np.random.default_rng(seed).integers(0, n, size=(m, 2))
    places = layout(edges, num_nodes=n)
    assert places.shape == (n, 2)
    assert np.isfinite(places).all()
    assert places.min() >= 0
    assert places.max() <= 1
    assert n == 1 or (places.max() == 1 and pdist(places).min() > 0.005)


def test_distances_on_paper_follow_distances_in_the_graph() -> None:
    for graph in (nx.path_graph(20), nx.grid_2d_graph(6, 6), nx.balanced_tree(2, 4), nx.karate_club_graph()):
        edges = edges_of(graph)
        on_paper = squareform(pdist(layout(edges, num_nodes=len(graph))))
        apart = np.asarray(nx.floyd_warshall_numpy(nx.convert_node_labels_to_integers(graph), weight=None))
        upper = np.triu_indices(len(graph), 1)
        assert np.corrcoef(on_paper[upper], apart[upper])[0, 1] > 0.85


def test_a_path_is_straight_and_a_cycle_is_round() -> None:
    path = layout(edges_of(nx.path_graph(9)), num_nodes=9)
    assert np.ptp(path[:, 1]) < 0.02
    cycle = layout(edges_of(nx.cycle_graph(12)), num_nodes=12)
    radii = np.hypot(*(cycle - cycle.mean(axis=0)).T)
    assert np.ptp(radii) < 0.02 * radii.mean()


def test_parts_that_are_not_connected_lie_apart_and_lone_nodes_stand_in_a_row_below() -> None:
    parts = [nx.cycle_graph(9), nx.star_graph(12), nx.path_graph(2), nx.complete_graph(5)]
    graph = nx.disjoint_union_all(parts)
    places = layout(edges_of(graph), num_nodes=len(graph) + 4)
    boxes, start = [], 0
    for part in parts:
        own = places[start : start + len(part)]
        boxes.append((*own.min(axis=0), *own.max(axis=0)))
        start += len(part)
    for i, (a, b, c, d) in enumerate(boxes):
        for left, bottom, right, top in boxes[:i]:
            assert c < left or right < a or d < bottom or top < b
    lone = places[start:]
    assert np.ptp(lone[:, 1]) < 1e-6
    assert lone[0, 1] < places[:start, 1].min()
    assert np.ptp(np.diff(lone[:, 0])) < 1e-6


def test_nodes_with_equal_neighbours_do_not_lie_on_each_other() -> None:
    star = layout(edges_of(nx.star_graph(60)), num_nodes=61)
    assert pdist(star).min() > 0.04


def test_what_is_no_graph_is_refused_in_one_line() -> None:
    with pytest.raises(SettingError, match=r"edges is 'ends 0 to 7', expected nodes 0 to 4\."):
        layout(np.array([[0, 7]]), num_nodes=5)
    with pytest.raises(SettingError, match="num_nodes is 5000, expected at most 2000; draw a neighbourhood"):
        layout(np.array([[0, 7]]), num_nodes=5000)
    with pytest.raises(SettingError, match="whole numbers of shape"):
        layout(np.array([[0.5, 1]]), num_nodes=5)
    assert layout(np.zeros((0, 2)), num_nodes=0).shape == (0, 2)


def test_nodes_that_would_all_but_cover_each_other_are_pushed_apart() -> None:
    # Members 32 and 33 have almost the same friends; at 600 pixels a node is 26 pixels wide.
    places = layout(KARATE, num_nodes=34)
    assert 600 * pdist(places).min() > 36
