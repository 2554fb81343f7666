"""Integrated gradients: the slope along a straight path from a baseline, by a quadrature rule."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from pellucid.capture.asks import Ask, Facts, Given, Passes, Probing, Variants
from pellucid.errors import SettingError
from pellucid.methods.baselines import baseline_of, check_baseline
from pellucid.methods.catalogue import register
from pellucid.methods.completeness import Gap, gap_of, sums_of
from pellucid.methods.gradients import at_input

Quadrature = Literal["gauss-legendre", "middle", "left", "right", "trapezoid"]


@register("integrated-gradients")
@dataclass(frozen=True, slots=True, kw_only=True)
class IntegratedGradients:
    """What each input value adds on the way from a baseline to the input.

    Values are in units of the score; each item sums to `score(x) − score(baseline)` up to the quadrature error, which
    is measured and reported as `completeness gap` (in units of the score) and `relative gap` (its share of that
    difference). A small gap alone proves nothing, since errors of opposite sign cancel in the sum. With a tolerance the
    points are doubled until the map itself has come to rest, too.

    Attributes:
        steps: Points on the path, 1 or more; with a tolerance, those of the first rule.
        baseline: `zero` (0 in the model's own units: mean grey after the usual normalisation), `black` or `white`
            (pixel values 0 or 255, prepared as the model prepares pictures), `mean` (each channel's mean over the
            picture), `blur:11` (the picture blurred by a Gaussian of that standard deviation in pixels), `noise`
            (seeded; each value uniform between the picture's smallest and largest), or the path of a picture, which is
            read and prepared as the model prepares pictures.
        rule: How the points are placed and weighed: `gauss-legendre`, or the Riemann sums `middle`, `left`, `right`,
            `trapezoid`.
        tolerance: 0 takes exactly `steps` points. Above 0 the points are doubled until the relative gap *and* the
            change of the map from one rule to the next (root of the summed squares, as a share of the map's) are both
            at most this large.
        most_steps: With a tolerance, the most points of one rule.

    Reference:
        Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017, eq. 1.
    """

    steps: int = 50
    baseline: str = "zero"
    rule: Quadrature = "gauss-legendre"
    tolerance: float = 0.0
    most_steps: int = 800

    def __post_init__(self) -> None:
        if not isinstance(self.steps, int) or isinstance(self.steps, bool) or self.steps < 1:
            raise SettingError(
                "steps", given=self.steps, expected="a whole number, 1 or more", hint="50 suits most models"
            )
        if self.rule not in get_args(Quadrature):
            raise SettingError("rule", given=self.rule, expected=f"one of {', '.join(get_args(Quadrature))}")
        if self.rule == "trapezoid" and self.steps < 2:
            raise SettingError("steps", given=self.steps, expected="2 or more for the trapezoid rule")
        check_baseline(self.baseline)
        number = isinstance(self.tolerance, int | float) and not isinstance(self.tolerance, bool)
        if not number or not 0 <= self.tolerance < 1:
            raise SettingError(
                "tolerance", given=self.tolerance, expected="0, or a share below 1", hint="0.01 suits most models"
            )
        most = self.most_steps
        if (
            not isinstance(most, int)
            or isinstance(most, bool)
            or most < 1
            or (self.tolerance and most < 2 * self.steps)
        ):
            expected = f"a whole number, at least twice the {self.steps} steps" if self.tolerance else "1 or more"
            raise SettingError("most_steps", given=most, expected=expected)

    def passes(self, facts: Facts) -> Passes:
        """One forward and backward per point and item, and one forward for the check; with a tolerance, at most."""
        points = sum(self._rules())
        return Passes(forwards=(points + 1) * facts.items, backwards=points * facts.items)

    def probe(self, given: Given) -> Probing:
        """Average the slope along the straight path, times the distance."""
        x, start = given.x, baseline_of(given, self.baseline)
        first, *finer = self._rules()
        values = yield from self._integral(x, start, first)
        [nothing] = yield Ask(variants=Variants(count=1, make=lambda _: start), want="score")
        difference = given.scores - nothing
        found = gap_of(sums_of(values), difference)
        if not finer:
            return at_input(values, checks=found.checks, notes=found.notes)
        change = torch.full_like(found.gap, torch.nan)
        taken = torch.full_like(found.gap, first)
        moving = torch.ones_like(found.gap, dtype=torch.bool)
        for steps in finer:
            # Items that have come to rest stay as they are, so that none depends on its company.
            new = yield from self._integral(x, start, steps)
            change = torch.where(moving, _distance(new, values), change)
            values = torch.where(moving.view(-1, *[1] * (x.dim() - 1)), new, values)
            taken = torch.where(moving, float(steps), taken)
            found = gap_of(sums_of(values), difference)
            moving &= ~((change <= self.tolerance) & (_share(found, values) <= self.tolerance))
            if not bool(moving.any()):
                break
        notes = found.notes
        for item in moving.nonzero().flatten().tolist():
            said = (
                f"the relative gap and the change of the map were not both below {self.tolerance:g} at the maximum of "
                f"{int(taken[item])} steps"
            )
            notes[item] = (*notes.get(item, ()), said)
        checks = {**found.checks, "change of the map": change, "steps": taken}
        return at_input(values, checks=checks, notes=notes)

    def _rules(self) -> list[int]:
        """How many points each rule has, the coarsest first."""
        rules = [self.steps]
        while self.tolerance and 2 * rules[-1] <= self.most_steps:
            rules.append(2 * rules[-1])
        return rules

    def _integral(self, x: Tensor, start: Tensor, steps: int) -> Generator[Ask, Any, Tensor]:
        nodes, weights = quadrature(self.rule, steps)
        path = Variants(count=steps, make=lambda i: start + nodes[i] * (x - start))
        slope: Tensor = yield Ask(variants=path, want="slope", weights=weights)
        return (x - start) * slope


def _distance(new: Tensor, old: Tensor) -> Tensor:
    """How far two maps are apart, as a share of the size of the new one; 0 where they are equal."""
    apart, size = ((each.flatten(1).double()).norm(dim=1) for each in (new - old, new))
    return torch.where(apart == 0, 0.0, apart / size)


def _share(found: Gap, values: Tensor) -> Tensor:
    """The relative gap; where the score does not change, the gap as a share of the summed sizes of the values."""
    sizes = sums_of(values.abs())
    whole = torch.where(found.difference == 0, sizes, found.difference.double().abs())
    return torch.where(found.gap == 0, 0.0, found.gap.abs() / whole)


def quadrature(rule: Quadrature, steps: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Points in 0 … 1 and their weights, which sum to 1."""
    if rule == "gauss-legendre":
        points, weights = np.polynomial.legendre.leggauss(steps)
        return tuple((points + 1) / 2), tuple(weights / 2)
    even = (1 / steps,) * steps
    if rule == "middle":
        return tuple((i + 0.5) / steps for i in range(steps)), even
    if rule == "left":
        return tuple(i / steps for i in range(steps)), even
    if rule == "right":
        return tuple((i + 1) / steps for i in range(steps)), even
    inner = 1 / (steps - 1)
    return tuple(i * inner for i in range(steps)), (inner / 2, *[inner] * (steps - 2), inner / 2)
