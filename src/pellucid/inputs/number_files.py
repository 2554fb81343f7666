"""Files of nothing but whole numbers or numbers, the same count in each line, read at once and not line by line."""

import re

import numpy as np
import numpy.typing as npt

from pellucid.errors import InputError
from pellucid.inputs.files import readable


def whole_rows(content: bytes, *, columns: int | None, called: str) -> npt.NDArray[np.int64]:
    """The whole numbers of a file, int64 (lines, columns), separated by commas or spaces.

    Args:
        content: The whole file.
        columns: How many numbers a line has; None takes as many as the first line has.
        called: What an error calls the file, quoted.

    Raises:
        InputError: A line holds something else; names it.
    """
    values = _rows(content, columns, called)
    try:
        return np.array([int(word) for word in values.ravel()], dtype=np.int64).reshape(values.shape)
    except (ValueError, OverflowError):
        raise InputError(_wrong(values, r"[+-]?\d{1,18}", called, "a whole number")) from None


def number_rows(content: bytes, *, called: str) -> npt.NDArray[np.float64]:
    """The finite numbers of a file, float64 (lines, columns); see `whole_rows`."""
    values = _rows(content, None, called)
    try:
        numbers = values.astype(np.float64)
    except ValueError:
        raise InputError(_wrong(values, r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", called, "a number")) from None
    bad = ~np.isfinite(numbers).all(axis=1)
    if bad.any():
        raise InputError(
            f"{called}, line {int(np.flatnonzero(bad)[0]) + 1}: NaN or infinity, expected finite numbers "
            f"({int(bad.sum())} such lines)."
        )
    return numbers


def _rows(content: bytes, columns: int | None, called: str) -> npt.NDArray[np.str_]:
    lines = content.decode("utf-8", errors="replace").replace(",", " ").rstrip().split("\n")
    if lines == [""]:
        raise InputError(f"{called} is empty; copy or download it again.")
    counts = np.array([len(line.split()) for line in lines])
    expected = int(counts[0]) if columns is None else columns
    wrong = np.flatnonzero(counts != expected)
    if len(wrong):
        raise InputError(
            f"{called}, line {wrong[0] + 1} has {counts[wrong[0]]} numbers, expected {expected} "
            f"({len(wrong)} such lines); if it is the last, the file is cut off: copy it again."
        )
    return np.array(" ".join(lines).split()).reshape(len(lines), expected)


def _wrong(values: npt.NDArray[np.str_], right: str, called: str, expected: str) -> str:
    bad = [place for place, word in enumerate(values.ravel()) if not re.fullmatch(right, word, re.IGNORECASE)]
    if not bad:
        return f"{called} holds a number that is too large, expected {expected}."
    word = readable(str(values.ravel()[bad[0]]), limit=40)
    return f"{called}, line {bad[0] // values.shape[1] + 1}: {word!r}, expected {expected} ({len(bad)} such)."
