"""The same architecture with re-drawn weights: what a network shows before it has learnt anything."""

import contextlib
import copy
import inspect
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from pellucid.errors import ModelError
from pellucid.models.model import Model

_POWER_ITERATIONS = 15
"""As many as torch takes for a new spectral norm."""


def untrained(module: nn.Module, *, seed: int) -> nn.Module:
    """A copy of a module with every weight drawn anew.

    Modules that know how to begin (`reset_parameters`, which also resets what BatchNorm remembers) do so; every
    floating-point parameter that they leave out is drawn from a normal distribution with its own mean and standard
    deviation. The module itself and the global random states stay as they were.

    Args:
        module: Any module.
        seed: For the draws; the same seed gives the same weights.

    Raises:
        ModelError: The module cannot be copied.
    """
    try:
        twin = copy.deepcopy(module)
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise ModelError(f"this {type(module).__name__} cannot be copied to re-draw its weights: {said}") from error
    twin.zero_grad()  # the gradients were those of the old weights
    before = {name: parameter.detach().clone() for name, parameter in _floating(twin)}
    with torch.no_grad(), _own_random_states(before.values(), seed):
        # NaN marks what nobody has drawn: comparing with the old values would miss a reset to the same constant.
        for _, parameter in _floating(twin):
            parameter.fill_(torch.nan)
        modes = {part: part.training for part in twin.modules()}
        twin.eval()  # a spectral norm in train mode would take the NaN into what it remembers
        # What is inside first, since a module may begin its parts in its own way.
        for part in reversed(list(twin.modules())):
            reset = getattr(part, "reset_parameters", None)
            if callable(reset) and _takes_nothing(reset):
                reset()
        for name, parameter in _floating(twin):
            if bool(torch.isnan(parameter).any()):
                parameter.copy_(_like(before[name]) if name in before else torch.randn_like(parameter))
        for part in filter(is_parametrized, list(twin.modules())):
            _settle(part)
        for part, mode in modes.items():
            part.training = mode
    return twin


def untrained_model(model: Model, *, seed: int) -> Model:
    """A model that prepares pictures and names classes as the given one, with every weight drawn anew."""
    return replace(
        model,
        module=untrained(model.module, seed=seed),
        name=f"{model.name}@random",
        source=f"{model.source}@random",
        notes=(f"the weights of {model.name} were drawn anew (seed {seed}): what this model answers means nothing",),
        card={},
    )


def _settle(part: nn.Module) -> None:
    """Let a parametrisation that remembers its weight (a spectral norm) get to know the one that was drawn."""
    assert isinstance(part.parametrizations, nn.ModuleDict)
    part.parametrizations.train()
    for name in part.parametrizations:
        for _ in range(_POWER_ITERATIONS):
            getattr(part, name)


def _floating(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(n, p) for n, p in module.named_parameters() if p.is_floating_point() or p.is_complex()]


def _like(values: Tensor) -> Tensor:
    """A draw from a normal distribution with the mean and the standard deviation of some values."""
    spread = values.std(correction=0) if values.numel() else values.new_zeros(())
    mean = values.mean() if values.numel() else values.new_zeros(())
    # A single number has no spread; its size is the only scale there is, and drawing itself again would keep it.
    scale = torch.where(spread > 0, spread, mean.abs())
    return torch.randn_like(values) * scale + mean


def _takes_nothing(reset: object) -> bool:
    try:
        inspect.signature(reset).bind()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


@contextlib.contextmanager
def _own_random_states(tensors: Iterable[Tensor], seed: int) -> Iterator[None]:
    """Draw from a seed, and put the random states of torch, Python and NumPy back."""
    devices = sorted({t.device.index or 0 for t in tensors if t.device.type == "cuda"})
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        for index in devices:
            torch.cuda.default_generators[index].manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
