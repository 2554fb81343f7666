import numpy as np
import pytest
import torch
from tests.methods.cam_oracles import near, ours, read
from tests.methods.nets import Unrolled, net, pictures, seeded

import pellucid
from pellucid.methods.cam_components import principal_map


@pytest.mark.parametrize("layer", ["one", "relu1", "relu2"])
def test_values_are_the_maps_along_the_first_eigenvector_of_their_products(layer: str) -> None:
    module, x = seeded(Unrolled).double(), pictures(2).double()
    maps, _ = read(module, layer, x, 1)
    for values, each in zip(ours(module, x, f"eigen-cam(site={layer})", 1), maps.numpy(), strict=True):
        rows = each.reshape(len(each), -1).T
        _, vectors = np.linalg.eigh(rows.T @ rows)
        expected = rows @ (vectors[:, -1] * np.sign(vectors[:, -1].sum()))
        assert near(values.ravel(), expected, 1e-8)


def test_the_sign_is_the_one_with_which_the_weights_of_channels_add_up_to_more_than_zero() -> None:
    plane = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    for weights in ([2.0, 1.0, -1.0], [-2.0, -1.0, 1.0]):
        maps = torch.stack([w * plane for w in weights])[None]
        planes, share = principal_map(maps)
        direction = torch.tensor(weights) / torch.tensor(weights).norm()
        assert torch.allclose(planes[0], plane * torch.tensor(weights).norm() * direction.sum().sign(), atol=1e-6)
        assert float(share) == pytest.approx(1)


def test_where_the_weights_cancel_the_largest_is_positive_and_zeros_stay_zero() -> None:
    plane = torch.tensor([[1.0, 2.0]])
    planes, _ = principal_map(torch.stack([plane, -plane])[None])
    assert torch.allclose(planes.abs(), plane[None] * 2**0.5)
    planes, share = principal_map(torch.zeros(1, 3, 2, 2))
    assert not planes.any()
    assert float(share) == 0


def test_tiny_maps_are_not_lost() -> None:
    maps = pictures(2).abs()
    one, small = principal_map(maps), principal_map(maps * 1e-30)
    assert torch.allclose(small[0] * 1e30, one[0], rtol=1e-4)
    assert torch.allclose(small[1], one[1])


def test_it_has_no_class_and_says_so() -> None:
    one, other = pellucid.explain_many(
        net("batch norm"), [pictures()], methods=["eigen-cam"], targets=["class:0", "class:1"]
    )
    assert np.array_equal(one.values, other.values)
    assert one.notes == (
        "eigen-cam has no class: it shows the strongest pattern of the maps, and the same one for every target",
    )
    assert 0 < one.checks["share of the component"] <= 1
    assert one.cost.backwards == 0
