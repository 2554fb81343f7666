"""Tracing graph models: the sites of a pass over a graph, and for every node its steps with all numbers."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor, nn

from pellucid.capture import passes
from pellucid.capture.graph_steps import Floats, Flow, Layer, LayerSteps, ReadoutSteps, flow, layer_steps
from pellucid.capture.messages import convolution_of, message_layers, noted_routes
from pellucid.capture.node_steps import NodeSteps
from pellucid.capture.recorder import Recorder
from pellucid.capture.sites import Site, select_all
from pellucid.capture.trace import LIMIT, SUMMARY, Keep, Trace, check_size
from pellucid.capture.undisturbed import undisturbed
from pellucid.errors import MethodError, SettingError, SiteError
from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_archive import graph_from_record, graph_to_record
from pellucid.models.graph_arguments import GraphArguments, arguments_of
from pellucid.models.graph_layers import GraphConvolution
from pellucid.models.model import Model
from pellucid.models.readouts import MaxReadout, MeanReadout, SumReadout

_READOUTS: Mapping[type[nn.Module], str] = {MeanReadout: "mean", SumReadout: "sum", MaxReadout: "max"}
_ELEMENTWISE = ("activation", "norm", "dropout", "identity")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class GraphTrace(Trace):
    """The sites of one pass over a graph; and, where values were kept, the steps of every node.

    Attributes:
        graph: The graph.
        layers: The graph convolutions, in order; empty unless values were kept and the model has such layers.
        readout_kind: "mean", "sum" or "max"; None where there is no readout that is known.
        head: Weight (channels, classes) and bias of the linear layer after the readout, or None.
        class_names: Names of the classes, or None.
        for_edges: Whether the model answers for edges; there may be as many of them as nodes.
    """

    graph: Graph
    layers: tuple[Layer, ...] = ()
    readout_kind: str | None = None
    head: tuple[Floats, Floats | None] | None = None
    class_names: tuple[str, ...] | None = None
    for_edges: bool = False

    def node(self, node: int | str) -> NodeSteps:
        """What happens to one node, layer by layer, with its numbers.

        Args:
            node: Its number, or its name.

        Raises:
            SettingError: There is no such node.
            SiteError: Values were not kept, or the model has no graph convolution.
        """
        number = self._number(node)
        self._require_layers()
        degrees = self.graph.degrees(self_loops=True)
        steps = tuple(layer_steps(layer, number, names=_Names(self.graph), degrees=degrees) for layer in self.layers)
        logits = None
        rows = 0 if self.output is None or self.readout_kind is not None or self.for_edges else len(self.output)
        if self.output is not None and rows == self.graph.num_nodes:
            logits = self.output[number].double().cpu().numpy()
        return NodeSteps(
            node=number,
            name=self.graph.node_name(number),
            neighbours=self.graph.neighbours(number),
            layers=steps,
            logits=logits,
            class_names=self.class_names,
            label=None if self.graph.labels is None else int(self.graph.labels[number]),
            featureless=self.graph.featureless,
        )

    def readout(self) -> ReadoutSteps:
        """How the nodes' vectors become the logits of the graph.

        Raises:
            SiteError: Values were not kept, or the model has no readout that is known.
        """
        self._require_layers()
        if self.readout_kind is None or self.head is None or self.output is None:
            raise SiteError("this model has no mean, sum or max readout with one linear layer after it.")
        vectors = self._handed_on()
        matrix, bias = self.head
        whole = {"mean": vectors.mean(axis=0), "sum": vectors.sum(axis=0), "max": vectors.max(axis=0)}
        return ReadoutSteps(
            kind=self.readout_kind,
            vectors=vectors,
            pooled=whole[self.readout_kind],
            matrix=matrix,
            bias=bias,
            logits=self.output[0].double().cpu().numpy(),
        )

    def flow(self, *, target: int, node: int | str | None = None) -> Flow:
        """What reaches a logit from every node, feature and arc, through all layers.

        Args:
            target: The number of the logit.
            node: The node whose logit it is; None for that of the whole graph.

        Raises:
            SettingError: There is no such node or logit, or a node is missing or too many.
            SiteError: Values were not kept.
            MethodError: Between layers there is more than a ReLU.
        """
        self._require_layers()
        if self.output is None or not 0 <= target < self.output.shape[-1]:
            count = 0 if self.output is None else self.output.shape[-1]
            raise SettingError("target", given=target, expected=f"0 to {count - 1}")
        if (node is None) != (self.readout_kind is not None):
            expected = "a node" if self.readout_kind is None else "no node: this model answers for the graph"
            raise SettingError("node", given=node, expected=expected)
        if node is not None:
            number = self._number(node)
            start = np.zeros(self.layers[-1].inputs.shape[:1] + self.layers[-1].matrix.shape[1:])
            if start.shape[1] != self.output.shape[1]:
                raise MethodError(
                    "after the last graph convolution comes more than the logits; look at one layer alone."
                )
            start[number, target] = 1.0
            logit = float(self._last_values()[number, target])
            return flow(self.layers, start=start, target=target, logit=logit, above=())
        steps = self.readout()
        share = np.zeros_like(steps.vectors)
        np.divide(steps.parts, steps.vectors, out=share, where=steps.vectors != 0)
        if steps.kind != "max":
            share[:] = 1.0 if steps.kind == "sum" else 1.0 / len(steps.vectors)
        bias = 0.0 if steps.bias is None else float(steps.bias[target])
        start = share * steps.matrix[:, target]
        return flow(self.layers, start=start, target=target, logit=float(steps.logits[target]), above=(bias,))

    def steps(self, node: int | str, layer: int) -> LayerSteps:
        """What one layer does for one node; layers are numbered from 0."""
        found = self.node(node).layers
        if not 0 <= layer < len(found):
            raise SettingError("layer", given=layer, expected=f"0 to {len(found) - 1}")
        return found[layer]

    def to_record(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """As JSON types, and the arrays that belong to them."""
        record, arrays = Trace.to_record(self)
        record["graph"], mine = graph_to_record(self.graph)
        arrays |= {f"graph {name}": value for name, value in mine.items()}
        record["layers"] = []
        for number, layer in enumerate(self.layers):
            row, mine = layer.to_record()
            record["layers"].append(row)
            arrays |= {f"layer {number} {name}": value for name, value in mine.items()}
        record["readout"], record["for_edges"] = self.readout_kind, self.for_edges
        record["class_names"] = None if self.class_names is None else list(self.class_names)
        if self.head is not None:
            arrays["head matrix"] = self.head[0]
            if self.head[1] is not None:
                arrays["head bias"] = self.head[1]
        return record, arrays

    @classmethod
    def _fields_of(cls, record: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
        def under(prefix: str) -> dict[str, Any]:
            return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}

        names = record["class_names"]
        return {
            **Trace._fields_of(record, arrays),
            "graph": graph_from_record(record["graph"], under("graph ")),
            "layers": tuple(Layer.from_record(row, under(f"layer {i} ")) for i, row in enumerate(record["layers"])),
            "readout_kind": record["readout"],
            "head": (arrays["head matrix"], arrays.get("head bias")) if "head matrix" in arrays else None,
            "class_names": None if names is None else tuple(names),
            "for_edges": record["for_edges"],
        }

    def _number(self, node: int | str) -> int:
        names = self.graph.node_names
        if isinstance(node, str) and names is not None and node in names:
            return names.index(node)
        if isinstance(node, bool) or not isinstance(node, int | np.integer) or not 0 <= node < self.graph.num_nodes:
            hint = "" if names is None else f"or a name such as {names[0]!r}"
            raise SettingError("node", given=node, expected=f"0 to {self.graph.num_nodes - 1}", hint=hint)
        return int(node)

    def _require_layers(self) -> None:
        if self.keep != "values":
            raise SiteError("the steps of a node need the values of this pass; trace with keep='values'.")
        if not self.layers:
            raise SiteError(
                "this model has no chain of graph convolutions whose steps are known (pellucid's GraphConvolution, "
                "PyG's GCNConv); its sites have all values."
            )

    def _last_values(self) -> Floats:
        last = self.layers[-1]
        receivers = last.arcs[1]
        sums = np.zeros((last.inputs.shape[0], last.matrix.shape[1]))
        sent = last.rows(np.arange(last.inputs.shape[0])) @ last.matrix
        np.add.at(sums, receivers, last.weights[:, None] * sent[last.arcs[0]])
        return sums if last.bias is None else sums + last.bias

    def _handed_on(self) -> Floats:
        last = self.layers[-1]
        return last.then[-1][2] if last.then else self._last_values()


def trace_graph(
    model: Model,
    graph: Graph,
    *,
    sites: str | Iterable[str] | None = None,
    keep: Keep = "values",
    limit: int = LIMIT,
) -> GraphTrace:
    """Run one pass over a graph and record every site; see `pellucid.trace`.

    Raises:
        SiteError, CapacityError, InputError, ModelError: As `pellucid.trace`.
    """
    module, arguments = model.module, arguments_of(model.module, [graph])
    if keep == "values":
        known, _, _, _ = _pass(module, arguments, wants=None, statistics="none")
        chosen = known.sites() if sites is None else select_all(sites, known.sites(), known.aliases)
        check_size(chosen, items=1, limit=limit, what="graph")
        names = {site.name for site in chosen}
    else:
        names = set()
    started = time.perf_counter()
    recorder, output, routes, seen = _pass(
        module,
        arguments,
        wants=(lambda name, *_: name in names) if keep == "values" else None,
        statistics=SUMMARY[keep],
    )
    seconds = time.perf_counter() - started
    if sites is not None:
        select_all(sites, recorder.sites(), recorder.aliases)
    found = recorder.sites()
    layers = _layers(module, found, recorder.aliases, routes, seen) if keep == "values" else ()
    kind, head = _head(module) if layers else (None, None)
    return GraphTrace(
        sites=found,
        aliases=dict(recorder.aliases),
        model=model.name,
        weights_digest=model.weights_digest,
        input_shape=tuple(arguments.x.shape),
        output=output.detach() if isinstance(output, Tensor) else None,
        keep=keep,
        seconds=seconds,
        graph=graph,
        layers=layers,
        readout_kind=kind,
        head=head,
        class_names=model.class_names or graph.class_names,
        for_edges=arguments.pairs is not None,
    )


def _pass(
    module: nn.Module, arguments: GraphArguments, *, wants: Any, statistics: Any
) -> tuple[Recorder, Any, Any, dict[str, list[Tensor]]]:
    """One recorded pass; along which arcs messages passed, and what each graph convolution was given."""
    seen: dict[str, list[Tensor]] = {}
    with undisturbed(module) as weights, torch.no_grad(), noted_routes(module) as routes, ExitStack() as undo:
        for name, part in _convolutions(module).items():

            def before(_: nn.Module, given: tuple[Any, ...], kwargs: dict[str, Any], name: str = name) -> None:
                seen.setdefault(name, []).append((given[0] if given else kwargs["x"]).detach())

            undo.callback(part.register_forward_pre_hook(before, with_kwargs=True).remove)
        recorder = Recorder(module, wants=wants, statistics=statistics, before_write=weights.before_write)
        output = passes.forward_graph(module, arguments.clone(), recorder)
    return recorder, output, routes, seen


def _convolutions(module: nn.Module) -> dict[str, Any]:
    """The layers Z = Â H W + b, by name: ours, and PyG's of that form."""
    found = {}
    parts = dict(module.named_modules())
    for name, part in message_layers(module).items():
        layer = parts[convolution_of(name, part)]
        if isinstance(layer, GraphConvolution) or type(layer).__name__ == "GCNConv":
            found[convolution_of(name, part)] = layer
    return found


def _layers(
    module: nn.Module,
    sites: Sequence[Site],
    aliases: Mapping[str, str],
    routes: Mapping[str, Sequence[Any]],
    seen: Mapping[str, Sequence[Tensor]],
) -> tuple[Layer, ...]:
    """The graph convolutions in the order in which they ran; nothing if one is called twice or others pass messages."""
    convolutions = _convolutions(module)
    others = {convolution_of(name, part) for name, part in message_layers(module).items()} - set(convolutions)
    if others or any(len(calls) != 1 for calls in seen.values()) or not seen:
        return ()
    by_name = {site.name: site for site in sites}
    found = []
    for name, [inputs] in seen.items():
        layer = convolutions[name]
        linear = layer.linear if isinstance(layer, GraphConvolution) else layer.lin
        route_name = f"{name}.normalise" if isinstance(layer, GraphConvolution) else name
        route = routes[route_name][0]
        weights = route.constants.get("weights", route.constants.get("edge_weight"))
        if weights is None:  # PyG without normalisation and weights: every message counts alike
            weights = torch.ones(route.arcs.shape[1])
        found.append(
            Layer(
                name=name,
                inputs=_matrix(inputs),
                arcs=route.arcs.cpu().numpy().copy(),
                weights=_numbers(weights),
                matrix=_numbers(linear.weight).T.copy(),
                bias=None if layer.bias is None else _numbers(layer.bias),
                then=_then(aliases.get(name, name), sites, by_name),
            )
        )
    return tuple(found)


def _then(start: str, sites: Sequence[Site], by_name: Mapping[str, Site]) -> tuple[tuple[str, str, Floats], ...]:
    """What is done to each value on its own after a site, step by step, as far as nothing else uses it."""
    found: list[tuple[str, str, Floats]] = []
    current = start
    while True:
        users = [site for site in sites if current in site.inputs]
        alone = [site for site in users if site.inputs == (current,) and site.shape == by_name[current].shape]
        if len(users) != 1 or len(alone) != 1 or alone[0].kind not in _ELEMENTWISE or alone[0].values is None:
            return tuple(found)
        found.append((alone[0].name, alone[0].op, _numbers(alone[0].values)))
        current = alone[0].name


def _head(module: nn.Module) -> tuple[str | None, tuple[Floats, Floats | None] | None]:
    """The readout and the linear layer after it, of our own networks."""
    kind = next((_READOUTS[type(part)] for part in module.modules() if type(part) in _READOUTS), None)
    last = getattr(module, "classify", None)
    if kind is None or not isinstance(last, nn.Linear) or getattr(module, "every_layer", False):
        return None, None
    return kind, (_numbers(last.weight).T.copy(), None if last.bias is None else _numbers(last.bias))


def _matrix(inputs: Tensor) -> Any:
    if not inputs.is_sparse:
        return _numbers(inputs)
    inputs = inputs.coalesce()
    rows, columns = inputs.indices().cpu().numpy()
    return scipy.sparse.csr_array((_numbers(inputs.values()), (rows, columns)), shape=tuple(inputs.shape))


def _numbers(tensor: Tensor) -> Floats:
    return tensor.detach().double().cpu().numpy().copy()


class _Names(Mapping[int, str]):
    """What nodes are called, looked up one by one."""

    def __init__(self, graph: Graph) -> None:
        self._of: Callable[[int], str] = graph.node_name
        self._count = graph.num_nodes

    def __getitem__(self, node: int) -> str:
        return self._of(node)

    def __iter__(self) -> Any:
        return iter(range(self._count))

    def __len__(self) -> int:
        return self._count
