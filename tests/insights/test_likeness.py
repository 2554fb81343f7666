import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.insights.likeness import cosine, likeness, linear_cka, relative_distance


def draw(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def cka_by_definition(a: np.ndarray, b: np.ndarray) -> float:
    """HSIC of centred linear kernels over the root of each one's own, as the paper writes it."""
    rows = len(a)
    centring = np.eye(rows) - np.full((rows, rows), 1 / rows)

    def hsic(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.trace(x @ x.T @ centring @ y @ y.T @ centring)) / (rows - 1) ** 2

    return hsic(a, b) / (hsic(a, a) * hsic(b, b)) ** 0.5


@pytest.mark.parametrize(("rows", "one", "other"), [(40, 5, 5), (6, 30, 30), (12, 12, 12), (20, 3, 9)])
def test_cka_is_that_of_the_paper_whichever_matrices_are_smaller(rows: int, one: int, other: int) -> None:
    a, b = draw(0, rows, one) + 3, draw(1, rows, other) - 2
    assert linear_cka(a, b) == pytest.approx(cka_by_definition(a, b), rel=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.floats(0.01, 100))
def test_cka_does_not_change_with_order_rotation_shift_and_scale_of_channels(seed: int, scale: float) -> None:
    a, b = draw(seed, 30, 6), draw(seed + 1, 30, 6)
    turned, _ = np.linalg.qr(draw(seed + 2, 6, 6))
    assert linear_cka(a, scale * (b @ turned)[:, ::-1] + 7) == pytest.approx(linear_cka(a, b), abs=1e-9)
    assert linear_cka(a, a @ turned) == pytest.approx(1)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_a_distance_is_symmetric_and_between_0_and_2(seed: int) -> None:
    a, b = draw(seed, 20), draw(seed + 1, 20)
    found = relative_distance(a, b)
    assert 0 <= found <= 2
    assert found == pytest.approx(relative_distance(b, a))
    assert relative_distance(a, -a) == pytest.approx(2)
    assert relative_distance(a, 1e9 * a) == pytest.approx(2, abs=1e-6)
    assert relative_distance(a, a) == 0


def test_known_numbers() -> None:
    a, b = np.array([3.0, 0.0]), np.array([0.0, 4.0])
    assert relative_distance(a, b) == pytest.approx(5 / 3.5)
    assert cosine(a, b) == 0
    assert cosine(a, np.array([1.0, 1.0])) == pytest.approx(0.5**0.5)


def test_what_cannot_be_said_is_none() -> None:
    zeros, ones = np.zeros((1, 3, 4, 4)), np.ones((1, 3, 4, 4))
    both = likeness(zeros, zeros, maps=True)
    assert (both.distance, both.cosine, both.cka, both.norms) == (0.0, None, None, (0.0, 0.0))
    assert likeness(zeros, ones, maps=True).distance == 2
    assert likeness(ones, draw(0, 1, 3, 4, 4), maps=True).cka is None
    assert likeness(draw(0, 1, 3, 1, 1), draw(1, 1, 3, 1, 1), maps=True).cka is None
    assert likeness(draw(0, 1, 3), draw(1, 1, 3), maps=False).cka is None
    broken = ones.copy()
    broken[0, 0, 0, 0] = np.nan
    assert likeness(ones, broken, maps=True).distance is None


def test_a_constant_with_rounding_noise_does_not_vary() -> None:
    flat = np.full((50, 2), 1 / 3, dtype=np.float32)
    assert linear_cka(flat, draw(0, 50, 2)) is None


def test_positions_are_rows_and_channels_columns() -> None:
    a, b = draw(0, 1, 5, 6, 7), draw(1, 1, 5, 6, 7)
    rows = [np.array([x[0, :, i, j] for i in range(6) for j in range(7)]) for x in (a, b)]
    assert likeness(a, b, maps=True).cka == pytest.approx(cka_by_definition(*rows))
