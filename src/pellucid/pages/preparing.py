"""The section about the input: the picture, what is cut from it, each step in words, and the numbers that come out."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pellucid.figures.numbers import number
from pellucid.pages.bundle import Bundle
from pellucid.pages.measuring import BINS
from pellucid.pages.pictures import photograph
from pellucid.pages.words import Catalogue, percent


def input_view(bundle: Bundle, words: Catalogue) -> dict[str, Any]:
    """The picture, what of it goes in, and as which numbers."""
    record = bundle.record
    height, width = record["picture"]["size"]
    deep, tall, wide = record["input"]["shape"]
    geometry = bundle.shown_geometry
    left, top, right, bottom = geometry.frame
    share = bundle.seen_share
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
        "ranges": [{"name": c["name"], "low": number(c["low"]), "high": number(c["high"])} for c in values["channels"]],
    }


def histogram(values: Mapping[str, Any]) -> dict[str, Any]:
    """The lines of a histogram in a box of 300 × 132, with a tick at each end and at 0."""
    low, high = values["low"], values["high"]
    if low == high:
        low, high = low - 0.5, high + 0.5
    most = max(max(channel["counts"]) for channel in values["channels"]) or 1

    def across(value: float) -> float:
        return float(8 + 284 * (value - low) / (high - low))

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
