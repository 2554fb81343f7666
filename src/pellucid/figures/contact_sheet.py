"""Many drawings on one sheet, and below them how far they agree as a table of numbers: one PNG to pass on."""

from collections.abc import Sequence

import numpy as np

from pellucid.figures.colour import INK, PAPER, STRENGTHS, palette, signed
from pellucid.figures.lettering import line_height, shorten, text_width, write
from pellucid.figures.numbers import MINUS
from pellucid.figures.tiles import paper

_COLUMNS, _MARGIN, _SIZE, _TITLE = 4, 16, 13, 17
_HIGH, _NAMES = 24, 240
"""Pixels: of a row of the table, and the most that its names take."""


def contact_sheet(drawings: Sequence[np.ndarray], *, columns: int | None = None) -> np.ndarray:
    """Drawings in rows from left to right, each at its own size.

    Args:
        drawings: uint8 (height, width, 3) each, RGB, one or more.
        columns: How many stand in a row; up to four, as near to a square as can be, unless given.

    Returns:
        uint8 (height, width, 3); white where there is nothing.
    """
    columns = columns or min(_COLUMNS, -(-len(drawings) // max(1, round(len(drawings) ** 0.5))))
    rows = [drawings[start : start + columns] for start in range(0, len(drawings), columns)]
    wide = max(each.shape[1] for each in drawings)
    highs = [max(each.shape[0] for each in row) for row in rows]
    sheet = paper(sum(highs), wide * min(columns, len(drawings)))
    top = 0
    for row, high in zip(rows, highs, strict=True):
        for place, each in enumerate(row):
            sheet[top : top + each.shape[0], place * wide : place * wide + each.shape[1]] = each
        top += high
    return sheet


def correlation_table(values: np.ndarray, *, names: Sequence[str], columns: Sequence[str], title: str) -> np.ndarray:
    """Correlations as numbers with two decimals on their colours, blue at −1, white at 0, red at 1; "x" where none is.

    Args:
        values: (maps, maps), −1 … 1 or NaN.
        names: What the rows are called (ASCII; other letters become question marks).
        columns: What stands above the columns, short.
        title: A line above.

    Returns:
        uint8 (height, width, 3).
    """
    count = len(values)
    cell = text_width(f"{MINUS}0.00", size=_SIZE) + 8
    left = _MARGIN + min(_NAMES, max(text_width(name, size=_SIZE) for name in names)) + 8
    head = 2 * _MARGIN + line_height(_TITLE)
    top = head + line_height(_SIZE) + 4
    width = max(left + count * cell, 2 * _MARGIN + text_width(title, size=_TITLE)) + _MARGIN
    sheet = paper(top + count * _HIGH + _MARGIN, width)
    _letter(sheet, title, left=_MARGIN, top=_MARGIN, size=_TITLE)
    down = (_HIGH - line_height(_SIZE)) // 2
    colours = palette("signed")[signed(values, 1.0)]
    for row in range(count):
        name = shorten(names[row], width=_NAMES, size=_SIZE)
        y = top + row * _HIGH
        _letter(sheet, name, left=left - 8 - text_width(name, size=_SIZE), top=y + down)
        above = columns[row]
        _letter(sheet, above, left=_middle(above, left + row * cell, cell), top=head)
        for column in range(count):
            x, value = left + column * cell, float(values[row, column])
            known = bool(np.isfinite(value))
            if known:
                sheet[y : y + _HIGH, x : x + cell] = colours[row, column]
            said = _said(value) if known else "x"
            dark = known and float(colours[row, column] @ np.array([0.299, 0.587, 0.114])) < 140
            _letter(sheet, said, left=_middle(said, x, cell), top=y + down, light=dark)
    return sheet


def below(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Drawings below each other on one white sheet."""
    sheet = paper(sum(part.shape[0] for part in parts), max(part.shape[1] for part in parts))
    top = 0
    for part in parts:
        sheet[top : top + part.shape[0], : part.shape[1]] = part
        top += part.shape[0]
    return sheet


def _said(value: float) -> str:
    text = f"{abs(value):.2f}"
    return MINUS + text if value < 0 and float(text) else text


def _middle(text: str, left: int, width: int) -> int:
    return left + (width - text_width(text, size=_SIZE)) // 2


def _letter(sheet: np.ndarray, text: str, *, left: int, top: int, size: int = _SIZE, light: bool = False) -> None:
    """Set a line of text over whatever is there, in ink or in white."""
    entries = np.full((line_height(size), text_width(text, size=size) + 1), PAPER, dtype=np.uint8)
    write(entries, text, left=0, top=0, size=size)
    place = sheet[top : top + entries.shape[0], left : left + entries.shape[1]]
    # Palette entries of letters run from faint to full ink.
    strength = np.where(entries == PAPER, 0, entries.astype(np.int64) - INK + 1)[..., None] / STRENGTHS
    tone = palette("signed")[PAPER if light else INK + STRENGTHS - 1].astype(np.float64)
    strength = strength[: place.shape[0], : place.shape[1]]
    place[:] = np.rint(place * (1 - strength) + tone * strength).astype(np.uint8)
