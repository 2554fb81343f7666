"""What a page says, as plain data for the templates: every sentence from the catalogue, every number measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.figures.numbers import grouped, number
from pellucid.pages.assumed import assumed_view, foot_view
from pellucid.pages.bundle import Bundle
from pellucid.pages.depth import depth_view
from pellucid.pages.filters import filters_view
from pellucid.pages.naming import class_name, score_word, subject, title_key, title_names
from pellucid.pages.network import column
from pellucid.pages.notes import noted
from pellucid.pages.path import path_view
from pellucid.pages.pictures import photograph
from pellucid.pages.preparing import input_view
from pellucid.pages.why import Said, said_about, shared_notes
from pellucid.pages.words import Catalogue, Sentence, decimals_for, fixed, million, probability, shortened


def view(bundle: Bundle, words: Catalogue) -> dict[str, Any]:
    """All that the templates need."""
    record = bundle.record
    why = said_about(bundle, words)
    return {
        "title": words.text(title_key(bundle), **title_names(bundle, words)),
        "head": _head(bundle, words, why),
        "answer": answer_view(record, words),
        "input": input_view(bundle, words),
        "network": _network(bundle, words),
        "depth": depth_view(bundle, words),
        "filters": filters_view(bundle, words),
        "path": path_view(bundle, words),
        "why": {
            "claim": _why_claim(bundle, words),
            "rows": why,
            "single": bundle.same_view,
            "veiled": bundle.seen_share <= 0.9999,
            "notes": [noted(note, "explanation", words, longest=400) for note in shared_notes(bundle.explanations)],
        },
        "assumed": assumed_view(bundle, words),
        "foot": foot_view(record),
    }


def _head(bundle: Bundle, words: Catalogue, why: Sequence[Said]) -> dict[str, Any]:
    record, answer = bundle.record, bundle.record["answer"]
    rows, form = answer["rows"], answer["form"]
    names = {"model": shortened(record["model"]["name"]), "picture": shortened(record["picture"]["name"])}
    first, second = rows[0], rows[1] if len(rows) > 1 else None
    logits = [row["logit"] for row in rows]
    digits = decimals_for(logits)
    if form == "values" or second is None:
        lede = [words.say("head.values", **names, value=number(bundle.explanations[0].score, digits=4))]
        short = [
            (
                "short.value",
                number(bundle.explanations[0].score, digits=4),
                words.say("short.value.is", name=subject(bundle, words)),
            )
        ]
    else:
        top = class_name(first, words)
        lede = [words.say("head.class", **names, name=top, probability=probability(first["probability"]))]
        lede.append(
            words.say("head.next", name=class_name(second, words), probability=probability(second["probability"]))
        )
        ahead = fixed(first["logit"] - second["logit"], digits)
        short = [
            ("short.answer", probability(first["probability"]), words.say("short.answer.is", name=top)),
            ("short.ahead", ahead, words.say("short.ahead.of", name=class_name(second, words))),
        ]
    count, cost = len(record["sites"]), sum(site["multiply_adds"] for site in record["sites"])
    short.append(("short.sites", grouped(count), words.say("short.sites.are", cost=million(cost))))
    short += [(row.title, *row.short) for row in why if row.short]
    return {
        "title": words.say(title_key(bundle), **title_names(bundle, words)),
        "lede": lede,
        "short": [
            {"label": words.text(label) if words.has(label) else label, "value": value, "text": text}
            for label, value, text in short
        ],
        "remark": None if record["remark"] is None else noted(record["remark"], "remark", words),
        "not_finite": None if record["not_finite"] is None else shortened(record["not_finite"]),
        "picture": photograph(np.asarray(bundle.arrays["prepared"])),
    }


def answer_view(record: Mapping[str, Any], words: Catalogue) -> dict[str, Any]:
    """The table of the answer, its claim and its notes."""
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
    # The rest has a bar of its own where all probabilities share one whole.
    shares = [row["probability"] for row in rows] + ([answer["rest"]["probability"]] if form == "softmax" else [])
    widest = max(shares)
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
    explained = {index for e in record["explanations"] for index in e["target"]["classes"]}
    rest = answer["rest"]
    return {
        "form": form,
        "claim": claim,
        "notes": notes,
        "rows": [
            {
                "name": class_name(row, words, form=form),
                "rank": str(row["rank"]),
                "first": row["index"] in explained,
                "logit": number(row["logit"], digits=4) if form == "values" else fixed(row["logit"], decimals),
                "log": fixed(row["log_probability"], log_decimals),
                "probability": probability(row["probability"]),
                "bar": f"{max(0.4, 100 * row['probability'] / widest):.2f}",
            }
            for row in rows
        ],
        "rest": None
        if not rest["count"]
        else {
            "text": words.say("answer.rest", count=rest["count"]),
            "probability": probability(rest["probability"]) if form == "softmax" else "",
            "bar": f"{max(0.4, 100 * rest['probability'] / widest):.2f}" if form == "softmax" else None,
        },
    }


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
        "why.claim",
        count=len(bundle.explanations),
        score=score_word(bundle, words),
        value=number(first.score, digits=4),
    )
