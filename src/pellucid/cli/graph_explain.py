"""`pellucid graph explain`: the values of an explanation of a graph, as a table, a document or a drawing."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import streams
from pellucid.cli.explain import SeedOption
from pellucid.cli.graph_show import DrawingOption, check_name
from pellucid.cli.graph_trace import graph_model
from pellucid.cli.graphs import GraphName, GraphOptions, graphed
from pellucid.cli.loading import ModelName, ModelOptions, files_of
from pellucid.cli.places import for_methods, writable
from pellucid.cli.tables import Column, put_table
from pellucid.cli.talking import Talk

if TYPE_CHECKING:
    import numpy as np

    from pellucid.methods.explanation import Explanation

_USUAL = ("gnn-explainer",)

GraphTarget = Annotated[
    str,
    typer.Option(metavar="TEXT", help="What to explain: node:17, node:17/class:2, edge:3-17, graph, graph/class:1."),
]
GraphMethodOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        help="A method, as gnn-explainer or 'occlusion(removal=silence)'; may be repeated.",
        show_default="gnn-explainer",
    ),
]


def graph_explain(
    model: ModelName,
    graph: GraphName,
    *,
    target: GraphTarget = "graph",
    method: GraphMethodOption = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="Rows of each table.")] = 10,
    output: DrawingOption = None,
    seed: SeedOption = 0,
    using: ModelOptions,
    reading: GraphOptions,
    talk: Talk,
) -> int:
    """List what counts for a graph network's answer: nodes, edges, features and edge types with their values.

    For a page with drawings and all steps: `pellucid explain MODEL GRAPH --target node:17 -o page.html`.
    """
    from pellucid.methods.catalogue import GRAPH_METHODS, method_from
    from pellucid.methods.graph_targets import check_graph_target

    methods = method or list(_USUAL)
    for text in methods:
        method_from(text, among=GRAPH_METHODS)
    check_graph_target(target)
    read: list[str | Path] = [graph, *reading.files, *files_of(model, using)]
    place = None if output is None else writable(output, option="--output", read=read)
    known = graph_model(model, using=using, talk=talk)
    found = graphed(graph, reading=reading, talk=talk)
    if place is not None:
        check_name(found, place)

    from pellucid.methods.explaining import explain_many

    with talk.progress("explaining") as report:
        made = list(
            explain_many(
                known, [found], methods=methods, targets=[target], seed=seed, progress=lambda a, b: report(round(a), b)
            )
        )
    files: list[Path] = []
    if place is not None:
        names = [each.method for each in made]
        files = [each.draw().save(path) for each, path in zip(made, for_methods(place, names), strict=True)]
    if talk.as_json:
        results = [_record(each) for each in made]
        whole = {"pellucid": "graph explanations", "model": known.name, "graph": found.name, "digest": found.digest}
        streams.put_json({**whole, "explanations": results, "files": [str(file) for file in files]})
        return 0
    for each in made:
        _put(each, top)
    for file in files:
        streams.put(str(file))
    return 0


def _put(why: "Explanation", top: int) -> None:
    from pellucid.figures.numbers import number

    streams.put(f"{why.method}: {why.target.text}, score {number(why.score, digits=4)}")
    for kind, names, values in parts_of(why):
        order = sorted(range(len(values)), key=lambda place: -abs(float(values[place])))[:top]
        rows = [[names[place], number(float(values[place]))] for place in order]
        more = len(values) - len(order)
        if more:
            rest = sum(float(values[place]) for place in range(len(values))) - sum(float(values[p]) for p in order)
            rows.append([f"and {more} more, together", number(rest)])
        put_table([Column(header=kind), Column(header="value", right=True)], rows)
    for name, value in sorted(why.checks.items()):
        streams.put(f"{name}: {number(value)}")
    for note in why.notes:
        streams.put(f"note: {note}")
    streams.put("")


def parts_of(why: "Explanation") -> list[tuple[str, list[str], "np.ndarray"]]:
    """The values of nodes, edges, features and edge types, with their names."""
    from pellucid.methods.graph_drawing import edge_values, feature_values, node_values
    from pellucid.methods.graph_subject import GraphSubject

    subject = why.subject
    assert isinstance(subject, GraphSubject)
    graph = subject.source
    found: list[tuple[str, list[str], np.ndarray]] = []
    nodes, edges, features = node_values(why), edge_values(why), feature_values(why)
    if nodes is not None:
        found.append(("node", [graph.node_name(node) for node in subject.nodes.tolist()], nodes))
    if edges is not None:
        joint = " → " if graph.directed else " – "
        ends = graph.edges[subject.edges].tolist()
        found.append(("edge", [joint.join(map(graph.node_name, pair)) for pair in ends], edges))
    if features is not None and not graph.featureless:
        names = list(graph.feature_names or [f"feature {place}" for place in range(len(features))])
        found.append(("feature", names, features))
    found += [
        ("edge type", [graph.edge_type_name(place) for place in range(len(part.values))], part.values)
        for part in why.parts
        if part.name == "edge_types"
    ]
    return found


def _record(why: "Explanation") -> dict[str, Any]:
    record = why.to_record()[0]
    record.pop("subject")
    subject: Any = why.subject
    numbers = {"node": subject.nodes.tolist(), "edge": subject.source.edges[subject.edges].tolist()}
    record["values"] = {
        kind.replace(" ", "_"): [
            {"name": name, "value": float(value)} | ({kind: numbers[kind][place]} if kind in numbers else {})
            for place, (name, value) in enumerate(zip(names, values.tolist(), strict=True))
        ]
        for kind, names, values in parts_of(why)
    }
    return record
