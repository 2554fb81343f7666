"""From the bytes of a picture file, or a Pillow image, to upright 8-bit sRGB; damaged and oversized files are refused.

Only formats on a short list are tried, so that a file cannot choose a rarely used decoder. Sizes are compared with the
limits after the header and before any pixel is decoded.
"""

import io
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import PIL.Image
import PIL.ImageFile
import PIL.ImageOps

from pellucid.errors import InputError
from pellucid.inputs.arrays import GREY_NOTE, Background, Pixels, over_background, to_eight_bits
from pellucid.inputs.colour import to_srgb
from pellucid.inputs.files import readable

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
MAX_SIDE = 20_000

_EXIF_ORIENTATION = 0x0112

# Pillow keeps these settings, and Python the warning filters, once for the whole process.
_ONE_AT_A_TIME = threading.Lock()

# First bytes, and what they say about a file that no decoder took: a damaged one of an allowed format, or another.
_DAMAGED = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_FOREIGN = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x93NUMPY", "a NumPy array; load it with numpy.load and give the array"),
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x01\x00", "an icon"),
)


def decode(content: bytes, *, called: str, background: Background, max_pixels: int) -> tuple[Pixels, tuple[str, ...]]:
    """The pixels of a picture file, and what reading had to do.

    Args:
        content: The whole file.
        called: What an error calls it, quoted.
        background: What lies behind transparent places.
        max_pixels: The most pixels that are decoded.

    Raises:
        InputError: It is no picture, is damaged, or has more pixels than allowed.
    """
    if not content:
        raise InputError(f"{called} is empty (0 bytes); copy or download it again.")
    with (
        _refusing(called, content, max_pixels),
        _strict_pillow(max_pixels) as warned,
        PIL.Image.open(io.BytesIO(content), formats=FORMATS) as picture,
    ):
        check_size(picture.size, called=called, max_pixels=max_pixels)
        if picture.format == "PNG":
            # Decoding skips the checksums of the pixel data and does not miss a cut tail.
            with PIL.Image.open(io.BytesIO(content), formats=FORMATS) as unread:
                unread.verify()
        pixels, notes = _upright_rgb(picture, background=background, called=called)
    return pixels, (*notes, *_told(warned))


def from_pil(
    picture: PIL.Image.Image, *, called: str, background: Background, max_pixels: int
) -> tuple[Pixels, tuple[str, ...]]:
    """The pixels of a Pillow image, which is left as it is, and what reading had to do.

    Raises:
        InputError: It comes from a damaged file, or its mode has no meaning as a picture.
    """
    with _refusing(called, b"", max_pixels), _strict_pillow(max_pixels) as warned:
        check_size(picture.size, called=called, max_pixels=max_pixels)
        pixels, notes = _upright_rgb(picture, background=background, called=called)
    return pixels, (*notes, *_told(warned))


def check_size(size: tuple[int, int], *, called: str, max_pixels: int) -> None:
    """Refuse a picture (width, height) without pixels or with too many.

    Raises:
        InputError: A side is 0 or over 20 000, or there are more than `max_pixels`.
    """
    width, height = size
    if width < 1 or height < 1:
        raise InputError(f"{called} is {width}×{height} pixels, expected at least one pixel.")
    if width * height > max_pixels or max(width, height) > MAX_SIDE:
        raise InputError(
            f"{called} is {width}×{height} = {width * height / 1e6:,.1f} megapixels, the limit is "
            f"{max_pixels / 1e6:,g} megapixels and {MAX_SIDE} pixels a side; make it smaller first."
        )


@contextmanager
def _strict_pillow(max_pixels: int) -> Iterator[list[warnings.WarningMessage]]:
    """Pillow with our limit on pixels and no half-read files, whatever the process has set; yields its warnings."""
    with _ONE_AT_A_TIME, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        kept = PIL.Image.MAX_IMAGE_PIXELS, PIL.ImageFile.LOAD_TRUNCATED_IMAGES
        PIL.Image.MAX_IMAGE_PIXELS, PIL.ImageFile.LOAD_TRUNCATED_IMAGES = max_pixels, False
        try:
            yield warned
        finally:
            PIL.Image.MAX_IMAGE_PIXELS, PIL.ImageFile.LOAD_TRUNCATED_IMAGES = kept


@contextmanager
def _refusing(called: str, content: bytes, max_pixels: int) -> Iterator[None]:
    """Whatever a decoder raises, as one line that says what is wrong with the file."""
    try:
        yield
    except InputError:
        raise
    except PIL.Image.DecompressionBombError as error:
        declared = re.search(r"\d+", str(error))
        size = f"declares {int(declared[0]) / 1e6:,g} megapixels" if declared else "declares too many pixels"
        limit = f"the limit is {max_pixels / 1e6:,g} megapixels"
        raise InputError(f"{called} {size}, {limit}; make it smaller first.") from error
    except PIL.UnidentifiedImageError as error:
        raise InputError(_no_picture(called, content)) from error
    except Exception as error:
        # A damaged file makes a decoder raise anything: OSError, SyntaxError, struct.error, zlib.error, IndexError…
        reason = readable(str(error)) or type(error).__name__
        raise InputError(f"{called} is damaged or cannot be decoded ({reason}); copy or download it again.") from error


def _told(warned: list[warnings.WarningMessage]) -> Iterator[str]:
    for warning in warned:
        # Sizes between Pillow's own limit and twice it: ours has been applied.
        if not issubclass(warning.category, PIL.Image.DecompressionBombWarning | ResourceWarning | DeprecationWarning):
            yield f"the decoder says: {readable(str(warning.message))}"


def _no_picture(called: str, content: bytes) -> str:
    expected = f"expected one of {', '.join(FORMATS)}"
    for start, kind in _DAMAGED:
        if content.startswith(start):
            return (
                f"{called} begins like a {kind} but cannot be decoded: it is damaged or of a rare kind; save it as PNG."
            )
    for start, kind in _FOREIGN:
        if content.startswith(start):
            return f"{called} holds {kind}, {expected}."
    if content[4:8] == b"ftyp":
        return (
            f"{called} holds a {readable(content[8:12].decode('latin-1'))} picture or film, {expected}; save it as PNG."
        )
    return f"{called} holds {_kind_of_text(content[:1024])}, {expected}."


def _kind_of_text(start: bytes) -> str:
    lower = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if lower.startswith((b"<svg", b"<?xml")):
        return "a drawing in SVG or other XML"
    if lower.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a web page (HTML), as a failed download leaves it"
    # A multi-byte letter may be cut at the end of the start.
    is_text = b"\0" not in start and "\ufffd" not in start.decode("utf-8", errors="replace")[:-1]
    return "text" if is_text else "no picture that is known here"


def _upright_rgb(picture: PIL.Image.Image, *, background: Background, called: str) -> tuple[Pixels, tuple[str, ...]]:
    notes: list[str] = []
    if getattr(picture, "is_animated", False):
        number = picture.tell() + 1
        notes.append("the first of several frames or pages" if number == 1 else f"frame {number} of several")
    # Both are gone once the pixels are loaded.
    deep_colour = ";16" in str(getattr(picture, "tile", "")) and not picture.mode.startswith("I;16")
    orientation = picture.getexif().get(_EXIF_ORIENTATION, 1)
    profile = picture.info.get("icc_profile")
    if deep_colour:
        notes.append("16 bits per channel reduced to 8")
    picture.load()
    if orientation in range(2, 9):
        # Some decoders turn the picture themselves and drop the tag; then this changes nothing.
        picture = PIL.ImageOps.exif_transpose(picture)
        notes.append(f"EXIF orientation {orientation} applied")

    colour, alpha, depth_notes = _colour_and_alpha(picture, called=called)
    notes.extend(depth_notes)
    was_grey, was_cmyk = colour.mode == "L", colour.mode == "CMYK"
    if profile:
        colour, profile_notes = to_srgb(colour, profile)
        notes.extend(profile_notes)
    if was_grey:
        notes.append(GREY_NOTE)
    if was_cmyk:
        notes.append("CMYK converted to RGB")
    colour = colour.convert("RGB")
    if alpha is not None:
        colour, alpha_notes = over_background(colour, alpha, background=background)
        notes.extend(alpha_notes)
    return np.array(colour), tuple(notes)


def _colour_and_alpha(
    picture: PIL.Image.Image, *, called: str
) -> tuple[PIL.Image.Image, PIL.Image.Image | None, tuple[str, ...]]:
    """The picture as L, RGB or CMYK, its opacity as L if it has any, and what was done to its depth."""
    mode = picture.mode
    if mode.startswith("I;16") or mode == "F":
        values = np.asarray(picture)
        pixels, notes = to_eight_bits(values, called=called)
        key = picture.info.get("transparency")
        alpha = PIL.Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)) if isinstance(key, int) else None
        return PIL.Image.fromarray(pixels), alpha, notes
    if mode == "I":
        raise InputError(
            f"{called} has 32-bit whole numbers, whose white is not known; give an array of floats from 0 to 1 instead."
        )
    if picture.has_transparency_data:
        whole = picture.convert("LA" if mode in ("1", "L", "LA") else "RGBA")
        return whole.convert(whole.mode[:-1]), whole.getchannel("A"), ()
    if mode in ("1", "L"):
        return picture.convert("L"), None, ()
    return (picture if mode == "CMYK" else picture.convert("RGB")), None, ()
