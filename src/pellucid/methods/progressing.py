"""How far explaining is, as whoever asked for it is told."""

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[float, int], None]
"""Called with what is done and what there is in all, 0 where nobody knows it. What it raises ends the work."""


@dataclass(slots=True, kw_only=True)
class Told:
    """Progress that never goes back: where a group of methods is refused, each of them is tried again alone.

    Attributes:
        progress: Who is told; None for nobody.
        total: What there is in all; 0 where nobody knows it.
        done: What has been told.
    """

    progress: Progress | None
    total: int
    done: float = 0.0

    def at(self, done: float) -> None:
        """Tell how far it is; also where that is no further than before, so that whoever is told can end the work."""
        self.done = max(self.done, min(done, self.total) if self.total else done)
        if self.progress is not None:
            self.progress(self.done, self.total)
