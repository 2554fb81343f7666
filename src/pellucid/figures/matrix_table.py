"""A small matrix as a table: each number on its colour, names of rows and columns around."""

from collections.abc import Sequence

import numpy as np

from pellucid.figures.colour import Scale
from pellucid.figures.numbers import MINUS, number
from pellucid.figures.paint import fills, ink_on
from pellucid.figures.svg import DARK, INK, LIGHT, SOFT, element, px, shortened, text, text_room

_SIZE, _HIGH, _EDGE = 12, 26.0, 8.0
_WIDEST = 84.0


def table(
    cells: np.ndarray,
    scale: Scale,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    blocks: Sequence[tuple[int, int, int]],
    top: float,
    width: float,
    decimals: int | None = None,
) -> tuple[list[str], float]:
    """Draw the table.

    Args:
        cells: The numbers.
        scale: Their colours; a 0 is white, and its number is soft.
        rows: Names of the rows.
        columns: Names of the columns.
        blocks: Group, first place and end of each block, for lines between them.
        top: Where it begins.
        width: Room for it.
        decimals: How many every number has, so that columns can be compared; three digits each unless given.

    Returns:
        Elements, and the height that they take.
    """
    count, wide = cells.shape
    names = min(0.3 * width, max(text_room(name, size=_SIZE) for name in rows))
    left = _EDGE + names + 8
    said = [[_said(value, decimals) for value in row] for row in cells.tolist()]
    share = (width - left - _EDGE) / wide
    if decimals is not None and _longest(said) + 3 > share:
        # Where there are many columns, the zero before the point is what a reader misses least.
        said = [[each.replace("0.", ".", 1) for each in row] for row in said]
    tight, least, edge = (12.0, 34.0, 4.0) if decimals is None else (3.0, 0.0, 2.0)
    cell = min(_WIDEST, max(_longest(said) + tight, least, share))
    room = cell - edge
    parts = []
    high = _SIZE + 8.0
    for column, name in enumerate(columns):
        line = shortened(name, room=cell + 2, size=_SIZE)
        parts.append(text(line, x=left + (column + 0.5) * cell, y=top + _SIZE, size=_SIZE, anchor="middle"))
    colours = fills(cells, scale)
    for row in range(count):
        y = top + high + row * _HIGH
        name = shortened(rows[row], room=names + 0.5, size=_SIZE)
        parts.append(text(name, x=_EDGE + names, y=y + _HIGH / 2 + 4, size=_SIZE, anchor="end"))
        for column in range(wide):
            x, value = left + column * cell, float(cells[row, column])
            colour = LIGHT if value == 0 else colours[row * wide + column]
            middle = x + cell / 2
            if colour is None:
                cross = f"M{px(middle - 4)} {px(y + _HIGH / 2 - 4)}l8 8m0 -8l-8 8"
                parts.append(element("path", d=cross, stroke=SOFT, stroke_width=1.2))
                continue
            ink = "#5a626b" if value == 0 else ink_on(colour)
            parts.append(element("rect", x=float(x), y=y, width=float(cell), height=_HIGH, fill=colour))
            line = said[row][column] if decimals is not None else _fitting(value, said[row][column], room)
            parts.append(text(line, x=middle, y=y + _HIGH / 2 + 4, size=_SIZE, fill=ink, anchor="middle"))
    # The same strokes on every colour: cells are white in a dark page, too.
    x, y = left, top + high
    across = "".join(f"M{px(x)} {px(y + i * _HIGH)}h{px(wide * cell)}" for i in range(count + 1))
    down = "".join(f"M{px(x + i * cell)} {px(y)}v{px(count * _HIGH)}" for i in range(wide + 1))
    parts.append(element("path", d=across + down, stroke=SOFT, stroke_opacity=0.35, stroke_width=1))
    bold = "".join(
        f"M{px(x)} {px(y + at * _HIGH)}h{px(wide * cell)}M{px(x + at * cell)} {px(y)}v{px(count * _HIGH)}"
        for _, at, _ in blocks[1:]
    )
    if bold:
        parts.append(element("path", d=bold, stroke=DARK, stroke_width=1.6))
    bracket = f"M{px(x)} {px(y)}v{px(count * _HIGH)}M{px(x + wide * cell)} {px(y)}v{px(count * _HIGH)}"
    parts.append(element("path", d=bracket, stroke=INK, stroke_width=1.5))
    return parts, high + count * _HIGH


def _said(value: float, decimals: int | None) -> str:
    if not np.isfinite(value):
        return ""
    if decimals is None:
        return number(value)
    text = f"{abs(value):.{decimals}f}"
    return MINUS + text if value < 0 and float(text) else text


def _longest(said: Sequence[Sequence[str]]) -> float:
    return max(text_room(each, size=_SIZE) for row in said for each in row)


def _fitting(value: float, said: str, room: float) -> str:
    """The number with as many digits as its cell holds."""
    for digits in (2, 1):
        if text_room(said, size=_SIZE) <= room:
            break
        said = number(value, digits=digits)
    return said
