"""Variants in which one channel of a site differs: equal to whole passes, and run so only where channels stay apart."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes


class Late(nn.Module):
    """A convolution, then a head of dense layers that is the subject of each test; the site is `two`."""

    def __init__(self, head: "Callable[[Late, Tensor], Tensor]") -> None:
        super().__init__()
        self.two, self.norm, self.rows = nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.BatchNorm1d(7)
        self.wide, self.last, self.few = nn.Linear(5 * 9, 7), nn.Linear(7, 3), nn.Linear(5, 7)
        self.relu, self.pool, self.drop = nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout()
        self.further = nn.Conv2d(5, 5, 3, padding=1)
        for norm in (self.norm, self.rows):
            nn.init.uniform_(norm.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(norm.running_var, 0.5, 2)  # type: ignore[arg-type]
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self, self.two(x))


def dense(m: Late, x: Tensor) -> Tensor:
    return m.last(m.drop(m.relu(m.wide(x.flatten(1)))))  # type: ignore[no-any-return]


APART: dict[str, Callable[[Late, Tensor], Tensor]] = {
    "as vgg": lambda m, x: dense(m, F.adaptive_avg_pool2d(m.pool(m.relu(x)), (3, 3))),
    "norms": lambda m, x: m.last(F.gelu(m.rows(m.wide(m.pool(m.relu(m.norm(x))).reshape(len(x), -1))))),
    "mean over positions": lambda m, x: m.last(torch.tanh(m.few(torch.relu(x).mean((2, 3))))),
    "pooled to one position": lambda m, x: m.last(m.relu(m.few(F.adaptive_max_pool2d(x, 1).flatten(1)))),
    "before a softmax": lambda m, x: F.log_softmax(dense(m, m.pool(m.drop(x))), dim=1),
    "rows that meet again": lambda m, x: (lambda y: m.last(torch.relu(y).mul_(2) + y / 3))(
        m.wide(m.pool(x).flatten(1))
    ),
}
MIXED: dict[str, Callable[[Late, Tensor], Tensor]] = {
    "a convolution": lambda m, x: dense(m, m.pool(m.further(torch.relu(x)))),
    "axes in another order": lambda m, x: dense(m, m.pool(torch.relu(x)).permute(0, 2, 3, 1)),
    "a softmax over channels": lambda m, x: dense(m, m.pool(torch.softmax(x, dim=1))),
    "used twice": lambda m, x: dense(m, m.pool(x * torch.sigmoid(x))),
    "a mean over columns": lambda m, x: m.last(torch.relu(m.few(torch.relu(x).mean(3).amax(2)))),
    "a linear layer at each position": lambda m, x: m.last(torch.relu(m.few(x.permute(0, 2, 3, 1))).amax((1, 2))),
}
# What a final softmax is given.
BEFORE = {"before a softmax": lambda m, x: dense(m, m.pool(m.drop(x)))}


def made(head: Callable[[Late, Tensor], Tensor]) -> tuple[Late, Tensor]:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Late(head).eval().double(), x


@pytest.mark.parametrize("replacement", ["zero", "mean"])
@pytest.mark.parametrize("head", [*APART, *MIXED])
def test_falls_equal_those_of_whole_passes(head: str, replacement: str) -> None:
    module, x = made((APART | MIXED)[head])
    method = f"channel-ablation(site=two, replacement={replacement})"
    _, found = pellucid.explain_many(module, [x], methods=[method], targets=["class:1"])
    logits = BEFORE.get(head, module.head)
    with torch.no_grad():
        maps = module.two(x[1:])
        for channel in range(5):
            changed = maps.clone()
            changed[:, channel] = changed[:, channel].mean() if replacement == "mean" else 0
            expected = float((logits(module, maps.clone()) - logits(module, changed))[0, 1])
            assert abs(found.values[channel] - expected) < 1e-12
    assert abs(found.values).max() > 1e-3


@pytest.mark.parametrize(("head", "apart"), [*((h, True) for h in APART), *((h, False) for h in MIXED)])
def test_only_channels_that_stay_apart_go_on_alone(head: str, apart: bool) -> None:
    module, x = made((APART | MIXED)[head])
    rest = passes.channel_rest(module, x[:1])
    assert rest is not None
    seen = rest.run("two", torch.zeros(2, 6, 6, dtype=torch.float64), torch.tensor([4, 1]))
    assert (seen is not None) == apart


def test_any_order_of_channels_and_any_values_will_do() -> None:
    module, x = made(APART["as vgg"])
    order, planes = torch.tensor([3, 0, 1, 1, 4]), torch.randn(5, 6, 6, dtype=torch.float64)
    rest = passes.channel_rest(module, x[:1])
    assert rest is not None
    seen = rest.run("two", planes, order)
    assert seen is not None
    with torch.no_grad():
        changed = module.two(x[:1]).repeat(5, 1, 1, 1)
        changed[torch.arange(5), order] = planes
        assert torch.allclose(seen["logits"], module.head(module, changed), atol=1e-12, rtol=0)


def test_several_classes_share_the_passes_and_are_right() -> None:
    module, x = made(APART["as vgg"])
    targets = ["class:0", "class:1", "contrast:0,2"]
    together = list(pellucid.explain_many(module, [x], methods=["ablation-cam(site=two)"], targets=targets))
    for number, explanation in enumerate(together):
        item, target = x[number // 3][None], targets[number % 3]
        alone = pellucid.explain(module, item, method="ablation-cam(site=two)", target=target)
        assert abs(alone.values - explanation.values).max() < 1e-12


def test_the_price_is_what_is_paid() -> None:
    module, x = made(APART["as vgg"])
    cost = pellucid.explain(module, x[:1], method="ablation-cam(site=two)").cost
    assert (cost.forwards, cost.backwards) == (1 + 1 + 6, 0)
