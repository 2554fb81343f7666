"""Class activation maps by slopes: weighted sums of the feature maps of a site. All share one pass."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.methods.cam_sites import Fusion, Notes, Sign, SlopeMaps, check_word
from pellucid.methods.catalogue import register

Maps = Float[Tensor, "batch channels height width"]
Plane = Float[Tensor, "batch height width"]
Exponent = Literal["relative", "score"]

_CANCELLING = 0.01
"""Of a map whose values add up to less than this share of their sizes, the sum says little."""


@register("grad-cam")
@dataclass(frozen=True, slots=True, kw_only=True)
class GradCAM(SlopeMaps):
    """Where the feature maps of a site speak for the target: each map weighed by its mean slope, summed, cut at 0.

    Values have the size of the site's maps, one per cell, in units of the score divided by the number of cells; they
    are not rescaled and not enlarged. Where all evidence is negative the map is 0 everywhere, and a note says so.

    Attributes:
        site: A selector of a site with feature maps, or several joined by `+`; "default" takes the last one before
            the class layer that is no pooling and has both sides above 1.
        sign: "positive" cuts at 0, as the paper does; "both" keeps what speaks against the target.
        fusion: Of several sites "none" keeps each map; "mean" and "max" put them together at the size of the largest,
            "mean:input" and "max:input" at the size of the input.

    Reference:
        Selvaraju et al., Grad-CAM, ICCV 2017, eq. 1 and 2.
    """

    site: str = "default"
    sign: Sign = "positive"
    fusion: Fusion = "none"

    def map(self, values: Tensor, slopes: Tensor) -> Tensor:
        """Weigh each feature map by its mean slope."""
        return weighted_maps(values, slopes)


@register("grad-cam++")
@dataclass(frozen=True, slots=True, kw_only=True)
class GradCAMPlusPlus(SlopeMaps):
    """Grad-CAM whose weights count only rising slopes, and each of them the less, the more its map holds in all.

    The weights are those of the paper for exp(score / τ). The paper's τ is 1, which makes the map depend on the scale
    of the logits; here τ is the total size of slope × activation at the site, so logits that are 100 times smaller
    give the same map, 100 times smaller. Values are in units of the score.

    Attributes:
        site: A selector of a site with feature maps, or several joined by `+`; "default" as in grad-cam.
        sign: "positive" cuts at 0, as the paper does; "both" keeps what speaks against the target.
        fusion: How maps of several sites are put together, as in grad-cam.
        exponent: "relative" takes τ = Σ |slope × activation| over the site; "score" takes τ = 1, as the paper does.

    Reference:
        Chattopadhay et al., Grad-CAM++, WACV 2018, eq. 5 and 19.
    """

    site: str = "default"
    sign: Sign = "positive"
    fusion: Fusion = "none"
    exponent: Exponent = "relative"

    def __post_init__(self) -> None:
        SlopeMaps.__post_init__(self)
        check_word("exponent", self.exponent, Exponent)

    def map(self, values: Tensor, slopes: Tensor) -> Tensor:
        """Weigh each feature map by its rising slopes."""
        numerator, denominator = _plus_plus(values, slopes, self.exponent)
        # Where nothing rises the weight is 0, whatever stands below: there is no need of an epsilon.
        weights = numerator / torch.where(numerator == 0, 1.0, denominator)
        return (weights.sum(dim=(-2, -1), keepdim=True) * values).sum(dim=1)

    def remarks(self, values: Tensor, slopes: Tensor) -> Notes:
        """Where the closed form divides by what is not positive; never after a ReLU."""
        numerator, denominator = _plus_plus(values, slopes, self.exponent)
        bad = ((numerator > 0) & (denominator <= 0)).flatten(1).sum(1).tolist()
        said = "of the weights' terms divide by a number that is not positive, since maps here go below 0"
        return {item: (f"{count} {said}",) for item, count in enumerate(bad) if count}


@register("xgrad-cam")
@dataclass(frozen=True, slots=True, kw_only=True)
class XGradCAM(SlopeMaps):
    """Grad-CAM whose weights are means of the slopes where the map is active: weighed by the map's own values.

    Values are in units of the score divided by the number of cells, roughly; over all cells they add up to the sum of
    slope × activation, as HiResCAM's do.

    Attributes:
        site: A selector of a site with feature maps, or several joined by `+`; "default" as in grad-cam.
        sign: "positive" cuts at 0; "both" keeps what speaks against the target.
        fusion: How maps of several sites are put together, as in grad-cam.

    Reference:
        Fu et al., Axiom-based Grad-CAM, BMVC 2020.
    """

    site: str = "default"
    sign: Sign = "positive"
    fusion: Fusion = "none"

    def map(self, values: Tensor, slopes: Tensor) -> Tensor:
        """Weigh each feature map by the mean slope over its own mass."""
        mass = values.sum(dim=(-2, -1), keepdim=True)
        drawn = (slopes * values).sum(dim=(-2, -1), keepdim=True)
        # A map that is 0 everywhere adds nothing, whatever its weight; a sum of 0 by chance must not be hidden.
        silent = (values == 0).all(dim=-1, keepdim=True).all(dim=-2, keepdim=True)
        return (drawn / torch.where(silent, 1.0, mass) * values).sum(dim=1)

    def remarks(self, values: Tensor, slopes: Tensor) -> Notes:
        """Where the values of a map nearly cancel, so that dividing by their sum says little."""
        size = values.abs().sum(dim=(-2, -1))
        bad = ((values.sum(dim=(-2, -1)).abs() < _CANCELLING * size) & (size > 0)).sum(1).tolist()
        total = values.shape[1]
        return {
            item: (f"{count} of {total} maps nearly add up to 0, and xgrad-cam divides by that sum",)
            for item, count in enumerate(bad)
            if count
        }


@register("hirescam")
@dataclass(frozen=True, slots=True, kw_only=True)
class HiResCAM(SlopeMaps):
    """Slope × activation at every cell of a site, summed over channels.

    Values are in units of the score. Where only linear operations come after the site they add up to the score
    without its biases.

    Attributes:
        site: A selector of a site with feature maps, or several joined by `+`; "default" as in grad-cam.
        sign: "both" keeps what speaks against the target, as the paper does; "positive" cuts at 0.
        fusion: How maps of several sites are put together, as in grad-cam.

    Reference:
        Draelos and Carin, Use HiResCAM instead of Grad-CAM, 2020.
    """

    site: str = "default"
    sign: Sign = "both"
    fusion: Fusion = "none"

    def map(self, values: Tensor, slopes: Tensor) -> Tensor:
        """Slope × activation, summed over channels."""
        return (slopes * values).sum(dim=1)


@register("layer-cam")
@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCAM(SlopeMaps):
    """Rising slope × activation at every cell of a site, summed over channels; suited to early sites, too.

    Values are in units of the score. Falling slopes count as 0 before the sum: that is the method.

    Attributes:
        site: A selector of a site with feature maps, or several joined by `+`; "default" as in grad-cam.
        sign: "positive" cuts the sum at 0, as the paper does; "both" keeps what is below 0, which needs activations
            below 0.
        fusion: How maps of several sites are put together, as in grad-cam.

    Reference:
        Jiang et al., LayerCAM, IEEE TIP 2021.
    """

    site: str = "default"
    sign: Sign = "positive"
    fusion: Fusion = "none"

    def map(self, values: Tensor, slopes: Tensor) -> Tensor:
        """Rising slope × activation, summed over channels."""
        return (slopes.clamp(min=0) * values).sum(dim=1)


def weighted_maps(maps: Maps, slopes: Maps) -> Plane:
    """Weigh each feature map by its mean slope, and sum."""
    return (slopes.mean(dim=(-2, -1), keepdim=True) * maps).sum(dim=1)


def _plus_plus(maps: Maps, slopes: Maps, exponent: Exponent) -> tuple[Tensor, Tensor]:
    """What stands above and below in α · ReLU(slope), with α = slope² / (2 slope² + ΣA · slope³ / τ).

    slope² is cancelled: it underflows long before the slope does. Where τ is 0, slopes lie only where the maps are 0;
    α then tends to 0.
    """
    rising, heavy = slopes.clamp(min=0), maps.sum(dim=(-2, -1), keepdim=True)
    if exponent == "score":
        return rising, 2 + heavy * slopes
    tau = (slopes * maps).abs().sum(dim=(1, 2, 3), keepdim=True)
    return rising * (tau != 0), 2 + heavy * (slopes / torch.where(tau == 0, 1.0, tau))
