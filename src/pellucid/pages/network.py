"""The column of sites: rows for those whose maps are shown, and folds for what lies between them."""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from pellucid.capture.receptive_field import ReceptiveField
from pellucid.figures.numbers import grouped, number
from pellucid.pages.pictures import bar, map_url
from pellucid.pages.words import Catalogue, Segment, Sentence, million, percent, shortened

_FEW = 24
"""A column of so many sites is shown whole."""
_SHORT = 2
_NAMED = 4
"""Of the inputs of one site: a dense block joins dozens."""
_SILHOUETTE, _WIDE, _TALL = 104, 100, 26


def column(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray], words: Catalogue) -> list[dict[str, Any]]:
    """The entries of the column in the order in which data flows.

    Returns:
        Rows (`kind` "row"; those with maps have `maps`) and folds (`kind` "fold" with their own `rows`).
    """
    sites = record["sites"]
    opened = {shown["site"]: (i, shown) for i, shown in enumerate(record["maps"])}

    def stretch(place: int) -> tuple[bool, object]:
        return (sites[place]["name"] in opened, tuple(sites[place]["shape"][2:]))

    groups = [(shown, list(places)) for (shown, _), places in groupby(range(len(sites)), key=stretch)]
    folded = [not shown and len(sites) > _FEW and len(places) > _SHORT for shown, places in groups]
    # The longest bar is that of the dearest entry, be it a site or a fold.
    costs = [site["multiply_adds"] for site in sites]
    sums = [sum(costs[p] for p in places) for (_, places), fold in zip(groups, folded, strict=True) if fold]
    most = max([*costs, *sums], default=0)
    rows = [_row(site, before, record, most, words) for site, before in zip(sites, [None, *sites], strict=False)]
    entries: list[dict[str, Any]] = []
    for (shown, places), fold in zip(groups, folded, strict=True):
        if fold:
            entries.append(_fold([sites[p] for p in places], [rows[p] for p in places], most, record, words))
        elif not shown:
            entries += [rows[place] for place in places]
        else:
            for place in places:
                i, found = opened[sites[place]["name"]]
                entries.append({**rows[place], "maps": _maps(found, arrays[f"maps {i}"], sites[place], words)})
    return entries


def _row(
    site: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    record: Mapping[str, Any],
    most: int,
    words: Catalogue,
) -> dict[str, Any]:
    usual = ["input"] if before is None else [before["name"]]
    inputs = [shortened(name, longest=60) for name in site["inputs"]]
    return {
        "kind": "row",
        "name": shortened(site["name"], longest=80),
        "what": operation(site, words),
        "inputs": [] if list(site["inputs"]) == usual else inputs[:_NAMED],
        "more": max(0, len(inputs) - _NAMED),
        **_facts([site], site, record, most, words),
    }


def _fold(
    sites: Sequence[Mapping[str, Any]],
    rows: list[dict[str, Any]],
    most: int,
    record: Mapping[str, Any],
    words: Catalogue,
) -> dict[str, Any]:
    kinds: dict[str, int] = {}
    for site in sites:
        name = words.text(f"kind.{site['kind']}") if words.has(f"kind.{site['kind']}") else shortened(site["op"])
        kinds[name] = kinds.get(name, 0) + 1
    first, last = (shortened(sites[place]["name"], longest=60) for place in (0, -1))
    listed = ", ".join(
        f"{name}\u00a0×\u00a0{count}" if count > 1 else name
        for name, count in sorted(kinds.items(), key=lambda pair: -pair[1])[:4]
    )
    return {
        "kind": "fold",
        "rows": rows,
        "first": first,
        "last": last,
        "what": words.say("network.fold", count=len(sites), kinds=listed),
        **_facts(sites, sites[-1], record, most, words),
    }


def _facts(
    sites: Sequence[Mapping[str, Any]], shown: Mapping[str, Any], record: Mapping[str, Any], most: int, words: Catalogue
) -> dict[str, Any]:
    cost = sum(site["multiply_adds"] for site in sites)
    shape = shown["shape"][1:]
    return {
        "shape": " × ".join(grouped(side) for side in shape),
        "silhouette": silhouette(shape, widest=max(record["input"]["shape"][1:])),
        "sees": _sees(shown, record["input"]["shape"][1:]),
        "cost": million(cost) if cost else "0",
        "bar": f"{100 * cost / most:.1f}" if cost else None,
    }


def silhouette(shape: Sequence[int], *, widest: int) -> dict[str, str]:
    """A block as wide as the map is and as high as the logarithm of its channels."""
    channels = shape[0] if shape else 1
    side = shape[-1] if len(shape) == 3 else 1
    width = max(2.0, _WIDE * side / max(widest, 1))
    height = min(float(_TALL), 2.0 + 2.3 * math.log2(max(channels, 1)))
    width = min(width, float(_WIDE))
    left, top = (_SILHOUETTE - width) / 2, (34 - height) / 2
    return {"x": f"{left:.1f}", "y": f"{top:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}"}


def _sees(site: Mapping[str, Any], picture: Sequence[int]) -> dict[str, str] | None:
    """What the position in the middle of a map sees of the picture, as text and as a small square in a square."""
    field, shape = site["receptive_field"], site["shape"]
    if field is None or len(field["size"]) != 2 or len(shape) != 4:
        return None
    middle = [side // 2 for side in shape[2:]]
    (top, bottom), (left, right) = ReceptiveField(**{k: tuple(v) for k, v in field.items()}).clipped(
        *middle, picture=picture
    )
    height, width = bottom - top, right - left
    scale = 27 / max(picture)
    return {
        "text": grouped(height) if height == width else f"{grouped(height)}×{grouped(width)}",
        "x": f"{0.5 + left * scale:.1f}",
        "y": f"{0.5 + top * scale:.1f}",
        "width": f"{max(1.6, width * scale):.1f}",
        "height": f"{max(1.6, height * scale):.1f}",
        "wide": f"{picture[1] * scale:.1f}",
        "tall": f"{picture[0] * scale:.1f}",
    }


def _maps(shown: Mapping[str, Any], entries: np.ndarray, site: Mapping[str, Any], words: Catalogue) -> dict[str, Any]:
    count = len(shown["channels"])
    sentences = [words.say(f"maps.{shown['rule']}", count=count, total=shown["total"])]
    if shown["flat"]:
        sentences.append(words.say("maps.flat", value=number(shown["most"])))
    else:
        sentences.append(words.say("maps.scale", count=count))
    if shown["beyond"]:
        share = percent(shown["beyond"] / shown["values"])
        sentences.append(words.say("maps.cut", share=share, least=number(shown["least"]), most=number(shown["most"])))
    if shown["not_finite"]:
        sentences.append(words.say("maps.not_finite", count=shown["not_finite"]))
    if site["zeros"]:
        sentences.append(words.say("maps.zeros", share=percent(site["zeros"])))
    if shown["skip"] > 1:
        sentences.append(words.say("maps.skip", step=shown["skip"]))
    cost = "maps.cost" if site["parameters"] else "maps.time"
    milliseconds = number(1000 * site["seconds"], digits=2)
    sentences.append(words.say(cost, parameters=number(site["parameters"]), seconds=milliseconds))
    cut = bool(shown["beyond"])
    return {
        "figures": [
            {"url": map_url(map_), "channel": str(channel)}
            for map_, channel in zip(entries, shown["channels"], strict=True)
        ],
        "height": entries.shape[1],
        "width": entries.shape[2],
        "bar": bar("sequential"),
        "low": number(shown["low"]),
        "high": number(shown["high"]) + (" +" if cut and shown["most"] > shown["high"] else ""),
        "sentences": sentences,
    }


def operation(site: Mapping[str, Any], words: Catalogue) -> Sentence:
    """What a site does, in words where the catalogue has them, else by the operation's own name."""
    op, settings = site["op"], site["settings"]
    key = next((k for k in (f"op.{op}", f"op.{re.sub('[123]d$', '', op)}") if words.has(k)), None)
    if key is None:
        return (Segment(shortened(op), "name"),)
    parts = list(words.say(key, size=_kernel(settings.get("kernel_size"))))
    stride = settings.get("stride")
    if stride is not None and _stride(stride) != "1":
        parts += words.say("op.stride", size=_stride(stride))
    groups = settings.get("groups", 1)
    if isinstance(groups, int) and groups > 1:
        depthwise = groups == settings.get("in_channels")
        parts += words.say("op.depthwise") if depthwise else words.say("op.groups", count=groups)
    return tuple(parts)


def _kernel(value: object) -> str:
    if isinstance(value, list | tuple):
        return "×".join(map(str, value))
    return f"{value}×{value}"


def _stride(value: object) -> str:
    if isinstance(value, list | tuple) and value and all(side == value[0] for side in value):
        return str(value[0])
    return "×".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
