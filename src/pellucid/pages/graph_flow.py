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
    rows.append(("sum", words.text(f"graph.readout.{found['kind']}"), [*numbers(found["pooled"]), ""]))
    towards = [*numbers(found["towards"]), *([""] * bool(found["more_channels"]))]
    rows.append(("", words.text("graph.readout.weight"), [*towards, ""]))
    rows.append(
        (
            "",
            words.text("graph.readout.product"),
            [*numbers(found["products"]), plain(found["score"] - found["bias"])],
        )
    )
    rows.append(("", words.text("graph.layers.bias"), [*([""] * len(channels)), plain(found["bias"])]))
    rows.append(("sum", scored(bundle, words), [*([""] * len(channels)), plain(found["score"])]))
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
        "table": Table(head=[words.text("graph.head.node"), *channels, words.text("graph.head.share")], rows=rows),
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
    drawings = [
        {"title": words.say(ringed), "drawing": drawn},
        {"title": words.say("graph.flow.nodes"), "drawing": draw_strongest(shares, names, words, unit=unit)},
    ]
    if not graph.featureless:
        bars = draw_strongest(bundle.arrays["flow features"], features_called(graph, words), words, unit=unit)
        drawings.append({"title": words.say("graph.flow.features"), "drawing": bars})
    return {"claim": claim, "drawings": drawings, "notes": notes}


def _half(size: np.ndarray) -> int:
    """How many of the largest hold half of all; 0 where there is nothing."""
    total = float(size.sum())
    return int(np.searchsorted(np.cumsum(np.sort(size)[::-1]), total / 2) + 1) if total > 0 else 0


def _cells(values: Sequence[float], share: float) -> list[str]:
    return [*numbers(values), number(share, digits=DIGITS, sign=True)]
