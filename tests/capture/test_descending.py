"""Handing down through a recorded pass: what a rule is given, what is folded, and what cannot be followed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.capture import passes
from pellucid.capture.descending import hand_down
from pellucid.capture.folding import folded, scale_and_shift
from pellucid.capture.handing import Handed, Operation
from pellucid.capture.program import Program
from pellucid.capture.scores import Score


def slope(operation: Operation, arrived: tuple[Tensor | None, ...]) -> Handed:
    """The rule that makes relevance the derivative."""
    [relevance] = arrived
    assert relevance is not None
    return Handed(inputs=operation.back()[1](relevance))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(4, 3)
        self.relu = nn.ReLU(inplace=True)
        assert self.norm.running_mean is not None
        self.norm.running_mean.uniform_(-1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.conv(x)))
        x = x + self.relu(x * 2 - 1)
        return self.last(torch.cat([x, x], 1)[:, 2:6].mean((2, 3)))


def test_with_the_derivative_as_its_rule_it_is_autograd() -> None:
    net, x = Net().double().eval(), torch.randn(2, 3, 5, 5, dtype=torch.float64)
    scores = [Score(place="logits", weights={0: 1.0, 2: -2.0}), Score(place="logits", weights={1: 1.0})]
    found = hand_down(net, x, scores, slope, start="weight", places=frozenset({"input", "norm"}))
    leaf = x.clone().requires_grad_()
    logits = net(leaf)
    expected = torch.autograd.grad(logits[0, 0] - 2 * logits[0, 2] + logits[1, 1], leaf)[0]
    assert torch.allclose(found.at["input"], expected, rtol=1e-10, atol=1e-14)
    assert torch.allclose(found.sums["last"], torch.tensor([-1.0, 1.0], dtype=torch.float64))
    assert torch.allclose(found.at["norm"].flatten(1).sum(1), found.sums["norm"])


def test_a_share_is_the_part_of_the_score() -> None:
    net, x = Net().eval(), torch.randn(2, 3, 5, 5)
    scores = [Score(place="norm", weights={1: 1.0})] * 2
    found = hand_down(net, x, scores, slope, start="share", places=frozenset({"norm"}))
    expected = net.norm(net.conv(x))[:, 1].mean((1, 2))
    assert torch.allclose(found.sums["norm"].float(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "build",
    [
        lambda: (nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(6), (2, 4, 7, 7)),
        lambda: (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), nn.BatchNorm2d(6), (2, 4, 5, 5)),
        lambda: (nn.Conv1d(4, 6, 3, bias=False), nn.BatchNorm1d(6, affine=False), (2, 4, 7)),
        lambda: (nn.Linear(4, 6), nn.BatchNorm1d(6), (2, 4)),
    ],
    ids=["grouped convolution", "grouped transposed convolution", "one dimension", "linear"],
)
def test_a_folded_batch_norm_leaves_the_output_as_it_is(build: Callable[[], Any]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer, norm, shape = build()
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.3, 2)
        net, x = nn.Sequential(layer, norm).double().eval(), torch.randn(shape, dtype=torch.float64)
    with passes.program(net, x) as (program, _, output):
        first, second = program.steps
        weight, bias = folded(first, second)
        made = first.function(x, weight, bias, *first.args[3:])
        assert torch.allclose(made, output, rtol=1e-12, atol=1e-12)
        scale, shift = scale_and_shift(second)
        view = (1, -1, *[1] * (made.dim() - 2))
        assert torch.allclose(layer(x) * scale.view(view) + shift.view(view), output, rtol=1e-12, atol=1e-12)


def merges(net: nn.Module, x: Tensor, place: str = "logits") -> list[str]:
    """The sites whose batch norm was left to the layer before."""
    passed: list[str] = []

    def note(operation: Operation, arrived: tuple[Tensor | None, ...]) -> Handed:
        passed.extend([operation.site] * operation.passed)
        return slope(operation, arrived)

    hand_down(net, x, [Score(place=place, weights={0: 1.0})], note, start="weight", places=frozenset())
    return passed


class UsedTwice(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.last((self.norm(x) + x).mean((2, 3)))


def test_a_batch_norm_is_left_to_the_layer_before_only_where_nothing_else_takes_its_output() -> None:
    x = torch.randn(1, 3, 5, 5)
    assert merges(Net().eval(), x) == ["norm"]
    assert merges(UsedTwice().eval(), x) == []


def test_an_operation_can_be_asked_for_other_items_and_other_inputs() -> None:
    net, x = Net().eval(), torch.randn(1, 3, 5, 5)
    seen: dict[str, Operation] = {}

    def note(operation: Operation, arrived: tuple[Tensor | None, ...]) -> Handed:
        seen[operation.site] = operation
        return slope(operation, arrived)

    hand_down(net, x, [Score(place="logits", weights={0: 1.0})], note, start="weight", places=frozenset())
    assert (seen["conv"].is_first, seen["last"].is_first) == (True, False)
    other = torch.randn(1, 3, 5, 5)
    assert torch.allclose(seen["norm"].again(other), net.conv(other))
    before = seen["relu"].inputs[0].clone()
    assert torch.equal(seen["relu"].run(before - 1), F.relu(before - 1))
    assert torch.equal(seen["relu"].inputs[0], before)
    assert (seen["/mul"].uses, seen["/add"].uses) == (1, 2)


def test_a_view_that_is_overwritten_is_no_harm_until_its_base_is_looked_at() -> None:
    class Flat(Net):
        looks = False

        def forward(self, x: Tensor) -> Tensor:
            whole = self.conv(x)
            part = whole.flatten(1)
            part.relu_()
            return self.last((whole if self.looks else part.view(whole.shape)).mean((2, 3)))

    net, x = Flat().eval(), torch.randn(1, 3, 5, 5)
    for looks, whole in ((False, True), (True, False)):
        net.looks = looks
        with passes.program(net, x) as (program, _, _):
            assert isinstance(program, Program)
            assert (program.is_whole, bool(program.lost_at)) == (whole, looks)
