import numpy as np
import pytest
import torch
import torch.nn.functional as F
from captum.attr import Deconvolution
from tests.methods.nets import Functional, Shared, Unrolled, pictures, seeded
from tests.methods.test_guided_backpropagation import Rectified
from torch import Tensor, nn
from zennit.composites import DeconvNet

import pellucid
from pellucid.errors import MethodError


class Stopping(torch.autograd.Function):
    """The method's definition, written down once more: an oracle that knows nothing of sites."""

    @staticmethod
    def forward(ctx, x, upper):  # type: ignore[no-untyped-def]
        return x.clamp(0, upper)

    @staticmethod
    def backward(ctx, slope):  # type: ignore[no-untyped-def]
        return slope.clamp(min=0), None


def explained(module: nn.Module, x: Tensor, target: str = "class:1") -> np.ndarray:
    return pellucid.explain(module, x, method="deconvnet", target=target).values


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
def test_values_equal_captum_where_every_relu_is_a_module() -> None:
    module, x = seeded(Unrolled), pictures(3)
    made = list(pellucid.explain_many(module, [x], methods=["deconvnet"], targets=["class:1"]))
    theirs = Deconvolution(module).attribute(x.clone().requires_grad_(), target=1).detach().numpy()
    assert np.allclose(np.stack([each.values for each in made]), theirs, rtol=1e-4, atol=1e-9)
    assert theirs.any()


def test_values_equal_zennit_where_every_relu_is_a_module() -> None:
    module, leaf = seeded(Unrolled), pictures().requires_grad_()
    with DeconvNet().context(module) as changed:
        [theirs] = torch.autograd.grad(changed(leaf)[0, 1], leaf)
    assert np.allclose(explained(seeded(Unrolled), pictures()), theirs[0].numpy(), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("hostile", [Shared, Functional])
def test_shared_functional_and_in_place_relus_equal_the_unrolled_twin(hostile: type) -> None:
    x = pictures()
    twin = explained(seeded(Unrolled), x)
    assert np.allclose(explained(seeded(hostile), x), twin, rtol=1e-5, atol=1e-9)
    for other in ("saliency", "guided-backpropagation"):
        assert not np.allclose(twin, pellucid.explain(seeded(Unrolled), x, method=other, target="class:1").values)


@pytest.mark.parametrize(
    ("rectifier", "upper"),
    [
        (nn.ReLU(), torch.inf),
        (nn.ReLU(inplace=True), torch.inf),
        (F.relu, torch.inf),
        (lambda y: F.relu_(y), torch.inf),
        (lambda y: y.relu(), torch.inf),
        (lambda y: y.clamp(min=0), torch.inf),
        (lambda y: y.clamp_(min=0), torch.inf),
        (lambda y: torch.clamp_min(y, 0), torch.inf),
        (lambda y: F.relu(y.flatten(2), inplace=True).view_as(y), torch.inf),
        (nn.ReLU6(inplace=True), 6),
        (nn.Hardtanh(0.0, 6.0), 6),
    ],
)
def test_every_rectifier_follows_the_definition(rectifier: object, upper: float) -> None:
    x = pictures(1) * 3
    expected_of = seeded(lambda: Rectified(lambda y: Stopping.apply(y, upper)))
    leaf = x.clone().requires_grad_()
    expected = torch.autograd.grad(expected_of(leaf)[0, 1], leaf)[0][0].numpy()
    assert np.allclose(explained(seeded(lambda: Rectified(rectifier)), x), expected, rtol=1e-5, atol=1e-8)
    assert expected.any()


@pytest.mark.parametrize(
    ("activation", "words"),
    [
        (nn.LeakyReLU(), "is leaky_relu"),
        (F.gelu, "is gelu"),
        (lambda y: y.clamp(-1, 1), "is a clamp that lets negative values through"),
        (lambda y: torch.maximum(y, torch.zeros_like(y)), "is maximum"),
    ],
)
def test_other_activations_are_refused_by_name(activation: object, words: str) -> None:
    with pytest.raises(MethodError) as caught:
        explained(seeded(lambda: Rectified(activation)), pictures())
    assert str(caught.value).startswith("deconvnet is defined for ReLU, and site ")
    assert words in str(caught.value)
    assert str(caught.value).endswith("use saliency or integrated-gradients.")


def test_a_network_without_rectifiers_gets_its_gradient() -> None:
    linear, x = nn.Sequential(nn.Flatten(), nn.Linear(432, 3)), pictures()
    assert np.allclose(explained(linear, x), linear[1].weight[1].detach().view(3, 12, 12).numpy())
