"""Class activation maps by trial: the weight of a feature map is what a changed pass says about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.capture.asks import Ask, Facts, Given, Passes, Probing, Reads, Variants
from pellucid.methods.baselines import baseline_of, check_baseline
from pellucid.methods.cam_sites import AtSites, Fusion, Notes, Sign, check_word, enlarged, signed_parts
from pellucid.methods.catalogue import register
from pellucid.methods.channel_ablation import falls_without, price_without, reads_without

_MASKS = 4
"""How many masks are made at once; more of them do not stay in the cache of a processor."""
Divisor = Literal["score", "none"]


@register("score-cam")
@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCAM(AtSites):
    """Each feature map weighed by the score of the picture seen through that map alone.

    A map is enlarged to the picture (bilinear), brought to 0 … 1 by its own least and largest value, and used as a
    mask: what it does not cover becomes the baseline. The weights are a softmax over the channels of what the score
    rises above that of the baseline, so they are never negative and add up to 1; values are in units of the activation.
    A map that has one value everywhere covers nothing. No slope is used; one pass per channel is.

    Attributes:
        site: A selector of a site with feature maps, or several joined by `+`; "default" as in grad-cam.
        sign: "positive" cuts at 0, as the paper does; "both" keeps what is below 0, which needs activations below 0.
        fusion: How maps of several sites are put together, as in grad-cam.
        baseline: What shows where the mask is 0: `zero` (0 in the model's own units, as in the paper), or another one
            as for integrated gradients.

    Reference:
        Wang et al., Score-CAM, CVPR Workshops 2020, algorithm 1.
    """

    site: str = "default"
    sign: Sign = "positive"
    fusion: Fusion = "none"
    baseline: str = "zero"

    def __post_init__(self) -> None:
        AtSites.__post_init__(self)
        check_word("sign", self.sign, Sign)
        check_baseline(self.baseline)

    def passes(self, facts: Facts) -> Passes:
        """One forward per channel and item."""
        return Passes(forwards=sum(site.shape[1] for site in self.sites(facts)) * facts.items)

    def reads(self, facts: Facts) -> Reads:
        """Values of the sites."""
        return Reads(values=frozenset(site.name for site in self.sites(facts)))

    def probe(self, given: Given) -> Probing:
        """Look at the picture through each map."""
        sites, raw = self.sites(given.facts), []
        nothing = baseline_of(given, self.baseline)
        for site in sites:
            maps = given.seen.values[site.name]

            through = _seen_through(maps, given.x, nothing)
            scores = yield Ask(variants=Variants.of_items(maps.shape[1], len(maps), through), want="score")
            # The score of the baseline is the same for all channels, and a softmax does not see it.
            weights = scores.T.softmax(dim=1)
            raw.append((weights[:, :, None, None] * maps).sum(dim=1))
        return signed_parts(sites, raw, given.facts, sign=self.sign, fusion=self.fusion)


@register("ablation-cam")
@dataclass(frozen=True, slots=True, kw_only=True)
class AblationCAM(AtSites):
    """Each feature map weighed by the share of the score that is lost without it.

    One map after the other is set to 0, and only what depends on the site is run again. Values are in units of the
    activation; with divisor "none" in units of the activation times the score. Where the rest of the model is an affine
    function of the site (pooling by mean and a linear layer), slopes give the same losses, and nothing is run again.

    Attributes:
        site: A selector of a site with feature maps, or several joined by `+`; "default" as in grad-cam.
        sign: "positive" cuts at 0, as the paper does; "both" keeps what speaks against the target.
        fusion: How maps of several sites are put together, as in grad-cam.
        divisor: "score" divides the loss by the score, as the paper does: with a score below 0 this turns every sign,
            and a note says so; "none" takes the loss itself.

    Reference:
        Desai and Ramaswamy, Ablation-CAM, WACV 2020.
    """

    site: str = "default"
    sign: Sign = "positive"
    fusion: Fusion = "none"
    divisor: Divisor = "score"

    def __post_init__(self) -> None:
        AtSites.__post_init__(self)
        check_word("sign", self.sign, Sign)
        check_word("divisor", self.divisor, Divisor)

    def passes(self, facts: Facts) -> Passes:
        """As `price_without` says."""
        return price_without(self.sites(facts), facts)

    def reads(self, facts: Facts) -> Reads:
        """Values of the sites, and slopes where they tell what an ablation does."""
        return reads_without(self.sites(facts), facts)

    def probe(self, given: Given) -> Probing:
        """Take away each map in turn."""
        sites, raw, remarks = self.sites(given.facts), [], []
        for site in sites:
            maps = given.seen.values[site.name]
            whole, lost = yield from falls_without(given, site)
            weights = lost / whole[:, None] if self.divisor == "score" else lost
            remarks.append(_divided(whole) if self.divisor == "score" else {})
            raw.append((weights[:, :, None, None] * maps).sum(dim=1))
        return signed_parts(sites, raw, given.facts, sign=self.sign, fusion=self.fusion, remarks=remarks)


def _seen_through(maps: Tensor, x: Tensor, nothing: Tensor) -> Callable[[int, int], Tensor]:
    """The picture of an item seen through a channel; masks are made some at a time, as many small steps are slow."""
    shown = x - nothing
    made: dict[tuple[int, int], Tensor] = {}

    def through(channel: int, item: int) -> Tensor:
        block, place = divmod(channel, _MASKS)
        if (block, item) not in made:
            made.clear()
            some = maps[item, block * _MASKS : (block + 1) * _MASKS]
            made[block, item] = unit_range(enlarged(some, x.shape[2:]))
        return torch.addcmul(nothing[item], made[block, item][place], shown[item])

    return through


def unit_range(planes: Float[Tensor, "batch height width"]) -> Float[Tensor, "batch height width"]:
    """Each plane from 0, its least value, to 1, its largest; 0 where it has only one."""
    low, high = planes.amin(dim=(-2, -1), keepdim=True), planes.amax(dim=(-2, -1), keepdim=True)
    return (planes - low).div_(torch.where(high == low, 1.0, high - low))


def _divided(scores: Tensor) -> Notes:
    turned = "the score is below 0, and dividing by it turns every sign; divisor=none does not"
    nothing = "the score is 0, so nothing can be divided by it; divisor=none does not"
    return {i: (turned if score < 0 else nothing,) for i, score in enumerate(scores.tolist()) if score <= 0}
