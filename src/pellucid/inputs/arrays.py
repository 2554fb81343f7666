"""From an array of numbers to 8-bit RGB: what shapes and ranges are taken, and why others are refused."""

from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from pellucid.errors import InputError

Pixels = npt.NDArray[np.uint8]
Background = tuple[int, int, int]


def from_array(array: npt.NDArray[Any], *, background: Background) -> tuple[Pixels, tuple[str, ...]]:
    """8-bit RGB from grey (height, width[, 1]), RGB (…, 3) or RGBA (…, 4), and what had to be done.

    Raises:
        InputError: The shape, the type or the range of values is none that a picture has.
    """
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise InputError(
            f"the array has the shape {array.shape}, expected (height, width), (height, width, 1), (height, width, 3) "
            f"in RGB order or (height, width, 4){_turned(array.shape)}"
        )
    pixels, notes = to_eight_bits(array, called="the array")
    channels = pixels.shape[2]
    if channels == 1:
        return np.repeat(pixels, 3, axis=2), (*notes, GREY_NOTE)
    if channels == 4:
        whole = PIL.Image.fromarray(pixels)
        colour, note = over_background(whole.convert("RGB"), whole.getchannel("A"), background=background)
        return np.array(colour), (*notes, *note)
    return pixels, notes


GREY_NOTE = "grey copied to three channels"


def to_eight_bits(values: npt.NDArray[Any], *, called: str) -> tuple[Pixels, tuple[str, ...]]:
    """The same numbers as uint8, and a note if they were scaled.

    Args:
        values: uint8; uint16, of which 65535 is white; or floats from 0 to 1.
        called: What an error calls them.

    Raises:
        InputError: Another type, a value out of range, or NaN.
    """
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "u" and size == 1:
        return np.array(values, dtype=np.uint8, order="C"), ()
    if kind == "u" and size == 2:
        # 65535 = 257 · 255, so both ends stay where they are; adding half rounds to the nearest.
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8), ("16 bits scaled to 8 (divided by 257)",)
    if kind == "f":
        low, high = float(values.min()), float(values.max())
        if not np.isfinite(values).all():
            raise InputError(f"{called} holds NaN or infinity, expected numbers from 0 to 1; look for what made them.")
        if low < 0 or high > 1:
            way_out = (
                "use .astype(np.uint8) if they mean 0 to 255" if low >= 0 and high <= 255 else "scale or clip them"
            )
            raise InputError(f"{called} has floats from {low:.4g} to {high:.4g}, expected 0 to 1; {way_out}.")
        return np.rint(values.astype(np.float64) * 255).astype(np.uint8), ("floats from 0 to 1 scaled to 8 bits",)
    hint = "; use .astype(np.uint8) if its values run from 0 to 255." if kind == "i" else "."
    hint = "; use array.astype(np.uint8) * 255 for a mask." if kind == "b" else hint
    raise InputError(f"{called} has the type {values.dtype}, expected uint8, uint16 or floats from 0 to 1{hint}")


def over_background(
    colour: PIL.Image.Image, alpha: PIL.Image.Image, *, background: Background
) -> tuple[PIL.Image.Image, tuple[str, ...]]:
    """The picture as it looks in front of a plain colour, and a note unless nothing shines through."""
    lowest, _ = alpha.getextrema()
    if lowest == 255:
        return colour, ()
    plain = PIL.Image.new("RGB", colour.size, background)
    return PIL.Image.composite(colour, plain, alpha), (f"transparency laid over the background {background}",)


def _turned(shape: tuple[int, ...]) -> str:
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "; channels come first here: use array.transpose(1, 2, 0)."
    if len(shape) == 4:
        return "; this is a batch: give its pictures one by one, array[0]."
    return "."
