"""Is a picture of the kind that a network was trained on? Measured against what its BatchNorm layers remember.

Every BatchNorm2d keeps the mean and variance of each channel of its input over the training pictures. A picture of another
kind has channels whose own mean and spread are far from these.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def unlikeness(module: nn.Module, inputs_of_batchnorm: Mapping[str, Tensor]) -> Tensor:
    """How far each picture's channels are from those of the training pictures; about the same for all of these.

    For a channel with running mean m and variance v, and a picture with mean a and variance b there, the measure is the
    divergence of one normal distribution from the other, ½ (b/v + (a − m)²/v − 1 − ln(b/v)); it is averaged over all
    channels of all layers. It is 0 for a picture whose channels are just as they were in training.

    Args:
        module: The network, only read.
        inputs_of_batchnorm: For each BatchNorm2d, by its name in the module, the tensor that went into it.

    Returns:
        One number per picture, 0 or more.

    Raises:
        KeyError: The module has no BatchNorm2d of a given name.
        ValueError: No input is given.
    """
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    per_channel = []
    for name, values in inputs_of_batchnorm.items():
        layer = layers[name]
        if layer.running_mean is None or layer.running_var is None:
            continue
        spread = layer.running_var + layer.eps
        flat = values.detach().flatten(2)
        ratio = (flat.var(dim=2, unbiased=False) + layer.eps) / spread
        shift = (flat.mean(dim=2) - layer.running_mean) ** 2 / spread
        per_channel.append(0.5 * (ratio + shift - 1 - ratio.log()))
    if not per_channel:
        raise ValueError("inputs_of_batchnorm is empty, expected the inputs of the network's BatchNorm2d layers.")
    return torch.cat(per_channel, dim=1).mean(dim=1)


@contextmanager
def batchnorm_inputs(module: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect what goes into every BatchNorm2d while the network runs; the hooks are gone afterwards."""
    seen: dict[str, Tensor] = {}
    handles = []

    def keeper(name: str) -> "_Keeper":
        return _Keeper(name, seen)

    try:
        for name, layer in module.named_modules():
            if isinstance(layer, nn.BatchNorm2d):
                handles.append(layer.register_forward_pre_hook(keeper(name)))
        yield seen
    finally:
        for handle in handles:
            handle.remove()


class _Keeper:
    def __init__(self, name: str, seen: dict[str, Tensor]) -> None:
        self._name, self._seen = name, seen

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._seen[self._name] = inputs[0]
