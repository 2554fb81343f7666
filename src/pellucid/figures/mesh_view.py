"""One view of a surface: turned, filled, lit."""

import numpy as np

from pellucid.figures.raster import rasterise

Angles = tuple[float, float]
"""Degrees around the upright axis, and degrees above the horizon."""

_SAMPLES = 2
"""Each pixel is the mean of 2 × 2."""
_LIGHT = (-0.35, 0.55, 0.76)
_DARKEST = 0.7
"""What is left of a colour on a face that the light does not reach: it stays the colour of the legend."""
_CREASE = 0.7
"""Cosine of the angle up to which faces join smoothly."""
_RIM = 0.55


def view(
    points: np.ndarray,
    corners: np.ndarray,
    normals: np.ndarray,
    colours: np.ndarray,
    *,
    on_faces: bool,
    angle: Angles,
    size: int,
) -> np.ndarray:
    """The surface from one side, uint8 (size, size, 3), on white.

    Args:
        points: (vertices, 3), no further than 1 from the origin; y points up.
        corners: (faces, 3).
        normals: (faces, 3, 3), from `normals_of`.
        colours: uint8 RGB of each vertex or face.
        on_faces: Whether they are those of faces.
        angle: Degrees around the upright axis and above the horizon.
        size: Pixels both ways.
    """
    turn = _turn(angle)
    fine = size * _SAMPLES
    found = rasterise(_flat(points @ turn.T, fine)[corners], height=fine, width=fine)
    toward = _unit(np.einsum("pk,pkd->pd", found.shares, (normals @ turn.T)[found.faces]))
    # A face has two sides: the one that is seen is lit, however its corners are ordered.
    toward *= np.where(toward[:, 2:] < 0, -1.0, 1.0)
    light = np.array(_LIGHT) / np.sqrt(np.square(_LIGHT).sum())
    bright = _DARKEST + (1 - _DARKEST) * np.clip(toward @ light, 0, 1)
    owner = found.faces if on_faces else corners[found.faces, found.shares.argmax(axis=1)]
    covered = np.zeros(fine * fine, dtype=bool)
    covered[found.pixels] = True
    # A thin dark rim, without which a white surface would end nowhere on white paper.
    bright *= np.where(_rim(covered.reshape(fine, fine)).ravel()[found.pixels], _RIM, 1.0)
    canvas = np.full((fine * fine, 3), 255.0, dtype=np.float32)
    canvas[found.pixels] = colours[owner] * bright[:, None]
    mean: np.ndarray = canvas.reshape(size, _SAMPLES, size, _SAMPLES, 3).mean(axis=(1, 3))
    pixels: np.ndarray = np.rint(mean).astype(np.uint8)
    return pixels


def seen_faces(points: np.ndarray, corners: np.ndarray, angle: Angles, *, size: int = 64) -> np.ndarray:
    """The face that is seen at each pixel of one view, as far as there is any."""
    return rasterise(_flat(points @ _turn(angle).T, size)[corners], height=size, width=size).faces


def _flat(seen: np.ndarray, size: int) -> np.ndarray:
    # Every view has one scale: nothing that is turned may leave the picture.
    return np.stack([size / 2 + seen[:, 0] * size * 0.48, size / 2 - seen[:, 1] * size * 0.48, -seen[:, 2]], axis=1)


def _rim(covered: np.ndarray) -> np.ndarray:
    """The covered pixels that have a neighbour which is not."""
    wide = np.pad(covered, 1)
    inner = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    rim: np.ndarray = covered & ~inner
    return rim


def _turn(angle: Angles) -> np.ndarray:
    """What turns the surface so that the viewer, who looks along -z, sees it from an angle."""
    around, up = np.radians(angle[0]), np.radians(angle[1])
    sideways = np.array([[np.cos(around), 0, -np.sin(around)], [0, 1, 0], [np.sin(around), 0, np.cos(around)]])
    forward = np.array([[1, 0, 0], [0, np.cos(up), -np.sin(up)], [0, np.sin(up), np.cos(up)]])
    turn: np.ndarray = forward @ sideways
    return turn


def normals_of(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """A normal for each corner of each face, (faces, 3, 3): that of its vertex, or of the face at a sharp edge."""
    a, b, c = (points[corners[:, k]] for k in range(3))
    wide = np.cross(b - a, c - a)
    # Not normalised before they are added: large faces count more.
    total = np.stack(
        [np.bincount(corners.ravel(), np.repeat(wide[:, axis], 3), minlength=len(points)) for axis in range(3)],
        axis=1,
    )
    smooth, flat = _unit(total)[corners], np.repeat(_unit(wide)[:, None], 3, axis=1)
    near = (smooth * flat).sum(axis=2, keepdims=True)
    normals: np.ndarray = np.where(near > _CREASE, smooth, flat)
    return normals


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.maximum(np.sqrt(np.square(vectors).sum(axis=-1, keepdims=True)), 1e-30)
    return unit
