"""Backward rules by formula: zennit's and Captum's answers, and the same where a rule of theirs is mended."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from conformance_networks import Subject, replaced
from torch import Tensor, nn

_TINY = 1e-12


class _Guided(torch.autograd.Function):
    """An activation that is cut off; what is positive goes back, with `forward` only where it let something through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, most: float, forward: bool) -> Tensor:
        ctx.save_for_backward((x > 0) & (x < most) if forward else torch.ones_like(x, dtype=torch.bool))
        return x.clamp(0, most)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        return slope.clamp(min=0) * ctx.saved_tensors[0], None, None


class _GuidedModule(nn.Module):
    def __init__(self, most: float, forward: bool) -> None:
        super().__init__()
        self.most, self.guides = most, forward

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, _Guided.apply(x, self.most, self.guides))  # type: ignore[no-untyped-call]


def _most(part: nn.Module) -> float | None:
    """Where an activation is cut off; None for what is no such activation."""
    return 6.0 if isinstance(part, nn.ReLU6) else float("inf") if isinstance(part, nn.ReLU) else None


def clipped_guidance(*, forward: bool) -> Callable[[Subject], nn.Module]:
    """A network whose slopes are those of guided backpropagation; without `forward` those of a deconvnet."""

    def change(part: nn.Module) -> nn.Module | None:
        most = _most(part)
        return None if most is None else _GuidedModule(most, forward)

    return lambda subject: replaced(subject.fresh(), change)


class _Rescaled(torch.autograd.Function):
    """The rescale rule for two rows, the picture and its baseline: Δf / Δx, or the slope where Δx is 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, most: float) -> Tensor:
        made = x.clamp(0, most)
        ctx.save_for_backward(x, made)
        ctx.most = most
        return made

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        x, made = ctx.saved_tensors
        apart, change = x[0] - x[1], made[0] - made[1]
        own = ((x[0] > 0) & (x[0] < ctx.most)).to(x)
        multiplier = torch.where(apart == 0, own, change / torch.where(apart == 0, 1, apart))
        return torch.stack([slope[0] * multiplier, torch.zeros_like(slope[0])]), None


class _Largest(torch.autograd.Function):
    """The whole Δ of a maximum goes to the place where the larger of both sides has it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, pool: nn.MaxPool2d) -> Tensor:
        made, places = F.max_pool2d(
            x, pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode, return_indices=True
        )
        ctx.save_for_backward(x, made, places)
        return made

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        x, made, places = ctx.saved_tensors
        change, apart = (made[0] - made[1]).flatten(1), (x[0] - x[1]).flatten(1)
        given, mine, other = slope[0].flatten(1), places[0].flatten(1), places[1].flatten(1)
        shares = torch.zeros_like(apart).scatter_add(1, torch.where(change > 0, mine, other), given * change)
        plain = torch.zeros_like(apart).scatter_add(1, mine, given)
        multiplier = torch.where(apart == 0, plain, shares / torch.where(apart == 0, 1, apart)).view_as(x[0])
        return torch.stack([multiplier, torch.zeros_like(multiplier)]), None


class _RescaledModule(nn.Module):
    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, _Rescaled.apply(x, self.most))  # type: ignore[no-untyped-call]


class _LargestModule(nn.Module):
    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, _Largest.apply(x, self.pool))  # type: ignore[no-untyped-call]


def deeplift_by_formula(subject: Subject) -> Tensor:
    """Picture and black together through a network whose activations and maxima hand differences back."""

    def change(part: nn.Module) -> nn.Module | None:
        most = _most(part)
        if most is not None:
            return _RescaledModule(most)
        return _LargestModule(part) if isinstance(part, nn.MaxPool2d) else None

    module = replaced(subject.fresh(), change)
    both = torch.cat([subject.x, torch.zeros_like(subject.x)]).requires_grad_()
    score = module(both)[0, subject.target]
    return subject.x[0] * torch.autograd.grad(score, both)[0][0]


def _zennit(subject: Subject, module: nn.Module, composite: Any, begin: float | None = None) -> Tensor:
    from zennit.attribution import Gradient

    with torch.no_grad():
        scores = module(subject.x)
    start = torch.zeros_like(scores)
    start[0, subject.target] = scores[0, subject.target] if begin is None else begin
    with Gradient(model=module, composite=composite) as attributor:
        _, found = attributor(subject.x.clone(), start)
    return cast(Tensor, found[0].detach())


def lrp_with_canonizer(subject: Subject) -> Tensor:
    """What zennit answers as it comes."""
    from zennit.canonizers import SequentialMergeBatchNorm
    from zennit.composites import EpsilonPlusFlat

    return _zennit(subject, subject.fresh(), EpsilonPlusFlat(canonizers=[SequentialMergeBatchNorm()]))


def lrp_after_merging(subject: Subject) -> Tensor:
    """The same rules on a network without batch norms."""
    from zennit.composites import EpsilonPlusFlat

    return _zennit(subject, subject.merged(), EpsilonPlusFlat())


def excitation(subject: Subject, *, clamped: bool) -> Tensor:
    """The excitation backprop of zennit, in which what is negative takes no part if `clamped`."""
    from zennit.composites import ExcitationBackprop
    from zennit.core import BasicHook, Stabilizer
    from zennit.layer import Sum
    from zennit.rules import ClampMod, NoMod, Pass
    from zennit.types import Activation, AvgPool, Linear

    steady = Stabilizer.ensure(_TINY)

    def positive(weights: Any) -> Any:
        return BasicHook(
            input_modifiers=[lambda given: given.clamp(min=0)],
            param_modifiers=[weights],
            output_modifiers=[lambda made: made],
            gradient_mapper=lambda slope, made: slope / steady(made[0]),
            reducer=lambda given, slopes: given[0] * slopes[0],
        )

    excites = ClampMod(min=0.0, zero_params="bias")
    rules = [(Activation, Pass()), ((Sum, AvgPool), positive(NoMod(param_keys=[]))), (Linear, positive(excites))]
    composite = ExcitationBackprop(stabilizer=_TINY, layer_map=rules if clamped else [], zero_params="bias")
    return _zennit(subject, subject.merged(), composite, begin=1.0)


def full_gradient(subject: Subject) -> np.ndarray:
    """Slopes at zeros that are added where biases are, times the biases; each cell spread bilinearly."""
    module, x = subject.fresh(), subject.x.clone().requires_grad_()
    added: list[tuple[Tensor, Tensor]] = []

    def hook(part: nn.Module, given: Any, made: Tensor) -> Tensor:
        zero = torch.zeros_like(made).requires_grad_()
        added.append((zero, _bias(part, given[0].detach(), made.detach())))
        return made + zero

    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.BatchNorm2d | nn.ReLU6):
            part.register_forward_hook(hook)
    score = module(x)[0, subject.target]
    slopes = torch.autograd.grad(score, [x, *(zero for zero, _ in added)])
    total = (slopes[0] * x.detach())[0].sum(0).double()
    for slope, (_, bias) in zip(slopes[1:], added, strict=True):
        if max(slope.shape[2:]) > 1:
            total = total + _spread((slope * bias)[0].sum(0).double(), x.shape[-1])
    return total.numpy()


def _bias(part: nn.Module, given: Tensor, made: Tensor) -> Tensor:
    if isinstance(part, nn.ReLU6):  # what its tangent adds: 6 where it is cut off
        return made - given * ((given > 0) & (given < 6))
    if isinstance(part, nn.BatchNorm2d):
        factor = part.weight / torch.sqrt(cast(Tensor, part.running_var) + part.eps)
        return (part.bias - factor * cast(Tensor, part.running_mean)).detach().view(1, -1, 1, 1)
    bias = cast(Tensor | None, part.bias)
    return made.new_zeros(1) if bias is None else bias.detach().view(1, -1, 1, 1)


def _spread(cells: Tensor, side: int) -> Tensor:
    """Each cell's value over its pixels, by bilinear weights that add up to 1."""
    count = cells.shape[-1]
    eye = torch.eye(count, dtype=cells.dtype)
    weights = F.interpolate(eye[None], size=side, mode="linear", align_corners=False)[0]
    weights = weights / weights.sum(1, keepdim=True)
    return weights.T @ cells @ weights
