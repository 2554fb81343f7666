"""Feature ablation: a loop of pictures without a segment, Captum's values, and a linear model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation as Peer
from tests.methods.games import grid
from tests.methods.nets import NETS, net, pictures
from torch import nn

import pellucid
from pellucid.errors import MethodError, SettingError
from pellucid.methods.ablation import FeatureAblation
from pellucid.methods.baselines import blurred
from real_models import module as real

# Captum takes the output as it is, and one class of several.
PLAIN = [name for name in NETS if name not in ("log-softmax", "one logit", "four dimensions")]


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("parts", [1, 3, 4])
def test_equals_captum_on_every_kind_of_network(name: str, parts: int) -> None:
    module, x = net(name), pictures(2)
    ours = list(
        pellucid.explain_many(module, [x], methods=[FeatureAblation(segments=f"grid:{parts}")], targets=["class:1"])
    )
    theirs = Peer(module.eval()).attribute(x, target=1, feature_mask=grid(x, parts)[None, None])
    np.testing.assert_allclose(np.stack([each.values for each in ours]), theirs[:, 0].numpy(), atol=2e-6)


@pytest.mark.parametrize(("name", "side"), [("squeezenet1_0", 64), ("resnet20_cifar10", 32)])
def test_equals_captum_on_trained_models(shared_data: Path, name: str, side: int) -> None:
    module = real(name, shared_data)
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    ours = pellucid.explain(module, x, method="feature-ablation(segments=grid:8, baseline=blur:3)", target="class:3")
    theirs = Peer(module).attribute(x, target=3, feature_mask=grid(x, 8)[None, None], baselines=blurred(x, 3.0))
    np.testing.assert_allclose(ours.values, theirs[0, 0].numpy(), atol=1e-5 * abs(ours.score) + 1e-5)
    assert float(np.ptp(ours.values)) > 0.01


def test_a_linear_model_gets_what_its_weights_say_of_each_segment() -> None:
    linear, x = nn.Sequential(nn.Flatten(), nn.Linear(432, 3)).double(), pictures().double()
    made = pellucid.explain(linear, x, method="feature-ablation(segments=grid:3)", target="class:2")
    each = (linear[1].weight[2].detach().view(3, 12, 12) * x[0]).sum(0)
    sums = each.view(3, 4, 3, 4).sum((1, 3)).flatten().numpy()
    np.testing.assert_allclose(made.part("segments").values, sums, atol=1e-12)
    labels = made.part("segment map").values.astype(int)
    assert np.array_equal(labels, grid(x, 3).numpy())
    assert np.array_equal(made.values, made.part("segments").values[labels])


def test_inputs_that_are_no_pictures_and_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(MethodError, match=r"^feature-ablation covers parts of pictures, and the input has shape 8;"):
        pellucid.explain(nn.Linear(8, 2), torch.randn(1, 8), method="feature-ablation")
    with pytest.raises(SettingError, match="segments is 'grid:13', expected no more than 12 rectangles a side"):
        pellucid.explain(net("residual"), pictures(), method="feature-ablation(segments=grid:13)")
