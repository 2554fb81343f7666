"""What insights have found out, as a bundle keeps it: numbers as JSON, pictures as small arrays."""

from typing import Any

import numpy as np

from pellucid.figures.colour import measure
from pellucid.insights.depth_results import Depth
from pellucid.insights.path import DecisionPath

_READ_BACK = 6
"""Sites at which the picture is shown as it is read back."""
_LONGEST = 256
_LONGEST_MAP = 128


def depth_part(depth: Depth) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a bundle keeps: the numbers, and for a few sites the picture as it is read back."""
    shown = [i for i, site in enumerate(depth.sites) if site.read is not None]
    if len(shown) > _READ_BACK:
        shown = [shown[round(i * (len(shown) - 1) / (_READ_BACK - 1))] for i in range(_READ_BACK)]
    arrays = {}
    for prefix, sites in (("read", depth.sites), ("twin read", depth.twin)):
        for i in shown:
            if sites and (read := sites[i].read) is not None:
                arrays[f"{prefix} {i}"] = _grey(read)
    return {**depth.to_record(), "shown": shown}, arrays


def _grey(read: np.ndarray) -> np.ndarray:
    # Where nothing is read back the paper shows.
    return thinned(np.rint(np.nan_to_num(read, nan=1.0).clip(0, 1) * 255).astype(np.uint8))


def path_part(path: DecisionPath) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a bundle keeps: the numbers, and the maps of the nodes as palette entries on one scale per site."""
    record, arrays = path.to_record(), {}
    for i, (site, kept) in enumerate(zip(path.sites, record["sites"], strict=True)):
        maps = np.stack([node.map for node in site.nodes])
        low, high = min(0.0, float(np.nanmin(maps))), max(0.0, float(np.nanmax(maps)))
        scale = measure(maps, kind="sequential", low=low, high=high)
        skip = -(-max(maps.shape[1:]) // _LONGEST_MAP)
        arrays[f"path {i}"] = np.ascontiguousarray(scale.entries(maps)[:, ::skip, ::skip])
        kept["scale"] = [scale.low, scale.high]
    return record, arrays


def thinned(grey: np.ndarray) -> np.ndarray:
    """A picture with at most 256 pixels a side, every so many of them."""
    skip = -(-max(grey.shape) // _LONGEST)
    return grey[::skip, ::skip]
