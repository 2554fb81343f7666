"""Kernels as pictures: each weight a square of one colour, zero in the middle of the scale."""

import io

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import SettingError
from pellucid.figures.colour import NEGATIVE, NOT_FINITE, POSITIVE, WHITE, palette, signed
from pellucid.figures.kernels import GREY, Section, colour_kernels, filter_figure, matrix, signed_kernels
from pellucid.figures.tiles import KernelFigure


def filters(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape)


def cut(figure: KernelFigure, place: int) -> np.ndarray:
    box = figure.boxes[place]
    return figure.pixels[box.top : box.top + box.height, box.left : box.left + box.width]


def test_colours_are_the_three_inputs_about_mid_grey() -> None:
    kernel = np.zeros((1, 3, 1, 2))
    kernel[0, 0, 0, 0], kernel[0, 2, 0, 1] = 2.0, -1.0
    figure = colour_kernels(kernel, labels=["0"], cell=8)
    tile = cut(figure, 0)
    assert tile[0, 0].tolist() == [255, GREY, GREY]
    # Half of the limit, downwards: 128 − 127 / 2, to the even number.
    assert tile[0, -1].tolist() == [GREY, GREY, 64]
    assert figure.limit == (2.0,)


def test_the_negative_of_a_filter_has_the_complementary_colours() -> None:
    kernels = filters(5, 3, 3, 3)
    pixels = [
        cut(colour_kernels(sign * kernels, labels=list("abcde")), place).astype(int)
        for sign in (1, -1)
        for place in range(5)
    ]
    for place in range(5):
        assert (pixels[place] + pixels[place + 5] == 2 * GREY).all()


def test_a_shared_scale_makes_a_weak_filter_pale_and_its_own_does_not() -> None:
    kernels = np.stack([np.full((3, 2, 2), 1.0), np.full((3, 2, 2), 0.1)])
    own, shared = (colour_kernels(kernels, labels=["0", "1"], scale=scale) for scale in ("filter", "shared"))
    assert cut(own, 1)[0, 0].tolist() == [255, 255, 255]
    assert cut(shared, 1)[0, 0].tolist() == [141, 141, 141]
    assert own.limit == (1.0, 0.1)
    assert shared.limit == (1.0, 1.0)


def test_a_dead_filter_is_not_enlarged_to_noise() -> None:
    kernels = filters(6, 3, 3, 3)
    kernels[2] *= 1e-9
    assert (cut(filter_figure(kernels, colours="RGB", order="number"), 2) == GREY).all()


def test_every_signed_kernel_is_its_weights_in_palette_colours_each_a_square() -> None:
    kernels = filters(7, 3, 4)
    figure = signed_kernels([Section("output 1", kernels, tuple("abcdefg"))], columns=3)
    limit = float(np.abs(kernels).max())
    for place, kernel in enumerate(kernels):
        colours = palette("signed")[signed(kernel, limit)]
        wanted = np.kron(colours, np.ones((figure.factor, figure.factor, 1), dtype=np.uint8))
        assert np.array_equal(cut(figure, place), wanted)


def test_tiles_neither_overlap_nor_touch_nor_leave_the_drawing() -> None:
    figure = filter_figure(filters(20, 5, 3, 3), channels=list(range(20)))
    taken = np.zeros(figure.pixels.shape[:2], dtype=int)
    for box in figure.boxes:
        taken[box.top - 1 : box.top + box.height + 1, box.left - 1 : box.left + box.width + 1] += 1
    assert taken.max() == 1
    assert taken.sum() == sum((box.height + 2) * (box.width + 2) for box in figure.boxes)
    assert len(figure.boxes) == 100


def test_a_one_by_one_layer_is_a_matrix_of_outputs_below_each_other() -> None:
    weights = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
    figure = filter_figure(weights[:, :, None, None])
    tile = cut(figure, 0)[:: figure.factor, :: figure.factor]
    assert tile.tolist() == [
        [list(POSITIVE), list(NEGATIVE), list(WHITE)],
        [list(WHITE), list(POSITIVE), list(WHITE)],
    ]


def test_the_strongest_come_first_and_by_number_they_do_not() -> None:
    kernels = np.stack([np.full((1, 2, 2), strength) for strength in (1.0, -3.0, 2.0)])
    by_norm, by_number = (
        [cut(filter_figure(kernels, order=order), place)[0, 0].tolist() for place in range(3)]
        for order in ("norm", "number")
    )
    assert by_norm == [by_number[1], by_number[2], by_number[0]]
    assert by_norm[0] == list(NEGATIVE)


def test_bgr_weights_are_drawn_as_the_colours_that_they_are() -> None:
    kernels = filters(4, 3, 3, 3)
    blue_first = kernels[:, ::-1]
    assert np.array_equal(filter_figure(kernels, colours="RGB").pixels, filter_figure(blue_first, colours="BGR").pixels)


def test_kernels_of_chosen_outputs_are_sorted_by_norm_over_the_inputs() -> None:
    weights = np.zeros((2, 3, 2, 2))
    weights[1] = np.array([0.5, -2.0, 1.0])[:, None, None]
    figure = filter_figure(weights, channels=[1])
    expected = palette("signed")[signed(np.array([-2.0, 1.0, 0.5]), 2.0)]
    assert [cut(figure, place)[0, 0].tolist() for place in range(3)] == expected.tolist()


def test_what_is_not_finite_is_magenta_and_counted() -> None:
    kernels = filters(2, 3, 3, 3)
    kernels[0, 0, 0, 0] = np.nan
    figure = filter_figure(kernels, colours="RGB", order="number")
    assert cut(figure, 0)[0, 0].tolist() == palette("signed")[NOT_FINITE].tolist()
    assert np.isfinite(figure.limit).all()


def test_a_matrix_is_never_larger_than_the_limit_of_a_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.figures.kernels.LARGEST", 1000)
    box = matrix(filters(100, 90)).boxes[0]
    assert (box.height, box.width) == (34, 30)


def test_the_file_is_the_drawing(tmp_path) -> None:
    figure = filter_figure(filters(3, 3, 3, 3), colours="RGB", title="first")
    with Image.open(figure.save(tmp_path / "k.png")) as drawn:
        assert np.array_equal(np.asarray(drawn.convert("RGB")), figure.pixels)
    with Image.open(io.BytesIO(figure._repr_png_())) as drawn:
        assert drawn.size == figure.pixels.shape[1::-1]
    assert repr(figure).startswith("KernelFigure('first: 3 filters of 3 x 3 x 3', 3 drawn up to ±")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: filter_figure(filters(2, 2, 3, 3, 3)), "expected kernels with two axes at most"),
        (lambda: filter_figure(filters(2, 2, 3, 3), channels=[2]), "channel is 2, expected 0 to 1"),
        (lambda: colour_kernels(filters(2, 4, 3, 3), labels=["a", "b"]), r"expected the shape \(filters, 3, height"),
        (lambda: colour_kernels(filters(2, 3, 3, 3), labels=["a"]), "labels is 1, expected 2"),
        (lambda: colour_kernels(filters(1, 3, 3, 3), labels=["a"], scale="own"), "'filter' "),
        (lambda: signed_kernels([]), "expected one or more"),
        (lambda: matrix(filters(3)), r"expected the shape \(outputs, inputs\)"),
        (lambda: filter_figure(filters(3, 3, 3, 3)).save("k.jpg"), "ends in .png"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_what_was_expected(call, message) -> None:
    with pytest.raises(SettingError, match=message):
        call()
