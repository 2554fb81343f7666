"""What a mesh file holds before it is a graph: points and polygons; polygons become triangles here."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.errors import InputError

MAX_CORNERS = 30_000_000
_FARTHEST = 1e15  # areas are kept in 32 bits


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Polygons:
    """Points and the polygons between them, in the order of the file.

    Attributes:
        points: float64 (points, 3).
        sizes: int64 (polygons,): how many corners each polygon has.
        corners: int64 (sum of sizes,): the points of all polygons, one after the other.
        notes: What reading had to do.
    """

    points: npt.NDArray[np.float64]
    sizes: npt.NDArray[np.int64]
    corners: npt.NDArray[np.int64]
    notes: tuple[str, ...] = ()


def polygons(points: Any, sizes: Any, corners: Any, *, called: str, notes: tuple[str, ...] = ()) -> Polygons:
    """Points and polygons, validated.

    Args:
        points: Three numbers for each point.
        sizes: How many corners each polygon has.
        corners: The points of all polygons, from 0.
        called: What an error calls the file, quoted.
        notes: What reading had to do.

    Raises:
        InputError: There is no polygon, a point is not finite, a polygon has under 3 corners or names no point.
    """
    points = np.array(points, dtype=np.float64).reshape(-1, 3)
    try:
        sizes, corners = np.array(sizes, dtype=np.int64), np.array(corners, dtype=np.int64)
    except OverflowError as error:
        raise InputError(f"{called}: a face names a vertex by a number of over 64 bits; mend the file.") from error
    if not len(points):
        raise InputError(f"{called} holds no vertices, expected a surface of vertices and faces.")
    if not len(sizes):
        raise InputError(
            f"{called} holds {len(points):,} points and no faces, expected a surface; make one of the points first."
        )
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise InputError(f"{called}: vertex {bad[0]} is NaN or infinite ({len(bad)} such); mend the file.")
    far = np.flatnonzero((np.abs(points) > _FARTHEST).any(axis=1))
    if len(far):
        raise InputError(
            f"{called}: vertex {far[0]} lies {np.abs(points[far[0]]).max():.3g} away, the limit is {_FARTHEST:g} "
            f"({len(far)} such); write it in a larger unit."
        )
    small = np.flatnonzero(sizes < 3)
    if len(small):
        raise InputError(
            f"{called}: face {small[0]} has {sizes[small[0]]} corners, expected 3 or more ({len(small)} such)."
        )
    outside = np.flatnonzero((corners < 0) | (corners >= len(points)))
    if len(outside):
        face = int(np.searchsorted(np.cumsum(sizes), outside[0], side="right"))
        raise InputError(
            f"{called}: face {face} names vertex {corners[outside[0]]}, expected 0 to {len(points) - 1} "
            f"({len(outside)} such corners)."
        )
    return Polygons(points=points, sizes=sizes, corners=corners, notes=notes)


def triangulated(found: Polygons) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """The triangles of polygons, int64 (triangles, 3), each polygon as a fan around its first corner; and a note."""
    counts = found.sizes - 2
    starts = np.repeat(np.cumsum(found.sizes) - found.sizes, counts)
    # 0, 1, 2, … within each polygon.
    steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    corner = found.corners
    triangles = np.stack([corner[starts], corner[starts + steps + 1], corner[starts + steps + 2]], axis=1)
    many = int((found.sizes > 3).sum())
    note = f"{many:,} face{'s' * (many != 1)} of more than three corners cut into triangles"
    return triangles, (note,) if many else ()


def merged(found: Polygons) -> Polygons:
    """The same with equal points made one, in the order of their first appearance, and a note."""
    _, first, inverse = np.unique(found.points, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    lost = len(found.points) - len(first)
    note = f"{lost:,} vertices that are there more than once are merged"
    return Polygons(
        points=found.points[first[order]],
        sizes=found.sizes,
        corners=place[inverse.ravel()][found.corners],
        notes=(*found.notes, *((note,) if lost else ())),
    )
