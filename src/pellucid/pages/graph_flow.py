"""The sections about what reaches the answer: from all nodes through the readout, and back through all layers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.figures.numbers import number
from pellucid.pages.graph_bundle import GraphBundle
from pellucid.pages.graph_input import shown_subject
from pellucid.pages.graph_layers import DIGITS, Table, numbers, plain, rest
from pellucid.pages.graph_naming import features_called, node_called, scored
from pellucid.pages.graph_pictures import draw_strongest, draw_values
from pellucid.pages.notes import noted
from pellucid.pages.words import Catalogue

_TOP = 10
"""Bars of a drawing."""


def readout_section(bundle: GraphBundle, words: Catalogue) -> dict[str, Any] | None:
    """From the vectors of all nodes to the logits; None where there is no readout that is known."""
    found = bundle.record["readout"]
    if found is None:
        return None
    channels = [words.text("graph.channel", index=str(i)) for i in found["channels"]]
    channels += rest(found["more_channels"], words)
    rows = [
        ("", node_called(bundle.graph, row["node"], words), _cells(row["parts"], row["share"])) for row in found["rows"]
    ]
    if found["more_rows"]:
        others = found["others"]
        name = words.text("graph.others", count=found["more_rows"])
        rows.append(("rest", name, _cells(others["parts"], others["share"])))
    rows.append(("sum", words.text(f"graph.readout.{found['kind']}"), ["", *numbers(found["pooled"])]))
    towards = [*numbers(found["towards"]), *([""] * bool(found["more_channels"]))]
    rows.append(("", words.text("graph.readout.weight"), ["", *towards]))
    rows.append(
        (
            "",
            words.text("graph.readout.product"),
            [plain(found["score"] - found["bias"]), *numbers(found["products"])],
        )
    )
    rows.append(("", words.text("graph.layers.bias"), [plain(found["bias"]), *([""] * len(channels))]))
    rows.append(("sum", scored(bundle, words), [plain(found["score"]), *([""] * len(channels))]))
    best = found["rows"][0]
    claim = words.say(
        f"graph.readout.claim.{found['kind']}",
        count=found["nodes"],
        name=node_called(bundle.graph, best["node"], words),
        share=number(best["share"], sign=True),
        score=number(found["score"], digits=4),
        of=scored(bundle, words),
    )
    return {
        "claim": claim,
        "table": Table(head=[words.text("graph.head.node"), words.text("graph.head.share"), *channels], rows=rows),
        "note": words.say("graph.readout.note"),
    }


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
    brought = bool(np.any(shares))
    key = "graph.flow.claim" if brought else "graph.flow.claim.none"
    claim = words.say(
        key, name=node_called(graph, best, words), share=number(shares[best], sign=True),
        score=number(found["score"], digits=4), of=scored(bundle, words),
    )  # fmt: skip
    bias = float(sum(found["biases"]))
    notes = [
        words.say("graph.flow.sum", nodes=number(float(shares.sum()), digits=4), bias=number(bias, digits=4),
                  score=number(found["score"], digits=4)),
        words.say("graph.flow.exact" if found["exact"] else "graph.flow.approximate"),
    ]  # fmt: skip
    subject = shown_subject(bundle)
    unit = words.text("graph.flow.unit", of=scored(bundle, words))
    names = [node_called(graph, node, words) for node in range(graph.num_nodes)]
    target = bundle.explanations[0].target.nodes
    rings = target or ((best,) if brought and best in subject.nodes else ())
    drawn = draw_values(subject, words, nodes=shares[subject.nodes], target=rings, unit=unit)
    title = [words.say("graph.flow.half", some=half, count=int(np.count_nonzero(shares)))] if half else []
    if brought and not target and not drawn.views:
        title.append(words.say("graph.flow.ringed"))
    largest = np.sort(np.abs(shares))[::-1][:_TOP]
    top = np.lexsort((np.arange(len(shares)), -np.abs(shares)))[: max(1, int(np.count_nonzero(largest)))]
    listed = words.say("graph.flow.top", count=len(top), sum=number(float(shares[top].sum()), sign=True))
    drawings = [
        {"title": title, "drawing": drawn},
        {"title": [listed] if brought else [], "drawing": draw_strongest(shares, names, words, unit=unit)},
    ]
    if not graph.featureless:
        by_feature, called = bundle.arrays["flow features"], features_called(graph, words)
        first = int(np.abs(by_feature).argmax())
        key = "graph.flow.features" if np.any(by_feature) else "graph.flow.features.none"
        said = words.say(key, name=called[first], share=number(by_feature[first], sign=True))
        drawings.append({"title": [said], "drawing": draw_strongest(by_feature, called, words, unit=unit)})
    return {"claim": claim, "drawings": drawings, "notes": notes}


def _half(size: np.ndarray) -> int:
    """How many of the largest hold half of all; 0 where there is nothing."""
    total = float(size.sum())
    return int(np.searchsorted(np.cumsum(np.sort(size)[::-1]), total / 2) + 1) if total > 0 else 0


def _cells(values: Sequence[float], share: float) -> list[str]:
    # The share is what the table is about, so it is seen first on a phone, too.
    return [number(share, digits=DIGITS, sign=True), *numbers(values)]
