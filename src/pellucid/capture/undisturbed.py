"""Leave no trace: a model goes through a pass and comes out bit-identical."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from pellucid.capture.provenance import storage_of

_WRITES = [0]  # how often passes have written to weights


def writes_seen() -> int:
    """How often a pass of pellucid's own has written to weights so far; they are put back after it."""
    return _WRITES[0]


class Weights:
    """The parameters of a model as they were, in case it writes to them: max-norm layers do, and hand-written ones.

    Nothing is copied until somebody is about to write.
    """

    def __init__(self, module: nn.Module) -> None:
        # Under an alias, since `parameter.data = other` takes the memory away from the parameter.
        self._before = [(parameter, parameter.detach()) for parameter in module.parameters() if _is_usual(parameter)]
        self._places: dict[int, list[Tensor]] = {}
        for _, alias in self._before:
            self._places.setdefault(storage_of(alias), []).append(alias)
        self._copies: list[tuple[Tensor, Tensor]] = []

    def before_write(self, tensor: Tensor) -> None:
        """Copy the parameters that share memory with a tensor which is about to be overwritten."""
        for alias in self._places.pop(storage_of(tensor), ()):
            _WRITES[0] += 1
            with torch._C.DisableTorchFunction():
                self._copies.append((alias, alias.clone()))

    def restore(self) -> None:
        """Put back what has changed."""
        with torch.no_grad():
            for alias, copy in self._copies:
                alias.copy_(copy)
        for parameter, alias in self._before:
            if parameter.data_ptr() != alias.data_ptr() or parameter.shape != alias.shape:
                parameter.data = alias


@contextlib.contextmanager
def same_random_states(module: nn.Module) -> Iterator[None]:
    """Put back the random states of torch, Python, NumPy and the model's own generators of torch."""
    devices = {parameter.device for parameter in module.parameters() if parameter.device.type == "cuda"}
    with contextlib.ExitStack() as undo:
        undo.enter_context(torch.random.fork_rng(devices=[device.index or 0 for device in devices]))
        undo.callback(random.setstate, random.getstate())
        undo.callback(np.random.set_state, np.random.get_state())
        own = [each for part in module.modules() for each in vars(part).values() if isinstance(each, torch.Generator)]
        for generator in own:
            undo.callback(generator.set_state, generator.get_state())
        yield


@contextlib.contextmanager
def undisturbed(module: nn.Module) -> Iterator[Weights]:
    """Run a model in eval mode with frozen parameters, and put back everything that a pass can change.

    Restored afterwards, also after an exception: train or eval mode of every submodule, parameters with their
    `requires_grad` and gradients, every buffer, and the random states of torch, Python, NumPy and the model's own
    generators of torch.

    Yields:
        The parameters as they were; to be told of every operation that writes in place.
    """
    parts = list(module.modules())
    parameters = [parameter for parameter in module.parameters() if _is_usual(parameter)]
    weights = Weights(module)
    # One step after the other is undone, whatever another one does.
    with contextlib.ExitStack() as undo:
        # Inference tensors cannot take part in a later backward pass, so none are made, whatever the user's block says.
        undo.enter_context(torch.inference_mode(False))
        undo.enter_context(same_random_states(module))
        for buffer in module.buffers():
            if not buffer.is_inference():  # they have no version and cannot be written outside of inference mode
                undo.callback(_restore_buffer, buffer, buffer.detach().clone(), buffer._version)
        for part in parts:
            undo.callback(_restore_registered, part, dict(part._buffers))
            undo.callback(setattr, part, "training", part.training)
        for parameter in parameters:
            undo.callback(_restore_gradient, parameter, parameter.grad, parameter.requires_grad)
        undo.callback(weights.restore)
        for part in parts:
            # Not part.eval(): a model may do more in an eval() of its own than set the flag.
            part.training = False
        for parameter in parameters:
            if parameter.requires_grad:
                parameter.requires_grad_(False)
        yield weights


def _is_usual(parameter: nn.Parameter) -> bool:
    # A tensor made in inference mode stays as it is: nothing about it can be set outside.
    return parameter.is_leaf and not parameter.is_inference()


def _restore_gradient(parameter: nn.Parameter, gradient: Tensor | None, wanted: bool) -> None:
    if parameter.requires_grad != wanted:
        parameter.requires_grad_(wanted)
    if parameter.grad is not gradient:
        parameter.grad = gradient


def _restore_registered(part: nn.Module, before: dict[str, Tensor | None]) -> None:
    now = part._buffers
    if [(name, id(buffer)) for name, buffer in now.items()] != [(name, id(buffer)) for name, buffer in before.items()]:
        now.clear()
        now.update(before)


def _restore_buffer(buffer: Tensor, before: Tensor, version: int) -> None:
    # Functional batch norm and writes through `.data` are not counted.
    if buffer._version != version or not _same(buffer, before):
        with torch.no_grad():
            buffer.copy_(before)


def _same(one: Tensor, other: Tensor) -> bool:
    # NaN is not equal to itself; a buffer that has some would count as written to.
    return torch.equal(one, other) or (
        one.is_floating_point() and one.shape == other.shape and torch.allclose(one, other, 0, 0, equal_nan=True)
    )
