"""Surfaces: colours are those of the legend, darker at most; the sides that are named are the sides that are seen."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from pellucid.errors import SettingError
from pellucid.figures.categories import COLOURS
from pellucid.figures.colour import palette, sequential, signed
from pellucid.figures.mesh import VIEWS, draw_mesh

BOX = trimesh.creation.box((1.0, 1.0, 1.0))
BALL = trimesh.creation.icosphere(subdivisions=3)
FRONT = [(0.0, 0.0)]


def middle(view: np.ndarray) -> np.ndarray:
    half = len(view) // 2
    return view[half - 3 : half + 3, half - 3 : half + 3].reshape(-1, 3).astype(float)


def hue(colours: np.ndarray) -> np.ndarray:
    """A colour without its brightness."""
    colours = np.asarray(colours, dtype=float)
    return colours / colours.max(axis=-1, keepdims=True)


def test_a_face_has_the_colour_of_its_value_darker_at_most() -> None:
    square = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    for value in (-1.0, 0.5, 1.0):
        view = draw_mesh(square, faces, values=[value, value], low=-1.0, high=1.0, angles=FRONT, size=64).views[0]
        colour = palette("signed")[signed(np.array([value]), 1.0)][0].astype(float)
        seen = middle(view)
        share = seen.mean(axis=0) / colour
        assert np.ptp(share) < 0.02
        assert 0.65 < share.mean() <= 1.0


def test_the_part_of_a_face_nearest_to_a_vertex_has_that_vertexs_colour() -> None:
    triangle = np.array([[-1.0, -1, 0], [1, -1, 0], [0, 1, 0]])
    figure = draw_mesh(triangle, np.array([[0, 1, 2]]), values=[0.0, 1.0, 2.0], angles=FRONT, size=200)
    wanted = hue(palette("sequential")[sequential(np.arange(3.0), low=0.0, high=2.0)])
    view = figure.views[0]
    inner = view[10:-10, 10:-10].reshape(-1, 3)
    inner = hue(inner[(inner.max(axis=1) < 254) & (inner.max(axis=1) > 50)])
    near = np.abs(inner[:, None] - wanted[None]).max(axis=2).min(axis=1) < 0.03
    assert near.mean() > 0.9  # the rest are mixed pixels on the borders


def test_the_sides_that_are_named_are_the_sides_that_are_seen() -> None:
    # A face of the box for each direction, by its normal.
    normal = np.rint(BOX.face_normals)
    for angle, up, axis in (
        ((0.0, 0.0), "y", (0, 0, 1)), ((180.0, 0.0), "y", (0, 0, -1)), ((0.0, 90.0), "y", (0, 1, 0)),
        ((90.0, 0.0), "y", (1, 0, 0)), ((0.0, 90.0), "z", (0, 0, 1)), ((0.0, 0.0), "z", (0, -1, 0)),
    ):  # fmt: skip
        groups = np.where((normal == axis).all(axis=1), 1, 0)
        figure = draw_mesh(BOX.vertices, BOX.faces, groups=groups, angles=[angle], up=up, size=64)  # type: ignore[arg-type]
        colour = np.array([int(COLOURS[1][i : i + 2], 16) for i in (1, 3, 5)])
        np.testing.assert_allclose(hue(middle(figure.views[0]).mean(axis=0)), hue(colour), atol=0.02)


def test_up_is_up() -> None:
    high = (BALL.vertices[:, 1] > 0).astype(np.int64)
    view = draw_mesh(BALL.vertices, BALL.faces, groups=high, angles=FRONT, size=64).views[0]
    assert view[16, 32, 0] > view[16, 32, 2]  # orange above
    assert view[48, 32, 2] > view[48, 32, 0]  # blue below


def test_without_values_it_is_grey_and_has_no_legend() -> None:
    figure = draw_mesh(BALL.vertices, BALL.faces, size=64)
    assert figure.legend == {}
    assert np.ptp(middle(figure.views[0]), axis=1).max() < 20


def test_values_that_are_not_finite_are_magenta_and_counted() -> None:
    values = np.ones(len(BALL.faces))
    values[:] = np.nan
    values[0] = 1.0
    figure = draw_mesh(BALL.vertices, BALL.faces, values=values, size=64)
    assert figure.legend["not_finite"] == len(values) - 1
    red, green, blue = middle(figure.views[0]).mean(axis=0)
    assert red > blue > 4 * green


def test_equal_values_are_one_colour_and_the_legend_has_their_number() -> None:
    figure = draw_mesh(BALL.vertices, BALL.faces, values=np.full(len(BALL.vertices), 0.3), size=64)
    assert figure.legend["flags"] == ["flat (range 0): every value is 0.300"]
    assert (figure.legend["low"], figure.legend["high"]) == (0.0, 0.3)


def test_groups_are_named_in_the_legend() -> None:
    groups = np.where(np.arange(len(BALL.faces)) % 2 == 0, -1, 1)
    figure = draw_mesh(BALL.vertices, BALL.faces, groups=groups, group_names=["arm", "leg"], size=64)
    assert [each["name"] for each in figure.legend["groups"]] == ["leg", "not known"]


def test_12_000_faces_from_three_sides_take_about_a_second_at_most() -> None:
    torus = trimesh.creation.torus(1, 0.4, major_sections=120, minor_sections=50)
    assert len(torus.faces) == 12_000
    start = time.perf_counter()
    figure = draw_mesh(torus.vertices, torus.faces, values=torus.vertices[:, 0])
    assert time.perf_counter() - start < 1.5
    assert len(figure.views) == len(VIEWS) == 3


def test_the_bytes_are_the_same_twice_and_the_edge_is_smooth(tmp_path: Path) -> None:
    figure, again = (draw_mesh(BALL.vertices, BALL.faces, title="ball", size=64) for _ in range(2))
    assert figure.png() == again.png() == figure._repr_png_()
    assert figure.save(tmp_path / "ball.png").read_bytes() == figure.png()
    with Image.open(io.BytesIO(figure.view_png(1))) as image:
        np.testing.assert_array_equal(np.asarray(image), figure.views[1])
    levels = np.unique(figure.views[0][32, :8].sum(axis=1))
    assert len(levels) > 2
    assert (figure.views[0][0] == 255).all()


def test_how_the_corners_of_a_face_are_ordered_makes_no_difference() -> None:
    plain = draw_mesh(BOX.vertices, BOX.faces, size=64)
    turned = draw_mesh(BOX.vertices, BOX.faces[:, ::-1], size=64)
    np.testing.assert_array_equal(plain.views[0], turned.views[0])


def test_what_does_not_fit_together_is_refused_in_one_line(tmp_path: Path) -> None:
    for wishes, line in (
        ({"values": np.zeros(5)}, "values is '5 of them', expected 8, one for each vertex, or 12, for faces."),
        ({"groups": np.zeros(12)}, "groups is 'float64 (12,)', expected 12 whole numbers; -1 is not known."),
        ({"up": "x"}, "up is 'x', expected 'y' or 'z'."),
        ({"size": 1}, "size is 1, expected 16 to 2048 pixels."),
        ({"angles": []}, "angles is [], expected one or more pairs of degrees."),
        (
            {"values": np.zeros(8), "groups": np.zeros(8, dtype=int)},
            "values, groups is 'both', expected one of the two",
        ),
    ):
        with pytest.raises(SettingError) as caught:
            draw_mesh(BOX.vertices, BOX.faces, **wishes)
        assert str(caught.value).startswith(line)
    for vertices, faces, line in (
        (np.zeros((3, 2)), BOX.faces, "vertices is 'float64 (3, 2)', expected numbers of shape (vertices, 3)."),
        (BOX.vertices, np.array([[0, 1, 9]]), "faces is 'corners 0 to 9', expected vertices 0 to 7."),
        (BOX.vertices, np.zeros((0, 3), dtype=int), "faces is 'int64 (0, 3)', expected whole numbers of shape"),
        (BOX.vertices * np.nan, BOX.faces, "vertices is 'a place that is not finite', expected finite numbers."),
    ):
        with pytest.raises(SettingError) as caught:
            draw_mesh(vertices, faces)
        assert str(caught.value).startswith(line)
    with pytest.raises(SettingError, match=r"a name that ends in \.png"):
        draw_mesh(BOX.vertices, BOX.faces, size=16).save(tmp_path / "x.svg")


@pytest.mark.parametrize("vertex", [0, 17, 200, 641])
def test_a_close_up_shows_the_vertex_that_it_is_about_and_shows_it_large(vertex: int) -> None:
    values = np.zeros(len(BALL.vertices))
    values[vertex] = 1.0
    whole = draw_mesh(BALL.vertices, BALL.faces, values=values)
    near = BALL.faces[(BALL.faces == vertex).any(axis=1)]
    close = draw_mesh(BALL.vertices, BALL.faces, values=values, around=[vertex, *np.unique(near).tolist()])
    red = (
        signed(np.array([1.0]), 1.0)
        if close.scale is not None and close.scale.kind == "signed"
        else sequential(np.array([1.0]), low=0.0, high=1.0)
    )
    wanted = hue(palette(close.scale.kind)[red])[0]  # type: ignore[union-attr]

    def covered(view: np.ndarray) -> int:
        pixels = view.reshape(-1, 3).astype(float)
        return int((np.abs(hue(np.maximum(pixels, 1)) - wanted).max(axis=1) < 0.05).sum())

    counts = [covered(view) for view in close.views]
    assert counts[0] > 200
    assert all(counts)
    assert counts[0] > 5 * max(covered(view) for view in whole.views)
