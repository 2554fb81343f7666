"""From a mesh file to a graph of its vertices or its faces."""

import re
from typing import Literal, get_args

import numpy as np

from pellucid.errors import InputError, SettingError
from pellucid.inputs.files import naming
from pellucid.inputs.graph import Graph
from pellucid.inputs.mesh import Mesh
from pellucid.inputs.mesh_binary import is_binary_stl, is_ply, read_binary_stl, read_ply
from pellucid.inputs.mesh_geometry import FEATURES, at_faces, at_vertices, degenerate, face_edges, vertex_edges
from pellucid.inputs.mesh_polygons import Polygons, merged, triangulated
from pellucid.inputs.mesh_text import is_obj, is_off, read_obj, read_off, read_text_stl

MeshNodes = Literal["vertices", "faces"]
Kind = Literal["ply", "stl", "off", "obj"]


def mesh_kind(content: bytes) -> Kind | None:
    """Which kind of mesh file bytes are, by what they hold; or None."""
    if is_ply(content):
        return "ply"
    if is_binary_stl(content):
        return "stl"
    start = content[:20_000].decode("utf-8-sig", errors="replace")
    if re.match(r"\s*solid\b", start, re.IGNORECASE) and re.search(r"\bfacet\b", start, re.IGNORECASE):
        return "stl"
    if is_off(start):
        return "off"
    return "obj" if is_obj(start) else None


def read_mesh(
    content: bytes, *, called: str, name: str, nodes: MeshNodes = "vertices", kind: Kind | None = None
) -> Graph:
    """The graph of a mesh: OBJ, OFF, PLY or STL.

    Features are position, unit normal, area and Gaussian curvature (see `mesh_geometry`); `body` keeps the surface with
    its vertices and triangles in the order of the file. The vertices of STL, three for each triangle, are merged where
    they are equal; faces of more than three corners are cut into triangles; faces without area are kept and counted.

    Args:
        content: The whole file.
        called: What an error calls it, quoted.
        name: What to call the graph.
        nodes: What a node is: a vertex, with the sides of triangles as edges; or a triangle, with an edge to each that
            shares a side.
        kind: What the file is; None finds out.

    Raises:
        InputError: It is damaged, or holds no faces.
        SettingError: `nodes` is something else.
    """
    if nodes not in get_args(MeshNodes):
        raise SettingError("mesh_nodes", given=nodes, expected="'vertices' or 'faces'")
    found = _parsed(content, kind or mesh_kind(content), called)
    triangles, cut = triangulated(found)
    notes = [*found.notes, *cut]
    points = found.points
    if flat := int(degenerate(points, triangles).sum()):
        notes.append(f"{flat:,} face{'s' * (flat != 1)} without area")
    if unused := len(points) - len(np.unique(triangles)):
        notes.append(f"{unused:,} {'vertices' if unused != 1 else 'vertex'} in no face")
    if nodes == "vertices":
        measures, edges = at_vertices(points, triangles), vertex_edges(triangles)
    else:
        measures = at_faces(points, triangles)
        edges, crowded = face_edges(triangles)
        if crowded:
            notes.append(f"{crowded:,} side{'s' * (crowded != 1)} shared by more than two faces")
    for part in (points, triangles):
        part.flags.writeable = False
    with naming(called):
        return Graph(
            edges=edges,
            num_nodes=len(measures.positions),
            features=measures.table(),
            feature_names=FEATURES,
            positions=measures.positions,
            body=Mesh(vertices=points, faces=triangles, nodes=nodes),
            name=name,
            notes=tuple(notes),
        )


def _parsed(content: bytes, kind: Kind | None, called: str) -> Polygons:
    if kind == "ply" and is_ply(content):
        return read_ply(content, called=called)
    if kind == "stl" and is_binary_stl(content):
        return merged(read_binary_stl(content, called=called))
    if kind == "stl" and b"facet" not in content[:20_000].lower():
        if len(content) < 84 or content[80:84] == b"\0\0\0\0":
            raise InputError(f"{called} holds no triangles, expected a surface; copy or make it again.")
        says = int.from_bytes(content[80:84], "little")
        raise InputError(
            f"{called} has {len(content):,} bytes, expected {84 + 50 * says:,} for the {says:,} triangles that its "
            "header says; copy it again."
        )
    if kind == "ply":
        raise InputError(f"{called} does not begin as PLY files do; copy or download it again.")
    text = content.decode("utf-8-sig", errors="replace")
    if kind == "off" and not is_off(text):
        raise InputError(f"{called} does not begin as OFF files do; copy or download it again.")
    if kind == "stl":
        return merged(read_text_stl(text, called=called))
    if kind == "off":
        return read_off(text, called=called)
    if kind == "obj":
        return read_obj(text, called=called)
    raise InputError(f"{called} is no mesh that is known here, expected OBJ, OFF, PLY or STL.")
