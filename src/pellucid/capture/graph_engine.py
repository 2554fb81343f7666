"""Running graph models: one pass over the whole graph to learn how it passes messages, then many small ones.

A target node depends on its neighbourhood alone, as far as the model has layers. So the neighbourhoods of many targets
are cut out with the normalised weights that they have in the whole graph, laid side by side, and run as one.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pellucid.capture import passes
from pellucid.capture.answers import Answer, read_answer
from pellucid.capture.graph_rows import Known, Rows, Watch
from pellucid.capture.messages import (
    Route,
    Steering,
    convolution_of,
    message_layers,
    narrowed,
    noted_routes,
    steered,
    uncached,
)
from pellucid.capture.provenance import storage_of
from pellucid.capture.recorder import Recorder
from pellucid.capture.sites import Site
from pellucid.capture.undisturbed import undisturbed
from pellucid.capture.unions import Union
from pellucid.errors import OutputError
from pellucid.models.graph_arguments import GraphArguments, meanings

RowsOf = Literal["nodes", "edges", "graphs"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WholePass:
    """What one pass over a whole graph, or a batch of graphs, has shown.

    Attributes:
        module: The model.
        arguments: What it was given.
        answer: The logits: a row for each node, each asked edge or each graph.
        sites: The sites, without values.
        routes: Along which arcs each layer passed messages.
        aliases: Containers and the sites that they stand for.
        depth: How many layers one after the other pass messages on the way to the answer.
        reach: The same for the values of each site that leads to the answer.
        rows: What a row of the answer is about.
        seconds: How long it took.
        known: What of its features is computed only once.
        coupled: Whether every node depends on all others, as where features are normalised over the graph; then a block
            is the whole graph.
    """

    module: nn.Module
    arguments: GraphArguments
    answer: Answer
    sites: tuple[Site, ...]
    aliases: Mapping[str, str]
    routes: Mapping[str, Sequence[Route]]
    depth: int
    reach: Mapping[str, int]
    rows: RowsOf
    seconds: float
    known: Known
    coupled: bool = False

    @property
    def alone(self) -> bool:
        """Whether blocks cannot lie side by side: the model takes all nodes for one graph, or couples them all."""
        return self.coupled or (self.rows == "graphs" and not {"batch", "data"} & set(meanings(self.module).values()))


def whole_pass(module: nn.Module, arguments: GraphArguments) -> WholePass:
    """Run the whole graph once and note how messages pass.

    Raises:
        OutputError: The model's output is no table of logits.
        ModelError: The model refuses the graph; its own words are kept.
    """
    spans: list[tuple[int, int]] = []
    started = time.perf_counter()
    with undisturbed(module) as weights, torch.enable_grad(), noted_routes(module) as routes, ExitStack() as undo:
        recorder = Recorder(module, before_write=weights.before_write)
        _note_spans(module, recorder, spans, undo)
        # What depends on features of nodes or edges is known by its derivative.
        x = arguments.x.detach()
        x = x if x.is_sparse else x.clone().requires_grad_(True)
        attributes = None if arguments.edge_attr is None else arguments.edge_attr.detach().clone().requires_grad_(True)
        output = passes.forward_graph(module, replace(arguments, x=x, edge_attr=attributes), recorder)
        rows = len(output) if isinstance(output, Tensor) and output.dim() else 0
        answer = read_answer(recorder, output, items=rows)
    reach = _reach(recorder, spans)
    return WholePass(
        module=module,
        arguments=arguments,
        answer=Answer(logits=answer.logits.detach(), looked_through=answer.looked_through),
        sites=recorder.sites(),
        aliases=dict(recorder.aliases),
        routes=routes,
        depth=max((reach[name] for name in recorder.output_sites if name in reach), default=0),
        reach=reach,
        rows=_rows(module, arguments, rows),
        seconds=time.perf_counter() - started,
        known=Known(x=arguments.x, weights=frozenset(storage_of(each) for each in module.parameters())),
    )


def site_values(whole: WholePass, names: Collection[str]) -> dict[str, Tensor]:
    """What some sites return for the whole graph, from one pass without gradients.

    Raises:
        SiteError: This pass does not come by a site.
    """
    module = whole.module
    with undisturbed(module) as weights, uncached(module), torch.no_grad():
        recorder = Recorder(module, wants=lambda name, *_: name in names, before_write=weights.before_write)
        passes.forward_graph(module, whole.arguments.clone(), recorder)
    return {name: recorder.value(name) for name in names}


def _rows(module: nn.Module, arguments: GraphArguments, rows: int) -> RowsOf:
    """What each row of an answer is about, by their number.

    Raises:
        OutputError: It is neither that of the nodes, nor of the graphs, nor of the asked edges.
    """
    if arguments.pairs is not None and rows == arguments.pairs.shape[1]:
        return "edges"
    if rows == arguments.graphs == arguments.nodes:
        return _rows_of_single_nodes(module, arguments)
    if rows == arguments.graphs:
        return "graphs"
    if rows == arguments.nodes:
        return "nodes"
    raise OutputError(
        f"the model returned {rows} rows for {arguments.graphs} graph{'s' * (arguments.graphs > 1)} of "
        f"{arguments.nodes} nodes, expected one row for each node, each graph or each asked edge."
    )


def _rows_of_single_nodes(module: nn.Module, arguments: GraphArguments) -> RowsOf:
    """What the rows are about where every graph has one node: the model says it, or a second node in each shows it."""
    known: str | None = getattr(module, "level", None)
    if known in ("graph", "node"):
        return "graphs" if known == "graph" else "nodes"
    twice = {name: getattr(arguments, name).repeat_interleave(2, dim=0) for name in ("x", "batch")}
    with undisturbed(module), uncached(module), torch.no_grad():
        output = passes.run_graph(module, replace(arguments, edge_index=2 * arguments.edge_index, **twice))
    return "graphs" if len(output) == arguments.graphs else "nodes"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deleted:
    """What is taken out of a union, so that the model normalises anew what is left.

    Attributes:
        nodes: bool (nodes,): nodes that are taken out with all their arcs; no targets among them.
        arcs: bool (arcs,): arcs that are taken out.
    """

    nodes: Tensor
    arcs: Tensor


def without(whole: WholePass, union: Union, deleted: Deleted, *, scale: Tensor | None = None) -> Tensor:
    """The logits of each block's target after something has really been taken out, (blocks, classes).

    The union must reach one hop further than the model, so that all degrees that count are those of the whole graph.

    Args:
        whole: The pass over the whole graph.
        union: The blocks.
        deleted: What is taken out.
        scale: A factor for the features of each node, (nodes, 1); None for none.
    """
    device = whole.arguments.x.device
    target, node = torch.from_numpy(union.target).to(device), torch.from_numpy(union.node).to(device)
    near = torch.from_numpy(union.hops).to(device) < max(whole.depth, 1)
    left, arcs = _cut(whole.arguments, union, pairs=target.T if whole.rows == "edges" else None), ~deleted.arcs
    if bool(deleted.nodes.any()):
        kept = ~deleted.nodes
        place = kept.cumsum(0) - 1
        arcs &= kept[left.edge_index[0]] & kept[left.edge_index[1]]
        node, near, target = node[kept], near[kept], place[target]
        left = replace(
            left,
            edge_index=place[left.edge_index],
            batch=left.batch[kept],
            pairs=target.T if whole.rows == "edges" else None,
        )
        scale = None if scale is None else scale[kept]

    there = arcs.nonzero().flatten()

    def per_arc(value: Tensor | None) -> Tensor | None:
        return None if value is None else value.index_select(0, there)

    rows = Rows(whole.known, node)
    rows = rows if scale is None else rows.scaled(scale, None)
    left = replace(
        left,
        x=rows.stand_in,
        edge_index=left.edge_index.index_select(1, there),
        edge_weight=per_arc(left.edge_weight),
        edge_attr=per_arc(left.edge_attr),
        edge_type=per_arc(left.edge_type),
        edge_of=left.edge_of.index_select(0, there),
    )
    with ExitStack() as stack:
        for context in (undisturbed(whole.module), uncached(whole.module), narrowed(whole.module, near)):
            stack.enter_context(context)
        stack.enter_context(torch.no_grad())
        watch = stack.enter_context(Watch(rows))
        output = passes.run_graph(whole.module, left)
    seen = watch.before if whole.answer.looked_through else None
    logits: Tensor = output if seen is None else seen
    logits = logits.reshape(len(logits), -1)
    return logits[target[:, 0]] if whole.rows == "nodes" else logits


class GraphRun:
    """Runs blocks of a union, with other features and with masked messages; a context in which the model is ours.

    Args:
        whole: The pass over the whole graph.
        union: The blocks.
    """

    def __init__(self, whole: WholePass, union: Union) -> None:
        self.union = union
        self._whole = whole
        self._steering = _steering(whole, union)
        self._rows = whole.rows
        self._target = torch.from_numpy(union.target).to(whole.arguments.x.device)
        self._arguments = _cut(whole.arguments, union, pairs=self._target.T if self._rows == "edges" else None)
        self._features = Rows(whole.known, torch.from_numpy(union.node).to(whole.arguments.x.device))
        self._undo = ExitStack()
        self.forwards = self.backwards = 0

    @property
    def features(self) -> Tensor:
        """The features of the union's nodes, (nodes, features), dense."""
        return self._features.dense()

    def nonzero(self) -> tuple[Tensor, Tensor] | None:
        """The node and the feature of each value that is not 0; None where these are too many to be kept apart."""
        return self._features.nonzero()

    @property
    def attributes(self) -> Tensor | None:
        """The edge features as the model gets them, (arcs, features); of edge types one column each."""
        return self._arguments.edge_attr

    def __enter__(self) -> "GraphRun":
        self._undo.enter_context(undisturbed(self._whole.module))
        self._undo.enter_context(steered(self._whole.module, self._steering))
        return self

    def __exit__(self, *exception: object) -> None:
        self._undo.close()

    def logits(
        self,
        *,
        features: Tensor | None = None,
        mask: Tensor | None = None,
        scale: Tensor | None = None,
        scale_of: Tensor | None = None,
        attributes: Tensor | None = None,
    ) -> Tensor:
        """The logits of each block's target, (blocks, classes); differentiable in what is given.

        Args:
            features: Other features of the union's nodes, (nodes, features); None for their own.
            mask: A factor for the messages along each arc of the union, (arcs,); None for none.
            scale: Factors for their own features instead, (nodes or scales, 1 or features); or, (values,), for each
                value that `nonzero` names.
            scale_of: Which row of `scale` belongs to each node; None where they are the same.
            attributes: Other edge features, (arcs, features); None for their own.
        """
        rows = self._features if scale is None else self._features.scaled(scale, scale_of)
        arguments = self._arguments.with_features(rows.stand_in if features is None else features)
        arguments = arguments if attributes is None else replace(arguments, edge_attr=attributes)
        with self._steering.passing(mask), Watch(rows if features is None else None) as watch:
            output = passes.run_graph(self._whole.module, arguments)
        self.forwards += 1
        seen = watch.before if self._whole.answer.looked_through else None
        return self._of_targets(output if seen is None else seen)

    def read(self, site: str) -> tuple[Tensor, Tensor]:
        """The logits of each block's target and the values of a site, as parts of one autograd graph.

        Raises:
            SiteError: This pass does not come by the site.
        """
        logits, [values] = self.read_all([site], self.features.detach().clone().requires_grad_(True))
        return logits, values

    def read_all(self, sites: Sequence[str], features: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The same for several sites, with given features of the union's nodes, (nodes, features)."""
        module = self._whole.module
        recorder = Recorder(module, wants=lambda name, *_: name in sites, live=True)
        with self._steering.passing(None):
            output = passes.forward_graph(module, self._arguments.with_features(features), recorder)
        self.forwards += 1
        logits = read_answer(recorder, output, items=len(output)).logits
        return self._of_targets(logits), [recorder.value(site) for site in sites]

    def _of_targets(self, logits: Tensor) -> Tensor:
        logits = logits.reshape(len(logits), -1)
        return logits[self._target[:, 0]] if self._rows == "nodes" else logits


def _steering(whole: WholePass, union: Union) -> Steering:
    """The routes of every layer inside the blocks, with the weights that they have in the whole graph."""
    nodes, device = whole.arguments.nodes, whole.arguments.x.device
    places: dict[bytes, tuple[Tensor, Tensor]] = {}
    routes: dict[str, list[Route]] = {}
    for name, calls in whole.routes.items():
        for route in calls:
            arcs = route.arcs.cpu().numpy()
            key = arcs.tobytes()
            if key not in places:
                inside, chosen = union.route(arcs, depth=max(whole.depth, 1), of_all=nodes)
                places[key] = (torch.from_numpy(inside).to(device), torch.from_numpy(chosen).to(device))
            there, chosen_arcs = places[key]
            constants = {each: value[chosen_arcs] for each, value in route.constants.items()}
            routes.setdefault(name, []).append(Route(arcs=there, constants=constants, fixed=route.fixed))
    return Steering(routes=routes, given=torch.from_numpy(union.arcs).to(device), nodes=len(union.node))


def _cut(whole: GraphArguments, union: Union, *, pairs: Tensor | None) -> GraphArguments:
    """What belongs to the nodes and arcs of the blocks, as the arguments of a model, features left out."""
    device = whole.x.device
    arcs = torch.from_numpy(union.arc).to(device)

    def per_arc(value: Tensor | None) -> Tensor | None:
        return None if value is None else value[arcs]

    return GraphArguments(
        x=whole.x.new_zeros((0, whole.x.shape[1])),
        edge_index=torch.from_numpy(union.arcs).to(device),
        edge_weight=per_arc(whole.edge_weight),
        edge_attr=per_arc(whole.edge_attr),
        edge_type=per_arc(whole.edge_type),
        batch=torch.from_numpy(union.block).to(device),
        graphs=union.blocks,
        edge_of=whole.edge_of[arcs],
        pairs=pairs,
    )


def _note_spans(module: nn.Module, recorder: Recorder, spans: list[tuple[int, int]], undo: ExitStack) -> None:
    """Note which sites were made inside of each call of a layer that passes messages."""
    parts = dict(module.named_modules())
    begun: list[int] = []

    def before(_: nn.Module, __: Any) -> None:
        begun.append(len(recorder.calls))

    def after(_: nn.Module, __: Any, ___: Any) -> None:
        spans.append((begun.pop(), len(recorder.calls)))

    for name in {convolution_of(name, part) for name, part in message_layers(module).items()}:
        undo.callback(parts[name].register_forward_pre_hook(before).remove)
        undo.callback(parts[name].register_forward_hook(after).remove)


def _reach(recorder: Recorder, spans: Sequence[tuple[int, int]]) -> dict[str, int]:
    """For each site that leads to the output, the largest number of layers up to it that pass messages in turn."""
    inside = {number: span for span in spans for number in range(*span)}
    order = {call.name: number for number, call in enumerate(recorder.calls)}
    depth: list[int] = []
    for number, call in enumerate(recorder.calls):
        mine, found = inside.get(number), 1 if number in inside else 0
        for name in call.inputs:
            if name in order:
                same = mine is not None and inside.get(order[name]) == mine
                found = max(found, depth[order[name]] + (mine is not None and not same))
        depth.append(found)
    leads = {order[name] for name in recorder.output_sites if name in order}
    for number in range(len(recorder.calls) - 1, -1, -1):
        if number in leads:
            leads |= {order[name] for name in recorder.calls[number].inputs if name in order}
    return {call.name: depth[number] for number, call in enumerate(recorder.calls) if number in leads}
