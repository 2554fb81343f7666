"""From a comparison to one HTML file: both pictures, both answers, and where along the depth the two part."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.figures.numbers import number
from pellucid.pages.assumed import prepared_by
from pellucid.pages.comparison import Comparison
from pellucid.pages.differing import depth_view, drawn_view, farthest, least_agreeing, measured
from pellucid.pages.naming import class_name
from pellucid.pages.notes import noted
from pellucid.pages.page import filled, written
from pellucid.pages.pictures import photograph
from pellucid.pages.words import Catalogue, Sentence, decimals_for, fixed, probability, shortened

LETTERS = ("A", "B")


def render_comparison(comparison: Comparison, *, lang: str = "en") -> str:
    """The page of a comparison, by the rules of every page: no script, no request, the same bytes each time.

    Raises:
        SettingError: No such language.
    """
    words = Catalogue(lang)
    return filled("compare.html", words, comparison_view(comparison, words))


def write_comparison(comparison: Comparison, path: str | Path, *, lang: str = "en") -> Path:
    """Write the page of a comparison, whole or not at all.

    Raises:
        CapacityError: The page would be larger than 5 MB.
        OSError: The folder is missing or not writable.
    """
    html = render_comparison(comparison, lang=lang)
    return written(html, path, what="the page of the comparison", hint="draw fewer sites")


def comparison_view(comparison: Comparison, words: Catalogue) -> dict[str, Any]:
    """All that the template needs."""
    record = comparison.record
    return {
        "title": "".join(segment.text for segment in _title(record, words)),
        "letters": LETTERS,
        "head": _head(comparison, words),
        "answer": _answer(record, words),
        "depth": depth_view(record, words),
        "drawn": drawn_view(comparison, words),
        "assumed": _assumed(record, words),
        "foot": _foot(record),
    }


def best_of(record: Mapping[str, Any], side: int) -> Mapping[str, Any]:
    """The row of the answer of one side."""
    rows = [row["sides"][side] for row in record["answer"]["rows"] if row["sides"][side] is not None]
    found: Mapping[str, Any] = min(rows, key=lambda row: row["rank"])
    return found


def _named(record: Mapping[str, Any], side: int, words: Catalogue) -> tuple[str, str]:
    """A side's answer and its probability; its value where the answer is a number."""
    row, form = best_of(record, side), record["answer"]["forms"][side]
    if form == "values":
        return number(row["logit"], digits=4), number(row["logit"], digits=4)
    return class_name(row, words, form=form), probability(row["probability"])


def _same_answer(record: Mapping[str, Any]) -> bool:
    one, other = best_of(record, 0), best_of(record, 1)
    return any(row["sides"][0] == one and row["sides"][1] == other for row in record["answer"]["rows"])


def _title(record: Mapping[str, Any], words: Catalogue) -> Sentence:
    one, other = (_named(record, side, words)[0] for side in (0, 1))
    if "values" in record["answer"]["forms"]:
        return words.say("compare.title.values", name=one, other=other)
    if _same_answer(record):
        return words.say(f"compare.title.{record['mode']}.same", name=one)
    return words.say(f"compare.title.{record['mode']}.differ", name=one, other=other)


def _head(comparison: Comparison, words: Catalogue) -> dict[str, Any]:
    record = comparison.record
    lede, remarks, broken = [], [], []
    for letter, side, place in zip(LETTERS, record["sides"], (0, 1), strict=True):
        name, value = _named(record, place, words)
        key = "compare.side.value" if record["answer"]["forms"][place] == "values" else "compare.side"
        names = {"model": shortened(side["model"]["name"]), "picture": shortened(side["picture"]["name"])}
        lede.append(words.say(key, letter=letter, name=name, value=value, **names))
        if side["remark"]:
            remarks.append((letter, noted(side["remark"], "remark", words, longest=400)))
        if side["not_finite"]:
            broken.append(words.say("compare.not_finite", letter=letter, site=shortened(side["not_finite"])))
    lede.append(_most(record, words))
    same = comparison.same_view
    pictures = [photograph(np.asarray(comparison.arrays[f"prepared {place}"])) for place in ((0,) if same else (0, 1))]
    return {
        "title": _title(record, words),
        "lede": lede,
        "redrawn": None if record["assumed"]["seed"] is None else words.say("compare.redrawn"),
        "remarks": remarks,
        "broken": broken,
        "pictures": [
            {
                "letter": "A = B" if same else LETTERS[place],
                "picture": picture,
                "caption": _caption(record, place, words),
            }
            for place, picture in enumerate(pictures)
        ],
        "short": _short(record, words),
    }


def _caption(record: Mapping[str, Any], place: int, words: Catalogue) -> Sentence:
    side = record["sides"][place]
    height, width = side["input"]["shape"][1:]
    return words.say("compare.sees", picture=shortened(side["picture"]["name"], longest=60), width=width, height=height)


def _most(record: Mapping[str, Any], words: Catalogue) -> Sentence:
    """What changed most, in one sentence of measurements."""
    far, apart = farthest(record), least_agreeing(record)
    if far is None:
        return words.say("compare.unaligned")
    if not far["distance"]:
        return words.say("compare.equal")
    distance = measured(far["distance"])
    if record["mode"] == "models" and apart is not None:
        return words.say("compare.most.models", site=shortened(apart["first"]), cka=measured(apart["cka"]))
    return words.say("compare.most.pictures", site=shortened(far["first"]), distance=distance)


def _short(record: Mapping[str, Any], words: Catalogue) -> list[dict[str, Any]]:
    far, apart, pairs = farthest(record), least_agreeing(record), record["pairs"]
    found: list[tuple[str, str, Sentence]] = []
    if far is not None:
        site = shortened(far["first"], longest=60)
        found.append(("short.distance", measured(far["distance"]), words.say("short.distance.at", site=site)))
    if apart is not None:
        site = shortened(apart["first"], longest=60)
        found.append(("short.cka", measured(apart["cka"]), words.say("short.cka.at", site=site)))
    one, other = (side["sites"] for side in record["sides"])
    found.append(("short.aligned", number(len(pairs)), words.say("short.aligned.of", one=one, other=other)))
    return [{"label": words.text(key), "value": value, "text": text} for key, value, text in found]


def _answer(record: Mapping[str, Any], words: Catalogue) -> dict[str, Any]:
    answer = record["answer"]
    values = "values" in answer["forms"]
    rows = answer["rows"]
    logits = [side["logit"] for row in rows for side in row["sides"] if side is not None]
    decimals = decimals_for(logits)
    best = [best_of(record, side) for side in (0, 1)]
    shown = []
    for row in rows:
        known = next(side for side in row["sides"] if side is not None)
        form = answer["forms"][0 if row["sides"][0] is not None else 1]
        cells = [_cell(side, best[place], decimals) for place, side in enumerate(row["sides"])]
        shown.append(
            {
                "name": class_name(known, words, form=form),
                "cells": cells,
                "first": any(cell["first"] for cell in cells),
                "change": _signed(_change(row, "logit"), decimals),
                "moved": _signed(_change(row, "probability"), 3),
            }
        )
    return {"claim": _answer_claim(record, decimals, words), "numbers": values, "rows": shown}


def _cell(side: Mapping[str, Any] | None, best: Mapping[str, Any], decimals: int) -> dict[str, Any]:
    if side is None:
        return {"logit": "–", "probability": "–", "bar": None, "first": False}
    return {
        "logit": fixed(side["logit"], decimals),
        "probability": probability(side["probability"]),
        "bar": f"{max(0.4, 100 * side['probability']):.2f}",
        "first": side == best,
    }


def _change(row: Mapping[str, Any], what: str) -> float | None:
    one, other = row["sides"]
    return None if one is None or other is None else float(other[what] - one[what])


def _signed(value: float | None, decimals: int) -> str:
    if value is None:
        return "–"
    text = fixed(value, decimals)
    return f"+{text}" if value > 0 else text


def _answer_claim(record: Mapping[str, Any], decimals: int, words: Catalogue) -> Sentence:
    both = [row for row in record["answer"]["rows"] if _change(row, "logit") is not None]
    if not both:
        return words.say("compare.answer.apart")
    most = max(both, key=lambda row: abs(_change(row, "logit") or 0.0))
    change = _change(most, "logit") or 0.0
    if not change:
        return words.say("compare.answer.equal")
    form = record["answer"]["forms"][0]
    one, other = most["sides"]
    name = class_name(one, words, form=form)
    if "values" in record["answer"]["forms"]:
        return words.say("compare.answer.values", name=name, change=_signed(change, decimals))
    chances = {"before": probability(one["probability"]), "after": probability(other["probability"])}
    return words.say("compare.answer.claim", name=name, change=_signed(change, decimals), **chances)


def _assumed(record: Mapping[str, Any], words: Catalogue) -> list[dict[str, Any]]:
    """Every choice that would change the page."""
    assumed, mode = record["assumed"], record["mode"]
    rows: list[tuple[str, Sequence[Sentence], Sequence[Sentence]]] = [
        ("compare.label.pairs", [words.say(f"compare.pairs.{mode}")], []),
        ("compare.label.measures", [words.say("compare.measures")], []),
        ("assumed.label.maps", [words.say(f"assumed.maps.{assumed['sites']}"), words.say("compare.channels")], []),
    ]
    sides = list(zip(LETTERS, record["sides"], strict=True))
    for letter, side in sides if mode == "models" else [("", sides[0][1])]:
        label = f"{words.text('assumed.label.model')} {letter}".strip()
        said = [
            words.say("assumed.source", source=shortened(side["model"]["source"])),
            prepared_by(side, words),
        ]
        rows.append((label, said, [noted(note, "loading", words) for note in side["model"]["notes"]]))
    for letter, side in sides if mode == "pictures" else [("", sides[0][1])]:
        if side["picture"]["notes"]:
            label = f"{words.text('assumed.label.picture')} {letter}".strip()
            rows.append((label, [], [noted(note, "picture", words) for note in side["picture"]["notes"]]))
    where = {"precision": assumed["precision"], "device": assumed["device"]}
    if assumed["seed"] is None:
        rows.append(("compare.label.place", [words.say("compare.draws", **where)], []))
    else:
        rows.append(("assumed.label.draws", [words.say("assumed.draws", seed=str(assumed["seed"]), **where)], []))
    return [
        {"label": words.text(key) if words.has(key) else key, "sentences": said, "notes": notes}
        for key, said, notes in rows
    ]


def _foot(record: Mapping[str, Any]) -> dict[str, Any]:
    digests: list[tuple[str, str, str]] = []
    for side in record["sides"]:
        digests.append(("foot.picture", side["picture"]["digest"], shortened(side["picture"]["name"])))
        digests.append(("foot.weights", side["model"]["weights_digest"], shortened(side["model"]["name"])))
    return {
        "command": None if record["command"] is None else shortened(record["command"], longest=400),
        "versions": ", ".join(f"{name} {version}" for name, version in sorted(record["versions"].items())),
        "digests": list(dict.fromkeys(digests)),
    }
