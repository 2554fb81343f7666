"""Batch norm with fixed statistics as what it is, a scale and a shift per channel, and folded into the layer before."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.capture.program import Step


def is_fixed(step: Step) -> bool:
    """Whether a batch norm uses statistics that do not depend on the batch."""
    # torch.batch_norm takes its arguments in another order.
    plain = step.function is F.batch_norm
    return plain and step.argument(1, "running_mean") is not None and step.argument(5, "training", False) is False


def scale_and_shift(norm: Step) -> tuple[Tensor, Tensor]:
    """What a batch norm with fixed statistics multiplies each channel by, and what it adds."""
    mean, variance = norm.argument(1, "running_mean"), norm.argument(2, "running_var")
    weight, bias = norm.argument(3, "weight"), norm.argument(4, "bias")
    scale = torch.rsqrt(variance + norm.argument(7, "eps", 1e-5))
    scale = scale if weight is None else scale * weight
    shift = -mean * scale
    return scale.detach(), (shift if bias is None else shift + bias).detach()


def folded(layer: Step, norm: Step) -> tuple[Tensor, Tensor]:
    """Weight and bias with which a convolution or linear layer does the batch norm behind it as well."""
    scale, shift = scale_and_shift(norm)
    weight, bias = layer.argument(1, "weight"), layer.argument(2, "bias")
    if layer.op.startswith("conv_transpose"):  # (in, out of one group, …)
        groups = layer.argument(6, "groups", 1)
        by_group = weight.unflatten(0, (groups, -1)) * scale.reshape(groups, 1, -1, *[1] * (weight.dim() - 2))
        new = by_group.flatten(0, 1)
    else:
        new = weight * scale.reshape(-1, *[1] * (weight.dim() - 1))
    return new.detach(), (shift if bias is None else shift + bias * scale).detach()
