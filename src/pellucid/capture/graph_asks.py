"""What a method for graphs may ask of the engine: scores and slopes of blocks, with other features and masked messages.

A block is what one target can see: the exact neighbourhood of a node or of an edge's ends, or a whole graph.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pellucid.capture import passes
from pellucid.capture.graph_engine import GraphRun, WholePass
from pellucid.capture.unions import Union, neighbourhoods, whole_graphs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Aim:
    """What one block is about.

    Attributes:
        nodes: The target node, or the two ends of the target edge; nothing for a whole graph.
        graph: The graph, by its place in the batch.
        weights: Weight of each logit in the score, (classes,).
        is_value: Whether the score is an output that is no class.
    """

    nodes: tuple[int, ...]
    graph: int
    weights: Tensor
    is_value: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphParts:
    """What a method returns for all blocks of a union, one after the other.

    Attributes:
        nodes: (nodes,) or (nodes, features), or None.
        edges: (edges,), an undirected edge once; or None.
        features: (blocks, features): the same for all nodes of a block; or None.
        edge_types: (blocks, types), or None.
        edge_features: (blocks, edge features), or None.
        checks: Measured numbers per block, by name, each (blocks,).
        notes: Sentences per block that a reader must know.
    """

    nodes: Tensor | None = None
    edges: Tensor | None = None
    features: Tensor | None = None
    edge_types: Tensor | None = None
    edge_features: Tensor | None = None
    checks: Mapping[str, Tensor] = field(default_factory=dict)
    notes: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


class Blocks:
    """The blocks of some targets, ready to be run. A context in which the model is ours.

    Args:
        whole: The pass over the whole graph.
        aims: One for each block: all nodes, all edges or all graphs.
        edge_types: The type of each edge of the whole graph, (edges,), or None.
        types: How many edge types there are.
        further: How many hops the blocks of nodes and edges reach further than the model does.
        union: The blocks, where they have been made before.
    """

    def __init__(
        self,
        whole: WholePass,
        aims: Sequence[Aim],
        *,
        edge_types: Tensor | None = None,
        types: int = 0,
        further: int = 0,
        union: Union | None = None,
    ) -> None:
        self.whole, self.aims = whole, tuple(aims)
        self._all_types = edge_types
        self.union = union_of(whole, aims, further=further) if union is None else union
        self.run = GraphRun(whole, self.union)
        device = whole.arguments.x.device
        self.weights = torch.stack([aim.weights for aim in aims]).to(device)
        self.are_values = torch.tensor([aim.is_value for aim in aims], device=device)
        self.block_of_node = torch.from_numpy(self.union.block).to(device)
        self.device, self.dtype = device, whole.arguments.x.dtype
        edges = whole.arguments.edge_of.cpu().numpy()[self.union.arc]
        of_arc = self.union.block[self.union.arcs[1]]
        count = int(edges.max(initial=-1)) + 1
        pairs, place = np.unique(of_arc * count + edges, return_inverse=True)
        self.edge_of_arc = torch.from_numpy(place).to(device)
        self.block_of_edge = torch.from_numpy(pairs // max(count, 1)).to(device)
        self.edge = pairs % max(count, 1)
        self.edge_types = None if edge_types is None else edge_types.to(device)[torch.from_numpy(self.edge).to(device)]
        self.types = types

    def __enter__(self) -> "Blocks":
        self.run.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.run.__exit__(*exception)

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return self.union.blocks

    @property
    def features(self) -> Tensor:
        """The features of the blocks' nodes, (nodes, features)."""
        return self.run.features

    @property
    def edges(self) -> int:
        """How many edges there are in all blocks; an undirected edge once."""
        return len(self.edge)

    def ones(self, count: int) -> Tensor:
        """As many ones, of the features' type and on their device."""
        return torch.ones(count, dtype=self.dtype, device=self.device)

    def score(self, logits: Tensor) -> Tensor:
        """The score of each block, (blocks,), from its logits."""
        return (logits * self.weights).sum(1)

    def logits(
        self,
        *,
        features: Tensor | None = None,
        scale: Tensor | None = None,
        edges: Tensor | None = None,
        arcs: Tensor | None = None,
        attributes: Tensor | None = None,
    ) -> Tensor:
        """Logits of the blocks' targets, (blocks, classes).

        Args:
            features: Other features, (nodes, features).
            scale: Factors for the features instead, (nodes or blocks, 1 or features), or, (values,), for each value
                that `run.nonzero` names. Of features that are mostly 0, only the others are multiplied.
            edges: A factor for the messages along each edge, in both directions, (edges,).
            arcs: A factor for the messages along each arc, (arcs,), instead.
            attributes: Other edge features, (arcs, features).
        """
        mask = edges[self.edge_of_arc] if edges is not None else arcs
        rows = 0 if scale is None or scale.dim() == 1 else len(scale)
        scale_of = self.block_of_node if rows == self.count != len(self.block_of_node) else None
        return self.run.logits(features=features, mask=mask, scale=scale, scale_of=scale_of, attributes=attributes)

    def copies(self, blocks: Sequence[int]) -> "Blocks":
        """Copies of some blocks side by side, each as often as it is named; nodes and edges keep their order."""
        return Blocks(
            self.whole,
            [self.aims[block] for block in blocks],
            edge_types=self._all_types,
            types=self.types,
            union=self.union.repeated(np.array(blocks, dtype=np.int64)),
        )

    def node_sites(self) -> list[str]:
        """The sites with a row of channels for each node, in order, without the ones that make the logits themselves.

        Values that only travel (messages' sums before a bias is added) count as well: each is a site.
        """
        nodes = self.whole.arguments.nodes
        sites = [site for site in self.whole.sites if len(site.shape) == 2 and site.shape[0] == nodes]
        last = max((site.index for site in sites if site.kind == "activation"), default=-1)
        # After the last activation there is only the layer that makes the logits, or the readout.
        return [site.name for site in sites if last < 0 or site.index <= last]

    def read(self, site: str) -> tuple[Tensor, Tensor]:
        """The logits of the blocks' targets and the values of a site, (nodes, channels), from which they were made."""
        return self.run.read(site)

    def slopes(self, total: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The derivatives of a number; 0 where it does not depend on something."""
        found = passes.derivative(total, inputs)
        self.run.backwards += 1
        return [torch.zeros_like(x) if slope is None else slope for x, slope in zip(inputs, found, strict=True)]

    def sum_per_block(self, values: Tensor, block: Tensor) -> Tensor:
        """Values of nodes or edges added up for each block, (blocks,)."""
        return values.new_zeros(self.count).index_add(0, block, values)


@runtime_checkable
class GraphMethod(Protocol):
    """A method that explains targets on graphs, all blocks at once.

    One that changes the graph itself may need to look further than the model does; it says so by a property `further`,
    the number of hops. One that never asks for the features as numbers says so by `needs_features` being False: then
    sparse ones stay sparse, and more blocks fit into memory.
    """

    def attribute(self, blocks: Blocks, *, seed: int) -> GraphParts:
        """The attribution of every block."""
        ...


def union_of(whole: WholePass, aims: Sequence[Aim], *, further: int = 0) -> Union:
    """The blocks of some aims, and some hops further than the model reaches."""
    arguments = whole.arguments
    arcs = arguments.edge_index.cpu().numpy()
    if not aims[0].nodes:
        chosen = np.array([aim.graph for aim in aims])
        return whole_graphs(arcs, membership=arguments.batch.cpu().numpy(), chosen=chosen)
    targets = np.array([aim.nodes for aim in aims], dtype=np.int64)
    if whole.coupled:
        one = np.zeros(arguments.nodes, dtype=np.int64)
        everything = whole_graphs(arcs, membership=one, chosen=np.zeros(len(aims), dtype=np.int64))
        return replace(everything, target=targets + np.arange(len(aims))[:, None] * arguments.nodes)
    return neighbourhoods(arcs, nodes=arguments.nodes, targets=targets, depth=whole.depth + further)


CELLS = 60_000_000
"""Most dense features (nodes × features) that are held at once."""


def costs_of(blocks: Blocks, *, arcs: int, dense: bool) -> npt.NDArray[np.int64]:
    """What each block costs, in arcs, where `arcs` is the most that fits: its own, or what its dense features weigh."""
    union = blocks.union
    own = np.bincount(union.block[union.arcs[1]], minlength=union.blocks)
    # A first layer that multiplies features by weights needs only their product, which is known by now.
    if not dense and blocks.whole.known.products:
        return own
    width = blocks.whole.arguments.x.shape[1]
    weighed = np.bincount(union.block, minlength=union.blocks) * (width * arcs / CELLS)
    return np.maximum(own, weighed.astype(np.int64))


def chunks(costs: npt.NDArray[np.int64], *, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of blocks whose costs add up to no more than fits at once; one block at least."""
    start, total = 0, 0
    for number, cost in enumerate(costs.tolist()):
        if number > start and total + cost + 1 > most:
            yield start, number
            start, total = number, 0
        total += cost + 1
    if len(costs) > start:
        yield start, len(costs)
