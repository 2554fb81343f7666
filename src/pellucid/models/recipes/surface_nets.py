"""From a signed distance on a grid to a closed triangle mesh: naive surface nets, as arrays.

Each cell of the grid through which the surface runs gets one vertex, the mean of where the surface cuts its edges; each
cut edge of the grid joins the vertices of the four cells around it.

Reference:
    Gibson, Constrained Elastic Surface Nets, MICCAI 1998; here without the relaxation.
"""

import itertools

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

_CORNERS = np.array(list(itertools.product((0, 1), repeat=3)))
_EDGES = [(a, b) for a, b in itertools.combinations(range(8), 2) if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1]


def surface_net(distance: Floats) -> tuple[Floats, Whole]:
    """The surface on which a signed distance is zero.

    Args:
        distance: Its values on a grid, negative inside; positive all around, so that the surface is closed.

    Returns:
        Vertices (vertices, 3) in units of the grid, and triangles (triangles, 3) that turn outwards.
    """
    inside = distance < 0
    shape = tuple(size - 1 for size in distance.shape)
    corners = [_at(inside, corner, shape) for corner in _CORNERS]
    cut = np.logical_or.reduce(corners) & ~np.logical_and.reduce(corners)
    cells = np.argwhere(cut)
    number = np.full(shape, -1, dtype=np.int64)
    number[cut] = np.arange(len(cells))
    total, times = np.zeros((len(cells), 3)), np.zeros(len(cells))
    values = np.stack([_at(distance, corner, shape)[cut] for corner in _CORNERS])
    for first, second in _EDGES:
        crossed = (values[first] < 0) != (values[second] < 0)
        one, other = values[first, crossed], values[second, crossed]
        share = (one / (one - other))[:, np.newaxis]
        total[crossed] += _CORNERS[first] * (1 - share) + _CORNERS[second] * share
        times[crossed] += 1
    return cells + total / times[:, np.newaxis], np.concatenate([_faces(inside, number, axis) for axis in range(3)])


def _faces(inside: npt.NDArray[np.bool_], number: Whole, axis: int) -> Whole:
    """Two triangles for each edge of the grid along an axis that the surface cuts."""
    before = np.take(inside, range(inside.shape[axis] - 1), axis=axis)
    after = np.take(inside, range(1, inside.shape[axis]), axis=axis)
    places = np.argwhere(before != after)
    outwards = before[tuple(places.T)]
    second, third = np.eye(3, dtype=np.int64)[[(axis + 1) % 3, (axis + 2) % 3]]
    ring = np.stack([number[tuple((places - step).T)] for step in (second + third, third, 0 * third, second)], axis=1)
    ring[~outwards] = ring[~outwards, ::-1]
    return np.concatenate([ring[:, [0, 1, 2]], ring[:, [0, 2, 3]]])


def _at(values: npt.NDArray[np.generic], corner: Whole, shape: tuple[int, ...]) -> npt.NDArray[np.generic]:
    return values[tuple(slice(start, start + size) for start, size in zip(corner.tolist(), shape, strict=True))]
