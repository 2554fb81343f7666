"""Features of a surface that do not change when it is moved, turned or enlarged.

The unit of length is the square root of the surface's area. Around each node lie balls of three radii; what of the
surface is in a ball says whether it is thin, flat or round there. What is at distance d in a ball of radius r counts
(1 - d²/r²)² times, so that nothing jumps where a vertex leaves a ball.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pellucid.errors import InputError
from pellucid.inputs.graph import Graph
from pellucid.inputs.mesh import Mesh
from pellucid.inputs.mesh_geometry import Measures, at_faces, at_vertices

Floats = npt.NDArray[np.float64]

RADII = (0.12, 0.24, 0.48)
"""Of the balls, in square roots of the surface's area."""
SURFACE_FEATURES = (
    "distance from the centre",
    "normal along that distance",
    "curvature",
    *(
        f"{what} within {radius:g}"
        for radius in RADII
        for what in ("area", "second axis", "third axis", "height", "tilt")
    ),
)
"""Names of the columns; see `surface_features`."""
_ROWS = 1_000_000  # pairs of nodes that are looked at in one step


def surface_features(graph: Graph) -> Graph:
    """The same mesh with 18 features that stay as they are when it is moved, turned or enlarged.

    For each node: its distance from the surface's centre; the cosine between its normal and the direction from the
    centre to it; its Gaussian curvature, squeezed into -1 to 1; and of the surface within each of three radii its area
    over that of a flat disc, the second and third principal axis relative to the first, how far the node lies above
    the middle of it along its own normal, and the mean cosine between the normals there and its own. Time grows with
    the square of the nodes.

    Raises:
        InputError: The graph is no mesh, or the surface has no area.
    """
    if not isinstance(graph.body, Mesh):
        raise InputError(
            f"{graph.name!r} is no mesh, and features of a surface need one; read an OBJ, OFF, PLY or STL."
        )
    measures = (at_vertices if graph.body.nodes == "vertices" else at_faces)(graph.body.vertices, graph.body.faces)
    whole = float(measures.areas.sum())
    if not whole > 0:
        raise InputError(f"the surface of {graph.name!r} has no area; give one that has.")
    table = _table(measures, whole)
    return replace(graph, features=table.astype(np.float32), feature_names=SURFACE_FEATURES)


def _table(measures: Measures, whole: float) -> Floats:
    unit = np.sqrt(whole)
    centre = measures.areas @ measures.positions / whole
    places = (measures.positions - centre) / unit
    areas = measures.areas / whole
    distance = np.linalg.norm(places, axis=1)
    outwards = (places * measures.normals).sum(axis=1)
    along = np.divide(outwards, distance, out=np.zeros_like(distance), where=distance > 0)
    # A sphere of area 1 has curvature 4π.
    curvature = np.tanh(measures.curvatures * whole / (4 * np.pi) / 10)
    columns = [distance, along, curvature, *_around(places, measures.normals, areas)]
    return np.column_stack(columns)


def _around(places: Floats, normals: Floats, areas: Floats) -> list[Floats]:
    """Five columns for each radius."""
    products = (places[:, :, np.newaxis] * places[:, np.newaxis, :]).reshape(-1, 9)
    summed = np.concatenate([np.ones((len(places), 1)), places, products, normals], axis=1) * areas[:, np.newaxis]
    square = (places**2).sum(axis=1)
    step = max(1, _ROWS // len(places))
    totals = np.empty((len(RADII), len(places), summed.shape[1]))
    for start in range(0, len(places), step):
        rows = slice(start, start + step)
        apart = square[rows, np.newaxis] + square - 2 * places[rows] @ places.T
        for number, radius in enumerate(RADII):
            totals[number, rows] = (1 - apart / radius**2).clip(min=0) ** 2 @ summed
    found: list[Floats] = []
    for radius, total in zip(RADII, totals, strict=True):
        area = total[:, 0]
        share = np.divide(1.0, area, out=np.zeros_like(area), where=area > 0)[:, np.newaxis]
        middle, normal = total[:, 1:4] * share, total[:, 13:16] * share
        spread = (total[:, 4:13] * share).reshape(-1, 3, 3) - middle[:, :, np.newaxis] * middle[:, np.newaxis, :]
        axes = np.sqrt(np.linalg.eigvalsh(spread).clip(min=0))
        longest = axes[:, 2]
        found += [area / (np.pi * radius**2 / 3)]
        found += [np.divide(axes[:, k], longest, out=np.zeros_like(area), where=longest > 1e-6) for k in (1, 0)]
        found += [((places - middle) * normals).sum(axis=1) / radius, (normal * normals).sum(axis=1)]
    return found
