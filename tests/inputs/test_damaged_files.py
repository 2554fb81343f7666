"""What no reader should fall for: damaged, foreign and oversized files; and what it must leave alone."""

import io
import resource
import struct
import threading
import time
import warnings
import zlib

import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import InputError
from pellucid.inputs.reading import read

RNG = np.random.default_rng(0)
# Smooth, so that lossy formats come close; different along both axes and in every channel, so that no turn goes unseen.
ROWS, COLUMNS = np.mgrid[0:40, 0:60]
COLOUR = np.stack([ROWS * 6, COLUMNS * 4, 255 - ROWS * 3 - COLUMNS], axis=-1).astype(np.uint8)


def saved(picture: PIL.Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def colour(kind: str = "PNG", **options) -> bytes:
    return saved(PIL.Image.fromarray(COLOUR), kind, **options)


def refusal(source: object, **options) -> str:
    with pytest.raises(InputError) as caught:
        read(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def farthest(image, expected) -> int:
    return int(np.abs(image.pixels.astype(int) - expected).max())


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


# Damaged and foreign files


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"])
def test_a_file_that_was_cut_is_refused(kind, share):
    content = saved(PIL.Image.fromarray(RNG.integers(0, 256, (80, 90, 3), dtype=np.uint8)), kind)
    assert "the picture" in refusal(content[: int(len(content) * share)])


def test_a_cut_file_is_refused_even_if_the_process_allows_them(monkeypatch):
    monkeypatch.setattr(PIL.ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    # Noise, so that half of the file is half of the picture and not half of the header.
    content = saved(PIL.Image.fromarray(RNG.integers(0, 256, (80, 90, 3), dtype=np.uint8)), "JPEG")
    assert "image file is truncated" in refusal(content[: len(content) // 2])
    assert PIL.ImageFile.LOAD_TRUNCATED_IMAGES is True


@settings(deadline=None, max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_a_png_with_any_byte_changed_before_its_end_mark_is_refused(place, flip):
    content = bytearray(colour("PNG"))
    content[int(place * (len(content) - 12))] ^= flip
    with pytest.raises(InputError):
        read(bytes(content))


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(["JPEG", "WEBP", "BMP", "TIFF", "GIF"]),
    places=st.lists(st.floats(0, 0.99), min_size=1),
    flip=st.integers(1, 255),
)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(kind, places, flip):
    content = bytearray(colour(kind))
    for place in places:
        content[int(place * len(content))] ^= flip
    try:
        image = read(bytes(content), max_pixels=1_000_000)
    except InputError:
        return
    assert image.pixels.dtype == np.uint8


@settings(deadline=None, max_examples=60)
@given(
    content=st.binary(min_size=1),
    start=st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"RIFF\0\0\0\0WEBP"]
    ),
)
def test_any_bytes_give_one_clear_line(content, start):
    assert refusal(start + content).startswith("the picture ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the picture is empty (0 bytes)"),
        (b"not a picture\n", "holds text, expected one of PNG, JPEG"),
        ("그림이 아닙니다".encode(), "holds text, expected"),
        (
            b"\n<!DOCTYPE html><title>404</title>",
            "holds a web page (HTML), as a failed download leaves it, expected one of",
        ),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "holds a drawing in SVG or other XML"),
        (b"%PDF-1.7\n\x00", "holds a PDF document"),
        (b"\x93NUMPY\x01\x00", "holds a NumPy array; load it with numpy.load and give the array"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "holds a heic picture or film"),
        (b"\0\1\2\3" * 20, "holds no picture that is known here"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 30, "begins like a PNG but cannot be decoded"),
        (b"RIFF\x10\0\0\0WEBPVP8 \0\0\0\0", "is damaged or cannot be decoded ("),
    ],
)
def test_what_a_file_holds_instead_is_said(content, message):
    assert message in refusal(content)


# Limits


def header_only_png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [7_100, 9_500, 13_400, 60_000])
def test_too_many_pixels_are_refused_without_a_warning(side):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        message = refusal(header_only_png(side, side))
    assert "the limit is 50 megapixels" in message


def test_the_message_of_the_limit_names_size_and_limit():
    assert refusal(header_only_png(8000, 9000)) == (
        "the picture is 8000×9000 = 72.0 megapixels, the limit is 50 megapixels and 20000 pixels a side; "
        "make it smaller first."
    )
    assert "the picture is 1×20001" in refusal(header_only_png(1, 20_001))


def test_the_limit_can_be_raised_and_lowered():
    plain = saved(PIL.Image.new("L", (100, 100)), "PNG")
    assert read(plain, max_pixels=10_000).width == 100
    assert "the limit is 0.009999 megapixels" in refusal(plain, max_pixels=9_999)
    assert "the limit is 5,000 megapixels and 20000 pixels a side" in refusal(
        header_only_png(60_000, 60_000), max_pixels=5 * 10**9
    )


def gif_bomb() -> bytes:
    content = bytearray(
        saved(PIL.Image.new("P", (4, 4)), "GIF", save_all=True, append_images=[PIL.Image.new("P", (4, 4), 1)] * 50)
    )
    content[6:10] = struct.pack("<HH", 65535, 65535)
    return bytes(content)


def webp_bomb() -> bytes:
    content = bytearray(saved(PIL.Image.new("RGB", (16, 16), (1, 2, 3)), "WEBP", lossless=True))
    start = content.index(b"VP8L") + 9
    content[start : start + 4] = struct.pack("<I", 16382 | 16382 << 14)
    return bytes(content)


def bmp_bomb() -> bytes:
    content = bytearray(colour("BMP"))
    content[18:26] = struct.pack("<ii", 50_000, 50_000)
    return bytes(content)


@pytest.mark.parametrize("bomb", [gif_bomb, webp_bomb, bmp_bomb, lambda: header_only_png(50_000, 50_000)])
def test_a_bomb_is_refused_at_once_and_takes_no_memory(bomb):
    content = bomb()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    assert "megapixels" in refusal(content)
    assert time.perf_counter() - began < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


# What a reader must leave alone


def test_settings_and_warning_filters_of_the_process_are_put_back():
    before = PIL.Image.MAX_IMAGE_PIXELS, PIL.ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)
    read(colour("PNG"))
    refusal(b"text")
    assert (PIL.Image.MAX_IMAGE_PIXELS, PIL.ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)) == before


def test_threads_that_read_at_once_leave_the_warning_filters_alone():
    before, content = list(warnings.filters), colour("JPEG", quality=100, subsampling=0)
    right: list[bool] = []
    threads = [
        threading.Thread(target=lambda: right.extend(farthest(read(content), COLOUR) <= 3 for _ in range(10)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 80
    assert list(warnings.filters) == before


def test_a_warning_of_the_decoder_becomes_a_note():
    # A TIFF whose EXIF block says more than it holds makes Pillow warn.
    content = colour("JPEG", quality=100, subsampling=0, exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01")
    image = read(content)
    assert farthest(image, COLOUR) <= 3
    assert image.notes[-1].startswith("the decoder says: ")
