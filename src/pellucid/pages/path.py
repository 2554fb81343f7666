"""The path of a decision: how a page draws it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.figures.numbers import number
from pellucid.pages.bundle import Bundle
from pellucid.pages.naming import explained
from pellucid.pages.pictures import bar, map_url
from pellucid.pages.words import Catalogue, Sentence, abridged, percent, shortened

_SIDE = 72
_ROW = 118
_TOP = 34
_LABEL = 190
"""Pixels at the right for the target's name."""
_WIDEST = 7.0
"""Pixels of the thickest line between two columns."""
_LETTER = 6.8
"""Pixels of a letter of a site's name."""


def path_view(bundle: Bundle, words: Catalogue) -> dict[str, Any] | None:
    """The section for the templates; None where there is no path."""
    record = bundle.record.get("path")
    if record is None:
        return None
    sites, name = record["sites"], explained(bundle, words)
    urls = [[map_url(entries) for entries in np.asarray(bundle.arrays[f"path {i}"])] for i in range(len(sites))]
    return {
        "claim": _claim(record, name, words),
        "graph": _graph(record, urls, name, words),
        "rows": [_row(site, urls[i], record["score"], words) for i, site in enumerate(sites)],
        "bar": bar("sequential"),
        "target": shortened(_plain(name), longest=26),
    }


def _plain(sentence: Sentence) -> str:
    return "".join(segment.text for segment in sentence)


def _claim(record: Mapping[str, Any], name: Sentence, words: Catalogue) -> Sentence:
    last = record["sites"][-1]
    if last["positive"] <= 0:
        return words.say("path.claim.none", site=shortened(last["name"]), name=name)
    shown = sum(max(0.0, node["contribution"]) for node in last["nodes"])
    return words.say(
        "path.claim",
        shown=len(last["nodes"]),
        channels=last["channels"],
        site=shortened(last["name"]),
        share=percent(shown / last["positive"]),
        name=name,
    )


def _row(site: Mapping[str, Any], urls: Sequence[str], score: float, words: Catalogue) -> dict[str, Any]:
    said = [
        words.say(
            "path.sum",
            total=number(site["total"]),
            channels=site["channels"],
            score=number(score),
            rest=number(score - site["total"], sign=True),
        )
    ]
    if site["agreement"] is not None:
        said.append(words.say("path.agreement", agreement=number(site["agreement"], digits=2), removed=site["removed"]))
    return {
        "name": shortened(site["name"]),
        "sentences": said,
        "low": number(site["scale"][0]),
        "high": number(site["scale"][1]),
        "nodes": [
            {
                "channel": node["channel"],
                "url": url,
                "contribution": number(node["contribution"], sign=True),
                "removal": number(-node["removal"], sign=True),
            }
            for node, url in zip(site["nodes"], urls, strict=True)
        ],
    }


def _graph(
    record: Mapping[str, Any], urls: Sequence[Sequence[str]], name: Sentence, words: Catalogue
) -> dict[str, Any]:
    """Columns of nodes from the picture to the class, and lines as thick as what comes through."""
    sites = record["sites"]
    most = max(len(site["nodes"]) for site in sites)
    columns = len(sites) + 2
    width, height = 976, _TOP + most * _ROW
    step = (width - _LABEL) / (columns - 1)
    middle = _TOP + (most * _ROW - 40) / 2

    def place(column: int, row: int, count: int) -> tuple[float, float]:
        return column * step, middle + (row - (count - 1) / 2) * _ROW - _SIDE / 2

    lines, nodes = [], []
    picture, label = place(0, 0, 1), place(columns - 1, 0, 1)
    for place_number, site in enumerate(sites):
        count = len(site["nodes"])
        here = [place(place_number + 1, row, count) for row in range(count)]
        for row, (node, url) in enumerate(zip(site["nodes"], urls[place_number], strict=True)):
            x, y = here[row]
            nodes.append(
                {
                    "x": _px(x),
                    "y": _px(y),
                    "middle": _px(x + _SIDE / 2),
                    "above": _px(y - 5),
                    "below": _px(y + _SIDE + 14),
                    "channel": node["channel"],
                    "url": url,
                    "contribution": number(node["contribution"], sign=True),
                }
            )
        if place_number == 0:
            flows = [[node["contribution"] for node in site["nodes"]]]
            lines += _lines([picture], here, flows)
        else:
            before = sites[place_number - 1]["nodes"]
            earlier = [place(place_number, row, len(before)) for row in range(len(before))]
            lines += _lines(earlier, here, site["edges"])
        if place_number == len(sites) - 1:
            lines += _lines(here, [label], [[node["contribution"]] for node in site["nodes"]])
    heads = [
        {"x": _px((i + 1) * step + _SIDE / 2), "text": abridged(site["name"], longest=int(step / _LETTER) - 1)}
        for i, site in enumerate(sites)
    ]
    return {
        "width": width,
        "height": height,
        "side": _SIDE,
        "lines": lines,
        "nodes": nodes,
        "heads": heads,
        "picture": {"x": _px(picture[0]), "y": _px(picture[1])},
        "label": {
            "x": _px(label[0] + 8),
            "y": _px(label[1] + _SIDE / 2 - 2),
            "below": _px(label[1] + _SIDE / 2 + 16),
        },
        "score": number(record["score"], digits=4),
        "alt": words.text("path.alt", name=shortened(_plain(name), longest=60)),
    }


def _lines(
    starts: Sequence[tuple[float, float]], ends: Sequence[tuple[float, float]], flows: Sequence[Sequence[float]]
) -> list[dict[str, str]]:
    largest = max((abs(flow) for row in flows for flow in row), default=0.0)
    if largest <= 0:
        return []
    found = []
    for (x1, y1), row in zip(starts, flows, strict=True):
        for (x2, y2), flow in zip(ends, row, strict=True):
            wide = _WIDEST * abs(flow) / largest
            if wide < 0.3:
                continue
            a, b = x1 + _SIDE + 3, x2 - 3
            bend = (b - a) / 2
            found.append(
                {
                    "d": f"M{_px(a)} {_px(y1 + _SIDE / 2)}C{_px(a + bend)} {_px(y1 + _SIDE / 2)} "
                    f"{_px(b - bend)} {_px(y2 + _SIDE / 2)} {_px(b)} {_px(y2 + _SIDE / 2)}",
                    "width": f"{wide:.2f}",
                    "sign": "for" if flow > 0 else "against",
                }
            )
    return found


def _px(value: float) -> str:
    return f"{value:.1f}"
