"""Running graph models: one pass over the whole graph to learn how it passes messages, then many small ones.

A target node depends on its neighbourhood alone, as far as the model has layers. So the neighbourhoods of many targets
are cut out with the normalised weights that they have in the whole graph, laid side by side, and run as one.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pellucid.capture import passes
from pellucid.capture.answers import Answer, read_answer
from pellucid.capture.feature_rows import select_rows
from pellucid.capture.messages import (
    Route,
    Steering,
    convolution_of,
    message_layers,
    noted_routes,
    steered,
    uncached,
)
from pellucid.capture.operations import SOFTMAXES, function_op
from pellucid.capture.provenance import storage_of
from pellucid.capture.recorder import Recorder
from pellucid.capture.sites import Site
from pellucid.capture.undisturbed import undisturbed
from pellucid.capture.unions import Union
from pellucid.errors import OutputError
from pellucid.models.graph_arguments import GraphArguments, meanings

Rows = Literal["nodes", "edges", "graphs"]


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
    rows: Rows
    seconds: float
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


def _rows(module: nn.Module, arguments: GraphArguments, rows: int) -> Rows:
    """What each row of an answer is about, by their number.

    Raises:
        OutputError: It is neither that of the nodes, nor of the graphs, nor of the asked edges.
    """
    if arguments.pairs is not None and rows == arguments.pairs.shape[1]:
        return "edges"
    # Of graphs of one node each, only the model can say what it answers for.
    by_graph = getattr(module, "level", "graph") == "graph" and "batch" in meanings(module).values()
    if rows == arguments.graphs and (rows != arguments.nodes or by_graph):
        return "graphs"
    if rows == arguments.nodes:
        return "nodes"
    raise OutputError(
        f"the model returned {rows} rows for {arguments.graphs} graph{'s' * (arguments.graphs > 1)} of "
        f"{arguments.nodes} nodes, expected one row for each node, each graph or each asked edge."
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deleted:
    """What is taken out of a union, so that the model normalises anew what is left.

    Attributes:
        nodes: bool (nodes,): nodes that are taken out with all their arcs; no targets among them.
        arcs: bool (arcs,): arcs that are taken out.
    """

    nodes: Tensor
    arcs: Tensor


def without(whole: WholePass, union: Union, deleted: Deleted, *, features: Tensor | None = None) -> Tensor:
    """The logits of each block's target after something has really been taken out, (blocks, classes).

    The union must reach one hop further than the model, so that all degrees that count are those of the whole graph.
    """
    device = whole.arguments.x.device
    target = torch.from_numpy(union.target).to(device)
    kept = ~deleted.nodes
    place = kept.cumsum(0) - 1
    cut = _cut(whole.arguments, union, pairs=place[target].T if whole.rows == "edges" else None)
    arcs = ~deleted.arcs & kept[cut.edge_index[0]] & kept[cut.edge_index[1]]

    def per_arc(value: Tensor | None) -> Tensor | None:
        return None if value is None else value[arcs]

    left = replace(
        cut,
        x=select_rows(cut.x if features is None else features, kept.nonzero().flatten()),
        edge_index=place[cut.edge_index[:, arcs]],
        edge_weight=per_arc(cut.edge_weight),
        edge_attr=per_arc(cut.edge_attr),
        edge_type=per_arc(cut.edge_type),
        batch=cut.batch[kept],
        edge_of=cut.edge_of[arcs],
    )
    with undisturbed(whole.module), uncached(whole.module), torch.no_grad(), _Watch(None, {}) as watch:
        output = passes.run_graph(whole.module, left)
    seen = watch.before if whole.answer.looked_through else None
    logits: Tensor = (output if seen is None else seen).flatten(1)
    return logits[place[target[:, 0]]] if whole.rows == "nodes" else logits


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
        self._known: dict[Any, Tensor] = {}
        self._dense: Tensor | None = None
        self._undo = ExitStack()
        self.forwards = self.backwards = 0

    @property
    def features(self) -> Tensor:
        """The features of the union's nodes, (nodes, features), dense; made when first asked for."""
        if self._dense is None:
            self._dense = self._arguments.x.to_dense() if self._arguments.x.is_sparse else self._arguments.x
        return self._dense

    @property
    def attributes(self) -> Tensor | None:
        """The edge features as the model gets them, (arcs, features); of edge types one column each."""
        return self._arguments.edge_attr

    @property
    def given_features(self) -> Tensor:
        """The same as they are, dense or sparse."""
        return self._arguments.x

    def __enter__(self) -> "GraphRun":
        self._undo.enter_context(undisturbed(self._whole.module))
        self._undo.enter_context(steered(self._whole.module, self._steering))
        return self

    def __exit__(self, *exception: object) -> None:
        self._undo.close()
        self._known.clear()

    def logits(
        self, *, features: Tensor | None = None, mask: Tensor | None = None, attributes: Tensor | None = None
    ) -> Tensor:
        """The logits of each block's target, (blocks, classes); differentiable in what is given.

        Args:
            features: Other features of the union's nodes, (nodes, features); None for their own.
            mask: A factor for the messages along each arc of the union, (arcs,); None for none.
            attributes: Other edge features, (arcs, features); None for their own.
        """
        arguments = self._arguments if features is None else self._arguments.with_features(features)
        arguments = arguments if attributes is None else replace(arguments, edge_attr=attributes)
        fixed = self._arguments.x if features is None else None
        with self._steering.passing(mask), _Watch(fixed, self._known) as watch:
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


class _Watch(TorchFunctionMode):
    """Sees what goes into the last softmax, and computes what the fixed features alone make only once."""

    def __init__(self, fixed: Tensor | None, known: dict[Any, Tensor]) -> None:
        super().__init__()
        self.before: Tensor | None = None
        self._fixed = fixed
        self._known = known

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        op = function_op(function)
        if op in SOFTMAXES and args:
            self.before = args[0]
        if self._fixed is not None and args and args[0] is self._fixed:
            if op == "dropout" and kwargs.get("training", args[2] if len(args) > 2 else True) is False:
                return self._fixed
            if op in ("linear", "matmul", "mm") and not any(
                isinstance(a, Tensor) and a.requires_grad for a in args[1:]
            ):
                key = (op, *((storage_of(a), a.shape, a.stride()) for a in args[1:] if isinstance(a, Tensor)))
                if key not in self._known:
                    self._known[key] = function(*args, **kwargs)
                return self._known[key]
        return function(*args, **kwargs)


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
    """What belongs to the nodes and arcs of the blocks, as the arguments of a model."""
    device = whole.x.device
    nodes, arcs = torch.from_numpy(union.node).to(device), torch.from_numpy(union.arc).to(device)

    def per_arc(value: Tensor | None) -> Tensor | None:
        return None if value is None else value[arcs]

    return GraphArguments(
        x=select_rows(whole.x, nodes),
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
