"""Many small graphs side by side as one: exact neighbourhoods of nodes, or whole graphs, each a block of its own."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Union:
    """A disjoint union of blocks cut out of one graph.

    Attributes:
        blocks: How many blocks there are.
        block: The block of each node, (nodes,), ascending.
        node: Which node of the whole graph it is, (nodes,).
        hops: How far it is from the block's target, (nodes,).
        arcs: (2, arcs): from and to, as nodes of the union.
        arc: Which arc of the whole graph each is, (arcs,).
        target: The nodes of the union that each block is about, (blocks, 1), or (blocks, 2) for edges; where a block is
            about any number of nodes, (targets, 1), one block after the other.
    """

    blocks: int
    block: Ints
    node: Ints
    hops: Ints
    arcs: Ints
    arc: Ints
    target: Ints

    def route(self, arcs: Ints, *, depth: int, of_all: int) -> tuple[Ints, Ints]:
        """The arcs of the whole graph, as a layer has them, that run inside the blocks.

        Args:
            arcs: (2, arcs): from and to, in the whole graph.
            depth: Only what nodes nearer than this to the target receive.
            of_all: How many nodes the whole graph has.

        Returns:
            (2, arcs) as nodes of the union, and (arcs,) their places among the given ones.
        """
        receivers = np.flatnonzero(self.hops < depth)
        place, chosen = _incoming(arcs, self.node[receivers], of_all)
        receiver = receivers[place]
        keys = self.block * of_all + self.node
        sender = np.searchsorted(keys, self.block[receiver] * of_all + arcs[0, chosen])
        return np.stack([sender, receiver]), chosen

    def repeated(self, blocks: Ints) -> "Union":
        """Copies of some blocks side by side, each as often as it is named; nothing is searched again.

        Args:
            blocks: (copies,): one block for each copy.
        """
        of_arc = self.block[self.arcs[1]]
        nodes, starts = _gathered(self.block, blocks, self.blocks)
        arcs, _ = _gathered(of_arc, blocks, self.blocks)
        copy_of_arc = np.repeat(np.arange(len(blocks)), np.bincount(of_arc, minlength=self.blocks)[blocks])
        moved = starts - np.searchsorted(self.block, blocks)
        return Union(
            blocks=len(blocks),
            block=np.repeat(np.arange(len(blocks)), np.bincount(self.block, minlength=self.blocks)[blocks]),
            node=self.node[nodes],
            hops=self.hops[nodes],
            arcs=self.arcs[:, arcs] + moved[copy_of_arc],
            arc=self.arc[arcs],
            target=self.target[blocks] + moved.reshape(-1, *[1] * (self.target.ndim - 1)),
        )


def neighbourhoods(arcs: Ints, *, nodes: int, targets: Ints, depth: int) -> Union:
    """The exact neighbourhoods of nodes: everything that a node sees through `depth` layers, block by block.

    An arc is in a block if it ends nearer than `depth` to the target; arcs further out cannot reach the target in time.

    Args:
        arcs: (2, arcs): from and to.
        nodes: How many nodes the graph has.
        targets: (blocks, 1), or (blocks, 2) for the ends of edges; a node may be the target of several blocks.
        depth: How many layers pass messages.
    """
    count = len(targets)
    return _around(np.arange(count)[:, None] * nodes + targets, arcs, nodes=nodes, blocks=count, depth=depth)


def shared_neighbourhoods(arcs: Ints, *, nodes: int, block: Ints, targets: Ints, depth: int) -> Union:
    """Everything that any of some nodes sees through `depth` layers, a block for each group of nodes.

    Args:
        arcs: (2, arcs): from and to.
        nodes: How many nodes the graph has.
        block: (targets,): the group of each, ascending from 0, without a gap.
        targets: (targets,): nodes, each once in a group.
        depth: How many layers pass messages.
    """
    return _around((block * nodes + targets)[:, None], arcs, nodes=nodes, blocks=int(block[-1]) + 1, depth=depth)


def _around(aims: Ints, arcs: Ints, *, nodes: int, blocks: int, depth: int) -> Union:
    """What lies around nodes of blocks, which are given as block × nodes + node."""
    incoming = scipy.sparse.csr_array((np.ones(arcs.shape[1], dtype=bool), (arcs[1], arcs[0])), shape=(nodes, nodes))
    keys = np.unique(aims)
    hops = np.zeros(len(keys), dtype=np.int64)
    reached = _rows(keys, nodes, blocks)
    for hop in range(1, depth + 1):
        reached = reached @ incoming
        found = reached.tocoo()
        new = np.setdiff1d(found.row.astype(np.int64) * nodes + found.col, keys, assume_unique=True)
        if not len(new):
            break
        keys, hops = np.concatenate([keys, new]), np.concatenate([hops, np.full(len(new), hop)])
        reached = _rows(new, nodes, blocks)
    order = np.argsort(keys, kind="stable")
    keys, hops = keys[order], hops[order]
    return _union(keys, hops, np.searchsorted(keys, aims), arcs, nodes=nodes, blocks=blocks, depth=depth)


def whole_graphs(arcs: Ints, *, membership: Ints, chosen: Ints) -> Union:
    """Whole graphs of a batch, block by block; a graph may be there more than once.

    Args:
        arcs: (2, arcs): from and to, in the batch.
        membership: To which graph each node belongs, ascending.
        chosen: One graph for each block.
    """
    nodes = len(membership)
    starts = np.searchsorted(membership, chosen, side="left")
    sizes = np.searchsorted(membership, chosen, side="right") - starts
    block = np.repeat(np.arange(len(chosen)), sizes)
    node = np.arange(len(block)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + np.repeat(starts, sizes)
    target = np.cumsum(sizes) - sizes
    return _union(
        block * nodes + node,
        np.zeros(len(node), dtype=np.int64),
        target,
        arcs,
        nodes=nodes,
        blocks=len(chosen),
        depth=1,
    )


def _union(keys: Ints, hops: Ints, target: Ints, arcs: Ints, *, nodes: int, blocks: int, depth: int) -> Union:
    bare = Union(
        blocks=blocks,
        block=keys // nodes,
        node=keys % nodes,
        hops=hops,
        arcs=np.zeros((2, 0), dtype=np.int64),
        arc=np.zeros(0, dtype=np.int64),
        target=target,
    )
    inside, chosen = bare.route(arcs, depth=depth, of_all=nodes)
    return Union(blocks=blocks, block=bare.block, node=bare.node, hops=hops, arcs=inside, arc=chosen, target=target)


def _rows(keys: Ints, nodes: int, blocks: int) -> scipy.sparse.csr_array:
    """Some nodes of some blocks as a matrix of truths (blocks, nodes)."""
    return scipy.sparse.csr_array(
        (np.ones(len(keys), dtype=bool), (keys // nodes, keys % nodes)), shape=(blocks, nodes)
    )


def _incoming(arcs: Ints, receivers: Ints, nodes: int) -> tuple[Ints, Ints]:
    """For each receiver in turn all arcs that end there: the receiver's place, and the arc."""
    order = np.argsort(arcs[1], kind="stable")
    starts = np.searchsorted(arcs[1, order], np.arange(nodes + 1))
    first, sizes = starts[receivers], starts[receivers + 1] - starts[receivers]
    place = np.repeat(np.arange(len(receivers)), sizes)
    inside = np.arange(len(place)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return place, order[np.repeat(first, sizes) + inside]


def _gathered(block: Ints, wanted: Ints, blocks: int) -> tuple[Ints, Ints]:
    """The rows of some blocks one after the other, and where each block then begins."""
    bounds = np.searchsorted(block, np.arange(blocks + 1))
    sizes = np.diff(bounds)[wanted]
    starts = np.cumsum(sizes) - sizes
    return np.arange(sizes.sum()) + np.repeat(bounds[wanted] - starts, sizes), starts
