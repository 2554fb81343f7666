"""LIME: a linear model of the score near the picture."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from pellucid.capture.asks import Ask, Facts, Given, Parts, Passes, Probing
from pellucid.errors import MethodError, SettingError
from pellucid.methods.catalogue import register
from pellucid.methods.segments import check_segments, draws, game_of, pieces_of, whole_number

_ROUNDING = 64
"""So many units in the last place of the score are taken for rounding."""


@register("lime")
@dataclass(frozen=True, slots=True, kw_only=True)
class Lime:
    """The weights of a linear model of the score, over which segments are shown, fitted near the whole picture.

    Each sample shows every segment with probability ½ (the first shows all); its weight is `exp(−d² / width²)`, where
    d is the cosine distance between what it shows and the whole picture. The fit is weighted ridge regression with an
    intercept that is not penalised. A segment's value is its weight in the linear model, in units of the score: what
    showing it adds there. Values do not sum to anything. How well the linear model fits the weighted samples is
    reported as `fidelity R²`, at most 1, and how many samples of equal weight would say as much as `effective samples`;
    the standard errors are about the samples only, not about a poor fit.

    Attributes:
        samples: How many pictures are scored, at least 2 more than there are segments.
        width: Width of the kernel, above 0.
        ridge: Penalty on the squared weights, 0 or more, where the sample that shows all has weight 1; it pulls weights
            to 0.
        segments: `grid:N` for N×N rectangles, or `slic:N` for about N superpixels (by scikit-image).
        baseline: What shows in place of a segment, as for integrated gradients: `zero`, `black`, `white`, `mean`,
            `noise`, `blur:SIGMA` or a picture's path.

    Reference:
        Ribeiro et al., "Why Should I Trust You?", KDD 2016, sections 3.3 and 3.4 (ridge in place of the lasso path).
    """

    samples: int = 1000
    width: float = 0.25
    ridge: float = 1.0
    segments: str = "grid:7"
    baseline: str = "zero"

    def __post_init__(self) -> None:
        whole_number("samples", self.samples, least=3, hint="1000 suits most models")
        for name, least in (("width", "a number above 0"), ("ridge", "0 or more")):
            given = getattr(self, name)
            number = isinstance(given, int | float) and not isinstance(given, bool)
            if not number or not (given > 0 or (given == 0 and name == "ridge")):
                raise SettingError(name, given=given, expected=least)
        check_segments(self.segments, self.baseline)

    def passes(self, facts: Facts) -> Passes:
        """One forward per sample and item but the first, which is the picture itself."""
        return Passes(forwards=facts.items * (self.samples - 1))

    def probe(self, given: Given) -> Probing:
        """Score samples, then fit."""
        game = game_of(given, method="lime", segments=self.segments, baseline=self.baseline)
        counts = game.segments.counts
        if self.samples < max(counts) + 2:
            raise MethodError(
                f"lime cannot weigh {max(counts)} segments by {self.samples} samples; take {max(counts) + 2} or more."
            )
        shown = []
        for count, rng in zip(counts, draws(given.rng, len(counts)), strict=True):
            table = torch.rand(self.samples, count, generator=rng) < 0.5
            table[0] = True
            shown.append(table)
        scores = yield Ask(variants=game.coalitions(shown, first=1), want="score")
        # Relative to the whole picture, for the fit is the same and fewer digits are lost.
        relative = (scores.double() - given.scores.double()).cpu()
        values, errors, fidelity, effective = [], [], [], []
        notes: dict[int, tuple[str, ...]] = {}
        for item, table in enumerate(shown):
            found = torch.cat([torch.zeros(1, dtype=torch.float64), relative[:, item]])
            weights = nearness(table, self.width)
            value, error, share = weighted_ridge(table, found, weights, self.ridge)
            effective.append(weights.sum() ** 2 / (weights**2).sum())
            values.append(value)
            errors.append(error)
            # Scores that differ by rounding alone would have a fidelity too, of nothing.
            still = bool(found.abs().max() <= _ROUNDING * torch.finfo(scores.dtype).eps * given.scores[item].abs())
            fidelity.append(torch.full_like(share, torch.nan) if still else share)
            if still:
                notes[item] = ("the score is the same for every sample, so there is nothing for the model to fit",)
        pieces = pieces_of(game, values, errors)
        checks = {"fidelity R²": torch.stack(fidelity), "effective samples": torch.stack(effective)}
        return Parts(pieces=pieces, checks=checks, notes=notes)


def nearness(shown: Bool[Tensor, "samples segments"], width: float) -> Float64[Tensor, " samples"]:
    """The weight of samples by their cosine distance to the whole picture; showing nothing is at distance 1."""
    distance = 1 - (shown.double().mean(1)).sqrt()
    return torch.exp(-((distance / width) ** 2))


def weighted_ridge(
    shown: Bool[Tensor, "samples segments"], scores: Float64[Tensor, " samples"], weights: Tensor, penalty: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of a linear model, their standard errors, and the share of the weighted variance that it explains.

    The standard errors are White's, about the weights that many samples would give with the same penalty per sample;
    each residual is divided by the root of 1 − leverage. The share is NaN where the scores do not vary.
    """
    total, count = weights.sum(), shown.shape[1]
    table, column = shown.double(), weights[:, None]
    design, wanted = table - weights @ table / total, scores - weights @ scores / total
    normal = design.T @ (column * design) + penalty * torch.eye(count, dtype=torch.float64)
    if int(torch.linalg.matrix_rank(normal)) < count:
        raise MethodError(
            f"lime cannot tell {count} segments apart by these samples; take more samples, a larger width or ridge=1."
        )
    inverse = torch.linalg.inv(normal)
    fit = inverse @ (design.T @ (weights * wanted))
    left = wanted - design @ fit
    leverage = weights * ((design @ inverse) * design).sum(1) + weights / total
    # A sample that alone decides a weight has leverage 1 and no residual.
    pull = (weights * left)[:, None] * design / (1 - leverage).clamp(min=1e-6).sqrt()[:, None]
    spread = inverse @ (pull.T @ pull) @ inverse
    share = 1 - (weights @ left**2) / (weights @ wanted**2)
    return fit, spread.diagonal().clamp(min=0).sqrt(), share
