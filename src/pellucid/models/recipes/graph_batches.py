"""Many graphs as tensors, made once; any of them side by side as one batch, without a loop over graphs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pellucid.errors import InputError
from pellucid.inputs.graph import Graph
from pellucid.models.architecture import kept_random_state
from pellucid.models.gcn import GCN
from pellucid.models.graph_arguments import arguments_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Some graphs side by side.

    Attributes:
        x: Features (nodes, features).
        edge_index: Arcs (2, arcs).
        batch: To which of the graphs each node belongs, (nodes,).
        nodes: The place of each node among all nodes of the stock, (nodes,).
        numbers: Which graphs of the stock these are, (graphs,).
    """

    x: Tensor
    edge_index: Tensor
    batch: Tensor
    nodes: Tensor
    numbers: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphStock:
    """All graphs of a data set as tensors.

    Attributes:
        x: Features of all nodes, (nodes, features), dense.
        arcs: Arcs of all graphs, (2, arcs), with nodes counted anew in each graph.
        first_node: Where the nodes of each graph begin, (graphs + 1,).
        first_arc: Where its arcs begin, (graphs + 1,).
    """

    x: Tensor
    arcs: Tensor
    first_node: Tensor
    first_arc: Tensor

    @classmethod
    def of(cls, graphs: Sequence[Graph]) -> "GraphStock":
        """The stock of some graphs.

        Raises:
            InputError: A graph has no features, or they have features of different lengths.
        """
        bare = [number for number, graph in enumerate(graphs) if graph.featureless]
        if bare:
            raise InputError(
                f"graph {bare[0]} has no features ({len(bare)} of {len(graphs)}), and nodes of different graphs would "
                "have nothing in common; give a data set with node labels or attributes."
            )
        with kept_random_state():
            given = arguments_of(GCN(graphs[0].num_features, 1), list(graphs))
        sizes = torch.tensor([0, *(graph.num_nodes for graph in graphs)])
        arcs = torch.tensor([0, *(graph.arcs()[1].shape[0] for graph in graphs)])
        first_node = sizes.cumsum(0)
        x = given.x.to_dense() if given.x.is_sparse else given.x
        return cls(
            x=x,
            arcs=given.edge_index - first_node[given.batch[given.edge_index[0]]],
            first_node=first_node,
            first_arc=arcs.cumsum(0),
        )

    def __len__(self) -> int:
        return len(self.first_node) - 1

    def batch(self, numbers: Tensor) -> Batch:
        """The graphs of some numbers, (graphs,), in that order."""
        nodes, batch, starts = _ranges(self.first_node, numbers)
        arcs, graph_of_arc, _ = _ranges(self.first_arc, numbers)
        return Batch(
            x=self.x[nodes],
            edge_index=self.arcs[:, arcs] + starts[graph_of_arc],
            batch=batch,
            nodes=nodes,
            numbers=numbers,
        )


def parted(count: int, size: int, chance: torch.Generator) -> tuple[Tensor, ...]:
    """The numbers below `count` in random order, in as few parts of at most `size` as there can be, nearly equal."""
    order = torch.randperm(count, generator=chance)
    return order.tensor_split(-(-count // size))


def stratified(labels: np.ndarray, parts: int, *, seed: int) -> list[np.ndarray]:
    """The numbers of all labels in parts that have each class in nearly equal shares.

    Args:
        labels: The class of each graph, (graphs,).
        parts: How many.
        seed: Of the draw.
    """
    chance = np.random.default_rng(seed)
    dealt = np.concatenate([chance.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)])
    # Dealt like cards, class after class, so that neither sizes nor shares differ by more than one.
    return [np.sort(dealt[part::parts]) for part in range(parts)]


def _ranges(first: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What lies between the starts of some numbers: where, for which of the numbers, and where each begins there."""
    counts = first[numbers + 1] - first[numbers]
    owner = torch.repeat_interleave(torch.arange(len(numbers)), counts)
    starts = counts.cumsum(0) - counts
    return torch.arange(len(owner)) - starts[owner] + first[numbers][owner], owner, starts
