"""How many and which, as errors say it: the count with its noun, and the first few numbers."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def places(mask: Any) -> npt.NDArray[np.int64]:
    """The numbers of the rows for which a mask is true."""
    return np.flatnonzero(mask)


def rows_named(what: str, rows: Array) -> str:
    """The first few rows with the noun: "nodes 3, 5"."""
    return f"{what}{'s' * (len(rows) != 1)} {first_few(rows)}"


def first_few(numbers: Array) -> str:
    """The first five numbers, and "…" where there are more."""
    return ", ".join(str(int(each)) for each in numbers[:5]) + (", …" if len(numbers) > 5 else "")


def counted(count: int, noun: str) -> str:
    """A count with its noun: "1 edge", "2,000 edges"."""
    if count != 1:
        head, _, tail = noun.partition(" ")
        noun = f"{head}s {tail}".strip() if head == "column" else f"{noun}s"
    return f"{count:,} {noun}"
