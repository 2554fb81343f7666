"""Ridge regression against its textbook form."""

import numpy as np
import pytest

from pellucid.insights.ridge import STRENGTHS, Moments, fit_moments, fit_rows


def textbook(x: np.ndarray, y: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    centred = x - mean_x
    penalty = strength * np.trace(centred.T @ centred) / x.shape[1]
    weights = np.linalg.solve(centred.T @ centred + penalty * np.eye(x.shape[1]), centred.T @ (y - mean_y))
    return weights, mean_y - mean_x @ weights


def cross_validated(x: np.ndarray, y: np.ndarray, folds: np.ndarray) -> float:
    losses = []
    for strength in STRENGTHS:
        loss = 0.0
        for fold in np.unique(folds):
            weights, intercept = textbook(x[folds != fold], y[folds != fold], strength)
            loss += float(((y[folds == fold] - x[folds == fold] @ weights - intercept) ** 2).sum())
        losses.append(loss)
    return STRENGTHS[int(np.argmin(losses))]


@pytest.mark.parametrize(("rows", "columns"), [(60, 5), (20, 30)])
def test_both_ways_of_solving_equal_the_textbook_with_the_same_penalty(rows: int, columns: int) -> None:
    random = np.random.default_rng(rows)
    x = random.normal(size=(rows, columns)) + 3
    y = x[:, :4] @ random.normal(size=(4, 2)) + random.normal(size=(rows, 2))
    folds = np.arange(rows) % 4
    strength = cross_validated(x, y, folds)
    weights, intercept = textbook(x, y, strength)
    new = random.normal(size=(7, columns))
    by_moments = fit_moments([Moments.of(x[folds == fold], y[folds == fold]) for fold in range(4)])
    by_rows = fit_rows(x, y, folds)
    assert by_moments.strength == by_rows.strength == strength
    for readout in (by_moments, by_rows):
        assert np.allclose(readout.predict(new), new @ weights + intercept, rtol=1e-6, atol=1e-6)


def test_a_constant_site_predicts_the_mean() -> None:
    x, y = np.ones((12, 3)), np.arange(12.0)[:, None]
    folds = np.arange(12) % 4
    readout = fit_moments([Moments.of(x[folds == fold], y[folds == fold]) for fold in range(4)])
    assert np.allclose(readout.predict(np.ones((2, 3))), 5.5)
