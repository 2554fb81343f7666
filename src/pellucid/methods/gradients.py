"""Methods that read the gradient at the input."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from pellucid.capture.asks import INPUT, Facts, Parts, Piece, Reads, Seen
from pellucid.methods.catalogue import register

PIXELS = ("channels", "height", "width")


@register("saliency")
@dataclass(frozen=True, slots=True, kw_only=True)
class Saliency:
    """How fast the score changes with each input value: its gradient, with its sign.

    Values are in units of the score per unit of the prepared input; the sign is kept, since an absolute value can be
    taken later but not taken back.

    Reference:
        Simonyan et al., Deep Inside Convolutional Networks, 2013, section 3.
    """

    def reads(self, facts: Facts) -> Reads:
        """The slope at the input."""
        return Reads(slopes=frozenset({INPUT}))

    def combine(self, seen: Seen, facts: Facts) -> Parts:
        """The slope itself."""
        return at_input(seen.slopes[INPUT])


@register("input-x-gradient")
@dataclass(frozen=True, slots=True, kw_only=True)
class InputXGradient:
    """What each input value would give if the score were linear: gradient times input.

    Values are in units of the score. Where the network is linear, but for a constant, they sum to the score without it;
    elsewhere they sum to nothing in particular. A value of 0 gets 0, and what is 0 depends on the preprocessing: mean
    grey after the usual normalisation.

    Reference:
        Shrikumar et al., Not Just a Black Box: Learning Important Features Through Propagating Activation Differences,
        2016, section 2.
    """

    def reads(self, facts: Facts) -> Reads:
        """The input, and the slope there."""
        return Reads(values=frozenset({INPUT}), slopes=frozenset({INPUT}))

    def combine(self, seen: Seen, facts: Facts) -> Parts:
        """The one times the other."""
        return at_input(seen.values[INPUT] * seen.slopes[INPUT])


def at_input(
    values: Tensor,
    *,
    checks: Mapping[str, Tensor] | None = None,
    notes: Mapping[int, tuple[str, ...]] | None = None,
    standard_error: Tensor | None = None,
) -> Parts:
    """Values of the input's own shape, as a method returns them."""
    piece = Piece(place=INPUT, axes=axes_of(values), values=values, standard_error=standard_error)
    return Parts(pieces=(piece,), checks=checks or {}, notes=notes or {})


def axes_of(x: Tensor) -> tuple[str, ...]:
    """Names of the axes of one item of an input."""
    return PIXELS if x.dim() == 4 else tuple(f"axis {i}" for i in range(1, x.dim()))
