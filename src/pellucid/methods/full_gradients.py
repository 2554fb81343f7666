"""FullGrad: a score taken apart without rest, into what the picture gives and what each bias gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.capture.asks import INPUT, Facts, Given, Parts, Passes, Piece, Probing, Reads
from pellucid.errors import MethodError
from pellucid.methods.cam_sites import PLANE, check_word, enlarged
from pellucid.methods.catalogue import register

Terms = Literal["signed", "absolute"]

_TOLERANCE = 1e-3
"""Of all terms' sizes together; rounding stays far below."""


@register("fullgrad")
@dataclass(frozen=True, slots=True, kw_only=True)
class FullGrad:
    """What each pixel gives to the score, and what every bias of the network gives to it there, added up.

    score = Σ x · slope at x + Σ bias · slope at the bias, exactly. Biases are those of convolutions and linear layers,
    that of batch norm in eval mode (β − γμ/σ), constants that are added, and what the tangent of an activation adds (0
    for ReLU). Each cell's share is spread over the picture by bilinear weights that add up to 1, so nothing is lost.
    What has no place in the picture, such as the bias of the class layer, is `bias without a place`; all values and
    that make the score up to `gap to the score`. Values are in units of the score.

    Attributes:
        terms: "signed" keeps signs, so that all adds up; "absolute" adds up the sizes of all terms, as the paper does,
            without its rescaling of each layer.

    Reference:
        Srinivas and Fleuret, Full-Gradient Representation, NeurIPS 2019.
    """

    terms: Terms = "signed"

    def __post_init__(self) -> None:
        check_word("terms", self.terms, Terms)

    def passes(self, facts: Facts) -> Passes:
        """Nothing but what it reads."""
        return Passes()

    def reads(self, facts: Facts) -> Reads:
        """The slope at the input, and the bias-gradients of all operations.

        Raises:
            MethodError: The model has attention, or its input is no picture.
        """
        attention = next((site for site in facts.sites if site.kind == "attention"), None)
        if attention is not None:
            raise MethodError(
                f"fullgrad cannot treat {attention.name!r}, which is attention; use integrated-gradients."
            )
        if len(facts.input_shape) != 4:
            shape = "×".join(map(str, facts.input_shape))
            raise MethodError(
                f"fullgrad needs pictures (batch, channels, height, width), and got {shape}; use saliency."
            )
        return Reads(values=frozenset({INPUT}), slopes=frozenset({INPUT}), bias_gradients=True)

    def probe(self, given: Given) -> Probing:
        """Add up everything at its place."""
        yield from ()  # nothing is asked: what was read is enough
        sides, first = given.x.shape[2:], given.facts.channels_first()
        seen = given.seen
        placed: list[Tensor] = [seen.values[INPUT] * seen.slopes[INPUT]]
        unplaced: list[Tensor] = []
        for name, terms in seen.bias_gradients.items():
            has_place = name in first and max(terms.shape[2:]) > 1
            (placed if has_place else unplaced).append(terms.double())
        rest = sum((terms.flatten(1).sum(1) for terms in unplaced), given.scores.double() * 0)
        total = sum((terms.double().flatten(1).sum(1) for terms in placed), rest)
        shown = [terms.abs() if self.terms == "absolute" else terms for terms in placed]
        values = added_up(shown, tuple(sides)).to(given.x.dtype)
        gap = total - given.scores.double()
        size = sum(
            (terms.double().abs().flatten(1).sum(1) for terms in (*placed, *unplaced)), given.scores.double().abs()
        )
        said = "the terms do not add up to the score, so something in this model was not counted"
        notes = {item: (said,) for item, wrong in enumerate((gap.abs() > _TOLERANCE * size).tolist()) if wrong}
        checks = {"gap to the score": gap, "bias without a place": rest}
        return Parts(pieces=(Piece(place=INPUT, axes=PLANE, values=values, name="pixels"),), checks=checks, notes=notes)


def added_up(
    terms: Sequence[Float[Tensor, "batch _ _ _"]], sides: tuple[int, ...]
) -> Float[Tensor, "batch height width"]:
    """Terms of several sizes, summed over channels and spread over one plane; the sum over all stays as it is."""
    return torch.stack([spread(each.double().sum(1), sides) for each in terms]).sum(0)


def spread(maps: Float[Tensor, "batch _ _"], sides: tuple[int, ...]) -> Float[Tensor, "batch height width"]:
    """Each value spread over a larger plane by bilinear weights that add up to 1."""
    rows, columns = (_weights(count, side, maps) for count, side in zip(maps.shape[1:], sides, strict=True))
    return rows @ maps @ columns.T


def _weights(count: int, side: int, like: Tensor) -> Float[Tensor, "side count"]:
    """How much of each of some cells falls to each of some pixels along one axis."""
    single = torch.eye(count, dtype=like.dtype, device=like.device)
    if count > side:  # smaller than the map: each cell falls to the pixel that holds its middle
        places = ((torch.arange(count, device=like.device) + 0.5) * side / count).long()
        return torch.eye(side, dtype=like.dtype, device=like.device)[:, places]
    weights = enlarged(single[:, None, :], (1, side))[:, 0, :].T
    return weights / weights.sum(dim=0, keepdim=True)
