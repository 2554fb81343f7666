"""Ridge regression whose penalty is chosen by cross-validation over pictures, for many rows or for few.

With more rows than columns only sums over the rows are kept, one set per fold, so that nothing grows with the number of
positions; with fewer, the rows themselves are kept and the problem is solved in their own space. Both give the same
function: the intercept is not penalised, and the penalty is `strength · trace(XᵀX) / columns`, X centred.

Reference:
    Hoerl and Kennard, Ridge Regression, Technometrics 1970.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STRENGTHS = (1e-9, 1e-7, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """A fitted ridge regression.

    Attributes:
        strength: The relative penalty that was chosen.
        mean: Of the columns of X.
        intercept: Prediction at that mean.
        weights: (columns, targets), or (rows, targets) with `rows`.
        rows: The centred rows of X that the weights belong to; None where they belong to the columns.
    """

    strength: float
    mean: np.ndarray
    intercept: np.ndarray
    weights: np.ndarray
    rows: np.ndarray | None = None

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The targets of some rows, (rows, targets)."""
        centred = x - self.mean
        found: np.ndarray = (centred if self.rows is None else centred @ self.rows.T) @ self.weights + self.intercept
        return found


@dataclass(slots=True, eq=False)
class Moments:
    """Sums over rows: all that a ridge regression needs to know of them."""

    count: int
    x: np.ndarray
    y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: float

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> "Moments":
        """The sums over some rows, in double precision."""
        x, y = x.astype(np.float64), y.astype(np.float64)
        return cls(len(x), x.sum(axis=0), y.sum(axis=0), x.T @ x, x.T @ y, float((y * y).sum()))

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.count + other.count,
            self.x + other.x,
            self.y + other.y,
            self.xx + other.xx,
            self.xy + other.xy,
            self.yy + other.yy,
        )

    def around(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """XᵀX, XᵀY and the sum of Y² after subtracting x and y from every row."""
        xx = self.xx - np.outer(self.x, x) - np.outer(x, self.x) + self.count * np.outer(x, x)
        xy = self.xy - np.outer(self.x, y) - np.outer(x, self.y) + self.count * np.outer(x, y)
        return xx, xy, self.yy - 2 * float(self.y @ y) + self.count * float(y @ y)


def fit_moments(folds: Sequence[Moments]) -> Readout:
    """Fit from sums, one set per fold of pictures."""
    losses = np.zeros(len(STRENGTHS))
    for number, held in enumerate(folds):
        train = _total([fold for i, fold in enumerate(folds) if i != number])
        mean_x, mean_y = train.x / train.count, train.y / train.count
        values, vectors, penalties = _spectrum(train.around(mean_x, mean_y)[0])
        turned = vectors.T @ train.around(mean_x, mean_y)[1]
        xx, xy, yy = held.around(mean_x, mean_y)
        xx, xy = vectors.T @ xx @ vectors, vectors.T @ xy
        for i, penalty in enumerate(penalties):
            weights = turned / (values + penalty)[:, None]
            losses[i] += yy - 2 * float((weights * xy).sum()) + float((weights * (xx @ weights)).sum())
    best = int(losses.argmin())
    whole = _total(folds)
    mean_x, mean_y = whole.x / whole.count, whole.y / whole.count
    xx, xy, _ = whole.around(mean_x, mean_y)
    values, vectors, penalties = _spectrum(xx)
    weights = vectors @ ((vectors.T @ xy) / (values + penalties[best])[:, None])
    return Readout(STRENGTHS[best], mean_x, mean_y, weights)


def fit_rows(x: np.ndarray, y: np.ndarray, folds: np.ndarray) -> Readout:
    """Fit from rows that are fewer than their columns; `folds` has the fold of each row."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    losses = np.zeros(len(STRENGTHS))
    for number in np.unique(folds):
        train, held = folds != number, folds == number
        mean_x, mean_y = x[train].mean(axis=0), y[train].mean(axis=0)
        centred = x[train] - mean_x
        values, vectors, penalties = _spectrum(centred @ centred.T, columns=x.shape[1])
        turned, across = vectors.T @ (y[train] - mean_y), (x[held] - mean_x) @ centred.T @ vectors
        for i, penalty in enumerate(penalties):
            losses[i] += float(((y[held] - mean_y - across @ (turned / (values + penalty)[:, None])) ** 2).sum())
    best = int(losses.argmin())
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    centred = x - mean_x
    values, vectors, penalties = _spectrum(centred @ centred.T, columns=x.shape[1])
    weights = vectors @ ((vectors.T @ (y - mean_y)) / (values + penalties[best])[:, None])
    return Readout(STRENGTHS[best], mean_x, mean_y, weights, centred)


def _total(folds: Sequence[Moments]) -> Moments:
    total = folds[0]
    for fold in folds[1:]:
        total = total + fold
    return total


def _spectrum(matrix: np.ndarray, *, columns: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eigenvalues, none below 0, eigenvectors, and the penalties of all strengths."""
    values, vectors = np.linalg.eigh(matrix)
    values = values.clip(min=0)
    scale = float(values.sum()) / (columns or len(values))
    # A site that is constant has no scale of its own; any penalty then gives the mean.
    return values, vectors, np.array(STRENGTHS) * (scale or 1.0)
