"""Taking every node and every edge away, one by one, and asking the model again."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from pellucid.capture.graph_asks import Blocks, GraphParts, chunks, costs_of, union_of
from pellucid.capture.graph_engine import Deleted, WholePass, without
from pellucid.capture.graph_removals import Of, Removal, scores_without
from pellucid.capture.graph_settling import ready_to_delete
from pellucid.capture.unions import Union
from pellucid.errors import SettingError
from pellucid.methods.catalogue import register_graph

ARCS = 200_000
"""Most arcs of the copies that are run at once."""


@register_graph("occlusion")
@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOcclusion:
    """How much the score falls when a node or an edge is taken away: the score with it minus the score without.

    Attributes:
        of: `nodes`, `edges` or `both`. A node goes with its features and all its edges; the target node itself keeps
            its place and loses only those.
        removal: `delete` takes it out of the graph, and the model computes degrees and means anew; `silence` sets its
            messages and features to 0 and leaves degrees and means as they were. The two are different questions.

    Reference:
        Zeiler & Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.2, with nodes and
        edges in the place of windows.
    """

    of: str = "both"
    removal: str = "delete"

    def __post_init__(self) -> None:
        for name, words in (("of", ("both", *get_args(Of))), ("removal", get_args(Removal))):
            if getattr(self, name) not in words:
                raise SettingError(name, given=getattr(self, name), expected=" or ".join(map(repr, words)))

    @property
    def needs_features(self) -> bool:
        """Nodes that go only have their rows left out."""
        return False

    @property
    def gains_by_many(self) -> bool:
        """What is taken out is taken out once for all targets."""
        return True

    @property
    def further(self) -> int:
        """One hop more where edges are deleted, since that changes the degrees of the outermost nodes."""
        return int(self.removal == "delete")

    def attribute(self, blocks: Blocks, *, seed: int) -> GraphParts:
        """The fall of the score for each node and each edge of every block."""
        with torch.no_grad():
            # Deleting may take the whole graph where silencing needs the neighbourhood only.
            whole = blocks.whole
            whole = ready_to_delete(whole, blocks.union, arcs=ARCS) if self.removal == "delete" else whole
            before = blocks.score(blocks.logits())
            nodes = edges = None
            if self.of != "edges":
                nodes = before[blocks.block_of_node] - self._after(blocks, whole, of="nodes")
            if self.of != "nodes":
                edges = before[blocks.block_of_edge] - self._after(blocks, whole, of="edges")
        return GraphParts(nodes=nodes, edges=edges)

    def _after(self, blocks: Blocks, whole: WholePass, *, of: Of) -> Tensor:
        """The score of its block without each node, or without each edge."""
        owner = blocks.block_of_edge if of == "edges" else blocks.block_of_node
        block = owner.cpu().numpy()
        found, apart = blocks.ones(len(owner)), np.arange(len(owner))
        removal: Removal = "delete" if self.removal == "delete" else "silence"
        if blocks.count > 1 and whole.rows == "nodes" and not whole.alone:
            itself = np.zeros(len(owner), dtype=bool)
            if of == "nodes":
                itself[blocks.union.target[:, 0]] = True
            for rows, scores in scores_without(blocks, whole, apart[~itself], of=of, removal=removal, arcs=ARCS):
                found[torch.from_numpy(rows).to(found.device)] = scores.to(found)
            apart = apart[itself]
        costs = costs_of(blocks, arcs=ARCS, dense=self.needs_features)
        first = np.searchsorted(block, np.arange(blocks.count))
        for start, stop in chunks(costs[block[apart]], most=1 if whole.alone else ARCS):
            rows = apart[start:stop]
            mine = block[rows]
            inside = torch.from_numpy(rows - first[mine]).to(found.device)
            if removal == "delete":
                scores = self._deleted(blocks, whole, mine.tolist(), inside, of)
            else:
                scores = self._silenced(blocks, mine.tolist(), inside, of)
            found[torch.from_numpy(rows).to(found.device)] = scores.to(found)
        return found

    @staticmethod
    def _silenced(blocks: Blocks, mine: list[int], inside: Tensor, of: Of) -> Tensor:
        with blocks.copies(mine) as copies:
            if of == "edges":
                mask = copies.ones(copies.edges)
                mask[_firsts(copies.block_of_edge, len(mine)) + inside] = 0
                return copies.score(copies.logits(edges=mask))
            gone = torch.zeros(len(copies.union.node), dtype=torch.bool, device=inside.device)
            gone[_firsts(copies.block_of_node, len(mine)) + inside] = True
            arcs = torch.from_numpy(copies.union.arcs).to(gone.device)
            kept = (~(gone[arcs[0]] | gone[arcs[1]])).to(copies.dtype)
            return copies.score(copies.logits(scale=_factors(gone, copies.dtype), arcs=kept))

    @staticmethod
    def _deleted(blocks: Blocks, whole: WholePass, mine: list[int], inside: Tensor, of: Of) -> Tensor:
        device = inside.device
        if whole is blocks.whole:
            union = blocks.union.repeated(np.array(mine))
        else:
            union = union_of(whole, [blocks.aims[block] for block in mine])
        arcs = torch.from_numpy(union.arcs).to(device)
        gone = torch.zeros(len(union.node), dtype=torch.bool, device=device)
        cut = torch.zeros(arcs.shape[1], dtype=torch.bool, device=device)
        bare = torch.zeros_like(gone)
        if of == "edges":
            wanted = blocks.edge[(_firsts(blocks.block_of_edge, blocks.count)[mine] + inside).cpu().numpy()]
            edge_of = blocks.whole.arguments.edge_of.cpu().numpy()[union.arc]
            cut = torch.from_numpy(edge_of == wanted[union.block[union.arcs[1]]]).to(device)
        else:
            nodes = blocks.union.node[(_firsts(blocks.block_of_node, blocks.count)[mine] + inside).cpu().numpy()]
            there = torch.from_numpy(union.node == nodes[union.block]).to(device)
            aimed = torch.zeros_like(gone)
            if blocks.aims[0].nodes:
                aimed[torch.from_numpy(union.target).to(device).flatten()] = True
            gone = there & ~aimed
            bare = there & aimed
            cut = bare[arcs[0]] | bare[arcs[1]]
            last = _last_of_graphs(gone, union)
            gone, bare = gone & ~last, bare | last
        scale = _factors(bare, blocks.dtype) if bool(bare.any()) else None
        logits = without(whole, union, Deleted(nodes=gone, arcs=cut), scale=scale)
        return (logits * blocks.weights[mine].to(logits)).sum(1)


def _factors(gone: Tensor, dtype: torch.dtype) -> Tensor:
    """0 for nodes that are gone, else 1, (nodes, 1)."""
    return (~gone).to(dtype)[:, None]


def _last_of_graphs(gone: Tensor, union: Union) -> Tensor:
    """The nodes with which a whole graph would vanish; there they stay and lose their features."""
    block = torch.from_numpy(union.block).to(gone.device)
    left = torch.zeros(union.blocks, dtype=torch.long, device=gone.device).index_add(0, block, (~gone).long())
    return gone & (left[block] == 0)


def _firsts(block: Tensor, blocks: int) -> Tensor:
    """The place of each block's first row."""
    return torch.searchsorted(block.contiguous(), torch.arange(blocks, device=block.device))
