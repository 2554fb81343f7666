"""The sections about what happens inside: one node's steps layer by layer, the readout, what flows through all layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.figures.numbers import number
from pellucid.pages.graph_bundle import GraphBundle
from pellucid.pages.graph_input import shown_subject
from pellucid.pages.graph_naming import features_called, node_called, scored
from pellucid.pages.graph_pictures import draw_strongest, draw_values
from pellucid.pages.naming import class_name
from pellucid.pages.network import operation
from pellucid.pages.notes import noted
from pellucid.pages.words import Catalogue, Sentence, million, percent, shortened

_DIGITS = 3


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


def readout_section(bundle: GraphBundle, words: Catalogue) -> dict[str, Any] | None:
    """From the vectors of all nodes to the logits; None where there is no readout that is known."""
    found = bundle.record["readout"]
    if found is None:
        return None
    channels = [words.text("graph.channel", index=str(i)) for i in found["channels"]]
    channels += _rest(found["more_channels"], words)
    rows = [
        ("", node_called(bundle.graph, row["node"], words), _cells(row["parts"], row["share"])) for row in found["rows"]
    ]
    if found["more_rows"]:
        others = found["others"]
        name = words.text("graph.others", count=found["more_rows"])
        rows.append(("rest", name, _cells(others["parts"], others["share"])))
    rows.append(("sum", words.text(f"graph.readout.{found['kind']}"), [*_numbers(found["pooled"]), ""]))
    towards = [*_numbers(found["towards"]), *([""] * bool(found["more_channels"]))]
    rows.append(("", words.text("graph.readout.weight"), [*towards, ""]))
    rows.append(
        (
            "",
            words.text("graph.readout.product"),
            [*_numbers(found["products"]), _plain(found["score"] - found["bias"])],
        )
    )
    rows.append(("", words.text("graph.layers.bias"), [*([""] * len(channels)), _plain(found["bias"])]))
    rows.append(("sum", scored(bundle, words), [*([""] * len(channels)), _plain(found["score"])]))
    best = found["rows"][0]
    return {
        "claim": words.say(
            f"graph.readout.claim.{found['kind']}", count=found["nodes"], name=node_called(bundle.graph, best["node"], words),
            share=number(best["share"], sign=True), score=number(found["score"], digits=4), of=scored(bundle, words),
        ),
        "table": Table(head=[words.text("graph.head.node"), *channels, words.text("graph.head.share")], rows=rows),
        "note": words.say("graph.readout.note"),
    }  # fmt: skip


def flow_section(bundle: GraphBundle, words: Catalogue) -> dict[str, Any] | None:
    """What reaches the explained score from every node; None where no steps are known."""
    record, graph = bundle.record, bundle.graph
    if record["flow"] is None:
        if not record["flow_unknown"]:
            return None
        reason = noted(record["flow_unknown"], "reason", words, longest=400)
        return {"claim": words.say("graph.flow.unknown", reason=reason), "drawings": [], "notes": []}
    found, shares = record["flow"], bundle.arrays["flow nodes"]
    best = int(np.abs(shares).argmax())
    half = _half(np.abs(shares))
    claim = words.say(
        "graph.flow.claim", name=node_called(graph, best, words), share=number(shares[best], sign=True),
        score=number(found["score"], digits=4), of=scored(bundle, words),
    )  # fmt: skip
    bias = float(sum(found["biases"]))
    notes = [
        words.say("graph.flow.sum", nodes=number(float(shares.sum()), digits=4), bias=number(bias, digits=4),
                  score=number(found["score"], digits=4)),
        words.say("graph.flow.exact" if found["exact"] else "graph.flow.approximate"),
    ]  # fmt: skip
    if half:
        notes.insert(0, words.say("graph.flow.half", some=half, count=int(np.count_nonzero(shares))))
    subject = shown_subject(bundle)
    unit = words.text("graph.flow.unit", of=scored(bundle, words))
    names = [node_called(graph, node, words) for node in range(graph.num_nodes)]
    target = bundle.explanations[0].target.nodes
    rings = target or ((best,) if best in subject.nodes else ())
    drawn = draw_values(subject, words, nodes=shares[subject.nodes], target=rings, unit=unit)
    ringed = "graph.flow.on" if target or drawn.views else "graph.flow.ringed"
    drawings = [{"title": words.say(ringed), "drawing": drawn},
                {"title": words.say("graph.flow.nodes"), "drawing": draw_strongest(shares, names, words, unit=unit)}]  # fmt: skip
    if not graph.featureless:
        bars = draw_strongest(bundle.arrays["flow features"], features_called(graph, words), words, unit=unit)
        drawings.append({"title": words.say("graph.flow.features"), "drawing": bars})
    return {"claim": claim, "drawings": drawings, "notes": notes}


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
    channels += _rest(layer["more_channels"], words)
    arriving = [
        ("", name, [_plain(row["degree"]), _plain(row["weight"]), *_numbers(row["inputs"])])
        for name, row in zip(names, rows, strict=True)
    ]
    if left:
        arriving.append(
            (
                "rest",
                words.text("graph.others.weighted", count=others["count"]),
                ["", _plain(others["weight"]), *_numbers(others["inputs"])],
            )
        )
    arriving.append(
        (
            "sum",
            words.text("graph.layers.sum.input" if first else "graph.layers.sum"),
            ["", _plain(layer["weights"]), *_numbers(layer["aggregated"])],
        )
    )
    outputs = (
        _classes(bundle, layer, words)
        if last
        else [words.text("graph.channel", index=str(i)) for i in layer["outputs"]]
    )
    outputs += _rest(layer["more_outputs"], words)
    leaving = [("", name, _numbers(row["shares"])) for name, row in zip(names, rows, strict=True)]
    if left:
        leaving.append(("rest", left[0], _numbers(others["shares"])))
    leaving.append(("sum", words.text("graph.layers.times"), _numbers(layer["transformed"])))
    if layer["bias"] is not None:
        leaving.append(("", words.text("graph.layers.bias"), _numbers(layer["bias"])))
        leaving.append(
            ("sum", words.text("graph.layers.logits" if last else "graph.layers.value"), _numbers(layer["value"]))
        )
    for step in layer["then"]:
        name = words.text(f"op.{step['op']}") if words.has(f"op.{step['op']}") else shortened(step["op"])
        leaving.append(("sum", name, _numbers(step["values"])))
    said = None
    if heaviest is not None:
        said = words.say(
            "graph.layer.claim", count=layer["senders"], name=names[heaviest], weight=number(rows[heaviest]["weight"])
        )
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


def _half(size: np.ndarray) -> int:
    """How many of the largest hold half of all; 0 where there is nothing."""
    total = float(size.sum())
    return int(np.searchsorted(np.cumsum(np.sort(size)[::-1]), total / 2) + 1) if total > 0 else 0


def _cells(values: Sequence[float], share: float) -> list[str]:
    return [*_numbers(values), number(share, digits=_DIGITS, sign=True)]


def _numbers(values: Sequence[float]) -> list[str]:
    return [_plain(value) for value in values]


def _plain(value: float) -> str:
    # Sums in another order leave a last digit behind where nothing is meant.
    return number(0.0 if abs(value) < 1e-12 else value, digits=_DIGITS)


def _rest(count: int, words: Catalogue) -> list[str]:
    return [words.text("graph.rest", count=count)] if count else []


__all__ = ["Sentence", "Table", "flow_section", "layers_section", "percent", "readout_section"]
