"""What the channels of a site contribute: by the slope as it is, or along the way from a baseline to the input."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pellucid.capture.asks import Ask, Facts, Given, Parts, Passes, Probing, Reads, Seen, Variants
from pellucid.capture.cuts import cuts
from pellucid.capture.scores import LOGITS
from pellucid.capture.sites import Site
from pellucid.errors import SettingError
from pellucid.methods.baselines import baseline_of, check_baseline
from pellucid.methods.cam_sites import check_word
from pellucid.methods.catalogue import register
from pellucid.methods.channel_sites import OfChannels, over_positions, pieces
from pellucid.methods.completeness import gap_of, sums_of

Rule = Literal["trapezoid", "left", "right"]
_READ_BYTES = 64_000_000
"""Memory that the values and slopes of a piece of the path take at once."""


@register("gradient-x-activation")
@dataclass(frozen=True, slots=True, kw_only=True)
class GradientXActivation(OfChannels):
    """What each channel of a site would give if the score were linear in it: gradient times activation.

    The products at all positions are added up to one number per channel, in units of the score; they are kept as a part
    of their own, "positions". Where what follows the site is linear but for a constant, the channels sum to the score
    without it; elsewhere they sum to nothing in particular. A channel that is 0 everywhere gets 0.

    Attributes:
        site: A selector of a site with channels, or several joined by `+`; "default" is the last one with feature maps
            before the class layer.

    Reference:
        Shrikumar et al., Not Just a Black Box: Learning Important Features Through Propagating Activation Differences,
        2016, section 2, at a layer in place of the input.
    """

    site: str = "default"

    def reads(self, facts: Facts) -> Reads:
        """Values and slopes of the sites."""
        names = frozenset(site.name for site in self.sites(facts))
        return Reads(values=names, slopes=names)

    def combine(self, seen: Seen, facts: Facts) -> Parts:
        """The one times the other, summed over positions."""
        sites = self.sites(facts)
        products = [seen.values[site.name] * seen.slopes[site.name] for site in sites]
        numbers = [over_positions(each) for each in products]
        return Parts(pieces=pieces(sites, numbers, seen.values, positions=products))


@register("conductance")
@dataclass(frozen=True, slots=True, kw_only=True)
class Conductance(OfChannels):
    """What flows through each channel of a site on the way from a baseline to the input.

    The integrated gradients of the input that pass through a channel: its slope times how far it moves, added up along
    the straight path and over positions, in units of the score. At a cut, a site that every path from the input passes,
    the channels sum to `score(x) − score(baseline)` up to the quadrature error, which is measured and reported as
    `completeness gap` and `relative gap`; at another site a note says that they need not.

    Attributes:
        site: A selector of a site with channels, or several joined by `+`, which share the passes; "default" is the
            last one with feature maps before the class layer.
        steps: Pieces of the path, 1 or more, all of one length; the slope is taken at their ends.
        baseline: Where the path begins, as for integrated gradients: `zero`, `black`, `white`, `mean`, `noise`,
            `blur:SIGMA` or the path of a picture.
        rule: The slope of a piece: `left` at its beginning, `right` at its end, `trapezoid` the mean of both.

    Reference:
        Dhamdhere, Sundararajan & Yan, How Important Is a Neuron?, ICLR 2019 (arXiv 2018), definition 3.
    """

    site: str = "default"
    steps: int = 50
    baseline: str = "zero"
    rule: Rule = "trapezoid"

    def __post_init__(self) -> None:
        OfChannels.__post_init__(self)
        if not isinstance(self.steps, int) or isinstance(self.steps, bool) or self.steps < 1:
            raise SettingError(
                "steps", given=self.steps, expected="a whole number, 1 or more", hint="50 suits most models"
            )
        check_baseline(self.baseline)
        check_word("rule", self.rule, Rule)

    def passes(self, facts: Facts) -> Passes:
        """One forward and backward at each end of a piece and item, and one forward for the check."""
        return Passes(forwards=(self.steps + 2) * facts.items, backwards=(self.steps + 1) * facts.items)

    def probe(self, given: Given) -> Probing:
        """Walk the path, and add up slope times movement."""
        x, start = given.x, baseline_of(given, self.baseline)
        sites = self.sites(given.facts)
        names = frozenset(site.name for site in sites)
        totals = {name: torch.zeros_like(given.seen.values[name], dtype=torch.float64) for name in names}
        before: Mapping[str, tuple[Tensor, Tensor]] = {}
        at_once = max(1, _READ_BYTES // (2 * max(1, sum(given.seen.values[name].nbytes for name in names))))
        for first in range(0, self.steps + 1, at_once):
            count = min(at_once, self.steps + 1 - first)

            def on_path(number: int, first: int = first) -> Tensor:
                share = (first + number) / self.steps
                return x if share == 1 else start + share * (x - start)

            ask = Ask(
                variants=Variants(count=count, make=on_path), want="read", reads=Reads(values=names, slopes=names)
            )
            seen: Seen = yield ask
            for number in range(count):
                now = {name: (seen.values[name][number], seen.slopes[name][number]) for name in names}
                for name in before:
                    totals[name] += self._slope(before[name][1], now[name][1]) * (now[name][0] - before[name][0])
                before = now
        [nothing] = yield Ask(variants=Variants(count=1, make=lambda _: start), want="score")
        exact = {name: total.to(x.dtype) for name, total in totals.items()}
        checks, notes = _complete(given, sites, totals, nothing)
        numbers = [over_positions(totals[site.name]).to(x.dtype) for site in sites]
        made = pieces(sites, numbers, given.seen.values, positions=[exact[site.name] for site in sites])
        return Parts(pieces=made, checks=checks, notes=notes)

    def _slope(self, begin: Tensor, end: Tensor) -> Tensor:
        if self.rule == "trapezoid":
            return (begin.double() + end.double()) / 2
        return (begin if self.rule == "left" else end).double()


def _complete(
    given: Given, sites: tuple[Site, ...], totals: Mapping[str, Tensor], nothing: Tensor
) -> tuple[dict[str, Tensor], dict[int, tuple[str, ...]]]:
    """How far the channels of each cut are from the change of the score, and what has to be said about other sites."""
    checks: dict[str, Tensor] = {}
    notes: dict[int, tuple[str, ...]] = {}
    change = given.scores - nothing
    for site in sites:
        passed = [_is_cut(given, item, site) for item in range(len(given.x))]
        found = gap_of(sums_of(totals[site.name]), change)
        suffix = f" at {site.name}" if len(sites) > 1 else ""
        if all(passed):
            checks |= {f"{name}{suffix}": value for name, value in found.checks.items()}
        for item, cut in enumerate(passed):
            said = found.notes.get(item, ()) if cut else (_passed_by(site),)
            notes[item] = tuple(dict.fromkeys((*notes.get(item, ()), *said)))
    return checks, notes


def _is_cut(given: Given, item: int, site: Site) -> bool:
    # Without scores nobody has said what is explained: then it is the answer.
    place = given.explained[item].place if given.explained else LOGITS
    return site.name in {each.name for each in cuts(given.facts, None if place == LOGITS else place)}


def _passed_by(site: Site) -> str:
    return f"other paths pass by {site.name}, so its channels need not add up to the change of the score"
