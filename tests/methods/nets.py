"""Tiny networks that are hostile in one way each, for pictures of 3×12×12, and what a model looks like from outside."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.capture.asks import Facts, Given, Seen
from pellucid.inputs.image import Image
from pellucid.inputs.reading import read
from pellucid.models.model import Model
from pellucid.models.preprocessing import Preprocessing

SHAPE = (3, 12, 12)


class Net(nn.Module):
    """Two convolutions and a linear layer; what lies between them is the subject of each test."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 6, 3, padding=1)
        self.two = nn.Conv2d(6, 6, 3, padding=1)
        self.last = nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.two(F.relu(self.one(x))))
        return self.last(F.max_pool2d(x, 2).mean((2, 3)))


class Residual(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.one(x))
        x = F.relu(x + self.two(x))
        return self.last(x.mean((2, 3)))


class InPlace(Net):
    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.other = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.one(x))
        x = self.other(self.two(x))
        return self.last(x.mean((2, 3)))


class Shared(Net):
    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.one(x))
        x = self.relu(self.two(x) - 0.05)
        return self.last(self.relu(x.mean((2, 3)) - 0.01))


class Unrolled(Net):
    """`Shared` with a module for each of its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.one(x))
        x = self.relu2(self.two(x) - 0.05)
        return self.last(self.relu3(x.mean((2, 3)) - 0.01))


class Functional(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.one(x))
        x = (self.two(x) - 0.05).relu_()
        return self.last(F.relu(x.mean((2, 3)) - 0.01, inplace=True))


class Normed(Net):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(6)
        with torch.no_grad():
            self.norm.running_mean.uniform_(-0.2, 0.2)  # type: ignore[union-attr]
            self.norm.running_var.uniform_(0.2, 0.8)  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.one(x)))
        return self.last(F.relu(self.two(x)).mean((2, 3)))


class LogSoftmax(Net):
    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(super().forward(x), dim=1)


class OneLogit(Net):
    def __init__(self) -> None:
        super().__init__(classes=1)


class FourDimensional(Net):
    """Answers (batch, 1, 1, classes)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, None, None, :]


class Dropping(Net):
    """Is given in train mode."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.one(x)))
        return self.last(self.drop(F.relu(self.two(x))).mean((2, 3)))


def dropping() -> nn.Module:
    return Dropping().train()


def frozen() -> nn.Module:
    net = InPlace()
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    return net


def with_gradients() -> nn.Module:
    net = Residual()
    net(torch.rand(2, *SHAPE)).sum().backward()
    return net


def with_hooks() -> nn.Module:
    net = Net()
    net.one.register_forward_hook(lambda module, inputs, output: None)
    return net


NETS: dict[str, Callable[[], nn.Module]] = {
    "residual": Residual,
    "in-place": InPlace,
    "shared": Shared,
    "functional": Functional,
    "batch norm": Normed,
    "log-softmax": LogSoftmax,
    "one logit": OneLogit,
    "four dimensions": FourDimensional,
    "dropout in train mode": dropping,
    "frozen": frozen,
    "user's gradients": with_gradients,
    "user's hooks": with_hooks,
}


def net(name: str, seed: int = 0) -> nn.Module:
    """One of the networks; the global random state is not used up."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = NETS[name]()
    return made if name.startswith("dropout") else made.eval()


def seeded(build: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build().eval()


def pictures(count: int = 1, seed: int = 1, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randn((count, *shape), generator=torch.Generator().manual_seed(seed))


def image(height: int = 12, width: int = 12, seed: int = 0) -> Image:
    return read(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def model(module: nn.Module, *, class_names: tuple[str, ...] | None = None, **preparing: Any) -> Model:
    """A model that takes pictures as they are, unless told how to prepare them."""
    said: dict[str, Any] = {"resize": None, "crop": None, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    preprocessing = Preprocessing(source="test", **{**said, **preparing})
    return Model(module=module, name="net", preprocessing=preprocessing, class_names=class_names, source="test")


def given_of(x: Tensor, *, preparing: Preprocessing | None = None, seed: int = 0) -> Given:
    """What a probe begins with, as far as baselines look at it."""
    facts = Facts(sites=(), aliases={}, class_site=None, items=len(x), input_shape=tuple(x.shape))
    rng = torch.Generator().manual_seed(seed)
    seen = Seen(values={}, slopes={})
    return Given(x=x, rng=rng, facts=facts, seen=seen, scores=torch.zeros(len(x)), preparing=preparing)


def state_of(module: nn.Module) -> dict[str, Any]:
    """Everything about a model, and about the global generators, that an explanation must leave alone.

    Not Python's own generator: the type checks that only tests switch on draw from it. It has a test of its own.
    """
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks")
    return {
        "tensors": {k: (id(v), v._version, _digest(v)) for k, v in module.state_dict(keep_vars=True).items()},
        "parts": [
            (name, id(part), part.training, getattr(part, "inplace", None)) for name, part in module.named_modules()
        ],
        "attributes": [(name, sorted(vars(part))) for name, part in module.named_modules()],
        "hooks": [(name, h, list(getattr(part, h))) for name, part in module.named_modules() for h in hooks],
        "wanted": [p.requires_grad for p in module.parameters()],
        "gradients": [None if p.grad is None else (id(p.grad), _digest(p.grad)) for p in module.parameters()],
        "random": (_digest(torch.get_rng_state()), str(np.random.get_state())),
        "grad mode": torch.is_grad_enabled(),
    }


def _digest(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.detach().contiguous().numpy().tobytes()).hexdigest()
