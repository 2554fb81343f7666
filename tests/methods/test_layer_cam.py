import pytest
import torch
from tests.methods.cam_oracles import near, ours, torchcam
from tests.methods.nets import Unrolled, pictures, seeded
from torchcam.methods import LayerCAM as Theirs

from pellucid.methods.cams import LayerCAM


@pytest.mark.parametrize("layer", ["one", "relu1", "two", "relu2"])
def test_values_equal_torchcam(layer: str) -> None:
    module, x = seeded(Unrolled).double(), pictures(2).double()
    assert near(ours(module, x, f"layer-cam(site={layer})", 1), torchcam(Theirs, module, layer, x, 1), 1e-10)


def test_with_both_signs_only_slopes_are_cut() -> None:
    maps, slopes = torch.tensor([[[[-2.0, 3.0]], [[1.0, 1.0]]]]), torch.tensor([[[[1.0, -1.0]], [[0.5, 2.0]]]])
    assert torch.equal(LayerCAM(sign="both").map(maps, slopes), torch.tensor([[[-1.5, 2.0]]]))
