"""The sections of a comparison that show where two passes part: along the depth, and in which channels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.figures.numbers import grouped, number
from pellucid.pages.comparison import Comparison
from pellucid.pages.pictures import bar, map_url
from pellucid.pages.words import Catalogue, Sentence, fixed, percent, shortened

_FEW = 24
"""A list of so many sites stands open."""
_LARGEST_DISTANCE = 2.0


def farthest(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The aligned sites that are furthest apart, the first of several; None if no distance is known."""
    known = [pair for pair in record["pairs"] if pair["distance"] is not None]
    return max(known, key=lambda pair: pair["distance"], default=None)


def least_agreeing(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The aligned maps with the lowest CKA, the first of several; None if it is known nowhere."""
    known = [pair for pair in record["pairs"] if pair["cka"] is not None]
    return min(known, key=lambda pair: pair["cka"], default=None)


def depth_view(record: Mapping[str, Any], words: Catalogue) -> dict[str, Any]:
    """Two rows of bars, one bar for each aligned site, and the same in numbers."""
    pairs = record["pairs"]
    drawn = {shown["pair"] for shown in record["maps"]}
    rows = [_row(pair, place in drawn) for place, pair in enumerate(pairs)]
    if record["input"] is not None:
        shape = record["sides"][0]["input"]["shape"]
        start = {"first": "input", "second": "input", "shape": [1, *shape], **record["input"]}
        rows.insert(0, {**_row(start, False), "name": words.text("network.input")})
    return {
        "claim": _depth_claim(record, words),
        "charts": [
            {
                "label": words.text(f"compare.chart.{what}"),
                **_chart(pairs, what, most, drawn),
            }
            for what, most in (("distance", _LARGEST_DISTANCE), ("cka", 1.0))
            if any(pair[what] is not None for pair in pairs)
        ],
        "ends": [shortened(pairs[place]["first"], longest=40) for place in (0, -1)] if pairs else [],
        "rows": rows,
        "open": len(rows) <= _FEW,
        "mode": record["mode"],
        "alone": [_alone(names) for names in record["alone"]],
    }


def _depth_claim(record: Mapping[str, Any], words: Catalogue) -> Sentence:
    far = farthest(record)
    if far is None:
        return words.say("compare.depth.none")
    if not far["distance"]:
        return words.say("compare.equal")
    start = record["input"]
    site, count, distance = shortened(far["first"]), len(record["pairs"]), measured(far["distance"])
    if start is None or start["distance"] is None:
        return words.say("compare.depth.claim", count=count, site=site, distance=distance)
    return words.say("compare.depth.from", count=count, site=site, distance=distance, start=measured(start["distance"]))


def _alone(names: Sequence[str]) -> dict[str, Any]:
    return {"count": len(names), "names": [shortened(name, longest=60) for name in names]}


def _row(pair: Mapping[str, Any], drawn: bool) -> dict[str, Any]:
    distance, cka = pair["distance"], pair["cka"]
    return {
        "name": shortened(pair["first"], longest=80),
        "other": shortened(pair["second"], longest=80) if pair["second"] != pair["first"] else None,
        "shape": " × ".join(grouped(side) for side in pair["shape"][1:]),
        "distance": measured(distance),
        "bar": None if distance is None else f"{100 * distance / _LARGEST_DISTANCE:.2f}",
        "cosine": measured(pair["cosine"]),
        "cka": measured(cka),
        "drawn": drawn,
    }


def measured(value: float | None) -> str:
    """A distance, a cosine or a CKA; a dash where nobody knows it."""
    return "–" if value is None else fixed(value, 3) if value else "0"


def _chart(pairs: Sequence[Mapping[str, Any]], what: str, most: float, drawn: set[int]) -> dict[str, Any]:
    """Bars in a box of 10 × (number of sites) by 100, and a mark below those whose maps are drawn."""
    heights = [None if pair[what] is None else 100 * min(1.0, max(0.0, pair[what] / most)) for pair in pairs]
    return {
        "ticks": [number(most), f"{most / 2:g}", "0"],
        "width": 10 * len(pairs),
        "bars": [
            {"x": f"{10 * place + 1.5:g}", "y": f"{100 - high:.2f}", "height": f"{high:.2f}", "drawn": place in drawn}
            for place, high in enumerate(heights)
            if high is not None
        ],
        "marks": [f"{10 * place + 1.5:g}" for place in sorted(drawn)],
    }


def drawn_view(comparison: Comparison, words: Catalogue) -> dict[str, Any]:
    """For each drawn site the channels that changed most, as triples of maps with their legends."""
    record = comparison.record
    found = [
        _site(record["pairs"][shown["pair"]], shown, np.asarray(comparison.arrays[f"maps {i}"]), words)
        for i, shown in enumerate(record["maps"])
    ]
    return {"claim": _drawn_claim(record, words), "sites": found}


def _drawn_claim(record: Mapping[str, Any], words: Catalogue) -> Sentence:
    shares = [shown for shown in record["maps"] if shown["share"] is not None]
    if not record["maps"]:
        return words.say("compare.maps.none")
    if not shares:
        return words.say("compare.maps.equal")
    most = max(shares, key=lambda shown: shown["share"])
    return words.say(
        "compare.maps.claim",
        site=shortened(record["pairs"][most["pair"]]["first"]),
        channels=len(most["channels"]),
        total=most["total"],
        share=percent(most["share"]),
    )


def _site(pair: Mapping[str, Any], shown: Mapping[str, Any], entries: np.ndarray, words: Catalogue) -> dict[str, Any]:
    both, change = shown["scales"]
    count = len(shown["channels"])
    chosen = [words.say("compare.chosen", count=count, total=shown["total"])]
    if shown["share"] is not None:
        chosen.append(words.say("compare.share", share=percent(shown["share"])))
    if shown["skip"] > 1:
        chosen.append(words.say("maps.skip", step=shown["skip"]))
    return {
        "name": shortened(pair["first"], longest=80),
        "other": shortened(pair["second"], longest=80) if pair["second"] != pair["first"] else None,
        "shape": " × ".join(grouped(side) for side in pair["shape"][1:]),
        "chosen": chosen,
        "height": entries.shape[2],
        "width": entries.shape[3],
        "triples": [
            {
                "channel": str(channel["channel"]),
                "urls": [map_url(maps[0]), map_url(maps[1]), map_url(maps[2], "signed")],
                "rms": [number(channel[name]) for name in ("a", "b", "change")],
            }
            for channel, maps in zip(shown["channels"], entries, strict=True)
        ],
        "legends": [
            {
                "bar": bar("sequential"),
                "low": number(both["low"]),
                "high": number(both["high"]),
                "zero": False,
                "sentences": [words.say("compare.scale.maps"), *_remarks(both, words)],
            },
            {
                "bar": bar("signed"),
                "low": number(change["low"]),
                "high": number(change["high"], sign=True),
                "zero": True,
                "sentences": [words.say("compare.scale.change"), *_remarks(change, words)],
            },
        ],
    }


def _remarks(scale: Mapping[str, Any], words: Catalogue) -> list[Sentence]:
    said = []
    if scale["flat"]:
        said.append(words.say("maps.flat", value=number(scale["most"])))
    if scale["beyond"]:
        share = percent(scale["beyond"] / max(1, scale["values"] - scale["not_finite"]))
        said.append(words.say("maps.cut", share=share, least=number(scale["least"]), most=number(scale["most"])))
    if scale["not_finite"]:
        said.append(words.say("maps.not_finite", count=scale["not_finite"]))
    return said
