"""Channel ablation: the score without each channel of a site."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from pellucid.capture.asks import Ask, Facts, Given, Parts, Passes, Probing, Variants
from pellucid.capture.sites import Site
from pellucid.errors import MethodError
from pellucid.methods.cam_sites import check_word
from pellucid.methods.catalogue import register
from pellucid.methods.channel_sites import OfChannels, check_before, pieces

Replacement = Literal["zero", "mean"]


@register("channel-ablation")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAblation(OfChannels):
    """How much the score falls when one channel of a site is replaced.

    The value of a channel is `score(x) − score(x with the channel replaced)`, in units of the score. Channels are
    replaced one at a time, and only what depends on the site is run again. No slope is used.

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
        """For each site one forward as it is and one per channel, from the site on, and one before; for each item."""
        return Passes(forwards=sum(site.shape[1] + 2 for site in self.sites(facts)) * facts.items)

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


def falls_without(
    given: Given, site: Site, replacement: Replacement = "zero"
) -> Generator[Ask, Any, tuple[Tensor, Tensor]]:
    """How far the score falls without each channel of a site, whose values were read.

    Returns:
        The score with the site as it is, (batch,); and the falls, (batch, channels).

    Raises:
        MethodError: The score does not depend on the site.
    """
    check_before(given, site)
    values = given.seen.values[site.name]

    def without(variant: int, item: int) -> Tensor:
        changed = values[item].clone()
        if variant:
            changed[variant - 1] = changed[variant - 1].mean() if replacement == "mean" else 0
        return changed

    # The first variant is the site as it is: what a channel does not change is then exactly 0.
    variants = Variants.of_items(values.shape[1] + 1, len(values), without)
    whole, *rest = yield Ask(variants=variants, want="score", site=site.name)
    return whole, whole[:, None] - torch.stack(tuple(rest), dim=1)
