"""Solids by their signed distance, negative inside: boxes, bars, cones, ellipsoids, rings. Points are (points, 3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Distance = Callable[[Floats], Floats]
Place = Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Solid:
    """One piece of a shape.

    Attributes:
        part: The part that it belongs to.
        distance: From points to their signed distance.
    """

    part: str
    distance: Distance


def box(centre: Place, half: Place, *, rounding: float = 0.03) -> Distance:
    """A box along the axes, with rounded edges."""
    middle, extent = np.asarray(centre), np.asarray(half) - rounding

    def distance(points: Floats) -> Floats:
        beyond = np.abs(points - middle) - extent
        outside = np.linalg.norm(beyond.clip(min=0), axis=1)
        return np.asarray(outside + beyond.max(axis=1).clip(max=0) - rounding)

    return distance


def capsule(start: Place, end: Place, radius: float) -> Distance:
    """A round bar with round ends."""
    first, along = np.asarray(start), np.asarray(end) - np.asarray(start)

    def distance(points: Floats) -> Floats:
        share = ((points - first) @ along / (along @ along)).clip(0, 1)
        return np.asarray(np.linalg.norm(points - first - share[:, np.newaxis] * along, axis=1) - radius)

    return distance


def cone(base: float, top: float, wide: float, narrow: float) -> Distance:
    """A cylinder or truncated cone around the third axis.

    Args:
        base: Where it begins along the axis.
        top: Where it ends.
        wide: Its radius at the base.
        narrow: Its radius at the top.
    """
    slope = (narrow - wide) / (top - base)
    steep = np.sqrt(1 + slope**2)

    def distance(points: Floats) -> Floats:
        from_axis, height = np.hypot(points[:, 0], points[:, 1]), points[:, 2]
        side = (from_axis - wide - slope * (height - base)) / steep
        return np.asarray(np.maximum.reduce([side, base - height, height - top]))

    return distance


def ellipsoid(centre: Place, half: Place) -> Distance:
    """An ellipsoid along the axes; its distance is exact on the surface and nearly so beside it."""
    middle, extent = np.asarray(centre), np.asarray(half)

    def distance(points: Floats) -> Floats:
        scaled = (points - middle) / extent
        length, slope = np.linalg.norm(scaled, axis=1), np.linalg.norm(scaled / extent, axis=1)
        inmost = np.full(len(points), -extent.min())
        return np.asarray(np.divide(length * (length - 1), slope, out=inmost, where=slope > 1e-9))

    return distance


def torus(centre: Place, wide: float, thick: float) -> Distance:
    """A ring that stands upright, in the plane of the first and the third axis."""
    middle = np.asarray(centre)

    def distance(points: Floats) -> Floats:
        x, y, z = (points - middle).T
        return np.asarray(np.hypot(np.hypot(x, z) - wide, y) - thick)

    return distance
