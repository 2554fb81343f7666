import io

import numpy as np
import PIL.Image
import pytest

from pellucid.errors import SettingError
from pellucid.inputs.image import Image


def picture(pixels: np.ndarray, **others) -> Image:
    return Image(pixels=pixels, name="array", digest="0" * 64, **others)


def test_the_pixels_cannot_be_written_to():
    image = picture(np.zeros((2, 3, 3), np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0, 0] = 1


def test_a_later_change_of_the_array_does_not_reach_the_picture():
    pixels = np.zeros((2, 3, 3), np.uint8)
    image = picture(pixels)
    pixels[:] = 9
    assert not image.pixels.any()


def test_height_comes_first_in_the_array_and_width_first_in_the_repr():
    image = picture(np.zeros((2, 3, 3), np.uint8), notes=("grey copied to three channels",))
    assert (image.height, image.width) == (2, 3)
    assert repr(image) == "<Image 'array' 3×2, 000000000000: grey copied to three channels>"


def test_a_notebook_shows_the_very_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    shown = np.asarray(PIL.Image.open(io.BytesIO(picture(pixels)._repr_png_())))
    assert np.array_equal(shown, pixels)


def test_a_notebook_shows_a_large_picture_smaller():
    shown = PIL.Image.open(io.BytesIO(picture(np.zeros((10, 2000, 3), np.uint8))._repr_png_()))
    assert max(shown.size) == 768


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((2, 3, 4), np.uint8), "pixels is 'uint8 (2, 3, 4)', expected a uint8 array (height, width, 3)"),
        (np.zeros((2, 3, 3)), "pixels is 'float64 (2, 3, 3)', expected a uint8 array"),
        ([[1]], "pixels is 'list', expected a uint8 array"),
        (np.zeros((0, 3, 3), np.uint8), "pixels is (0, 3, 3), expected at least one pixel."),
    ],
)
def test_pixels_of_another_kind_are_refused(pixels, message):
    with pytest.raises(SettingError) as caught:
        picture(pixels)
    assert str(caught.value).startswith(message)
