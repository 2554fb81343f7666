"""The section about agreement: who ranks the positions alike, as numbered matrices with the controls beside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.figures.matrix import draw_matrix
from pellucid.metrics.map_controls import CENTRE, EDGES
from pellucid.pages.graph_pictures import wording_of
from pellucid.pages.inline import Inline
from pellucid.pages.notes import noted
from pellucid.pages.words import Catalogue, Sentence, fixed, shortened

_WIDTH, _COLUMN, _NAMES = 976, 29, 200
"""Pixels: of a drawing with few columns; of a column and of the names where there are many."""
_MOST = 60
"""Up to so many maps the matrix is a table of numbers."""
DECIMALS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two methods and how far they agree.

    Attributes:
        one: The name of the first.
        other: The name of the second.
        value: Their rank correlation.
    """

    one: str
    other: str
    value: float


def agreement_section(record: Mapping[str, Any], labels: Sequence[str], words: Catalogue) -> dict[str, Any]:
    """The claim, the matrices, and why some of their cells are empty.

    Args:
        record: The agreement as a gallery keeps it: methods first, then the controls.
        labels: What the page calls the methods, in their order.
        words: The catalogue of the page.
    """
    names = [*labels, *(_control(name, words) for name in record["controls"])]
    called = dict(zip(record["names"], names, strict=True))
    matrices = [_matrix(record, "absolute", names, words)]
    if _several_signed(record, len(labels)):
        matrices.append(_matrix(record, "signed", names, words))
    return {
        "claim": _claim(record, labels, words),
        "controls": _beside_controls(record, labels, words),
        "matrices": matrices,
        "missing": [_missing(row, called, words) for row in record["null_because"]],
    }


def short_agreement(record: Mapping[str, Any], labels: Sequence[str], words: Catalogue) -> list[dict[str, Any]]:
    """The highest, the middle and the lowest agreement, for the head of the page."""
    pairs = _pairs(record, labels)
    if not pairs:
        return []
    found = [("only", pairs[0])] if len(pairs) == 1 else [("most", pairs[-1]), ("least", pairs[0])]
    rows = [
        {
            "label": words.text(f"gallery.short.{key}"),
            "value": said_value(pair.value),
            "text": words.say("gallery.short.pair", one=pair.one, other=pair.other),
        }
        for key, pair in found
    ]
    if len(pairs) > 2:
        middle = float(np.median([pair.value for pair in pairs]))
        text = words.say("gallery.short.pairs", count=len(pairs))
        rows.insert(
            1, {"label": words.text("gallery.short.median"), "value": said_value(middle), "text": text}
        )  # fmt: skip
    return rows


def said_value(value: float) -> str:
    """A correlation as the page writes it; never −0.00."""
    rounded = round(value, DECIMALS)
    return fixed(rounded if rounded else 0.0, DECIMALS)


def _pairs(record: Mapping[str, Any], labels: Sequence[str]) -> list[Pair]:
    """Every pair of methods with a correlation of absolute values, the lowest first."""
    rows = record["absolute"]
    found = [
        Pair(one=labels[i], other=labels[j], value=rows[i][j])
        for i in range(len(labels))
        for j in range(i + 1, len(labels))
        if rows[i][j] is not None
    ]
    return sorted(found, key=lambda pair: pair.value)


def _claim(record: Mapping[str, Any], labels: Sequence[str], words: Catalogue) -> Sentence:
    pairs = _pairs(record, labels)
    if not pairs:
        return words.say("gallery.agree.none")
    least, most = pairs[0], pairs[-1]
    if len(pairs) == 1:
        return words.say("gallery.agree.pair", one=most.one, other=most.other, value=said_value(most.value))
    return words.say(
        "gallery.agree.claim", one=most.one, other=most.other, value=said_value(most.value), far=least.one,
        apart=least.other, low=said_value(least.value),
    )  # fmt: skip


def _beside_controls(record: Mapping[str, Any], labels: Sequence[str], words: Catalogue) -> list[Sentence]:
    """Which method is most like each control, and how like."""
    said = []
    for offset, name in enumerate(record["controls"]):
        row = record["absolute"][len(labels) + offset][: len(labels)]
        known = {i: value for i, value in enumerate(row) if value is not None}
        if known:
            nearest = max(known, key=lambda i: known[i])
            key = {CENTRE: "gallery.like.centre", EDGES: "gallery.like.edges"}.get(name)
            if key is not None:
                said.append(words.say(key, name=labels[nearest], value=said_value(known[nearest])))
    return said


def _several_signed(record: Mapping[str, Any], count: int) -> bool:
    rows = record["signed"]
    return any(rows[i][j] is not None for i in range(count) for j in range(i))


def _matrix(record: Mapping[str, Any], which: str, names: Sequence[str], words: Catalogue) -> dict[str, Any]:
    values = np.array(record[which], dtype=np.float64)
    kept = [i for i in range(len(values)) if which == "absolute" or np.isfinite(values[i]).any()]
    values = values[np.ix_(kept, kept)]
    controls = len(names) - len(record["controls"])
    every = numbered(len(names), controls=len(record["controls"]))
    columns = [every[i] for i in kept]
    rows = [f"{every[i]} {shortened(names[i], longest=48)}" for i in kept]
    groups = np.array([int(i >= controls) for i in kept])
    title = words.text(f"gallery.matrix.{which}")
    figure = draw_matrix(
        np.round(values, DECIMALS) + 0.0,
        row_names=rows,
        column_names=columns,
        groups=groups if len(set(groups.tolist())) > 1 else None,
        kind="signed",
        low=-1.0,
        high=1.0,
        unit=words.text("gallery.matrix.unit"),
        description=title,
        width=max(_WIDTH, _NAMES + _COLUMN * len(kept)),
        numbered=_MOST,
        decimals=DECIMALS,
        wording=wording_of(words),
    )
    table = [
        ("", row, ["–" if not np.isfinite(value) else said_value(value) for value in line])
        for row, line in zip(rows, values.tolist(), strict=True)
    ]
    return {"title": title, "drawing": Inline(figure), "table": {"head": ["", *columns], "rows": table}}


def numbered(count: int, *, controls: int) -> list[str]:
    """What stands before the names of maps and above their columns: numbers for methods, letters for controls.

    Args:
        count: Of all maps.
        controls: Of the controls, which come last.
    """
    return [*map(str, range(1, count - controls + 1)), *(chr(ord("a") + place) for place in range(controls))]


def _control(name: str, words: Catalogue) -> str:
    known = {CENTRE: "gallery.control.centre", EDGES: "gallery.control.edges"}
    return words.text(known[name]) if name in known else shortened(name)


def _missing(row: Mapping[str, Any], called: Mapping[str, str], words: Catalogue) -> dict[str, Any]:
    names = [called.get(name, shortened(name)) for name in row["maps"]]
    return {"title": " – ".join(names), "reason": noted(row["reason"], "no ranking", words, longest=200)}
