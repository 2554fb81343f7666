import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from pellucid.errors import SettingError
from pellucid.figures import png


def decoded(content):
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return image.mode, image.info, np.asarray(image), image.convert("RGB")


@settings(deadline=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 7)),
    hnp.arrays(np.uint8, (8, 3)),
)
def test_a_palette_png_decodes_to_the_same_entries_and_colours(entries, colours):
    mode, info, found, shown = decoded(png.indexed(entries, colours))

    assert (mode, info) == ("P", {})
    np.testing.assert_array_equal(found, entries)
    np.testing.assert_array_equal(np.asarray(shown), colours[entries])


@settings(deadline=None)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_a_colour_png_decodes_to_the_same_pixels(pixels):
    mode, info, found, _ = decoded(png.rgb(pixels))

    assert (mode, info) == ("RGB", {})
    np.testing.assert_array_equal(found, pixels)


def test_large_pictures_decode_to_the_same_pixels_too():
    rng = np.random.default_rng(0)
    entries = rng.integers(0, 256, (40, 50), dtype=np.uint8).repeat(30, axis=0).repeat(30, axis=1)
    colours = rng.integers(0, 256, (256, 3), dtype=np.uint8)
    pixels = np.ascontiguousarray(colours[entries][:700, ::-1])

    np.testing.assert_array_equal(decoded(png.indexed(entries, colours))[2], entries)
    np.testing.assert_array_equal(decoded(png.rgb(pixels))[2], pixels)


def test_the_same_array_gives_the_same_bytes_whatever_its_memory_layout():
    entries = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colours = np.arange(36, dtype=np.uint8).reshape(12, 3)
    pixels = colours[entries]

    assert png.indexed(entries, colours) == png.indexed(np.asfortranarray(entries), np.asfortranarray(colours))
    assert png.rgb(pixels) == png.rgb(np.asfortranarray(pixels))


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 2)), np.zeros((2, 2, 3), np.uint8), np.zeros((0, 2), np.uint8), np.zeros(4, np.uint8)]
)
def test_entries_of_another_shape_or_type_are_refused(wrong):
    with pytest.raises(SettingError, match=r"entries is .*, expected uint8 of shape"):
        png.indexed(wrong, np.zeros((1, 3), np.uint8))


def test_colours_and_pixels_of_another_shape_are_refused():
    with pytest.raises(
        SettingError, match="colours is 'uint8 \\(257, 3\\)', expected uint8 of shape \\(1 to 256, 3\\)"
    ):
        png.indexed(np.zeros((2, 2), np.uint8), np.zeros((257, 3), np.uint8))
    with pytest.raises(SettingError, match="pixels is 'float64 \\(2, 2, 3\\)'"):
        png.rgb(np.zeros((2, 2, 3)))
