"""Networks that are hostile in one way, each beside a plain twin that computes the same; and networks to refuse."""

from collections.abc import Callable
from functools import cache

import torch
from tests.methods.nets import FourDimensional, Functional, InPlace, LogSoftmax, Net, Shared, Unrolled, dropping, seeded
from torch import Tensor, nn


class OutOfPlace(InPlace):
    def __init__(self) -> None:
        super().__init__()
        self.relu, self.other = nn.ReLU(), nn.ReLU()


class Repeating(Net):
    """Calls one convolution, and one rectifier, four times."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.one(x))
        for _ in range(3):
            x = self.relu(self.two(x))
        return self.last(x.mean((2, 3)))


class Repeated(Net):
    """`Repeating` with a module for each call; the modules have the same weights."""

    def __init__(self) -> None:
        super().__init__()
        copies = [nn.Conv2d(6, 6, 3, padding=1) for _ in range(3)]
        for each in copies:
            each.load_state_dict(self.two.state_dict())
        self.body = nn.Sequential(self.one, nn.ReLU(), *(part for each in copies for part in (each, nn.ReLU())))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(x).mean((2, 3)))


class Deciding(Net):
    """Goes another way where the sum over all that it is given is positive."""

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(1 + int(x.sum() > 0)):
            x = torch.tanh(1.3 * x)
        return super().forward(x)


class Choosing(Net):
    """`Deciding` for each picture by itself, without a branch."""

    def forward(self, x: Tensor) -> Tensor:
        once = torch.tanh(1.3 * x)
        twice = torch.tanh(1.3 * once)
        return super().forward(torch.where(x.sum((1, 2, 3), keepdim=True) > 0, twice, once))


class Tuple(Net):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return super().forward(x), x


class Mapping(Net):
    def forward(self, x: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        return {"out": super().forward(x)}


class Log(Net):
    """Not defined at 0, where many methods have their baseline."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(torch.log(x.abs()))


class Greedy(Net):
    """Runs out of memory where more pictures come at once than `free` says; `tried` are the numbers that did not fit.

    Args:
        free: One number, that may change while the network stays as it is.
    """

    def __init__(self, free: list[int]) -> None:
        super().__init__()
        self.free, self.tried = free, list[int]()

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.free[0]:
            self.tried.append(len(x))
            raise torch.OutOfMemoryError("no memory left")
        return super().forward(x)


def greedy(fits: int) -> Greedy:
    made = seeded(lambda: Greedy([fits]))
    assert isinstance(made, Greedy)
    return made


@cache
def compiled() -> nn.Module:
    return torch.compile(seeded(Net), backend="eager")  # type: ignore[no-any-return, call-overload]


def channels_last() -> nn.Module:
    return seeded(Net).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


TWINS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "in-place rectifiers": (lambda: seeded(InPlace), lambda: seeded(OutOfPlace)),
    "one rectifier called three times": (lambda: seeded(Shared), lambda: seeded(Unrolled)),
    "rectifiers as functions": (lambda: seeded(Functional), lambda: seeded(Unrolled)),
    "one convolution called three times": (lambda: seeded(Repeating), lambda: seeded(Repeated)),
    "dropout in train mode": (lambda: seeded(dropping).train(), lambda: seeded(dropping)),
    "decides by its input": (lambda: seeded(Deciding), lambda: seeded(Choosing)),
    "DataParallel": (lambda: nn.DataParallel(seeded(Net)), lambda: seeded(Net)),
    "compiled": (compiled, lambda: seeded(Net)),
    "channels last": (channels_last, lambda: seeded(Net)),
    "log-softmax": (lambda: seeded(LogSoftmax), lambda: seeded(Net)),
    "answers (batch, 1, 1, classes)": (lambda: seeded(FourDimensional), lambda: seeded(Net)),
}
"""Hostile networks, each with a plain twin that computes the same."""


def quantised() -> nn.Module:
    """A layer of integers in a network of numbers, as dynamic quantisation leaves them."""
    made = seeded(Net)
    made.last = torch.ao.nn.quantized.dynamic.Linear(6, 4)  # type: ignore[assignment]
    return made


def on_meta() -> nn.Module:
    return seeded(Net).to("meta")


def scripted() -> nn.Module:
    return torch.jit.trace(seeded(Net), torch.zeros(1, 3, 12, 12))  # type: ignore[no-untyped-call, no-any-return]


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "tuple": (lambda: seeded(Tuple), "the model returned a tuple, expected one tensor of logits"),
    "mapping": (lambda: seeded(Mapping), "the model returned a dict with the keys 'out', expected one tensor"),
    "quantised": (quantised, r"its part 'last' is quantised \(Linear\).*; pass the module from before quantisation"),
    "meta": (on_meta, "its weight 'one.weight' is on the meta device and has no values; load the weights"),
    "TorchScript": (scripted, "is a TorchScript module, whose inside cannot be watched; pass the Python module"),
}
"""Networks that nobody can explain as they are, and what is said of them."""
