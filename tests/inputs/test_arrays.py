import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pellucid.errors import InputError, SettingError
from pellucid.inputs.image import Image
from pellucid.inputs.reading import read

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (4, 5), dtype=np.uint8)


def test_rgb_stays_as_it_is():
    image = read(COLOUR)
    assert np.array_equal(image.pixels, COLOUR)
    assert (image.name, image.notes) == ("array", ())


def test_red_is_the_first_channel():
    red = np.zeros((1, 1, 3), np.uint8)
    red[..., 0] = 255
    assert read(red).pil().getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("grey", [GREY, GREY[:, :, None]])
def test_grey_is_copied_to_three_channels_and_said(grey):
    image = read(grey)
    assert all(np.array_equal(image.pixels[..., channel], GREY) for channel in range(3))
    assert image.notes == ("grey copied to three channels",)


@settings(deadline=None, max_examples=50)
@given(
    pixels=arrays.arrays(np.uint8, (2, 3, 4)),
    background=st.tuples(*[st.integers(0, 255)] * 3),
)
def test_rgba_is_mixed_with_the_background_by_its_alpha(pixels, background):
    alpha = pixels[..., 3:].astype(float) / 255
    expected = pixels[..., :3] * alpha + np.array(background) * (1 - alpha)
    image = read(pixels, background=background)
    assert np.abs(image.pixels - expected).max() <= 1
    see_through = pixels[..., 3].min() < 255
    assert image.notes == ((f"transparency laid over the background {background}",) if see_through else ())


def test_every_16_bit_value_is_scaled_not_clipped():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    image = read(values)
    assert np.array_equal(image.pixels[..., 0], np.rint(values / 257))
    assert image.notes[0] == "16 bits scaled to 8 (divided by 257)"


def test_the_byte_order_of_16_bit_values_does_not_matter():
    values = RNG.integers(0, 65536, (3, 4, 3)).astype(np.uint16)
    assert np.array_equal(read(values.astype(">u2")).pixels, read(values.astype("<u2")).pixels)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floats_of_8_bit_values_give_those_values_back(kind):
    assert np.array_equal(read((COLOUR / 255).astype(kind)).pixels, COLOUR)


def test_half_floats_are_rounded_to_the_nearest():
    assert np.abs(read((COLOUR / 255).astype(np.float16)).pixels.astype(int) - COLOUR).max() <= 1


def test_a_view_turned_around_is_read_as_it_looks():
    turned = COLOUR[::-1, :, ::-1]
    assert np.array_equal(read(turned).pixels, turned)
    assert np.array_equal(read(np.asfortranarray(COLOUR)).pixels, COLOUR)


def test_a_later_change_of_the_array_does_not_reach_the_picture():
    array = COLOUR.copy()
    image = read(array)
    array[:] = 0
    assert np.array_equal(image.pixels, COLOUR)


def test_the_digest_depends_on_shape_and_pixels_alone():
    assert read(COLOUR).digest == read(COLOUR.copy()).digest == read(COLOUR / 255).digest
    assert read(COLOUR).digest == hashlib.sha256("4×5×3\n".encode() + COLOUR.tobytes()).hexdigest()
    assert read(COLOUR).digest != read(COLOUR.reshape(5, 4, 3)).digest
    assert read(COLOUR).digest != read(255 - COLOUR).digest


def test_a_picture_that_was_read_is_returned_itself():
    image = read(COLOUR)
    assert read(image, background=(0, 0, 0)) is image
    assert isinstance(image, Image)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.zeros((3, 8, 8), np.uint8),
            "the array has the shape (3, 8, 8), expected (height, width), (height, width, 1), (height, width, 3) "
            "in RGB order or (height, width, 4); channels come first here: use array.transpose(1, 2, 0).",
        ),
        (np.zeros((2, 8, 8, 3), np.uint8), "this is a batch: give its pictures one by one, array[0]."),
        (np.zeros((8, 8, 2), np.uint8), "the array has the shape (8, 8, 2), expected (height, width)"),
        (np.zeros(8, np.uint8), "the array has the shape (8,), expected (height, width)"),
        (np.zeros((), np.uint8), "the array has the shape (), expected (height, width)"),
        (np.zeros((0, 8, 3), np.uint8), "the array is 8×0 pixels, expected at least one pixel."),
        (np.full((8, 8), np.nan), "the array holds NaN or infinity, expected numbers from 0 to 1"),
        (np.full((8, 8), np.inf), "the array holds NaN or infinity, expected numbers from 0 to 1"),
        (
            np.array([[0.0, 255.0]]),
            "the array has floats from 0 to 255, expected 0 to 1; use .astype(np.uint8) if they mean 0 to 255.",
        ),
        (np.array([[-2.1, 2.6]]), "the array has floats from -2.1 to 2.6, expected 0 to 1; scale or clip them."),
        (np.zeros((8, 8), np.int64), "the array has the type int64, expected uint8, uint16 or floats from 0 to 1"),
        (np.zeros((8, 8), bool), "use array.astype(np.uint8) * 255 for a mask."),
        (np.zeros((8, 8), complex), "the array has the type complex128, expected uint8"),
        (np.full((8, 8), None), "the array has the type object, expected uint8"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused_with_the_way_out(array, message):
    with pytest.raises(InputError) as caught:
        read(array)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_size_limit_holds_for_arrays():
    with pytest.raises(InputError, match=r"the array is 10×11 = 0\.0 megapixels, the limit is 0\.0001 megapixels"):
        read(np.zeros((11, 10), np.uint8), max_pixels=100)


def test_something_else_is_refused_by_its_type():
    with pytest.raises(
        InputError, match="a dict is no picture, expected a path, bytes, a Pillow image or a numpy array"
    ):
        read({})


@pytest.mark.parametrize("background", [(0, 0), (0, 0, 256), (0.5, 0, 0), "white", None, (True, 0, 0)])
def test_a_background_that_is_no_colour_is_refused(background):
    with pytest.raises(SettingError, match="expected three whole numbers from 0 to 255"):
        read(GREY, background=background)


@pytest.mark.parametrize("most", [0, -1, 1.5, True, None])
def test_a_limit_that_is_no_number_of_pixels_is_refused(most):
    with pytest.raises(SettingError, match=r"max_pixels is .*, expected a whole number, 1 or more"):
        read(GREY, max_pixels=most)


def test_the_trap_of_bgr_arrays_is_named_where_arrays_are_documented():
    assert "cv2" in read.__doc__
    assert "BGR" in read.__doc__
