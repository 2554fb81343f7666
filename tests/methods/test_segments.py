"""Segments: how pictures are cut, what is shown of them, and that methods over them work on every architecture."""

import sys
import types
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from tests.methods.nets import net, pictures, seeded
from torch import nn

import pellucid
from pellucid.errors import MissingExtraError, SettingError
from pellucid.methods.ablation import FeatureAblation
from pellucid.methods.segments import segments_of

QUICK = [
    "feature-ablation(segments=SEGMENTS)",
    "lime(samples=40, segments=SEGMENTS)",
    "kernel-shap(samples=60, segments=SEGMENTS)",
    "shapley(permutations=4, segments=SEGMENTS)",
    "sufficient-region(segments=SEGMENTS)",
    "necessary-region(segments=SEGMENTS)",
]
OTHERS = ["rise(masks=10)", "extremal-perturbation(steps=3)"]


@pytest.mark.parametrize(("height", "width", "parts"), [(12, 12, 3), (13, 17, 5), (7, 9, 7), (4, 4, 1)])
def test_a_grid_covers_the_picture_with_rectangles_of_nearly_equal_sides(height: int, width: int, parts: int) -> None:
    found = segments_of(torch.zeros(2, 3, height, width), f"grid:{parts}")
    assert found.counts == (parts**2,) * 2
    areas = []
    for number, (top, left, bottom, right) in enumerate(found.boxes().tolist()):
        assert bool((found.labels[:, top:bottom, left:right] == number).all())
        assert (bottom - top) - height // parts in (0, 1)
        assert (right - left) - width // parts in (0, 1)
        areas.append((bottom - top) * (right - left))
    assert sum(areas) == height * width


@pytest.mark.parametrize("text", ["grid", "grid:0", "grid:x", "grid:-1", "slic:", "squares:4", "grid:1.5", ""])
def test_unknown_segments_are_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(SettingError, match=r"^segments is .*, expected grid:N for N×N rectangles or slic:N .*\.$"):
        FeatureAblation(segments=text)


def test_superpixels_without_their_library_say_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(MissingExtraError, match=r"needs scikit-image, .* pip install 'pellucid\[segments\]'"):
        pellucid.explain(net("residual"), pictures(), method="feature-ablation(segments=slic:4)")


@pytest.fixture
def stripes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for SLIC that cuts into stripes, one more where the first pixel is bright, numbered with gaps."""

    def slic(shown: np.ndarray, *, n_segments: int, channel_axis: int, **others: Any) -> np.ndarray:
        assert channel_axis == -1
        assert shown.shape[-1] == 3
        assert (shown.min(), shown.max()) == (0.0, 1.0)
        assert others == {"compactness": 10.0, "convert2lab": True, "start_label": 0}
        count = n_segments + int(shown[0, 0, 0] > 0.5)
        rows = np.arange(shown.shape[0]) * count // shown.shape[0]
        return np.repeat(rows[:, None] * 2 + 1, shown.shape[1], axis=1)

    stub = types.ModuleType("skimage.segmentation")
    stub.slic = slic  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "skimage", types.ModuleType("skimage"))
    monkeypatch.setitem(sys.modules, "skimage.segmentation", stub)


@pytest.mark.usefixtures("stripes")
@pytest.mark.parametrize("method", [text.replace("SEGMENTS", "slic:4") for text in QUICK])
def test_pictures_with_different_numbers_of_segments_get_what_they_get_alone(method: str) -> None:
    module, x = net("batch norm"), pictures(2)
    x[0, 0, 0, 0], x[1, 0, 0, 0] = 3.0, -3.0
    together = list(pellucid.explain_many(module, [x], methods=[method], targets=["class:1"]))
    assert [each.part("segments").values.shape for each in together] == [(5,), (4,)]
    for number, each in enumerate(together):
        alone = pellucid.explain(module, x[number : number + 1], method=method, target="class:1")
        np.testing.assert_allclose(each.values, alone.values, atol=1e-6)
        error, other = each.parts[0].standard_error, alone.parts[0].standard_error
        assert (error is None) == (other is None)
        if error is not None:
            np.testing.assert_allclose(error, other, atol=1e-6)
        labels = each.part("segment map").values.astype(int)
        assert labels.max() + 1 == len(each.part("segments").values)
        assert np.array_equal(each.values, each.part("segments").values[labels])


@pytest.mark.parametrize("method", [text.replace("SEGMENTS", "grid:3") for text in QUICK] + OTHERS)
def test_what_is_not_finite_is_not_hidden(method: str) -> None:
    class Breaking(nn.Module):
        """NaN where a corner is dark; the picture itself is bright."""

        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(x.mean((2, 3))) + 0 * (x[:, 0, :1, 0] - 0.5).log()

    module = seeded(Breaking)
    made = pellucid.explain(module, pictures().abs() + 1, method=method.replace("(steps=3", "(steps=3, baseline=zero"))
    assert any("not finite" in note for note in made.notes)
    assert not np.isfinite(made.values).all() or "region" in method or "extremal" in method


def test_every_method_explains_a_vision_transformer() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = torchvision.models.VisionTransformer(
            image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=16, num_classes=5
        ).eval()
        nn.init.normal_(module.heads.head.weight)  # zeros otherwise
    x = pictures(shape=(3, 32, 32))
    methods = [text.replace("SEGMENTS", "grid:4") for text in QUICK] + OTHERS
    for made in pellucid.explain_many(module, [x], methods=methods):
        assert np.isfinite(made.values).all()
        assert made.values.any()
        assert made.values.shape == (32, 32)


@pytest.mark.parametrize("method", [text.replace("SEGMENTS", "grid:3") for text in QUICK] + OTHERS)
def test_values_do_not_depend_on_the_batch_size(method: str) -> None:
    module, x = net("in-place").double(), pictures(3).double()
    one, other = (list(pellucid.explain_many(module, [x], methods=[method], batch_size=size)) for size in (1, 7))
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(mine.values, theirs.values, atol=1e-10)
