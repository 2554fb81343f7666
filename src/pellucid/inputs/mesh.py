"""What a mesh is besides a graph: its surface."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mesh:
    """How to draw a graph whose nodes are the vertices or the faces of a surface.

    Attributes:
        vertices: float64 (vertices, 3).
        faces: int64 (faces, 3): the vertices of each triangle, in the order of the file.
        nodes: What a node of the graph is: "vertices" (edges are the sides of triangles) or "faces" (edges join
            triangles with a common side).
    """

    vertices: npt.NDArray[np.float64]
    faces: npt.NDArray[np.int64]
    nodes: Literal["vertices", "faces"] = "vertices"
