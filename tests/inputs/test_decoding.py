"""Every kind of picture file, each compared with pixels that are known in another way."""

import hashlib
import io
import struct
import zlib

import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest

from pellucid.errors import InputError
from pellucid.inputs.reading import read

RNG = np.random.default_rng(0)
# Smooth, so that lossy formats come close; different along both axes and in every channel, so that no turn goes unseen.
ROWS, COLUMNS = np.mgrid[0:40, 0:60]
COLOUR = np.stack([ROWS * 6, COLUMNS * 4, 255 - ROWS * 3 - COLUMNS], axis=-1).astype(np.uint8)
GREY = COLOUR[..., 0]


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


# Kinds of files


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 100}, 12),
        ("JPEG", {"quality": 100, "subsampling": 0}, 3),
        ("JPEG", {"quality": 100, "subsampling": 0, "progressive": True}, 3),
    ],
)
def test_every_allowed_format_gives_the_saved_pixels(kind, options, tolerance):
    content = colour(kind, **options)
    image = read(content)
    assert farthest(image, COLOUR) <= tolerance
    assert (image.digest, image.notes) == (hashlib.sha256(content).hexdigest(), ())


def test_the_suffix_decides_nothing(tmp_path):
    (tmp_path / "cat.jpg").write_bytes(colour("PNG"))
    assert farthest(read(tmp_path / "cat.jpg"), COLOUR) == 0


@pytest.mark.parametrize("kind", ["ICO", "PPM", "TGA", "PCX", "PDF", "EPS", "JPEG2000"])
def test_formats_off_the_list_are_refused(kind):
    try:
        content = colour(kind)
    except OSError as error:
        pytest.skip(f"this Pillow cannot write {kind}: {error}")
    assert "expected one of PNG, JPEG, WEBP, BMP, TIFF, GIF." in refusal(content)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_tag_is_applied(kind, orientation):
    # The eight ways in which a camera may have held the scene, by the tag's definition: what turns it upright, undone.
    stored = {
        1: COLOUR,
        2: COLOUR[:, ::-1],
        3: COLOUR[::-1, ::-1],
        4: COLOUR[::-1],
        5: COLOUR.transpose(1, 0, 2),
        6: np.rot90(COLOUR, 1),
        7: COLOUR[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(COLOUR, -1),
    }[orientation]
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    picture = PIL.Image.fromarray(np.ascontiguousarray(stored))
    image = read(saved(picture, kind, exif=exif, **options))
    assert image.pixels.shape == COLOUR.shape
    assert farthest(image, COLOUR) <= (3 if kind == "JPEG" else 0)
    assert image.notes == ((f"EXIF orientation {orientation} applied",) if orientation > 1 else ())


def test_an_orientation_that_does_not_exist_changes_nothing():
    exif = PIL.Image.Exif()
    exif[0x0112] = 77
    image = read(colour("PNG", exif=exif))
    assert farthest(image, COLOUR) == 0
    assert image.notes == ()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(kind):
    values = np.linspace(0, 65535, 40 * 60).astype(np.uint16).reshape(40, 60)
    image = read(saved(PIL.Image.fromarray(values), kind))
    assert farthest(image, np.rint(values / 257)[..., None]) == 0
    assert image.notes == ("16 bits scaled to 8 (divided by 257)", "grey copied to three channels")


def test_16_bit_grey_with_a_transparent_value_shows_the_background_there():
    values = np.array([[1000, 65535], [0, 1000]], np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", 2, 2, 16, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"tRNS", struct.pack(">H", 1000))
    content += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert read(content, background=(1, 2, 3)).pixels.tolist() == [[[1, 2, 3], [255] * 3], [[0] * 3, [1, 2, 3]]]


def test_16_bit_colour_is_reduced_and_said():
    values = RNG.integers(0, 65536, (3, 4, 3)).astype(np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", 4, 3, 16, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    image = read(content)
    assert farthest(image, values / 257) <= 1
    assert image.notes == ("16 bits per channel reduced to 8",)


def test_bilevel_becomes_black_and_white():
    image = read(saved(PIL.Image.fromarray(GREY).convert("1"), "PNG"))
    assert set(np.unique(image.pixels)) == {0, 255}
    assert np.array_equal(image.pixels[..., 0] > 0, np.asarray(PIL.Image.fromarray(GREY).convert("1")))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_palette_is_looked_up(kind):
    few = COLOUR // 64 * 64
    palette = PIL.Image.fromarray(few).convert("P", palette=PIL.Image.Palette.ADAPTIVE, colors=256)
    assert farthest(read(saved(palette, kind)), np.asarray(palette.convert("RGB"))) == 0


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (10, 200, 30)])
def test_transparent_colours_are_laid_over_the_background(background):
    alpha = (COLUMNS * 4).astype(np.uint8)
    picture = PIL.Image.fromarray(np.dstack([COLOUR, alpha]))
    share = alpha[..., None] / 255
    image = read(saved(picture, "PNG"), background=background)
    assert np.abs(image.pixels - (COLOUR * share + np.array(background) * (1 - share))).max() <= 1
    assert image.notes == (f"transparency laid over the background {background}",)


def test_transparent_grey_is_laid_over_the_background():
    alpha = (COLUMNS * 4).astype(np.uint8)
    picture = PIL.Image.merge("LA", [PIL.Image.fromarray(GREY), PIL.Image.fromarray(alpha)])
    share = alpha[..., None] / 255
    image = read(saved(picture, "PNG"), background=(200, 0, 100))
    assert np.abs(image.pixels - (GREY[..., None] * share + np.array((200, 0, 100)) * (1 - share))).max() <= 1


@pytest.mark.parametrize("transparency", [2, bytes([255, 255, 0, 255])])
def test_a_transparent_palette_entry_shows_the_background(transparency):
    indices = np.arange(4, dtype=np.uint8).reshape(2, 2)
    picture = PIL.Image.fromarray(indices)
    picture.putpalette([10, 10, 10, 20, 20, 20, 30, 30, 30, 40, 40, 40])
    assert picture.mode == "P"
    image = read(saved(picture, "PNG", transparency=transparency), background=(1, 2, 3))
    assert image.pixels.tolist() == [[[10] * 3, [20] * 3], [[1, 2, 3], [40] * 3]]


def test_opaque_alpha_is_dropped_in_silence():
    image = read(saved(PIL.Image.fromarray(COLOUR).convert("RGBA"), "PNG"))
    assert farthest(image, COLOUR) == 0
    assert image.notes == ()


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_no_negative(kind):
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    image = read(saved(PIL.Image.fromarray(COLOUR).convert("CMYK"), kind, **options))
    assert farthest(image, COLOUR) <= 4
    assert image.notes == ("CMYK converted to RGB",)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_frames_the_first_is_taken_and_said(kind):
    frames = [PIL.Image.new("RGB", (6, 4), shade) for shade in [(255, 0, 0), (0, 255, 0), (0, 0, 255)]]
    options = {"lossless": True} if kind == "WEBP" else {}
    image = read(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert np.array_equal(image.pixels, np.full((4, 6, 3), (255, 0, 0), np.uint8))
    assert image.notes == ("the first of several frames or pages",)


# Pillow images


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_a_pillow_image_of_any_colour_mode_looks_the_same(mode):
    image = read(PIL.Image.fromarray(COLOUR).convert(mode))
    assert farthest(image, COLOUR) <= {"YCbCr": 3, "HSV": 8}.get(mode, 0)
    assert image.name == "picture"


def test_a_pillow_image_has_the_digest_of_its_pixels():
    assert read(PIL.Image.fromarray(COLOUR)).digest == read(COLOUR).digest


def test_a_pillow_image_is_turned_upright_and_itself_left_alone(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(np.ascontiguousarray(np.rot90(COLOUR))).save(tmp_path / "phone.png", exif=exif)
    with PIL.Image.open(tmp_path / "phone.png") as picture:
        image = read(picture)
        assert farthest(image, COLOUR) == 0
        assert image.name == "phone.png"
        assert picture.size == (40, 60)
        assert picture.getexif()[0x0112] == 6


def test_a_pillow_image_of_floats_follows_the_rule_for_arrays():
    share = (GREY / 255).astype(np.float32)
    assert farthest(read(PIL.Image.fromarray(share)), GREY[..., None]) == 0
    assert "the Pillow image has floats from 0 to 2, expected 0 to 1" in refusal(
        PIL.Image.fromarray(share * 0 + [[0, 2] * 30])
    )


def test_a_pillow_image_of_32_bit_numbers_is_refused():
    assert "32-bit whole numbers, whose white is not known" in refusal(PIL.Image.new("I", (3, 3)))


def test_the_frame_that_a_pillow_image_stands_at_is_taken():
    frames = [PIL.Image.new("RGB", (6, 4), shade) for shade in [(255, 0, 0), (0, 255, 0), (0, 0, 255)]]
    with PIL.Image.open(io.BytesIO(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))) as picture:
        picture.seek(2)
        image = read(picture)
        assert image.pixels[0, 0].tolist() == [0, 0, 255]
        assert image.notes == ("frame 3 of several",)
        assert picture.tell() == 2
