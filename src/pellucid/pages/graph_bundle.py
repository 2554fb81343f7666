"""A bundle of a graph: all that a page needs about one graph in one model. JSON and arrays, no live model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid import archive
from pellucid.capture.batches import as_graph
from pellucid.capture.graph_trace import GraphTrace, trace_graph
from pellucid.errors import CapacityError, MethodError, PellucidError, SettingError, SiteError, TargetError
from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_archive import graph_from_record, graph_to_record
from pellucid.methods.explaining import explain_many, versions
from pellucid.methods.explanation import Explanation
from pellucid.methods.graph_subject import GraphSubject
from pellucid.methods.graph_targets import asks_of_all
from pellucid.models.model import Model
from pellucid.pages.bundle_record import VERSION, as_record, require, without_folders
from pellucid.pages.graph_measuring import flow_of, graph_facts, node_record, readout_record, true_class
from pellucid.pages.measuring import answer_record, card_summary

METHODS = ("gnn-explainer", "integrated-gradients", "occlusion")
_ABOUT = "graph"
_COPIES = 60_000_000
"""Messages of all copies of a graph that occlusion runs unasked; beyond, it would take minutes."""
_PARTS = ("model", "graph", "facts", "answer", "sites", "explanations", "methods_left_out", "assumed", "versions")
_OF_SUBJECT = ("node numbers", "edge numbers", "hops")

Progress = Callable[[int, int], None]


# Without slots, since a page asks for the explanations again and again, and each time the graph would be checked anew.
@dataclass(frozen=True, kw_only=True, eq=False)
class GraphBundle:
    """What is known about one graph in one model, ready to be shown.

    Attributes:
        record: Everything but the arrays, in JSON types; its key `about` says "graph".
        arrays: The graph's arrays, the messages of the first layer, the flow, and the explanations' arrays.
    """

    record: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]

    @cached_property
    def graph(self) -> Graph:
        """The whole graph."""
        return graph_from_record(self.record["graph"], self._under("graph "))

    @cached_property
    def explanations(self) -> tuple[Explanation, ...]:
        """The explanations, as they were made."""
        graph, found = self.graph, []
        for i, record in enumerate(self.record["explanations"]):
            mine = self._under(f"explanation {i} ")
            node_numbers, edge_numbers, hops = (mine.pop(f"subject {name}") for name in _OF_SUBJECT)
            subject = GraphSubject(
                name=graph.name,
                digest=graph.digest,
                nodes=node_numbers,
                edges=edge_numbers,
                hops=hops,
                all_nodes=graph.num_nodes,
                source=graph,
            )
            found.append(replace(Explanation.from_record({**record, "subject": None}, mine), subject=subject))
        return tuple(found)

    def save(self, path: str | Path) -> Path:
        """Save as `path`.json and `path`.safetensors; `Bundle.load` reads it back.

        Returns:
            The path of the JSON file.
        """
        return archive.write(path, kind="bundle", record=self.record, arrays=self.arrays)

    @classmethod
    def from_saved(
        cls, record: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], *, name: str
    ) -> "GraphBundle":
        """From what a file holds; `Bundle.load` reads bundles of pictures and of graphs.

        Raises:
            ArchiveError: Something is missing; names it.
        """
        require(_PARTS, record, ("graph edges",), arrays, name=name)
        return cls(record=record, arrays=arrays)

    def _under(self, start: str) -> dict[str, npt.NDArray[Any]]:
        return {name.removeprefix(start): value for name, value in self.arrays.items() if name.startswith(start)}

    def __repr__(self) -> str:
        megabytes = sum(array.nbytes for array in self.arrays.values()) / 1e6
        methods = ", ".join(record["method"] for record in self.record["explanations"])
        name, model = self.record["graph"]["name"], self.record["model"]["name"]
        return f"<GraphBundle of {name!r} in {model!r}: {methods}, {megabytes:.1f} MB>"


def make_graph_bundle(
    model: Model,
    graph: Graph,
    *,
    methods: Sequence[str] | None = None,
    target: str = "graph",
    seed: int = 0,
    remark: str | None = None,
    command: str | None = None,
    progress: Progress | None = None,
) -> GraphBundle:
    """Ask a model about a graph and keep what a page needs.

    Args:
        model: The model; it is left exactly as it was.
        graph: The graph.
        methods: Methods by name or in text form, one or more; None takes those of `METHODS` that apply, and the bundle
            says what was left out and why.
        target: What to explain: `node:17`, `edge:3-17`, `graph`, each also with a class.
        seed: For every random draw.
        remark: What a reader should know about this graph before anything else.
        command: The command that made the page, for its foot; folders are left out.
        progress: Called with the steps done and the steps in all.

    Raises:
        InputError, ModelError, MethodError, TargetError: Something cannot be used; says what to do.
        SettingError: No method.
    """
    if methods is not None and (isinstance(methods, str) or not methods):
        raise SettingError("methods", given=methods, expected="a list with at least one method", hint=f"e.g. {METHODS}")
    if asks_of_all(target):
        raise TargetError(
            f"target {target!r} is about all of them, and a page is about one; name one, or say pellucid graph explain."
        )
    graph = as_graph(model, graph)
    steps = len(METHODS if methods is None else methods) + 1
    explanations, left_out = _explained(
        model, graph, methods, target, seed, done=lambda step: progress(step, steps) if progress else None
    )
    first = explanations[0]
    kept, unkept = _traced(model, graph)
    record, arrays = graph_to_record(graph)
    arrays = {f"graph {name}": value for name, value in arrays.items()}
    records = []
    for i, explanation in enumerate(explanations):
        row, mine = explanation.to_record()
        row["subject"] = None
        records.append(row)
        own = {name: value for name, value in mine.items() if not name.startswith("subject ")}
        own |= {f"subject {name}": mine[f"subject {name}"] for name in _OF_SUBJECT}
        arrays |= {f"explanation {i} {name}": value for name, value in own.items()}
    inside, more = _inside(kept, first, reason=unkept)
    arrays |= more
    names = model.class_names or graph.class_names
    whole = {
        "bundle_version": VERSION,
        "about": _ABOUT,
        "model": {
            "name": model.name,
            "source": model.source,
            "notes": list(model.notes),
            "class": type(model.module).__name__,
            "parameters": sum(parameter.numel() for parameter in model.module.parameters()),
            "weights_digest": first.weights_digest,
            "card": card_summary(model.card),
        },
        "graph": {**record, "digest": graph.digest},
        "facts": graph_facts(graph),
        "answer": answer_record(
            first.logits,
            _own_output(kept, first),
            names=names,
            looked_through=first.looked_through,
            classes=first.target.classes,
            target=target.rpartition("/")[2],
        ),
        "true_class": true_class(graph, first.target.nodes, classes=len(first.logits)),
        "class_names": None if names is None else list(names),
        "sites": [{**row, "statistics": None} for row in kept.rows()],
        "seconds": kept.seconds,
        "not_finite": None,
        **inside,
        "explanations": records,
        "methods_left_out": [{"method": name, "reason": reason} for name, reason in left_out.items()],
        "assumed": {
            "target": target,
            "seed": seed,
            "precision": first.precision,
            "device": str(model.device),
            "class_names": names is not None,
        },
        "remark": remark,
        "command": None if command is None else without_folders(command),
        "versions": versions(),
    }
    if progress is not None:
        progress(steps, steps)
    return GraphBundle(record=as_record(whole), arrays=arrays)


def _explained(
    model: Model,
    graph: Graph,
    methods: Sequence[str] | None,
    target: str,
    seed: int,
    *,
    done: Callable[[int], None],
) -> tuple[list[Explanation], dict[str, str]]:
    """The explanations by the named methods or the usual ones, and why some of the usual ones were left out."""
    if methods is not None:
        found = []
        for explanation in explain_many(model, [graph], methods=list(methods), targets=[target], seed=seed):
            found.append(explanation)
            done(len(found))
        return found, {}
    made: list[Explanation] = []
    left_out: dict[str, str] = {}
    for number, name in enumerate(METHODS, start=1):
        copies = 0 if not made else _messages(made[0], graph)
        if name == "occlusion" and copies > _COPIES:
            left_out[name] = f"it would run copies of the graph with {copies} messages in all"
        else:
            try:
                made += explain_many(model, [graph], methods=[name], targets=[target], seed=seed)
            except MethodError as error:
                left_out[name] = str(error).split("; ")[0].removesuffix(".")
        done(number)
    if not made:
        raise MethodError(f"none of {', '.join(METHODS)} applies to this model; name a method.")
    return made, left_out


def _messages(known: Explanation, graph: Graph) -> int:
    """How many messages run in all copies of a target's neighbourhood, one for each node and edge of it."""
    subject = known.subject
    assert isinstance(subject, GraphSubject)
    arcs = len(subject.edges) * (1 if graph.directed else 2)
    return (len(subject.nodes) + len(subject.edges)) * arcs


def _traced(model: Model, graph: Graph) -> tuple[GraphTrace, str | None]:
    """A trace with values, or without them and the reason why."""
    try:
        return trace_graph(model, graph), None
    except CapacityError as error:
        return trace_graph(model, graph, keep="statistics"), str(error).split("; ")[0].removesuffix(".")


def _inside(trace: GraphTrace, first: Explanation, *, reason: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The steps of the node that is asked about, the readout and the flow, as far as they are known."""
    nodes, weights = first.target.nodes, dict(first.target.score.weights)
    record: dict[str, Any] = {"steps": [], "steps_unknown": reason, "readout": None, "flow": None, "flow_unknown": None}
    if not trace.layers:
        return record | {"steps_unknown": reason or _unknown_steps(trace)}, {}
    layer = trace.layers[0]
    arrays: dict[str, Any] = {"message arcs": layer.arcs, "message weights": layer.weights}
    shown = list(nodes)
    if not nodes and trace.readout_kind is not None:
        steps = trace.readout()
        record["readout"] = readout_record(steps, weights=weights)
        shown = [record["readout"]["rows"][0]["node"]]
    elif not nodes:
        shown = [int(np.argmax(trace.graph.degrees()))]
    record["steps"] = [node_record(trace, node, weights=weights) for node in shown]
    try:
        found, of_nodes, of_features = flow_of(trace, nodes[0] if len(nodes) == 1 else None, weights)
    except (SettingError, SiteError, MethodError) as error:
        return record | {"flow_unknown": _why(error, nodes)}, arrays
    return record | {"flow": found}, arrays | {"flow nodes": of_nodes, "flow features": of_features}


def _unknown_steps(trace: GraphTrace) -> str:
    try:
        trace.node(0)
    except SiteError as error:
        return str(error).split("; ")[0].removesuffix(".")
    raise AssertionError("a trace without layers has steps")


def _why(error: PellucidError, nodes: Sequence[int]) -> str:
    if len(nodes) == 2:
        return "the vectors of both ends are multiplied, so what reaches the logit is no sum over nodes"
    return str(error).split("; ")[0].removesuffix(".")


def _own_output(trace: GraphTrace, first: Explanation) -> npt.NDArray[Any] | None:
    """What the model itself returned for the target, where that is one row of its output."""
    nodes, output = first.target.nodes, trace.output
    if output is None or output.dim() != 2 or len(nodes) == 2:
        return None
    row = nodes[0] if nodes else 0
    found: npt.NDArray[Any] = output[row].cpu().float().numpy()
    return found
