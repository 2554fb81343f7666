"""A picture from wherever it comes: a path, bytes, Pillow, an array."""

import hashlib
import os
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import PIL.Image

from pellucid.errors import InputError, SettingError
from pellucid.inputs.arrays import Background, Pixels, from_array
from pellucid.inputs.decoding import check_size, decode, from_pil
from pellucid.inputs.files import quoted, read_file, readable
from pellucid.inputs.image import Image

PictureSource: TypeAlias = str | os.PathLike[str] | bytes | PIL.Image.Image | npt.NDArray[Any] | Image


def read_picture(
    source: PictureSource, *, background: Background = (255, 255, 255), max_pixels: int = 50_000_000
) -> Image:
    """Read one picture as upright 8-bit RGB.

    Files are PNG, JPEG, WebP, BMP, TIFF or GIF. EXIF orientation is applied; grey, palette, CMYK and 16-bit pictures
    are converted; colours with an embedded profile are converted to sRGB; of an animation the first frame is taken.
    `Image.notes` says what was done.

    Arrays are **RGB**, height first: uint8, uint16 (65535 is white) or floats from 0 to 1, of shape (height, width),
    (height, width, 1), (height, width, 3) or (height, width, 4). What `cv2.imread` returns is BGR, and nothing in the
    array tells: swap it with `array[..., ::-1]`, or red and blue change places and the model sees another picture.

    Args:
        source: A path, the bytes of a file, a Pillow image, an array, or an `Image`, which is returned as it is.
        background: Red, green and blue, 0 to 255, of what is put behind transparent places.
        max_pixels: The most pixels a picture may have; it is compared before decoding. A side may have 20 000.

    Returns:
        The picture; its digest is that of the file's bytes, or of the shape and pixels where there was no file.

    Raises:
        InputError: There is no such file, it is no picture, is damaged, empty or too large.
        SettingError: `background` or `max_pixels` makes no sense.
    """
    background = checked_settings(background, max_pixels)
    if isinstance(source, Image):
        return source
    if isinstance(source, bytes | bytearray | memoryview):
        return picture_of(bytes(source), path=None, background=background, max_pixels=max_pixels)
    if isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        return picture_of(read_file(path), path=path, background=background, max_pixels=max_pixels)
    if isinstance(source, PIL.Image.Image):
        pixels, notes = from_pil(source, called="the Pillow image", background=background, max_pixels=max_pixels)
        file = getattr(source, "filename", "")
        name = readable(Path(os.fsdecode(file)).name) if isinstance(file, str | bytes) and file else "picture"
        return _image(pixels, name=name, digest=_digest(pixels), notes=notes)
    if isinstance(source, np.ndarray):
        if source.ndim >= 2:
            check_size((source.shape[1], source.shape[0]), called="the array", max_pixels=max_pixels)
        pixels, notes = from_array(source, background=background)
        return _image(pixels, name="array", digest=_digest(pixels), notes=notes)
    raise InputError(
        f"a {type(source).__name__} is no picture, expected a path, bytes, a Pillow image or a numpy array; "
        "a tensor (3, height, width) becomes one with tensor.permute(1, 2, 0).cpu().numpy(), an open file with .read()."
    )


def picture_of(content: bytes, *, path: str | None, background: Background, max_pixels: int) -> Image:
    """The picture that a file holds; see `read_picture`.

    Args:
        content: The whole file.
        path: Where it lies, or None for bytes without a file.
        background: What lies behind transparent places.
        max_pixels: The most pixels that are decoded.

    Raises:
        InputError: It is no picture, or is damaged or too large.
    """
    called, name = ("the picture", "bytes") if path is None else (quoted(path), readable(Path(path).name))
    pixels, notes = decode(content, called=called, background=background, max_pixels=max_pixels)
    return _image(pixels, name=name, digest=hashlib.sha256(content).hexdigest(), notes=notes)


def checked_settings(background: Background, max_pixels: int) -> Background:
    """The background as three whole numbers.

    Raises:
        SettingError: One of the two makes no sense.
    """
    if isinstance(max_pixels, bool) or not isinstance(max_pixels, int) or max_pixels < 1:
        raise SettingError(
            "max_pixels", given=max_pixels, expected="a whole number, 1 or more", hint="50_000_000 suits most"
        )
    return _background(background)


def _image(pixels: Pixels, *, name: str, digest: str, notes: tuple[str, ...]) -> Image:
    pixels.flags.writeable = False  # it is ours alone, so Image need not copy it
    return Image(pixels=pixels, name=name, digest=digest, notes=notes)


def _digest(pixels: Pixels) -> str:
    # Without the shape, 2×3 and 3×2 pictures of the same bytes would be one.
    height, width, channels = pixels.shape
    return hashlib.sha256(f"{height}×{width}×{channels}\n".encode() + pixels.tobytes()).hexdigest()


def _background(background: Background) -> Background:
    values = tuple(background) if isinstance(background, tuple | list) else ()
    whole = [int(value) for value in values if isinstance(value, int | np.integer) and not isinstance(value, bool)]
    if len(values) != 3 or len(whole) != 3 or not all(0 <= value <= 255 for value in whole):
        raise SettingError(
            "background",
            given=background,
            expected="three whole numbers from 0 to 255",
            hint="(255, 255, 255) is white",
        )
    red, green, blue = whole
    return red, green, blue
