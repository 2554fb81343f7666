"""Models that write where they should not, decide by their input, or move their axes: right, or refused by name."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pellucid
from pellucid.errors import MethodError, ModelError, TargetError


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.head = nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).relu().mean((2, 3)))


class Normalising(Small):
    """Subtracts and divides in the very tensor that it was given."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.sub_(0.5).div_(0.2))


class MaxNorm(Small):
    """Writes to its weights in every pass: new memory for one, the same memory for another."""

    def forward(self, x: Tensor) -> Tensor:
        self.conv.weight.data = torch.renorm(self.conv.weight.data, 2, 0, 0.3)
        with torch.no_grad():
            self.head.weight.mul_(0.9)
        return super().forward(x)


class Deciding(Small):
    """Goes another way where the sum over the whole batch is positive."""

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(1 + int(x.sum() > 0)):
            x = torch.tanh(1.3 * x)
        return super().forward(x)


class ChannelsLast(Small):
    """Its ReLU returns (batch, height, width, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.conv(x).permute(0, 2, 3, 1)).mean((1, 2)))


class Ending(Small):
    """Log-softmax over the only axis with more than one entry."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        dim = self.shape.index(4) + 1
        return super().forward(x).view(len(x), *self.shape).log_softmax(dim)


@pytest.fixture
def x() -> Tensor:
    return torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_a_model_that_writes_into_its_input_is_traced_right_and_the_users_tensor_stays(x: Tensor) -> None:
    model, before = Normalising().eval(), x.clone()
    trace = pellucid.trace(model, x)
    assert torch.equal(x, before)
    assert torch.equal(trace.output, model(before.clone()).detach())


@pytest.mark.parametrize("work", [pellucid.trace, pellucid.explain])
def test_weights_that_a_pass_writes_to_are_put_back(work: Callable[..., object], x: Tensor) -> None:
    model = MaxNorm().eval()
    before = copy.deepcopy(model.state_dict())
    places = [parameter.data_ptr() for parameter in model.parameters()]
    work(model, x[:1])
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert [parameter.data_ptr() for parameter in model.parameters()] == places


def test_a_model_made_in_inference_mode_is_traced_and_stays_as_it_is(x: Tensor) -> None:
    with torch.inference_mode():
        model = Small().eval()
    assert len(pellucid.trace(model, x)) > 0
    assert all(parameter.requires_grad for parameter in model.parameters())
    with pytest.raises(ModelError, match="inference mode"):
        pellucid.explain(model, x[:1], method="saliency")


@pytest.mark.parametrize("method", ["saliency", "integrated-gradients(steps=4)", "guided-backpropagation"])
def test_no_picture_decides_for_another_in_its_batch(method: str, x: Tensor) -> None:
    model, pictures = Deciding().eval(), [x[:1], -x[1:]]
    together = list(pellucid.explain_many(model, pictures, methods=[method]))
    for picture, explanation in zip(pictures, together, strict=True):
        alone = pellucid.explain(model, picture, method=method)
        assert np.allclose(explanation.values, alone.values, rtol=1e-5, atol=1e-8)


def test_maps_with_channels_last_are_no_feature_maps(x: Tensor) -> None:
    model = ChannelsLast().eval()
    trace = pellucid.trace(model, x)
    assert (trace["conv"].channels_first, trace["relu"].channels_first) == (True, False)
    with pytest.raises(MethodError, match="grad-cam"):
        pellucid.explain(model, x[:1], method="grad-cam(site=relu)")
    with pytest.raises(TargetError, match="which axis holds its channels is not known"):
        pellucid.explain(model, x[:1], method="saliency", target="unit:'relu'/3")


@pytest.mark.parametrize("shape", [(1, 1, 4), (1, 4), (4, 1, 1), (4,)])
def test_a_log_softmax_is_looked_through_whatever_the_axis_of_the_classes(shape: tuple[int, ...], x: Tensor) -> None:
    model = Ending(shape).eval()
    why = pellucid.explain(model, x[:1], method="saliency")
    assert why.looked_through == "log_softmax"
    assert np.allclose(why.logits, Small.forward(model, x[:1]).detach().numpy()[0])


def test_what_the_user_watches_stays_while_pellucid_explains(x: Tensor) -> None:
    model = Small().eval()
    with torch.no_grad(), pellucid.watch(model) as seen:
        model(x)
        values = seen["conv"].values
        pellucid.trace(model, -x)
        pellucid.explain(model, -x[:1], method="saliency")
        assert torch.equal(seen["conv"].values, values)
        model(-x)
        assert not torch.equal(seen["conv"].values, values)
