"""Class activation maps: weighted sums of the feature maps of one site."""

import itertools
from dataclasses import dataclass
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor

from pellucid.capture.asks import Facts, Parts, Piece, Reads, Seen
from pellucid.capture.sites import Site
from pellucid.errors import MethodError, SettingError
from pellucid.methods.catalogue import register

Sign = Literal["positive", "both"]


@register("grad-cam")
@dataclass(frozen=True, slots=True, kw_only=True)
class GradCAM:
    """Where the feature maps of a site speak for the target: each map weighed by its mean slope, summed, cut at 0.

    Values have the size of the site's maps, one per cell, in units of the score divided by the number of cells; they
    are not rescaled and not enlarged. Where all evidence is negative the map is 0 everywhere, and a note says so.

    Attributes:
        site: A selector of one site with feature maps; "default" takes the last one before the class layer that is no
            pooling and has both sides above 1.
        sign: "positive" cuts at 0, as the paper does; "both" keeps what speaks against the target.

    Reference:
        Selvaraju et al., Grad-CAM, ICCV 2017, eq. 1 and 2.
    """

    site: str = "default"
    sign: Sign = "positive"

    def __post_init__(self) -> None:
        if not isinstance(self.site, str) or not self.site:
            raise SettingError(
                "site", given=self.site, expected="a selector of one site, e.g. features.20 or last:conv"
            )
        if self.sign not in get_args(Sign):
            raise SettingError("sign", given=self.sign, expected=f"one of {', '.join(get_args(Sign))}")

    def reads(self, facts: Facts) -> Reads:
        """Values and slopes of the site."""
        name = frozenset({self._site(facts).name})
        return Reads(values=name, slopes=name)

    def combine(self, seen: Seen, facts: Facts) -> Parts:
        """Weigh each feature map by its mean slope."""
        name = self._site(facts).name
        raw = weighted_maps(seen.values[name], seen.slopes[name])
        cut = self.sign == "positive"
        notes = {i: (_no_evidence(item, cut=cut),) for i, item in enumerate(raw) if bool((item <= 0).all())}
        piece = Piece(place=name, axes=("height", "width"), values=raw.clamp(min=0) if cut else raw)
        return Parts(pieces=(piece,), notes=notes)

    def _site(self, facts: Facts) -> Site:
        if self.site != "default":
            site = facts.site(self.site)
            if site.name not in facts.channels_first():
                shape = "×".join(map(str, site.shape))
                better = facts.last_maps()
                hint = f"choose e.g. {better.name}" if better else "use saliency or integrated-gradients"
                raise MethodError(
                    f"grad-cam needs feature maps (batch, channels, height, width), and site {site.name!r} ({site.op}) "
                    f"has shape {shape}; {hint}."
                )
            return site
        attention = next((site for site in facts.sites if site.kind == "attention"), None)
        found = facts.last_maps()
        if attention is not None or found is None:
            why = f"{attention.name!r} is attention" if attention else _missing(facts)
            maps = [site for site in facts.sites if site.name in facts.channels_first()]
            way_out = f", or name a site: grad-cam(site={maps[-1].name})" if maps else ""
            raise MethodError(
                f"grad-cam finds no site of its own in this model ({why}); use saliency or integrated-gradients"
                f"{way_out}."
            )
        return found


def _missing(facts: Facts) -> str:
    """Why no site offers itself: there are no maps, or the last ones do not say which of their axes holds channels."""
    before = itertools.takewhile(lambda site: site.name != facts.class_site, facts.sites)
    unknown = [s for s in before if s.is_map and s.name not in facts.channels_first() and min(s.shape[1:3]) > 1]
    if unknown:
        return f"which axis of {unknown[-1].name!r} holds the channels is not known"
    return "no maps larger than 1×1 before the class layer"


def _no_evidence(raw: Float[Tensor, "height width"], *, cut: bool) -> str:
    largest = f"largest value{' before the cut' if cut else ''} {float(raw.max()) + 0.0:.3g}"
    return f"no positive evidence: {'the map is 0 everywhere' if cut else 'every value is 0 or less'} ({largest})"


def weighted_maps(
    maps: Float[Tensor, "batch channels height width"], slopes: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, "batch height width"]:
    """Weigh each feature map by its mean slope, and sum."""
    return (slopes.mean(dim=(-2, -1), keepdim=True) * maps).sum(dim=1)
