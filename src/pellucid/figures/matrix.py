"""A matrix as a table of numbers where it is small, as a picture of cells where it is large; dense or sparse."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from pellucid.errors import SettingError
from pellucid.figures import png
from pellucid.figures.categories import checked_groups
from pellucid.figures.colour import PAPER, Kind, Scale, palette, sequential, signed
from pellucid.figures.grid import kept
from pellucid.figures.key import MarkKey, ScaleKey, key
from pellucid.figures.legend import described
from pellucid.figures.matrix_blocks import block_order, ordered, reduced
from pellucid.figures.matrix_table import table
from pellucid.figures.numbers import grouped, number
from pellucid.figures.paint import scale_of
from pellucid.figures.svg import INK, SOFT, Drawing, document, element, px, shortened, text, text_room
from pellucid.figures.wording import ENGLISH, Wording

TABLE = 12
"""Up to so many rows and columns a matrix is a table of numbers."""
CELLS = 512
"""A picture has at most so many cells each way."""

_EDGE, _TITLE, _SIZE, _LINE = 8.0, 15, 12, 15.0
_LARGEST_CELL, _THREAD = 28, 40
_CUT = 0.5
"""Percent of the cells of a reduced matrix that may lie beyond the scale: a few dense blocks would hide all others."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MatrixFigure(Drawing):
    """A drawn matrix.

    Attributes:
        cells: float64, the values that are drawn: the matrix itself, or the sums of its blocks; read-only.
        block: How many rows and columns one cell stands for; (1, 1) where each entry is drawn.
        order: The rows in the order in which they are drawn; None where that is their own.
    """

    cells: np.ndarray
    block: tuple[int, int]
    order: np.ndarray | None


def draw_matrix(
    matrix: Any,
    *,
    row_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
    groups: np.ndarray | None = None,
    group_names: Sequence[str] | None = None,
    kind: Kind | None = None,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    title: str = "",
    description: str = "",
    width: int = 560,
    numbered: int = TABLE,
    decimals: int | None = None,
    wording: Wording = ENGLISH,
) -> MatrixFigure:
    """Draw a matrix.

    Up to 12 × 12 entries it is a table of numbers on their colours; beyond, a picture with one square for each entry;
    beyond 512 rows or columns (or what the width holds), one square for the sum of a block of entries. Entries that are
    0 are white. Sums of many blocks differ so much that half a percent of them may lie beyond the scale, which the key
    says.

    Args:
        matrix: (rows, columns), an array or any matrix or array of scipy.sparse.
        row_names: Names of the rows; drawn where there is room for each.
        column_names: Names of the columns.
        groups: The group of each row of a square matrix, -1 where unknown: rows and columns are sorted by it, and
            lines and names show the blocks.
        group_names: Names of the groups.
        kind: "signed" or "sequential"; decided by the values unless given.
        low: The low end of the scale.
        high: The high end.
        unit: What an entry is.
        title: A line above.
        description: What is on it, for those who cannot see it; the shape unless given.
        width: In pixels.
        numbered: Up to how many rows and columns it is a table of numbers.
        decimals: How many each number of such a table has; three digits each unless given.
        wording: The words of the key.
    """
    given = _checked(matrix, width)
    rows, columns = given.shape
    for name, names, count in (("row_names", row_names, rows), ("column_names", column_names, columns)):
        if names is not None and len(names) != count:
            raise SettingError(name, given=f"{len(names)} names", expected=f"{count}")
    order: np.ndarray | None = None
    blocks: list[tuple[int, int, int]] = []
    if groups is not None:
        if rows != columns:
            raise SettingError("groups", given="the groups of a matrix that is not square", expected="a square matrix")
        checked_groups(groups, count=rows, name="groups")
        order, blocks = block_order(np.asarray(groups))
    small = max(rows, columns) <= numbered
    left, right = _EDGE, _EDGE
    said = description or f"{grouped(rows)} × {grouped(columns)}"
    top = _EDGE + (_TITLE + 12 if title else 0)
    parts = [text(shortened(title, room=width - 2 * _EDGE, size=_TITLE), x=_EDGE, y=_EDGE + _TITLE, size=_TITLE,
                  fill=INK, weight=600)]  # fmt: skip
    marks: list[MarkKey] = []
    if small:
        cells = ordered(given.toarray() if scipy.sparse.issparse(given) else given, order).astype(np.float64)
        scale = scale_of(cells, kind=kind, low=low, high=high)
        called = [_in_order(each, order, count) for each, count in ((row_names, rows), (column_names, columns))]
        drawn, high_px = table(
            cells, scale, rows=called[0], columns=called[1], blocks=blocks, top=top, width=width, decimals=decimals
        )
        block = (1, 1)
    else:
        named_blocks = [(_group_name(group_names, group, wording), start, stop) for group, start, stop in blocks]
        right += max((min(0.25 * width, text_room(name, size=_SIZE)) for name, *_ in named_blocks), default=-12.0) + 12
        named = row_names is not None and not blocks and rows * _LINE <= CELLS
        if named and row_names is not None:
            left += min(0.3 * width, max(text_room(name, size=_SIZE) for name in row_names)) + 6
        most = min(CELLS, int(width - left - right))
        cells, block = reduced(given, order, most=most)
        if block != (1, 1) and high is None and low is None:
            high = _most_seen(cells, kind)
        scale = scale_of(cells, kind=kind, low=low, high=high)
        grow = _zoom(cells.shape, wide=most, high=CELLS)
        drawn = [
            _picture(cells, scale, grow=grow, x=left, y=top),
            *_lines(named_blocks, block, grow, cells.shape, left, top),
        ]
        drawn += _block_names(
            named_blocks, block, grow[0], x=left + cells.shape[1] * grow[1] + 8, y=top, room=right - 12
        )
        if named and row_names is not None:
            drawn += _row_names(row_names, grow[0], x=left - 6, y=top, room=left - _EDGE - 6)
        high_px = cells.shape[0] * grow[0]
        white = element("rect", x=4, y=-6, width=14, height=12, fill="#ffffff", stroke=SOFT, stroke_width=1)
        if scale.kind == "sequential" and (cells == 0).any():
            marks.append(MarkKey(drawn=white, name=wording.empty))
    empty = int((~np.isfinite(cells)).sum())
    if empty:
        cross = element("path", d="M7 -4l8 8M15 -4l-8 8", stroke=SOFT, stroke_width=1.2)
        magenta = "".join(
            element("rect", x=4 + i, y=-6, width=7, height=12, fill=fill)
            for i, fill in ((0, "#c8148c"), (7, "#ff9be0"))
        )
        marks.append(MarkKey(drawn=cross if small else magenta, name=f"{wording.no_value}: {number(empty)}"))
    lines = [wording.shape.format(rows=grouped(rows), columns=grouped(columns))] if not small else []
    if block != (1, 1):
        lines.append(wording.cell.format(rows=block[0], columns=block[1]))
    scales = [ScaleKey(scale=scale, unit=unit, lines=tuple(lines))]
    shown, taken = key(scales, marks, left=_EDGE, top=top + high_px + 18, width=width - 2 * _EDGE, wording=wording)
    height = top + high_px + 18 + taken + _EDGE
    return MatrixFigure(
        svg=document([*parts, *drawn, *shown], width=width, height=height, title=title or said, description=said),
        width=width, height=round(height), title=title, cells=kept(cells), block=block,
        legend=described(scale, unit=unit), order=None if order is None else kept(order),
    )  # fmt: skip


def _checked(matrix: Any, width: int) -> Any:
    """A dense array, or a sparse array in coordinates with each entry once."""
    if width < 200:
        raise SettingError("width", given=width, expected="200 or more")
    if scipy.sparse.issparse(matrix):
        found = scipy.sparse.coo_array(matrix)
        found.sum_duplicates()
    else:
        found = np.asarray(matrix)
    if found.ndim != 2 or 0 in found.shape or found.dtype.kind not in "fiub":
        raise SettingError("matrix", given=f"{found.dtype} {found.shape}", expected="numbers of shape (rows, columns)")
    return found


def _in_order(names: Sequence[str] | None, order: np.ndarray | None, count: int) -> list[str]:
    called = [str(i) for i in range(count)] if names is None else [str(name) for name in names]
    return called if order is None else [called[i] for i in order.tolist()]


def _group_name(names: Sequence[str] | None, group: int, wording: Wording) -> str:
    if group < 0:
        return wording.unknown
    return str(names[group]) if names is not None and group < len(names) else str(group)


def _most_seen(cells: np.ndarray, kind: Kind | None) -> float | None:
    """The high end at which the densest cells do not hide the others; empty cells do not count."""
    filled = cells[cells != 0]
    return scale_of(filled, kind=kind, cut=_CUT).high if filled.size else None


def _zoom(shape: tuple[int, ...], *, wide: int, high: int) -> tuple[int, int]:
    """How many pixels a cell is high and wide: a square, unless the whole would be a thread."""
    tall, broad = (max(1, min(_LARGEST_CELL, room // count)) for room, count in ((high, shape[0]), (wide, shape[1])))
    least = min(tall, broad)
    return (least, least) if least * min(shape) >= _THREAD else (tall, broad)


def _picture(cells: np.ndarray, scale: Scale, *, grow: tuple[int, int], x: float, y: float) -> str:
    # Not `scale.entries`, which makes equal values grey: one colour of the scale can be read off the key.
    if scale.kind == "signed":
        entries = signed(cells, scale.high)
    else:
        entries = sequential(cells, low=scale.low, high=scale.high)
        entries[cells == 0] = PAPER
    content = base64.b64encode(png.indexed(entries, palette(scale.kind))).decode()
    high, wide = cells.shape[0] * grow[0], cells.shape[1] * grow[1]
    picture = element(
        "image", x=x, y=y, width=wide, height=high, preserveAspectRatio="none", image_rendering="pixelated",
        href=f"data:image/png;base64,{content}",
    )  # fmt: skip
    frame = {"fill": "none", "stroke": SOFT, "stroke_opacity": 0.6, "stroke_width": 1}
    return picture + element("rect", x=x - 0.5, y=y - 0.5, width=wide + 1, height=high + 1, **frame)


def _lines(
    called: Sequence[tuple[str, int, int]],
    block: tuple[int, int],
    grow: tuple[int, int],
    shape: tuple[int, int],
    x: float,
    y: float,
) -> list[str]:
    """Lines between the blocks, dark inside light, so that they are seen on every colour."""
    high, wide = shape[0] * grow[0], shape[1] * grow[1]
    path = "".join(
        f"M{px(x)} {px(y + start / block[0] * grow[0])}h{px(wide)}"
        f"M{px(x + start / block[1] * grow[1])} {px(y)}v{px(high)}"
        for _, start, _ in called[1:]
    )
    if not path:
        return []
    return [
        element("path", d=path, stroke="#ffffff", stroke_width=2, stroke_opacity=0.7, fill="none"),
        element("path", d=path, stroke="#171a1e", stroke_width=0.8, fill="none"),
    ]


def _block_names(
    called: Sequence[tuple[str, int, int]], block: tuple[int, int], grow: int, *, x: float, y: float, room: float
) -> list[str]:
    """Names beside the rows of each block, those of large blocks first; one that has no room is left out."""
    parts: list[str] = []
    taken: list[float] = []
    for name, start, stop in sorted(called, key=lambda each: (each[1] - each[2], each[1])):
        middle = y + (start + stop) / 2 / block[0] * grow
        if all(abs(middle - other) >= _LINE for other in taken):
            taken.append(middle)
            parts.append(text(shortened(name, room=room, size=_SIZE), x=x, y=middle + 4, size=_SIZE, fill=INK))
    return parts


def _row_names(names: Sequence[str], grow: int, *, x: float, y: float, room: float) -> list[str]:
    return [
        text(shortened(name, room=room, size=_SIZE), x=x, y=y + (row + 0.5) * grow + 4, size=_SIZE, anchor="end")
        for row, name in enumerate(names)
    ]
