import pytest
import torch
from tests.methods.cam_oracles import near, ours, read, torchcam
from tests.methods.nets import Unrolled, net, pictures, seeded
from torchcam.methods import XGradCAM as Theirs

import pellucid
from pellucid.methods.cams import XGradCAM


@pytest.mark.parametrize("layer", ["relu1", "relu2", "two"])
def test_values_equal_torchcam(layer: str) -> None:
    module, x = seeded(Unrolled).double(), pictures(2).double()
    made = ours(module, x, f"xgrad-cam(site={layer})", 1)
    assert near(made, torchcam(Theirs, module, layer, x, 1), 1e-6)


def test_values_add_up_to_slope_times_activation() -> None:
    module, x = seeded(Unrolled).double(), pictures(2).double()
    maps, slopes = read(module, "relu1", x, 0)
    made = ours(module, x, "xgrad-cam(site=relu1, sign=both)", 0)
    assert near(made.sum((1, 2)), (maps * slopes).sum((1, 2, 3)), 1e-10)


def test_a_map_that_is_zero_everywhere_adds_nothing() -> None:
    maps, slopes = torch.ones(1, 2, 2, 2), torch.ones(1, 2, 2, 2)
    maps[0, 1] = 0
    assert torch.equal(XGradCAM().map(maps, slopes), torch.ones(1, 2, 2))


def test_maps_that_nearly_cancel_are_counted_and_a_division_by_zero_is_not_hidden() -> None:
    maps, slopes = torch.tensor([[[[1.0, -1.0]], [[2.0, 1.0]]]]), torch.tensor([[[[3.0, 1.0]], [[1.0, 1.0]]]])
    assert XGradCAM().remarks(maps, slopes) == {
        0: ("1 of 2 maps nearly add up to 0, and xgrad-cam divides by that sum",)
    }
    assert not torch.isfinite(XGradCAM().map(maps, slopes)).all()
    assert pellucid.explain(net("in-place"), pictures(), method="xgrad-cam").checks == {}
