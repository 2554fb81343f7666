"""Leave no trace: a model goes through a pass and comes out bit-identical."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn


@contextlib.contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Run a model in eval mode with frozen parameters, and put back everything that a pass can change.

    Restored afterwards, also after an exception: train or eval mode of every submodule, `requires_grad` and gradients
    of every parameter, every buffer, and the random states of torch, Python and NumPy.
    """
    modes = [(part, part.training) for part in module.modules()]
    wanted = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    gradients = [(parameter, parameter.grad) for parameter, _ in wanted if parameter.is_leaf]
    registered = [(part, dict(part._buffers)) for part, _ in modes]
    contents = [
        (buffer, buffer.detach().clone(), buffer._version)
        for buffer in module.buffers()
        if not buffer.is_inference()  # they have no version and cannot be written outside of inference mode
    ]
    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = {p.device for p, _ in wanted if p.device.type == "cuda"}
    # Inference tensors cannot take part in a later backward pass, so none are made, whatever the user's block says.
    with torch.inference_mode(False), torch.random.fork_rng(devices=[d.index or 0 for d in devices]):
        try:
            for part, _ in modes:
                # Not part.eval(): a model may do more in an eval() of its own than set the flag.
                part.training = False
            for parameter, flag in wanted:
                if parameter.is_leaf and flag:
                    parameter.requires_grad_(False)
            yield
        finally:
            for part, mode in modes:
                part.training = mode
            for parameter, flag in wanted:
                if parameter.is_leaf and parameter.requires_grad != flag:
                    parameter.requires_grad_(flag)
            for parameter, gradient in gradients:
                if parameter.grad is not gradient:
                    parameter.grad = gradient
            for part, buffers in registered:
                if [(name, id(buffer)) for name, buffer in part._buffers.items()] != [
                    (name, id(buffer)) for name, buffer in buffers.items()
                ]:
                    part._buffers.clear()
                    part._buffers.update(buffers)
            for buffer, before, version in contents:
                if buffer._version != version:
                    with torch.no_grad():
                        buffer.copy_(before)
            random.setstate(python_state)
            np.random.set_state(numpy_state)
