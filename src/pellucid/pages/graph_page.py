"""What a page about a graph says, as plain data for its template: sections in the order in which data flows."""

from typing import Any

import numpy as np

from pellucid.figures.numbers import number
from pellucid.pages.assumed import model_rows
from pellucid.pages.graph_bundle import METHODS, GraphBundle
from pellucid.pages.graph_flow import flow_section, readout_section
from pellucid.pages.graph_input import input_section, sight
from pellucid.pages.graph_layers import layers_section
from pellucid.pages.graph_matrices import matrices_section
from pellucid.pages.graph_naming import asked_about, asked_in_full, graph_title, node_called
from pellucid.pages.graph_why import settings_text, why_section
from pellucid.pages.naming import class_name, method_name, score_word
from pellucid.pages.notes import noted
from pellucid.pages.views import answer_view
from pellucid.pages.words import Catalogue, Segment, Sentence, decimals_for, fixed, probability, shortened


def graph_view(bundle: GraphBundle, words: Catalogue) -> dict[str, Any]:
    """All that the template needs."""
    key, names = graph_title(bundle, words)
    inside = input_section(bundle, words)
    return {
        "title": words.text(key, **names),
        "head": _head(bundle, words, key, names),
        "hero": inside.pop("hero"),
        "answer": _answer(bundle, words),
        "input": inside,
        "matrices": matrices_section(bundle, words),
        "layers": layers_section(bundle, words),
        "readout": readout_section(bundle, words),
        "flow": flow_section(bundle, words),
        "why": why_section(bundle, words),
        "assumed": _details(bundle, words),
        "foot": _foot(bundle),
    }


def _head(bundle: GraphBundle, words: Catalogue, key: str, names: dict[str, str]) -> dict[str, Any]:
    record, rows = bundle.record, bundle.record["answer"]["rows"]
    model, what = shortened(record["model"]["name"]), asked_about(bundle, words)
    short: list[tuple[str, str, Sentence]] = []
    if record["answer"]["form"] == "values" or len(rows) < 2:
        value = number(bundle.explanations[0].score, digits=4)
        lede = [words.say("graph.head.values", model=model, what=what, value=value)]
        short.append(("short.value", value, (Segment(names["name"], "name"),)))
    else:
        first, second = rows[0], rows[1]
        top, chance = class_name(first, words), probability(first["probability"])
        lede = [
            words.say("graph.head.class", model=model, what=what, name=top, probability=chance),
            words.say("head.next", name=class_name(second, words), probability=probability(second["probability"])),
        ]
        digits = decimals_for([row["logit"] for row in rows])
        ahead = fixed(first["logit"] - second["logit"], digits)
        short.append(("short.answer", chance, words.say("short.answer.is", name=top)))
        short.append(("short.ahead", ahead, words.say("short.ahead.of", name=class_name(second, words))))
    truth = _truth(bundle, words)
    seen, hops = sight(bundle)
    if bundle.explanations[0].target.nodes:
        sees = "graph.short.seen" if seen > 1 else "graph.short.seen.alone"
        short.append(("graph.short.sees", number(seen), words.say(sees, all=record["facts"]["nodes"], count=hops)))
    else:
        short.append(
            ("graph.short.nodes", number(seen), words.say("graph.short.edges", count=record["facts"]["edges"]))
        )
    shares = bundle.arrays.get("flow nodes")
    if shares is not None and shares.any():
        best = int(np.abs(shares).argmax())
        name = node_called(bundle.graph, best, words)
        short.append(
            ("graph.short.share", number(shares[best], sign=True), words.say("graph.short.share.of", name=name))
        )
    return {
        "title": words.say(key, **names),
        "lede": lede + ([truth] if truth else []),
        "short": [{"label": words.text(label), "value": value, "text": text} for label, value, text in short],
        "remark": None if record["remark"] is None else noted(record["remark"], "remark", words),
    }


def _answer(bundle: GraphBundle, words: Catalogue) -> dict[str, Any]:
    found = answer_view(bundle.record, words)
    truth = _truth(bundle, words)
    return {**found, "notes": [*([truth] if truth else []), *found["notes"]]}


def _truth(bundle: GraphBundle, words: Catalogue) -> Sentence | None:
    """Whether the answer is the class that is known."""
    known, rows = bundle.record["true_class"], bundle.record["answer"]["rows"]
    if known is None or bundle.record["answer"]["form"] == "values":
        return None
    if rows[0]["index"] == known:
        return words.say("graph.truth.right")
    names = bundle.record["class_names"]
    name = names[known] if names is not None and known < len(names) else None
    return words.say("graph.truth.wrong", name=class_name({"index": known, "name": name}, words))


def _details(bundle: GraphBundle, words: Catalogue) -> list[dict[str, Any]]:
    record, assumed = bundle.record, bundle.record["assumed"]
    text, score = asked_in_full(bundle, words), score_word(bundle, words)
    draws = {name: str(assumed[name]) for name in ("seed", "precision", "device")}
    rows: list[tuple[str, list[Sentence], list[Sentence]]] = [
        (
            "target",
            [
                words.say("assumed.target", asked=assumed["target"], text=text),
                words.say("assumed.not_probability", score=score),
            ],
            [],
        )
    ]
    left_out = [
        words.say(
            "assumed.methods",
            method=method_name(row["method"], words),
            reason=noted(row["reason"], "reason", words, longest=400),
        )
        for row in record["methods_left_out"]
    ]
    settings = [
        words.say("graph.settings", method=method_name(each.method, words), settings=settings_text(each.settings))
        for each in bundle.explanations
        if each.settings
    ]
    rows.append(("methods", left_out, settings))
    rows.append(("draws", [words.say("assumed.draws", **draws)], []))
    if not assumed["class_names"]:
        rows.append(("names", [words.say("assumed.no_names")], []))
    rows += model_rows(record, words)
    return [
        {"label": words.text(f"assumed.label.{key}"), "sentences": said, "notes": notes} for key, said, notes in rows
    ]


def _foot(bundle: GraphBundle) -> dict[str, Any]:
    record = bundle.record
    return {
        "command": None if record["command"] is None else shortened(record["command"], longest=400),
        "versions": ", ".join(f"{name} {version}" for name, version in sorted(record["versions"].items())),
        "digests": [
            ("foot.graph", record["graph"]["digest"], shortened(record["graph"]["name"])),
            ("foot.weights", record["model"]["weights_digest"], shortened(record["model"]["name"])),
        ],
    }


__all__ = ["METHODS", "graph_view"]
