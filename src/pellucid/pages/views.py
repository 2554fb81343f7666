"""What the sections of a page say, as plain data for the templates: every sentence from the catalogue, every number measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.figures.numbers import grouped, number
from pellucid.pages.bundle import Bundle
from pellucid.pages.measuring import BINS
from pellucid.pages.network import column
from pellucid.pages.pictures import photograph
from pellucid.pages.why import Said, said_about
from pellucid.pages.words import Catalogue, Segment, decimals_for, fixed, million, percent, probability, shortened

Sentence = tuple[Segment, ...]


def view(bundle: Bundle, words: Catalogue) -> dict[str, Any]:
    """All that the templates need."""
    record = bundle.record
    why = said_about(bundle, words)
    return {
        "title": words.text(_title_key(bundle), name=_subject(bundle, words)),
        "head": _head(bundle, words, why),
        "answer": _answer(record, words),
        "input": _input(bundle, words),
        "network": _network(bundle, words),
        "why": {"claim": _why_claim(bundle, words), "rows": why},
        "assumed": _assumed(bundle, words),
        "foot": _foot(record),
    }


def _score_word(bundle: Bundle, words: Catalogue) -> str:
    target = bundle.explanations[0].target
    if not target.classes:
        return words.text("score.unit")
    if len(target.classes) > 1:
        return words.text("score.contrast")
    return words.text("score.output" if bundle.record["answer"]["form"] == "values" else "score.logit")


def class_name(row: Mapping[str, Any], words: Catalogue) -> str:
    """A class as a page names it: by its own name, or by its number where it has none."""
    name = row["name"]
    return words.text("class", index=str(row["index"])) if name is None else shortened(name)


def _subject(bundle: Bundle, words: Catalogue) -> str:
    """What is explained, by a name that fits into a title."""
    target, answer = bundle.explanations[0].target, bundle.record["answer"]
    if len(target.classes) == 1 and answer["form"] != "values":
        return next(class_name(row, words) for row in answer["rows"] if row["index"] == target.classes[0])
    return shortened(target.text)


def _title_key(bundle: Bundle) -> str:
    target, answer = bundle.explanations[0].target, bundle.record["answer"]
    if len(target.classes) != 1 or answer["form"] == "values":
        return "title.other" if len(target.classes) < 2 else "title.contrast"
    return "title.class" if answer["rows"][0]["index"] == target.classes[0] else "title.against"


def _head(bundle: Bundle, words: Catalogue, why: Sequence[Said]) -> dict[str, Any]:
    record, answer = bundle.record, bundle.record["answer"]
    rows, form = answer["rows"], answer["form"]
    names = {"model": shortened(record["model"]["name"]), "picture": shortened(record["picture"]["name"])}
    first, second = rows[0], rows[1] if len(rows) > 1 else None
    logits = [row["logit"] for row in rows]
    digits = decimals_for(logits)
    if form == "values" or second is None:
        lede = [words.say("head.values", **names, value=fixed(bundle.explanations[0].score, 4))]
        short = [("short.value", fixed(bundle.explanations[0].score, 4), words.say("short.value.is", name=_subject(bundle, words)))]
    else:
        top = class_name(first, words)
        lede = [words.say("head.class", **names, name=top, probability=probability(first["probability"]))]
        lede.append(words.say("head.next", name=class_name(second, words), probability=probability(second["probability"])))
        ahead = fixed(first["logit"] - second["logit"], digits)
        short = [
            ("short.answer", probability(first["probability"]), words.say("short.answer.is", name=top)),
            ("short.ahead", ahead, words.say("short.ahead.of", name=class_name(second, words))),
        ]
    count, cost = len(record["sites"]), sum(site["multiply_adds"] for site in record["sites"])
    short.append(("short.sites", grouped(count), words.say("short.sites.are", cost=million(cost))))
    short += [(row.title, *row.short) for row in why if row.short]
    return {
        "key": _title_key(bundle),
        "name": _subject(bundle, words),
        "lede": lede,
        "short": [
            {"label": words.text(label) if words.has(label) else label, "value": value, "text": text}
            for label, value, text in short
        ],
        "remark": None if record["remark"] is None else shortened(record["remark"], longest=600),
        "not_finite": None if record["not_finite"] is None else shortened(record["not_finite"]),
        "picture": photograph(np.asarray(bundle.arrays["prepared"])),
    }


def _answer(record: Mapping[str, Any], words: Catalogue) -> dict[str, Any]:
    answer = record["answer"]
    rows, form = answer["rows"], answer["form"]
    decimals = decimals_for([row["logit"] for row in rows])
    log_decimals = decimals_for([row["log_probability"] for row in rows])
    first, second = rows[0], rows[1] if len(rows) > 1 else None
    if form == "values" or second is None:
        claim = words.say("answer.claim.values", count=answer["classes"])
    else:
        claim = words.say(
            f"answer.claim.{form}",
            name=class_name(first, words),
            next=class_name(second, words),
            probability=probability(first["probability"]),
            ahead=fixed(first["logit"] - second["logit"], decimals),
        )
    widest = max(row["probability"] for row in rows) if form != "values" else 1.0
    notes = []
    if form == "softmax":
        notes.append(words.say("answer.softmax", log_sum=fixed(answer["log_sum"], decimals)))
    if form == "sigmoid":
        notes.append(words.say("answer.sigmoid"))
    if answer["looked_through"] is not None:
        through = answer["looked_through"].replace("_", "-")
        if answer["difference"] is None:
            notes.append(words.say("answer.through", op=through))
        else:
            notes.append(words.say("answer.agrees", op=through, difference=number(answer["difference"], digits=2)))
    explained = {tuple(e["target"]["classes"][:1]) for e in record["explanations"]}
    rest = answer["rest"]
    return {
        "form": form,
        "claim": claim,
        "notes": notes,
        "rows": [
            {
                "name": class_name(row, words),
                "rank": str(row["rank"]),
                "first": (row["index"],) in explained,
                "logit": fixed(row["logit"], decimals),
                "log": fixed(row["log_probability"], log_decimals),
                "probability": probability(row["probability"]),
                "bar": f"{max(0.4, 100 * row['probability'] / max(widest, 1e-12)):.2f}",
            }
            for row in rows
        ],
        "rest": None
        if not rest["count"]
        else {
            "text": words.say("answer.rest", count=rest["count"]),
            "probability": probability(rest["probability"]) if form == "softmax" else "",
            "bar": f"{max(0.4, min(100.0, 100 * rest['probability'] / max(widest, 1e-12))):.2f}"
            if form == "softmax"
            else None,
        },
    }


def _input(bundle: Bundle, words: Catalogue) -> dict[str, Any]:
    record = bundle.record
    height, width = record["picture"]["size"]
    deep, tall, wide = record["input"]["shape"]
    geometry = bundle.shown_geometry
    left, top, right, bottom = geometry.frame
    shown_height, shown_width = bundle.arrays["original"].shape[:2]
    share = (right - left) * (bottom - top) / (shown_height * shown_width)
    whole = share > 0.9999
    prepared = record["preprocessing"]
    steps = []
    if prepared["resize"] is not None:
        exact = isinstance(prepared["resize"], list)
        size = f"{prepared['resize'][1]} × {prepared['resize'][0]}" if exact else str(prepared["resize"])
        key = "input.resize.exact" if exact else "input.resize.shorter"
        steps.append(words.say(key, size=size, filter=words.text(f"filter.{prepared['filter']}")))
    if prepared["crop"] is not None:
        steps.append(words.say("input.crop", width=wide, height=tall))
    if prepared["channels"] == "BGR":
        steps.append(words.say("input.bgr"))
    divisor = 1 / prepared["scale"]
    if abs(divisor - 1) > 1e-9:
        steps.append(words.say("input.scale", divisor=number(divisor)))
    if any(prepared["mean"]) or any(value != 1 for value in prepared["std"]):
        mean, std = ("(" + ", ".join(number(v) for v in prepared[name]) + ")" for name in ("mean", "std"))
        steps.append(words.say("input.normalise", mean=mean, std=std))
    if not steps:
        steps.append(words.say("input.nothing"))
    values = record["input"]
    return {
        "claim": words.say(
            "input.claim.whole" if whole else "input.claim.part",
            share=percent(share),
            width=wide,
            height=tall,
            count=deep * tall * wide,
            low=number(values["low"]),
            high=number(values["high"], sign=values["low"] < 0),
        ),
        "original": photograph(np.asarray(bundle.arrays["original"])),
        "frame": None if whole else {k: f"{v:.1f}" for k, v in zip("ltrb", (left, top, right, bottom), strict=True)},
        "file": words.say("input.file", width=width, height=height),
        "framed": words.say("input.framed") if not whole else None,
        "prepared": photograph(np.asarray(bundle.arrays["prepared"])),
        "sees": words.say("input.sees", width=wide, height=tall),
        "steps": steps,
        "histogram": histogram(values),
        "ranges": [
            {"name": c["name"], "low": number(c["low"]), "high": number(c["high"])} for c in values["channels"]
        ],
    }


def histogram(values: Mapping[str, Any]) -> dict[str, Any]:
    """The lines of a histogram in a box of 300 × 132, with a tick at each end and at 0."""
    low, high = values["low"], values["high"]
    if low == high:
        low, high = low - 0.5, high + 0.5
    most = max(max(channel["counts"]) for channel in values["channels"]) or 1

    def across(value: float) -> float:
        return 8 + 284 * (value - low) / (high - low)

    middles = [low + (high - low) * (i + 0.5) / BINS for i in range(BINS)]
    lines = [
        " ".join(f"{across(x):.1f},{116 - 92 * n / most:.1f}" for x, n in zip(middles, channel["counts"], strict=True))
        for channel in values["channels"]
    ]
    inner = [0.0] if low < 0 < high and 40 < across(0) < 260 else []
    ticks = [
        {"x": f"{across(v):.1f}", "text": number(v), "anchor": a}
        for v, a in [(low, "start"), *((v, "middle") for v in inner), (high, "end")]
    ]
    return {"lines": lines, "ticks": ticks, "names": [channel["name"] for channel in values["channels"]]}


def _network(bundle: Bundle, words: Catalogue) -> dict[str, Any]:
    record = bundle.record
    sites = record["sites"]
    deep, tall, wide = record["input"]["shape"]
    cost = sum(site["multiply_adds"] for site in sites)
    return {
        "claim": words.say(
            "network.claim",
            count=len(sites),
            numbers=deep * tall * wide,
            outputs=record["answer"]["classes"],
        ),
        "input": {"shape": f"{deep} × {tall} × {wide}", "channels": record["preprocessing"]["channels"]},
        "entries": column(record, bundle.arrays, words),
        "total": {"cost": million(cost), "parameters": number(record["model"]["parameters"])},
        "seconds": number(1000 * record["seconds"]),
        "left_out": record["maps_left_out"],
    }


def _why_claim(bundle: Bundle, words: Catalogue) -> Sentence:
    first = bundle.explanations[0]
    return words.say(
        "why.claim", count=len(bundle.explanations), score=_score_word(bundle, words), value=number(first.score, digits=4)
    )


def _assumed(bundle: Bundle, words: Catalogue) -> list[dict[str, Any]]:
    record, assumed = bundle.record, bundle.record["assumed"]
    first = bundle.explanations[0]
    model = record["model"]
    baselines = sorted(
        {str(e.settings["baseline"]) for e in bundle.explanations if isinstance(e.settings.get("baseline"), str)}
    )
    rows: list[tuple[str, list[Sentence], list[str]]] = [
        (
            "target",
            [words.say("assumed.target", asked=assumed["target"], text=shortened(first.target.text)),
             words.say("assumed.not_probability", score=_score_word(bundle, words))],
            [],
        ),
        (
            "preparation",
            [words.say("assumed.preparation", source=shortened(record["preprocessing"]["source"]))],
            [],
        ),
        ("draws", [words.say("assumed.draws", seed=str(assumed["seed"]), precision=assumed["precision"], device=assumed["device"])], []),
        ("maps", [words.say("assumed.maps.chosen" if assumed["sites"] == "chosen" else "assumed.maps.named")], []),
    ]  # fmt: skip
    if baselines:
        said = [
            words.say("assumed.baseline.zero" if name == "zero" else "assumed.baseline.other", name=name)
            for name in baselines
        ]
        rows.insert(1, ("nothing", said, []))
    if not assumed["class_names"]:
        rows.append(("names", [words.say("assumed.no_names")], []))
    if record["maps_left_out"]:
        rows.append(("left_out", [words.say("assumed.left_out", count=record["maps_left_out"])], []))
    loading = [shortened(note, longest=600) for note in model["notes"]]
    rows.append(("model", [words.say("assumed.source", source=shortened(model["source"]))], loading))
    if record["picture"]["notes"]:
        rows.append(("picture", [], [shortened(note, longest=600) for note in record["picture"]["notes"]]))
    if model["card"]:
        rows.append(("card", [], list(_card(model["card"]))))
    return [{"label": words.text(f"assumed.label.{key}"), "sentences": said, "notes": notes} for key, said, notes in rows]


def _card(card: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, value in sorted(card.items()):
        text = "; ".join(value) if isinstance(value, list) else number(value) if isinstance(value, float) else str(value)
        lines.append(shortened(f"{name.replace('_', ' ')}: {text}", longest=600))
    return lines


def _foot(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "command": None if record["command"] is None else shortened(record["command"], longest=400),
        "versions": ", ".join(f"{name} {version}" for name, version in record["versions"].items()),
        "digests": [
            ("foot.picture", record["picture"]["digest"], shortened(record["picture"]["name"])),
            ("foot.weights", record["model"]["weights_digest"], shortened(record["model"]["name"])),
            ("foot.input", record["input"]["digest"], ""),
        ],
    }


__all__ = ["class_name", "histogram", "view"]
