"""What insights have found out, as a bundle keeps it: numbers as JSON, pictures as small arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pellucid.figures.colour import measure
from pellucid.insights.depth_results import Depth
from pellucid.insights.filter_report import FilterReport
from pellucid.insights.path import DecisionPath
from pellucid.insights.probes import Effect

_READ_BACK = 6
"""Sites at which the picture is shown as it is read back."""
_LONGEST = 256
_LONGEST_MAP = 128
_MOST_KERNELS = 96


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


def filters_part(report: FilterReport, kernels: np.ndarray | None) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a bundle keeps: the findings, and the first layer's kernels in colour, strongest first.

    Args:
        report: What was found.
        kernels: (filters, 3, height, width) in the order R, G, B; None where the first layer takes no colours.
    """
    layers = [
        {
            "name": layer.name,
            "shape": list(layer.shape),
            "zeros": layer.zeros,
            "effective_rank": None if layer.spectrum is None else layer.spectrum.effective_rank,
            "dead": len(layer.dead),
            "duplicates": len(layer.twins),
        }
        for layer in report.layers
    ]
    record = report.to_record()
    kept: dict[str, Any] = {
        "layers": layers,
        "pictures": report.pictures,
        "findings": [{**each, **_about(report, each)} for each in record["findings"]],
        "kernels": None,
    }
    if kernels is None:
        return kept, {}
    order = np.argsort(-np.sqrt((kernels**2).sum(axis=(1, 2, 3))), kind="stable")[:_MOST_KERNELS]
    largest = np.abs(kernels).max(axis=(1, 2, 3))
    share = kernels[order] / np.maximum(largest[order], 1e-30)[:, None, None, None]
    tiles = np.rint((0.5 + share.transpose(0, 2, 3, 1) / 2).clip(0, 1) * 255).astype(np.uint8)
    kept["kernels"] = {
        "channels": order.tolist(),
        "total": len(kernels),
        "least": float(largest[order].min()),
        "most": float(largest[order].max()),
    }
    return kept, {"kernels": np.ascontiguousarray(tiles)}


def _about(report: FilterReport, finding: Mapping[str, Any]) -> dict[str, Any]:
    """The filters that a finding is about, how many, and the largest measured effect of removing one of them.

    Of twins those count that are like another one: what removing the other one does is not measured.
    """
    layers = [layer for layer in report.layers if layer.name in finding["sites"]]
    about: list[tuple[int, Effect | None]] = []
    if finding["kind"] == "dead":
        about = [
            (each.channel, each.removal)
            for layer in layers
            for each in layer.dead
            if each.remembered == finding["damage"]
        ]
    elif finding["kind"] == "duplicate":
        about = [
            (each.pair.channel, each.removal)
            for layer in layers
            for each in layer.twins
            if each.exact == finding["damage"]
        ]
    else:
        return {"count": len(finding["sites"]), "measured": 0, "largest": None, "changed": None}
    effects = [effect for _, effect in about if effect is not None]
    return {
        "count": len(about),
        "channels": [channel for channel, _ in about] if len(layers) == 1 else [],
        "measured": len(effects),
        "largest": max((each.largest for each in effects), default=None),
        "changed": max((each.changed for each in effects), default=None),
    }


def thinned(grey: np.ndarray) -> np.ndarray:
    """A picture with at most 256 pixels a side, every so many of them."""
    skip = -(-max(grey.shape) // _LONGEST)
    return grey[::skip, ::skip]
