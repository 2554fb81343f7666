"""Files of nothing but whole numbers or numbers, the same count in each line, read at once and not line by line."""

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pellucid.errors import InputError
from pellucid.inputs.files import readable

_LINES = 200_000


def whole_rows(content: bytes, *, columns: int | None, called: str) -> npt.NDArray[np.int64]:
    """The whole numbers of a file, int64 (lines, columns), separated by commas or spaces.

    Args:
        content: The whole file.
        columns: How many numbers a line has; None takes as many as the first line has.
        called: What an error calls the file, quoted.

    Raises:
        InputError: A line holds something else; names it.
    """
    parts, first = [], 1
    for lines, width in _blocks(content, columns, called):
        words = " ".join(lines).split()
        try:
            parts.append(np.array([int(word) for word in words], dtype=np.int64).reshape(-1, width))
        except (ValueError, OverflowError):
            raise InputError(_wrong(words, width, first, r"[+-]?\d{1,18}", called, "a whole number")) from None
        first += len(lines)
    return np.concatenate(parts)


def number_rows(content: bytes, *, called: str) -> npt.NDArray[np.float64]:
    """The finite numbers of a file, float64 (lines, columns); see `whole_rows`."""
    parts, first = [], 1
    for lines, width in _blocks(content, None, called):
        words = " ".join(lines).split()
        try:
            parts.append(np.array([float(word) for word in words]).reshape(-1, width))
        except ValueError:
            right = r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?"
            raise InputError(_wrong(words, width, first, right, called, "a number")) from None
        first += len(lines)
    numbers = np.concatenate(parts)
    bad = ~np.isfinite(numbers).all(axis=1)
    if bad.any():
        raise InputError(
            f"{called}, line {int(np.flatnonzero(bad)[0]) + 1}: NaN or infinity, expected finite numbers "
            f"({int(bad.sum())} such lines)."
        )
    return numbers


def _blocks(content: bytes, columns: int | None, called: str) -> Iterator[tuple[list[str], int]]:
    """The lines, a block at a time, and how many numbers each has: the words of all would take many times the file."""
    lines = content.decode("utf-8-sig", errors="replace").replace(",", " ").rstrip().split("\n")
    if lines == [""]:
        raise InputError(f"{called} is empty; copy or download it again.")
    expected = len(lines[0].split()) if columns is None else columns
    wrong = [(place, count) for place, line in enumerate(lines) if (count := len(line.split())) != expected]
    if wrong:
        place, count = wrong[0]
        raise InputError(
            f"{called}, line {place + 1} has {count} numbers, expected {expected} ({len(wrong)} such lines); "
            "if it is the last, the file is cut off: copy it again."
        )
    for start in range(0, len(lines), _LINES):
        yield lines[start : start + _LINES], expected


def _wrong(words: list[str], width: int, first: int, right: str, called: str, expected: str) -> str:
    bad = [place for place, word in enumerate(words) if not re.fullmatch(right, word, re.IGNORECASE)]
    if not bad:
        return f"{called} holds a number that is too large, expected {expected}."
    word = readable(words[bad[0]], limit=40)
    return f"{called}, line {first + bad[0] // width}: {word!r}, expected {expected} ({len(bad)} such)."
