"""Shapley values of segments: by permutations, and by regression."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from pellucid.capture.asks import Ask, Facts, Given, Parts, Passes, Probing, Variants
from pellucid.errors import MethodError, SettingError
from pellucid.methods.catalogue import register
from pellucid.methods.segments import (
    check_segments,
    count_of,
    draws,
    game_of,
    pieces_of,
    subsets,
    table_of,
    whole_number,
)


@register("shapley")
@dataclass(frozen=True, slots=True, kw_only=True)
class Shapley:
    """What each segment adds to the score, on average over all orders in which segments may come.

    A segment's value is the mean, over random orders, of the score with the segments up to it minus the score with
    those before it; what has not come yet shows the baseline. Values are in units of the score and sum exactly, up to
    rounding, to `score(x) − score(baseline)`. Orders come in pairs, each with its reverse, which lowers the variance;
    the standard errors are those of the mean over pairs.

    Attributes:
        permutations: Orders, an even number, 4 or more; each costs one forward per segment but one.
        segments: `grid:N` for N×N rectangles, or `slic:N` for about N superpixels (by scikit-image).
        baseline: What shows in place of a segment, as for integrated gradients: `zero`, `black`, `white`, `mean`,
            `noise`, `blur:SIGMA` or a picture's path.

    Reference:
        Castro et al., Polynomial calculation of the Shapley value based on sampling, 2009, section 3; Mitchell et al.,
        Sampling Permutations for Shapley Value Estimation, JMLR 2022, section 2.2 (pairs).
    """

    permutations: int = 20
    segments: str = "grid:7"
    baseline: str = "zero"

    def __post_init__(self) -> None:
        whole_number("permutations", self.permutations, least=4, hint="20 suits most models")
        if self.permutations % 2:
            raise SettingError(
                "permutations", given=self.permutations, expected="an even number", hint="each has its reverse"
            )
        check_segments(self.segments, self.baseline)

    def passes(self, facts: Facts) -> Passes:
        """One forward per order and segment but one, and one for the baseline."""
        return Passes(forwards=facts.items * (1 + self.permutations * (count_of(self.segments) - 1)))

    def probe(self, given: Given) -> Probing:
        """Let segments come one by one."""
        game = game_of(given, method="shapley", segments=self.segments, baseline=self.baseline)
        counts = game.segments.counts
        orders = [
            paired_orders(self.permutations // 2, count, rng)
            for count, rng in zip(counts, draws(given.rng, len(counts)), strict=True)
        ]
        ranks = [order.argsort(dim=1) for order in orders]
        steps = game.segments.most - 1

        def grown(number: int) -> Tensor:
            order, before = divmod(number, max(steps, 1))
            # The first variant is the baseline; pictures with fewer segments are whole before the others.
            return game.left([rank[order] <= before if number >= 0 else rank[0] < 0 for rank in ranks])

        # The baseline comes first.
        variants = Variants(count=1 + self.permutations * steps, make=lambda number: grown(number - 1))
        scores = (yield Ask(variants=variants, want="score")).double().cpu()
        values, errors = [], []
        for item, order in enumerate(orders):
            inner = scores[1:, item].reshape(self.permutations, steps)[:, : counts[item] - 1]
            found = contributions(order, inner, scores[0, item], given.scores[item].double().cpu())
            values.append(found.mean(0))
            pairs = found.reshape(-1, 2, counts[item]).mean(1)
            errors.append(pairs.std(dim=0) / math.sqrt(len(pairs)))
        return Parts(pieces=pieces_of(game, values, errors), checks=_gap(given, scores[0], values))


@register("kernel-shap")
@dataclass(frozen=True, slots=True, kw_only=True)
class KernelShap:
    """What each segment adds to the score, as the weights of a linear model of the score over sets of segments.

    The linear model starts at the score of the baseline, is made to sum to the change of the score, and is fitted to
    the scores of sets drawn by the Shapley kernel, each with its complement. Its weights estimate the Shapley values,
    in units of the score. Where all sets cost no more than `samples`, they are all taken, each with its weight, and
    the values are exact; otherwise standard errors say how far off they may be.

    Attributes:
        samples: How many sets of segments are scored, an even number, at least twice the number of segments.
        segments: `grid:N` for N×N rectangles, or `slic:N` for about N superpixels (by scikit-image).
        baseline: What shows in place of a segment, as for integrated gradients: `zero`, `black`, `white`, `mean`,
            `noise`, `blur:SIGMA` or a picture's path.

    Reference:
        Lundberg & Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017, theorem 2; Covert & Lee,
        Improving KernelSHAP, AISTATS 2021, sections 3 and 4 (the constraint, paired sampling, uncertainty).
    """

    samples: int = 1000
    segments: str = "grid:7"
    baseline: str = "zero"

    def __post_init__(self) -> None:
        whole_number("samples", self.samples, least=2, hint="1000 suits most models")
        if self.samples % 2:
            raise SettingError("samples", given=self.samples, expected="an even number", hint="sets come in pairs")
        check_segments(self.segments, self.baseline)

    def passes(self, facts: Facts) -> Passes:
        """One forward per set and item, and one for the baseline."""
        count = count_of(self.segments)
        return Passes(forwards=facts.items * (1 + min(self.samples, 2 ** min(count, 60) - 2)))

    def probe(self, given: Given) -> Probing:
        """Score sets of segments, then fit."""
        game = game_of(given, method="kernel-shap", segments=self.segments, baseline=self.baseline)
        counts = game.segments.counts
        sets, weights = [], []
        for count, rng in zip(counts, draws(given.rng, len(counts)), strict=True):
            half, weight = self._half(count, rng)
            sets.append(
                torch.cat([torch.zeros(1, count, dtype=torch.bool), torch.stack([half, ~half], 1).flatten(0, 1)])
            )
            weights.append(weight)
        scores = (yield Ask(variants=game.coalitions(sets), want="score")).double().cpu()
        values, errors = [], []
        notes: dict[int, tuple[str, ...]] = {}
        for item, (table, weight) in enumerate(zip(sets, weights, strict=True)):
            found = scores[1 : len(table), item].reshape(-1, 2)
            change = given.scores[item].double().cpu() - scores[0, item]
            value, error = paired_regression(table[1::2], (found[:, 0] - found[:, 1]) / 2, change, weight)
            values.append(value)
            errors.append(torch.zeros_like(error) if weight is not None else error)
            if weight is not None:
                notes[item] = (f"exact: all {len(table) + 1} sets of {counts[item]} segments were scored",)
        return Parts(pieces=pieces_of(game, values, errors), checks=_gap(given, scores[0], values), notes=notes)

    def _half(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Sets, one of each pair; and their weights, where they are all there are."""
        if count < 2:
            return torch.zeros(0, count, dtype=torch.bool), torch.zeros(0, dtype=torch.float64)
        if count < 60 and 2**count - 2 <= self.samples:
            every = [each for size in range(1, count) for each in subsets(count, size) if 0 in each]
            sizes = torch.tensor([len(each) for each in every])
            return table_of(every, count), kernel(count)[sizes - 1]
        half = kernel_sets(self.samples // 2, count, rng)
        if self.samples < 2 * count or int(torch.linalg.matrix_rank(half.double() - 0.5)) < count - 1:
            raise MethodError(
                f"kernel-shap cannot tell {count} segments apart by {self.samples} samples; take at least {4 * count}."
            )
        return half, None


def paired_orders(pairs: int, count: int, rng: torch.Generator) -> Int64[Tensor, "orders segments"]:
    """Random orders, each followed by its reverse."""
    orders = torch.rand(pairs, count, generator=rng, dtype=torch.float64).argsort(dim=1)
    return torch.stack([orders, orders.flip(1)], dim=1).flatten(0, 1)


def contributions(
    orders: Int64[Tensor, "orders segments"],
    inner: Float64[Tensor, "orders steps"],
    nothing: Tensor,
    everything: Tensor,
) -> Float64[Tensor, "orders segments"]:
    """What each segment adds in each order, from the scores after every segment but the last."""
    ends = [end.expand(len(orders), 1) for end in (nothing, everything)]
    steps = torch.cat([ends[0], inner, ends[1]], dim=1).diff(dim=1)
    return torch.zeros_like(steps).scatter(1, orders, steps)


def kernel(count: int) -> Float64[Tensor, " sizes"]:
    """The Shapley kernel of one set of 1, 2 … count − 1 segments."""
    sizes = range(1, count)
    return torch.tensor(
        [(count - 1) / (math.comb(count, size) * size * (count - size)) for size in sizes], dtype=torch.float64
    )


def kernel_sets(number: int, count: int, rng: torch.Generator) -> Bool[Tensor, "sets segments"]:
    """Sets of segments drawn by the Shapley kernel: first their size, then which."""
    sizes = torch.arange(1, count, dtype=torch.float64)
    size = torch.multinomial(1 / (sizes * (count - sizes)), number, replacement=True, generator=rng) + 1
    ranks = torch.rand(number, count, generator=rng, dtype=torch.float64).argsort(dim=1).argsort(dim=1)
    return ranks < size[:, None]


def paired_regression(
    sets: Bool[Tensor, "pairs segments"],
    halves: Float64[Tensor, " pairs"],
    change: Tensor,
    weights: Tensor | None = None,
) -> tuple[Float64[Tensor, " segments"], Float64[Tensor, " segments"]]:
    """Values that sum to a change and fit scores of sets and of their complements best, and their standard errors.

    The two squares of a pair are, up to a constant, twice the square of `(z − ½)·φ − (score(z) − score(1 − z)) / 2`.
    The standard errors are those of least squares with random sets (White's, each residual divided by 1 − leverage).

    Args:
        sets: One set of each pair.
        halves: Half the score of each set minus that of its complement.
        change: What the values sum to.
        weights: Of each pair; all the same where sets were drawn by the kernel.
    """
    count = sets.shape[1]
    even = change.expand(count) / count
    if count < 2:
        return even.clone(), torch.zeros(count, dtype=torch.float64)
    # An orthonormal basis of what sums to 0, so that the constraint holds by construction.
    basis = torch.linalg.qr(torch.cat([torch.ones(count, 1), torch.eye(count)[:, 1:]], dim=1).double())[0][:, 1:]
    shown = sets.double() - 0.5
    scale = torch.ones(len(sets), dtype=torch.float64) if weights is None else weights
    design, wanted = shown @ basis, halves - shown @ even
    inverse = torch.linalg.inv(design.T @ (scale[:, None] * design))
    fit = inverse @ (design.T @ (scale * wanted))
    left = wanted - design @ fit
    leverage = scale * ((design @ inverse) * design).sum(1)
    # A pair that alone decides a value has leverage 1 and no residual.
    pull = (scale * left)[:, None] * design / (1 - leverage).clamp(min=1e-6).sqrt()[:, None]
    spread = basis @ inverse @ (pull.T @ pull) @ inverse @ basis.T
    return even + basis @ fit, spread.diagonal().clamp(min=0).sqrt()


def _gap(given: Given, nothing: Tensor, values: list[Tensor]) -> dict[str, Tensor]:
    total = torch.stack([each.sum() for each in values])
    return {"completeness gap": total - (given.scores.double().cpu() - nothing)}
