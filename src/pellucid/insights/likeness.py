"""How alike two values of one shape are, in three ways that see different things.

The relative distance and the cosine compare value with value, so they mean most where both come from one network. CKA
asks which positions are alike, and does not change when the channels of one side are put in another order or turned.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How alike two values are.

    Attributes:
        distance: ‖a − b‖ ÷ mean of ‖a‖ and ‖b‖: 0 for equal values, 2 at most. None where something is not finite.
        cosine: Cosine of the angle between them, −1 … 1; None also where one of them is all zeros.
        cka: Linear CKA over positions, 0 … 1; None also where there are no positions, or nothing varies over them.
        norms: ‖a‖ and ‖b‖.
    """

    distance: float | None
    cosine: float | None
    cka: float | None
    norms: tuple[float, float] | None


def likeness(first: np.ndarray, second: np.ndarray, *, maps: bool) -> Likeness:
    """Compare two values.

    Args:
        first: Any shape.
        second: The same shape.
        maps: Whether they are (1, channels, height, width), so that CKA can be asked for.
    """
    a, b = (np.asarray(values, dtype=np.float64).reshape(-1) for values in (first, second))
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return Likeness(distance=None, cosine=None, cka=None, norms=None)
    norms = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    return Likeness(
        distance=relative_distance(a, b),
        cosine=cosine(a, b),
        cka=linear_cka(*(values.reshape(values.shape[1], -1).T for values in (first, second))) if maps else None,
        norms=norms,
    )


def relative_distance(first: np.ndarray, second: np.ndarray) -> float:
    """‖a − b‖ ÷ ((‖a‖ + ‖b‖) ÷ 2), from 0 to 2; 0 where both are all zeros."""
    size = (float(np.linalg.norm(first)) + float(np.linalg.norm(second))) / 2
    return float(np.linalg.norm(first - second)) / size if size > 0 else 0.0


def cosine(first: np.ndarray, second: np.ndarray) -> float | None:
    """a·b ÷ (‖a‖ ‖b‖); None where one of them is all zeros."""
    size = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    # Rounding can put the cosine of a vector with itself a little above 1.
    return float(np.clip(np.dot(first, second) / size, -1, 1)) if size > 0 else None


def linear_cka(first: np.ndarray, second: np.ndarray) -> float | None:
    """Linear centred kernel alignment: how far two representations of the same rows agree on which rows are alike.

    With few rows and many columns it is biased towards 1.

    Args:
        first: (rows, columns): here positions and channels.
        second: The same rows; it may have other columns.

    Returns:
        0 … 1, or None where one of them does not vary over the rows.

    Reference:
        Kornblith et al., Similarity of Neural Network Representations Revisited, ICML 2019, section 3.
    """
    a, b = (_centred(values) for values in (first, second))
    if a is None or b is None:
        return None
    rows = len(a)
    if rows <= max(a.shape[1], b.shape[1]):
        # The same number from row × row matrices, which are smaller here.
        one, other = a @ a.T, b @ b.T
        shared, sizes = float(np.sum(one * other)), float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    else:
        shared = float(np.linalg.norm(b.T @ a)) ** 2
        sizes = float(np.linalg.norm(a.T @ a)) * float(np.linalg.norm(b.T @ b))
    return min(1.0, shared / sizes)


def _centred(values: np.ndarray) -> np.ndarray | None:
    """Columns around their means and of unit size in all, so that nothing overflows; None where nothing varies."""
    work: np.ndarray = np.asarray(values, dtype=np.float64)
    size = float(np.abs(work).max(initial=0.0))
    work = work - work.mean(axis=0, keepdims=True)
    total = float(np.linalg.norm(work))
    # What is left of equal single-precision numbers after their mean is taken away is rounding, not variation.
    rounding = float(np.finfo(np.float32).eps) * size
    if len(work) < 2 or float(np.abs(work).max(initial=0.0)) <= rounding or not total:
        return None
    return work / total
