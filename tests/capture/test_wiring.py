"""Where a score is known to be affine after a site, slope times change equals what a second pass would give."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes
from pellucid.capture.asks import Facts
from pellucid.capture.replay import without_channels


class Headed(nn.Module):
    """Two convolutions, then a head that is the subject of each test; the site is `two`."""

    def __init__(self, head: "Callable[[Headed, Tensor], Tensor]") -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, padding=1)
        self.last, self.wide = nn.Linear(5, 3), nn.Linear(5 * 36, 3)
        self.drop, self.same = nn.Dropout(0.5), nn.Identity()
        self.norm, self.rows, self.relu = nn.BatchNorm2d(5), nn.BatchNorm1d(3), nn.ReLU(inplace=True)
        self.dense, self.further = nn.Conv2d(5, 3, 3), nn.Conv2d(5, 5, 1)
        with torch.no_grad():
            self.norm.running_mean.uniform_(-1, 1)  # type: ignore[union-attr]
            self.norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self, self.two(torch.relu(self.one(x))))


class Reversed(torch.autograd.Function):
    """The same forward, the opposite backward."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(_: Any, *slopes: Tensor) -> Tensor:
        return -slopes[0]


def hooked(x: Tensor) -> Tensor:
    if x.requires_grad:
        x.register_hook(lambda slope: 3 * slope)
    return x


def unseen(x: Tensor) -> Tensor:
    with torch.no_grad():
        return 2 * x


def written(x: Tensor) -> Tensor:
    x.add_(0.5)
    x *= 2
    return x


def overwritten(x: Tensor) -> Tensor:
    made = torch.zeros_like(x)
    made[:, 1:] = x[:, 1:]
    return made


def pooled(m: Headed, x: Tensor) -> Tensor:
    return m.last(x.mean((2, 3)))  # type: ignore[no-any-return]


AFFINE: dict[str, Callable[[Headed, Tensor], Tensor]] = {
    "mean over positions": pooled,
    "average pooling": lambda m, x: m.last(F.adaptive_avg_pool2d(F.avg_pool2d(x, 2), 1).flatten(1)),
    "flattened, with dropout and identity": lambda m, x: m.wide(m.drop(m.same(x)).view(x.shape[0], -1)),
    "batch norms": lambda m, x: m.rows(pooled(m, m.norm(x))),
    "in place": lambda m, x: pooled(m, written(x)),
    "reused": lambda m, x: pooled(m, x + m.further(x) - 0.3 * x),
    "by names": lambda m, x: pooled(m, torch.mul(input=x, other=0.5)),
    "a product with what does not depend on it": lambda m, x: pooled(m, x * m.one.weight.sum() / 2),
    "joined": lambda m, x: pooled(m, torch.cat([x[:, :2], 2 * x[:, 2:]], 1)),
    "moved": lambda m, x: (x.permute(0, 2, 3, 1) @ m.last.weight.T).mean(dim=(1, -2)),
    "a convolution": lambda m, x: F.interpolate(m.dense(x), scale_factor=2, mode="bilinear").sum(dim=[2, 3]),
    "before a softmax": lambda m, x: F.log_softmax(pooled(m, x), dim=1),
}
OTHERS: dict[str, Callable[[Headed, Tensor], Tensor]] = {
    "relu": lambda m, x: pooled(m, torch.relu(x)),
    "relu in place": lambda m, x: pooled(m, m.relu(x)),
    "the largest": lambda m, x: m.last(x.amax((2, 3))),
    "max pooling": lambda m, x: pooled(m, F.max_pool2d(x, 2)),
    "a product with itself": lambda m, x: pooled(m, x * x),
    "a product of two that depend on it": lambda m, x: pooled(m, x * m.further(x)),
    "a quotient the other way": lambda m, x: pooled(m, 1 / (x + 9)),
    "rounded": lambda m, x: pooled(m, torch.div(x, 0.1, rounding_mode="floor")),
    "squeeze and excite": lambda m, x: pooled(m, x * x.mean((2, 3), keepdim=True)),
    "a norm of this batch": lambda m, x: m.wide(F.batch_norm(x, None, None, training=True).flatten(1)),
    "softmax that is not the last": lambda m, x: 2 * F.softmax(pooled(m, x), dim=1) + 1,
    "a slope of its own": lambda m, x: pooled(m, Reversed.apply(x)),
    "a hook that alters slopes": lambda m, x: pooled(m, hooked(x)),
    "without slopes": lambda m, x: pooled(m, x + unseen(x)),
    "detached": lambda m, x: pooled(m, x + (torch.relu(x) - x).detach()),
    "put into zeros": lambda m, x: pooled(m, overwritten(x)),
    "chosen by its values": lambda m, x: pooled(m, x if bool(x.sum() > 0) else -x),
    "another type": lambda m, x: pooled(m, x.float().double()),
}


def made(head: Callable[[Headed, Tensor], Tensor]) -> tuple[Headed, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Headed(head).eval().double(), x


def known(module: nn.Module, x: Tensor) -> Facts:
    pellucid.explain(module, x[:1], method="channel-ablation(site=two)", target="class:1")
    return passes.facts(module, x)


def falls(module: nn.Module, item: Tensor, replacement: str) -> Tensor:
    """By running one picture again for each channel."""
    replay, found = passes.replay(module, item), []
    for channel in range(5):

        def mean(values: Tensor, channel: int = channel) -> Tensor:
            values[:, channel] = values[:, channel].mean()
            return values

        edit = mean if replacement == "mean" else without_channels([channel])
        found.append((replay.answer.logits - replay.logits({"two": edit}))[0, 1])
    return torch.stack(found)


@pytest.mark.parametrize(
    ("head", "replacement"), [*((h, r) for h in AFFINE for r in ("zero", "mean")), *((h, "zero") for h in OTHERS)]
)
def test_ablation_equals_passes_that_are_run_again(head: str, replacement: str) -> None:
    module, x = made((AFFINE | OTHERS)[head])
    method = f"channel-ablation(site=two, replacement={replacement})"
    _, found = pellucid.explain_many(module, [x], methods=[method], targets=["class:1"])
    zero = falls(module, x[1:], "zero")
    expected = zero if replacement == "zero" else falls(module, x[1:], replacement)
    # Of a mean over positions nothing is missed: what is left is rounding, on the scale of what a channel adds.
    assert (torch.tensor(found.values) - expected).abs().max() <= 1e-10 * zero.abs().max()
    assert zero.abs().max() > 1e-4


@pytest.mark.parametrize("head", AFFINE)
def test_an_affine_rest_is_known_and_costs_one_slope(head: str) -> None:
    module, x = made(AFFINE[head])
    facts = known(module, x)
    assert facts.is_affine_after(facts.site("two"))
    assert not facts.is_affine_after(facts.site("one"))
    cost = pellucid.explain(module, x[:1], method="channel-ablation(site=two)", target="class:1").cost
    assert (cost.forwards, cost.backwards) == (1, 1)


@pytest.mark.parametrize("head", OTHERS)
def test_another_rest_is_run_again(head: str) -> None:
    module, x = made(OTHERS[head])
    facts = known(module, x)
    assert not facts.is_affine_after(facts.site("two"))
    cost = pellucid.explain(module, x[:1], method="channel-ablation(site=two)", target="class:1").cost
    assert (cost.forwards, cost.backwards) == (1 + 7, 0)


def test_a_unit_on_the_way_counts_and_not_the_logits() -> None:
    module, x = made(lambda m, x: pooled(m, m.further(torch.relu(m.norm(x)))))
    facts = known(module, x)
    two = facts.site("two")
    assert facts.is_affine_after(two, "norm")
    assert not facts.is_affine_after(two, "further")
    assert not facts.is_affine_after(two)
    assert facts.is_affine_after(facts.site("further"))
    assert not facts.is_affine_after(facts.site("further"), "norm")


def test_a_unit_behind_a_bend_is_ablated_by_passes_though_the_logits_bypass_it() -> None:
    def head(m: Headed, x: Tensor) -> Tensor:
        return pooled(m, x) + 0 * pooled(m, m.drop(torch.relu(x).detach()))

    module, x = made(head)
    one = pellucid.explain(module, x[:1], method="channel-ablation(site=two)", target="unit:'/relu#2'/1")
    maps = torch.relu(module.two(torch.relu(module.one(x[:1]))))[0, 1]
    assert abs(one.values[1] - float(maps.detach().mean())) < 1e-12
    assert not one.values[[0, 2, 3, 4]].any()


def test_what_was_found_without_derivatives_is_looked_at_again() -> None:
    module, x = made(pooled)
    assert passes.facts(module, x).wiring is None
    cost = pellucid.explain(module, x[:1], method="channel-ablation(site=two)", target="class:1").cost
    assert (cost.forwards, cost.backwards) == (1, 1)


def test_methods_with_rules_of_their_own_find_it_out_too() -> None:
    module, x = made(lambda m, x: m.last(F.relu(x.mean((2, 3)))))
    pellucid.explain(module, x[:1], method="guided-backpropagation", target="class:1")
    facts = passes.facts(module, x)
    assert facts.is_affine_after(facts.site("/relu#2"))
    assert not facts.is_affine_after(facts.site("/mean"))
