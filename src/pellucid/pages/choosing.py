"""Which sites and which channels a page shows, where the user leaves it open."""

from collections.abc import Sequence

import numpy as np

from pellucid.capture.channels import select_channels
from pellucid.capture.sites import Site

_TEXTBOOK = ("features.0", "features.20", "features.40")
_SITES = 5
_HANDS_ON = frozenset({"pool", "dropout", "identity", "pad"})
_ENDS_OF_BLOCKS = frozenset({"activation", "add", "concat"})
_BORDER = 0.125
"""Share of a map's side that counts as its border: padding shows there first, and it would win every ranking."""


def sites_to_show(sites: Sequence[Site]) -> list[str]:
    """Up to five sites with feature maps, spread over the depth, from the first convolution to the last maps.

    For the seed network these are `features.0`, `.20` and `.40`, where the textbook looks, and the last maps. In
    between, the nearest end of a block (an activation, a sum, a concatenation) is preferred to what is inside.
    """
    fitting = [s for s in sites if s.is_map and min(s.shape[2:]) > 1 and s.kind not in _HANDS_ON]
    if not fitting:
        return []
    convolutions = {site.name for site in fitting if site.kind == "conv"}
    if all(name in convolutions for name in _TEXTBOOK):
        return list(dict.fromkeys([*_TEXTBOOK, fitting[-1].name]))
    start = next((i for i, site in enumerate(fitting) if site.kind == "conv"), 0)
    fitting = fitting[start:]
    last = len(fitting) - 1
    chosen = {0, last}
    for step in range(1, _SITES - 1):
        place = round(step * last / (_SITES - 1))
        near = [i for i in range(max(1, place - 4), min(last, place + 5)) if fitting[i].kind in _ENDS_OF_BLOCKS]
        chosen.add(min(near, key=lambda i: abs(i - place), default=place))
    return [fitting[i].name for i in sorted(chosen)]


def channels_to_show(spec: str | Sequence[int], maps: np.ndarray) -> tuple[tuple[int, ...], str]:
    """The channels to show and how they were chosen: "spread" or "named".

    Args:
        spec: What `select_channels` takes; `top:N` means here the N channels that vary most away from the border.
        maps: The site's values, (channels, height, width).

    Raises:
        SettingError: A channel that the site does not have, or words that mean none.
    """
    named = select_channels(spec, maps)
    if not (isinstance(spec, str) and spec.strip().lower().startswith("top:")):
        return named, "named"
    with np.errstate(invalid="ignore", over="ignore"):
        spread = inside(maps).reshape(len(maps), -1).std(axis=1, dtype=np.float64)
    order = np.lexsort((np.arange(len(maps)), -spread, np.isnan(spread)))
    return tuple(int(channel) for channel in order[: len(named)]), "spread"


def inside(maps: np.ndarray) -> np.ndarray:
    """The maps without their border, of an eighth of each side; small maps are left whole."""
    cut = [max(1, round(side * _BORDER)) if side > 4 else 0 for side in maps.shape[1:]]
    return maps[:, cut[0] : maps.shape[1] - cut[0], cut[1] : maps.shape[2] - cut[1]]
