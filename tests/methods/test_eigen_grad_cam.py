import numpy as np
import pytest
from tests.methods.cam_oracles import near, ours, read
from tests.methods.nets import Unrolled, pictures, seeded


@pytest.mark.parametrize("layer", ["relu1", "relu2"])
def test_values_are_slope_times_activation_along_their_first_eigenvector(layer: str) -> None:
    module, x = seeded(Unrolled).double(), pictures(2).double()
    maps, slopes = read(module, layer, x, 1)
    made = ours(module, x, f"eigen-grad-cam(site={layer}, sign=both)", 1)
    for values, each in zip(made, (maps * slopes).numpy(), strict=True):
        rows = each.reshape(len(each), -1).T
        _, vectors = np.linalg.eigh(rows.T @ rows)
        assert near(values.ravel(), rows @ (vectors[:, -1] * np.sign(vectors[:, -1].sum())), 1e-6)
    assert np.array_equal(ours(module, x, f"eigen-grad-cam(site={layer})", 1), np.clip(made, 0, None))


def test_the_sign_agrees_with_hirescam() -> None:
    for seed in range(8):
        module, x = seeded(Unrolled, seed), pictures(3, seed)
        made = ours(module, x, "eigen-grad-cam(site=relu2, sign=both)", 1)
        full = ours(module, x, "hirescam(site=relu2)", 1)
        assert ((made * full).sum((1, 2)) >= 0).all()
