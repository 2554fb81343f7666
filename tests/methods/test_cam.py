from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.methods.cam_oracles import near, ours
from tests.methods.nets import Net, net, pictures, seeded
from torch import Tensor, nn

import pellucid
from pellucid.errors import MethodError


class Head(Net):
    """A head of its own over the maps of the second convolution."""

    def __init__(self, head: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.head = head
        self.classes = nn.Conv2d(6, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.two(torch.relu(self.one(x)))))


def headed(head: Callable[[Head], Callable[[Tensor], Tensor]]) -> Head:
    module = seeded(lambda: Head(lambda maps: maps)).double()
    module.head = head(module)  # type: ignore[arg-type]
    return module  # type: ignore[return-value]


HEADS: dict[str, Callable[[Head], Callable[[Tensor], Tensor]]] = {
    "mean": lambda own: lambda maps: own.last(maps.mean((2, 3))),
    "mean over rows": lambda own: lambda maps: own.last(maps.flatten(2).mean(-1)),
    "pooling and dropout": lambda own: lambda maps: own.last(
        F.dropout(F.adaptive_avg_pool2d(maps, 1).flatten(1), 0.5, training=False)
    ),
    "pooling of the whole": lambda own: lambda maps: own.last(F.avg_pool2d(maps, 12).flatten(1)),
    "1×1 convolution": lambda own: lambda maps: own.classes(F.adaptive_avg_pool2d(maps, 1)).flatten(1),
    "softmax": lambda own: lambda maps: own.last(maps.mean((2, 3), keepdim=True).flatten(1)).softmax(1),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_values_are_the_maps_times_the_weights_of_the_class(name: str) -> None:
    module, x = headed(HEADS[name]), pictures(2).double()
    maps = torch.relu(module.two(torch.relu(module.one(x))))
    weights = module.classes.weight[1, :, 0, 0] if "convolution" in name else module.last.weight[1]
    expected = (weights[:, None, None] * maps).sum(1)
    assert near(ours(module, x, "cam", 1), expected, 1e-10)
    assert np.allclose(ours(module, x, "cam(sign=positive)", 1), expected.detach().clamp(min=0))


def test_their_mean_is_the_score_without_the_bias() -> None:
    module, x = net("batch norm").double(), pictures(2).double()
    expected = module(x)[:, 2] - module.last.bias[2]  # type: ignore[index, union-attr]
    assert near(ours(module, x, "cam", 2).mean((1, 2)), expected, 1e-10)


def test_a_contrast_is_the_difference_of_both_maps() -> None:
    module, x = net("residual").double(), pictures().double()
    made = pellucid.explain(module, x, method="cam", target="contrast:0,2")
    assert near(made.values, ours(module, x, "cam", 0)[0] - ours(module, x, "cam", 2)[0], 1e-10)


def test_where_the_average_comes_after_the_class_layer_the_map_is_that_of_the_class() -> None:
    module = headed(lambda own: lambda maps: F.adaptive_avg_pool2d(torch.relu(own.classes(maps)), 1).flatten(1))
    x = pictures(2).double()
    module.classes.bias.data += 0.3
    maps = torch.relu(module.classes(torch.relu(module.two(torch.relu(module.one(x))))))
    made = ours(module, x, "cam", 3)
    assert near(made, maps[:, 3], 1e-10)
    assert near(made.mean((1, 2)), module(x)[:, 3], 1e-10)


REFUSED: dict[str, tuple[Callable[[Head], Callable[[Tensor], Tensor]], str]] = {
    "max": (lambda own: lambda maps: own.last(maps.amax((2, 3))), "follows '/amax' (amax)"),
    "relu": (lambda own: lambda maps: own.last(maps.mean((2, 3)).relu()), "follows '/relu#3' (relu)"),
    "one axis": (lambda own: lambda maps: own.last(maps.mean(3).mean(2)), "follows '/mean#2' (mean)"),
    "part": (
        lambda own: lambda maps: own.last(F.avg_pool2d(maps, 8).flatten(1)),
        "follows '/avg_pool2d' (avg_pool2d)",
    ),
    "scaled": (lambda own: lambda maps: own.last(maps.mean((2, 3))) * 3, "after class layer 'last' comes '/mul' (mul)"),
    "large kernel": (
        lambda own: lambda maps: F.conv2d(maps, torch.ones(4, 6, 3, 3).double()).mean((2, 3)),
        "kernel is larger than 1×1",
    ),
    "maximum of class maps": (
        lambda own: lambda maps: own.classes(maps).amax((2, 3)),
        "the maps of class layer 'classes' are not simply averaged",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_another_head_is_refused_and_said_where(name: str) -> None:
    head, said = REFUSED[name]
    with pytest.raises(MethodError) as caught:
        pellucid.explain(headed(head), pictures().double(), method="cam")
    assert said in str(caught.value)
    assert str(caught.value).endswith("; use hirescam or grad-cam.")
