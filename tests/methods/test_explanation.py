from pathlib import Path

import numpy as np
import pytest
import torch
from tests.methods.nets import image, model, net, pictures
from torch import Tensor, nn

import pellucid
from pellucid import Explanation
from pellucid.errors import ArchiveError, SettingError
from pellucid.inputs.image import Image
from pellucid.methods.parts import Part
from pellucid.models.xai_cnn import XAI


def explained(**preparing: object) -> tuple[Explanation, Image]:
    picture = image(30, 40)
    return pellucid.explain(model(net("residual"), **preparing), picture, method="grad-cam"), picture


# -- digests


def test_the_same_picture_has_the_same_digest_and_another_one_another() -> None:
    module = model(net("residual"))
    one, same, other = (pellucid.explain(module, image(seed=seed), method="saliency") for seed in (1, 1, 2))
    assert one.subject is not None
    assert other.subject is not None
    assert one.subject.digest == image(seed=1).digest != other.subject.digest
    assert one.input_digest == same.input_digest != other.input_digest
    assert one.weights_digest == other.weights_digest == module.weights_digest
    assert one.same_as(same)
    assert not one.same_as(other)


def test_the_digest_of_an_input_tells_shapes_apart() -> None:
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    digests = {
        pellucid.explain(module, torch.ones(1, 2, *sides), method="saliency").input_digest
        for sides in ((2, 8), (8, 2), (4, 4))
    }
    assert len(digests) == 3


def test_changed_weights_are_another_digest() -> None:
    module = net("residual")
    before = pellucid.explain(module, pictures(), method="saliency")
    module.last.bias.data += 1  # type: ignore[union-attr, operator]
    after = pellucid.explain(module, pictures(), method="saliency")
    assert before.weights_digest != after.weights_digest
    assert not before.same_as(after)


def test_nothing_else_is_the_same_as_an_explanation() -> None:
    made, _ = explained()
    assert not made.same_as("something")
    assert not made.same_as(None)


# -- drawing


def test_another_picture_is_refused_as_the_original() -> None:
    made, picture = explained()
    made.overlay(original=picture)
    with pytest.raises(
        SettingError, match=r"^original is 'array \(.*\)', expected the explained picture, array \(.*\)\.$"
    ):
        made.overlay(original=image(30, 40, seed=5))


def test_a_tensor_has_no_original() -> None:
    made = pellucid.explain(net("residual"), pictures())
    assert made.subject is None
    assert made.overlay().pixels.ndim == 3
    with pytest.raises(SettingError, match="expected nothing: a tensor was explained"):
        made.overlay(original=image())


def test_what_is_no_map_is_not_drawn() -> None:
    made = pellucid.explain(
        nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), torch.rand(1, 4), method="saliency"
    )
    with pytest.raises(SettingError, match="part is 'axis 1', expected values with height and width"):
        made.overlay()
    assert made._repr_png_() is None


def test_an_explanation_shows_itself() -> None:
    made, _ = explained()
    shown = made._repr_png_()
    assert shown is not None
    assert shown.startswith(b"\x89PNG")
    assert repr(made).startswith("<Explanation: grad-cam of class ")
    assert "30×40 at /relu#2" in repr(made)


def test_values_on_the_drawing_are_those_of_the_explanation() -> None:
    made, _ = explained()
    legend = made.overlay().legend
    assert (legend["least"], legend["most"]) == (float(made.values.min()), float(made.values.max()))
    assert legend["unit"] == "per cell of /relu#2"


class Finder(nn.Module):
    """Finds red by hand, behind an unpadded convolution, a pooling and a stride: class 0 is how much red there is."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.pool = nn.Conv2d(3, 1, 3, bias=False), nn.MaxPool2d(2)
        self.two = nn.Conv2d(1, 1, 3, stride=2, padding=1, bias=False)
        with torch.no_grad():
            self.one.weight.zero_()
            self.one.weight[0, :, 1, 1] = torch.tensor([1.0, -1.0, -1.0])
            self.two.weight.zero_()
            self.two.weight[0, 0, 1, 1] = 1.0

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.relu(self.two(self.pool(torch.relu(self.one(x)))))
        return torch.stack([maps.mean((1, 2, 3)), -maps.mean((1, 2, 3))], dim=1)


@pytest.mark.parametrize("place", [(10, 14), (21, 33), (33, 9), (21, 21)])
@pytest.mark.parametrize("preparing", [{}, {"crop": 32}, {"resize": 40, "crop": 36}, {"resize": (60, 80)}], ids=str)
def test_the_hottest_cell_lies_on_the_mark(place: tuple[int, int], preparing: dict) -> None:
    pixels = np.full((46, 50, 3), 120, dtype=np.uint8)
    row, column = place
    pixels[row - 2 : row + 3, column - 2 : column + 3] = (255, 0, 0)
    picture = pellucid.read(pixels)
    made = pellucid.explain(model(Finder(), **preparing), picture, method="grad-cam(site=two)", target="class:0")
    assert made.subject is not None
    box, rows, columns = made.parts[0].box, *made.values.shape
    assert box is not None
    top, left = np.unravel_index(made.values.argmax(), made.values.shape)
    y = box[1] + (top + 0.5) * (box[3] - box[1]) / rows
    x = box[0] + (left + 0.5) * (box[2] - box[0]) / columns
    y, x = made.subject.geometry.to_original(y, x)
    cell = max(46 / made.subject.geometry.resized[0], 50 / made.subject.geometry.resized[1]) * 4
    assert abs(y - (row + 0.5)) <= 2.5 + cell / 2
    assert abs(x - (column + 0.5)) <= 2.5 + cell / 2
    # The same on the drawings: the hottest colour covers the mark's middle.
    for drawn, (down, across) in (
        (made.overlay(original=picture), (row + 0.5, column + 0.5)),
        (made.overlay(), made.subject.geometry.to_prepared(row + 0.5, column + 0.5)),
    ):
        hot = hottest(drawn.pixels)
        middle = np.argwhere(hot).mean(0) / drawn.factor
        assert abs(middle[0] - down) <= (2.5 + cell / 2) * 1.7
        assert abs(middle[1] - across) <= (2.5 + cell / 2) * 1.7


def hottest(pixels: np.ndarray) -> np.ndarray:
    """Where the drawing has the colour of its scale's end: viridis and cividis end in a yellow."""
    plane = pixels.astype(int)
    yellow = plane[..., 0] + plane[..., 1] - 2 * plane[..., 2]
    return yellow >= yellow.max() - 30


@pytest.mark.parametrize("side", [40, 100])
@pytest.mark.parametrize("site", ["features.0", "features.7", "features.22", "features.50", "features.51"])
def test_cells_lie_around_the_middle_of_what_they_see(side: int, site: str) -> None:
    module = XAI(width=4).eval()
    x = torch.rand(1, 3, side, side)
    made = pellucid.explain(module, x, method=f"grad-cam(site={site}, sign=both)")
    field = pellucid.trace(module, x, keep="statistics")[site].receptive_field
    box, (rows, columns) = made.parts[0].box, made.values.shape
    assert field is not None
    assert box is not None
    for i in range(rows):
        (first, end), _ = field.at(i, 0)
        assert box[1] + (i + 0.5) * (box[3] - box[1]) / rows == pytest.approx((first + end) / 2)
    for j in range(columns):
        _, (first, end) = field.at(0, j)
        assert box[0] + (j + 0.5) * (box[2] - box[0]) / columns == pytest.approx((first + end) / 2)


# -- valid or not born


def test_a_part_takes_a_copy_of_what_others_can_write_to() -> None:
    mine = np.zeros((2, 3), dtype=np.float32)
    part = Part(name="map", place="one", axes=("height", "width"), values=mine[:])
    mine[0, 0] = 5
    assert not part.values.any()
    assert mine.flags.writeable


def test_a_part_has_a_name_for_every_axis() -> None:
    with pytest.raises(SettingError, match="axes is '1 names', expected one for each of 2 axes of the values"):
        Part(name="map", place="one", axes=("height",), values=np.zeros((2, 3)))


def test_numbers_that_json_cannot_hold_come_back_as_no_number(tmp_path: Path) -> None:
    module = net("residual")
    module.last.weight.data.zero_()  # type: ignore[union-attr, operator]
    made = pellucid.explain(module, pictures(), method="integrated-gradients(steps=2)")
    assert np.isnan(made.checks["relative gap"])
    back = Explanation.load(made.save(tmp_path / "why"))
    assert np.isnan(back.checks["relative gap"])
    assert "NaN" not in (tmp_path / "why.json").read_text()
    assert back.same_as(made)


def test_attributions_that_are_not_finite_are_said_to_be(tmp_path: Path) -> None:
    class Root(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.clamp(min=0).sqrt().mean((2, 3))

    x = torch.ones(1, 3, 4, 4)
    x[0, 0, 0, 0] = 0
    made = pellucid.explain(Root(), x, method="saliency", target="class:0")
    assert "not finite: 1 of 48 values are NaN or infinite" in made.notes
    assert made.overlay().legend["not_finite"] == 1
    assert Explanation.load(made.save(tmp_path / "why")).same_as(made)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    pellucid.trace(net("residual"), pictures()).save(tmp_path / "seen")
    with pytest.raises(ArchiveError, match="holds trace, expected a saved explanation"):
        Explanation.load(tmp_path / "seen")
