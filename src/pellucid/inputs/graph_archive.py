"""A graph as JSON types and arrays, and back; and a part of a graph as a graph of its own."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.inputs.graph import Graph
from pellucid.inputs.mesh import Mesh
from pellucid.inputs.molecule import Molecule

_PLAIN = (
    "num_nodes", "directed", "edge_type_names", "label", "class_names", "node_names", "feature_names",
    "edge_feature_names", "name", "notes",
)  # fmt: skip
_ARRAYS = ("edges", "edge_types", "edge_weights", "edge_features", "labels", "positions")


def graph_to_record(graph: Graph) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """As JSON types, and the arrays that belong to them."""
    record: dict[str, Any] = {name: _plain(getattr(graph, name)) for name in _PLAIN}
    arrays = {name: getattr(graph, name) for name in _ARRAYS if getattr(graph, name) is not None}
    if graph.featureless:
        record["features"] = "identity"
    elif scipy.sparse.issparse(graph.features):
        matrix = graph.features
        record["features"] = list(matrix.shape)
        arrays |= {"feature rows": matrix.indptr, "feature columns": matrix.indices, "feature values": matrix.data}
    else:
        record["features"] = "dense"
        arrays["features"] = graph.features
    record["splits"] = list(graph.splits)
    arrays |= {f"split {name}": mask for name, mask in graph.splits.items()}
    if isinstance(graph.body, Molecule):
        body = graph.body
        record["molecule"] = [list(body.symbols), list(body.charges), list(body.hydrogens), body.smiles]
    if isinstance(graph.body, Mesh):
        record["mesh"] = graph.body.nodes
        arrays |= {"mesh vertices": graph.body.vertices, "mesh faces": graph.body.faces}
    return record, arrays


def graph_from_record(record: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Graph:
    """From what `graph_to_record` gave."""
    kind = record["features"]
    features: Any = None
    if kind == "dense":
        features = arrays["features"]
    elif kind != "identity":
        parts = (arrays["feature values"], arrays["feature columns"], arrays["feature rows"])
        features = scipy.sparse.csr_array(parts, shape=tuple(kind))
    body: Molecule | Mesh | None = None
    if "molecule" in record:
        symbols, charges, hydrogens, smiles = record["molecule"]
        body = Molecule(symbols=tuple(symbols), charges=tuple(charges), hydrogens=tuple(hydrogens), smiles=smiles)
    if "mesh" in record:
        body = Mesh(vertices=arrays["mesh vertices"], faces=arrays["mesh faces"], nodes=record["mesh"])
    plain: dict[str, Any] = {name: record[name] for name in _PLAIN}
    return Graph(
        **plain | {name: arrays[name] for name in _ARRAYS if name in arrays},
        features=features,
        splits={name: arrays[f"split {name}"] for name in record["splits"]},
        body=body,
    )


def part_of(graph: Graph, nodes: npt.NDArray[np.int64], edges: npt.NDArray[np.int64]) -> Graph:
    """Some nodes and edges of a graph as a graph of its own; nodes are numbered in the order in which they are named.

    Args:
        graph: The graph.
        nodes: Numbers of nodes, each once.
        edges: Numbers of edges between them.
    """
    if len(nodes) == graph.num_nodes and len(edges) == graph.num_edges and bool((np.diff(nodes) == 1).all()):
        return graph
    place = np.full(graph.num_nodes, -1, dtype=np.int64)
    place[nodes] = np.arange(len(nodes))

    def of_nodes(name: str) -> Any:
        value = getattr(graph, name)
        return None if value is None else value[nodes]

    def of_edges(name: str) -> Any:
        value = getattr(graph, name)
        return None if value is None else value[edges]

    names = None if graph.node_names is None else tuple(graph.node_names[node] for node in nodes.tolist())
    return Graph(
        edges=place[graph.edges[edges]],
        num_nodes=len(nodes),
        # Of the identity only the rows that are there: their columns would be the nodes of the whole graph.
        features=None if graph.featureless else graph.features[nodes],
        directed=graph.directed,
        edge_types=of_edges("edge_types"),
        edge_type_names=graph.edge_type_names,
        edge_weights=of_edges("edge_weights"),
        edge_features=of_edges("edge_features"),
        edge_feature_names=graph.edge_feature_names,
        labels=of_nodes("labels"),
        class_names=graph.class_names,
        node_names=names,
        feature_names=None if graph.featureless else graph.feature_names,
        positions=of_nodes("positions"),
        name=graph.name,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value.item() if isinstance(value, np.generic) else value
