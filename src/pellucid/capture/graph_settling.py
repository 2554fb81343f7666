"""Whether blocks give the answers of the whole: cut out, laid side by side, or normalised anew. Found by asking.

What a model couples cannot be read off its layers: a norm over all nodes, a degree that counts arcs out of a node, a
layer that passes messages several times. So a few blocks are run and compared, and where they differ, a block is the
whole graph, or graphs are run one by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from pellucid.capture.graph_asks import Aim, chunks, union_of
from pellucid.capture.graph_engine import Deleted, GraphRun, WholePass, whole_pass, without
from pellucid.capture.unions import Union
from pellucid.errors import ModelError
from pellucid.inputs.graph import Graph
from pellucid.models.graph_arguments import arguments_of, meanings

_SAMPLED = 4


def settled_passes(module: nn.Module, graphs: Sequence[Graph]) -> Iterator[tuple[list[int], WholePass]]:
    """One pass over all graphs where the model keeps them apart, else one over each; with the numbers of its graphs.

    Raises:
        InputError, ModelError, OutputError: The graphs or the model cannot be used.
    """
    arguments = arguments_of(module, graphs)
    if len(graphs) > 1 and "batch" in meanings(module).values():
        whole = whole_pass(module, arguments)
        if not _is_finite(whole) or _agrees(whole, _chosen(whole)):
            yield list(range(len(graphs))), whole
            return
    for number, graph in enumerate(graphs):
        yield [number], settled(whole_pass(module, arguments if len(graphs) == 1 else arguments_of(module, [graph])))


def settled(whole: WholePass) -> WholePass:
    """The pass, with a block the whole graph where a cut-out neighbourhood turns out to give another answer.

    That is so where a layer normalises over all nodes (PairNorm, GraphNorm): then every node depends on every other,
    and graphs cannot lie side by side.

    Raises:
        ModelError: Even the whole graph gives another answer than before: the model draws random numbers.
    """
    if not _is_finite(whole):
        return whole
    chosen = _chosen(whole)
    if _agrees(whole, chosen):
        return whole
    whole = replace(whole, coupled=True)
    if _agrees(whole, chosen[:1]):
        return whole
    raise ModelError(
        "the model gives another answer to the same graph when it is asked again; make it deterministic, e.g. without "
        "random numbers in its forward."
    )


def ready_to_delete(whole: WholePass, union: Union, *, arcs: int) -> WholePass:
    """The pass, with a block the whole graph where blocks that the model normalises anew give another answer.

    That is so where a layer counts arcs out of a node (ChebConv, DirGNNConv): those leave the block.

    Args:
        whole: The pass over the whole graph.
        union: The blocks, one hop further than the model reaches.
        arcs: Most arcs of the blocks that are run at once.
    """
    if whole.rows == "graphs" or whole.coupled:
        return whole
    sizes = np.bincount(union.block[union.arcs[1]], minlength=union.blocks)
    pieces = (union.repeated(np.arange(*each)) for each in chunks(sizes, most=arcs))
    return whole if all(_normalises_alike(whole, piece) for piece in pieces) else replace(whole, coupled=True)


def _normalises_alike(whole: WholePass, union: Union) -> bool:
    with GraphRun(whole, union) as run, torch.no_grad():
        expected = run.logits()
    nodes = torch.zeros(len(union.node), dtype=torch.bool, device=expected.device)
    arcs = torch.zeros(union.arcs.shape[1], dtype=torch.bool, device=expected.device)
    return _is_close(without(whole, union, Deleted(nodes=nodes, arcs=arcs)), expected)


def _is_finite(whole: WholePass) -> bool:
    return bool(torch.isfinite(whole.answer.logits).all())


def _chosen(whole: WholePass) -> list[int]:
    """The rows of a few answers."""
    count = len(whole.answer.logits)
    if not count:
        return []
    chosen = {round(place * (count - 1) / _SAMPLED) for place in range(_SAMPLED + 1)}
    if whole.rows == "nodes":  # Those with the most arcs see the most.
        chosen.add(int(torch.bincount(whole.arguments.edge_index[1], minlength=count).argmax()))
    return sorted(chosen)


def _aim(whole: WholePass, row: int) -> Aim:
    nodes: tuple[int, ...] = ()
    if whole.rows == "nodes":
        nodes = (row,)
    elif whole.arguments.pairs is not None and whole.rows == "edges":
        nodes = tuple(whole.arguments.pairs[:, row].tolist())
    return Aim(nodes=nodes, graph=row if whole.rows == "graphs" else 0, weights=whole.answer.logits.new_zeros(0))


def _agrees(whole: WholePass, rows: Sequence[int]) -> bool:
    for piece in [[row] for row in rows] if whole.alone else [list(rows)] * bool(rows):
        aims = [_aim(whole, row) for row in piece]
        if not _is_close(_answers(whole, aims), whole.answer.logits[piece]):
            return False
    return True


def _answers(whole: WholePass, aims: Sequence[Aim]) -> Tensor:
    """The answers of some blocks; of whole graphs beside copies that are changed, which must not matter to them."""
    beside = whole.rows == "graphs" and not whole.alone
    union = union_of(whole, [*aims, *aims] if beside else aims)
    with GraphRun(whole, union) as run, torch.no_grad():
        if not beside:
            return run.logits()
        like = whole.answer.logits
        block = torch.from_numpy(union.block).to(like.device)
        left = torch.where(block < len(aims), 1.0, 0.5).to(like.dtype)
        mask = left[torch.from_numpy(union.arcs[1]).to(like.device)]
        return run.logits(scale=left[:, None], mask=mask)[: len(aims)]


def _is_close(found: Tensor, expected: Tensor) -> bool:
    scale = 1 + float(expected.abs().max())
    return bool(((found - expected).abs() <= 1e-4 * scale).all())
