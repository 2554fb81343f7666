"""Taking an edge or a node out of a graph and asking all targets that see it, in one run."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pellucid.capture.graph_asks import Blocks, chunks
from pellucid.capture.graph_engine import Deleted, GraphRun, WholePass, without
from pellucid.capture.unions import Union, shared_neighbourhoods

Of = Literal["edges", "nodes"]
Removal = Literal["delete", "silence"]
Ints = npt.NDArray[np.int64]
_RUNS = 512
"""Most edges or nodes that are taken out in one run."""


def scores_without(
    blocks: Blocks, whole: WholePass, rows: Ints, *, of: Of, removal: Removal, arcs: int
) -> Iterator[tuple[Ints, Tensor]]:
    """The scores of target nodes without edges, or without nodes that are not the target itself, run by run.

    What is taken out of the one graph is gone for all targets that see it. So each run holds, for every edge or node
    that goes, one copy of all that these targets see, instead of a copy of each target's own neighbourhood.

    Args:
        blocks: The targets, each a node.
        whole: The pass over the whole graph.
        rows: Which edges or nodes of the blocks go, one at a time.
        of: Whether those are edges or nodes.
        removal: `delete`, so that the model normalises anew, or `silence`.
        arcs: Most arcs in one run.

    Yields:
        Some of the rows, and the score of the target of each one's block.
    """
    item, owner = _items(blocks, of)
    everything = whole.arguments.edge_index.cpu().numpy()
    aimed = blocks.union.node[blocks.union.target[:, 0]]
    own = np.bincount(blocks.union.block[blocks.union.arcs[1]], minlength=blocks.count)
    rows = rows[np.argsort(item[rows], kind="stable")]
    firsts = np.flatnonzero(np.diff(item[rows], prepend=-1))
    bounds = np.append(firsts, len(rows))
    costs = np.minimum(np.add.reduceat(own[owner[rows]], firsts), everything.shape[1]) if len(rows) else firsts
    for start, stop in chunks(np.maximum(costs, arcs // _RUNS), most=arcs):
        mine = rows[bounds[start] : bounds[stop]]
        gone, block = np.unique(item[mine], return_inverse=True)
        union = shared_neighbourhoods(
            everything,
            nodes=whole.arguments.nodes,
            block=block,
            targets=aimed[owner[mine]],
            depth=whole.depth + int(removal == "delete"),
        )
        logits = _run(whole, union, _cut(whole, union, gone, of), removal)
        blocks.run.forwards += 1
        weights = blocks.weights[torch.from_numpy(owner[mine]).to(logits.device)]
        yield mine, (logits * weights.to(logits)).sum(1)


def _items(blocks: Blocks, of: Of) -> tuple[Ints, Ints]:
    """Which edge or node of the whole graph each row of the blocks is, and its block."""
    if of == "edges":
        return blocks.edge, blocks.block_of_edge.cpu().numpy()
    return blocks.union.node, blocks.union.block


def _cut(whole: WholePass, union: Union, gone: Ints, of: Of) -> Tensor:
    """The arcs that each block loses."""
    mine = gone[union.block[union.arcs[1]]]
    if of == "edges":
        found = whole.arguments.edge_of.cpu().numpy()[union.arc] == mine
    else:
        # Nothing else of a node reaches a target than what its arcs carry.
        found = (union.node[union.arcs] == mine).any(0)
    return torch.from_numpy(found).to(whole.arguments.x.device)


def _run(whole: WholePass, union: Union, cut: Tensor, removal: Removal) -> Tensor:
    if removal == "delete":
        return without(whole, union, Deleted(nodes=cut.new_zeros(len(union.node)), arcs=cut))
    with GraphRun(whole, union) as run:
        return run.logits(mask=(~cut).to(whole.answer.logits.dtype))
