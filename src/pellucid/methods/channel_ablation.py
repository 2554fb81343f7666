"""Channel ablation: the score without each channel of a site."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from pellucid.capture.asks import Ask, Facts, Given, Parts, Passes, Probing, Reads, Variants
from pellucid.capture.sites import Site
from pellucid.errors import MethodError
from pellucid.methods.cam_sites import check_word
from pellucid.methods.catalogue import register
from pellucid.methods.channel_sites import OfChannels, check_before, over_positions, pieces

Replacement = Literal["zero", "mean"]


@register("channel-ablation")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAblation(OfChannels):
    """How much the score falls when one channel of a site is replaced.

    The value of a channel is `score(x) − score(x with the channel replaced)`, in units of the score. Channels are
    replaced one at a time, and only what depends on the site is run again; where that is an affine function of the site
    (pooling by mean and a linear layer), slopes give the same numbers, and nothing is run.

    Attributes:
        site: A selector of a site with channels, or several joined by `+`; "default" is the last one with feature maps
            before the class layer.
        replacement: What the channel shows instead: `zero`, or `mean`, its own mean over positions, which takes away
            where it is active and leaves how much.

    Reference:
        Morcos et al., On the Importance of Single Directions for Generalization, ICLR 2018, section 3 (ablation of
        units); Zeiler & Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.2.
    """

    site: str = "default"
    replacement: Replacement = "zero"

    def __post_init__(self) -> None:
        OfChannels.__post_init__(self)
        check_word("replacement", self.replacement, Replacement)

    def passes(self, facts: Facts) -> Passes:
        """As `price_without` says."""
        return price_without(self.sites(facts), facts)

    def reads(self, facts: Facts) -> Reads:
        """Values of the sites, and slopes where they tell what an ablation does."""
        return reads_without(self.sites(facts), facts)

    def probe(self, given: Given) -> Probing:
        """Replace each channel in turn."""
        sites, numbers = self.sites(given.facts), []
        for site in sites:
            if self.replacement == "mean" and len(site.shape) < 3:
                raise MethodError(
                    f"channel-ablation cannot replace a channel of site {site.name!r} by its mean over positions: it "
                    "has none; use replacement=zero."
                )
            _, falls = yield from falls_without(given, site, self.replacement)
            numbers.append(falls)
        return Parts(pieces=pieces(sites, numbers, given.seen.values))


def reads_without(sites: Sequence[Site], facts: Facts) -> Reads:
    """What `falls_without` reads at sites: their values; and the slopes of the logits that are affine after them."""
    slopes = frozenset(site.name for site in sites if facts.is_affine_after(site))
    return Reads(values=frozenset(site.name for site in sites), slopes=slopes)


def price_without(sites: Sequence[Site], facts: Facts) -> Passes:
    """What `falls_without` asks for beyond what it reads.

    For each item and site one forward as it is and one per channel, from the site on, and one before; nothing where the
    rest of the model is affine.
    """
    run = [site for site in sites if not facts.is_affine_after(site)]
    return Passes(forwards=sum(site.shape[1] + 2 for site in run) * facts.items)


def falls_without(
    given: Given, site: Site, replacement: Replacement = "zero"
) -> Generator[Ask, Any, tuple[Tensor, Tensor]]:
    """How far the score falls without each channel of a site, where `reads_without` was read.

    Where the score is an affine function of the site's values, slope times change is the fall, exactly; else each
    channel is replaced, and what depends on the site is run again.

    Returns:
        The score with the site as it is, (batch,); and the falls, (batch, channels).

    Raises:
        MethodError: The score does not depend on the site.
    """
    check_before(given, site)
    values, slopes = given.seen.values[site.name], given.seen.slopes.get(site.name)
    places = {score.place for score in given.explained}
    if slopes is not None and all(given.facts.is_affine_after(site, place) for place in places):
        means = values.flatten(2).mean(2) if replacement == "mean" else values.new_zeros(values.shape[:2])
        return given.scores, over_positions(slopes * (values - means.reshape(*means.shape, *[1] * (values.dim() - 2))))

    def planes(item: int) -> Tensor:
        shown = torch.zeros_like(values[item])
        if replacement == "mean":
            shown += values[item].flatten(1).mean(1).reshape(-1, *[1] * (shown.dim() - 1))
        return torch.cat([values[item][:1], shown])

    # The first variant is the site as it is: what a channel does not change is then exactly 0.
    channels = torch.arange(-1, values.shape[1]).clamp(min=0).to(values.device)
    variants = Variants.of_channels(values, channels, planes)
    whole, *rest = yield Ask(variants=variants, want="score", site=site.name)
    return whole, whole[:, None] - torch.stack(tuple(rest), dim=1)
