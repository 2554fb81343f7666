"""Feature maps side by side: one array of palette entries, one PNG, however many maps there are."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from pellucid.errors import SettingError
from pellucid.figures.colour import FLAT, INK, PAPER, SOFT, is_flat, sequential
from pellucid.figures.grid import Box, Grid, Sheet, kept, rule, span
from pellucid.figures.legend import stack, strip
from pellucid.figures.lettering import line_height, shorten, text_width, write
from pellucid.figures.numbers import number

__all__ = ["Grid", "Sheet", "depth_sheet", "feature_map_grid"]

_GAP, _MARGIN, _SMALL, _LABEL, _TITLE = 8, 16, 12, 13, 17
_BAR = 240
_LARGEST = 40_000_000
"""Pixels. A mosaic beyond this leaves out values at even distances, and says so."""


def feature_map_grid(
    maps: np.ndarray,
    *,
    channels: Sequence[int],
    rows: int = 4,
    columns: int = 4,
    scale: Literal["map", "shared"] = "map",
    cell: int | None = None,
    numbers: bool = True,
    title: str = "",
    total: int | None = None,
) -> Grid:
    """Draw feature maps in rows and columns, each value as a square of equal pixels.

    Args:
        maps: One map per channel, (maps, height, width).
        channels: The channels' numbers, as many as there are maps.
        rows: Rows of maps; as many as are needed are drawn.
        columns: Maps in a row.
        scale: "map": each map from its own least to its own largest value; "shared": all from the least to the largest
            of all.
        cell: A map is drawn at least this many pixels wide or high; 96 (48 for more than 64 maps) unless given.
        numbers: Whether to write the channel's number below each map.
        title: A line above (ASCII; other letters become question marks).
        total: How many channels the site has, for the legend.

    Raises:
        SettingError: More maps than places, no maps, or a setting that makes no sense.
    """
    maps = np.asarray(maps)
    _check(maps, channels, rows=rows, columns=columns, scale=scale, cell=cell)
    count, height, width = maps.shape
    lows, highs, bad = _ranges(maps)
    known = ~np.isnan(lows)
    low, high = (float(lows[known].min()), float(highs[known].max())) if known.any() else (np.nan, np.nan)
    if scale == "shared":
        entries = sequential(maps, low=np.nan_to_num(low), high=np.nan_to_num(high))
    else:
        entries = sequential(maps, low=np.nan_to_num(lows)[:, None, None], high=np.nan_to_num(highs)[:, None, None])

    columns, rows = min(columns, count), -(-count // columns)
    grow, skip = _zoom(height, width, cell=cell or (96 if count <= 64 else 48), places=rows * columns)
    drawn = entries[:, ::skip, ::skip].repeat(grow, axis=1).repeat(grow, axis=2)
    tall, wide = drawn.shape[1:]
    ranges = [span(a, b) for a, b in zip(lows, highs, strict=True)] if scale == "map" and count <= 64 else []
    show_ranges = bool(ranges) and max(text_width(text, size=_SMALL) for text in ranges) <= max(wide, 72)
    pitch = max(wide, text_width(str(max(channels)), size=_LABEL) if numbers else 0, 72 if show_ranges else 0)
    below = (line_height(_LABEL) if numbers else 0) + (line_height(_SMALL) if show_ranges else 0)

    body = np.full((rows * (tall + below) + (rows - 1) * _GAP, columns * (pitch + _GAP) - _GAP), PAPER, dtype=np.uint8)
    places = []
    for place, channel in enumerate(channels):
        left, top = place % columns * (pitch + _GAP), place // columns * (tall + below + _GAP)
        body[top : top + tall, left : left + wide] = drawn[place]
        if numbers:
            write(body, str(channel), left=left, top=top + tall + 1, size=_LABEL, tone=INK)
        if show_ranges:
            write(body, ranges[place], left=left, top=top + tall + below - line_height(_SMALL), size=_SMALL, tone=SOFT)
        places.append(Box(left, top, wide, tall))

    said = _legend_lines(maps, channels, lows=lows, highs=highs, bad=bad, scale=scale, total=total, zoom=(grow, skip))
    legend = _legend(max(body.shape[1], 360), low=low, high=high, scale=scale, lines=said)
    parts = [_heading(title, "", width=legend.shape[1]), body, legend] if title else [body, legend]
    shift = _MARGIN + (parts[0].shape[0] + _MARGIN if title else 0)
    return Grid(
        maps=kept(maps), channels=tuple(int(channel) for channel in channels), low=low, high=high, lows=kept(lows),
        highs=kept(highs), scale=scale, entries=kept(entries), canvas=kept(stack(parts, gap=_MARGIN, margin=_MARGIN)),
        boxes=tuple(Box(box.left + _MARGIN, box.top + shift, box.width, box.height) for box in places),
        factor=grow if skip == 1 else 1 / skip, total=total, title=title,
    )  # fmt: skip


def depth_sheet(rows: Sequence[tuple[str, Grid]]) -> Sheet:
    """Several sites below each other, from the picture's end of the network to the answer's, each with its own legend.

    Args:
        rows: The name of each site and its grid; the shape is written beside the name.
    """
    if not rows:
        raise SettingError("rows", given=list(rows), expected="one or more pairs of a site's name and its grid")
    width = max(grid.canvas.shape[1] for _, grid in rows)
    parts = []
    for label, grid in rows:
        count, height, wide = grid.maps.shape
        shape = f"{grid.total or count} x {height} x {wide}"
        heading = np.full((line_height(_TITLE) + _MARGIN, width), PAPER, dtype=np.uint8)
        heading[_MARGIN:, _MARGIN : width - _MARGIN] = _heading(label, shape, width=width - 2 * _MARGIN)
        body = np.full((grid.canvas.shape[0], width), PAPER, dtype=np.uint8)
        body[:, : grid.canvas.shape[1]] = grid.canvas
        parts.append(np.concatenate([heading, body]))
    sheet = stack(parts, gap=_MARGIN, margin=0, rule=True)
    return Sheet(labels=tuple(label for label, _ in rows), grids=tuple(grid for _, grid in rows), canvas=kept(sheet))


def _check(maps: np.ndarray, channels: Sequence[int], *, rows: int, columns: int, scale: str, cell: int | None) -> None:
    if maps.ndim != 3 or maps.size == 0 or maps.dtype.kind not in "fiub":
        raise SettingError(
            "maps", given=f"{maps.dtype} {maps.shape}", expected="numbers of shape (maps, height, width)"
        )
    count = len(maps)
    if len(channels) != count:
        raise SettingError("channels", given=len(channels), expected=f"{count} numbers, one for each map")
    for name, value in (("rows", rows), ("columns", columns), *([("cell", cell)] if cell is not None else [])):
        if value < 1:
            raise SettingError(name, given=value, expected="1 or more")
    if scale not in ("map", "shared"):
        raise SettingError("scale", given=scale, expected="'map' (each map its own) or 'shared' (one for all)")
    if count > rows * columns:
        need = -(-count // columns)
        raise SettingError(
            "rows, columns",
            given=(rows, columns),
            expected=f"places for {count} maps",
            hint=f"rows={need} with columns={columns} shows them all, or select fewer channels",
        )


def _ranges(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least and largest finite value of each map (NaN if there is none), and how many of its values are not finite."""
    flat = maps.reshape(len(maps), -1)
    finite = np.isfinite(flat)
    bad = flat.shape[1] - np.count_nonzero(finite, axis=1)
    if not bad.any():
        return flat.min(axis=1).astype(np.float64), flat.max(axis=1).astype(np.float64), bad
    low = np.where(finite, flat, np.inf).min(axis=1).astype(np.float64)
    high = np.where(finite, flat, -np.inf).max(axis=1).astype(np.float64)
    empty = bad == flat.shape[1]
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high), bad


def _zoom(height: int, width: int, *, cell: int, places: int) -> tuple[int, int]:
    """Pixels per value, and of how many values one is drawn; one of the two is 1."""
    grow = max(1, -(-cell // max(height, width)))
    while grow > 1 and grow * grow * height * width * places > _LARGEST:
        grow -= 1
    skip = 1
    while height * width * places > _LARGEST * skip * skip:
        skip += 1
    return grow, skip


def _legend(width: int, *, low: float, high: float, scale: str, lines: Sequence[str]) -> np.ndarray:
    if scale == "map":
        return strip("sequential", width=width, ends=("map's lowest", "map's highest"), bar=_BAR, lines=lines)
    if np.isnan(low) or is_flat(low, high):
        legend = strip("sequential", width=width, ends=(_end(low), ""), bar=_BAR, lines=lines)
        legend[:10, :_BAR] = FLAT
        return legend
    zero = -low / (high - low) if low < 0 < high else None
    return strip("sequential", width=width, ends=(_end(low), _end(high)), zero=zero, bar=_BAR, lines=lines)


def _legend_lines(
    maps: np.ndarray,
    channels: Sequence[int],
    *,
    lows: np.ndarray,
    highs: np.ndarray,
    bad: np.ndarray,
    scale: str,
    total: int | None,
    zoom: tuple[int, int],
) -> list[str]:
    count, height, width = maps.shape
    grow, skip = zoom
    known = ~np.isnan(lows)
    over = f", {span(float(lows[known].min()), float(highs[known].max()))} over all" if known.any() else ""
    drawn = (
        f"each value drawn {grow} x {grow}" if skip == 1 else f"too large to draw whole: every {skip}th value each way"
    )
    of = f" of {total}" if total is not None and total != count else ""
    lines = [
        f"{rule(scale)}{over}.".capitalize(),
        f"{count}{of} {'channel' if count == 1 and not of else 'channels'}, {height} x {width}, {drawn}.",
    ]
    flat = known & is_flat(np.nan_to_num(lows), np.nan_to_num(highs))
    # One value on a shared scale is as good as many: it has a colour that can be compared.
    if flat.any() and (scale == "map" or height * width > 1):
        lines.append(f"Flat (range 0){', grey' if scale == 'map' else ''}: {_list(channels, flat)}.")
    if bad.any():
        many = number(int(bad.sum()))
        lines.append(
            f"Not finite (magenta): {many} {'value' if many == '1' else 'values'} in {_list(channels, bad > 0)}."
        )
    return lines


def _list(channels: Sequence[int], chosen: np.ndarray) -> str:
    picked = [str(channel) for channel, take in zip(channels, chosen, strict=True) if take]
    more = f" and {len(picked) - 12} more" if len(picked) > 12 else ""
    return f"{'channel' if len(picked) == 1 else 'channels'} {', '.join(picked[:12])}{more}"


def _heading(text: str, beside: str, *, width: int) -> np.ndarray:
    canvas = np.full((line_height(_TITLE), width), PAPER, dtype=np.uint8)
    room = width - (text_width(beside, size=_LABEL) + _MARGIN if beside else 0)
    text = shorten(text, width=room, size=_TITLE)
    write(canvas, text, left=0, top=0, size=_TITLE)
    # 4 pixels lower: both sizes stand on one line.
    write(canvas, beside, left=text_width(text, size=_TITLE) + _MARGIN, top=_TITLE - _LABEL, size=_LABEL, tone=SOFT)
    return canvas


def _end(value: float) -> str:
    return "not finite" if np.isnan(value) else number(value)
