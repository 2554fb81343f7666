"""The untrained twin of a network: the same architecture with random weights, as a control."""

import copy

import torch
from torch import nn


def untrained(module: nn.Module, *, seed: int) -> nn.Module:
    """A copy whose every parameter is drawn anew; the module itself and the global random state are left alone.

    Each part draws its weights by its own `reset_parameters`, as it did when it was made. A parameter that no part
    draws (a token, a learnt scale) comes from a normal distribution with the mean and the standard deviation that it
    had. Running statistics start at mean 0 and variance 1.

    Args:
        module: The network.
        seed: For every draw.
    """
    twin = copy.deepcopy(module)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for part in twin.modules():
            if callable(reset := getattr(part, "reset_parameters", None)):
                reset()
                continue
            for parameter in part.parameters(recurse=False):
                spread = float(parameter.std(correction=0)) if parameter.numel() > 1 else 0.0
                parameter.normal_(float(parameter.mean()), spread)
    for parameter in twin.parameters():
        parameter.grad = None
    return twin
