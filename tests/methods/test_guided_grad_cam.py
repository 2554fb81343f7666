import numpy as np
import pytest
import torch
import torch.nn.functional as F
from captum.attr import GuidedGradCam as Theirs
from tests.methods.cam_oracles import near, ours
from tests.methods.nets import Net, Unrolled, net, pictures, seeded
from torch import Tensor, nn

import pellucid
from pellucid.errors import MethodError


class Coarse(Net):
    def __init__(self) -> None:
        super().__init__()
        self.relu, self.pool, self.other = nn.ReLU(), nn.MaxPool2d(2), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.other(self.two(self.pool(self.relu(self.one(x))))).mean((2, 3)))


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
@pytest.mark.parametrize("layer", ["two", "other"])
def test_values_equal_captum_with_the_same_enlargement(layer: str) -> None:
    module, x = seeded(Coarse).double(), pictures(2).double()
    made = ours(module, x, f"guided-grad-cam(site={layer})", 1)
    theirs = Theirs(module, module.get_submodule(layer))
    expected = theirs.attribute(x.clone().requires_grad_(), target=1, interpolate_mode="bilinear")
    assert near(made, expected, 1e-8)


@pytest.mark.parametrize("name", ["shared", "functional", "in-place", "residual"])
def test_values_are_the_product_of_both_methods(name: str) -> None:
    module, x = net(name), pictures(2)
    product = ours(module, x, "guided-backpropagation", 0) * ours(module, x, "grad-cam", 0)[:, None]
    assert near(ours(module, x, "guided-grad-cam", 0), product)


def test_the_map_is_enlarged_between_the_middles_of_its_cells() -> None:
    module, x = seeded(Coarse), pictures()
    cam = torch.tensor(ours(module, x, "grad-cam(site=two, sign=both)", 2))[:, None]
    large = F.interpolate(cam, size=(12, 12), mode="bilinear", align_corners=False).numpy()
    made = ours(module, x, "guided-grad-cam(site=two, sign=both)", 2)
    assert near(made, ours(module, x, "guided-backpropagation", 2) * large)


def test_several_sites_make_one_product_each_or_one_of_all() -> None:
    module, x = seeded(Unrolled), pictures()
    each = pellucid.explain(module, x, method="guided-grad-cam(site=relu1+relu2)", target="class:0")
    assert [part.name for part in each.parts] == ["pixels at relu1", "pixels at relu2"]
    both = pellucid.explain(module, x, method="guided-grad-cam(site=relu1+relu2, fusion=mean)", target="class:0")
    assert np.allclose(both.values, (each.parts[0].values + each.parts[1].values) / 2, atol=1e-9)
    assert both.values.any()


def test_activations_that_are_no_rectifier_are_refused_by_name() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(MethodError, match=r"^guided-grad-cam cannot be made: .*site '1' is silu; use saliency"):
        pellucid.explain(module, pictures(), method="guided-grad-cam")
