"""The filters of a network: what a page says about them, and the first layer's kernels in colour."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pellucid.figures import png
from pellucid.figures.numbers import grouped, number
from pellucid.pages.bundle import Bundle
from pellucid.pages.pictures import Picture, data_url
from pellucid.pages.words import Catalogue, Segment, shortened

_COLUMNS = {"wide": 24, "narrow": 12}
_MOST_NAMED = 6
_GAP = 1
_ZERO = 128
"""Between kernels lies what 0 looks like, in light and in dark."""


def filters_view(bundle: Bundle, words: Catalogue) -> dict[str, Any] | None:
    """The section for the templates; None where nobody looked."""
    record = bundle.record.get("filters")
    if record is None:
        return None
    damage = [finding for finding in record["findings"] if finding["damage"]]
    others = [finding for finding in record["findings"] if not finding["damage"]]
    told = [_with_effect(each, record, words) for each in [*damage, *others]]
    if damage and len(told[0]) == 1:
        told = told[1:]  # the claim says it
    return {
        "claim": _said(damage[0], record, words) if damage else _sound(record, words),
        "findings": told,
        "kernels": _kernels(bundle, record, words),
    }


def _sound(record: Mapping[str, Any], words: Catalogue) -> tuple[Segment, ...]:
    layers = record["layers"]
    counted = {
        "count": len(layers),
        "filters": grouped(sum(layer["shape"][0] for layer in layers)),
        "dead": sum(layer["dead"] for layer in layers),
        "alike": sum(layer["duplicates"] for layer in layers),
    }
    return words.say("filters.sound" if not record["findings"] else "filters.facts", **counted)


def _said(finding: Mapping[str, Any], record: Mapping[str, Any], words: Catalogue) -> tuple[Segment, ...]:
    return words.say(
        f"filters.found.{finding['kind']}",
        sites=_listed([shortened(site, longest=60) for site in finding["sites"]], words),
        of=len(record["layers"]),
        count=finding["count"],
    )


def _with_effect(finding: Mapping[str, Any], record: Mapping[str, Any], words: Catalogue) -> list[tuple[Segment, ...]]:
    said = [_said(finding, record, words)]
    channels, pictures = finding["channels"], record["pictures"]
    if channels:
        said.append(
            words.say("filters.which", channels=_listed([str(c) for c in channels], words), count=len(channels))
        )
    if finding["largest"] is not None:
        key = "filters.removal.changed" if pictures == 1 and finding["changed"] else "filters.removal"
        values = {"largest": number(finding["largest"]), "changed": finding["changed"], "count": pictures}
        said.append(words.say(key, **values))
        if finding["measured"] < finding["count"]:
            said.append(words.say("filters.measured", measured=finding["measured"], count=finding["count"]))
    return said


def _listed(names: list[str], words: Catalogue) -> str:
    shown = ", ".join(names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return shown if more <= 0 else f"{shown} {words.text('filters.more', more=more)}"


def _kernels(bundle: Bundle, record: Mapping[str, Any], words: Catalogue) -> dict[str, Any] | None:
    kernels = record["kernels"]
    if kernels is None:
        return None
    tiles = np.asarray(bundle.arrays["kernels"])
    site = shortened(record["layers"][0]["name"])
    count, tall, wide = tiles.shape[:3]
    return {
        **{size: _mosaic(tiles, columns) for size, columns in _COLUMNS.items()},
        "alt": words.text("filters.alt", site=site),
        "note": words.say(
            "filters.kernels",
            site=site,
            shown=count,
            total=kernels["total"],
            tall=tall,
            wide=wide,
            least=number(kernels["least"]),
            most=number(kernels["most"]),
        ),
    }


def _mosaic(tiles: np.ndarray, columns: int) -> Picture:
    count, tall, wide = tiles.shape[:3]
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = np.full((rows * (tall + _GAP) - _GAP, columns * (wide + _GAP) - _GAP, 3), _ZERO, dtype=np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * (tall + _GAP), place % columns * (wide + _GAP)
        sheet[top : top + tall, left : left + wide] = tile
    return Picture(url=data_url(png.rgb(sheet)), width=sheet.shape[1], height=sheet.shape[0])
