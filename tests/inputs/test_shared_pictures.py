"""Every file of the shared folder of odd pictures reads right or is refused, as the README beside them says."""

import time
import unicodedata

import numpy as np
import PIL.Image
import pytest

from pellucid.errors import InputError
from pellucid.inputs.reading import read

KOREAN = "고양이 사진.png"

# Mean absolute difference to the original that the kind of file explains: none, or what lossy compression leaves.
LIKE_THE_ORIGINAL = {
    "chelsea.png": 0.0,
    KOREAN: 0.0,
    "chelsea.webp": 3.0,
    "cmyk.jpg": 2.0,
    "exif_orientation_3.jpg": 2.5,
    "exif_orientation_6.jpg": 2.5,
    "exif_orientation_8.jpg": 2.5,
    "progressive.jpg": 2.5,
    "uppercase_extension.JPG": 2.5,
    "palette.gif": 5.0,
}
LIKE_ITS_GREY = {"gray8.png": 0.0, "gray16.png": 0.6}
SMALLER = {"chelsea.bmp": (85, 128), "chelsea.tiff": (85, 128), "animated.gif": (150, 226)}
TRANSPARENT = ("rgba_transparent.png", "gray_alpha.png", "palette_transparent.png")
OTHERS = {"bilevel.png": (300, 451), "one_pixel.png": (1, 1), "wide_451x3.png": (3, 451)}
REFUSED = {
    "truncated.jpg": "is damaged or cannot be decoded (image file is truncated",
    "truncated.png": "is damaged or cannot be decoded",
    "empty.png": "is empty (0 bytes)",
    "text_renamed.png": "holds text, expected one of PNG, JPEG",
    "bomb_60000x60000.png": "declares 3,600 megapixels, the limit is 50 megapixels",
    "README.md": "holds text",
    "SHA256SUMS": "holds text",
}


@pytest.fixture(scope="module")
def odd(shared_data):
    return shared_data / "images" / "misc"


@pytest.fixture(scope="module")
def original(odd):
    with PIL.Image.open(odd / "chelsea.png") as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_every_file_of_the_folder_is_spoken_of_here(odd):
    named = {*LIKE_THE_ORIGINAL, *LIKE_ITS_GREY, *SMALLER, *TRANSPARENT, *OTHERS, *REFUSED}
    assert {unicodedata.normalize("NFC", file.name) for file in odd.iterdir()} == named


@pytest.mark.parametrize("name", LIKE_THE_ORIGINAL)
def test_a_copy_reads_like_the_original(odd, original, name):
    image = read(odd / name)
    assert image.pixels.shape == original.shape
    assert np.abs(image.pixels - original).mean() <= LIKE_THE_ORIGINAL[name]


@pytest.mark.parametrize("name", LIKE_ITS_GREY)
def test_a_grey_copy_reads_like_the_originals_grey(odd, original, name):
    grey = np.rint(original @ [0.299, 0.587, 0.114])
    image = read(odd / name)
    assert "grey copied to three channels" in image.notes
    assert np.abs(image.pixels - grey[..., None]).max() <= 1


@pytest.mark.parametrize("name", SMALLER)
def test_a_smaller_copy_reads_like_the_original_made_smaller(odd, original, name):
    height, width = SMALLER[name]
    smaller = PIL.Image.fromarray(original.astype(np.uint8)).resize((width, height), PIL.Image.Resampling.BICUBIC)
    image = read(odd / name)
    assert image.pixels.shape == (height, width, 3)
    assert np.abs(image.pixels.astype(int) - np.asarray(smaller)).mean() < 6
    assert ("the first of several frames or pages" in image.notes) == (name == "animated.gif")


@pytest.mark.parametrize("name", TRANSPARENT)
def test_a_transparent_copy_is_laid_over_the_stated_background(odd, name):
    white, black = read(odd / name), read(odd / name, background=(0, 0, 0))
    assert "transparency laid over the background (0, 0, 0)" in black.notes
    with PIL.Image.open(odd / name) as picture:
        whole = np.asarray(picture.convert("RGBA")).astype(float)
    share = whole[..., 3:] / 255
    assert np.abs(black.pixels - whole[..., :3] * share).max() <= 1
    assert np.abs(white.pixels - black.pixels.astype(float) - 255 * (1 - share)).max() <= 1


@pytest.mark.parametrize("name", OTHERS)
def test_the_others_have_their_size(odd, name):
    assert read(odd / name).pixels.shape == (*OTHERS[name], 3)


@pytest.mark.parametrize("name", REFUSED)
def test_the_damaged_and_foreign_are_refused_within_a_second(odd, name):
    began = time.perf_counter()
    with pytest.raises(InputError) as caught:
        read(odd / name)
    assert REFUSED[name] in str(caught.value)
    assert name in str(caught.value)
    assert time.perf_counter() - began < 1


def test_real_photographs_read_as_pillow_shows_them(shared_data):
    for file in sorted((shared_data / "images" / "imagenet_samples").glob("*.jpg"))[:10]:
        with PIL.Image.open(file) as picture:
            assert np.array_equal(read(file).pixels, np.asarray(picture.convert("RGB")))
