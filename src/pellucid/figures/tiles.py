"""Small tiles of colour in rows and columns with numbers below, a heading and a legend: how kernels are laid out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pellucid.archive import write_whole
from pellucid.errors import SettingError
from pellucid.figures import png
from pellucid.figures.colour import INK, LINE, PAPER, SOFT, palette
from pellucid.figures.grid import Box, kept
from pellucid.figures.lettering import line_height, shorten, text_width, wrap, write
from pellucid.figures.numbers import number

GAP, MARGIN, SMALL = 8, 16, 11
LARGEST = 40_000_000
"""Pixels. Tiles get smaller, and a matrix leaves out values at even distances, before a drawing is larger."""
_LABEL, _TITLE = 13, 17


class Section(NamedTuple):
    """Kernels that belong together: a heading (none if empty), the kernels, and what stands below each."""

    heading: str
    kernels: np.ndarray
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KernelFigure:
    """Kernels as one picture. Shows itself in a notebook.

    Attributes:
        pixels: The drawing, uint8 (height, width, 3), RGB, read-only.
        boxes: Where each kernel, or the matrix, lies in it.
        limit: The weight that full colour stands for: that of each kernel in its order, or one for all.
        factor: How many pixels a weight is wide and high.
        title: The line above.
    """

    pixels: np.ndarray
    boxes: tuple[Box, ...]
    limit: tuple[float, ...]
    factor: int
    title: str

    def png(self) -> bytes:
        """The drawing with its legend, as PNG."""
        return png.rgb(self.pixels)

    def save(self, path: str | Path) -> Path:
        """Write the drawing as `.png`. Returns the path."""
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise SettingError("path", given=str(path), expected="a name that ends in .png")
        write_whole(path, self.png())
        return path

    def _repr_png_(self) -> bytes:
        return self.png()

    def __repr__(self) -> str:
        height, width, _ = self.pixels.shape
        ends = number(max(self.limit, default=0.0))
        return f"KernelFigure({self.title!r}, {len(self.boxes)} drawn up to ±{ends}, {width} × {height})"


def grid_of(sections: Sequence[Section], *, columns: int, cell: int) -> tuple[np.ndarray, tuple[Box, ...], int]:
    """Tiles in rows and columns, section below section; kernels are RGB tiles (count, height, width, 3) here."""
    height, width = sections[0].kernels.shape[1:3]
    count = sum(len(part.kernels) for part in sections)
    grow = max(1, -(-cell // max(height, width)))
    while grow > 1 and grow * grow * height * width * count > LARGEST:
        grow -= 1
    tall, wide = height * grow, width * grow
    texts = [line for part in sections for label in part.labels for line in label.split("\n")]
    pitch = max(wide, max(text_width(text, size=SMALL) for text in texts)) + GAP
    lines = max(label.count("\n") + 1 for part in sections for label in part.labels)
    step = tall + lines * line_height(SMALL) + GAP
    most = max(min(columns, len(part.kernels)) for part in sections)
    blocks, boxes, top = [], [], 0
    for part in sections:
        head = line_height(_LABEL) if part.heading else 0
        # A pixel more on each side, for the hairlines around the tiles.
        block = paper(head + 1 + -(-len(part.kernels) // columns) * step, most * pitch - GAP + 2)
        if part.heading:
            put(block, shorten(part.heading, width=block.shape[1], size=_LABEL), left=0, top=0, size=_LABEL)
        for place, (tile, label) in enumerate(zip(part.kernels, part.labels, strict=True)):
            box = Box(place % columns * pitch + 1, head + 1 + place // columns * step, wide, tall)
            block[box.top : box.top + tall, box.left : box.left + wide] = tile.repeat(grow, axis=0).repeat(grow, axis=1)
            frame(block, box)
            for row, line in enumerate(label.split("\n")):
                below = box.top + tall + row * line_height(SMALL)
                put(block, line, left=box.left, top=below, size=SMALL, tone=SOFT if row else INK)
            boxes.append(Box(box.left, box.top + top, wide, tall))
        blocks.append(block)
        top += block.shape[0]
    return np.concatenate(blocks), tuple(boxes), grow


def frame(canvas: np.ndarray, box: Box) -> None:
    """A hairline around what may be as white as the paper, outside of it where there is room."""
    line = palette("signed")[LINE]
    top, left = box.top - 1, box.left - 1
    bottom, right = box.top + box.height, box.left + box.width
    for row in (top, bottom):
        if 0 <= row < canvas.shape[0]:
            canvas[row, max(left, 0) : right + 1] = line
    for column in (left, right):
        if 0 <= column < canvas.shape[1]:
            canvas[max(top, 0) : bottom + 1, column] = line


def figure(
    body: np.ndarray,
    boxes: Sequence[Box],
    bar: np.ndarray,
    lines: Sequence[str],
    *,
    limits: np.ndarray,
    factor: int,
    title: str,
) -> KernelFigure:
    """Heading, body, legend and sentences below each other.

    Args:
        body: The tiles.
        boxes: Where each kernel lies in the body.
        bar: The legend's bar.
        lines: Sentences below it.
        limits: As in `KernelFigure`.
        factor: As in `KernelFigure`.
        title: The heading; none if empty.
    """
    width = max(body.shape[1], 360)
    parts = [body, bar, _lines(lines, width)]
    if title:
        heading = paper(line_height(_TITLE), width)
        put(heading, shorten(title, width=width, size=_TITLE), left=0, top=0, size=_TITLE)
        parts.insert(0, heading)
    shift = MARGIN + (parts[0].shape[0] + MARGIN if title else 0)
    canvas = paper(sum(part.shape[0] + MARGIN for part in parts) + MARGIN, width + 2 * MARGIN)
    top = MARGIN
    for part in parts:
        canvas[top : top + part.shape[0], MARGIN : MARGIN + part.shape[1]] = part
        top += part.shape[0] + MARGIN
    moved = tuple(Box(box.left + MARGIN, box.top + shift, box.width, box.height) for box in boxes)
    limit = tuple(float(each) for each in limits)
    return KernelFigure(pixels=kept(canvas), boxes=moved, limit=limit, factor=factor, title=title)


def _lines(lines: Sequence[str], width: int) -> np.ndarray:
    wrapped = [part for line in lines for part in wrap(line, width=width, size=_LABEL)]
    canvas = paper(line_height(_LABEL) * len(wrapped), width)
    for row, line in enumerate(wrapped):
        put(canvas, line, left=0, top=row * line_height(_LABEL), size=_LABEL, tone=SOFT)
    return canvas


def paper(height: int, width: int) -> np.ndarray:
    """A blank sheet, uint8 (height, width, 3)."""
    return np.full((height, width, 3), palette("signed")[PAPER], dtype=np.uint8)


def put(canvas: np.ndarray, text: str, *, left: int, top: int, size: int, tone: int = INK) -> None:
    """Set a line of text on paper in colours: lettering writes palette entries, which are looked up."""
    entries = np.full((line_height(size), text_width(text, size=size) + 1), PAPER, dtype=np.uint8)
    write(entries, text, left=0, top=0, size=size, tone=tone)
    height = min(entries.shape[0], canvas.shape[0] - top)
    width = min(entries.shape[1], canvas.shape[1] - left)
    if height > 0 and width > 0:
        canvas[top : top + height, left : left + width] = palette("signed")[entries[:height, :width]]
