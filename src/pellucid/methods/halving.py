"""Work on a batch in pieces, halved when memory runs out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from pellucid.errors import CapacityError

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Halving:
    """How many items fit into one pass; learnt when memory runs out, and remembered.

    Attributes:
        size: Most items in one pass.
    """

    size: int

    def run(self, items: int, work: Callable[[slice], list[T]], *, words: Callable[[], str]) -> list[T]:
        """The results of some work for every item, done in pieces that fit.

        Args:
            items: How many items there are.
            work: Gives one result for each item of a slice.
            words: What one item is, for the case that not even one fits.

        Raises:
            CapacityError: One item alone does not fit into memory.
        """
        results: list[T] = []
        while len(results) < items:
            piece = slice(len(results), min(len(results) + self.size, items))
            count = piece.stop - piece.start
            try:
                results += work(piece)
                continue
            except CapacityError:  # one item alone has been tried already
                raise
            except (RuntimeError, MemoryError) as error:
                if not _ran_out(error):
                    raise
                if count == 1:
                    raise CapacityError(
                        f"{words()} does not fit into memory ({_first_line(error)}); give a smaller picture, or free "
                        "memory."
                    ) from error
            # Outside the handler: the error's traceback holds the tensors that did not fit.
            self.size = count // 2
        return results


def _ran_out(error: Exception) -> bool:
    words = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "can't allocate memory" in words
        or "out of memory" in words
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
