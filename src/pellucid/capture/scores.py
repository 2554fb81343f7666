"""Scores: what is explained, as numbers that a pass can differentiate.

A target ("top:1", "class:tabby") is what a user asks for; it is resolved once, on the unperturbed input, to a score:
a weighted sum of channels at one place. Everything below targets sees only scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

LOGITS = "logits"  # the place of a score that is about the model's answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A weighted sum of channels at one place, for one item; where channels have positions, each is its mean over them.

    Attributes:
        place: `logits`, or the name of a site.
        weights: Weight of each channel that counts; channels that are not named weigh 0.
        position: Where channels are read instead of their mean over positions, e.g. (row, column); None for the mean.
    """

    place: str
    weights: Mapping[int, float]
    position: tuple[int, ...] | None = None


def evaluate(
    scores: Sequence[Score], places: Mapping[str, Float[Tensor, "batch channels *positions"]]
) -> Float[Tensor, " batch"]:
    """The score of each item, from the values at the places that the scores name; differentiable."""
    rows = []
    for item, score in enumerate(scores):
        channels = places[score.place][item]
        if score.position is not None:
            for index in score.position:
                channels = channels[:, index]
        elif channels.dim() > 1:
            channels = channels.flatten(1).mean(1)
        numbers = list(score.weights)
        weights = torch.tensor([score.weights[n] for n in numbers], dtype=channels.dtype, device=channels.device)
        rows.append((channels[numbers] * weights).sum())
    return torch.stack(rows)


def evaluate_logits(
    scores: Sequence[Score], logits: Float[Tensor, "variants batch classes"]
) -> Float[Tensor, "variants batch"]:
    """The scores of many answers to each item, one score per item; all of them about logits."""
    rows = []
    for item, score in enumerate(scores):
        numbers = list(score.weights)
        weights = torch.tensor([score.weights[n] for n in numbers], dtype=logits.dtype, device=logits.device)
        rows.append((logits[:, item, numbers] * weights).sum(1))
    return torch.stack(rows, dim=1)
