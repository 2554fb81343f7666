"""The index of a folder of pages: what was looked at, by which model, and the answer; a link to each page."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from pellucid.figures.numbers import number
from pellucid.pages.bundle import Bundle
from pellucid.pages.compared import best_of
from pellucid.pages.comparison import Comparison
from pellucid.pages.gallery import Gallery
from pellucid.pages.graph_bundle import GraphBundle
from pellucid.pages.graph_input import shown_subject
from pellucid.pages.graph_pictures import small_picture
from pellucid.pages.inline import Inline
from pellucid.pages.naming import class_name
from pellucid.pages.notes import noted
from pellucid.pages.page import filled, written
from pellucid.pages.pictures import reduced, thumbnail
from pellucid.pages.saved import Saved
from pellucid.pages.words import Catalogue, probability, shortened

_SIDES = ((250, 96), (1000, 48))
"""Up to so many pictures, thumbnails have so long a side; an index of more has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One picture or graph in one model, as the index names it.

    Attributes:
        picture: Name of the picture or of the graph.
        picture_digest: Its digest.
        model: Name of the model.
        weights_digest: The digest of its weights.
        form: How the answer is read: "softmax", "sigmoid" or "values".
        best: The first row of the answer.
        thumbnail: The picture, small; of a graph its drawing; None where it cannot be told from others so small.
    """

    picture: str
    picture_digest: str
    model: str
    weights_digest: str
    form: str
    best: Mapping[str, Any]
    thumbnail: np.ndarray | Inline | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the index.

    Attributes:
        page: The page's file name, beside the index.
        looks: What is on it.
    """

    page: str
    looks: tuple[Look, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What could not be made a page of, and why."""

    name: str
    reason: str


def entry(saved: Saved, page: Path) -> Entry:
    """The line of the index for a page that was written."""
    if isinstance(saved, Comparison):
        return Entry(page=page.name, looks=tuple(_compared(saved, side) for side in (0, 1)))
    look = _look_at_graph(saved) if isinstance(saved, GraphBundle) else _look(saved)
    return Entry(page=page.name, looks=(look,))


def render_index(
    entries: Sequence[Entry], *, left_out: Sequence[LeftOut] = (), passed_over: int = 0, lang: str = "en"
) -> str:
    """The index as one HTML file: no script, no request, the same bytes for the same entries.

    Args:
        entries: Its lines, in their order.
        left_out: Bundles of which no page could be made.
        passed_over: JSON files that are no bundles.
        lang: "en" or "ko".
    """
    words = Catalogue(lang)
    looks = [look for line in entries for look in line.looks]
    side = next((side for most, side in _SIDES if len(looks) <= most), 0)
    names = Counter(_answer(look, words)[0] for look in looks)
    # Of several that are equally frequent the first one on the page, whatever the order of a dictionary.
    most = max(names.values(), default=0)
    usual = next((name for name, times in names.items() if times == most), "")
    remarks = []
    if len(names) < len(looks):
        remarks.append(words.say("index.usual", name=usual, times=most, total=len(looks)))
    if left_out:
        remarks.append(words.say("index.left_out", count=len(left_out)))
    if passed_over:
        remarks.append(words.say("index.passed_over", count=passed_over))
    values = {
        "title": words.text("index.title", count=len(entries)),
        "pictures": len({look.picture_digest for look in looks}),
        "models": len({look.weights_digest for look in looks}),
        "remarks": remarks,
        "rows": [_row(line, side, words) for line in entries],
        "left_out": [_left_out(each, words) for each in left_out],
    }
    return filled("index.html", words, values)


def write_index(
    entries: Sequence[Entry], path: Path, *, left_out: Sequence[LeftOut] = (), passed_over: int = 0, lang: str = "en"
) -> Path:
    """Write the index, whole or not at all.

    Raises:
        CapacityError: It would be larger than 5 MB.
        OSError: The folder is not writable.
    """
    html = render_index(entries, left_out=left_out, passed_over=passed_over, lang=lang)
    return written(html, path, what=f"the index of {len(entries)} pages", hint="put the bundles into several folders")


def _look_at_graph(bundle: GraphBundle) -> Look:
    graph, answer = bundle.record["graph"], bundle.record["answer"]
    target = bundle.explanations[0].target.nodes
    surface = bundle.record["facts"]["body"] == "mesh"
    return Look(
        picture=graph["name"],
        picture_digest=str(graph["digest"]),
        model=bundle.record["model"]["name"],
        weights_digest=str(bundle.record["model"]["weights_digest"]),
        form=answer["form"],
        best=answer["rows"][0],
        thumbnail=None if surface else small_picture(shown_subject(bundle), target),
    )


def _look(bundle: Bundle | Gallery) -> Look:
    answer = bundle.record["answer"]
    pixels = bundle.arrays["prepared" if isinstance(bundle, Gallery) else "original"]
    return _named(bundle.record, answer["form"], answer["rows"][0], pixels)


def _compared(comparison: Comparison, side: int) -> Look:
    form, best = comparison.record["answer"]["forms"][side], best_of(comparison.record, side)
    return _named(comparison.record["sides"][side], form, best, comparison.arrays[f"prepared {side}"])


def _named(record: Mapping[str, Any], form: str, best: Mapping[str, Any], pixels: np.ndarray) -> Look:
    return Look(
        picture=record["picture"]["name"],
        # Text, whatever a damaged bundle holds: they are counted.
        picture_digest=str(record["picture"]["digest"]),
        model=record["model"]["name"],
        weights_digest=str(record["model"]["weights_digest"]),
        form=form,
        best=best,
        thumbnail=reduced(np.asarray(pixels), _SIDES[0][1]),
    )


def _row(line: Entry, side: int, words: Catalogue) -> dict[str, Any]:
    # Quoted whole, a name can neither leave the folder nor be taken for another kind of address.
    return {
        "href": quote(os.fsencode(line.page), safe=""),
        "looks": [_shown(each, side, words) for each in line.looks],
    }


def _left_out(each: LeftOut, words: Catalogue) -> dict[str, Any]:
    return {"name": shortened(each.name), "reason": noted(each.reason, "refusal", words, longest=400)}


def _shown(look: Look, side: int, words: Catalogue) -> dict[str, Any]:
    name, value = _answer(look, words)
    return {
        "picture": shortened(look.picture, longest=80),
        "model": shortened(look.model, longest=80),
        "answer": name,
        "value": value,
        "thumbnail": thumbnail(look.thumbnail, side) if side and isinstance(look.thumbnail, np.ndarray) else None,
        "drawing": look.thumbnail if side and isinstance(look.thumbnail, Inline) else None,
    }


def _answer(look: Look, words: Catalogue) -> tuple[str, str]:
    """The answer and its probability; of a model whose answer is a number, the output and its value."""
    name = class_name(look.best, words, form=look.form)
    if look.form == "values":
        return name, number(look.best["logit"], digits=4)
    return name, probability(look.best["probability"])
