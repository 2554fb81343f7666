"""Form and class along the depth: what a page says about it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.figures import png
from pellucid.figures.curves import Curve, Panel, panel
from pellucid.figures.numbers import MINUS, number
from pellucid.pages.bundle import Bundle
from pellucid.pages.findings import thinned
from pellucid.pages.pictures import Picture, data_url
from pellucid.pages.words import Catalogue, Sentence, abridged, percent, shortened

_TICKS = ((0.0, "0"), (0.25, "0.25"), (0.5, "0.5"), (0.75, "0.75"), (1.0, "1"))
_BELOW = -0.25
"""Where the axis of R² begins once a value lies below 0; what is lower still is drawn there."""
_NAMES = 160
"""Pixels below the last diagram for the sites' names."""
_LONGEST_NAME = 22


def depth_view(bundle: Bundle, words: Catalogue) -> dict[str, Any] | None:
    """The section for the templates; None where nothing was measured."""
    record = bundle.record.get("depth")
    if record is None:
        return None
    return {
        "claim": _claim(record, words),
        "reads": _reads(bundle, record, words),
        "wide": _panels(record, words, width=976, room=210),
        "narrow": _panels(record, words, width=340, room=138),
        "names": [abridged(site["name"], longest=_LONGEST_NAME) for site in record["sites"]],
        "notes": _notes(record, bundle.record["sites"], words),
    }


def _claim(record: Mapping[str, Any], words: Catalogue) -> Sentence:
    """About the middle one of the sites with positions: a rule that was fixed before anything was measured."""
    places = [i for i, site in enumerate(record["sites"]) if site["flips"] is not None and site["form"] is not None]
    if not places:
        return words.say("depth.claim.none")
    middle = places[len(places) // 2]
    site = record["sites"][middle]
    values = {"site": shortened(site["name"]), "form": _share(site["form"]["value"])}
    if not record["twin"] or record["twin"][middle]["form"] is None:
        return words.say("depth.claim.alone", **values)
    return words.say("depth.claim.twin", **values, twin=_share(record["twin"][middle]["form"]["value"]))


def _share(value: float) -> str:
    """A share of 1 as percent; what is below 0 explains nothing."""
    return percent(value) if value >= 0.005 else "0"


def _reads(bundle: Bundle, record: Mapping[str, Any], words: Catalogue) -> list[dict[str, Any]]:
    if not record["shown"]:
        return []
    prepared = np.asarray(bundle.arrays["prepared"])
    grey = np.rint(prepared.astype(np.float64) @ (0.299, 0.587, 0.114)).astype(np.uint8)
    first = {"name": words.text("depth.picture"), "picture": _picture(thinned(grey)), "value": ""}
    rows = []
    for prefix, key, label in (("read", "sites", "depth.trained"), ("twin read", "twin", "depth.random")):
        cells = [
            {
                "name": abridged(record[key][i]["name"], longest=_LONGEST_NAME),
                "picture": _picture(np.asarray(bundle.arrays[f"{prefix} {i}"])),
                "value": _two(record[key][i]["read_form"]),
            }
            for i in record["shown"]
            if f"{prefix} {i}" in bundle.arrays
        ]
        if cells:
            rows.append({"label": words.text(label), "cells": [first, *cells]})
    return rows


def _picture(grey: np.ndarray) -> Picture:
    levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    return Picture(
        url=data_url(png.indexed(np.ascontiguousarray(grey), levels)), width=grey.shape[1], height=grey.shape[0]
    )


def _panels(record: Mapping[str, Any], words: Catalogue, *, width: int, room: int) -> list[dict[str, Any]]:
    found = []
    kinds = [key for key in ("form", "emerged", "flips") if any(site[key] is not None for site in record["sites"])]
    for place, key in enumerate(kinds):
        last = place == len(kinds) - 1
        curves = [_curve(record["sites"], key, words.text("depth.trained"), "main")]
        if record["twin"]:
            curves.append(_curve(record["twin"], key, words.text("depth.random"), "control"))
        below = any(value is not None and value < 0 for curve in curves for value in curve.lows)
        low = _BELOW if key == "form" and below else 0.0
        ticks = [*_TICKS, *([(_BELOW, f"{MINUS}0.25")] if low < 0 else [])]
        margins = (10, room, _NAMES if last else 10, 44)
        drawn: Panel = panel(
            curves,
            width=width,
            height=150 + (margins[2] - 10),
            margins=margins,
            low=low,
            high=1.0,
            ticks=ticks,
        )
        level = None
        if key == "emerged" and record["chance"] is not None:
            level = f"{drawn.bottom - (drawn.bottom - 10) * record['chance']:.1f}"
        found.append(
            {
                "title": words.text(f"depth.panel.{key}"),
                "drawn": drawn,
                "named": last,
                "level": level,
                "alt": _alt(record, key, words),
            }
        )
    return found


def _curve(sites: list[Mapping[str, Any]], key: str, label: str, style: str) -> Curve:
    estimates = [site[key] for site in sites]
    last = next((estimate["value"] for estimate in reversed(estimates) if estimate is not None), None)
    return Curve(
        label=label if last is None else f"{label} {_two(last)}",
        style=style,
        values=[None if e is None else e["value"] for e in estimates],
        lows=[None if e is None else e["low"] for e in estimates],
        highs=[None if e is None else e["high"] for e in estimates],
    )


def _alt(record: Mapping[str, Any], key: str, words: Catalogue) -> str:
    told = ", ".join(
        f"{shortened(site['name'], longest=40)} {_two(site[key]['value'])}"
        for site in record["sites"]
        if site[key] is not None
    )
    return f"{words.text(f'depth.panel.{key}')}: {told}"


def _two(value: float | None) -> str:
    if value is None:
        return "–"
    text = f"{abs(value):.2f}"
    return (MINUS if value < 0 and float(text) else "") + text


def _notes(record: Mapping[str, Any], sites: Sequence[Mapping[str, Any]], words: Catalogue) -> list[list[Sentence]]:
    held = record["held"]
    notes = [
        [
            words.say(f"depth.source.{record['source']}", count=record["pictures"]),
            words.say("depth.form", learnt=record["pictures"] - held, held=held),
        ]
    ]
    if record["classes"]:
        share = "0" if record["chance"] is None else f"{record['chance']:.2f}"
        notes.append(
            [
                words.say("depth.emerged", classes=record["classes"], probed=record["probed"], chance=share),
                words.say(f"depth.labels.{record['labels']}"),
            ]
        )
    else:
        notes.append([words.say("depth.emerged.none")])
    notes.append([words.say("depth.flips", orders=record["repeats"])])
    if record["twin"]:
        settled = any(site["op"] == "batch_norm" for site in sites)
        notes.append([words.say("depth.twin.settled" if settled else "depth.twin", seed=number(record["seed"]))])
    return notes
