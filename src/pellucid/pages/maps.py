"""Feature maps as a bundle keeps them: palette entries on one scale per site, few enough for a page."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.capture.sites import Site
from pellucid.capture.trace import Trace
from pellucid.figures import png
from pellucid.figures.colour import measure, palette
from pellucid.pages.choosing import channels_to_show

_LONGEST_MAP = 256
MAP_BYTES = 1_600_000
"""All maps of a page as PNG; a page holds them in base64, which takes a third more."""
_CUT = 1.0
"""Percent of a site's drawn values that may lie beyond the scale: one outlier should not darken all the rest."""


def drawn_maps(
    detailed: Trace, names: Sequence[str], spec: str | Sequence[int]
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray], int]:
    """The maps of the chosen sites as palette entries on one scale per site; fewer where they would fill the page."""
    drawn: list[tuple[dict[str, Any], np.ndarray]] = [_drawn(detailed[name], spec) for name in names]
    sizes = [[len(png.indexed(entries, palette("sequential"))) for entries in maps] for _, maps in drawn]
    fewer = 0
    while sum(map(sum, sizes)) > MAP_BYTES and max(map(len, sizes)) > 1:
        # From the site whose maps take most, keeping at least one of each.
        largest = max((i for i in range(len(sizes)) if len(sizes[i]) > 1), key=lambda i: sum(sizes[i]))
        sizes[largest].pop()
        fewer += 1
    arrays = {}
    records = []
    for i, ((record, maps), kept) in enumerate(zip(drawn, sizes, strict=True)):
        arrays[f"maps {i}"] = np.ascontiguousarray(maps[: len(kept)])
        records.append({**record, "channels": record["channels"][: len(kept)]})
    return records, arrays, fewer


def _drawn(site: Site, spec: str | Sequence[int]) -> tuple[dict[str, Any], np.ndarray]:
    maps = site.maps()
    channels, rule = channels_to_show(spec, maps)
    skip = -(-max(maps.shape[1:]) // _LONGEST_MAP)
    values = maps[list(channels)]
    low, high = scale_ends(values)
    scale = measure(values, kind="sequential", low=low, high=high)
    record = {
        "site": site.name,
        "channels": list(channels),
        "rule": rule,
        "total": len(maps),
        "low": scale.low,
        "high": scale.high,
        "least": scale.least,
        "most": scale.most,
        "beyond": scale.beyond,
        "values": scale.values,
        "not_finite": scale.not_finite,
        "flat": scale.flat,
        "skip": skip,
    }
    return record, scale.entries(values)[:, ::skip, ::skip]


def scale_ends(values: np.ndarray) -> tuple[float, float]:
    """The ends of a scale that takes in zero and leaves `_CUT` percent of the values beyond it, shared by both ends."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 0.0
    negative = bool(finite.min() < 0)
    cut = _CUT / 2 if negative else _CUT
    low = float(np.percentile(finite, cut)) if negative else 0.0
    high = float(np.percentile(finite, 100 - cut))
    # Where all but a few values are 0, the whole range is the only one that shows anything.
    return min(0.0, low), high if high > 0 else max(0.0, float(finite.max()))
