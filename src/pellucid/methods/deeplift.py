"""DeepLIFT by the rescale rule: how differences from a baseline's activations add up to the difference of the score."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pellucid.capture.asks import (
    INPUT,
    Ask,
    Barred,
    Facts,
    Given,
    Op,
    PairRule,
    Passes,
    Probing,
    Reads,
    Variants,
)
from pellucid.capture.operations import KINDS, MOVES, words
from pellucid.errors import MethodError
from pellucid.methods.baselines import baseline_of, check_baseline
from pellucid.methods.catalogue import register
from pellucid.methods.completeness import gap_of, sums_of
from pellucid.methods.gradients import at_input

Own = Callable[[Tensor], Tensor]

# Linear in all of their arguments together.
_SUMS = words("add sub rsub cat concat concatenate stack setitem") | MOVES
# Linear in one argument, as long as it is the only one that depends on the picture.
_LINEAR = words(
    """mul neg positive mean sum cumsum pad identity interpolate upsample pixel_shuffle pixel_unshuffle unfold fold
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d"""
) | {op for op, kind in KINDS.items() if kind in ("conv", "linear")}
# Value by value, and exact where they are straight: a difference of any size tells the ratio.
_STRAIGHT = words("relu relu6 hardtanh threshold clamp clamp_min clamp_max clip abs")
# Value by value, and curved, or rounded on the way.
_CURVED = words(
    """leaky_relu prelu rrelu elu selu celu gelu silu mish hardswish hardsigmoid sigmoid tanh softplus softsign
    hardshrink softshrink logsigmoid log_sigmoid tanhshrink pow square sqrt rsqrt exp expm1 log log1p reciprocal
    erf sin cos"""
)
_LARGEST = words("max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d amax")
_DROPOUTS = frozenset(op for op, kind in KINDS.items() if kind == "dropout")


@register("deeplift")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeepLIFT:
    """What each input value gives to the difference of the score from that of a baseline, passed back layer by layer.

    The picture and a baseline go through the network side by side. Linear operations pass shares on as their weights
    say; an activation by the ratio of its two differences, out over in (rescale rule), and by its slope where the two
    values are the same; the larger side of a maximum takes the whole difference. Values are in units of the score and
    sum to `score(x) − score(baseline)`; `completeness gap` measures by how much they miss that, which is rounding.

    Where activations are multiplied with each other (squeeze and excitation, attention, normalisation by the picture's
    own statistics) there is no such rule, and the method refuses, naming the site.

    Attributes:
        baseline: `zero`, `black`, `white`, `mean`, `blur:11`, `noise` or the path of a picture, as for integrated
            gradients.

    Reference:
        Shrikumar et al., Learning Important Features Through Propagating Activation Differences, ICML 2017, section
        3.5.2 (the rescale rule).
    """

    baseline: str = "zero"

    def __post_init__(self) -> None:
        check_baseline(self.baseline)

    def passes(self, facts: Facts) -> Passes:
        """The picture and the baseline forward and backward together, and the baseline forward for the check."""
        return Passes(forwards=3 * facts.items, backwards=2 * facts.items)

    def probe(self, given: Given) -> Probing:
        """The multipliers times the distance."""
        x, start = given.x, baseline_of(given, self.baseline)
        once, beside = Variants(count=1, make=lambda _: x), Variants(count=1, make=lambda _: start)
        rows = {site.name: site.shape[:1] for site in given.facts.sites}
        seen = yield Ask(
            variants=once,
            partners=beside,
            want="read",
            reads=Reads(slopes=frozenset({INPUT})),
            ruling=lambda op: rule_of(op, rows=rows.get(op.site, (1,))),
        )
        [nothing] = yield Ask(variants=beside, want="score")
        values = (x - start) * seen.slopes[INPUT][0]
        found = gap_of(sums_of(values), given.scores - nothing)
        notes = found.notes
        # What rounding may leave: of the values that are summed, and of the two scores whose difference is taken.
        rounding = torch.maximum(1e-3 * sums_of(values.abs()), 1e-5 * given.scores.abs())
        for item, (gap, most) in enumerate(zip(found.gap.tolist(), rounding.tolist(), strict=True)):
            if abs(gap) > most:
                said = f"the values miss the difference of the score by {gap:.3g}: a step on the way could not be seen"
                notes[item] = (*notes.get(item, ()), said)
        return at_input(values, checks=found.checks, notes=notes)


def rule_of(op: Op, *, rows: tuple[int, ...]) -> PairRule | Barred | None:
    """How differences pass back through an operation.

    Args:
        op: The operation.
        rows: How many rows its site has for one picture; only where it is one are a picture and its baseline found in
            the two halves of the rows.
    """
    moving = op.first + op.others
    if moving == 0 or op.name in _SUMS:
        return None
    if op.name in _LINEAR:
        return _barred(op, "multiplies two activations") if moving > 1 else None
    if op.name in _DROPOUTS and op.settings.get("training") is False:
        return None
    if op.name == "batch_norm":
        trained = op.settings.get("training", op.settings.get("argument 5", False)) is False
        return None if trained and moving == 1 else _barred(op, "normalises by the batch's own statistics")
    if moving > 1:
        return _barred(op, f"joins two activations ({op.name})")
    rule = _rule_of_one(op) if op.first else None
    if rule is None:
        return _barred(op, f"is {op.name}")
    if rows != (1,):
        return _barred(op, "does not keep each picture in one row")
    return PairRule(rule=rule)


def _rule_of_one(op: Op) -> Callable[[Tensor, Tensor, Tensor, Own], Tensor] | None:
    if op.name in _STRAIGHT:
        return rescaled
    if op.name in _CURVED:
        return rescaled_if_apart
    if op.name in _LARGEST:
        return largest
    if op.name == "div":
        return divided
    return None


def rescaled(slope: Tensor, before: Tensor, after: Tensor, own: Own) -> Tensor:
    """Difference out over difference in; the slope where the values that went in are the same."""
    change, _ = _differences(before)
    return _by_ratio(slope, before, after, own, near=change == 0)


def rescaled_if_apart(slope: Tensor, before: Tensor, after: Tensor, own: Own) -> Tensor:
    """The same, with the slope also where the values that went in are so close that rounding would decide the ratio.

    At a distance of the root of the rounding error the slope and the ratio are equally exact.
    """
    change, size = _differences(before)
    _, size_after = _differences(after)
    near = change.abs() <= (torch.finfo(before.dtype).eps * torch.maximum(size, size_after)).sqrt()
    return _by_ratio(slope, before, after, own, near=near)


def largest(slope: Tensor, before: Tensor, after: Tensor, own: Own) -> Tensor:
    """The larger side of a maximum takes the whole difference, at the place where it has its largest value.

    There the difference of what went in is at least as large as that of what came out, and of the same sign, so the
    ratio is between 0 and 1 and nothing is lost.
    """
    arrived, _ = slope.chunk(2)
    change_in, _ = _differences(before)
    change_out, _ = _differences(after)
    shares = sum(own(torch.cat([arrived * change_out.clamp(min=0), arrived * change_out.clamp(max=0)])).chunk(2))
    plain, _ = own(slope).chunk(2)
    return _alone(torch.where(change_in == 0, plain, shares / torch.where(change_in == 0, 1, change_in)))


def divided(slope: Tensor, before: Tensor, after: Tensor, own: Own) -> Tensor:
    """Its own derivative where that is the same for both, so that it was divided by a number; else the ratio."""
    mine, others = own(torch.ones_like(slope)).chunk(2)
    if torch.equal(mine, others):
        return _alone(own(slope).chunk(2)[0])
    return rescaled_if_apart(slope, before, after, own)


def _by_ratio(slope: Tensor, before: Tensor, after: Tensor, own: Own, *, near: Tensor) -> Tensor:
    if before.shape != after.shape:
        shapes = " into ".join("×".join(map(str, each.shape)) for each in (before, after))
        raise MethodError(f"deeplift has no rule for an operation that spreads {shapes}; use integrated-gradients.")
    arrived, _ = slope.chunk(2)
    change_in, _ = _differences(before)
    change_out, _ = _differences(after)
    by_ratio = arrived * (change_out / torch.where(near, 1, change_in))
    if not bool(near.any()):
        return _alone(by_ratio)
    # Half way between the slopes at both ends the error is of the second order.
    here, there = own(torch.cat([arrived, arrived])).chunk(2)
    return _alone(torch.where(near, (here + there) / 2, by_ratio))


def _differences(both: Tensor) -> tuple[Tensor, Tensor]:
    """Picture minus baseline, and the larger of their sizes."""
    picture, baseline = both.chunk(2)
    return picture - baseline, torch.maximum(picture.abs(), baseline.abs())


def _alone(slope: Tensor) -> Tensor:
    """Only pictures have a gradient; nothing comes back to their baselines."""
    return torch.cat([slope, torch.zeros_like(slope)])


def _barred(op: Op, what: str) -> Barred:
    return Barred(
        why=f"deeplift has no rule for site {op.site!r}, which {what}; use integrated-gradients or expected-gradients."
    )
