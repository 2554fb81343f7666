"""What was measured along the depth: one record per site, and what it was measured on."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.intervals import Estimate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DepthSite:
    """What was measured at one site.

    Attributes:
        name: The site.
        op: Its operation.
        shape: Of one picture's values, without the batch.
        stride: Height and width in pixels of the block that a position stands for; None where there is none.
        form: R², median over held-out pictures; None where no position has a block.
        emerged: Accuracy of the linear probe; None where there are too few pictures per class.
        flips: Share of pictures whose first class changes when positions are shuffled; None without positions.
        lead_lost: Share of the first class's lead that is lost then: 0 none, 1 all, above 1 others lead; median
            over the pictures where it has one, None where there is none.
        read: Luminance of the shown picture as it is read back, (height, width), NaN where no block lies; or None.
        read_form: R² of that picture.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    stride: tuple[int, int] | None
    form: Estimate | None
    emerged: Estimate | None
    flips: Estimate | None
    lead_lost: Estimate | None
    read: np.ndarray | None
    read_form: float | None

    def to_record(self) -> dict[str, Any]:
        """Everything but the array, as JSON types."""
        numbers = ("form", "emerged", "flips", "lead_lost")
        found = {name: getattr(self, name) for name in numbers}
        return {
            "name": self.name,
            "op": self.op,
            "shape": list(self.shape),
            "stride": None if self.stride is None else list(self.stride),
            **{name: None if estimate is None else estimate.to_record() for name, estimate in found.items()},
            "read_form": self.read_form,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Depth:
    """Form and class along the depth of one network, and of its untrained twin.

    Attributes:
        sites: In order of execution.
        twin: The same sites of the untrained twin; empty if there was none.
        pictures: How many pictures were used.
        held: How many of them measured the form; the others taught the readout.
        source: What the pictures were: "drawings" or "folder".
        labels: Where the classes came from: "labels" or "decisions" of the model.
        classes: How many classes the probe told apart; 0 where there were too few pictures per class.
        probed: How many pictures belong to one of these classes.
        chance: What always naming the most frequent of them would score; None without classes.
        repeats: How many orders were drawn for each site.
        seed: For every random draw.
    """

    sites: tuple[DepthSite, ...]
    twin: tuple[DepthSite, ...]
    pictures: int
    held: int
    source: str
    labels: str
    classes: int
    probed: int
    chance: float | None
    repeats: int
    seed: int

    def to_record(self) -> dict[str, Any]:
        """Everything but the arrays, as JSON types."""
        plain = ("pictures", "held", "source", "labels", "classes", "probed", "chance", "repeats", "seed")
        return {
            "sites": [site.to_record() for site in self.sites],
            "twin": [site.to_record() for site in self.twin],
            **{name: getattr(self, name) for name in plain},
        }

    def __repr__(self) -> str:
        first, last = (next((s.form for s in order if s.form), None) for order in (self.sites, self.sites[::-1]))
        said = "" if first is None or last is None else f", form {first.value:.2f} … {last.value:.2f}"
        control = ", with its untrained twin" if self.twin else ""
        return f"<Depth: {len(self.sites)} sites, {self.pictures} pictures{said}{control}>"
