"""One graph as everything else sees it: validated, read-only, each undirected edge stored once."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.inputs import graph_checks
from pellucid.inputs.graph_edges import edges_of_arcs
from pellucid.inputs.graph_matrices import adjacency, normalised_adjacency
from pellucid.inputs.mesh import Mesh
from pellucid.inputs.molecule import Molecule

Matrix: TypeAlias = Any  # npt.NDArray[np.float32] or scipy.sparse.csr_array, which brings no types
Normalisation = Literal["symmetric", "row", "none"]


class BondType(IntEnum):
    """The types of a chemical bond, as numbers of edge types."""

    SINGLE = 0
    DOUBLE = 1
    TRIPLE = 2
    AROMATIC = 3


BOND_TYPES = tuple(bond.name.lower() for bond in BondType)
"""Names of the bond types, in the order of their numbers."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """Nodes and edges with what is known about them. Made by `pellucid.read` or by hand; it copies what it is given.

    An undirected edge is stored once and has one number; the arcs that messages run along are derived from it. The same
    undirected edge given twice, in either direction, is stored once, and `notes` says so.

    Attributes:
        edges: int64 (edges, 2): the two ends of each edge; of a directed graph from and to. The constructor takes
            anything that numpy makes such an array of.
        num_nodes: How many nodes there are; None takes the largest end plus one, if every node has an edge.
        features: One row of features for each node: float32 (nodes, features), dense or `scipy.sparse.csr_array`. None
            gives the identity matrix (sparse): each node is described only by being itself.
        directed: Whether an edge leads only from its first to its second end.
        edge_types: int64 (edges,): numbers of `edge_type_names`, or None.
        edge_type_names: Names of the edge types; `BOND_TYPES` for molecules.
        edge_weights: float32 (edges,), or None where all edges count alike.
        edge_features: float32 (edges, features), or None.
        labels: int64 (nodes,): the class of each node, -1 where unknown; or None.
        label: The class or the value of the whole graph, or None.
        class_names: Names of the classes, or None.
        node_names: What each node is called, or None.
        feature_names: What each column of `features` is, or None.
        edge_feature_names: What each column of `edge_features` is, or None.
        positions: float64 (nodes, 2 or 3): where to draw the nodes, or None.
        splits: Named sets of nodes ("train", "val", "test"), each bool (nodes,).
        edge_truth: bool (edges,): the edges that are known to make the label what it is, for scoring explanations; None
            where that is not known. Like labels and names it is no part of `digest`.
        node_truth: bool (nodes,): the same for nodes, or None.
        node_contributions: float64 (nodes,): what each node is known to add to `label`, where that is a sum; or None.
        body: How to draw it where it is a thing: a `Molecule` or a `Mesh`; else None.
        name: What to call it.
        notes: What reading had to do, as short sentences.

    Raises:
        InputError: Something does not fit together; says what and where.
    """

    edges: npt.NDArray[np.int64]
    num_nodes: int = None  # type: ignore[assignment]  # known after construction
    features: Matrix = None
    directed: bool = False
    edge_types: npt.NDArray[np.int64] | None = None
    edge_type_names: tuple[str, ...] | None = None
    edge_weights: npt.NDArray[np.float32] | None = None
    edge_features: npt.NDArray[np.float32] | None = None
    labels: npt.NDArray[np.int64] | None = None
    label: int | float | None = None
    class_names: tuple[str, ...] | None = None
    node_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    edge_feature_names: tuple[str, ...] | None = None
    positions: npt.NDArray[np.float64] | None = None
    splits: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    edge_truth: npt.NDArray[np.bool_] | None = None
    node_truth: npt.NDArray[np.bool_] | None = None
    node_contributions: npt.NDArray[np.float64] | None = None
    body: Molecule | Mesh | None = None
    name: str = "graph"
    notes: tuple[str, ...] = ()
    featureless: bool = field(init=False, default=False)
    digest: str = field(init=False, default="")

    def __post_init__(self) -> None:
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        for name, value in graph_checks.checked(given).items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "digest", self._digest())

    @classmethod
    def from_arcs(cls, arcs: Any, *, directed: bool | None = None, **rest: Any) -> "Graph":
        """A graph from arcs, as PyG and adjacency matrices have them: an undirected edge is there in both directions.

        Args:
            arcs: (2, arcs) or (arcs, 2): from and to.
            directed: False where every arc must have its partner; True where an arc is an edge; None decides by
                whether all arcs have partners.
            rest: As for `Graph`; what belongs to edges is given for each arc.

        Raises:
            InputError: An arc of an undirected graph has no partner, or the two differ.
        """
        return cls(**edges_of_arcs(arcs, directed=directed, rest=rest))

    @property
    def num_edges(self) -> int:
        """How many edges there are; an undirected edge counts once."""
        return len(self.edges)

    @property
    def num_features(self) -> int:
        """How many features a node has."""
        return int(self.features.shape[1])

    def arcs(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """What messages run along: both directions of an undirected edge, one of a directed edge or of a self-loop.

        Returns:
            (2, arcs): from and to, first all edges as they are stored, then the reversed ones; and (arcs,): the number
            of each arc's edge.
        """
        forward, numbers = self.edges.T, np.arange(len(self.edges))
        if self.directed:
            return np.ascontiguousarray(forward), numbers
        back = forward[0] != forward[1]
        both = np.concatenate([forward, forward[::-1, back]], axis=1)
        return np.ascontiguousarray(both), np.concatenate([numbers, numbers[back]])

    def neighbours(self, node: int) -> npt.NDArray[np.int64]:
        """The nodes that send messages to a node, sorted, each once; itself only where it has a self-loop."""
        start, end = self.edges.T
        found = [start[end == node]] if self.directed else [start[end == node], end[start == node]]
        return np.unique(np.concatenate(found))

    def adjacency(self, *, self_loops: bool = False) -> scipy.sparse.csr_array:
        """The adjacency matrix A, or A + I.

        Args:
            self_loops: Whether every node that has no loop gets one of weight 1.

        Returns:
            Sparse float64 (nodes, nodes): the weight of the edge from node i to node j in row i, column j; 1 where
            edges have no weights; symmetric unless the graph is directed.
        """
        return adjacency(self, self_loops=self_loops)

    def normalised_adjacency(
        self, *, normalisation: Normalisation = "symmetric", self_loops: bool = True
    ) -> scipy.sparse.csr_array:
        """The matrix Â of a graph convolution: row i holds the weights of the messages that node i receives.

        "symmetric" is D^-1/2 (A + I) D^-1/2 (Kipf & Welling 2017), "row" is D^-1 (A + I), a mean over the senders;
        "none" leaves the weights as they are. D counts what a node receives, itself included. Of a directed graph
        messages run along the edges, from first to second end, and D counts incoming edges, as in PyG. A node with
        degree zero, possible only without self-loops, receives nothing.

        Returns:
            Sparse float64 (nodes, nodes).
        """
        return normalised_adjacency(self, normalisation=normalisation, self_loops=self_loops)

    def degrees(self, *, self_loops: bool = False) -> npt.NDArray[np.float64]:
        """The sum of the weights of what each node receives, (nodes,)."""
        return np.asarray(self.adjacency(self_loops=self_loops).sum(axis=0)).ravel()

    def node_name(self, node: int) -> str:
        """What a node is called, or "node 7"."""
        return f"node {node}" if self.node_names is None else self.node_names[node]

    def edge_type_name(self, number: int) -> str:
        """What an edge type is called, or "type 2"."""
        names: Sequence[str] | None = self.edge_type_names
        return f"type {number}" if names is None else names[number]

    def to_networkx(self) -> Any:
        """As a `networkx.Graph` or `DiGraph`; see `pellucid.inputs.networkx_graphs` for the attributes."""
        from pellucid.inputs.networkx_graphs import to_networkx

        return to_networkx(self)

    def to_pyg(self) -> Any:
        """As a `torch_geometric.data.Data`; see `pellucid.inputs.pyg_data` for what is kept."""
        from pellucid.inputs.pyg_data import to_pyg

        return to_pyg(self)

    def to_json(self) -> str:
        """As a JSON document that `pellucid.read` takes back, equal and with the same digest."""
        from pellucid.inputs.graph_json import to_json

        return to_json(self)

    def _digest(self) -> str:
        total = hashlib.sha256(f"{self.num_nodes}\0{self.directed}\0".encode())
        for each in ("edges", "features", "edge_types", "edge_weights", "edge_features"):
            value = getattr(self, each)
            parts = (value.indptr, value.indices, value.data) if scipy.sparse.issparse(value) else (value,)
            for part in parts:
                total.update(f"{each}\0".encode())
                if part is not None:
                    total.update(f"{part.dtype}\0{part.shape}\0".encode() + np.ascontiguousarray(part).tobytes())
        return total.hexdigest()

    def __repr__(self) -> str:
        kind = "directed" if self.directed else "undirected"
        described = "features: identity" if self.featureless else f"{self.num_features} features"
        types = "" if self.edge_type_names is None else f", {len(self.edge_type_names)} edge types"
        notes = f": {'; '.join(self.notes)}" if self.notes else ""
        return (
            f"<Graph {self.name!r} {self.num_nodes:,} nodes, {self.num_edges:,} {kind} edges{types}, {described}, "
            f"{self.digest[:12]}{notes}>"
        )
