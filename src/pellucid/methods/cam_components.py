"""Class activation maps by principal components of a site."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.capture.asks import Facts, Parts, Reads, Seen
from pellucid.methods.cam_sites import AtSites, Fusion, OfSlopes, Sign, pieces, signed_parts
from pellucid.methods.catalogue import register

_CLASSLESS = "eigen-cam has no class: it shows the strongest pattern of the maps, and the same one for every target"


@register("eigen-cam")
@dataclass(frozen=True, slots=True, kw_only=True)
class EigenCAM(AtSites):
    """The strongest pattern in the feature maps of a site: the maps along their first principal component.

    It has no class, and a note says so. Values are in units of the activation; `share of the component` tells which
    share of the maps' squares the pattern holds. Of its two signs that one is taken with which the channels' weights
    add up to 0 or more.

    Attributes:
        site: A selector of a site with feature maps, or several joined by `+`; "default" as in grad-cam.
        fusion: How maps of several sites are put together, as in grad-cam.

    Reference:
        Muhammad and Yeasin, Eigen-CAM, IJCNN 2020.
    """

    site: str = "default"
    fusion: Fusion = "none"

    def reads(self, facts: Facts) -> Reads:
        """Values of the sites; no slopes."""
        return Reads(values=frozenset(site.name for site in self.sites(facts)))

    def combine(self, seen: Seen, facts: Facts) -> Parts:
        """The first principal component of each site."""
        sites = self.sites(facts)
        found = [principal_map(seen.values[site.name]) for site in sites]
        items = range(len(found[0][0]))
        return Parts(
            pieces=pieces(sites, [planes for planes, _ in found], facts, fusion=self.fusion),
            checks=_checks([site.name for site in sites], [share for _, share in found]),
            notes=dict.fromkeys(items, (_CLASSLESS,)),
        )


@register("eigen-grad-cam")
@dataclass(frozen=True, slots=True, kw_only=True)
class EigenGradCAM(OfSlopes):
    """The strongest pattern in slope × activation of a site: Eigen-CAM with a class.

    Values are in units of the score; `share of the component` tells which share of the squares of slope × activation
    the pattern holds. Its sign is taken so that the channels' weights add up to 0 or more: then it agrees with the sum
    over channels, which is HiResCAM.

    Attributes:
        site: A selector of a site with feature maps, or several joined by `+`; "default" as in grad-cam.
        sign: "positive" cuts at 0; "both" keeps what speaks against the target.
        fusion: How maps of several sites are put together, as in grad-cam.

    Reference:
        Muhammad and Yeasin, Eigen-CAM, IJCNN 2020, applied to slope × activation as in Gildenblat et
        al., pytorch-grad-cam, 2021.
    """

    site: str = "default"
    sign: Sign = "positive"
    fusion: Fusion = "none"

    def combine(self, seen: Seen, facts: Facts) -> Parts:
        """The first principal component of slope × activation at each site."""
        sites = self.sites(facts)
        found = [principal_map(seen.slopes[site.name] * seen.values[site.name]) for site in sites]
        made = signed_parts(sites, [planes for planes, _ in found], facts, sign=self.sign, fusion=self.fusion)
        return replace(made, checks=_checks([site.name for site in sites], [share for _, share in found]))


def principal_map(
    maps: Float[Tensor, "batch channels height width"],
) -> tuple[Float[Tensor, "batch height width"], Float[Tensor, " batch"]]:
    """Maps along their first principal component, and the share of their squares that it holds.

    The maps are not centred, as in the paper. Where the channels' weights add up to exactly 0, the largest is positive.
    """
    exact = maps if maps.dtype == torch.float64 else maps.float()
    rows = exact.flatten(2).transpose(1, 2)  # (batch, positions, channels)
    # A scale that suits the numbers: squares of small slopes would underflow.
    size = _nonzero(rows.abs().amax(dim=(1, 2), keepdim=True))
    _, values, directions = torch.linalg.svd(rows / size, full_matrices=False)
    first = directions[:, 0, :]
    total = first.sum(dim=1)
    largest = first.gather(1, first.abs().argmax(dim=1, keepdim=True))[:, 0]
    turned = first * torch.where(total == 0, largest, total).sign()[:, None]
    planes = (rows @ turned[:, :, None])[..., 0].reshape(len(maps), *maps.shape[2:])
    squares = values.square()
    return planes.to(maps.dtype), squares[:, 0] / _nonzero(squares.sum(dim=1))


def _checks(names: list[str], shares: list[Tensor]) -> dict[str, Tensor]:
    if len(names) == 1:
        return {"share of the component": shares[0]}
    return {f"share of the component at {name}": share for name, share in zip(names, shares, strict=True)}


def _nonzero(size: Tensor) -> Tensor:
    return torch.where(size == 0, 1.0, size)
