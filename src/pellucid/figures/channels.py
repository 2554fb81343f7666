"""The strongest channels of a site: a signed bar and a number for each, and its feature map beside."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pellucid.archive import write_whole
from pellucid.errors import SettingError
from pellucid.figures import png
from pellucid.figures.colour import INK, LINE, NEGATIVE, PAPER, POSITIVE, STRENGTHS, Kind, Scale, measure, palette
from pellucid.figures.legend import described, end_labels, stack, strip
from pellucid.figures.lettering import line_height, shorten, text_width, write
from pellucid.figures.numbers import grouped, number
from pellucid.figures.paint import checked_values

_MAP, _BAR, _SIZE, _TITLE, _GAP, _MARGIN = 56, 14, 13, 17, 8, 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChannelsFigure:
    """Drawn channels. Shows itself in a notebook.

    Attributes:
        pixels: uint8 (height, width, 3).
        order: The channels that are drawn, from the top.
        legend: The legend of the bars in JSON types, as that of an overlay.
        lines: What stands below.
    """

    pixels: np.ndarray
    order: tuple[int, ...]
    legend: dict[str, Any]
    lines: tuple[str, ...]

    def png(self) -> bytes:
        """The drawing alone, as PNG."""
        return png.rgb(self.pixels)

    def figure_png(self, *, title: str = "", lines: Sequence[str] = ()) -> bytes:
        """The drawing with a title above and sentences below, as one PNG.

        Args:
            title: A line above (ASCII; other letters become question marks).
            lines: Sentences below.
        """
        return png.rgb(self._sheet(title, (*self.lines, *lines)))

    def save(self, path: str | Path, *, title: str = "", lines: Sequence[str] = ()) -> Path:
        """Write the drawing as a `.png`. Returns the path."""
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise SettingError("path", given=str(path), expected="a name that ends in .png")
        write_whole(path, self.figure_png(title=title, lines=lines))
        return path

    def _sheet(self, title: str, lines: Sequence[str]) -> np.ndarray:
        height, width = self.pixels.shape[:2]
        parts, top = [np.full((height, width), PAPER, dtype=np.uint8)], _MARGIN
        if title:
            heading = np.full((line_height(_TITLE), width), PAPER, dtype=np.uint8)
            write(heading, shorten(title, width=width, size=_TITLE), left=0, top=0, size=_TITLE)
            parts.insert(0, heading)
            top += heading.shape[0] + _MARGIN
        if said := [line for line in lines if line]:
            # The lines of a legend, without its bar: the numbers stand beside the bars.
            below = strip("signed", width=width, ends=("", ""), bar=1, lines=said)
            parts.append(below[14 + line_height(_SIZE) :])
        sheet: np.ndarray = palette("signed")[stack(parts, gap=_MARGIN, margin=_MARGIN)]
        sheet[top : top + height, _MARGIN : _MARGIN + width] = self.pixels
        return sheet

    def _repr_png_(self) -> bytes:
        return self.figure_png()

    def __repr__(self) -> str:
        return f"ChannelsFigure(channels {', '.join(map(str, self.order))})"


def draw_channels(
    values: np.ndarray, maps: np.ndarray | None = None, *, top: int = 10, unit: str = "", width: int = 520
) -> ChannelsFigure:
    """Draw the channels whose values are furthest from zero, the largest first.

    Bars begin at one line for zero: to the left in blue is negative, to the right in red positive. All maps share one
    scale, which stands below. What is left out is counted and summed.

    Args:
        values: One for each channel; what is not finite has no bar and comes last.
        maps: (channels, height, width), drawn cell by cell beside the bars; None where channels have no positions.
        top: How many are drawn, 1 or more.
        unit: What a value is.
        width: In pixels, 320 or more.

    Raises:
        SettingError: Values or maps of another shape, or a setting out of its range.
    """
    given = np.asarray(values)
    count = len(given) if given.ndim == 1 else 0
    if count < 1:
        raise SettingError("values", given=f"{given.dtype} {given.shape}", expected="one or more numbers in a row")
    checked = checked_values(given, count=count, name="values")
    assert checked is not None
    if maps is not None and (maps.ndim != 3 or len(maps) != count):
        raise SettingError("maps", given=f"{maps.dtype} {maps.shape}", expected=f"({count}, height, width)")
    for name, said, least in (("top", top, 1), ("width", width, 320)):
        if said < least:
            raise SettingError(name, given=said, expected=f"{least} or more")
    size = np.where(np.isfinite(checked), np.abs(checked), -1.0)
    order = np.lexsort((np.arange(count), -size))[:top]
    pixels = _rows(checked, order, width, None if maps is None else _drawn(maps[order]))
    lines = [unit]
    scale = measure(checked, kind="signed")
    if maps is not None:
        shown = _scale_of(maps[order])
        low, high = end_labels(shown)
        lines.append(f"maps: {low} to {high}, one scale for all")
    lines += [*scale.remarks(), _left_out(checked, order)]
    return ChannelsFigure(
        pixels=pixels,
        order=tuple(int(channel) for channel in order),
        legend=described(scale, unit=unit),
        lines=tuple(line for line in lines if line),
    )


def _rows(values: np.ndarray, order: np.ndarray, width: int, maps: list[np.ndarray] | None) -> np.ndarray:
    high = _MAP if maps else _BAR + 8
    names = [f"channel {channel}" for channel in order]
    said = [number(value, sign=True) if np.isfinite(value) else "not a number" for value in values[order].tolist()]
    name_room = max(text_width(name, size=_SIZE) for name in names)
    number_room = max(text_width(each, size=_SIZE) for each in said) + 6
    left = name_room + _GAP + (_MAP + _GAP if maps else 0)
    finite = np.where(np.isfinite(values[order]), values[order], 0.0)
    # A number stands at the free end of its bar, so each side that has bars needs room for one.
    before, after = (number_room if (finite < 0).any() else 0), number_room
    less, more = max(0.0, -float(finite.min())), max(0.0, float(finite.max()))
    reach = max(less, more)
    share = less / reach / (less / reach + more / reach) if reach > 0 else 0.0
    room = width - left - before - after
    zero = left + before + round(share * room)
    longest = (room - round(share * room)) / (more / reach) if more else room * share if less else 0.0
    canvas = np.full((len(order) * (high + _GAP) - _GAP, width), PAPER, dtype=np.uint8)
    tops = [row * (high + _GAP) for row in range(len(order))]
    bars = []
    for top, name, text, value in zip(tops, names, said, finite.tolist(), strict=True):
        line = top + (high - line_height(_SIZE)) // 2
        write(canvas, name, left=name_room - text_width(name, size=_SIZE), top=line)
        long = max(round(abs(value) / reach * longest), 1) if value else 0
        begin, end = (zero - long, zero) if value < 0 else (zero, zero + long)
        beside = begin - 5 - text_width(text, size=_SIZE) if value < 0 else end + 6
        write(canvas, text, left=beside, top=line)
        bars.append((top + (high - _BAR) // 2, begin, end, NEGATIVE if value < 0 else POSITIVE))
    canvas[:, zero : zero + 1] = np.where(canvas[:, zero : zero + 1] == PAPER, LINE, INK + STRENGTHS - 1)
    drawn = palette("signed")[canvas]
    for top, begin, end, colour in bars:
        drawn[top : top + _BAR, begin:end] = colour
    for top, shown in zip(tops, maps or [], strict=False):
        drawn[top : top + shown.shape[0], name_room + _GAP : name_room + _GAP + shown.shape[1]] = shown
    return drawn


def _scale_of(maps: np.ndarray) -> Scale:
    kind: Kind = "signed" if (maps < 0).any() else "sequential"
    return measure(maps, kind=kind)


def _drawn(maps: np.ndarray) -> list[np.ndarray]:
    """Maps in colours, each as large as fits a square of the rows; cells stay cells."""
    scale = _scale_of(maps)
    colours = palette(scale.kind)[scale.entries(maps)]
    longest = max(maps.shape[1:])
    sides = [max(1, round(side * _MAP / longest)) for side in maps.shape[1:]]
    return [
        np.asarray(Image.fromarray(each).resize((sides[1], sides[0]), Image.Resampling.NEAREST)) for each in colours
    ]


def _left_out(values: np.ndarray, order: np.ndarray) -> str:
    rest = np.delete(values, order)
    if not len(rest):
        return ""
    return f"and {grouped(len(rest))} more channels, together {number(float(rest[np.isfinite(rest)].sum()), sign=True)}"
