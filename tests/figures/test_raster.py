"""Filled triangles: the nearest wins, common sides leave neither gaps nor doubles, shares give back the place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.figures.raster import rasterise


def by_hand(corners: np.ndarray, height: int, width: int) -> np.ndarray:
    """The triangle in front at each pixel, one pixel and one triangle after the other."""
    front = np.full((height, width), -1)
    for row in range(height):
        for column in range(width):
            best = np.inf
            for face, (a, b, c) in enumerate(corners):
                edges = np.array([b[:2] - a[:2], c[:2] - a[:2]]).T
                if abs(np.linalg.det(edges)) < 1e-9:
                    continue
                u, v = np.linalg.solve(edges, np.array([column + 0.5, row + 0.5]) - a[:2])
                far = a[2] + u * (b[2] - a[2]) + v * (c[2] - a[2])
                if min(u, v, 1 - u - v) >= 0 and far < best:
                    best, front[row, column] = far, face
    return front


@given(st.integers(1, 12), st.integers(0, 500))
@settings(deadline=None, max_examples=30)
def test_it_equals_one_pixel_after_the_other(count: int, seed: int) -> None:
    corners = np.random.default_rng(seed).uniform(-4, 20, size=(count, 3, 3))
    found = rasterise(corners, height=16, width=15)
    front = np.full(16 * 15, -1)
    front[found.pixels] = found.faces
    assert (front.reshape(16, 15) == by_hand(corners, 16, 15)).all()


@given(st.integers(0, 200))
@settings(deadline=None, max_examples=20)
def test_shares_add_up_to_one_and_give_back_the_place(seed: int) -> None:
    corners = np.random.default_rng(seed).uniform(0, 30, size=(5, 3, 3))
    found = rasterise(corners, height=30, width=30)
    row, column = np.divmod(found.pixels, 30)
    place = (found.shares[:, :, None] * corners[found.faces][:, :, :2]).sum(axis=1)
    np.testing.assert_allclose(found.shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(place, np.stack([column, row], axis=1) + 0.5, atol=1e-6)


def test_a_square_of_two_triangles_covers_each_pixel_once() -> None:
    square = np.array([[[0, 0, 1], [8, 0, 1], [8, 8, 1]], [[0, 0, 1], [8, 8, 1], [0, 8, 1]]], dtype=float)
    found = rasterise(square, height=10, width=10)
    assert len(found.pixels) == 64
    alone = sum(len(rasterise(square[k : k + 1], height=10, width=10).pixels) for k in (0, 1))
    assert alone == 64


def test_what_lies_outside_or_has_no_area_draws_nothing() -> None:
    assert len(rasterise(np.full((1, 3, 3), 5.0), height=10, width=10).pixels) == 0
    assert len(rasterise(np.array([[[-9.0, -9, 0], [-1, -9, 0], [-5, -1, 0]]]), height=10, width=10).pixels) == 0


def test_of_two_triangles_at_one_place_the_first_is_in_front() -> None:
    one = np.array([[0.0, 0, 1], [9, 0, 1], [0, 9, 1]])
    assert set(rasterise(np.stack([one, one]), height=9, width=9).faces) == {0}


@pytest.mark.parametrize("count", [400])
def test_many_large_triangles_are_worked_on_in_parts(count: int) -> None:
    corners = np.tile(np.array([[0.0, 0, 0], [300, 0, 0], [0, 300, 0]]), (count, 1, 1))
    corners[:, :, 2] = np.arange(count)[::-1, None]
    assert set(rasterise(corners, height=300, width=300).faces) == {count - 1}
