"""Graphs from edge lists, scipy, networkx, PyG and JSON, and back: nothing is lost, and what cannot be is said."""

import json
import subprocess
import sys
import warnings
from typing import Any

import networkx
import numpy as np
import pytest
import scipy.sparse
import torch

from pellucid.errors import InputError
from pellucid.inputs.edge_lists import from_edge_list
from pellucid.inputs.graph import BOND_TYPES, Graph
from pellucid.inputs.graph_json import read_json
from pellucid.inputs.mesh import Mesh
from pellucid.inputs.molecule import Molecule
from pellucid.inputs.networkx_graphs import from_networkx, is_networkx
from pellucid.inputs.pyg_data import from_pyg, is_pyg_data
from pellucid.inputs.scipy_graphs import from_scipy

with warnings.catch_warnings():
    # Importing PyG compiles with a part of torch that is on its way out.
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch_geometric.data import Data, HeteroData


def full(**changes: Any) -> Graph:
    given: dict[str, Any] = {
        "edges": [(0, 1), (2, 1), (2, 3), (3, 3)],
        "num_nodes": 5,
        "features": np.array([[0.1, 2], [3, 4], [5, 6], [7, 8], [1e-7, -1]]),
        "edge_types": [0, 3, 1, 0],
        "edge_type_names": BOND_TYPES,
        "edge_weights": [0.1, 2, 3, 4],
        "edge_features": [[1.5], [2], [3], [4]],
        "labels": [0, 1, -1, 1, 0],
        "class_names": ["cat", "dog"],
        "node_names": ["a", "b", "é\u4e2d", "d", "d"],
        "feature_names": ["f", "g"],
        "edge_feature_names": ["length"],
        "positions": [[0, 0.1], [1, 0], [1, 1], [0, 1], [2, 2]],
        "splits": {"train": np.array([1, 0, 0, 1, 0], bool), "test": np.zeros(5, bool)},
        "edge_truth": np.array([True, False, True, False]),
        "node_truth": np.array([True, False, True, False, False]),
        "node_contributions": [0.1, 0, -2, 3, 1e-9],
        "name": "five",
        "notes": ("made by hand",),
    }
    return Graph(**(given | changes))


FIELDS = (
    *("edges", "features", "edge_types", "edge_weights", "edge_features", "labels", "positions"),
    *("edge_truth", "node_truth", "node_contributions"),
)
NAMES = ("class_names", "node_names", "feature_names", "edge_feature_names", "edge_type_names", "name", "label")


def assert_same(ours: Graph, other: Graph, *, but: tuple[str, ...] = ()) -> None:
    assert ours.digest == other.digest
    assert ours.directed == other.directed
    for key in FIELDS:
        one, two = getattr(ours, key), getattr(other, key)
        if key not in but:
            assert (one is None) == (two is None), key
            if one is not None:
                np.testing.assert_array_equal(
                    *(x.toarray() if scipy.sparse.issparse(x) else x for x in (one, two)), key
                )
    for key in (key for key in NAMES if key not in but):
        assert getattr(ours, key) == getattr(other, key), key


@pytest.mark.parametrize(
    "graph",
    [
        full(),
        full(directed=True, features=None, feature_names=None, label=1),
        full(features=scipy.sparse.csr_array(np.eye(5)[:, :3].astype(np.float32)), feature_names=None, label=0.25),
        full(body=Molecule(symbols=("C", "N", "O", "C", "C"), charges=(0, 1, 0, 0, 0), smiles="CN")),
        full(body=Mesh(vertices=np.arange(9.0).reshape(3, 3) / 7, faces=np.array([[0, 1, 2]] * 5), nodes="faces")),
        Graph(edges=[], num_nodes=3),
        Graph(edges=[], num_nodes=2, edge_types=np.zeros(0, int), edge_truth=np.zeros(0, bool)),
    ],
)
def test_what_is_written_as_json_reads_back_equal(graph: Graph) -> None:
    back = read_json(graph.to_json(), called="'x'")
    assert_same(graph, back)
    assert back.notes == graph.notes
    assert back.splits.keys() == graph.splits.keys()
    assert all((back.splits[key] == graph.splits[key]).all() for key in graph.splits)
    assert type(back.body) is type(graph.body)
    if isinstance(graph.body, Molecule):
        assert back.body == graph.body
    if isinstance(graph.body, Mesh) and isinstance(back.body, Mesh):
        assert (back.body.vertices == graph.body.vertices).all()
        assert back.body.nodes == "faces"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "other"}, '\'g.json\' holds a dict without "format": "pellucid-graph"'),
        ({"version": 9}, "has version 9, expected 1"),
        ({"edge_type": [1]}, "unknown key 'edge_type'; did you mean 'edge_types'?"),
        ({"edges": [[0, 1], [2]]}, "'g.json': edges has rows of different lengths"),
        ({"edges": [[0, 9]]}, "'g.json': 1 edge names nodes beyond the last"),
        ({"labels": ["x"] * 5}, "labels holds <U1, expected numbers"),
        ({"directed": "yes"}, "directed is a str, expected a bool"),
        ({"splits": {"train": [7]}}, "split 'train' holds more than node numbers from 0 to 4"),
        ({"features": {"shape": [5, 2]}}, "sparse features have no 'indptr'"),
        ({"features": {"shape": [5, 2], "indptr": [0] * 6, "indices": [9], "values": [1]}}, "parts do not fit"),
        ({"features": {"shape": [5, 2], "indptr": [0.5], "indices": [], "values": []}}, "hold fractions"),
        ({"body": {"pet": {}}}, "body is 'pet'"),
        ({"body": {"molecule": {"x": 1}}}, "body cannot be read"),
        ({"label": "x"}, "label is 'x', expected a number"),
    ],
)
def test_a_damaged_json_graph_is_refused_with_what_is_wrong(change: dict[str, Any], said: str) -> None:
    document = json.loads(full().to_json()) | change
    with pytest.raises(InputError) as caught:
        read_json(json.dumps(document), called="'g.json'")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cut_json_and_nan_in_json_are_refused() -> None:
    with pytest.raises(InputError, match=r"'g\.json', line 1, column \d+: no JSON"):
        read_json(full().to_json()[:-30], called="'g.json'")
    with pytest.raises(InputError, match="holds NaN, expected finite numbers"):
        read_json('{"format": "pellucid-graph", "version": 1, "edge_weights": [NaN]}', called="'g.json'")


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_pyg_data_and_back_is_the_same_graph(directed: bool, sparse: bool) -> None:
    pairs = [(0, 1), (1, 0), (2, 3), (3, 3)] if directed else [(0, 1), (2, 1), (2, 3), (3, 3)]
    features = scipy.sparse.csr_array(np.eye(5)[:, :2]) if sparse else np.eye(5)[:, :2]
    graph = full(directed=directed, features=features, edges=pairs, positions=np.arange(10).reshape(5, 2))
    data = graph.to_pyg()
    assert data.validate()
    assert data.is_directed() == directed
    back = from_pyg(data)
    assert_same(graph, back)
    assert (back.splits["train"] == graph.splits["train"]).all()


def test_a_featureless_graph_and_the_label_of_a_graph_survive_pyg() -> None:
    graph = Graph(edges=[(0, 1), (1, 2)], label=3)
    data = graph.to_pyg()
    assert data.x is None
    back = from_pyg(data)
    assert back.featureless
    assert back.label == 3
    assert isinstance(back.label, int)
    assert_same(graph, back)


def test_of_pyg_data_arcs_in_pairs_make_undirected_edges_with_types() -> None:
    index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    data = Data(x=torch.ones(3, 2, dtype=torch.float16), edge_index=index, edge_attr=torch.tensor([0, 0, 2, 2]))
    graph = from_pyg(data)
    assert graph.num_edges == 2
    assert graph.edge_types is not None
    assert graph.edge_types.tolist() == [0, 2]
    other = from_pyg(Data(edge_index=index, edge_attr=torch.tensor([[1.0], [2.0], [3.0], [3.0]]), num_nodes=3))
    assert other.directed
    assert "the two directions of some edges differ" in other.notes[0]


def test_of_pyg_data_what_cannot_be_kept_is_noted_or_refused() -> None:
    index = torch.tensor([[0, 1], [1, 0]])
    graph = from_pyg(Data(edge_index=index, y=torch.rand(2, 3), num_nodes=2))
    assert "y of shape (2, 3)" in graph.notes[0]
    masks = torch.tensor([[True, False], [False, True]])
    assert from_pyg(Data(edge_index=index, train_mask=masks, num_nodes=2)).splits["train"].tolist() == [True, False]
    with pytest.raises(InputError, match="a HeteroData is no graph with one kind of nodes"):
        from_pyg(HeteroData())
    with pytest.raises(InputError, match="has no edge_index"):
        from_pyg(Data(x=torch.ones(3, 1)))
    with pytest.raises(InputError, match="NaN or infinite"):
        from_pyg(Data(edge_index=index, x=torch.tensor([[1.0], [float("nan")]])))
    assert is_pyg_data(Data())
    assert not is_pyg_data(torch.ones(2))


def test_networkx_attributes_become_fields() -> None:
    source = networkx.Graph(name="two")
    source.add_node("Anna", features=[1, 2], label="cat", pos=(0, 1))
    source.add_node(("b", 2), features=np.array([3, 4]), label="dog", pos=(2, 3))
    source.add_node(3, features=[5, 6], pos=(1, 1))
    source.add_edge("Anna", 3, type="double", weight=2)
    source.add_edge(("b", 2), 3, type="aromatic")
    graph = from_networkx(source)
    assert graph.name == "two"
    assert graph.node_names == ("Anna", "('b', 2)", "3")
    assert graph.class_names == ("cat", "dog")
    assert graph.labels is not None
    assert graph.labels.tolist() == [0, 1, -1]
    assert graph.edge_type_names == BOND_TYPES
    assert graph.edge_types is not None
    assert sorted(graph.edge_types.tolist()) == [1, 3]
    assert graph.edge_weights is not None
    assert sorted(graph.edge_weights.tolist()) == [1, 2]
    assert "1 of 2 edges have no weight and count as 1" in graph.notes
    assert not graph.directed


def test_networkx_and_back_is_the_same_graph_up_to_the_order_of_edges() -> None:
    graph = full(directed=True, edges=[(0, 1), (1, 0), (2, 3), (3, 3)])
    assert_same(graph, from_networkx(graph.to_networkx()))
    undirected = from_networkx(full().to_networkx())
    assert {frozenset(pair) for pair in undirected.edges.tolist()} == {
        frozenset(pair) for pair in full().edges.tolist()
    }
    plain = from_networkx(Graph(edges=[(0, 1), (1, 2)]).to_networkx())
    assert plain.node_names is None
    assert plain.digest == Graph(edges=[(0, 1), (1, 2)]).digest


def test_networkx_graphs_of_all_four_classes_are_read() -> None:
    for kind in (networkx.Graph, networkx.DiGraph, networkx.MultiGraph, networkx.MultiDiGraph):
        source = kind([(0, 1), (0, 1), (1, 2)])
        graph = from_networkx(source)
        assert is_networkx(source)
        assert graph.directed == source.is_directed()
        assert graph.num_edges == 2


def test_a_networkx_attribute_that_only_some_have_is_refused_with_the_first() -> None:
    source = networkx.path_graph(["a", "b", "c"])
    source.nodes["a"]["features"] = [1.0]
    with pytest.raises(InputError, match=r"2 of 3 have no 'features' while the others have \(node 'b', node 'c'\)"):
        from_networkx(source)
    source.nodes["b"]["features"] = source.nodes["c"]["features"] = [1, 2]
    with pytest.raises(InputError, match="'features' of node 'b' has 2 numbers, node 'a' has 1"):
        from_networkx(source)
    with pytest.raises(InputError, match="has no nodes"):
        from_networkx(networkx.Graph())
    weighted = networkx.Graph()
    weighted.add_edge(0, 1, weight="heavy")
    with pytest.raises(InputError, match="'weight' of edge 0–1 is 'heavy', expected a number"):
        from_networkx(weighted)


def test_a_sparse_matrix_is_undirected_if_symmetric() -> None:
    matrix = scipy.sparse.csr_matrix([[0, 2.0, 0], [2, 0, 1], [0, 1, 5]])
    graph = from_scipy(matrix)
    assert not graph.directed
    assert graph.num_edges == 3
    np.testing.assert_array_equal(graph.adjacency().toarray(), matrix.toarray())
    other = from_scipy(scipy.sparse.coo_array(np.array([[0, 1], [0, 0]])))
    assert other.directed
    assert other.edge_weights is None


def test_a_sparse_matrix_that_is_no_adjacency_is_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(2, 3\), expected an adjacency matrix"):
        from_scipy(scipy.sparse.csr_array(np.ones((2, 3))))
    with pytest.raises(InputError, match="NaN or infinity"):
        from_scipy(scipy.sparse.csr_array(np.array([[np.nan, 0], [0, 0]])))
    with pytest.raises(InputError, match="no partner"):
        from_scipy(scipy.sparse.csr_array(np.array([[0, 1], [0, 0]])), directed=False)
    zero = scipy.sparse.coo_array(([0.0, 1, 1], ([0, 0, 1], [0, 1, 0])), shape=(2, 2))
    assert from_scipy(zero).notes[0] == "1 stored zero of the matrix is no edge"


def test_an_edge_list_of_names_numbers_and_weights() -> None:
    graph = from_edge_list([("b", "a", 2), ("a", ("c", 1), 3)])
    assert graph.node_names == ("b", "a", "('c', 1)")
    assert graph.edges.tolist() == [[0, 1], [1, 2]]
    assert graph.edge_weights is not None
    assert graph.edge_weights.tolist() == [2, 3]
    gaps = from_edge_list([(5, 2), (2, 9)])
    assert gaps.node_names == ("2", "5", "9")
    assert gaps.edges.tolist() == [[1, 0], [0, 2]]
    assert from_edge_list([(0, 1)], num_nodes=3, directed=True).num_nodes == 3
    with pytest.raises(InputError, match="edge 1 has 1 entries, expected"):
        from_edge_list([(0, 1), (1,)])


def test_none_of_this_imports_torch_or_networkx() -> None:
    modules = ("edge_lists", "graph_json", "networkx_graphs", "pyg_data", "scipy_graphs")
    program = "import sys; " + "; ".join(f"import pellucid.inputs.{each}" for each in modules)
    program += "; sys.exit(any(each in sys.modules for each in ('torch', 'networkx', 'torch_geometric')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_numbers_of_any_size_are_names_of_nodes() -> None:
    assert from_edge_list([(10**30, 1), (1, 7)]).node_names == (str(10**30), "1", "7")


def test_a_matrix_of_more_rows_than_nodes_can_be_is_refused() -> None:
    with pytest.raises(InputError, match="has 8,589,934,592 rows"):
        from_scipy(scipy.sparse.coo_array(([1], ([0], [1])), shape=(2**33, 2**33)))


def test_weights_beyond_32_bits_are_refused_without_a_warning() -> None:
    with pytest.raises(InputError, match="edge_weights holds 1 value that is NaN or infinite"):
        from_scipy(scipy.sparse.coo_array(([1e300, 1e300], ([0, 1], [1, 0])), shape=(2, 2)))


def test_attributes_of_networkx_without_a_meaning_are_named() -> None:
    notes = from_networkx(networkx.karate_club_graph()).notes
    assert "attributes of nodes that say nothing to a graph are left out: club" in notes


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"class_names": 3}, "class_names is 3, expected a list of names"),
        ({"class_names": "ab"}, "class_names is 'ab', expected a list of names"),
    ],
)
def test_odd_attributes_of_a_networkx_graph_are_refused(attributes: dict[str, Any], said: str) -> None:
    path = networkx.path_graph(3)
    path.graph |= attributes
    with pytest.raises(InputError, match=said):
        from_networkx(path)


def test_an_array_as_label_of_a_networkx_graph_is_left_out_and_said() -> None:
    path = networkx.path_graph(3)
    path.graph["label"] = np.array([1, 2])
    assert from_networkx(path).label is None
    assert any("is no number: left out" in note for note in from_networkx(path).notes)


def test_words_as_truth_are_refused() -> None:
    path = networkx.path_graph(2)
    networkx.set_node_attributes(path, {0: "yes", 1: "no"}, "truth")
    with pytest.raises(InputError, match="'truth' of node 0 is 'yes', expected True or False"):
        from_networkx(path)


def test_what_a_data_holds_without_a_meaning_is_named() -> None:
    arcs = torch.tensor([[0, 1], [1, 0]])
    odd = Data(x=torch.eye(2), edge_index=arcs, z=torch.tensor([6, 7]), train_mask=torch.tensor([1, 0]))
    assert "what says nothing to a graph is left out: train_mask, z" in from_pyg(odd).notes
    assert from_pyg(Data(x=torch.eye(2), edge_index=arcs, train_mask=torch.tensor([True, False]))).notes == ()


def test_nodes_that_only_the_arcs_count_are_told() -> None:
    found = from_pyg(Data(edge_index=torch.tensor([[0, 5], [5, 0]])))
    assert found.num_nodes == 6
    assert "the Data does not say how many nodes it has: 6, the highest number of its arcs plus one" in found.notes


HEAD = {"format": "pellucid-graph", "version": 1, "edges": [[0, 1]]}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"num_nodes": 10**15, "splits": {"a": []}}, "num_nodes is 1,000,000,000,000,000, the limit"),
        ({"num_nodes": -3, "splits": {"a": []}}, "num_nodes is -3, expected a whole number"),
        ({"body": {"molecule": {"symbols": ["C"]}}}, "the molecule has 1 symbols for 2 atoms"),
        ({"body": {"molecule": {"symbols": ["C", "O"], "charges": [0]}}}, "the molecule has 1 charges for 2 atoms"),
        ({"body": {"mesh": {"vertices": [[0, 0, 0]], "faces": []}}}, "the mesh has 1 vertices for 2 nodes"),
        ({"body": {"mesh": {"vertices": [[0, 0, 0]] * 2, "faces": [[0, 1, 9]]}}}, "faces that name no vertex"),
        ({"body": {"mesh": {"vertices": [], "faces": [], "nodes": "edges"}}}, "nodes of the mesh are 'edges'"),
    ],
)
def test_json_whose_parts_do_not_fit_is_refused(parts: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_json(json.dumps(HEAD | parts), called="'x'")


def test_notes_of_a_json_document_are_words() -> None:
    assert read_json(json.dumps(HEAD | {"notes": [1]}), called="'x'").notes[0] == "1"


@pytest.mark.parametrize("edges", ["links", "edges"])
def test_json_of_networkx_is_told_how_to_be_read(edges: str) -> None:
    written = networkx.node_link_data(networkx.path_graph(3), edges=edges)
    with pytest.raises(InputError, match=rf'networkx.node_link_graph\(document, edges="{edges}"\)'):
        read_json(json.dumps(written), called="'x'")
