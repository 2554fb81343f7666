"""Graphs: what they hold, what is refused and how that is said, and their matrices."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse

from pellucid.errors import InputError, SettingError
from pellucid.inputs.graph import BOND_TYPES, BondType, Graph

# The textbook's square with one diagonal: node 3 has three neighbours.
SQUARE = [(0, 1), (1, 2), (2, 3), (3, 0), (3, 1)]


def test_an_undirected_edge_has_one_number_and_two_arcs() -> None:
    arcs, numbers = Graph(edges=SQUARE).arcs()
    assert arcs.shape == (2, 10)
    assert numbers.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    assert arcs[:, 0].tolist() == [0, 1]
    assert arcs[:, 5].tolist() == [1, 0]


def test_a_self_loop_has_one_arc() -> None:
    arcs, numbers = Graph(edges=[(0, 1), (1, 1)]).arcs()
    assert sorted(map(tuple, arcs.T.tolist())) == [(0, 1), (1, 0), (1, 1)]
    assert sorted(numbers.tolist()) == [0, 0, 1]


def test_a_directed_edge_has_one_arc() -> None:
    arcs, _ = Graph(edges=[(0, 1), (1, 0), (1, 2)], directed=True).arcs()
    assert arcs.T.tolist() == [[0, 1], [1, 0], [1, 2]]


def test_the_adjacency_matrix_is_symmetric_unless_directed() -> None:
    square = Graph(edges=SQUARE).adjacency().toarray()
    assert square.tolist() == [[0, 1, 0, 1], [1, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 0]]
    assert Graph(edges=[(0, 1)], directed=True).adjacency().toarray().tolist() == [[0, 1], [0, 0]]


def test_the_normalised_adjacency_is_that_of_kipf_and_welling() -> None:
    graph = Graph(edges=SQUARE)
    with_loops = graph.adjacency().toarray() + np.eye(4)
    half = np.diag(with_loops.sum(1) ** -0.5)
    np.testing.assert_allclose(graph.normalised_adjacency().toarray(), half @ with_loops @ half, atol=1e-15)


def test_row_normalisation_makes_a_mean() -> None:
    rows = Graph(edges=SQUARE).normalised_adjacency(normalisation="row").toarray()
    np.testing.assert_allclose(rows.sum(1), 1)


def test_of_a_directed_graph_a_row_holds_what_the_node_receives() -> None:
    graph = Graph(edges=[(0, 2), (1, 2)], directed=True)
    received = graph.normalised_adjacency(normalisation="row").toarray()
    np.testing.assert_allclose(received, [[1, 0, 0], [0, 1, 0], [1 / 3, 1 / 3, 1 / 3]])


def test_a_node_of_degree_zero_receives_nothing_without_self_loops_and_itself_with_them() -> None:
    graph = Graph(edges=[(0, 1)], num_nodes=3)
    assert graph.normalised_adjacency(self_loops=False).toarray()[2].tolist() == [0, 0, 0]
    assert graph.normalised_adjacency().toarray()[2].tolist() == [0, 0, 1]


def test_a_loop_that_is_there_keeps_its_weight() -> None:
    graph = Graph(edges=[(0, 1), (1, 1)], edge_weights=[1.0, 3.0])
    assert graph.adjacency(self_loops=True).toarray().tolist() == [[1, 1], [1, 3]]


def test_an_unknown_normalisation_is_refused() -> None:
    with pytest.raises(SettingError, match="normalisation is 'both', expected 'symmetric', 'row' or 'none'"):
        Graph(edges=SQUARE).normalised_adjacency(normalisation="both")  # type: ignore[arg-type]


def test_featureless_nodes_get_the_identity_and_the_graph_says_so() -> None:
    graph = Graph(edges=SQUARE)
    assert graph.featureless
    assert scipy.sparse.issparse(graph.features)
    assert graph.features.toarray().tolist() == np.eye(4).tolist()
    assert "identity matrix" in graph.notes[0]


def test_the_identity_of_many_nodes_is_never_dense() -> None:
    graph = Graph(edges=[(0, 199_999)], num_nodes=200_000)
    assert graph.features.nnz == 200_000
    assert graph.normalised_adjacency().nnz == 200_002


def test_neighbours_are_who_sends_messages() -> None:
    assert Graph(edges=SQUARE).neighbours(3).tolist() == [0, 1, 2]
    assert Graph(edges=[(0, 1), (1, 2)], directed=True).neighbours(1).tolist() == [0]


def test_an_edge_given_in_both_directions_is_stored_once_with_a_note() -> None:
    graph = Graph(edges=[(0, 1), (1, 0), (1, 2)], edge_weights=[2, 2, 5])
    assert graph.edges.tolist() == [[0, 1], [1, 2]]
    assert graph.edge_weights is not None
    assert graph.edge_weights.tolist() == [2, 5]
    assert "1 edge given more than once is stored once" in graph.notes


def test_nothing_of_a_graph_can_be_written_to_and_it_keeps_no_array_of_others() -> None:
    features, edges = np.ones((2, 3), dtype=np.float32), np.array([[0, 1]])
    graph = Graph(edges=edges, features=features)
    features[0], edges[0] = 7, 9
    assert graph.features[0].tolist() == [1, 1, 1]
    assert graph.edges.tolist() == [[0, 1]]
    with pytest.raises(ValueError, match="read-only"):
        graph.features[0] = 3
    with pytest.raises(ValueError, match="read-only"):
        graph.edges[0] = 3


def test_the_digest_tells_graphs_apart() -> None:
    same = Graph(edges=SQUARE, name="another name").digest
    assert same == Graph(edges=SQUARE).digest
    others = (Graph(edges=SQUARE[:4]), Graph(edges=SQUARE, directed=True), Graph(edges=SQUARE, edge_weights=[1] * 5))
    assert len({same, *(graph.digest for graph in others)}) == 4


def test_what_is_known_to_matter_is_kept_and_is_no_part_of_the_digest() -> None:
    plain = Graph(edges=SQUARE)
    truth = np.array([True, False, False, True, True])
    known = Graph(edges=SQUARE, edge_truth=truth, node_truth=truth[:4], node_contributions=[1, 2, 3, 4])
    assert known.digest == plain.digest
    assert known.edge_truth is not None
    assert not known.edge_truth.flags.writeable
    arcs = Graph.from_arcs([[0, 1, 1, 2], [1, 0, 2, 1]], edge_truth=np.array([True, True, False, False]))
    assert arcs.edge_truth is not None
    assert arcs.edge_truth.tolist() == [True, False]


def test_the_width_of_the_indices_of_sparse_features_does_not_change_the_digest() -> None:
    wide = scipy.sparse.csr_array(np.eye(4))
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    same = Graph(edges=SQUARE, features=scipy.sparse.csr_array(np.eye(4)))
    assert Graph(edges=SQUARE, features=wide).digest == same.digest


def test_bond_types_are_named() -> None:
    graph = Graph(edges=[(0, 1), (1, 2)], edge_types=[BondType.AROMATIC, BondType.SINGLE], edge_type_names=BOND_TYPES)
    assert graph.edge_types is not None
    assert [graph.edge_type_name(number) for number in graph.edge_types] == ["aromatic", "single"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"edges": [(1, 2), (5, 9)]}, r"gaps: 6 numbers from 0 to 9 are never used \(0, 3, 4, 6, 7, …\).*num_nodes=10"),
    ({"edges": [(0, 4)], "num_nodes": 4}, r"1 edge names nodes beyond the last, which is 3 \(edge 0, up to node 4\)"),
    ({"edges": [(0, -1)]}, r"negative nodes \(edge 0\)"),
    ({"edges": [(0, 0.5)]}, "whole numbers"),
    ({"edges": np.zeros((2, 5), dtype=int)}, r"shape \(2, 5\).*from_arcs"),
    ({"edges": []}, "needs num_nodes"),
    ({"edges": [(0, 1)], "num_nodes": 0}, "num_nodes is 0, expected a whole number, 1 or more"),
    ({"edges": [(0, 1)], "features": np.ones((3, 2))}, r"3 rows for 2 nodes \(it looks transposed\)"),
    ({"edges": [(0, 1)], "features": [[1, np.nan], [2, np.inf]]}, r"2 values that are NaN or infinite \(nodes 0, 1\)"),
    ({"edges": [(0, 1)], "features": scipy.sparse.csr_array([[np.nan], [1.0]])}, r"NaN or infinite \(node 0\)"),
    ({"edges": [(0, 1)], "features": [["a"], ["b"]]}, "expected numbers"),
    ({"edges": [(0, 1)], "edge_weights": [1, 2]}, "edge_weights has 2 rows for 1 edge"),
    ({"edges": [(0, 1)], "edge_weights": [np.inf]}, r"infinite \(edge 0\)"),
    ({"edges": [(0, 1)], "edge_types": [4], "edge_type_names": BOND_TYPES}, "1 edge type out of range .*0 to 3"),
    ({"edges": [(0, 1)], "labels": [0, 5], "class_names": ["a", "b"]}, r"1 label out of range \(node 1\).*2 classes"),
    ({"edges": [(0, 1)], "labels": [0]}, "one class for each node"),
    ({"edges": [(0, 1)], "node_names": ["a"]}, "node_names has 1 name for 2 nodes"),
    ({"edges": [(0, 1)], "positions": [[0, 0, 0, 0]] * 2}, "positions have shape"),
    ({"edges": [(0, 1)], "positions": [[0, np.nan]] * 2}, "positions holds 2 values"),
    ({"edges": [(0, 1)], "label": "cat"}, "label is 'cat', expected the number of a class or a finite value"),
    ({"edges": [(0, 1)], "edge_truth": [1]}, r"edge_truth has int64 of shape \(1,\), expected bool of shape \(1,\)"),
    ({"edges": [(0, 1)], "node_truth": [True]}, r"node_truth has bool of shape \(1,\), expected bool of shape \(2,\)"),
    ({"edges": [(0, 1)], "node_contributions": [1]}, r"node_contributions has int64 of shape \(1,\), expected numbers"),
    ({"edges": [(0, 1)], "node_contributions": [1, np.nan]}, r"node_contributions holds 1 value .*\(node 1\)"),
    ({"edges": [(0, 1), (1, 0)], "edge_truth": np.array([True, False])}, "more than once with different edge_truth"),
    ({"edges": [(0.0, 1e30)]}, "1 edge names nodes beyond 2,147,483,647"),
    ({"edges": np.array([(0, 2**64 - 1)], np.uint64)}, "1 edge names nodes beyond 2,147,483,647"),
    ({"edges": [(0, 2**40)]}, r"1 edge names nodes beyond 2,147,483,647 \(edge 0\).*node_names"),
    ({"edges": [(0, 1)], "splits": {"train": [1, 0]}}, "split 'train' has int64"),
    ({"edges": [(0, 1), (1, 0)], "edge_weights": [1, 2]}, "edge 1–0 is given more than once with different"),
]


@pytest.mark.parametrize(("given", "said"), WRONG, ids=[said[:40] for _, said in WRONG])
def test_what_is_wrong_is_named_with_its_place(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Graph(**given)


def test_arcs_in_pairs_are_undirected_edges() -> None:
    graph = Graph.from_arcs([[0, 1, 1, 2, 2], [1, 0, 2, 1, 2]], edge_types=[0, 0, 1, 1, 2])
    assert not graph.directed
    assert graph.edges.tolist() == [[0, 1], [1, 2], [2, 2]]
    assert graph.edge_types is not None
    assert graph.edge_types.tolist() == [0, 1, 2]


def test_arcs_without_partners_are_directed_edges_or_refused() -> None:
    arcs = [[0, 1, 2], [1, 0, 1]]
    assert Graph.from_arcs(arcs).directed
    with pytest.raises(InputError, match=r"1 arc of an undirected graph has no partner .*\(2→1\)"):
        Graph.from_arcs(arcs, directed=False)


def test_two_arcs_are_read_as_rows_of_starts_and_ends() -> None:
    assert Graph.from_arcs([[0, 1], [1, 0]]).edges.tolist() == [[0, 1]]


def test_a_huge_gap_or_count_is_refused_without_making_so_many_nodes() -> None:
    with pytest.raises(
        InputError, match=r"2,147,483,598 numbers from 0 to 2147483599 are never used \(1, 2, 3, 4, 5, …\)"
    ):
        Graph(edges=[(0, 2**31 - 49)])
    with pytest.raises(InputError, match="num_nodes is 1,000,000,000,000, the limit is 100,000,000"):
        Graph(edges=[(0, 1)], num_nodes=10**12)


def test_weights_that_are_nan_in_both_directions_are_told_as_nan() -> None:
    with pytest.raises(InputError, match=r"edge_weights holds 1 value that is NaN or infinite \(edge 0\)"):
        Graph.from_arcs([[0, 1], [1, 0]], edge_weights=[np.nan, np.nan])


def test_arcs_given_more_than_once_are_counted() -> None:
    found = Graph.from_arcs([[0, 1, 0, 1, 1], [1, 0, 1, 0, 1]], num_nodes=2)
    assert found.num_edges == 2
    assert "2 arcs given more than once are stored once" in found.notes


@pytest.mark.parametrize("names", ["ab", 3])
def test_names_that_are_no_list_are_refused(names: Any) -> None:
    with pytest.raises(InputError, match=f"node_names is {names!r}, expected a list of names"):
        Graph(edges=[(0, 1)], node_names=names)
