"""An attribution over its picture: opaque colours that equal the legend, and the picture over them as lines.

Cells stay cells: every value is a rectangle of one colour at the place it stands for, and nothing is smoothed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pellucid.archive import write_whole
from pellucid.errors import SettingError
from pellucid.figures import png
from pellucid.figures.colour import INK, PAPER, STRENGTHS, Kind, Scale, measure, palette
from pellucid.figures.contours import contours
from pellucid.figures.grid import kept
from pellucid.figures.legend import described, end_labels, stack, strip
from pellucid.figures.lettering import line_height, shorten, write

Rectangle = tuple[float, float, float, float]
"""left, top, right, bottom in pixels of the picture; edges, so (0, 0, width, height) is the whole picture."""

_LONGEST = 1200
"""Pixels; a larger picture is reduced."""
_VEIL = 0.62
_DARK_LINE, _LIGHT_LINE = 0.6, 0.85
"""How much a full line covers; on white paper less is enough."""
_MARGIN, _TITLE = 16, 17


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overlay:
    """A drawn attribution and its scale. Shows itself, with its legend, in a notebook.

    Attributes:
        pixels: uint8 (height, width, 3), the drawing without its legend.
        scale: Which colour stands for which value, and what the colours do not show.
        unit: What a value is ("logits per cell").
        factor: Pixels of the drawing for one pixel of the picture.
    """

    pixels: np.ndarray
    scale: Scale
    unit: str
    factor: float

    @property
    def legend(self) -> dict[str, Any]:
        """The legend in JSON types: `kind`, `low`, `high`, `least`, `most`, `unit`, `not_finite`, `beyond`, `flags`."""
        return described(self.scale, unit=self.unit)

    def png(self) -> bytes:
        """The drawing alone, as PNG."""
        return png.rgb(self.pixels)

    def legend_png(self, *, width: int = 320) -> bytes:
        """The legend alone, as PNG: bar, numeric ends, zero, unit and what the colours do not show."""
        return png.indexed(self._strip(width, ()), palette(self.scale.kind))

    def figure_png(self, *, title: str = "", lines: Sequence[str] = ()) -> bytes:
        """The drawing with its legend below, as one PNG.

        Args:
            title: A line above (ASCII; other letters become question marks).
            lines: Sentences below the legend.
        """
        return png.rgb(self.figure_pixels(title=title, lines=lines))

    def figure_pixels(self, *, title: str = "", lines: Sequence[str] = ()) -> np.ndarray:
        """The same as uint8 (height, width, 3), to be laid beside others; see `figure_png`."""
        height, width = self.pixels.shape[:2]
        room = max(width, 280)
        # The place of the drawing is left blank among the palette entries and filled with its colours afterwards.
        parts = [np.full((height, room), PAPER, dtype=np.uint8), self._strip(room, lines, bar=width)]
        top = _MARGIN
        if title:
            heading = np.full((line_height(_TITLE), room), PAPER, dtype=np.uint8)
            write(heading, shorten(title, width=room, size=_TITLE), left=0, top=0, size=_TITLE)
            parts.insert(0, heading)
            top += heading.shape[0] + _MARGIN
        sheet: np.ndarray = palette(self.scale.kind)[stack(parts, gap=_MARGIN, margin=_MARGIN)]
        sheet[top : top + height, _MARGIN : _MARGIN + width] = self.pixels
        return sheet

    def save(self, path: str | Path, *, title: str = "", lines: Sequence[str] = ()) -> Path:
        """Write the drawing with its legend as a `.png`."""
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise SettingError("path", given=str(path), expected="a name that ends in .png")
        write_whole(path, self.figure_png(title=title, lines=lines))
        return path

    def _strip(self, width: int, lines: Sequence[str], *, bar: int | None = None) -> np.ndarray:
        scale = self.scale
        inside = scale.low < 0 < scale.high
        # Divided first: the difference of two very large ends is infinite.
        zero = 1 / (1 + scale.high / -scale.low) if inside else None
        said = [line for line in (self.unit, *scale.remarks(), *lines) if line]
        legend = strip(scale.kind, width=width, ends=end_labels(scale), zero=zero, bar=bar, lines=said)
        if scale.flat:
            legend = np.where(legend < PAPER, scale.entries(np.zeros(1))[0], legend)
        return legend

    def _repr_png_(self) -> bytes:
        return self.figure_png()

    def __repr__(self) -> str:
        low, high = end_labels(self.scale)
        return f"Overlay({self.scale.kind}, {low} to {high}{''.join(f', {flag}' for flag in self.scale.remarks())})"


def overlay(
    values: np.ndarray,
    picture: np.ndarray,
    *,
    kind: Kind,
    box: Rectangle | None = None,
    seen: Rectangle | None = None,
    low: float | None = None,
    high: float | None = None,
    cut: float = 0.0,
    unit: str = "",
    side: int = 480,
) -> Overlay:
    """Draw an attribution over the prepared or the original picture.

    Args:
        values: The attribution, (rows, columns); never changed, never smoothed.
        picture: uint8 (height, width, 3), RGB.
        kind: "sequential" (amounts, from 0) or "signed" (for and against, zero in the middle).
        box: Where the values lie in the picture; the whole of it unless given. What lies outside is not drawn.
        seen: What the model saw of the picture; the box unless given. The rest lies under a veil.
        low: The scale's low end; from the values unless given.
        high: The scale's high end; from the values unless given.
        cut: Percent of the values that may lie beyond the ends; 0 cuts nothing, and the legend says what was cut.
        unit: What a value is, for the legend.
        side: A small picture is enlarged, by a whole factor, to no more than this many pixels on its longer side.

    Raises:
        SettingError: An array of another shape, or a box without width or height.
    """
    values, picture = np.asarray(values), np.asarray(picture)
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "fiub":
        given = f"{values.dtype} {values.shape}"
        raise SettingError("values", given=given, expected="numbers of shape (rows, columns), not empty")
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or picture.size == 0:
        given = f"{picture.dtype} {picture.shape}"
        raise SettingError("picture", given=given, expected="uint8 of shape (height, width, 3), not empty")
    height, width = picture.shape[:2]
    box = _checked("box", box or (0.0, 0.0, float(width), float(height)))
    seen = _checked("seen", seen or box)
    scale = measure(values, kind=kind, low=low, high=high, cut=cut)

    longest = max(height, width)
    factor = float(max(1, side // longest)) if longest <= _LONGEST else _LONGEST / longest
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    # Places in the picture of the middles of the drawing's pixels.
    down = (np.arange(size[0]) + 0.5) * (height / size[0])
    across = (np.arange(size[1]) + 0.5) * (width / size[1])

    backdrop = Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    paper = palette(kind)[PAPER].astype(np.float32)
    canvas = np.asarray(backdrop, dtype=np.float32) * (1 - _VEIL) + paper * _VEIL
    in_sight = np.ix_(_between(down, seen[1], seen[3]), _between(across, seen[0], seen[2]))
    canvas[in_sight] = paper

    rows = _between(down, box[1], box[3])
    columns = _between(across, box[0], box[2])
    row = _cell(down[rows], box[1], box[3], values.shape[0])
    column = _cell(across[columns], box[0], box[2], values.shape[1])
    canvas[np.ix_(rows, columns)] = palette(kind)[scale.entries(values)[np.ix_(row, column)]]

    strength = np.zeros(size, dtype=np.float32)
    lines = contours(picture, size=size)
    for place in (in_sight, np.ix_(rows, columns)):
        strength[place] = lines[place]
    # Dark lines on light colours and light lines on dark ones, by the usual weights of brightness.
    light = canvas @ np.array([0.299, 0.587, 0.114], dtype=np.float32) > 115
    tone = np.where(light[..., None], palette(kind)[INK + STRENGTHS - 1].astype(np.float32), paper)
    strength *= np.where(light, _DARK_LINE, _LIGHT_LINE)
    canvas += (tone - canvas) * strength[..., None]
    return Overlay(pixels=kept(np.rint(canvas).astype(np.uint8)), scale=scale, unit=unit, factor=factor)


def _checked(name: str, box: Rectangle) -> Rectangle:
    left, top, right, bottom = (float(edge) for edge in box)
    if not (np.isfinite((left, top, right, bottom)).all() and left < right and top < bottom):
        raise SettingError(name, given=box, expected="(left, top, right, bottom), finite, left < right, top < bottom")
    return left, top, right, bottom


def _between(places: np.ndarray, start: float, stop: float) -> np.ndarray:
    return np.flatnonzero((places >= start) & (places < stop))


def _cell(places: np.ndarray, start: float, stop: float, count: int) -> np.ndarray:
    cells: np.ndarray = ((places - start) * (count / (stop - start))).astype(np.intp)
    return cells.clip(max=count - 1)
