"""`read` knows a graph by what a file or folder holds; small files made by hand, whole and damaged."""

import gzip
import io
import json
import os
import pickle
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
import scipy.io
import scipy.sparse

import pellucid
from pellucid.errors import InputError, SettingError
from pellucid.inputs.graph import BOND_TYPES, Graph
from pellucid.inputs.graph_set import GraphSet
from pellucid.inputs.image import Image
from pellucid.inputs.matlab_file import matlab_file
from pellucid.inputs.reading import read


def graph(source: Any, **options: Any) -> Graph:
    found = read(source, **options)
    assert isinstance(found, Graph)
    return found


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


EDGE_LISTS = {
    "comma": "0,1\n1,2\n2,0\n",
    "tab": "0\t1\n1\t2\n2\t0\n",
    "space": "0 1\n1   2\n 2 0\n",
    "semicolon": "0;1\n1;2\n2;0\n",
    "header": "source,target\n0,1\n1,2\n2,0\n",
    "unknown header": "one,other\n0,1\n1,2\n2,0\n",
    "comments, blank lines, CRLF, BOM": "\ufeff# an edge list\r\n0,1\r\n\r\n1,2\r\n% more\r\n2,0",
}


@pytest.mark.parametrize("text", EDGE_LISTS.values(), ids=EDGE_LISTS)
def test_edge_lists_of_all_separators_are_one_graph(tmp_path: Path, text: str) -> None:
    found = graph(written(tmp_path, "ring.csv", text))
    assert found.edges.tolist() == [[0, 1], [1, 2], [2, 0]]
    assert found.name == "ring"
    assert found.node_names is None
    assert any("undirected" in note for note in found.notes)
    assert graph(tmp_path / "ring.csv", directed=True).directed


def test_names_and_numbers_with_gaps_become_node_names(tmp_path: Path) -> None:
    found = graph(written(tmp_path, "a.csv", 'Anna,Ben\n"Chris, Dr.",Anna\n'))
    assert found.node_names == ("Anna", "Ben", "Chris, Dr.")
    gaps = graph(written(tmp_path, "b.csv", "10,30\n30,20\n"))
    assert gaps.node_names == ("10", "20", "30")
    assert gaps.edges.tolist() == [[0, 2], [2, 1]]
    assert any("gaps" in note for note in gaps.notes)


def test_weights_types_and_directions_are_columns(tmp_path: Path) -> None:
    found = graph(written(tmp_path, "a.csv", "to,from,weight,type,colour\n1,0,2.5,single,red\n2,0,1,aromatic,blue\n"))
    assert found.edges.tolist() == [[0, 1], [0, 2]]
    assert found.edge_weights is not None
    assert found.edge_weights.tolist() == [2.5, 1]
    assert found.edge_type_names == BOND_TYPES
    assert found.edge_types is not None
    assert found.edge_types.tolist() == [0, 3]
    assert any(note.endswith("colour") for note in found.notes)
    bare = graph(written(tmp_path, "b.csv", "0 1 0.5 likes\n1 2 2 knows\n"))
    assert bare.edge_weights is not None
    assert bare.edge_type_names == ("knows", "likes")
    gephi = graph(written(tmp_path, "c.csv", "Source,Target,Type\na,b,Directed\nb,c,Directed\n"))
    assert gephi.directed
    assert gephi.edge_types is None


def test_a_table_of_nodes_brings_names_labels_and_features(tmp_path: Path) -> None:
    edges = written(tmp_path, "e.csv", "source,target\nx,y\ny,z\n")
    nodes = written(
        tmp_path, "n.csv", "id,label,age,height,city\nz,dog,1,2.5,Bern\nx,cat,2,3,Ulm\ny,dog,3,4,Rom\nw,cat,0,0,Ulm\n"
    )
    found = graph(edges, nodes=nodes)
    assert found.num_nodes == 4
    assert found.node_names == ("z", "x", "y", "w")
    assert found.edges.tolist() == [[1, 2], [2, 0]]
    assert found.class_names == ("cat", "dog")
    assert found.labels is not None
    assert found.labels.tolist() == [1, 0, 1, 0]
    assert found.feature_names == ("age", "height")
    assert found.features[0].tolist() == [1, 2.5]
    assert any("city" in note for note in found.notes)


BAD_TABLES = [
    ("0,1\n1\n", "'e.csv', line 2 has 1 columns, expected 2 as in line 1"),
    ("0,1,2\n1,2,x\n", None),  # a third column of words is types
    (
        "source,target,weight\n0,1,1\n1,2,heavy\n2,3,x\n",
        "line 3: the weight is 'heavy', expected a number (2 such lines)",
    ),
    ("source,target,weight\n0,1,1\n1,2,nan\n", "line 3: the weight is 'nan', expected a finite number"),
    ("source,target\n", "has a header and no rows"),
    ("\n# nothing\n", "holds no rows"),
    ("0\n1\n", "has one column, expected two"),
    ("name,SMILES,y\n1,CCO,1\n2,C,0\n", "holds molecules in its column 'SMILES', expected edges"),
    ("a,\nb,c\n", "line 1: an end of the edge is missing"),
    ('a,"b\nc,d\n', "has a quoted cell that does not end"),
    ("a,b\na,b,c,d,e\n", "line 2 has 5 columns"),
    ("1,2,3,4,5\n1,2,3,4,5\n", "has 5 columns and no header"),
    ("source,target,weight\na,b,1\nb,a,2\n", "edge 1–0 is given more than once with different edge_weights"),
    ("source,target,type\na,b,directed\nb,c,undirected\n", "has directed and undirected edges"),
    (b"a,b\n\xff\xfe,c\n", "line 2: no text in UTF-8"),
]


@pytest.mark.parametrize(("content", "said"), BAD_TABLES, ids=[str(said)[:40] for _, said in BAD_TABLES])
def test_a_damaged_edge_list_names_its_line(tmp_path: Path, content: str | bytes, said: str | None) -> None:
    path = written(tmp_path, "e.csv", content)
    if said is None:
        assert graph(path).edge_types is not None
        return
    with pytest.raises(InputError) as caught:
        read(path)
    assert said.replace("'e.csv'", f"'{path}'") in str(caught.value)
    assert "e.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ("id,label\nx,1\nx,2\n", "line 3: the node 'x' is there before"),
        ("id,label\nx,1\nz,2\n", "line 1: the node 'y' is not in"),
        ("id,age\nx,1\ny,nan\n", "line 3: age is 'nan', expected a finite number"),
        ("id,age\nx,1\ny,3\nz,old\n", "line 4: age is 'old', expected a number"),
    ],
)
def test_a_damaged_table_of_nodes_names_its_line(tmp_path: Path, nodes: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(written(tmp_path, "e.csv", "x,y\n"), nodes=written(tmp_path, "n.csv", nodes))


def test_json_is_known_by_its_content(tmp_path: Path) -> None:
    source = Graph(edges=[(0, 1), (1, 2)], edge_weights=[0.1, 2], name="three")
    for name in ("g.json", "g", "g.dat"):
        assert graph(written(tmp_path, name, source.to_json())).digest == source.digest
    assert graph(source.to_json().encode()).digest == source.digest
    with pytest.raises(InputError, match=r"g\.json' holds a dict without .format.: .pellucid-graph"):
        read(written(tmp_path, "g.json", "{}"))


def test_objects_of_other_libraries_and_graphs_themselves() -> None:
    assert graph(networkx.path_graph(3)).num_edges == 2
    assert graph(scipy.sparse.csr_matrix(np.eye(3))).num_nodes == 3
    assert graph([("a", "b"), ("b", "c")]).node_names == ("a", "b", "c")
    ours = Graph(edges=[(0, 1)])
    assert read(ours) is ours
    many = GraphSet(graphs=(ours,))
    assert read(many) is many
    assert len(graphs([ours, networkx.Graph([(0, 1)])])) == 2
    with pytest.raises(InputError, match=r"an end of edge 1 is a list, expected a number or a name \(1 such\)"):
        read([("a", "b"), ("a", ["c"])])
    assert isinstance(read(np.zeros((4, 5, 3), np.uint8)), Image)


def test_a_picture_stays_a_picture_whatever_its_name(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pellucid.Image(pixels=np.zeros((3, 4, 3), np.uint8), name="x", digest="").pil().save(buffer, "PNG")
    for name in ("a.csv", "a.obj", "a.json", "a.npz", "a.png"):
        assert isinstance(read(written(tmp_path, name, buffer.getvalue())), Image)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Dear reader, this is prose.\nIt has two lines.\n", "holds text, expected one of PNG"),
        (gzip.compress(b"0 1\n"), "holds a gzip archive"),
        ("%PDF-1.7", "a PDF document"),
    ],
    ids=["text", "gzip", "pdf"],
)
def test_what_is_no_graph_is_refused_as_no_picture(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(written(tmp_path, "file", content))


def test_an_empty_file_and_a_folder_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty"):
        read(written(tmp_path, "e.csv", b""))
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)


def planetoid(folder: Path, name: str = "tiny", *, missing: bool = False, **changes: Any) -> Path:
    """Six nodes: 0 and 1 train, 2 more with features, 4 and 5 (or 6) test, in turned order."""
    test = [6, 4] if missing else [5, 4]
    eye = np.eye(7, 3, dtype=np.float32)
    parts = {
        "x": scipy.sparse.csr_matrix(eye[:2]),
        "y": np.eye(2, dtype=np.int32)[[0, 1]],
        "allx": scipy.sparse.csr_matrix(np.arange(12, dtype=np.float32).reshape(4, 3)),
        "ally": np.eye(2, dtype=np.int32)[[0, 1, 0, 1]],
        "tx": scipy.sparse.csr_matrix(np.array([[50, 0, 0], [40, 0, 0]], np.float32)),
        "ty": np.eye(2, dtype=np.int32)[[1, 0]],
        "graph": defaultdict(list, {0: [1, 2], 1: [0], 2: [0, 3], 3: [2, 4], 4: [3, 5, 5], 5: [4, 5]}),
    } | changes
    folder.mkdir(exist_ok=True)
    for part, value in parts.items():
        content = value if isinstance(value, bytes) else pickle.dumps(value, protocol=2)
        (folder / f"ind.{name}.{part}").write_bytes(content)
    if "index" not in changes:
        (folder / f"ind.{name}.test.index").write_text("".join(f"{each}\n" for each in test))
    return folder


def test_planetoid_undoes_the_order_of_the_test_nodes(tmp_path: Path) -> None:
    found = graph(planetoid(tmp_path / "p"))
    assert found.num_nodes == 6
    assert found.features.toarray()[[3, 4, 5]].tolist() == [[9, 10, 11], [40, 0, 0], [50, 0, 0]]
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert found.edges.tolist() == [[0, 1], [0, 2], [2, 3], [3, 4], [4, 5], [5, 5]]
    splits = {key: np.flatnonzero(mask).tolist() for key, mask in found.splits.items()}
    assert splits == {"train": [0, 1], "val": [2, 3], "test": [4, 5]}
    assert "1 edge of a node to itself" in found.notes
    assert graph(tmp_path / "p" / "ind.tiny.graph").digest == found.digest


def test_a_number_without_a_test_row_is_a_node_without_features_and_label(tmp_path: Path) -> None:
    found = graph(planetoid(tmp_path / "p", missing=True))
    assert found.num_nodes == 7
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 0, 1, 0, -1, 1]
    assert found.features.toarray()[5].tolist() == [0, 0, 0]
    assert not found.splits["test"][5]
    assert any("1 node without a row" in note for note in found.notes)


def test_two_planetoid_sets_in_one_folder_must_be_told_apart(tmp_path: Path) -> None:
    planetoid(tmp_path / "p", "a")
    planetoid(tmp_path / "p", "b")
    with pytest.raises(InputError, match=r"holds 2 data sets \(a, b\); give a file of the one"):
        read(tmp_path / "p")
    assert graph(tmp_path / "p" / "ind.b.x").name == "b"


class Hostile:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"allx": b"cut"}, "allx is no readable pickle"),
        ({"ally": np.eye(2)[[0, 1]]}, "4 rows of features for 2 of ally"),
        ({"tx": scipy.sparse.csr_matrix(np.ones((2, 5)))}, "has 3 features in allx and 5 in tx"),
        ({"ty": np.ones(2)}, "ty holds a ndarray, expected one-hot labels"),
        ({"graph": [1, 2]}, "graph holds no lists of the neighbours"),
        ({"graph": {0: [-1]}}, "names negative nodes"),
    ],
)
def test_a_damaged_planetoid_set_is_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(planetoid(tmp_path / "p", **changes))
    assert "\n" not in str(caught.value)


def test_missing_and_wrong_test_numbers_of_planetoid(tmp_path: Path) -> None:
    folder = planetoid(tmp_path / "p")
    (folder / "ind.tiny.test.index").write_text("5\nx\n")
    with pytest.raises(InputError, match=r"test\.index, line 2: 'x', expected a whole number"):
        read(folder)
    (folder / "ind.tiny.test.index").write_text("1\n2\n")
    with pytest.raises(InputError, match="numbers of test nodes from 1"):
        read(folder)
    (folder / "ind.tiny.test.index").unlink()
    with pytest.raises(InputError, match=r"has no ind\.tiny\.test\.index; copy the whole"):
        read(folder)


def test_a_hostile_planetoid_part_is_refused_and_does_not_run(tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    with pytest.raises(InputError, match=r"asks for posix\.system, which is refused and was not run"):
        read(planetoid(tmp_path / "p", graph=Hostile(f"touch {proof}")))
    assert not proof.exists()


TU = {
    "A": "1, 2\n2, 1\n2, 3\n3, 2\n4, 5\n5, 4\n",
    "graph_indicator": "1\n1\n1\n2\n2\n",
    "graph_labels": "1\n-1\n",
    "node_labels": "0\n1\n0\n0\n2\n",
    "edge_labels": "0\n0\n2\n2\n1\n1\n",
    "node_attributes": "0.5, 1\n1, 2\n2, 3\n3, 4\n4, 5\n",
    "edge_gt": "1\n1\n0\n0\n0\n0\n",
}
TU_README = """Node labels:

  0  C
  1  N
  2  O

Edge labels:

  0  aromatic
  1  single
  2  double

=== More ===
  9 X
"""


def tu(folder: Path, **changes: str | None) -> Path:
    folder.mkdir(exist_ok=True)
    for part, text in (TU | changes).items():
        if text is not None:
            (folder / f"T_{part}.txt").write_text(text)
    (folder / "README.txt").write_text(TU_README)
    return folder


def graphs(source: Any) -> GraphSet:
    found = read(source)
    assert isinstance(found, GraphSet)
    return found


def test_a_tu_folder_is_many_graphs_with_names(tmp_path: Path) -> None:
    found = graphs(tu(tmp_path / "t"))
    assert [each.num_nodes for each in found] == [3, 2]
    assert found.class_names == ("-1", "1")
    assert found.labels == (1, 0)
    assert found.node_type_names == ("C", "N", "O")
    assert found.edge_type_names == BOND_TYPES
    first, second = found
    assert first.edges.tolist() == [[0, 1], [1, 2]]
    assert first.edge_types is not None
    assert first.edge_types.tolist() == [3, 1]
    assert first.edge_truth is not None
    assert first.edge_truth.tolist() == [True, False]
    assert first.features.tolist() == [[1, 0, 0, 0.5, 1], [0, 1, 0, 1, 2], [1, 0, 0, 2, 3]]
    assert first.feature_names == ("C", "N", "O", "attribute 1", "attribute 2")
    assert second.body.symbols == ("C", "O")  # type: ignore[union-attr]
    assert second.name == "T 1"
    assert graphs(tmp_path / "t" / "T_A.txt")[1].digest == second.digest


def test_a_tu_archive_reads_as_its_folder(tmp_path: Path) -> None:
    folder = tu(tmp_path / "t")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"T/{file.name}")
    found = graphs(written(tmp_path, "T.zip", buffer.getvalue()))
    assert [each.digest for each in found] == [each.digest for each in graphs(folder)]


def test_nodes_of_a_tu_set_may_stand_in_any_order(tmp_path: Path) -> None:
    found = graphs(
        tu(tmp_path / "t", graph_indicator="1\n2\n1\n2\n1\n", A="1,3\n3,1\n2,4\n4,2\n", edge_labels=None, edge_gt=None)
    )
    assert [each.num_nodes for each in found] == [3, 2]
    assert found[0].edges.tolist() == [[0, 1]]
    assert found[0].features[:, 3].tolist() == [0.5, 2, 4]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"A": "1, 2\n2, 1\n2, 9\n"}, "T_A.txt, line 3: the arc 2, 9 names a node that is not there, expected 1 to 5"),
        ({"A": TU["A"][:-3]}, "T_A.txt, line 6 has 1 numbers, expected 2"),
        ({"A": "1, 2\n2, x\n"}, "T_A.txt, line 2: 'x', expected a whole number"),
        ({"A": "1, 2\n2, 1\n3, 4\n"}, "T_A.txt, line 3: the arc joins graph 1 with graph 2"),
        ({"A": ""}, "T_A.txt' is empty|T_A.txt is empty|is empty"),
        ({"graph_indicator": "1\n1\n1\n3\n3\n"}, "speaks of graph 2, which has no nodes"),
        ({"graph_labels": "1\n"}, "has 1 labels of graphs for 2 graphs"),
        ({"node_labels": "0\n1\n"}, "has 2 rows of node labels for 5 nodes of T"),
        ({"edge_labels": "0\n"}, "has 1 rows of edge types for 6 arcs of T"),
        ({"edge_labels": "0\n1\n2\n2\n1\n1\n"}, "graph 1: edge 1–0 is given more than once with different edge_types"),
        ({"node_attributes": "0.5, 1\n1, nan\n2, 3\n3, 4\n4, 5\n"}, "node_attributes.txt, line 2: NaN or infinity"),
    ],
)
def test_a_damaged_tu_set_names_file_and_line(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(tu(tmp_path / "t", **changes))
    assert "\n" not in str(caught.value)


def musae(folder: Path, **changes: str) -> Path:
    parts = {
        "t_edges.csv": "id_1,id_2\n0,1\n2,1\n",
        "t_target.csv": (
            'id,facebook_id,page_name,page_type\n1,9,"Ben, B.",company\n0,8,Anna,tvshow\n2,7,Café\u2028x,company\n'
        ),
        "t.json": json.dumps({"2": [0, 4], "0": [1, 1]}),
    } | changes
    folder.mkdir(exist_ok=True)
    for name, text in parts.items():
        (folder / name).write_text(text)
    return folder


def test_a_musae_folder_is_one_graph_with_sparse_features(tmp_path: Path) -> None:
    found = graph(musae(tmp_path / "m"))
    assert found.edges.tolist() == [[0, 1], [2, 1]]
    assert found.node_names == ("Anna", "Ben, B.", "Café\ufffdx")
    assert found.class_names == ("company", "tvshow")
    assert found.labels is not None
    assert found.labels.tolist() == [1, 0, 0]
    assert found.features.toarray().tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 1]]
    assert found.notes == ("1 nodes have no list of features: all are zero",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"t_edges.csv": "id_1,id_2\n0,1\n2,7\n"}, "t_edges.csv, line 3: the edge 2, 7 names a node that is not in"),
        ({"t_edges.csv": "id_1,id_2\n0,1\n2,x\n"}, "t_edges.csv, line 3: the node is 'x', expected a whole number"),
        ({"t_target.csv": "id,page_type\n0,a\n0,b\n2,c\n"}, "line 3: the id 0 is there before or too large"),
        ({"t.json": '{"0": [1, 2'}, r"t.json, line 1, column \d+: no JSON"),
        ({"t.json": '{"0": [-1]}'}, "feature numbers from -1 to -1"),
        ({"t.json": '{"0": ["a"]}'}, "more than lists of whole numbers"),
        ({"t.json": '{"9": [1]}'}, "describes node 9, expected 0 to 2"),
        ({"t.json": "[1]"}, "holds a list, expected an object of lists"),
    ],
)
def test_a_damaged_musae_folder_names_file_and_line(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(musae(tmp_path / "m", **changes))


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def benchmark(**changes: Any) -> bytes:
    matrix = scipy.sparse.csr_array(np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], np.float32))
    parts = {f"adj_{key}": getattr(matrix, key) for key in ("data", "indices", "indptr", "shape")}
    extra = {
        "labels": np.array([0, 1, 0]),
        "node_names": np.array(["a", "é", "c"], dtype=object),
        "class_names": np.array(["x", "y"]),
    }
    return npz(**(parts | extra | changes))


def test_an_npz_of_gnn_benchmark_is_a_directed_graph_with_names(tmp_path: Path) -> None:
    found = graph(
        written(tmp_path, "b.npz", benchmark(attr_matrix=np.eye(3), attr_names=np.array(list("pqr"), dtype=object)))
    )
    assert found.directed
    assert found.edges.tolist() == [[0, 1], [1, 2]]
    assert found.node_names == ("a", "é", "c")
    assert found.class_names == ("x", "y")
    assert found.feature_names == ("p", "q", "r")
    buffer = io.BytesIO()
    scipy.sparse.save_npz(buffer, scipy.sparse.csr_array(np.array([[0, 1], [1, 0]])))
    assert not graph(written(tmp_path, "s.npz", buffer.getvalue())).directed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (benchmark(labels=np.array([0, 1])), "labels have int64 of shape"),
        (benchmark(labels=np.array([0, 7, 0])), "1 label out of range"),
        (benchmark(adj_indices=np.array([1, 9])), "parts do not fit"),
        (benchmark(adj_data=np.array([1, np.nan])), "NaN or infinity"),
        (benchmark(node_names=np.array(["a"], dtype=object)), "node_names has 1 name for 3 nodes"),
        (npz(a=np.zeros(3)), "holds the arrays a, expected adj_data"),
        (benchmark()[:-40], "damaged ZIP archive"),
        (b"no archive", "does not begin as .npz files do"),
        (npz(adj=np.zeros((2, 3, 3)), y=np.zeros(5, int)), r"y has the shape \(5,\), expected \(2,\)"),
    ],
)
def test_a_damaged_npz_is_one_line_with_the_file(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(written(tmp_path, "b.npz", content))
    assert "b.npz" in str(caught.value)


def test_an_npz_of_many_dense_graphs_is_a_set_with_true_edges(tmp_path: Path) -> None:
    ring = np.roll(np.eye(4), 1, axis=1)
    ring += ring.T
    truth = np.zeros((1, 4, 4))
    truth[0, 0, 1] = 1
    found = graphs(
        written(tmp_path, "d.npz", npz(adj=ring[None], x=np.ones((1, 4, 2)), y=np.array([1]), edge_gt=truth))
    )
    assert found[0].num_edges == 4
    assert found[0].edge_truth is not None
    assert found[0].edge_truth.sum() == 1
    assert found[0].node_truth is not None
    assert found[0].node_truth.tolist() == [True, True, False, False]
    assert found.class_names == ("class 0", "class 1")


def motif(**changes: Any) -> bytes:
    adjacency = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], float)
    truth = np.zeros((3, 3))
    truth[2, 1] = 1
    classes = [
        np.array([[1, 0], [0, 0], [0, 0]]),
        np.array([[0, 0], [0, 1], [0, 0]]),
        np.array([[0, 0], [0, 0], [0, 1]]),
    ]
    masks = [np.arange(3) == number for number in range(3)]
    parts = [adjacency, np.ones((3, 2)), *classes, *masks, truth]
    for place, value in changes.items():
        parts[int(place[1:])] = value
    return pickle.dumps(tuple(parts))


def test_a_motif_pickle_keeps_the_truth_of_both_directions(tmp_path: Path) -> None:
    found = graph(written(tmp_path, "syn.pkl", motif()))
    assert found.edges.tolist() == [[0, 1], [1, 2]]
    assert found.edge_truth is not None
    assert found.edge_truth.tolist() == [False, True]
    assert found.labels is not None
    assert found.labels.tolist() == [0, 1, 1]
    assert {key: np.flatnonzero(mask).tolist() for key, mask in found.splits.items()} == {
        "train": [0],
        "val": [1],
        "test": [2],
    }


def test_a_pickle_in_an_archive_is_named_with_it(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.pkl", motif())
        archive.writestr("b.pkl", motif())
    path = written(tmp_path, "sets.zip", buffer.getvalue())
    assert graph(path / "b.pkl").name == "b"
    with pytest.raises(InputError, match=r"holds 2 graphs \(a\.pkl, b\.pkl\); give one of them, '.*sets\.zip/a\.pkl'"):
        read(path)
    with pytest.raises(InputError, match=r"holds no 'c\.pkl', expected one of a\.pkl, b\.pkl"):
        read(path / "c.pkl")


def test_a_wrong_or_hostile_pickle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a pickle of 1 things"):
        read(written(tmp_path, "a.pkl", pickle.dumps([1])))
    with pytest.raises(InputError, match=r"edge_label_matrix has float64 of shape \(2, 3\)"):
        read(written(tmp_path, "a.pkl", motif(_8=np.zeros((2, 3)))))
    proof = tmp_path / "ran"
    for name in ("a.pkl", "a.png", "a"):
        with pytest.raises(InputError, match="is refused and was not run"):
            read(written(tmp_path, name, pickle.dumps(Hostile(f"touch {proof}"))))
    assert not proof.exists()


def matlab(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, arrays, do_compression=True)
    return buffer.getvalue()


def test_a_matlab_file_of_people_has_gender_as_label(tmp_path: Path) -> None:
    people = np.array([[1, 2, 5, 0, 9, 2007, 3], [1, 0, 5, 0, 0, 2008, 3], [2, 1, 6, 7, 9, 0, 3]], np.uint16)
    adjacency = scipy.sparse.csc_matrix(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], float))
    found = graph(written(tmp_path, "f.mat", matlab(A=adjacency, local_info=people)))
    assert found.class_names == ("gender 1", "gender 2")
    assert found.labels is not None
    assert found.labels.tolist() == [1, -1, 0]
    assert found.feature_names is not None
    dense = dict(zip(found.feature_names, found.features.toarray().T.tolist(), strict=True))
    assert dense["dorm 9"] == [1, 0, 1]
    assert dense["year 2008"] == [0, 1, 0]
    assert "year 0" not in dense


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (matlab(B=np.ones(3)), "holds B, expected one sparse adjacency matrix"),
        (matlab(A=scipy.sparse.csc_matrix(np.ones((2, 3)))), r"shape \(2, 3\)"),
        (matlab(A=scipy.sparse.csc_matrix(np.eye(3)), local_info=np.ones((3, 2))), "local_info has float64 of shape"),
        (matlab(A=scipy.sparse.csc_matrix(np.eye(3)))[:-20], "is no readable MATLAB file"),
        (b"MATLAB 7.3 MAT-file, Platform", "version 7.3; save it with -v7"),
        (b"nothing", "is no MATLAB file of version 5"),
    ],
)
def test_a_damaged_matlab_file_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(written(tmp_path, "f.mat", content))
    assert "f.mat" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_of_matlab_are_those_that_scipy_reads(compressed: bool) -> None:
    rng = np.random.default_rng(0)
    given = {
        "dense": rng.normal(size=(3, 4)),
        "small": np.array([[1, 2, 3]], np.uint8),
        "flat": np.arange(6, dtype=np.int32).reshape(2, 3),
        "sparse": scipy.sparse.random(9, 5, density=0.3, format="csc", rng=rng),
        "none": scipy.sparse.csc_matrix((3, 3)),
        "logical": np.array([[True, False]]),
        "name": "text",
        "cells": np.array([[1, "a"]], dtype=object),
        "complex": np.array([[1j]]),
    }
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, given, do_compression=compressed)
    found = matlab_file(buffer.getvalue(), called="'f'")
    other = scipy.io.loadmat(io.BytesIO(buffer.getvalue()))
    assert set(found.others) == {"name", "cells", "complex"}
    for name in ("dense", "small", "flat", "logical"):
        np.testing.assert_array_equal(found.arrays[name], other[name])
    for name in ("sparse", "none"):
        np.testing.assert_array_equal(found.arrays[name].toarray(), other[name].toarray())


def test_a_matlab_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.inputs.matlab_file.MAX_UNPACKED", 2**20)
    with pytest.raises(InputError, match="unpacks to more than 1 MiB"):
        read(written(tmp_path, "f.mat", matlab(A=np.zeros((1000, 1000)))))


def test_what_does_not_fit_in_a_set_is_refused() -> None:
    one, two = Graph(edges=[(0, 1)], features=np.ones((2, 3))), Graph(edges=[(0, 1)], features=np.ones((2, 4)))
    with pytest.raises(InputError, match="has no graphs"):
        GraphSet(graphs=())
    with pytest.raises(InputError, match="graph 1 of 'graphs' has 4 as features, graph 0 has 3"):
        GraphSet(graphs=(one, two))
    with pytest.raises(InputError, match="split 'train' has int64"):
        GraphSet(graphs=(one,), splits={"train": np.array([1])})
    labelled = Graph(edges=[(0, 1)], label=2)
    with pytest.raises(InputError, match="the label of graph 0 of 'graphs' is 2, expected 0 to 1"):
        GraphSet(graphs=(labelled,), class_names=("a", "b"))


def test_a_wrong_kind_of_mesh_nodes_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="mesh_nodes is 'edges', expected 'vertices' or 'faces'"):
        read(written(tmp_path, "m.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"), mesh_nodes="edges")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("rows", "names"),
    [("007,7\n7,11\n", ("007", "7", "11")), ("1_0,10\n10,0\n", ("1_0", "10", "0")), ("٣,3\n3,0\n", ("٣", "3", "0"))],
)
def test_digits_that_are_no_plain_number_are_a_name(tmp_path: Path, rows: str, names: tuple[str, ...]) -> None:
    assert graph(written(tmp_path, "e.csv", f"source,target\n{rows}")).node_names == names


def test_words_among_numbers_are_not_told_as_gaps(tmp_path: Path) -> None:
    found = graph(written(tmp_path, "e.csv", "source,target\n0,1\n1,x\n"))
    assert found.node_names == ("0", "1", "x")
    assert not any("gaps" in note for note in found.notes)


def test_a_row_of_nodes_that_says_id_and_name_is_a_header(tmp_path: Path) -> None:
    for text in ("id,name\na,Anna\nb,Ben\n", "id\na\nb\n"):
        found = graph(written(tmp_path, "e.csv", "source,target\na,b\n"), nodes=written(tmp_path, "n.csv", text))
        assert found.num_nodes == 2


def test_a_node_without_a_label_is_unknown(tmp_path: Path) -> None:
    people = written(tmp_path, "people.csv", "id,label\na,left\nb,\nc,right\n")
    found = graph(written(tmp_path, "e.csv", "source,target\na,b\nb,c\n"), nodes=people)
    assert found.labels is not None
    assert found.labels.tolist() == [0, -1, 1]
    assert found.class_names == ("left", "right")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("e.csv", "source,target,type\n0,1,a\n1,2,\n", "line 3: the edge has no type"),
        ("e.csv", 'source,target\na,b\n"a\nb",c\n', "line 3 has a quoted cell that does not end"),
        ("e.mtx", "%%MatrixMarket matrix coordinate real general\n3 3 1\n1 2 0.5\n", "scipy.io.mmread"),
        ("e.json", "{}".encode("utf-16"), "line 1: no text in UTF-8"),
    ],
)
def test_text_that_would_be_misread_is_refused(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(written(tmp_path, name, content))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"A": None}, "has no T_A.txt; copy the whole data set"),
        ({"graph_indicator": "1\n1\n1\n2\n999999999999\n"}, "speaks of graph 999999999999 and of 5 nodes only"),
        ({"node_attributes": "1e300\n1\n2\n3\n4\n"}, "features holds 1 value that is NaN or infinite"),
    ],
)
def test_a_tu_set_that_lacks_or_says_too_much_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(tu(tmp_path / "t", **changes))


def test_many_kinds_of_nodes_of_a_tu_set_stay_sparse(tmp_path: Path) -> None:
    count = 20_000  # as a dense matrix 1.6 GB
    lines = "".join(f"{number}\n" for number in range(count))
    folder = tu(
        tmp_path / "t",
        **dict.fromkeys(set(TU) - {"A", "graph_indicator", "node_labels"}),
        A="1 2\n2 1\n",
        graph_indicator="1\n" * count,
        node_labels=lines,
    )
    (folder / "README.txt").unlink()
    assert scipy.sparse.issparse(graphs(folder)[0].features)


def test_one_long_word_does_not_widen_all_others(tmp_path: Path) -> None:
    # In an array of words of one width this would take 80 GB.
    with pytest.raises(InputError, match="expected a whole number"):
        read(tu(tmp_path / "t", A="1, 2\n" * 100_000 + "9" * 100_000 + ", 1\n"))


def test_a_byte_order_mark_and_what_is_left_out_of_a_tu_set(tmp_path: Path) -> None:
    folder = tu(tmp_path / "t", A="\ufeff" + TU["A"], graph_attributes="1, 2\n3, 4\n")
    assert graphs(folder).notes == ("T_graph_attributes.txt is left out: a graph has one label",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"graph": {2**31 - 5: [1]}}, "names node 2147483643, far beyond the 6"),
        ({"graph": {0: [1.7]}}, "holds no lists of the neighbours"),
        ({"y": np.zeros((2, 0))}, "expected one-hot labels"),
    ],
)
def test_planetoid_parts_of_impossible_numbers_are_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(planetoid(tmp_path / "p", **changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"_3": np.zeros((3, 4))}, "y_train, y_val and y_test of shapes"), ({"_1": [[1], [1, 2]]}, "different lengths")],
)
def test_a_motif_pickle_of_odd_shapes_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(written(tmp_path, "syn.pkl", motif(**changes)))


def test_many_dense_graphs_have_one_label_each(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"y has the shape \(2, 2\), expected one class or value for each graph"):
        read(written(tmp_path, "d.npz", npz(adj=np.zeros((2, 3, 3)), y=np.eye(2))))
