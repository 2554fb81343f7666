from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from captum.attr import DeepLift
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.methods.nets import NETS, Functional, Net, Shared, Unrolled, given_of, net, pictures, seeded
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes
from pellucid.errors import MethodError
from pellucid.methods.baselines import baseline_of
from pellucid.methods.deeplift import DeepLIFT

BASELINES = ["zero", "mean", "noise", "blur:2"]


def explained(module: nn.Module, x: Tensor, baseline: str = "zero", target: str = "class:1") -> np.ndarray:
    return pellucid.explain(module, x, method=DeepLIFT(baseline=baseline), target=target).values


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
@pytest.mark.parametrize("baseline", ["zero", "mean"])
def test_values_equal_captum_where_every_activation_is_a_module_of_its_own(baseline: str) -> None:
    module, x = seeded(Unrolled).double(), pictures(3).double()
    start = baseline_of(given_of(x), baseline)
    theirs, delta = DeepLift(module).attribute(
        x.clone().requires_grad_(), start, target=1, return_convergence_delta=True
    )
    assert float(delta.abs().max()) < 1e-10
    made = pellucid.explain_many(module, [x], methods=[DeepLIFT(baseline=baseline)], targets=["class:1"])
    assert np.allclose(np.stack([each.values for each in made]), theirs.detach().numpy(), rtol=1e-8, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.Tanh, nn.ELU, nn.Softplus, nn.LeakyReLU])
def test_other_activations_equal_captum(activation: Callable[[], nn.Module]) -> None:
    def build() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(3, 4, 3), activation(), nn.Conv2d(4, 4, 3), activation(), nn.Flatten(), nn.Linear(256, 3)
        )

    module, x = seeded(build).double(), pictures(2).double()
    theirs, delta = DeepLift(module).attribute(
        x.clone().requires_grad_(), torch.zeros_like(x), target=1, return_convergence_delta=True
    )
    assert float(delta.abs().max()) < 1e-10
    made = pellucid.explain_many(module, [x], methods=["deeplift"], targets=["class:1"])
    assert np.allclose(np.stack([each.values for each in made]), theirs.detach().numpy(), rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("hostile", [Shared, Functional])
def test_shared_functional_and_in_place_relus_equal_the_unrolled_twin(hostile: type, baseline: str) -> None:
    x = pictures()
    twin = explained(seeded(Unrolled), x, baseline)
    assert np.allclose(explained(seeded(hostile), x, baseline), twin, rtol=1e-5, atol=1e-9)
    assert twin.any()


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("name", NETS)
def test_values_sum_to_the_change_of_the_score(name: str, baseline: str) -> None:
    module, x = net(name), pictures(2)
    for made in pellucid.explain_many(module, [x], methods=[DeepLIFT(baseline=baseline)], targets=["class:0"]):
        assert abs(made.checks["completeness gap"]) < 1e-5 * max(1, abs(made.score))
        assert made.checks["relative gap"] < 1e-4
        assert not any("the values miss" in note for note in made.notes)


POOLS: dict[str, Callable[[], nn.Module]] = {
    "pool before relu": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.ReLU()),
    "relu before pool": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
    "overlapping": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(3, 1, padding=1), nn.ReLU()),
    "dilated": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2, 2, dilation=2), nn.ReLU()),
    "adaptive": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveMaxPool2d(3), nn.ReLU()),
    "two in a row": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.MaxPool2d(2), nn.ReLU()),
}


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("kind", POOLS)
def test_a_maximum_loses_nothing_with_any_baseline(kind: str, baseline: str) -> None:
    def build() -> nn.Module:
        return nn.Sequential(POOLS[kind](), nn.Flatten(), nn.LazyLinear(3))

    module = seeded(build)
    module(pictures())
    for made in pellucid.explain_many(
        module, [pictures(3)], methods=[DeepLIFT(baseline=baseline)], targets=["class:1"]
    ):
        assert abs(made.checks["completeness gap"]) < 1e-5


def test_a_maximum_after_an_activation_is_shared_as_the_rule_says_window_by_window() -> None:
    """No peer to compare with: Captum's own delta is up to 0.06 here, of differences around 0.5."""

    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(100, 3))

    module, x, start = seeded(build).double(), pictures().double(), 0.3 * pictures(seed=7).double()
    made = pellucid.explain(Shifted(module, start), x - start, method="deeplift", target="class:1")
    with torch.no_grad():
        before, before0 = module[0](x)[0], module[0](start)[0]  # type: ignore[index]
        after, after0 = before.relu(), before0.relu()
        weight = module[4].weight[1].view(4, 5, 5)  # type: ignore[index]
        shares = torch.zeros_like(after)
        for channel, row, column in np.ndindex(4, 5, 5):
            window = np.s_[channel, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            one, other = after[window], after0[window]
            change = one.max() - other.max()
            decides = one if change >= 0 else other
            place = divmod(int(decides.argmax()), 2)
            shares[window][place] += weight[channel, row, column] * change
        multipliers = torch.where(before == before0, 0, shares / (before - before0))
        expected = F.conv_transpose2d(multipliers[None], module[0].weight) * (x - start)  # type: ignore[index]
    assert np.allclose(made.values, expected[0].numpy(), rtol=1e-9, atol=1e-14)
    assert abs(made.checks["completeness gap"]) < 1e-12


def test_the_larger_side_of_a_maximum_takes_the_difference() -> None:
    pool = nn.Sequential(nn.MaxPool1d(2), nn.Flatten())
    x = torch.tensor([[[1.0, 3.0, -2.0, -5.0]]])  # 0 before: 3 from the second, −2 where the largest one was before
    made = pellucid.explain(pool, x, method="deeplift", target="contrast:0,1")
    assert made.values.sum() == pytest.approx(3 + 2)
    assert made.values.ravel().tolist() == pytest.approx([0, 3, 2, 0])


def test_two_relus_by_hand() -> None:
    class Saturating(nn.Module):
        """1 − relu(1 − relu(a + b)): where the sum is above 1 the slope is 0, and the sum has still done everything."""

        def forward(self, x: Tensor) -> Tensor:
            return 1 - F.relu(1 - F.relu(x.sum(1, keepdim=True)))

    x = torch.tensor([[1.5, 0.5]])
    made = pellucid.explain(Saturating(), x, method="deeplift")
    assert made.values.tolist() == pytest.approx([0.75, 0.25])
    assert not pellucid.explain(Saturating(), x, method="saliency").values.any()


@given(seed=st.integers(0, 99), baseline=st.sampled_from(["zero", "mean", "noise"]))
@settings(deadline=None, max_examples=20)
def test_a_linear_model_gets_weight_times_distance(seed: int, baseline: str) -> None:
    linear, x = nn.Sequential(nn.Flatten(), nn.Linear(27, 3)), pictures(1, seed=seed, shape=(3, 3, 3))
    made = pellucid.explain(linear, x, method=DeepLIFT(baseline=baseline), target="class:1")
    assert abs(made.checks["completeness gap"]) < 1e-5
    if baseline != "noise":
        distance = (x - baseline_of(given_of(x), baseline))[0]
        expected = (linear[1].weight[1].detach().view(3, 3, 3) * distance).numpy()
        assert np.allclose(made.values, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["batch norm", "residual"])
def test_close_to_the_input_it_is_gradient_times_distance(name: str) -> None:
    """As the baseline comes near, the ratios become slopes: those of finite differences, in float64."""
    module, x = net(name).double(), pictures().double()
    near = x + 1e-7 * pictures(seed=5).double()
    shifted = Shifted(module, near)
    made = pellucid.explain(shifted, x - near, method="deeplift", target="class:1")
    leaf = x.clone().requires_grad_()
    slope = torch.autograd.grad(module(leaf)[0, 1], leaf)[0]
    assert np.allclose(made.values, ((x - near) * slope)[0].numpy(), rtol=1e-5, atol=1e-14)


class Shifted(nn.Module):
    """What is 0 for it is a picture for the network inside."""

    def __init__(self, inner: nn.Module, zero: Tensor) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("zero", zero)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x + self.zero)


@pytest.mark.parametrize(
    "activation",
    [
        nn.GELU(),
        nn.SiLU(),
        nn.Hardswish(),
        nn.Hardsigmoid(),
        nn.ReLU6(),
        nn.Hardtanh(),
        nn.PReLU(),
        nn.Softsign(),
        nn.LogSigmoid(),
        nn.Tanhshrink(),
        lambda y: y.clamp(min=0, max=2),
        lambda y: F.relu(y, inplace=True),
        lambda y: y.abs(),
        lambda y: y**2,
        lambda y: (y / 8).exp(),
        lambda y: y / 3,
        lambda y: 1 / (y + 9),
        lambda y: 2 - y,
        lambda y: F.dropout(y, training=False),
    ],
)
def test_every_activation_that_works_value_by_value_adds_up(activation: Any) -> None:
    class Activated(Net):
        def __init__(self) -> None:
            super().__init__()
            self.activation = activation  # so that its weight, if it has one, is the model's

        def forward(self, x: Tensor) -> Tensor:
            y = activation(4 * self.one(x))
            return self.last(activation(self.two(y)).mean((2, 3)))

    for baseline in BASELINES:
        made = pellucid.explain(seeded(Activated), pictures(), method=DeepLIFT(baseline=baseline), target="class:1")
        assert abs(made.checks["completeness gap"]) < 2e-5 * max(1, abs(made.score))
        assert not any("the values miss" in note for note in made.notes)


class Excited(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.one(x))
        return self.last((x * torch.sigmoid(x.mean((2, 3), keepdim=True))).mean((2, 3)))


class Masked(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        return self.last((x * (x > 0)).mean((2, 3)))


class MaskedLater(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        return self.last((x * (x > 0).float()).mean((2, 3)))


class Chosen(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        return self.last(torch.where(x > 0, x, 0).mean((2, 3)))


class Larger(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.maximum(self.one(x), self.two(self.one(x))).mean((2, 3)))


class Attending(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x).flatten(2)
        return self.last(F.scaled_dot_product_attention(x, x, x).mean(2))


class InnerSoftmax(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.one(x).flatten(2).softmax(2).amax(2))


class LayerNormed(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.layer_norm(self.one(x), (12, 12)).amax((2, 3)))


class Divided(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        return self.last((x / (1 + x.abs().sum(1, keepdim=True))).mean((2, 3)))


class Recurrent(Net):
    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.GRU(12, 6, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.rows(x.mean(1))[0].mean(1))


class Largest(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.one(x).flatten(2).max(2).values)


class OwnStatistics(Net):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(6, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(self.one(x)).amax((2, 3)))


class Dropped(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.dropout(self.one(x)).mean((2, 3)))


class BatchLater(Net):
    """The activation is applied where rows are positions."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.one(x).permute(2, 3, 0, 1)).permute(2, 3, 0, 1)
        return self.last(x.mean((2, 3)))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (Excited, "site '/mul', which multiplies two activations"),
        (Masked, "site '/mul', which multiplies two activations"),
        (MaskedLater, "site '/mul', which multiplies two activations"),
        (Chosen, "site '/where', which joins two activations (where)"),
        (Larger, "site '/maximum', which joins two activations (maximum)"),
        (Attending, "site '/scaled_dot_product_attention', which joins two activations (scaled_dot_product_attention)"),
        (InnerSoftmax, "site '/softmax', which is softmax"),
        (LayerNormed, "site '/layer_norm', which is layer_norm"),
        (Divided, "site '/div', which joins two activations (div)"),
        (Recurrent, "site 'rows', which is gru"),
        (Largest, "site '/max', which is max"),
        (OwnStatistics, "site 'norm', which normalises by the batch's own statistics"),
        (Dropped, "site '/dropout', which is dropout"),
        (BatchLater, "site '/relu', which does not keep each picture in one row"),
    ],
)
def test_what_has_no_rule_is_refused_by_name(build: Callable[[], nn.Module], words: str) -> None:
    with pytest.raises(MethodError) as caught:
        explained(seeded(build), pictures())
    assert str(caught.value) == (f"deeplift has no rule for {words}; use integrated-gradients or expected-gradients.")


def test_an_operation_beside_the_way_to_the_score_does_no_harm() -> None:
    class Beside(Net):
        def forward(self, x: Tensor) -> Tensor:
            largest = torch.maximum(x, x + 1).softmax(1).sum()  # nothing is done with it
            assert largest.dim() == 0
            return super().forward(x)

    assert np.array_equal(explained(seeded(Beside), pictures()), explained(seeded(Net), pictures()))


def test_what_nobody_can_see_is_said_by_a_note() -> None:
    class Hidden(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):  # type: ignore[no-untyped-def]
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx, slope):  # type: ignore[no-untyped-def]
            return 2 * ctx.saved_tensors[0] * slope

    class Squaring(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.last(Hidden.apply(self.one(x)).mean((2, 3)))

    made = pellucid.explain(seeded(Squaring), pictures(), method="deeplift")
    assert any("a step on the way could not be seen" in note for note in made.notes)


def test_a_model_that_decides_by_values_is_refused() -> None:
    class Deciding(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x if x.mean() > 0 else -x)

    with pytest.raises(MethodError, match="decides by the values of its input"):
        explained(seeded(Deciding), pictures())


def test_softmax_at_the_end_is_looked_through() -> None:
    made = pellucid.explain(net("log-softmax"), pictures(), method="deeplift", target="class:1")
    assert np.allclose(made.values, explained(seeded(Net), pictures()), rtol=1e-5, atol=1e-9)
    assert made.looked_through == "log_softmax"


def test_a_unit_of_a_layer_is_explained_as_well() -> None:
    made = pellucid.explain(net("batch norm"), pictures(), method="deeplift", target="unit:norm/2")
    assert abs(made.checks["completeness gap"]) < 1e-6
    assert made.values.any()


def test_the_price_is_what_is_paid() -> None:
    module, x = net("residual"), pictures(2)
    (cost, _) = (each.cost for each in pellucid.explain_many(module, [x], methods=["deeplift"]))
    facts = passes.facts(module, x)
    price = DeepLIFT().passes(facts)
    # And one more forward, which finds out what the target means.
    assert (cost.forwards, cost.backwards) == (price.forwards / facts.items + 1, price.backwards / facts.items)
