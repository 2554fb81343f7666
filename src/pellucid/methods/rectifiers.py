"""Methods that change the backward rule of rectifiers."""

from dataclasses import dataclass

from torch import Tensor

from pellucid.capture.asks import INPUT, BackwardRule, Facts, Op, Parts, Reads, Seen
from pellucid.errors import MethodError
from pellucid.methods.catalogue import register
from pellucid.methods.gradients import at_input

# Rectifiers by definition, and operations that are one where their settings say so (hardtanh from 0, clamp(min=0)).
_RECTIFIERS = frozenset({"relu", "relu6"})
_PERHAPS = frozenset({"hardtanh", "threshold", "clamp", "clamp_min", "clip"})
# They let negative values through, or smooth the corner; the method is not defined for them.
_SMOOTH = frozenset(
    {"leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "glu", "silu", "mish", "hardswish", "softplus"}
)
_SHRINKING = frozenset({"softshrink", "hardshrink", "tanhshrink", "logsigmoid"})
# They may hide a rectifier, and nobody can see which of their arguments it would be.
_HIDING = frozenset({"maximum", "fmax"})


@register("guided-backpropagation")
@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedBackpropagation:
    """The gradient at the input, where each ReLU also stops what speaks against the target.

    At every call of a ReLU, as a module or as a function, the slope goes on only where the ReLU let its value through
    *and* the slope is positive. Values are in units of the score per unit of the prepared input. The picture it gives
    is sharp, and it depends little on the class: it shows what the network could see rather than why it decided
    (Adebayo et al. 2018).

    Reference:
        Springenberg et al., Striving for Simplicity: The All Convolutional Net, 2015, section 3.4.
    """

    def rule(self, op: Op) -> BackwardRule | None:
        """Another rule for ReLU and ReLU6, no other for what has none; smooth activations are refused by name."""
        return _at_rectifiers(op, _guided_to_six if op.name == "relu6" else _guided, method="guided-backpropagation")

    def reads(self, facts: Facts) -> Reads:
        """The slope at the input."""
        return Reads(slopes=frozenset({INPUT}))

    def combine(self, seen: Seen, facts: Facts) -> Parts:
        """The slope itself."""
        return at_input(seen.slopes[INPUT])


@register("deconvnet")
@dataclass(frozen=True, slots=True, kw_only=True)
class Deconvnet:
    """The gradient at the input, where each ReLU stops what speaks against the target, and not what it had stopped.

    On the way back every call of a ReLU, as a module or as a function, lets only positive slopes through, whether or
    not its own value was above 0; maxima remember where they came from. Values are in units of the score per unit of
    the prepared input. The picture depends less on the class than the gradient does and, without max pooling, little
    on the picture: it shows what the weights can make (Mahendran and Vedaldi 2016).

    Reference:
        Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014, section 2.1.
    """

    def rule(self, op: Op) -> BackwardRule | None:
        """Another rule for ReLU and ReLU6, no other for what has none; smooth activations are refused by name."""
        return _at_rectifiers(op, _deconvolved, method="deconvnet")

    def reads(self, facts: Facts) -> Reads:
        """The slope at the input."""
        return Reads(slopes=frozenset({INPUT}))

    def combine(self, seen: Seen, facts: Facts) -> Parts:
        """The slope itself."""
        return at_input(seen.slopes[INPUT])


def _at_rectifiers(op: Op, rule: BackwardRule, *, method: str) -> BackwardRule | None:
    if op.name in _RECTIFIERS:
        return rule
    if op.name in _PERHAPS:
        return _if_rectifier(op, rule, method)
    if op.name in _SMOOTH | _SHRINKING | _HIDING:
        raise _refusal(op, f"is {op.name}", method)
    return None


def _deconvolved(slope: Tensor, before: Tensor, after: Tensor) -> Tensor:
    return slope.clamp(min=0)


def _guided(slope: Tensor, before: Tensor, after: Tensor) -> Tensor:
    # A value that came out as it went in passed the rectifier; at 0 the derivative is taken as 0, as torch does.
    passed = (after == before) & (after > 0)
    return slope.clamp(min=0) * passed


def _guided_to_six(slope: Tensor, before: Tensor, after: Tensor) -> Tensor:
    # At 6, too, the derivative is taken as 0.
    return _guided(slope, before, after) * (before < 6)


def _if_rectifier(op: Op, rule: BackwardRule, method: str) -> BackwardRule:
    """The rule for an operation with bounds of its own: only on the values does one see whether its lower one is 0."""

    def if_positive(slope: Tensor, before: Tensor, after: Tensor) -> Tensor:
        if bool((after < 0).any()):
            raise _refusal(op, f"is a {op.name} that lets negative values through", method)
        return rule(slope, before, after)

    return if_positive


def _refusal(op: Op, what: str, method: str) -> MethodError:
    return MethodError(
        f"{method} is defined for ReLU, and site {op.site!r} {what}; use saliency or integrated-gradients."
    )
