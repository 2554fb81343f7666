"""Every note of reading a graph has a Korean translation."""

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import networkx
import numpy as np
import scipy.io
import scipy.sparse
import torch

from pellucid.inputs.graph import Graph
from pellucid.inputs.reading import read
from pellucid.pages.notes import noted
from pellucid.pages.words import Catalogue

with warnings.catch_warnings():
    # Importing PyG compiles with a part of torch that is on its way out.
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch_geometric.data import Data

KO = Catalogue("ko")


def sources(folder: Path) -> Iterator[Graph]:
    def file(name: str, text: str) -> Path:
        (folder / name).write_text(text)
        return folder / name

    def both(source: object) -> Iterator[Graph]:
        for nodes in ("vertices", "faces"):
            found = read(source, mesh_nodes=nodes)
            assert isinstance(found, Graph)
            yield found

    yield read([(0, 1), (1, 0)])  # type: ignore[misc]
    yield read([(0, 1), (1, 0), (1, 2), (2, 1)])  # type: ignore[misc]
    edges = file("e.csv", "source,target,colour\n5,7,red\n7,9,blue\n")
    yield read(edges, nodes=file("n.csv", "id,size,city\n5,1,Ulm\n7,2,Bern\n9,3,Rom\n"))  # type: ignore[misc]
    yield read(edges)  # type: ignore[misc]
    labelled = networkx.Graph(label="round")
    labelled.add_edge(0, 1, weight=2)
    labelled.add_edge(1, 2)
    yield read(labelled)  # type: ignore[misc]
    index = torch.tensor([[0, 1], [1, 0]])
    weights, masks = torch.tensor([1.0, 2.0]), torch.tensor([[True, False]] * 2)
    yield read(Data(edge_index=index, y=torch.rand(2, 3), edge_weight=weights, train_mask=masks, num_nodes=2))  # type: ignore[misc]
    yield read(Data(edge_index=index.repeat(1, 2), z=torch.ones(2)))  # type: ignore[misc]
    yield read(Data(edge_index=torch.cat([index, index[:, :1]], dim=1)))  # type: ignore[misc]
    named = networkx.Graph([(0, 1, {"since": 1999})])
    named.add_node(0, club="chess")
    yield read(named)  # type: ignore[misc]
    for zeros in ([0.0], [0.0, 0.0]):
        places = (range(len(zeros)), range(len(zeros)))
        yield read(scipy.sparse.coo_array((zeros, places), shape=(3, 3)))  # type: ignore[misc]
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"A": scipy.sparse.csc_matrix(np.eye(3)), "local_info": np.ones((3, 7))})
    yield read(buffer.getvalue())  # type: ignore[misc]
    corners = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 2 2 2\nv 0 0 1\nv 1 0 1\n"
    for faces in (
        "f 1 2 3 4\nf 1 1 2\nf 1 2 6\nf 1 2 5\n",
        "f 1 2 3 4\nf 1 2 5 6\nf 1 1 2\nf 2 2 3\nf 1 2 7\nf 2 3 5\nf 2 3 6\n",
    ):
        yield from both(file("m.obj", corners + faces))
    yield from both(file("m.obj", corners + "v 9 9 9\nf 1 2 3\n"))
    facet = "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\n"
    yield from both(file("m.stl", f"solid a\n{facet}{facet}endsolid\n"))
    for more in ("3 0 2 1\n", "3 0 2 1\n" * 2):
        yield from both(file("m.off", f"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n{more}"))
    for smiles in ("C.C", "[H]C", "[H]C[H]", "[13C]", "[13C][13C]", "C" * 1_501):
        yield read(f"smiles:{smiles}")  # type: ignore[misc]


def test_every_note_of_reading_a_graph_has_a_translation(tmp_path: Path) -> None:
    notes = {note for graph in sources(tmp_path) for note in graph.notes}
    assert len(notes) >= 24
    english = [note for note in notes for segment in noted(note, "graph", KO) if segment.tag == "en"]
    assert english == []
