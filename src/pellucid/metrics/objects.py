"""Where an object lies: its mask or box in the picture as it was read, and what the model sees of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from pellucid.errors import SettingError
from pellucid.models.geometry import Geometry

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


def mask_of(given: Any, size: tuple[int, int], *, name: str) -> Mask:
    """An object as a mask of the original picture.

    Args:
        given: bool (height, width); or a box (left, top, right, bottom) in pixels, edges, of which those pixels count
            whose middles lie in it.
        size: Height and width of the original picture.
        name: How the object is called in messages.

    Raises:
        SettingError: Another shape or type, a box that reaches out of the picture, or no pixel at all.
    """
    told = f"{size[1]}×{size[0]} (width×height)"
    if isinstance(given, np.ndarray) and given.ndim == 2:
        if given.dtype != np.bool_ or given.shape != size:
            what = f"{given.dtype}, {given.shape[1]}×{given.shape[0]}"
            raise SettingError(name, given=what, expected=f"bool of the original picture's size, {told}")
        mask = given
    else:
        left, top, right, bottom = _box(given, size, name, told)
        down, across = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
        mask = np.outer((down > top) & (down < bottom), (across > left) & (across < right))
    if not mask.any():
        hint = "leave out a picture without the object"
        raise SettingError(name, given="without a pixel", expected="an object of one pixel or more", hint=hint)
    return mask


def seen_share(mask: Mask, geometry: Geometry) -> Floats:
    """How much of each pixel that the model sees the object covers, (height, width), 0 to 1; by exact areas."""
    rows, columns = (_overlaps(geometry, axis) for axis in (0, 1))
    return np.asarray(rows @ mask.astype(np.float64) @ columns.T)


def seen_area(mask: Mask, geometry: Geometry) -> float:
    """How much of the object's area the model sees, 0 to 1: the rest was cropped away."""
    height, width = geometry.original
    scale = geometry.resized[0] / height * (geometry.resized[1] / width)
    return min(1.0, float(seen_share(mask, geometry).sum()) / (float(mask.sum()) * scale))


def hit_by(mask: Mask, geometry: Geometry, *, tolerance: float) -> Mask:
    """For each pixel that the model sees, whether its middle points at the object.

    It does where the original's pixel that it falls into is one of the object's, or less than `tolerance` away from
    one, both measured from middle to middle in pixels of the original.
    """
    distance = scipy.ndimage.distance_transform_edt(~mask)
    close = (distance == 0) | (distance < tolerance)
    height, width = geometry.prepared
    y, x = geometry.to_original(np.arange(height) + 0.5, np.arange(width) + 0.5)
    rows = np.floor(y).astype(np.intp).clip(0, mask.shape[0] - 1)
    columns = np.floor(x).astype(np.intp).clip(0, mask.shape[1] - 1)
    return np.asarray(close[np.ix_(rows, columns)])


def _box(given: Any, size: tuple[int, int], name: str, told: str) -> tuple[float, float, float, float]:
    expected = f"a mask, or a box (left, top, right, bottom) inside of the original picture, {told}"
    try:
        numbers = np.asarray(given, dtype=np.float64) if isinstance(given, Sequence | np.ndarray) else np.empty(0)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.shape != (4,):
        shape = f"an array of shape {given.shape}" if isinstance(given, np.ndarray) else given
        raise SettingError(name, given=shape, expected=expected)
    left, top, right, bottom = numbers.tolist()
    if not (0 <= left < right <= size[1] and 0 <= top < bottom <= size[0]):
        raise SettingError(name, given=given, expected=expected)
    return left, top, right, bottom


def _overlaps(geometry: Geometry, axis: int) -> Floats:
    """What share of each prepared pixel each original one covers, along one axis, (prepared, original)."""
    count, sides = geometry.prepared[axis], geometry.original[axis]
    # The place of both axes is asked for at once; only one of them is wanted.
    places = np.arange(count + 1, dtype=np.float64)
    edges = geometry.to_original(places, places)[axis][:, None]
    start, stop = np.arange(sides)[None], np.arange(1, sides + 1)[None]
    common = (np.minimum(edges[1:], stop) - np.maximum(edges[:-1], start)).clip(min=0.0)
    return np.asarray(common / (edges[1:] - edges[:-1]))
