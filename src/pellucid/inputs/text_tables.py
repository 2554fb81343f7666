"""Rows and columns of a text file: which separator it has, whether it begins with a header, where a cell stands."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.errors import InputError
from pellucid.inputs.files import readable

_COMMENTS = ("#", "%")
_SEPARATORS = ("\t", ",", ";")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells of text.

    Attributes:
        header: The names of the columns, or None.
        rows: The cells of each row, all rows of the same length.
        lines: The line of the file that each row stands in, counted from 1.
        called: What an error calls the file, quoted.
    """

    header: tuple[str, ...] | None
    rows: list[list[str]]
    lines: list[int]
    called: str

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.rows[0])

    def column(self, index: int) -> list[str]:
        """The cells of a column."""
        return [row[index] for row in self.rows]

    def named(self, names: Sequence[str]) -> int | None:
        """The first column whose name is one of these, in the order of these, whatever their case; or None."""
        folded = [] if self.header is None else [each.casefold() for each in self.header]
        return next((folded.index(name) for name in names if name in folded), None)

    def numbers(self, index: int, *, what: str) -> npt.NDArray[np.float64]:
        """A column as finite numbers.

        Raises:
            InputError: A cell is no number, NaN or infinite; names its line.
        """
        cells = self.column(index)
        try:
            values = np.array(cells, dtype=np.float64)
        except ValueError:
            raise InputError(self._first_wrong(cells, _is_number, what, "a number")) from None
        if not np.isfinite(values).all():
            raise InputError(self._first_wrong(cells, lambda cell: np.isfinite(float(cell)), what, "a finite number"))
        return values

    def whole_numbers(self, index: int, *, what: str) -> npt.NDArray[np.int64]:
        """A column as whole numbers.

        Raises:
            InputError: A cell is no whole number; names its line.
        """
        found = whole(self.column(index))
        if found is None:
            raise InputError(self._first_wrong(self.column(index), _is_whole, what, "a whole number"))
        return found

    def _first_wrong(self, cells: list[str], right: Callable[[str], Any], what: str, expected: str) -> str:
        wrong = [place for place, cell in enumerate(cells) if not right(cell)]
        more = f" ({len(wrong)} such lines)" if len(wrong) > 1 else ""
        cell = readable(cells[wrong[0]], limit=40)
        return f"{self.called}, line {self.lines[wrong[0]]}: {what} is {cell!r}, expected {expected}{more}."


def whole(cells: Sequence[str]) -> npt.NDArray[np.int64] | None:
    """Cells as whole numbers, or None if one of them is none."""
    try:
        return np.array([int(cell) for cell in cells], dtype=np.int64)
    except (ValueError, OverflowError):
        return None


def read_table(text: str, *, called: str, header: bool | None = None) -> Table:
    """The table that a text holds: separated by tabs, commas, semicolons or spaces; lines with # or % are comments.

    Args:
        text: The whole file.
        called: What an error calls it, quoted.
        header: Whether the first row names the columns; None asks whether it has no number where all others have.

    Raises:
        InputError: It is empty, or a row is shorter or longer than the first.
    """
    lines = [
        (number, line)
        # Not splitlines, which also breaks at rare characters that names of pages contain.
        for number, line in enumerate(re.split(r"\r?\n|\r", text.removeprefix("\ufeff")), start=1)
        if line.strip() and not line.lstrip().startswith(_COMMENTS)
    ]
    if not lines:
        raise InputError(f"{called} holds no rows; copy or download it again.")
    separator = _separator([line for _, line in lines[:50]])
    numbers = [number for number, _ in lines]
    rows = _cells([line for _, line in lines], numbers, separator, called)
    width = len(rows[0])
    ragged = [place for place, row in enumerate(rows) if len(row) != width]
    if ragged:
        more = f" ({len(ragged)} such lines)" if len(ragged) > 1 else ""
        place = ragged[0]
        raise InputError(
            f"{called}, line {numbers[place]} has {len(rows[place])} columns, expected {width} as in line "
            f"{numbers[0]}{more}."
        )
    if header is None:
        header = _looks_like_header(rows)
    if header and len(rows) == 1:
        raise InputError(f"{called} has a header and no rows; copy or download it again.")
    return Table(
        header=tuple(rows[0]) if header else None,
        rows=rows[1:] if header else rows,
        lines=numbers[1:] if header else numbers,
        called=called,
    )


def _separator(lines: list[str]) -> str | None:
    for separator in _SEPARATORS:
        # Not in all: a line that is cut off must not change how the others are read.
        if separator in lines[0] and sum(separator in line for line in lines) > len(lines) / 2 - 1:
            return separator
    return None


def _cells(lines: list[str], numbers: list[int], separator: str | None, called: str) -> list[list[str]]:
    if separator is None:
        return [re.split(r"\s+", line.strip()) for line in lines]
    if not any('"' in line for line in lines):
        return [[cell.strip() for cell in line.split(separator)] for line in lines]
    rows = []
    for number, line in zip(numbers, lines, strict=True):
        try:
            # One reader for each line: an open quote must not swallow the rest of the file.
            cells = next(csv.reader(io.StringIO(line), delimiter=separator, strict=True))
        except csv.Error as error:
            raise InputError(
                f"{called}, line {number} has a quoted cell that does not end ({error}); mend it, or take line breaks "
                "out of the cells."
            ) from error
        rows.append([cell.strip() for cell in cells])
    return rows


def _looks_like_header(rows: list[list[str]]) -> bool:
    if len(rows) == 1 or any(_is_number(cell) for cell in rows[0]):
        return False
    sample = rows[1:200]
    # Of most rows, not of all: a damaged cell must not make the header a row.
    return any(sum(_is_number(row[column]) for row in sample) > len(sample) / 2 for column in range(len(rows[0])))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_whole(cell: str) -> bool:
    return bool(re.fullmatch(r"\s*[+-]?\d{1,18}\s*", cell))
