"""Methods that follow the gradient to the input."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.capture.asks import INPUT, Ask, Facts, Given, Parts, Passes, Piece, Probing, Reads, Seen, Variants
from pellucid.errors import SettingError
from pellucid.methods.catalogue import register

Quadrature = Literal["gauss-legendre", "middle", "left", "right", "trapezoid"]
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


@register("integrated-gradients")
@dataclass(frozen=True, slots=True, kw_only=True)
class IntegratedGradients:
    """What each input value adds on the way from a baseline to the input.

    Values are in units of the score; each item sums to `score(x) − score(baseline)` up to the quadrature error, which
    is measured and reported as `completeness gap` (in units of the score) and `relative gap` (its share of that
    difference).

    Attributes:
        steps: Points on the path, 1 or more.
        baseline: `zero` (0 in the model's own units: mean grey after the usual normalisation), `mean` (each channel's
            mean over the picture), `blur:11` (the picture blurred by a Gaussian of that standard deviation in
            pixels).
        rule: How the points are placed and weighed: `gauss-legendre`, or the Riemann sums `middle`, `left`, `right`,
            `trapezoid`.

    Reference:
        Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017, eq. 1.
    """

    steps: int = 50
    baseline: str = "zero"
    rule: Quadrature = "gauss-legendre"

    def __post_init__(self) -> None:
        if not isinstance(self.steps, int) or isinstance(self.steps, bool) or self.steps < 1:
            raise SettingError(
                "steps", given=self.steps, expected="a whole number, 1 or more", hint="50 suits most models"
            )
        if self.rule not in get_args(Quadrature):
            raise SettingError("rule", given=self.rule, expected=f"one of {', '.join(get_args(Quadrature))}")
        if self.rule == "trapezoid" and self.steps < 2:
            raise SettingError("steps", given=self.steps, expected="2 or more for the trapezoid rule")
        check_baseline(self.baseline)

    def passes(self, facts: Facts) -> Passes:
        """One forward and backward per point and item, and one forward for the check."""
        return Passes(forwards=(self.steps + 1) * facts.items, backwards=self.steps * facts.items)

    def probe(self, given: Given) -> Probing:
        """Average the slope along the straight path, times the distance."""
        x = given.x
        start = baseline_of(x, self.baseline)
        nodes, weights = quadrature(self.rule, self.steps)
        path = Variants(count=self.steps, make=lambda i: start + nodes[i] * (x - start))
        slope = yield Ask(variants=path, want="slope", weights=weights)
        [nothing] = yield Ask(variants=Variants(count=1, make=lambda _: start), want="score")
        values = (x - start) * slope
        difference = (given.scores - nothing).double()
        gap = values.flatten(1).double().sum(1) - difference
        # Where the score does not change there is nothing to take a share of.
        share = torch.where(difference == 0, torch.nan, gap.abs() / difference.abs())
        still = "the score is the same at the baseline as at the input, so the gap is no share of a change"
        return at_input(
            values,
            checks={"completeness gap": gap, "relative gap": share},
            notes={i: (still,) for i, change in enumerate(difference.tolist()) if change == 0},
        )


def at_input(
    values: Tensor,
    *,
    checks: Mapping[str, Tensor] | None = None,
    notes: Mapping[int, tuple[str, ...]] | None = None,
) -> Parts:
    """Values of the input's own shape, as a method returns them."""
    piece = Piece(place=INPUT, axes=axes_of(values), values=values)
    return Parts(pieces=(piece,), checks=checks or {}, notes=notes or {})


def axes_of(x: Tensor) -> tuple[str, ...]:
    """Names of the axes of one item of an input."""
    return PIXELS if x.dim() == 4 else tuple(f"axis {i}" for i in range(1, x.dim()))


def quadrature(rule: Quadrature, steps: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Points in 0 … 1 and their weights, which sum to 1."""
    if rule == "gauss-legendre":
        points, weights = np.polynomial.legendre.leggauss(steps)
        return tuple((points + 1) / 2), tuple(weights / 2)
    even = (1 / steps,) * steps
    if rule == "middle":
        return tuple((i + 0.5) / steps for i in range(steps)), even
    if rule == "left":
        return tuple(i / steps for i in range(steps)), even
    if rule == "right":
        return tuple((i + 1) / steps for i in range(steps)), even
    inner = 1 / (steps - 1)
    return tuple(i * inner for i in range(steps)), (inner / 2, *[inner] * (steps - 2), inner / 2)


def baseline_of(x: Float[Tensor, "batch *dims"], name: str) -> Float[Tensor, "batch *dims"]:
    """The input that stands for "nothing": `zero`, `mean` or `blur:SIGMA`, of the batch's shape."""
    sigma = _blur_of(name)
    if name == "zero":
        return torch.zeros_like(x)
    if name == "mean" and x.dim() > 2:
        return x.mean(dim=tuple(range(2, x.dim())), keepdim=True).expand_as(x).clone()
    if x.dim() != 4:
        expected = (
            "zero or mean for an input that is no picture" if x.dim() > 2 else "zero for an input of plain numbers"
        )
        raise SettingError("baseline", given=name, expected=expected)
    return _blurred(x, sigma)


def check_baseline(name: object) -> None:
    """Refuse what `baseline_of` does not know."""
    _blur_of(name)


def _blur_of(name: object) -> float:
    word, _, number = name.partition(":") if isinstance(name, str) else ("", "", "")
    if word == "blur":
        try:
            sigma = float(number)
        except ValueError:
            sigma = 0.0
        if not 0 < sigma < 1000:
            raise SettingError("baseline", given=name, expected="blur:SIGMA with SIGMA in pixels above 0, e.g. blur:11")
        return sigma
    if name not in ("zero", "mean"):
        raise SettingError("baseline", given=name, expected="zero, mean or blur:SIGMA")
    return 0.0


def _blurred(x: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur with repeated borders, cut at four standard deviations."""
    radius = int(4 * sigma + 0.5)
    places = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = kernel / kernel.sum()
    channels = x.shape[1]
    for shape, pad in (((channels, 1, -1, 1), (0, 0, radius, radius)), ((channels, 1, 1, -1), (radius, radius, 0, 0))):
        weight = kernel.view(1, 1, *shape[2:]).expand(channels, 1, *(s if s > 0 else kernel.numel() for s in shape[2:]))
        x = torch.nn.functional.conv2d(torch.nn.functional.pad(x, pad, mode="replicate"), weight, groups=channels)
    return x
