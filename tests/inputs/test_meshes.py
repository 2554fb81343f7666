"""Meshes: what the files hold, what is measured on them, and what is refused."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from pellucid.errors import InputError
from pellucid.inputs.graph import Graph
from pellucid.inputs.mesh import Mesh
from pellucid.inputs.mesh_geometry import FEATURES, at_vertices, degenerate, face_edges
from pellucid.inputs.mesh_reading import mesh_kind, read_mesh
from pellucid.inputs.reading import read

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n"
CUBE_OFF = """OFF
# a cube
8 6 12
0 0 0
1 0 0
1 1 0
0 1 0
0 0 1
1 0 1
1 1 1
0 1 1
4 3 2 1 0
4 4 5 6 7
4 0 1 5 4  255 0 0
4 1 2 6 5
4 2 3 7 6
4 3 0 4 7
"""


def mesh(content: str | bytes, **options: Any) -> Graph:
    return read_mesh(content.encode() if isinstance(content, str) else content, called="'m'", name="m", **options)


def body(graph: Graph) -> Mesh:
    assert isinstance(graph.body, Mesh)
    return graph.body


def exported(kind: str, shape: trimesh.Trimesh, **options: Any) -> bytes:
    content = shape.export(file_type=kind, **options)
    return content.encode() if isinstance(content, str) else content


@pytest.mark.parametrize("kind", ["obj", "off", "ply", "stl", "stl_ascii"])
def test_a_mesh_written_by_another_library_is_the_same_mesh(kind: str) -> None:
    sphere = trimesh.creation.icosphere(subdivisions=2, radius=2)
    content = exported(kind, sphere)
    assert mesh_kind(content) == kind.removesuffix("_ascii")
    graph = mesh(content)
    assert graph.num_nodes == len(sphere.vertices)
    assert graph.num_edges == len(sphere.edges_unique)
    corners = np.asarray(sphere.vertices)[sphere.faces]
    np.testing.assert_allclose(body(graph).vertices[body(graph).faces], corners, atol=1e-6)
    if kind in ("obj", "off", "ply"):
        np.testing.assert_array_equal(body(graph).faces, sphere.faces)
    else:
        assert "merged" in graph.notes[0]


@pytest.mark.parametrize("encoding", ["ascii", "binary"])
def test_ply_of_both_encodings(encoding: str) -> None:
    box = trimesh.creation.box()
    np.testing.assert_allclose(body(mesh(exported("ply", box, encoding=encoding))).vertices, box.vertices, atol=1e-6)


def test_normals_areas_and_neighbours_are_those_of_another_library() -> None:
    shape = trimesh.creation.torus(2, 0.5, major_sections=12, minor_sections=7)
    content = exported("off", shape, digits=17)
    vertices, faces = mesh(content), mesh(content, nodes="faces")
    np.testing.assert_allclose(vertices.features[:, :3], shape.vertices, atol=1e-6)
    np.testing.assert_allclose(faces.features[:, 3:6], shape.face_normals, atol=1e-5)
    np.testing.assert_allclose(faces.features[:, 6], shape.area_faces, rtol=1e-5)
    np.testing.assert_allclose(vertices.features[:, 6].sum(), shape.area, rtol=1e-5)
    defects = vertices.features[:, 7] * vertices.features[:, 6]
    np.testing.assert_allclose(defects, trimesh.curvature.vertex_defects(shape), atol=1e-5)
    assert {tuple(sorted(pair)) for pair in faces.edges.tolist()} == {
        tuple(sorted(pair)) for pair in shape.face_adjacency.tolist()
    }
    assert {tuple(sorted(pair)) for pair in vertices.edges.tolist()} == {
        tuple(sorted(pair)) for pair in shape.edges_unique.tolist()
    }


@pytest.mark.parametrize("radius", [0.5, 3.0])
def test_the_curvature_of_a_sphere_is_one_over_the_square_of_its_radius(radius: float) -> None:
    sphere = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    found = at_vertices(np.asarray(sphere.vertices), np.asarray(sphere.faces))
    assert np.abs(found.curvatures * radius**2 - 1).max() < 0.01
    assert abs(np.average(found.curvatures, weights=found.areas) * radius**2 - 1) < 0.01
    outward = found.positions / radius
    assert (found.normals * outward).sum(axis=1).min() > 0.999


@pytest.mark.parametrize(
    ("shape", "euler"),
    [
        (trimesh.creation.icosphere(subdivisions=1), 2),
        (trimesh.creation.torus(2, 0.5), 0),
        (trimesh.creation.box(), 2),
        (trimesh.creation.annulus(1, 2, 1), 0),
    ],
)
def test_curvature_times_area_sums_to_the_euler_characteristic(shape: trimesh.Trimesh, euler: int) -> None:
    found = at_vertices(np.asarray(shape.vertices), np.asarray(shape.faces))
    assert (found.curvatures * found.areas).sum() / (2 * np.pi) == pytest.approx(euler, abs=1e-6)


def test_a_flat_sheet_with_a_boundary_has_no_curvature_inside_and_sums_to_one() -> None:
    points = np.array([(x, y, 0.0) for y in range(4) for x in range(4)])
    corners = [(4 * y + x, 4 * y + x + 1, 4 * y + x + 5, 4 * y + x + 4) for y in range(3) for x in range(3)]
    triangles = np.array([part for a, b, c, d in corners for part in ((a, b, c), (a, c, d))])
    found = at_vertices(points, triangles)
    assert np.abs(found.curvatures[[5, 6, 9, 10]]).max() < 1e-12
    assert (found.curvatures * found.areas).sum() / (2 * np.pi) == pytest.approx(1)


def test_features_have_names_and_positions_are_in_space() -> None:
    graph = mesh(CUBE_OFF)
    assert graph.feature_names == FEATURES
    assert graph.features.shape == (8, 8)
    assert graph.positions is not None
    assert graph.positions.shape == (8, 3)
    assert graph.notes == ("6 faces of more than three corners cut into triangles",)
    assert body(graph).nodes == "vertices"
    np.testing.assert_allclose(graph.features[0, 3:6], -np.ones(3) / 3**0.5, atol=0.3)
    faces = mesh(CUBE_OFF, nodes="faces")
    assert faces.num_nodes == 12
    assert faces.num_edges == 18
    assert faces.positions is not None
    np.testing.assert_allclose(faces.positions, body(faces).vertices[body(faces).faces].mean(axis=1))


def test_a_polygon_is_cut_into_a_fan() -> None:
    pentagon = "v 0 0 0\nv 2 0 0\nv 3 1 0\nv 1 2 0\nv -1 1 0\nf 1 2 3 4 5\nf 1/1/1 2//3 3/4\nf -5 -4 -3\n"
    assert body(mesh(pentagon)).faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 1, 2], [0, 1, 2]]


def test_faces_without_area_and_vertices_in_no_face_are_counted() -> None:
    graph = mesh(SQUARE + "v 9 9 9\nf 1 1 2\nf 1 2 2\nv 2 0 0\nf 1 2 6\n")
    assert "3 faces without area" in graph.notes
    assert "1 vertex in no face" in graph.notes
    assert np.isfinite(graph.features).all()
    assert graph.neighbours(4).tolist() == []
    triangles = np.array([[0, 1, 2], [0, 1, 1]])
    assert degenerate(np.eye(3), triangles).tolist() == [False, True]


def test_a_side_of_three_faces_joins_each_with_the_next() -> None:
    fan = np.array([[0, 1, 2], [0, 1, 3], [1, 0, 4]])
    edges, crowded = face_edges(fan)
    assert edges.tolist() == [[0, 1], [1, 2]]
    assert crowded == 1
    four, crowded = face_edges(np.array([[0, 1, 2], [0, 1, 3], [1, 0, 4], [0, 1, 5]]))
    assert len(four) == 3
    assert crowded == 1


PLY = """ply
format {order} 1.0
element vertex 5
property float x
property float y
property float z
element face 2
property list uchar int vertex_indices
end_header
"""


@pytest.mark.parametrize("order", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_ply_with_faces_of_different_sizes_keeps_their_order(order: str) -> None:
    points = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (2, 2, 2)]
    faces = [(0, 1, 2, 3), (0, 1, 4)]
    head = PLY.format(order=order).encode()
    if order == "ascii":
        rows = [" ".join(map(str, each)) for each in points] + [
            " ".join(map(str, (len(each), *each))) for each in faces
        ]
        content = head + "\n".join(rows).encode()
    else:
        sign = "<" if "little" in order else ">"
        content = head + b"".join(struct.pack(f"{sign}3f", *each) for each in points)
        content += b"".join(struct.pack(f"{sign}B{len(each)}i", len(each), *each) for each in faces)
    found = body(mesh(content))
    assert found.faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 4]]
    np.testing.assert_array_equal(found.vertices, points)
    with pytest.raises(InputError, match="'m' ends or is damaged within its 2 rows of 'face'"):
        mesh(content[:-2])
    with pytest.raises(InputError, match="'m' ends or is damaged within its 5 rows of 'vertex'"):
        mesh(content[: len(head) + 4])


STL = trimesh.creation.box().export(file_type="stl")
BAD = [
    (PLY.format(order="ascii").replace("face 2", "face 0") + "0 0 0\n" * 5, "holds 5 points and no faces"),
    (PLY.format(order="ascii")[:-12], "has no end of a PLY header"),
    (PLY.format(order="ebcdic"), "the line 'format ebcdic 1.0' of the PLY header makes no sense"),
    (PLY.format(order="ascii").replace("vertex 5", "vertex 99999999999999"), "ends or is damaged within its 99,999"),
    (PLY.format(order="ascii") + "0 0 0\n" * 5 + "3 0 1 9\n3 0 1 2\n", "face 0 names vertex 9, expected 0 to 4"),
    (PLY.format(order="ascii") + "0 0 nan\n" * 5 + "3 0 1 2\n3 0 1 2\n", r"vertex 0 is NaN or infinite \(5 such\)"),
    (
        PLY.format(order="ascii") + "0 0 x\n" * 5 + "3 0 1 2\n3 0 1 2\n",
        "ends or is damaged within its 5 rows of 'vertex'",
    ),
    ("v 0 0\nf 1 2 3\nv 0 0 0\n", "line 1: 'v 0 0', expected three numbers after 'v'"),
    (SQUARE + "f 1 2\n", "line 6: 'f 1 2', expected three or more vertices"),
    (SQUARE + "f 1 2 x\n", "line 6: 'f 1 2 x', expected the numbers of vertices"),
    (SQUARE + "f 1 2 0\n", "line 6: 'f 1 2 0', expected three or more vertices from 1 on"),
    (SQUARE + "f 1 2 9\n", "line 6: a face names vertex 9, expected 1 to 4"),
    (SQUARE.replace("f 1 2 3 4", ""), "holds 4 points and no faces"),
    (CUBE_OFF[:-20], "has 12 lines for 8 vertices and 6 faces: it is cut off"),
    (CUBE_OFF.replace("1 1 0", "1 1"), "line 6: expected the three numbers of a vertex"),
    (CUBE_OFF.replace("4 4 5 6 7", "4 4 5"), "line 13: expected how many corners a face has"),
    (CUBE_OFF.replace("4 4 5 6 7", "4 4 5 6 99999999999999999999"), "a number of over 64 bits"),
    (CUBE_OFF.replace("8 6 12", "eight"), "no numbers of vertices and faces after 'OFF'"),
    (CUBE_OFF.replace("4 4 5 6 7", "2 4 5"), "face 1 has 2 corners, expected 3 or more"),
    (
        "solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nendloop\nendfacet\nendsolid",
        "line 7: the facet has 2",
    ),
    ("solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\n", "it is cut off"),
    ("solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 zero\n", "line 4: expected three numbers after 'vertex'"),
]


@pytest.mark.parametrize(("content", "said"), BAD, ids=[said[:40] for _, said in BAD])
def test_a_damaged_mesh_is_one_line_that_says_where(content: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        mesh(content)
    assert "'m'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_whose_name_says_mesh_and_whose_content_does_not(tmp_path: Path) -> None:
    for name, content, said in (
        ("a.stl", STL[:-30], "has 654 bytes, expected 684 for the 12 triangles"),
        ("a.obj", b"nothing here", "holds no vertices"),
        ("a.off", b"nothing here", "does not begin as OFF files do"),
        ("a.ply", b"nothing here", "does not begin as PLY files do"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=said):
            read(tmp_path / name)


def test_a_mesh_is_known_by_content_and_named_after_its_file(tmp_path: Path) -> None:
    (tmp_path / "cube.dat").write_text(CUBE_OFF)
    graph = read(tmp_path / "cube.dat", mesh_nodes="faces")
    assert isinstance(graph, Graph)
    assert graph.name == "cube"
    assert graph.num_nodes == 12


REAL = {
    "meshes_common/spot.obj": (2930, 5856),
    "meshes_common/cow.obj": (2903, 5804),
    "meshes_common/homer.obj": (6002, 12000),
    "meshes_common/suzanne.obj": (507, 968),
    "meshes_trimesh/box.obj": (8, 12),
    "meshes_trimesh/comments.off": (8, 12),
    "meshes_trimesh/fuze.ply": (502, 1000),
    "meshes_trimesh/reference.ply": (845, 1610),
    "meshes_trimesh/tet.ply": (4, 4),
    "meshes_trimesh/unit_cube.STL": (8, 12),
    "meshes_trimesh/featuretype.STL": (None, 3476),
}


@pytest.mark.parametrize("name", REAL)
def test_real_meshes_have_their_vertices_faces_and_measures(shared_data: Path, name: str) -> None:
    path = shared_data / "graphs" / name
    vertices, faces = read(path), read(path, mesh_nodes="faces")
    assert isinstance(vertices, Graph)
    assert isinstance(faces, Graph)
    count, triangles = REAL[name]
    assert count is None or vertices.num_nodes == count
    assert faces.num_nodes == triangles
    other = trimesh.Trimesh(body(vertices).vertices, body(vertices).faces, process=False)
    np.testing.assert_allclose(faces.features[:, 6].sum(), other.area, rtol=1e-5)
    assert vertices.num_edges == len(other.edges_unique)
    assert np.isfinite(vertices.features).all()


def test_real_points_without_faces_are_refused(shared_data: Path) -> None:
    with pytest.raises(InputError, match="holds 5 points and no faces, expected a surface"):
        read(shared_data / "graphs" / "meshes_trimesh" / "points_ascii.ply")


TRIANGLE_STL = (
    "solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\nendsolid a\n"
)


@pytest.mark.parametrize(
    "content",
    [
        SQUARE.replace("f 1 2 3 4", "f 1 2 3 4 # as 1 2 4"),
        "OFF4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3\n",
        "\ufeffOFF\n4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3\n",
    ],
    ids=["a comment behind a face", "a count joined to OFF", "a byte order mark"],
)
def test_a_square_is_read_however_it_is_written(content: str) -> None:
    assert mesh(content).num_edges == 5
    np.testing.assert_array_equal(mesh(content).positions, mesh(SQUARE).positions)


def test_a_readable_stl_may_shout() -> None:
    assert mesh(TRIANGLE_STL.upper()).digest == mesh(TRIANGLE_STL).digest


def test_lines_behind_the_last_face_of_an_off_are_counted() -> None:
    assert "2 lines after the 6 faces left out" in mesh(CUBE_OFF + "3 0 1 2\n3 0 1 3\n").notes


ASCII = PLY.format(order="ascii")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (ASCII + "0 0 0\n" * 5 + "3 0 1.5 2\n3 0 1 2\n", "has faces that name no vertices"),
        (ASCII.replace("property float x", "property list uchar float x") + "2 0 0 0 0\n" * 5, "lists as x, y or z"),
        (SQUARE.replace("v 1 1 0", "v 1e200 1 0"), r"vertex 2 lies 1e\+200 away, the limit is 1e\+15 \(1 such\)"),
    ],
    ids=["a fraction of a vertex", "a list as place", "far away"],
)
def test_a_mesh_of_impossible_numbers_is_refused(content: str, said: str) -> None:
    assert content != SQUARE
    with pytest.raises(InputError, match=said):
        mesh(content)


def test_an_stl_without_triangles_is_told_so(tmp_path: Path) -> None:
    for content in (b"solid a\nendsolid a\n", bytes(84)):
        (tmp_path / "a.stl").write_bytes(content)
        with pytest.raises(InputError, match="holds no triangles"):
            read(tmp_path / "a.stl")
