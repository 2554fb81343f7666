"""Whether values add up to a change of the score: the gap, measured."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

ODD = "the score at the baseline is NaN or infinite, so it cannot be told whether the values add up"
STILL = "the score is the same at the baseline as at the input, so the gap is no share of a change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What is missing between the sum of the values and the change of the score.

    Attributes:
        gap: Sum minus change, in units of the score.
        share: The gap without its sign as a share of the change; NaN where the score does not change.
        difference: The change of the score.
    """

    gap: Float[Tensor, " batch"]
    share: Float[Tensor, " batch"]
    difference: Float[Tensor, " batch"]

    @property
    def checks(self) -> Mapping[str, Tensor]:
        """As measured numbers."""
        return {"completeness gap": self.gap, "relative gap": self.share}

    @property
    def notes(self) -> dict[int, tuple[str, ...]]:
        """What has to be said where the score does not change, or changes by what is no number."""
        changes = self.difference.tolist()
        odd: dict[int, tuple[str, ...]] = {i: (ODD,) for i, change in enumerate(changes) if not math.isfinite(change)}
        return odd | {i: (STILL,) for i, change in enumerate(changes) if change == 0}


def gap_of(sums: Float[Tensor, " batch"], difference: Float[Tensor, " batch"]) -> Gap:
    """Compare the sum of each item's values with the change of its score."""
    gap = sums.double() - difference.double()
    # Where the score does not change there is nothing to take a share of.
    share = torch.where(difference == 0, torch.nan, gap.abs() / difference.double().abs())
    return Gap(gap=gap, share=share, difference=difference)


def sums_of(values: Float[Tensor, "batch *dims"]) -> Float[Tensor, " batch"]:
    """The sum of each item's values, in float64."""
    return values.flatten(1).double().sum(1)
