"""Asking a graph model about what is left of its graph: many subsets of edges or nodes, side by side in few passes."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pellucid.capture.graph_asks import Aim, chunks, union_of
from pellucid.capture.graph_engine import Deleted, GraphRun, WholePass, without
from pellucid.capture.graph_settling import ready_to_delete
from pellucid.capture.unions import Union

Of = Literal["edges", "nodes"]
Removal = Literal["delete", "silence"]
ARCS = 200_000
"""Most arcs of the copies that are run at once."""
AIMS = 256
"""Most different targets whose neighbourhoods are held at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Remains:
    """How much of each edge, or of each node, is left in one copy of a graph.

    Attributes:
        aim: What is asked about.
        places: int64 (places,): edges or nodes of the whole graph or batch, ascending, each once.
        factors: (places,): how much is left of each: 1 all, 0 nothing.
        elsewhere: The factor of all others.
    """

    aim: Aim
    places: npt.NDArray[np.int64]
    factors: npt.NDArray[np.float64]
    elsewhere: float


def logits_of_remains(whole: WholePass, wanted: Sequence[Remains], *, of: Of, removal: Removal) -> Tensor:
    """The logits of each target in what is left of its graph.

    A node that goes takes its edges along. The target itself, or the ends of a target edge, always stay. Of a graph
    that would lose all its nodes one stays, without features or edges: an empty graph has no answer.

    Args:
        whole: The pass over the whole graph.
        wanted: What is left, copy by copy.
        of: Whether `places` are edges or nodes.
        removal: `delete` takes out what has the factor 0 and lets the model compute degrees anew; it knows no factors
            between 0 and 1. `silence` multiplies messages after normalisation, and features of nodes.

    Returns:
        (copies, classes), in the order of `wanted`.
    """
    rows: list[Tensor] = []
    order: list[int] = []
    for numbers in _windows(wanted):
        aims = [wanted[mine[0]].aim for mine in numbers]
        union = union_of(whole, aims, further=int(removal == "delete"))
        if removal == "delete" and (ready := ready_to_delete(whole, union, arcs=ARCS)) is not whole:
            whole, union = ready, union_of(ready, aims)
        arcs = np.bincount(union.block[union.arcs[1]], minlength=union.blocks)
        block = np.repeat(np.arange(len(numbers)), [len(mine) for mine in numbers])
        flat = np.array(list(itertools.chain.from_iterable(numbers)))
        for start, stop in chunks(arcs[block], most=1 if whole.alone else ARCS):
            copies = union.repeated(block[start:stop])
            mine = [wanted[number] for number in flat[start:stop]]
            run = _deleted if removal == "delete" else _silenced
            with torch.no_grad():
                rows.append(run(whole, copies, mine, of))
        order.extend(flat.tolist())
    if not rows:
        return whole.answer.logits.new_zeros((0, whole.answer.logits.shape[1]))
    found = torch.cat(rows)
    return torch.empty_like(found).index_copy(0, torch.tensor(order, device=found.device), found)


def _windows(wanted: Sequence[Remains]) -> Iterator[list[list[int]]]:
    """The numbers of copies by their target, some targets at a time."""
    by_aim: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for number, each in enumerate(wanted):
        by_aim.setdefault((each.aim.nodes, each.aim.graph), []).append(number)
    groups = list(by_aim.values())
    for start in range(0, len(groups), AIMS):
        yield groups[start : start + AIMS]


def _factors(wanted: Sequence[Remains], block: npt.NDArray[np.int64], place: npt.NDArray[np.int64]) -> Tensor:
    """The factor of some places of some copies."""
    top = max((int(each.places[-1]) + 1 for each in wanted if len(each.places)), default=0)
    top = max(top, int(place.max(initial=-1)) + 1)
    keys = np.concatenate([each.places + number * top for number, each in enumerate(wanted)])
    known = np.concatenate([*(each.factors for each in wanted), [0.0]])
    asked = block * top + place
    found = np.searchsorted(keys, asked)
    hit = found < len(keys)
    hit[hit] = keys[found[hit]] == asked[hit]
    rest = np.array([each.elsewhere for each in wanted])[block]
    return torch.from_numpy(np.where(hit, known[np.where(hit, found, -1)], rest))


def _of_places(whole: WholePass, union: Union, wanted: Sequence[Remains], of: Of) -> Tensor:
    """The factor of every arc, by its edge; or of every node, 1 for targets."""
    device = whole.arguments.x.device
    if of == "edges":
        edge_of = whole.arguments.edge_of.cpu().numpy()
        return _factors(wanted, union.block[union.arcs[1]], edge_of[union.arc]).to(device)
    factors = _factors(wanted, union.block, union.node)
    if wanted[0].aim.nodes:
        factors[torch.from_numpy(union.target).flatten()] = 1.0
    return factors.to(device)


def _silenced(whole: WholePass, union: Union, wanted: Sequence[Remains], of: Of) -> Tensor:
    with GraphRun(whole, union) as run:
        factors = _of_places(whole, union, wanted, of).to(whole.answer.logits.dtype)
        if of == "edges":
            return run.logits(mask=factors)
        arcs = torch.from_numpy(union.arcs).to(factors.device)
        return run.logits(scale=factors[:, None], mask=factors[arcs[0]] * factors[arcs[1]])


def _deleted(whole: WholePass, union: Union, wanted: Sequence[Remains], of: Of) -> Tensor:
    gone = _of_places(whole, union, wanted, of) == 0
    device = gone.device
    if of == "edges":
        nodes = torch.zeros(len(union.node), dtype=torch.bool, device=device)
        return without(whole, union, Deleted(nodes=nodes, arcs=gone))
    arcs = torch.zeros(union.arcs.shape[1], dtype=torch.bool, device=device)
    block = torch.from_numpy(union.block).to(device)
    left = torch.zeros(union.blocks, dtype=torch.long, device=device).index_add(0, block, (~gone).long())
    if bool((left > 0).all()):
        return without(whole, union, Deleted(nodes=gone, arcs=arcs))
    # Of each emptied graph its first node stays, bare.
    first = torch.searchsorted(block, torch.arange(union.blocks, device=device))[left == 0]
    gone[first] = False
    there = torch.from_numpy(union.arcs).to(device)
    bare = torch.zeros_like(gone)
    bare[first] = True
    scale = (~bare).to(whole.answer.logits.dtype)[:, None]
    cut = bare[there[0]] | bare[there[1]]
    return without(whole, union, Deleted(nodes=gone, arcs=cut), scale=scale)
