"""The section about what happens inside: the steps of one node, layer by layer, as tables of numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.figures.numbers import number
from pellucid.pages.graph_bundle import GraphBundle
from pellucid.pages.graph_naming import features_called, node_called
from pellucid.pages.naming import class_name
from pellucid.pages.network import operation
from pellucid.pages.notes import noted
from pellucid.pages.words import Catalogue, million, shortened

DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Numbers in rows and columns.

    Attributes:
        head: What stands above the columns, the first one above the names of the rows.
        rows: For each row its kind ("", "rest", "sum"), its name and its cells.
    """

    head: list[str]
    rows: list[tuple[str, str, list[str]]]


def layers_section(bundle: GraphBundle, words: Catalogue) -> dict[str, Any]:
    """The steps of the node that is asked about; where they are not known, the sites."""
    record = bundle.record
    if not record["steps"]:
        reason = noted(record["steps_unknown"], "reason", words, longest=400)
        return {
            "claim": words.say("graph.layers.unknown", reason=reason),
            "nodes": [],
            "sites": [_site(row, words) for row in record["sites"]],
            "note": None,
        }
    nodes = [_node(bundle, steps, words) for steps in record["steps"]]
    first = record["steps"][0]
    widest = " → ".join(str(width) for width in _widths(first["layers"]))
    claim = words.say(
        "graph.layers.claim", count=len(first["layers"]), name=node_called(bundle.graph, first["node"], words),
        widths=widest,
    )  # fmt: skip
    return {"claim": claim, "nodes": nodes, "sites": [], "note": words.say("graph.layers.note")}


def _node(bundle: GraphBundle, steps: Mapping[str, Any], words: Catalogue) -> dict[str, Any]:
    why = "graph.layers.of"
    if not bundle.explanations[0].target.nodes:
        why = "graph.layers.chosen.readout" if bundle.record["readout"] else "graph.layers.chosen.degree"
    title = words.say(why, name=node_called(bundle.graph, steps["node"], words))
    last = len(steps["layers"]) - 1
    return {
        "title": title,
        "layers": [
            _layer(bundle, steps, layer, words, first=place == 0, last=place == last and steps["answers"])
            for place, layer in enumerate(steps["layers"])
        ],
    }


def _layer(
    bundle: GraphBundle,
    steps: Mapping[str, Any],
    layer: Mapping[str, Any],
    words: Catalogue,
    *,
    first: bool,
    last: bool,
) -> dict[str, Any]:
    rows, others = layer["rows"], layer["others"]
    names = [_sender(bundle, row["node"], steps["node"], words) for row in rows]
    left = [words.text("graph.others", count=others["count"])] if others["count"] else []
    heaviest = max(range(len(rows)), key=lambda place: abs(rows[place]["weight"])) if rows else None
    channels = (
        _channels(bundle, layer, words)
        if first
        else [words.text("graph.channel", index=str(i)) for i in layer["channels"]]
    )
    channels += rest(layer["more_channels"], words)
    arriving = [
        ("", name, [plain(row["degree"]), plain(row["weight"]), *numbers(row["inputs"])])
        for name, row in zip(names, rows, strict=True)
    ]
    if left:
        arriving.append(
            (
                "rest",
                words.text("graph.others.weighted", count=others["count"]),
                ["", plain(others["weight"]), *numbers(others["inputs"])],
            )
        )
    arriving.append(
        (
            "sum",
            words.text("graph.layers.sum.input" if first else "graph.layers.sum"),
            ["", plain(layer["weights"]), *numbers(layer["aggregated"])],
        )
    )
    outputs = (
        _classes(bundle, layer, words)
        if last
        else [words.text("graph.channel", index=str(i)) for i in layer["outputs"]]
    )
    outputs += rest(layer["more_outputs"], words)
    leaving = [("", name, numbers(row["shares"])) for name, row in zip(names, rows, strict=True)]
    if left:
        leaving.append(("rest", left[0], numbers(others["shares"])))
    leaving.append(("sum", words.text("graph.layers.times"), numbers(layer["transformed"])))
    if layer["bias"] is not None:
        leaving.append(("", words.text("graph.layers.bias"), numbers(layer["bias"])))
        leaving.append(
            ("sum", words.text("graph.layers.logits" if last else "graph.layers.value"), numbers(layer["value"]))
        )
    for step in layer["then"]:
        name = words.text(f"op.{step['op']}") if words.has(f"op.{step['op']}") else shortened(step["op"])
        leaving.append(("sum", name, numbers(step["values"])))
    said = None
    if heaviest is not None:
        weight = rows[heaviest]["weight"]
        tied = layer.get("heaviest", 1)
        key = "graph.layer.claim" if tied == 1 else "graph.layer.claim.tied"
        said = words.say(key, count=layer["senders"], name=names[heaviest], some=tied, weight=number(weight))
    head = [words.text("graph.head.sender"), words.text("graph.head.degree"), "Â"]
    return {
        "name": shortened(layer["name"], longest=80),
        "width": f"{layer['width'][0]} → {layer['width'][1]}",
        "claim": said,
        "arriving": Table(head=[*head, *channels], rows=arriving),
        "leaving": Table(head=[words.text("graph.head.sender"), *outputs], rows=leaving),
        "cut": [
            words.say(f"graph.layer.cut.{key}", shown=len(layer[shown]), all=len(layer[shown]) + layer[more])
            for key, shown, more in (("in", "channels", "more_channels"), ("out", "outputs", "more_outputs"))
            if layer[more]
        ],
        "shares": words.say("graph.layer.shares"),
    }  # fmt: skip


def _channels(bundle: GraphBundle, layer: Mapping[str, Any], words: Catalogue) -> list[str]:
    names = features_called(bundle.graph, words)
    return [names[index] if index < len(names) else str(index) for index in layer["channels"]]


def _classes(bundle: GraphBundle, layer: Mapping[str, Any], words: Catalogue) -> list[str]:
    answer = bundle.record["answer"]
    known = {row["index"]: row for row in answer["rows"]}
    missing = {"name": None}
    names = bundle.graph.class_names
    found = []
    for index in layer["outputs"]:
        row = known.get(index) or {**missing, "index": index}
        if row["name"] is None and names is not None and index < len(names):
            row = {**row, "name": names[index]}
        found.append(class_name(row, words, form=answer["form"]))
    return found


def _sender(bundle: GraphBundle, node: int, own: int, words: Catalogue) -> str:
    name = node_called(bundle.graph, node, words)
    return words.text("graph.itself", name=name) if node == own else name


def _site(row: Mapping[str, Any], words: Catalogue) -> dict[str, Any]:
    return {
        "name": shortened(row["name"], longest=80),
        "what": operation(row, words),
        "shape": " × ".join(number(side) for side in row["shape"]),
        "parameters": number(row["parameters"]) if row["parameters"] else "",
        "cost": million(row["multiply_adds"]) if row["multiply_adds"] else "",
    }


def _widths(layers: Sequence[Mapping[str, Any]]) -> list[int]:
    return [layers[0]["width"][0], *(layer["width"][1] for layer in layers)]


def numbers(values: Sequence[float]) -> list[str]:
    """Numbers for the cells of a table."""
    return [plain(value) for value in values]


def plain(value: float) -> str:
    """A number for a cell of a table."""
    # Sums in another order leave a last digit behind where nothing is meant.
    return number(0.0 if abs(value) < 1e-12 else value, digits=DIGITS)


def rest(count: int, words: Catalogue) -> list[str]:
    """The head of the column of what is summed, where there is one."""
    return [words.text("graph.rest", count=count)] if count else []
