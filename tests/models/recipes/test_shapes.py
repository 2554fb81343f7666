"""Solids, surfaces and shapes: distances, closed meshes, and parts that are where they should be."""

from collections.abc import Callable

import numpy as np
import pytest
import trimesh

from pellucid.errors import SettingError
from pellucid.inputs.mesh import Mesh
from pellucid.inputs.mesh_geometry import sides
from pellucid.models.recipes.shapes import KINDS, PARTS, shape
from pellucid.models.recipes.solids import box, capsule, cone, ellipsoid, torus
from pellucid.models.recipes.surface_nets import surface_net

SOLIDS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "box": (box((0.1, 0, 0), (0.5, 0.4, 0.3), rounding=0.0), 8 * 0.5 * 0.4 * 0.3),
    "capsule": (capsule((0, 0, -0.4), (0, 0, 0.4), 0.3), np.pi * 0.3**2 * 0.8 + 4 / 3 * np.pi * 0.3**3),
    "cone": (cone(-0.5, 0.5, 0.6, 0.3), np.pi / 3 * (0.36 + 0.18 + 0.09)),
    "ellipsoid": (ellipsoid((0, 0.1, 0), (0.7, 0.5, 0.4)), 4 / 3 * np.pi * 0.7 * 0.5 * 0.4),
    "torus": (torus((0, 0, 0), 0.6, 0.2), 2 * np.pi**2 * 0.6 * 0.2**2),
}


def grid(cells: int) -> tuple[np.ndarray, float]:
    line = np.linspace(-1, 1, cells)
    points = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1)
    return points.reshape(-1, 3), float(line[1] - line[0])


@pytest.mark.parametrize("name", SOLIDS)
def test_a_solid_encloses_the_volume_of_the_formula(name: str) -> None:
    distance, volume = SOLIDS[name]
    points, spacing = grid(80)
    assert (distance(points) < 0).mean() * 8 == pytest.approx(volume, rel=0.05)
    if name != "ellipsoid":  # whose distance is right near the surface only
        # No distance changes faster than the place does.
        slopes = np.abs(np.diff(distance(points).reshape(80, 80, 80), axis=0)) / spacing
        assert slopes.max() <= 1 + 1e-9


@pytest.mark.parametrize("name", SOLIDS)
def test_a_surface_is_closed_turns_outwards_and_has_the_right_volume(name: str) -> None:
    distance, volume = SOLIDS[name]
    points, spacing = grid(40)
    places, triangles = surface_net(distance(points).reshape(40, 40, 40))
    found = trimesh.Trimesh(places * spacing - 1, triangles, process=False)
    assert found.is_winding_consistent
    assert found.volume == pytest.approx(volume, rel=0.06)
    assert found.euler_number == (0 if name == "torus" else 2)


def test_the_vertices_lie_on_the_surface() -> None:
    distance, _ = SOLIDS["capsule"]
    points, spacing = grid(40)
    places, _ = surface_net(distance(points).reshape(40, 40, 40))
    assert np.abs(distance(places * spacing - 1)).max() < 0.15 * spacing


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_shape_is_one_closed_piece_with_all_its_parts(kind: str, seed: int) -> None:
    found = shape(kind, seed)
    assert isinstance(found.body, Mesh)
    _, times = np.unique(sides(found.body.faces), axis=0, return_counts=True)
    assert (times % 2 == 0).all(), "no side has a triangle on one side only"
    assert trimesh.Trimesh(found.body.vertices, found.body.faces, process=False).body_count == 1
    assert np.abs(found.positions).max() < 1.45  # type: ignore[arg-type]
    expected = {
        "table": {"top", "leg"},
        "mug": {"body", "handle"},
        "lamp": {"base", "pole", "shade"},
        "animal": {"body", "leg", "head", "tail"},
    }
    counts = np.bincount(found.labels, minlength=len(PARTS))  # type: ignore[arg-type]
    assert {name for name, count in zip(PARTS, counts, strict=True) if count} == expected[kind]


def test_the_parts_of_a_part_hang_together() -> None:
    mug = shape("mug", 3)
    same = (mug.labels[mug.edges[:, 0]] == mug.labels[mug.edges[:, 1]]).mean()  # type: ignore[index]
    assert same > 0.9


def test_the_same_seed_makes_the_same_shape_and_another_seed_another() -> None:
    assert shape("lamp", 5).digest == shape("lamp", 5).digest != shape("lamp", 6).digest


def test_an_unknown_kind_gets_the_nearest() -> None:
    with pytest.raises(SettingError, match=r"kind is 'tabel', expected .*; did you mean 'table'"):
        shape("tabel", 0)
