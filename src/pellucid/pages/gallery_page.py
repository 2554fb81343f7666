"""From a gallery to one HTML file: every method on the same picture, what it cost, and how far the methods agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.figures.numbers import number
from pellucid.methods.applying import settings_that_differ
from pellucid.methods.explanation import Explanation
from pellucid.pages.agreement import agreement_section, short_agreement
from pellucid.pages.assumed import foot_view, model_rows, prepared_by
from pellucid.pages.gallery import Gallery
from pellucid.pages.naming import class_name, explained, method_name, score_word, title_key, title_names
from pellucid.pages.notes import noted
from pellucid.pages.page import filled, written
from pellucid.pages.pictures import bar, drawing, photograph
from pellucid.pages.why import Said, said, shared_notes
from pellucid.pages.words import Catalogue, Sentence, probability, shortened

_SIDES = ((6, 480), (12, 320), (10_000, 240))
"""Up to so many methods, their drawings have so many pixels a side: the page stays below 5 MB."""
_SHAPES = ((2, "two"), (6, "three"))
"""Up to so many methods, so many stand in a row; four beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One method of the grid.

    Attributes:
        label: Its name with the settings that are not its usual ones; what tells it apart in the matrix.
        said: What every page says about an explanation.
    """

    label: str
    said: Said


def render_gallery(gallery: Gallery, *, lang: str = "en") -> str:
    """The page of a gallery, by the rules of every page: no script, no request, the same bytes each time.

    Raises:
        SettingError: No such language.
    """
    words = Catalogue(lang)
    return filled("gallery.html", words, gallery_view(gallery, words))


def write_gallery(gallery: Gallery, path: str | Path, *, lang: str = "en") -> Path:
    """Write the page of a gallery, whole or not at all.

    Raises:
        CapacityError: The page would be larger than 5 MB.
        OSError: The folder is missing or not writable.
    """
    html = render_gallery(gallery, lang=lang)
    what = f"the page of {len(gallery.explanations)} methods"
    return written(html, path, what=what, hint="choose fewer methods")


def gallery_view(gallery: Gallery, words: Catalogue) -> dict[str, Any]:
    """All that the template needs."""
    shown = _shown(gallery, words)
    labels = [each.label for each in shown]
    return {
        "title": words.text(title_key(gallery), **title_names(gallery, words)),
        "head": _head(gallery, words, labels),
        "methods": _methods(gallery, words, shown),
        "agreement": agreement_section(gallery.record["agreement"], labels, words),
        "numbers": _numbers(gallery, words, labels),
        "assumed": _assumed(gallery, words),
        "foot": foot_view(gallery.record),
    }


def _shown(gallery: Gallery, words: Catalogue) -> list[Shown]:
    explanations = gallery.explanations
    shared = shared_notes(explanations)
    longest = next(side for most, side in _SIDES if len(explanations) <= most)
    prepared = np.asarray(gallery.arrays["prepared"])
    found = []
    for each in explanations:
        geometry = each.subject.geometry  # type: ignore[union-attr]  # a gallery is of a picture
        drawn = drawing(
            each, prepared=prepared, original=prepared, geometry=geometry, same_view=True, longest=longest
        )  # fmt: skip
        changed = settings_that_differ(each)
        about = said(each, drawn, words, settings=changed, shared=shared)
        found.append(Shown(label=_label(about.title, changed, words), said=about))
    return found


def _label(title: str, changed: dict[str, object], words: Catalogue) -> str:
    settings = [
        "".join(segment.text for segment in noted(f"{name} {value}", "setting", words, longest=60))
        for name, value in changed.items()
    ]
    return f"{title} ({', '.join(settings)})" if settings else title


def _head(gallery: Gallery, words: Catalogue, labels: Sequence[str]) -> dict[str, Any]:
    record, first = gallery.record, gallery.explanations[0]
    answer = record["answer"]
    names = {"model": shortened(record["model"]["name"]), "picture": shortened(record["picture"]["name"])}
    top = answer["rows"][0]
    if answer["form"] == "values" or len(answer["rows"]) < 2:
        lede = [words.say("head.values", **names, value=number(first.score, digits=4))]
    else:
        answered = {"name": class_name(top, words), "probability": probability(top["probability"])}
        lede = [words.say("head.class", **names, **answered)]
    spent = [each.cost for each in gallery.explanations]
    slowest = max(range(len(spent)), key=lambda i: spent[i].seconds)
    lede.append(
        words.say(
            "gallery.lede", count=len(labels), seconds=number(sum(cost.seconds for cost in spent), digits=2),
            slowest=labels[slowest],
        )
    )  # fmt: skip
    height, width = record["input"]["size"]
    return {
        "title": words.say(title_key(gallery), **title_names(gallery, words)),
        "lede": lede,
        "remark": None if record["remark"] is None else noted(record["remark"], "remark", words),
        "picture": photograph(np.asarray(gallery.arrays["prepared"])),
        "caption": words.say("compare.sees", picture=names["picture"], width=width, height=height),
        "short": short_agreement(record["agreement"], labels, words),
    }


def _methods(gallery: Gallery, words: Catalogue, shown: Sequence[Shown]) -> dict[str, Any]:
    record, first = gallery.record, gallery.explanations[0]
    kinds = [each.kind for each in gallery.explanations]
    rules = [
        {"bar": bar(kind), "zero": kind == "signed", "text": words.say(f"gallery.rule.{kind}", count=kinds.count(kind))}
        for kind in ("signed", "sequential")
        if kind in kinds
    ]
    return {
        "claim": words.say(
            "gallery.claim", count=len(shown), score=score_word(gallery, words), value=number(first.score, digits=4)
        ),
        "rules": rules,
        "shape": next((name for most, name in _SHAPES if len(shown) <= most), "four"),
        "rows": [each.said for each in shown],
        "notes": [
            noted(note, "explanation", words, longest=400) for note in shared_notes(gallery.explanations)
        ],
        "left_out": [
            {
                "title": method_name(row["method"], words),
                "reason": noted(row["reason"], "reason", words, longest=400),
            }
            for row in record["left_out"]
        ],
    }  # fmt: skip


def _numbers(gallery: Gallery, words: Catalogue, labels: Sequence[str]) -> dict[str, Any]:
    """The costs, the sizes and the ranges in a table."""
    head = ["", *(words.text(f"gallery.table.{name}") for name in (
        "site", "size", "least", "most", "forwards", "backwards", "seconds",
    ))]  # fmt: skip
    rows = [
        ("", f"{place} {label}", _row(each))
        for place, (each, label) in enumerate(zip(gallery.explanations, labels, strict=True), start=1)
    ]
    devices = sorted({each.cost.device for each in gallery.explanations})
    return {"head": head, "rows": rows, "note": words.say("gallery.table.note", device=", ".join(devices))}


def _row(explanation: Explanation) -> list[str]:
    plane, cost = explanation.parts[0].plane(), explanation.cost
    finite = plane[np.isfinite(plane)]
    ends = [number(float(finite.min())), number(float(finite.max()))] if finite.size else ["–", "–"]
    return [
        shortened(explanation.parts[0].place, longest=40),
        f"{plane.shape[0]} × {plane.shape[1]}",
        *ends,
        number(cost.forwards),
        number(cost.backwards),
        number(cost.seconds, digits=2),
    ]


def _assumed(gallery: Gallery, words: Catalogue) -> list[dict[str, Any]]:
    """Every choice that would change the page."""
    record, assumed = gallery.record, gallery.record["assumed"]
    draws = {name: str(assumed[name]) for name in ("seed", "precision", "device")}
    rows: list[tuple[str, list[Sentence], list[Sentence]]] = [
        (
            "target",
            [
                words.say("assumed.target", asked=assumed["target"], text=explained(gallery, words)),
                words.say("assumed.not_probability", score=score_word(gallery, words)),
            ],
            [],
        ),
        ("methods", [words.say(f"gallery.methods.{assumed['methods']}"), words.say("gallery.settings")], []),
        ("agreement", [words.say("gallery.agreement.how"), words.say("gallery.agreement.sign")], []),
        ("controls", [words.say("gallery.controls")], []),
        ("preparation", [prepared_by(record, words)], []),
        ("draws", [words.say("assumed.draws", **draws)], []),
    ]
    if not assumed["class_names"]:
        rows.append(("names", [words.say("assumed.no_names")], []))
    source, *card = model_rows(record, words)
    rows.append(source)
    if record["picture"]["notes"]:
        rows.append(("picture", [], [noted(note, "picture", words) for note in record["picture"]["notes"]]))
    rows += card
    return [
        {"label": words.text(f"assumed.label.{key}"), "sentences": sentences, "notes": notes}
        for key, sentences, notes in rows
    ]
