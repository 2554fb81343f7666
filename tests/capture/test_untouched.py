"""A model comes out of a pass as it went in, also after an exception."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.capture.networks import Textbook
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes
from pellucid.capture.undisturbed import undisturbed
from pellucid.errors import ModelError

HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def fingerprint(module: nn.Module) -> list[object]:
    """Everything about a module and the random generators that a pass could change, as comparable values.

    Not Python's own generator: the type checks of these tests draw from it. It has a test of its own.
    """
    found: list[object] = [torch.get_rng_state().numpy().tobytes(), str(np.random.get_state())]
    found += [torch.is_grad_enabled(), torch.is_inference_mode_enabled()]
    for name, part in module.named_modules():
        found.append((name, id(part), part.training, getattr(part, "inplace", None), sorted(vars(part))))
        found.append([(hook, list(getattr(part, hook))) for hook in HOOKS])
        for key, tensor in (*part._parameters.items(), *part._buffers.items()):
            if tensor is None:
                found.append((name, key, None))
                continue
            content = tensor.detach().numpy().tobytes()
            slope = tensor.grad
            found.append((name, key, id(tensor), tensor.requires_grad, tensor.dtype, content))
            found.append((id(slope), None if slope is None else slope.numpy().tobytes()))
    return found


def in_use(module: nn.Module) -> nn.Module:
    """A module in the middle of its life: train mode, one frozen weight, some gradients."""
    module.train()
    parameters = list(module.parameters())
    parameters[0].requires_grad_(False)
    parameters[1].grad = torch.ones_like(parameters[1])
    return module


class Fails(nn.Module):
    """Raises after its third convolution; writes into a buffer, adds one, and draws before that."""

    def __init__(self, error: type[Exception]) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3))
        self.register_buffer("seen", torch.zeros(1))
        self.register_buffer("late", None)
        self.error = error

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        self.late = torch.rand(2) + random.random() + np.random.rand()
        self.register_buffer("fresh", torch.zeros(1))
        self.body(x)
        raise self.error("halfway")


def test_tracing_the_textbooks_class_leaves_it_bit_identical() -> None:
    module, batch = in_use(Textbook()), torch.randn(1, 3, 40, 40)
    before = fingerprint(module)
    pellucid.trace(module, batch)
    assert fingerprint(module) == before


@pytest.mark.parametrize("error", [RuntimeError, KeyError, AssertionError, ZeroDivisionError])
def test_an_exception_in_a_forward_leaves_the_model_bit_identical_and_is_told(error: type[Exception]) -> None:
    module, batch = in_use(Fails(error)), torch.randn(1, 3, 8, 8)
    before = fingerprint(module)
    with pytest.raises(ModelError, match=r"the model stopped in its own forward on an input of 3×8×8: .*halfway"):
        pellucid.trace(module, batch)
    assert fingerprint(module) == before


def test_a_forward_that_is_broken_off_from_outside_leaves_the_model_bit_identical() -> None:
    class Interrupted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            self.conv(x)
            raise KeyboardInterrupt

    module, batch = in_use(Interrupted()), torch.randn(1, 3, 8, 8)
    before = fingerprint(module)
    with pytest.raises(KeyboardInterrupt):
        pellucid.trace(module, batch)
    assert fingerprint(module) == before


@pytest.mark.parametrize("method", ["saliency", "guided-backpropagation", "integrated-gradients(steps=2)"])
def test_explaining_leaves_the_model_bit_identical(method: str) -> None:
    module = in_use(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 3))
    )
    batch = torch.randn(1, 3, 8, 8)
    before = fingerprint(module)
    pellucid.explain(module, batch, method=method)
    assert fingerprint(module) == before


def test_a_buffer_that_a_pass_replaces_or_adds_is_put_back() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(()))
            self.register_buffer("last", None)

        def forward(self, x: Tensor) -> Tensor:
            self.count = self.count + 1
            self.last = x.mean()
            self.register_buffer("more", torch.ones(1))
            return x * 2

    module, batch = Counts(), torch.randn(2, 3)
    before = fingerprint(module)
    passes.record(module, batch)
    assert fingerprint(module) == before


@pytest.mark.parametrize("way", ["functional batch norm", "data"])
def test_a_buffer_that_a_pass_writes_without_being_counted_is_put_back(way: str) -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(3))
            self.register_buffer("variance", torch.ones(3))

        def forward(self, x: Tensor) -> Tensor:
            if way == "data":
                self.mean.data.mul_(0.5).add_(1)
            return F.batch_norm(x, self.mean, self.variance, training=way != "data")

    module, batch = Writes(), torch.randn(4, 3)
    before = fingerprint(module)
    passes.record(module, batch)
    assert fingerprint(module) == before


def test_a_generator_of_the_models_own_goes_on_where_it_was() -> None:
    class Noise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.generator = torch.Generator().manual_seed(0)

        def forward(self, x: Tensor) -> Tensor:
            return x + torch.randn(x.shape, generator=self.generator)

    module, batch = Noise(), torch.randn(4, 3)
    one, other = passes.answer(module, batch), passes.answer(module, batch)
    assert torch.equal(one.logits, other.logits)


def test_the_random_generators_of_torch_python_and_numpy_go_on_where_they_were() -> None:
    def draw() -> tuple[float, float, float]:
        return torch.rand(()).item(), random.random(), np.random.rand()

    module = nn.Identity()
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()
    with undisturbed(module):
        draw()
    after = draw()
    torch.set_rng_state(states[0])
    random.setstate(states[1])
    np.random.set_state(states[2])
    assert after == draw()


def test_values_can_take_part_in_a_backward_pass_though_they_were_traced_in_inference_mode() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    with torch.inference_mode():
        values = pellucid.trace(module, torch.randn(1, 3, 8, 8))["0"].values
        why = pellucid.explain(nn.Sequential(module, nn.Flatten()), torch.randn(1, 3, 4, 4), method="saliency")
    assert values is not None
    assert not values.is_inference()
    weight = torch.ones_like(values, requires_grad=True)
    (values * weight).sum().backward()
    assert torch.equal(weight.grad, values)
    assert why.parts


# Without the type checks of the tests, which draw random numbers and keep records of their own.
ALONE = """
import gc, random, tracemalloc
import torch
from torch import nn
import pellucid

torch.set_num_threads(1)
module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, 2))
batch = torch.randn(1, 3, 4, 4)

def work(times):
    for number in range(times):
        pellucid.trace(module, batch)
        if number % 5 == 0:
            pellucid.explain(module, batch, method="saliency")

work(10)
state = random.getstate()
tracemalloc.start(1)
work(5)
gc.collect()
before, objects = tracemalloc.get_traced_memory()[0], len(gc.get_objects())
work(295)
gc.collect()
print(len(gc.get_objects()) - objects, (tracemalloc.get_traced_memory()[0] - before) / 295, random.getstate() == state)
"""


def test_three_hundred_traces_with_explanations_among_them_take_no_more_memory_than_ten_and_draw_nothing() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    told = subprocess.run(
        [sys.executable, "-c", ALONE], capture_output=True, text=True, check=True, env=environment
    ).stdout
    objects, kept, same = told.split()
    assert int(objects) < 10
    # torch itself loses some 100 bytes in every function mode; one kept array or record would be far more.
    assert float(kept) < 600
    assert same == "True"
