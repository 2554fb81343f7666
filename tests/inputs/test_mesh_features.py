"""Features of a surface: what they do not depend on, and hand computations."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

import pellucid
from pellucid.errors import InputError
from pellucid.inputs.graph import Graph
from pellucid.inputs.mesh import Mesh
from pellucid.inputs.mesh_features import RADII, SURFACE_FEATURES, surface_features
from pellucid.inputs.mesh_geometry import face_edges, vertex_edges


def mesh(points: np.ndarray, triangles: np.ndarray, *, nodes: str = "vertices") -> Graph:
    edges = vertex_edges(triangles) if nodes == "vertices" else face_edges(triangles)[0]
    count = len(points) if nodes == "vertices" else len(triangles)
    return Graph(edges=edges, num_nodes=count, body=Mesh(vertices=points, faces=triangles, nodes=nodes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def lump() -> tuple[np.ndarray, np.ndarray]:
    ball = trimesh.creation.icosphere(subdivisions=2)
    points = np.array(ball.vertices) * [1, 0.5, 0.3] + 0.1 * np.sin(5 * np.array(ball.vertices)[:, [1, 2, 0]])
    return points, np.array(ball.faces, dtype=np.int64)


@pytest.mark.parametrize("nodes", ["vertices", "faces"])
def test_moving_turning_and_enlarging_change_nothing(lump: tuple[np.ndarray, np.ndarray], nodes: str) -> None:
    points, triangles = lump
    turn = trimesh.transformations.random_rotation_matrix(np.array([0.2, 0.7, 0.4]))[:3, :3]
    first = surface_features(mesh(points, triangles, nodes=nodes)).features
    second = surface_features(mesh(7 * points @ turn.T + [3, -20, 5], triangles, nodes=nodes)).features
    assert first.shape[1] == len(SURFACE_FEATURES) == 18
    np.testing.assert_allclose(first, second, atol=1e-4)
    assert (first.std(axis=0) > 1e-3).all(), "each feature tells vertices of this lump apart"


def test_vertices_in_another_order_get_the_same_rows(lump: tuple[np.ndarray, np.ndarray]) -> None:
    points, triangles = lump
    order = np.random.default_rng(0).permutation(len(points))
    back = np.argsort(order)
    shuffled = surface_features(mesh(points[order], back[triangles])).features
    np.testing.assert_allclose(shuffled, surface_features(mesh(points, triangles)).features[order], atol=1e-5)


def test_a_ball_is_the_same_all_over_and_as_geometry_says() -> None:
    ball = trimesh.creation.icosphere(subdivisions=4)
    rows = surface_features(mesh(np.array(ball.vertices), np.array(ball.faces, dtype=np.int64)))
    column = dict(zip(SURFACE_FEATURES, rows.features.T, strict=True))
    np.testing.assert_allclose(column["distance from the centre"], 1 / np.sqrt(4 * np.pi), rtol=2e-3)
    np.testing.assert_allclose(column["normal along that distance"], 1, atol=1e-3)
    np.testing.assert_allclose(column["curvature"], np.tanh(0.1), atol=2e-2)
    # Archimedes: a ball around a point of a sphere cuts out a cap of area π r², as it does of a plane.
    for radius in RADII[1:]:
        np.testing.assert_allclose(column[f"area within {radius:g}"], 1, atol=0.03)
        np.testing.assert_allclose(column[f"second axis within {radius:g}"], 1, atol=0.03)


def test_it_can_be_done_again_and_keeps_labels(lump: tuple[np.ndarray, np.ndarray]) -> None:
    once = surface_features(mesh(*lump))
    assert surface_features(once).digest == once.digest
    assert once.feature_names == SURFACE_FEATURES


def test_a_surface_without_area_is_refused() -> None:
    flat = mesh(np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]), np.array([[0, 1, 2]]))
    with pytest.raises(InputError, match="the surface of 'graph' has no area"):
        surface_features(flat)


def test_real_meshes_have_finite_features(shared_data: Path) -> None:
    for file in sorted((shared_data / "graphs" / "meshes_common").glob("*.obj"))[:3]:
        assert np.isfinite(surface_features(pellucid.read(file)).features).all()
