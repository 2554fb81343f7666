"""The lines of a picture: where its brightness changes, so that it can lie over colours without hiding them."""

import numpy as np
from PIL import Image, ImageFilter

_BLUR = 1 / 220
"""Of the longer side: hair and sensor noise vanish, the rim of an eye stays."""
_FAINT, _STRONG = 90.0, 99.6
"""Percentiles of the slopes that become invisible and fully drawn lines."""
_LEAST = 1.5
"""Grey levels per pixel below which a slope is never a line: an even picture has none."""


def contours(picture: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
    """How strongly the lines of a picture are to be drawn.

    Args:
        picture: uint8 (height, width, 3), RGB.
        size: (height, width) of the result; the picture is enlarged or reduced smoothly.

    Returns:
        float32 (height, width), 0 (nothing) … 1 (a full line).
    """
    height, width = size
    if min(size) < 3:
        return np.zeros(size, dtype=np.float32)
    # In floating point: the steps of 8 bits would become lines of their own in an enlarged picture.
    grey = Image.fromarray(picture).convert("L").convert("F").resize((width, height), Image.Resampling.BICUBIC)
    radius = max(0.8, max(size) * _BLUR, 0.45 * height / picture.shape[0])
    smooth = _smoothed(np.asarray(grey), radius)
    down: np.ndarray = np.gradient(smooth, axis=0)
    right: np.ndarray = np.gradient(smooth, axis=1)
    slope = np.hypot(down, right)
    ridge = np.where(_is_ridge(slope, down, right), slope, 0)
    faint, strong = np.percentile(slope, [_FAINT, _STRONG])
    faint = max(float(faint), _LEAST / 2)
    strong = max(float(strong), faint + _LEAST)
    line = np.clip((ridge - faint) / (strong - faint), 0, 1) ** 0.8
    # A ridge is one pixel wide; as wide as a pen it can be seen on a page.
    pen = Image.fromarray(np.rint(line * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(max(0.7, radius / 2)))
    drawn: np.ndarray = np.clip(np.asarray(pen, dtype=np.float32) / 255 * (1.2 + 0.8 * radius), 0, 1)
    return drawn


def _smoothed(grey: np.ndarray, radius: float) -> np.ndarray:
    """A Gaussian blur, one axis after the other; the edge goes on as it is."""
    reach = int(np.ceil(2.5 * radius))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius) ** 2).astype(np.float32)
    weights /= weights.sum()
    for axis in (0, 1):
        length = grey.shape[axis]
        padded = np.moveaxis(
            np.pad(grey, [(reach, reach) if k == axis else (0, 0) for k in (0, 1)], mode="edge"), axis, 0
        )
        total = np.zeros_like(padded[:length])
        for place, weight in enumerate(weights):
            total += weight * padded[place : place + length]
        grey = np.moveaxis(total, 0, axis)
    return grey


def _is_ridge(slope: np.ndarray, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Whether the slope is nowhere steeper one step up or down the hill: the middle of an edge."""
    padded = np.pad(slope, 1)
    # The direction up the hill in steps of 45 degrees, as one neighbour and the opposite one.
    step = np.rint(np.arctan2(down, right) / (np.pi / 4)).astype(int) % 4
    rows, columns = np.indices(slope.shape) + 1
    y = np.array([0, 1, 1, 1])[step]
    x = np.array([1, 1, 0, -1])[step]
    ridge: np.ndarray = (slope >= padded[rows + y, columns + x]) & (slope > padded[rows - y, columns - x])
    return ridge
