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
    """

    place: str
    weights: Mapping[int, float]


def evaluate(
    scores: Sequence[Score], places: Mapping[str, Float[Tensor, "batch channels *positions"]]
) -> Float[Tensor, " batch"]:
    """The score of each item, from the values at the places that the scores name; differentiable."""
    rows = []
    for item, score in enumerate(scores):
        channels = (
            places[score.place][item].flatten(1).mean(1) if places[score.place].dim() > 2 else places[score.place][item]
        )
        numbers = list(score.weights)
        weights = torch.tensor([score.weights[n] for n in numbers], dtype=channels.dtype, device=channels.device)
        rows.append((channels[numbers] * weights).sum())
    return torch.stack(rows)
