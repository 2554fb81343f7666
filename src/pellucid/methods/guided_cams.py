"""Guided Grad-CAM: the fine lines of guided backpropagation where Grad-CAM points."""

from dataclasses import dataclass

from pellucid.capture.asks import (
    INPUT,
    Ask,
    BackwardRule,
    Facts,
    Given,
    Op,
    Parts,
    Passes,
    Piece,
    Probing,
    Reads,
    Variants,
)
from pellucid.errors import MethodError
from pellucid.methods.cam_sites import Fusion, OfSlopes, Sign, enlarged, fused, signed_parts
from pellucid.methods.cams import weighted_maps
from pellucid.methods.catalogue import register
from pellucid.methods.gradients import axes_of
from pellucid.methods.rectifiers import GuidedBackpropagation


@register("guided-grad-cam")
@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedGradCAM(OfSlopes):
    """Guided backpropagation at the input, times the Grad-CAM map of a site enlarged to the input.

    The map is enlarged by bilinear interpolation between the middles of its cells. Values are a product of two
    attributions (the score squared, per unit of the prepared input and cell): their order means something, their size
    does not.

    Attributes:
        site: A selector of a site with feature maps, or several joined by `+`; "default" as in grad-cam.
        sign: "positive" cuts the map at 0 before the product, as the paper does; "both" keeps what speaks against.
        fusion: Of several sites "none" makes one product with each map; the others make one, with the maps put
            together as in grad-cam.

    Reference:
        Selvaraju et al., Grad-CAM, ICCV 2017, section 3.2.
    """

    site: str = "default"
    sign: Sign = "positive"
    fusion: Fusion = "none"

    def passes(self, facts: Facts) -> Passes:
        """One forward and backward with guided rectifiers."""
        return Passes(forwards=facts.items, backwards=facts.items)

    def probe(self, given: Given) -> Probing:
        """Grad-CAM from what was read, and guided backpropagation in a pass of its own."""
        sites, sides = self.sites(given.facts), given.x.shape[2:]
        raw = [weighted_maps(given.seen.values[site.name], given.seen.slopes[site.name]) for site in sites]
        cams = signed_parts(sites, raw, given.facts, sign=self.sign)
        planes = [piece.values for piece in cams.pieces]
        if self.fusion == "none":
            named = [(f"pixels at {site.name}" if len(sites) > 1 else None) for site in sites]
        else:
            planes, named = [fused(sites, planes, self.fusion, sides=tuple(sides))[1]], [None]
        same = Variants(count=1, make=lambda _: given.x)
        guided = yield Ask(variants=same, want="read", reads=Reads(slopes=frozenset({INPUT})), ruling=_guided)
        [slope] = guided.slopes[INPUT]
        made = [slope * enlarged(plane, sides)[:, None] for plane in planes]
        pieces = [
            Piece(place=INPUT, axes=axes_of(values), values=values, name=name)
            for name, values in zip(named, made, strict=True)
        ]
        return Parts(pieces=tuple(pieces), notes=cams.notes)


def _guided(op: Op) -> BackwardRule | None:
    try:
        return GuidedBackpropagation().rule(op)
    except MethodError as error:
        raise MethodError(f"guided-grad-cam cannot be made: {error}") from error
