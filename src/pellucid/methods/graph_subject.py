"""What of a graph an explanation is about: the part that the target can see, with the numbers of the whole graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_archive import graph_from_record, graph_to_record, part_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphSubject:
    """The part of a graph that an explanation is about.

    Attributes:
        name: The graph's name.
        digest: The digest of the whole graph.
        nodes: int64 (nodes,): the numbers of its nodes in the whole graph, ascending.
        edges: int64 (edges,): the numbers of its edges there, ascending.
        hops: int64 (nodes,): how far each node is from the target; 0 everywhere for a whole graph.
        all_nodes: How many nodes the whole graph has.
        source: The whole graph, or the part itself after loading.
    """

    name: str
    digest: str
    nodes: npt.NDArray[np.int64]
    edges: npt.NDArray[np.int64]
    hops: npt.NDArray[np.int64]
    all_nodes: int
    source: Graph

    @property
    def graph(self) -> Graph:
        """The part as a graph of its own, its nodes numbered from 0 in the order of `nodes`."""
        if self.source.digest != self.digest:
            return self.source
        return part_of(self.source, self.nodes, self.edges)

    def to_record(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """As JSON types, and the arrays that belong to them."""
        record, arrays = graph_to_record(self.graph)
        arrays = {f"subject {name}": value for name, value in arrays.items()}
        arrays |= {"subject node numbers": self.nodes, "subject edge numbers": self.edges, "subject hops": self.hops}
        kept = {"name": self.name, "digest": self.digest, "all_nodes": self.all_nodes}
        return {**kept, "graph": record}, arrays

    @classmethod
    def from_record(cls, record: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> "GraphSubject":
        """From what `to_record` gave."""
        mine = {name.removeprefix("subject "): value for name, value in arrays.items() if name.startswith("subject ")}
        return cls(
            name=record["name"],
            digest=record["digest"],
            nodes=mine.pop("node numbers"),
            edges=mine.pop("edge numbers"),
            hops=mine.pop("hops"),
            all_nodes=record["all_nodes"],
            source=graph_from_record(record["graph"], mine),
        )


def whole_subject(graph: Graph) -> GraphSubject:
    """All of a graph as a subject."""
    return GraphSubject(
        name=graph.name,
        digest=graph.digest,
        nodes=np.arange(graph.num_nodes),
        edges=np.arange(graph.num_edges),
        hops=np.zeros(graph.num_nodes, dtype=np.int64),
        all_nodes=graph.num_nodes,
        source=graph,
    )
