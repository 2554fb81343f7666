"""Integrated gradients averaged over many baselines, one random point of each path."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pellucid.capture.asks import INPUT, Ask, Facts, Given, Parts, Passes, Probing, Reads, Seen, Variants
from pellucid.errors import SettingError
from pellucid.methods.baselines import WORDS, baseline_of, check_baseline, drawn, noise_like, pooled, range_of
from pellucid.methods.catalogue import register
from pellucid.methods.completeness import gap_of, sums_of
from pellucid.methods.gradients import at_input
from pellucid.methods.sampling import Moments, check_noise, check_samples, read_each, relative

BASELINES = "zero+noise+blur:8"
"""What any picture can be compared with, also a tensor of which nobody knows how it was prepared."""


@register("expected-gradients")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedGradients:
    """What each input value adds on the way from a baseline to the input, on average over many baselines.

    Each sample draws a baseline and one point, uniform on the straight path from there to the input. Values are in
    units of the score, with the standard error of each; their sum is `score(x)` minus the mean score of the baselines
    on average. `completeness gap` says by how much it misses that for the baselines that were drawn, beside `standard
    error of the gap`.

    Attributes:
        baselines: What is drawn from, joined by +, each as likely as the others: `zero`, `black`, `white`, `mean`,
            `noise`, `blur:8` as for integrated gradients, the path of a picture, or of a folder, of which each picture
            is as likely as the others.
        samples: Draws, 2 or more.

    Reference:
        Erion et al., Improving Performance of Deep Learning Models with Axiomatic Attribution Priors and Expected
        Gradients, Nature Machine Intelligence 2021, eq. 4.
    """

    baselines: str = BASELINES
    samples: int = 100

    def __post_init__(self) -> None:
        _check_baselines(self.baselines)
        check_samples(self.samples)

    def passes(self, facts: Facts) -> Passes:
        """Two forwards and one backward per draw and item."""
        return _price(facts, self.samples)

    def probe(self, given: Given) -> Probing:
        """Average distance times slope over the draws."""
        return (yield from _Draws(given, baselines=self.baselines, samples=self.samples, noise=0.0).explained())


@register("gradient-shap")
@dataclass(frozen=True, slots=True, kw_only=True)
class GradientSHAP:
    """Expected gradients that end at a noisy copy of the input: an approximation of SHAP values.

    Each sample draws a baseline, adds Gaussian noise to the input, and takes distance times slope at one point, uniform
    on the path between the two. Values are in units of the score, with the standard error of each. Their sum is, on
    average, the mean score of the noisy copies minus that of the baselines; what the noise itself changes is part of
    the reported `completeness gap`, which compares with the score of the input as it is. They are SHAP values only
    where input values are independent and the network is linear between them.

    Attributes:
        baselines: What is drawn from, joined by +, as for `expected-gradients`.
        samples: Draws, 2 or more.
        noise: Standard deviation of the noise as a share of the range of the prepared input, 0 to 1; with 0 this is
            `expected-gradients`.

    Reference:
        Lundberg and Lee, A Unified Approach to Interpreting Model Predictions, NeurIPS 2017, section 2; the estimator
        with noise is that of the authors' GradientExplainer.
    """

    baselines: str = BASELINES
    samples: int = 100
    noise: float = 0.1

    def __post_init__(self) -> None:
        _check_baselines(self.baselines)
        check_samples(self.samples)
        check_noise(self.noise, least="0")

    def passes(self, facts: Facts) -> Passes:
        """Two forwards and one backward per draw and item."""
        return _price(facts, self.samples)

    def probe(self, given: Given) -> Probing:
        """Average distance times slope over the draws."""
        draws = _Draws(given, baselines=self.baselines, samples=self.samples, noise=self.noise)
        return (yield from draws.explained())


class _Draws:
    """Random baselines, ends and points between them, each made anew from its seed whenever it is needed."""

    def __init__(self, given: Given, *, baselines: str, samples: int, noise: float) -> None:
        self._given, self._noise, self._samples = given, noise, samples
        pools, self._chosen = pooled(baselines.split("+")), list[str]()
        self._seeds, self._end_seeds = drawn(given, samples), drawn(given, samples)
        self._places: list[float] = torch.rand(samples, generator=given.rng, dtype=torch.float64).tolist()
        for which, inside in torch.rand((samples, 2), generator=given.rng, dtype=torch.float64).tolist():
            pool = pools[int(which * len(pools))]
            self._chosen.append(pool[int(inside * len(pool))])
        low, high = range_of(given.x)
        self._spread: Tensor = noise * (high - low)
        self._made: dict[str, Tensor] = {}

    def start(self, i: int) -> Tensor:
        """The baseline of a draw."""
        name = self._chosen[i]
        if name in self._made:
            return self._made[name]
        made = baseline_of(self._given, name, seed=self._seeds[i])
        # The words' baselines are few; noise is another one each time, and a folder may hold any number of pictures.
        if name != "noise" and (name in WORDS or name.startswith("blur:")):
            self._made[name] = made
        return made

    def end(self, i: int) -> Tensor:
        """The input, with the noise of a draw."""
        x = self._given.x
        return x + self._spread * noise_like(x, self._end_seeds[i], uniform=False) if self._noise else x

    def point(self, i: int) -> Tensor:
        """The point of a draw, between the two."""
        start = self.start(i)
        return start + self._places[i] * (self.end(i) - start)

    def explained(self) -> Generator[Ask, Any, Parts]:
        """Mean, standard errors and the gap."""
        moments, sums = Moments(), list[Tensor]()

        def use(number: int, seen: Seen) -> None:
            values = (self.end(number) - self.start(number)) * seen.slopes[INPUT]
            moments.add(values)
            sums.append(sums_of(values))

        points = Variants(count=self._samples, make=self.point)
        yield from read_each(self._given, points, Reads(slopes=frozenset({INPUT})), use=use)
        starts = yield Ask(variants=Variants(count=self._samples, make=self.start), want="score")
        values, error = (each.to(self._given.x.dtype) for each in moments.mean())
        gaps = Moments()
        for total, nothing in zip(sums, starts, strict=True):
            gaps.add(total - (self._given.scores - nothing).double())
        found = gap_of(torch.stack(sums).mean(0), self._given.scores.double() - starts.double().mean(0))
        checks = {
            **found.checks,
            "standard error of the gap": gaps.mean()[1],
            "relative standard error": relative(error, values),
        }
        return at_input(values, checks=checks, notes=found.notes, standard_error=error)


def _price(facts: Facts, samples: int) -> Passes:
    return Passes(forwards=2 * samples * facts.items, backwards=samples * facts.items)


def _check_baselines(names: object) -> None:
    if not isinstance(names, str) or not names:
        raise SettingError("baselines", given=names, expected=f"baselines joined by +, e.g. {BASELINES}")
    for name in names.split("+"):
        if not (name and Path(name).is_dir()):
            check_baseline(name)
