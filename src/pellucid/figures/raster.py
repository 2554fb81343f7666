"""Triangles to pixels: which triangle is in front at each pixel, and where on it the pixel lies.

No loop over triangles: all are cut into rows at once, and all rows into pixels, so that the work is that of the pixels.
"""

from dataclasses import dataclass

import numpy as np

_AT_ONCE = 4_000_000
"""Pixels of boxes around triangles that are worked on at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fragments:
    """The pixels that a surface covers.

    Attributes:
        pixels: int64 (covered,), the places of the pixels, row by row.
        faces: int64 (covered,), the triangle in front.
        shares: float64 (covered, 3), how near the pixel is to each corner; they add up to 1.
    """

    pixels: np.ndarray
    faces: np.ndarray
    shares: np.ndarray


def rasterise(corners: np.ndarray, *, height: int, width: int) -> Fragments:
    """Fill triangles; a pixel belongs to the triangle that is nearest at its middle, of equals to the first.

    Args:
        corners: (faces, 3, 3): x to the right and y down, in pixels, and the distance, smaller is nearer.
        height: Pixels.
        width: Pixels.
    """
    nearest = np.full(height * width, np.inf)
    front = np.full(height * width, -1, dtype=np.int64)
    extent = np.ptp(np.clip(corners[:, :, :2], 0, (width, height)), axis=1)
    chunk = np.cumsum((extent[:, 0] + 1) * (extent[:, 1] + 1)) // _AT_ONCE
    for number in np.unique(chunk):
        _fill(corners, np.flatnonzero(chunk == number), nearest, front, height, width)
    pixels = np.flatnonzero(front >= 0)
    faces = front[pixels]
    return Fragments(pixels=pixels, faces=faces, shares=_shares(corners[faces], pixels, width))


def _fill(
    corners: np.ndarray, faces: np.ndarray, nearest: np.ndarray, front: np.ndarray, height: int, width: int
) -> None:
    x, y, z = np.moveaxis(corners[faces], 2, 0)
    # The middle of pixel i lies at i + 0.5. From ... up to, but without: a pixel on a common side counts once.
    face, row = _runs(_first(y.min(axis=1), height), _first(y.max(axis=1), height))
    middle = row + 0.5
    left, right = np.full(len(face), np.inf), np.full(len(face), -np.inf)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        ya, yb = y[face, a], y[face, b]
        crosses = (np.minimum(ya, yb) <= middle) & (middle < np.maximum(ya, yb))
        with np.errstate(divide="ignore", invalid="ignore"):
            at = x[face, a] + (middle - ya) / (yb - ya) * (x[face, b] - x[face, a])
        left = np.where(crosses, np.minimum(left, at), left)
        right = np.where(crosses, np.maximum(right, at), right)
    met = left <= right
    face, row, left, right = face[met], row[met], left[met], right[met]
    run, column = _runs(_first(left, width), _first(right, width))
    face, pixel = face[run], row[run] * width + column
    # Distance is linear over a triangle.
    base, over, down = _planes(x, y, z)
    far = base[face] + over[face] * (column + 0.5) + down[face] * (row[run] + 0.5)
    better = far < nearest[pixel]
    face, pixel, far = face[better], pixel[better], far[better]
    np.minimum.at(nearest, pixel, far)
    wins = far == nearest[pixel]
    # Of several writes to one place the last stays; backwards, that is the first triangle.
    front[pixel[wins][::-1]] = faces[face[wins][::-1]]


def _first(edge: np.ndarray, limit: int) -> np.ndarray:
    """The first pixel whose middle lies at or beyond an edge."""
    return np.clip(np.ceil(edge - 0.5), 0, limit).astype(np.int64)


def _runs(start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All numbers from each start up to its stop, one after the other, and to which of them each belongs."""
    counts = np.maximum(stop - start, 0)
    which = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    return which, np.arange(len(which)) - before[which] + start[which]


def _planes(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The plane of each triangle as distance = base + over · x + down · y; one that is seen edge-on is level."""
    ux, uy, uz = x[:, 1] - x[:, 0], y[:, 1] - y[:, 0], z[:, 1] - z[:, 0]
    vx, vy, vz = x[:, 2] - x[:, 0], y[:, 2] - y[:, 0], z[:, 2] - z[:, 0]
    area = ux * vy - uy * vx
    thin = np.abs(area) < 1e-9
    safe = np.where(thin, 1.0, area)
    over = np.where(thin, 0.0, (uz * vy - uy * vz) / safe)
    down = np.where(thin, 0.0, (ux * vz - uz * vx) / safe)
    return z[:, 0] - over * x[:, 0] - down * y[:, 0], over, down


def _shares(corners: np.ndarray, pixels: np.ndarray, width: int) -> np.ndarray:
    """How near each pixel is to the corners of its triangle."""
    row, column = np.divmod(pixels, width)
    a, b, c = (corners[:, k, :2] for k in range(3))
    px, py = column + 0.5, row + 0.5
    # Twice the areas of the triangles between the pixel and two corners, over that of the whole.
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    area = np.where(np.abs(area) < 1e-9, 1.0, area)
    u = ((b[:, 0] - px) * (c[:, 1] - py) - (b[:, 1] - py) * (c[:, 0] - px)) / area
    v = ((c[:, 0] - px) * (a[:, 1] - py) - (c[:, 1] - py) * (a[:, 0] - px)) / area
    return np.stack([u, v, 1 - u - v], axis=1)
