import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.methods.cam_oracles import near
from tests.methods.nets import NETS, Net, Normed, net, pictures, seeded
from torch import Tensor, nn

import pellucid
from pellucid.errors import MethodError
from pellucid.methods.full_gradients import spread


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("target", ["class:0", "top:1"])
def test_all_terms_together_make_the_score(name: str, target: str) -> None:
    made = pellucid.explain(net(name).double(), pictures().double(), method="fullgrad", target=target)
    assert made.values.sum() + made.checks["bias without a place"] == pytest.approx(made.score, abs=1e-12)
    assert abs(made.checks["gap to the score"]) < 1e-12
    assert made.notes in ((), ("the model ends in log-softmax; its input, the logits, was explained",))


def test_every_term_equals_autograd_by_hand() -> None:
    module, x = seeded(Normed).double(), pictures().double()
    x.requires_grad_()
    norm = module.norm
    own = norm.bias - norm.weight * norm.running_mean / torch.sqrt(norm.running_var + norm.eps)
    added = (module.one.bias, own, module.two.bias)
    biases = [b.detach()[None, :, None, None].expand(1, 6, 12, 12).clone().requires_grad_() for b in added]
    factor = (norm.weight / torch.sqrt(norm.running_var + norm.eps))[:, None, None]
    maps = F.conv2d(x, module.one.weight, padding=1) + biases[0]
    maps = torch.relu(maps * factor + biases[1])
    maps = torch.relu(F.conv2d(maps, module.two.weight, padding=1) + biases[2])
    score = module.last(maps.mean((2, 3)))[0, 1]
    slopes = torch.autograd.grad(score, [x, *biases])
    terms = torch.stack([(a * b).sum(1)[0] for a, b in zip([x, *biases], slopes, strict=True)])
    made = pellucid.explain(module, x.detach(), method="fullgrad", target="class:1")
    assert near(made.values, terms.sum(0), 1e-10)
    assert made.checks["bias without a place"] == pytest.approx(float(module.last.bias[1].detach()))
    sizes = torch.stack([(a * b).abs().sum(1)[0] for a, b in zip([x, *biases], slopes, strict=True)]).sum(0)
    assert near(pellucid.explain(module, x.detach(), method="fullgrad(terms=absolute)", target="class:1").values, sizes)


class Smooth(Net):
    """Activations that add something by their tangent, in place too; constants; a shift by a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.shift, self.six = nn.Parameter(torch.rand(1, 6, 1, 1)), nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.six(self.one(x) * 9 + self.shift)
        x = F.silu(self.two(x)) / 2 + 0.3
        x = torch.cat([F.avg_pool2d(x, 2), F.interpolate(F.hardswish(x), size=(6, 6))], 1)[:, 3:9]
        return self.last(torch.sigmoid(F.pad(x, (1, 1), value=0.4)).mean((2, 3)))


def test_what_the_tangent_of_an_activation_adds_is_counted() -> None:
    made = pellucid.explain(seeded(Smooth).double(), pictures(2)[:1].double(), method="fullgrad", target="class:2")
    assert abs(made.checks["gap to the score"]) < 1e-12
    assert made.notes == ()


class Gated(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.one(x))
        return self.last((x * torch.sigmoid(self.two(x))).mean((2, 3)))


class Grouped(Net):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(2, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.norm(self.one(x))).mean((2, 3)))


class ByBatch(Net):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(6, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.norm(self.one(x))).mean((2, 3)))


class Rival(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.max(self.one(x), torch.ones(())).mean((2, 3)))


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (Gated, r"site '/mul' \(mul\)"),
        (Grouped, r"site 'norm' \(group_norm\)"),
        (ByBatch, r"site 'norm' \(batch_norm\)"),
        (Rival, r"site '/max' \(max\)"),
    ],
)
def test_what_it_cannot_treat_is_refused_by_name(build: type[Net], said: str) -> None:
    with pytest.raises(MethodError, match=said + ".*use integrated-gradients"):
        pellucid.explain(seeded(build), pictures(), method="fullgrad")


def test_what_the_score_does_not_depend_on_does_not_matter() -> None:
    made = pellucid.explain(seeded(Gated), pictures(), method="fullgrad", target="unit:'one'/2")
    assert abs(made.checks["gap to the score"]) < 1e-6


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 20), st.integers(1, 20))
@settings(deadline=None, max_examples=40)
def test_spreading_keeps_the_sum(height: int, width: int, tall: int, wide: int) -> None:
    maps = torch.randn(2, height, width, generator=torch.Generator().manual_seed(0)).double()
    assert torch.allclose(spread(maps, (tall, wide)).sum((1, 2)), maps.sum((1, 2)), atol=1e-10)
    if (height, width) == (tall, wide):
        assert torch.allclose(spread(maps, (tall, wide)), maps)


def test_a_plain_vector_is_refused() -> None:
    with pytest.raises(MethodError, match=r"fullgrad needs pictures .*, and got 1×5; use saliency"):
        pellucid.explain(nn.Linear(5, 2), torch.rand(1, 5), method="fullgrad")
    assert np.isfinite(pellucid.explain(net("shared"), pictures(), method="fullgrad").values).all()
