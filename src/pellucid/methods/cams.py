"""Class activation maps: weighted sums of the feature maps of one site."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from pellucid.capture.asks import Facts, Parts, Reads, Seen
from pellucid.capture.sites import Site
from pellucid.errors import MethodError
from pellucid.methods.catalogue import register


@register("grad-cam")
@dataclass(frozen=True, slots=True, kw_only=True)
class GradCAM:
    """Where the feature maps of a site speak for the target: each map weighed by its mean slope, summed, cut at 0.

    Values have the size of the site's maps, one per cell, in units of the score per mean feature map; they are not
    rescaled and not enlarged. Where all evidence is negative the map is 0 everywhere, and a note says so.

    Attributes:
        site: A selector of one site with feature maps; "default" takes the last one before the class layer that is no
            pooling and has both sides above 1.

    Reference:
        Selvaraju et al., Grad-CAM, ICCV 2017, eq. 1 and 2.
    """

    site: str = "default"

    def reads(self, facts: Facts) -> Reads:
        """Values and slopes of the site."""
        name = frozenset({self._site(facts).name})
        return Reads(values=name, slopes=name)

    def combine(self, seen: Seen, facts: Facts) -> Parts:
        """Weigh each feature map by its mean slope."""
        name = self._site(facts).name
        raw = weighted_maps(seen.values[name], seen.slopes[name])
        without = [i for i, item in enumerate(raw) if bool((item <= 0).all())]
        notes = {
            i: (
                f"no positive evidence: the map is 0 everywhere (largest value before the cut {float(raw[i].max()):.3g})",
            )
            for i in without
        }
        return Parts(place=name, axes=("height", "width"), values=raw.clamp(min=0), notes=notes)

    def _site(self, facts: Facts) -> Site:
        if self.site != "default":
            site = facts.site(self.site)
            if site.name not in facts.channels_first():
                shape = "×".join(map(str, site.shape))
                raise MethodError(
                    f"grad-cam needs feature maps (batch, channels, height, width), and site {site.name!r} ({site.op}) "
                    f"has shape {shape}; choose e.g. last:conv."
                )
            return site
        attention = next((site for site in facts.sites if site.kind == "attention"), None)
        found = facts.last_maps()
        if attention is not None or found is None:
            why = f"{attention.name!r} is attention" if attention else "no maps larger than 1×1 before the class layer"
            raise MethodError(
                f"grad-cam finds no site of its own in this model ({why}); use saliency or integrated-gradients, or "
                "name a site: grad-cam(site=last:conv)."
            )
        return found


def weighted_maps(
    maps: Float[Tensor, "batch channels height width"], slopes: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, "batch height width"]:
    """Weigh each feature map by its mean slope, and sum."""
    return (slopes.mean(dim=(-2, -1), keepdim=True) * maps).sum(dim=1)
