"""The networks of the conformance table: as a user has them, and as the peers need them."""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from attribution import network, picture
from peers import torchvision_beside_any_torch
from real_networks import DATA, real_network
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

import pellucid

SIDE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network and what is asked of it.

    Attributes:
        module: As a user has it.
        fresh: Makes a copy as peers need it, equal in what it returns: nothing in place, a module for each call of a
            ReLU, for sums and averages, and logits at the end.
        twin: One such copy.
        x: The input, (1, 3, side, side).
        layer: Where class activation maps and channels are compared.
        target: The class.
    """

    module: nn.Module
    fresh: Callable[[], nn.Module]
    twin: nn.Module
    x: Tensor
    layer: str
    target: int

    def as_probabilities_need(self) -> "Subject":
        """The same with no negative input, which has no part in excitation backprop."""
        return dataclasses.replace(self, x=self.x.abs())

    def merged(self) -> nn.Module:
        """A copy with batch norms merged into the layers before them, by torch."""
        return _merge(self.fresh())


class Reused(nn.Module):
    """One ReLU module for every activation, one of them after a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, 4)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = self.relu(self.one(x))
        x = self.relu(x + self.two(x))
        made: Tensor = self.last(self.relu(x.mean((2, 3)) - 1 / 128))
        return made


class Functional(Reused):
    """The same with functions, one of them in place."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = torch.relu(self.one(x))
        x = (x + self.two(x)).relu_()
        made: Tensor = self.last(F.relu(x.mean((2, 3)) - 1 / 128))
        return made


class Unrolled(Reused):
    """The same with a module for everything; what is subtracted is the bias of a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.sum, self.average, self.shift = _sum(), nn.AdaptiveAvgPool2d(1), nn.Linear(6, 6)
        with torch.no_grad():
            self.shift.weight.copy_(torch.eye(6))
            self.shift.bias.fill_(-1 / 128)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = self.relu1(self.one(x))
        x = self.relu2(self.sum(torch.stack([x, self.two(x)], dim=-1)))
        made: Tensor = self.last(self.relu3(self.shift(self.average(x).flatten(1))))
        return made


def _sum() -> nn.Module:
    torchvision_beside_any_torch()
    from zennit.layer import Sum

    return cast(nn.Module, Sum())


def _basic_block(block: Any) -> None:
    """A residual block of torchvision with two ReLU modules and a module for the sum."""
    block.first, block.second, block.sum = nn.ReLU(), nn.ReLU(), _sum()

    def forward(x: Tensor) -> Tensor:
        by = x if block.downsample is None else block.downsample(x)
        through = block.bn2(block.conv2(block.first(block.bn1(block.conv1(x)))))
        return cast(Tensor, block.second(block.sum(torch.stack([through, by], dim=-1))))

    block.forward = forward


def _inverted_residual(block: Any) -> None:
    if block.use_res_connect:
        block.sum = _sum()
        block.forward = lambda x: block.sum(torch.stack([x, block.conv(x)], dim=-1))


def _mobile(model: Any) -> None:
    model.average = nn.AdaptiveAvgPool2d(1)
    model.forward = lambda x: model.classifier(model.average(model.features(x)).flatten(1))


def _textbook(model: Any) -> None:
    """The seed network without its log-softmax: pellucid explains the logits before it."""
    model.average = nn.AdaptiveAvgPool2d(1)
    model.forward = lambda x: model.classifier(model.average(model.features(x)).flatten(1))


_CHANGES: dict[str, Callable[[Any], None]] = {
    "BasicBlock": _basic_block,
    "InvertedResidual": _inverted_residual,
    "MobileNetV2": _mobile,
    "XAI": _textbook,
}


def _twin_of(module: nn.Module) -> nn.Module:
    made = copy.deepcopy(module)
    for part in list(made.modules()):
        if hasattr(part, "inplace"):
            part.inplace = False  # type: ignore[assignment]
        _CHANGES.get(type(part).__name__, lambda _: None)(part)
    return made


def _merge(module: nn.Module) -> nn.Module:
    """Batch norms merged, in place, into the convolution or linear layer that stands before them."""
    before: tuple[nn.Module, str] | None = None
    for parent, name, part in _leaves(module):
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and before is not None:
            layer = getattr(*before)
            fuse = fuse_conv_bn_eval if isinstance(layer, nn.Conv2d) else fuse_linear_bn_eval
            setattr(*before, fuse(layer, part))
            setattr(parent, name, nn.Identity())
        if not isinstance(part, nn.Dropout):
            before = (parent, name) if isinstance(part, nn.Conv2d | nn.Linear) else None
    return module


def in_batches(given: Tensor, count: int) -> list[Tensor]:
    """Rows, some at a time."""
    return [given[first : first + count] for first in range(0, len(given), count)]


def replaced(module: nn.Module, change: Callable[[nn.Module], nn.Module | None]) -> nn.Module:
    """Leaves changed in place, where `change` gives another module for them."""
    for parent, name, part in _leaves(module):
        other = change(part)
        if other is not None:
            setattr(parent, name, other)
    return module.eval()


def _leaves(module: nn.Module) -> Sequence[tuple[nn.Module, str, nn.Module]]:
    return [
        (parent, name, part)
        for parent in module.modules()
        for name, part in parent.named_children()
        if not list(part.children())
    ]


def _subject(
    module: nn.Module, layer: str, dtype: torch.dtype, *, side: int = SIDE, unrolled: nn.Module | None = None
) -> Subject:
    module = module.to(dtype).eval()

    def fresh() -> nn.Module:
        return _twin_of(module) if unrolled is None else copy.deepcopy(unrolled).to(dtype).eval()

    x = torch.rand((1, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 4 - 2
    x = x.to(dtype)
    with torch.no_grad():
        target = int(module(x)[0].argmax())
    return Subject(module=module, fresh=fresh, twin=fresh(), x=x, layer=layer, target=target)


def _small(kind: type[nn.Module], dtype: torch.dtype) -> Subject:
    torch.manual_seed(0)
    twin = Unrolled()
    module = kind()
    module.load_state_dict(twin.state_dict(), strict=False)
    return _subject(module, "two", dtype, unrolled=twin)


def _of(name: str, layer: str) -> Callable[[torch.dtype], Subject]:
    return lambda dtype: _subject(network(name), layer, dtype)


def _real(name: str, layer: str) -> tuple[str, Callable[[torch.dtype], Subject]]:
    """With real weights where the shared data has them, else with random ones."""
    if not (DATA / "models" / name).is_dir():
        return f"{name}, random", _of(name, layer)
    return f"{name}, real", lambda dtype: _subject(copy.deepcopy(real_network(name, DATA).module), layer, dtype)


def _seed(dtype: torch.dtype) -> Subject:
    """The bundled weights, and batch norms that know what they see; larger, so that positions are left at the end."""
    module = copy.deepcopy(pellucid.load("xai").module)
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.train()
    with torch.no_grad():
        for seed in (1, 2):
            module(F.interpolate(picture(8, seed=seed), size=(72, 72)))
    return _subject(module, "features.8", dtype, side=72)


NETWORKS: dict[str, Callable[[torch.dtype], Subject]] = {
    "functional ReLU": lambda dtype: _small(Functional, dtype),
    "reused ReLU": lambda dtype: _small(Reused, dtype),
    "xai, bundled": _seed,
    "resnet18, random": _of("resnet18", "layer4"),
    "vgg11_bn, random": _of("vgg11_bn", "features.27"),
    **dict([_real("mobilenet_v2", "features.18"), _real("squeezenet1_0", "features.12")]),
}
