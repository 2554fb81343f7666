"""Occlusion: a loop of covered pictures, Captum's values, and only what a window changes is run."""

from pathlib import Path

import numpy as np
import pytest
import torch
from captum.attr import Occlusion as Peer
from tests.methods.nets import NETS, net, pictures
from torch import Tensor, nn

import pellucid
from pellucid.errors import MethodError, SettingError
from pellucid.methods.occlusion import Occlusion
from real_models import module as real


def captums(
    module: nn.Module, x: Tensor, *, window: int, stride: int, target: int, baseline: Tensor | float = 0
) -> np.ndarray:
    shape = (x.shape[1], window, window)
    found = Peer(module.eval()).attribute(
        x, sliding_window_shapes=shape, strides=(x.shape[1], stride, stride), target=target, baselines=baseline
    )
    return found[:, 0].numpy()


# Captum takes the output as it is, and one class of several.
PLAIN = [name for name in NETS if name not in ("log-softmax", "one logit", "four dimensions")]


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(("window", "stride"), [(4, 4), (5, 3), (3, 1), (12, 12), (40, 7)])
def test_equals_captum_on_every_kind_of_network(name: str, window: int, stride: int) -> None:
    module, x = net(name), pictures(2)
    ours = list(
        pellucid.explain_many(module, [x], methods=[Occlusion(window=window, stride=stride)], targets=["class:1"])
    )
    window, stride = min(window, 12), min(stride, 12)
    theirs = captums(module, x, window=window, stride=stride, target=1)
    np.testing.assert_allclose(np.stack([each.values for each in ours]), theirs, atol=2e-6)


@pytest.mark.parametrize(("name", "side"), [("squeezenet1_0", 64), ("mobilenet_v2", 64), ("resnet20_cifar10", 32)])
def test_equals_captum_on_trained_models(shared_data: Path, name: str, side: int) -> None:
    module = real(name, shared_data)
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    ours = pellucid.explain(module, x, method="occlusion(window=8, stride=8)", target="class:3")
    theirs = captums(module, x, window=8, stride=8, target=3)[0]
    np.testing.assert_allclose(ours.values, theirs, atol=1e-5 * abs(ours.score) + 1e-5)
    assert float(np.ptp(ours.values)) > 0.01


def test_another_baseline_is_what_lies_in_the_window() -> None:
    module, x = net("residual"), pictures(1)
    ours = pellucid.explain(module, x, method="occlusion(window=4, stride=4, baseline=mean)", target="class:1")
    mean = x.mean((2, 3), keepdim=True).expand_as(x)
    theirs = captums(module, x, window=4, stride=4, target=1, baseline=mean)[0]
    np.testing.assert_allclose(ours.values, theirs, atol=2e-6)


class Sizes(nn.Module):
    """Notes how much the first convolution is given."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        self.pictures = 0

    def forward(self, x: Tensor) -> Tensor:
        self.pictures += len(x)
        return self.body(x)


def test_whole_pictures_are_run_only_where_tiles_are_not_possible() -> None:
    class Deciding(Sizes):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x if x.sum() > 0 else -x)

    x = pictures(1)
    plain, deciding = (
        pellucid.explain(kind(), x, method="occlusion(window=4, stride=4)") for kind in (Sizes, Deciding)
    )
    said = "windows were run as whole pictures: this model cannot be run in tiles"
    assert said in deciding.notes
    assert said not in plain.notes


def test_a_unit_is_explained_as_well() -> None:
    module, x = net("in-place"), pictures(1)
    why = pellucid.explain(module, x, method="occlusion(window=4, stride=4)", target="unit:'two'/1")
    module.eval()
    for top in (0, 4, 8):
        covered = x.clone()
        covered[:, :, top : top + 4, :4] = 0
        after = pellucid.trace(module, covered)["two"].values[0, 1].mean()
        assert why.values[top + 1, 1] == pytest.approx(why.score - float(after), abs=1e-6)


def test_settings_that_make_no_sense_and_inputs_that_are_no_pictures_are_refused() -> None:
    with pytest.raises(SettingError, match="stride is 9, expected no more than the window, 4"):
        Occlusion(window=4, stride=9)
    for setting in ({"window": 0}, {"baseline": "grey"}):
        with pytest.raises(SettingError):
            Occlusion(**setting)  # type: ignore[arg-type]
    with pytest.raises(MethodError, match="covers windows of pictures, and the input has shape 8"):
        pellucid.explain(nn.Linear(8, 2), torch.randn(1, 8), method="occlusion")
