"""Explaining graphs: from graphs, methods and targets to explanations, many targets in one pass."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pellucid.capture.graph_asks import Aim, Blocks, GraphMethod, GraphParts, chunks, costs_of
from pellucid.capture.graph_engine import WholePass
from pellucid.capture.graph_settling import settled_passes
from pellucid.errors import NotFiniteError
from pellucid.inputs.graph import Graph
from pellucid.methods.catalogue import name_of, settings_of
from pellucid.methods.explanation import Explanation
from pellucid.methods.finishing import versions
from pellucid.methods.graph_subject import GraphSubject
from pellucid.methods.graph_targets import aim_of, aims_of, resolved
from pellucid.methods.parts import Cost, Part
from pellucid.methods.targets import Resolved
from pellucid.models.model import Model

ARCS = 60_000
"""Most arcs of the blocks that are explained at once: fewer, and calls cost more than work."""
MESSAGES = 16_000_000
"""Most numbers that one layer's messages hold, where a method takes as many blocks at once as it can."""
TARGETS = 4096
"""Most graphs, or their targets, whose explanations are held at once."""
_PARTS = ("nodes", "edges", "features", "edge_types", "edge_features")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Subject:
    """One graph of a batch, and what was found out about it."""

    graph: Graph
    place: int
    offset: int
    first_edge: int


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    """One target of one graph."""

    subject: _Subject
    target: Resolved
    aim: Aim


def explain_graphs(
    model: Model,
    graphs: Sequence[Graph],
    methods: Sequence[GraphMethod],
    targets: Sequence[str],
    *,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
    batch_size: int = TARGETS,
) -> Iterator[Explanation]:
    """For each graph in order, for each method, for each target and each node that it names, one explanation.

    Args:
        model: The model.
        graphs: Graphs with the same features.
        methods: The methods.
        targets: The targets, as `pellucid.methods.graph_targets` has them.
        seed: For every random draw.
        progress: Called with the number of explanations made, and the number in all.
        batch_size: Most targets in one pass.

    Raises:
        TargetError, MethodError, InputError, ModelError: Something cannot be used; says what to do.
    """
    digest, made = model.weights_digest, 0
    for numbers, whole in settled_passes(model.module, list(graphs)):
        _check_finite(whole)
        subjects = list(_subjects([graphs[number] for number in numbers]))
        wanted = [[_Wanted(each, *one) for one in _wanted(model, whole, each, targets)] for each in subjects]
        # Graphs that come one by one are taken to have as many targets as this one.
        total = made + sum(map(len, wanted)) * len(methods) * (len(graphs) - numbers[0] if len(numbers) == 1 else 1)
        for group in _together(wanted, most=batch_size):
            for explanation in _explained(methods, model, whole, group, digest, seed=seed, most=batch_size):
                made += 1
                if progress is not None:
                    progress(made, total)
                yield explanation


def _together(wanted: Sequence[list[_Wanted]], *, most: int) -> Iterator[list[list[_Wanted]]]:
    """Graphs that are explained in the same passes: alike, and with no more targets in all than fit."""
    group: list[list[_Wanted]] = []
    for mine in wanted:
        if group and (sum(map(len, group)) + len(mine) > most or _types(group[0]) != _types(mine)):
            yield group
            group = []
        group.append(mine)
    if group:
        yield group


def _types(mine: Sequence[_Wanted]) -> object:
    graph = mine[0].subject.graph
    return graph.edge_types is None, graph.edge_type_names


def _explained(
    methods: Sequence[GraphMethod],
    model: Model,
    whole: WholePass,
    group: Sequence[list[_Wanted]],
    digest: str,
    *,
    seed: int,
    most: int,
) -> Iterator[Explanation]:
    """Some graphs by all methods, in order: graph by graph, method by method."""
    flat = list(itertools.chain.from_iterable(group))
    streams = [_by(method, model, whole, flat, digest, seed=seed, most=most) for method in methods]
    if len(group) > 1:
        streams = [iter(list(stream)) for stream in streams]
    for mine in group:
        for stream in streams:
            yield from itertools.islice(stream, len(mine))


def _check_finite(whole: WholePass) -> None:
    if not bool(torch.isfinite(whole.answer.logits).all()):
        rows = (~torch.isfinite(whole.answer.logits)).any(1).nonzero().flatten().tolist()
        few = ", ".join(map(str, rows[:5]))
        raise NotFiniteError(
            f"the model's answer is NaN or infinite for {len(rows)} of {len(whole.answer.logits)} {whole.rows} "
            f"({few}); load weights that are whole, or look at the features."
        )


def _subjects(graphs: Sequence[Graph]) -> Iterator[_Subject]:
    offset = first_edge = 0
    for place, graph in enumerate(graphs):
        yield _Subject(graph=graph, place=place, offset=offset, first_edge=first_edge)
        offset, first_edge = offset + graph.num_nodes, first_edge + graph.num_edges


def _wanted(model: Model, whole: WholePass, subject: _Subject, targets: Sequence[str]) -> list[tuple[Resolved, Aim]]:
    """Every target of one graph, resolved."""
    found = []
    classes = whole.answer.logits.shape[1]
    names = model.class_names if model.class_names is not None else subject.graph.class_names
    for target in targets:
        for nodes in aims_of(target, subject.graph, whole.rows):
            row = _row(whole, subject, nodes)
            known = resolved(target, subject.graph, nodes, row, whole, names)
            found.append((known, aim_of(known, graph=subject.place, offset=subject.offset, classes=classes)))
    return found


def _row(whole: WholePass, subject: _Subject, nodes: tuple[int, ...]) -> Tensor:
    """The logits of one target."""
    if whole.rows == "graphs":
        return whole.answer.logits[subject.place]
    if whole.rows == "nodes":
        return whole.answer.logits[subject.offset + nodes[0]]
    aim = Aim(
        nodes=tuple(node + subject.offset for node in nodes),
        graph=subject.place,
        weights=torch.zeros(whole.answer.logits.shape[1]),
    )
    with Blocks(whole, [aim]) as blocks, torch.no_grad():
        return blocks.logits()[0]


def _by(
    method: GraphMethod,
    model: Model,
    whole: WholePass,
    wanted: Sequence[_Wanted],
    digest: str,
    *,
    seed: int,
    most: int,
) -> Iterator[Explanation]:
    """What one method says about targets, as many at once as fit."""
    names = wanted[0].subject.graph.edge_type_names
    types = _edge_types([each.subject for each in wanted])
    size = 1 if whole.alone else most
    fit = _arcs(method, whole)
    start = 0
    while start < len(wanted):
        piece = list(wanted[start : start + size])
        started = time.perf_counter()
        aims = [each.aim for each in piece]
        blocks = Blocks(
            whole,
            aims,
            edge_types=types,
            types=len(names or ()),
            further=getattr(method, "further", 0),
        )
        costs = costs_of(blocks, arcs=fit, dense=getattr(method, "needs_features", True))
        fitting = next(chunks(costs, most=fit))[1]
        if fitting < len(piece):  # hubs: fewer at once
            size = fitting
            continue
        with blocks, torch.enable_grad():
            parts = method.attribute(blocks, seed=seed)
            with torch.no_grad():
                logits = blocks.logits()
        seconds = (time.perf_counter() - started + whole.seconds / len(wanted)) / len(piece)
        cost = Cost(
            forwards=blocks.run.forwards, backwards=blocks.run.backwards, seconds=seconds, device=str(logits.device)
        )
        yield from _finished(method, model, whole, blocks, parts, piece, logits, digest, cost=cost, seed=seed)
        start += len(piece)


def _arcs(method: GraphMethod, whole: WholePass) -> int:
    """How many arcs may be explained at once."""
    if not getattr(method, "gains_by_many", False):
        return ARCS
    nodes = whole.arguments.nodes
    widest = max((int(np.prod(site.shape[1:])) for site in whole.sites if site.shape[:1] == (nodes,)), default=1)
    return max(ARCS, MESSAGES // max(widest, 1))


def _edge_types(subjects: Sequence[_Subject]) -> Tensor | None:
    """The type of each edge of a batch, as far as these graphs have it; None where edges have none."""
    if subjects[0].graph.edge_types is None:
        return None
    last = subjects[-1]
    types = torch.zeros(last.first_edge + last.graph.num_edges, dtype=torch.long)
    for each in {subject.place: subject for subject in subjects}.values():
        assert each.graph.edge_types is not None
        mine = torch.from_numpy(each.graph.edge_types.copy())
        types[each.first_edge : each.first_edge + len(mine)] = mine
    return types


def _finished(
    method: GraphMethod,
    model: Model,
    whole: WholePass,
    blocks: Blocks,
    parts: GraphParts,
    piece: Sequence[_Wanted],
    logits: Tensor,
    digest: str,
    *,
    cost: Cost,
    seed: int,
) -> Iterator[Explanation]:
    scores = blocks.score(logits).tolist()
    nodes = _ranges(blocks.union.block, blocks.count)
    edges = _ranges(blocks.block_of_edge.cpu().numpy(), blocks.count)
    arrays = {name: _array(getattr(parts, name)) for name in _PARTS}
    checks = {name: _array(values) for name, values in parts.checks.items()}
    plain = _array(logits)
    assert plain is not None
    for number, each in enumerate(piece):
        subject, graph = each.subject, each.subject.graph
        mine = {"nodes": nodes[number], "edges": edges[number]}
        found = []
        for name, values in arrays.items():
            if values is not None:
                part = values[mine[name]] if name in mine else values[number]
                found.append(Part(name=name, place="input", axes=_axes(name, part.ndim), values=part))
        yield Explanation(
            method=name_of(method),
            settings=settings_of(method),
            target=each.target,
            score=scores[number],
            logits=plain[number],
            looked_through=whole.answer.looked_through,
            parts=tuple(found),
            checks={name: float(values[number]) for name, values in checks.items() if values is not None},
            notes=(*parts.notes.get(number, ()), *_remarks(found)),
            subject=GraphSubject(
                name=graph.name,
                digest=graph.digest,
                nodes=blocks.union.node[mine["nodes"]] - subject.offset,
                edges=blocks.edge[mine["edges"]] - subject.first_edge,
                hops=blocks.union.hops[mine["nodes"]],
                all_nodes=graph.num_nodes,
                source=graph,
            ),
            model=model.name,
            weights_digest=digest,
            input_digest=graph.digest,
            seed=seed,
            precision=str(logits.dtype).removeprefix("torch."),
            cost=cost,
            versions=versions(),
        )


def _axes(name: str, dimensions: int) -> tuple[str, ...]:
    return ("nodes", "features") if name == "nodes" and dimensions == 2 else (name,)


def _ranges(block: np.ndarray, count: int) -> list[slice]:
    edges = np.searchsorted(block, np.arange(count + 1))
    return [slice(int(a), int(b)) for a, b in itertools.pairwise(edges)]


def _array(tensor: Tensor | None) -> np.ndarray | None:
    if tensor is None:
        return None
    kept = tensor.dtype if tensor.dtype == torch.float64 else torch.float32
    return tensor.detach().to(device="cpu", dtype=kept).contiguous().numpy()


def _remarks(parts: Sequence[Part]) -> Iterator[str]:
    for part in parts:
        values = part.values
        bad = int(values.size - np.isfinite(values).sum())
        if bad:
            yield f"{part.name}: not finite: {bad} of {values.size} values are NaN or infinite"
        elif values.size > 1 and float(values.min()) == float(values.max()):
            yield f"{part.name}: flat (range 0)"
