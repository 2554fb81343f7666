"""What a triangle mesh measures at its vertices and faces: normals, areas, curvature. Arrays throughout, no loops.

Reference:
    Meyer et al., Discrete Differential-Geometry Operators for Triangulated 2-Manifolds, VisMath 2002, eqs. 7 and 9:
    Gaussian curvature is the angle that is missing around a vertex, over the part of the surface that is its own.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measures:
    """Positions, unit normals, areas and Gaussian curvature, one row for each vertex or face."""

    positions: Floats
    normals: Floats
    areas: Floats
    curvatures: Floats

    def table(self) -> Floats:
        """All in one array of eight columns, in the order of `FEATURES`."""
        return np.column_stack([self.positions, self.normals, self.areas, self.curvatures])


FEATURES = ("x", "y", "z", "normal x", "normal y", "normal z", "area", "curvature")


def at_vertices(points: Floats, triangles: Whole) -> Measures:
    """The measures of each vertex.

    The normal is the sum of the normals of the triangles around it, weighted by their areas. The area is that of the
    points that are nearer to it than to the other corners; a triangle with an obtuse angle gives half of itself to that
    corner and a quarter to the others. All areas sum to that of the surface. The curvature is Gaussian:
    2π minus the angles around the vertex, at the boundary π minus them, over the vertex's area; 0 without area. On a
    closed surface curvature times area sums to 2π times the Euler characteristic.
    """
    cross = _cross(points, triangles)
    count = len(points)
    normals = np.stack([_gathered(triangles, cross[:, axis], count) for axis in range(3)], axis=1)
    shares = _shares(points, triangles).ravel()
    areas: Floats = np.bincount(triangles.ravel(), weights=shares, minlength=count).astype(np.float64)
    angles = np.bincount(triangles.ravel(), weights=_angles(points, triangles).ravel(), minlength=count)
    full = np.where(_at_boundary(triangles, count), np.pi, 2 * np.pi)
    curvatures = np.divide(full - angles, areas, out=np.zeros(count), where=_has_area(areas))
    return Measures(positions=points, normals=_unit(normals), areas=areas, curvatures=curvatures)


def at_faces(points: Floats, triangles: Whole) -> Measures:
    """The measures of each triangle: its centre, its normal, its area and the mean curvature value of its vertices."""
    cross = _cross(points, triangles)
    return Measures(
        positions=points[triangles].mean(axis=1),
        normals=_unit(cross),
        areas=np.linalg.norm(cross, axis=1) / 2,
        curvatures=at_vertices(points, triangles).curvatures[triangles].mean(axis=1),
    )


def sides(triangles: Whole) -> Whole:
    """The two ends of each side of each triangle, smaller first, int64 (3 · triangles, 2), triangle by triangle."""
    pairs = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    return np.sort(pairs, axis=1)


def vertex_edges(triangles: Whole) -> Whole:
    """The sides of the triangles, each once and without those from a vertex to itself."""
    pairs = sides(triangles)
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)


def face_edges(triangles: Whole) -> tuple[Whole, int]:
    """The pairs of triangles that share a side, and how many sides more than two triangles share.

    At such a side each triangle is joined to the next in the order of the file, so that a side with a thousand
    triangles does not make half a million edges.
    """
    pairs = sides(triangles)
    owner = np.repeat(np.arange(len(triangles)), 3)
    proper = pairs[:, 0] != pairs[:, 1]
    pairs, owner = pairs[proper], owner[proper]
    order = np.lexsort((owner, pairs[:, 1], pairs[:, 0]))
    pairs, owner = pairs[order], owner[order]
    same = (pairs[1:] == pairs[:-1]).all(axis=1) & (owner[1:] != owner[:-1])
    found = np.unique(np.stack([owner[:-1][same], owner[1:][same]], axis=1), axis=0)
    crowded = int((same[1:] & same[:-1] & ~np.concatenate([[False], same[1:-1] & same[:-2]])).sum())
    return found.astype(np.int64), crowded


def degenerate(points: Floats, triangles: Whole) -> npt.NDArray[np.bool_]:
    """Which triangles have no area: two corners are one, or all three lie on a line."""
    areas = np.linalg.norm(_cross(points, triangles), axis=1) / 2
    repeated = (triangles == np.roll(triangles, 1, axis=1)).any(axis=1)
    return np.asarray(repeated | ~_has_area(areas))


def _has_area(areas: Floats) -> npt.NDArray[np.bool_]:
    # Against the largest: what is left by rounding is no area.
    return np.asarray(areas > 1e-12 * areas.max(initial=0))


def _cross(points: Floats, triangles: Whole) -> Floats:
    first, second, third = points[triangles].transpose(1, 0, 2)
    return np.asarray(np.cross(second - first, third - first))


def _angles(points: Floats, triangles: Whole) -> Floats:
    """The angle at each corner, (triangles, 3)."""
    corners = points[triangles]
    ahead, back = np.roll(corners, -1, axis=1) - corners, np.roll(corners, 1, axis=1) - corners
    # The arc tangent is exact for very flat angles, where the arc cosine is not; of a vanishing side it is 0.
    angles = np.arctan2(np.linalg.norm(np.cross(ahead, back), axis=2), (ahead * back).sum(axis=2))
    return np.asarray(angles)


def _shares(points: Floats, triangles: Whole) -> Floats:
    """What each corner has of its triangle's area, (triangles, 3)."""
    corners = points[triangles]
    ahead, back = np.roll(corners, -1, axis=1) - corners, np.roll(corners, 1, axis=1) - corners
    products = (ahead * back).sum(axis=2)
    doubled = np.linalg.norm(_cross(points, triangles), axis=1)[:, np.newaxis]
    cotangents = np.divide(products, doubled, out=np.zeros_like(products), where=doubled > 0)
    # The side ahead lies opposite the corner before, the side behind opposite the next.
    nearer = (ahead**2).sum(axis=2) * np.roll(cotangents, 1, axis=1) + (back**2).sum(axis=2) * np.roll(
        cotangents, -1, axis=1
    )
    obtuse = products < 0
    fixed = np.where(obtuse, doubled / 4, doubled / 8)
    return np.asarray(np.where(obtuse.any(axis=1, keepdims=True), fixed, nearer / 8))


def _at_boundary(triangles: Whole, count: int) -> npt.NDArray[np.bool_]:
    pairs, times = np.unique(sides(triangles), axis=0, return_counts=True)
    found = np.zeros(count, dtype=np.bool_)
    found[pairs[times == 1].ravel()] = True
    return found


def _gathered(triangles: Whole, values: Floats, count: int) -> Floats:
    return np.bincount(triangles.ravel(), weights=np.repeat(values, 3), minlength=count).astype(np.float64)


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit
