"""How well a straight line tells the classes apart at a site: a linear probe on features averaged over positions.

A ridge regression on one-hot classes, its penalty by leave-one-out within the learning pictures; each picture is judged
by a probe that has not seen it (stratified folds). The share that is judged right is the accuracy.

Reference:
    Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2016 (softmax there).
"""

from collections.abc import Sequence

import numpy as np

from pellucid.insights.ridge import STRENGTHS
from pellucid.intervals import Estimate, share_of

FOLDS = 5
LEAST_PER_CLASS = FOLDS


def usable(labels: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The pictures whose class has enough of them for every fold, and these classes; none where fewer than two have."""
    counts = {label: list(labels).count(label) for label in dict.fromkeys(labels)}
    classes = tuple(sorted(label for label, count in counts.items() if count >= LEAST_PER_CLASS))
    if len(classes) < 2:
        return np.zeros(0, dtype=int), ()
    return np.array([i for i, label in enumerate(labels) if label in classes]), classes


def chance(labels: Sequence[str]) -> float:
    """What always naming the most frequent class would score."""
    return max(list(labels).count(label) for label in set(labels)) / len(labels)


def probe_accuracy(features: np.ndarray, labels: Sequence[str], *, seed: int) -> Estimate:
    """Accuracy on held-out pictures.

    Args:
        features: (pictures, channels).
        labels: One class per picture, each class with five pictures or more.
        seed: For the folds.
    """
    classes = sorted(set(labels))
    wanted = np.array([classes.index(label) for label in labels])
    folds = _stratified(wanted, seed)
    right = 0
    for fold in range(FOLDS):
        train = folds != fold
        found = _judged(features[train], wanted[train], features[~train], len(classes))
        right += int((found == wanted[~train]).sum())
    return share_of(right, len(wanted))


def _stratified(wanted: np.ndarray, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    folds = np.zeros(len(wanted), dtype=int)
    for label in np.unique(wanted):
        mine = random.permutation(np.flatnonzero(wanted == label))
        folds[mine] = (np.arange(len(mine)) + int(label)) % FOLDS
    return folds


def _judged(x: np.ndarray, wanted: np.ndarray, held: np.ndarray, classes: int) -> np.ndarray:
    x, held = x.astype(np.float64), held.astype(np.float64)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread[spread == 0] = 1.0
    x, held = (x - mean) / spread, (held - mean) / spread
    y = np.eye(classes)[wanted]
    base = y.mean(axis=0)
    if len(x) > x.shape[1]:  # the directions that are left out carry nothing, and with many rows they are most of them
        vectors, sizes, _ = np.linalg.svd(x, full_matrices=False)
        values = sizes**2
    else:
        values, vectors = np.linalg.eigh(x @ x.T)
        values = values.clip(min=0)
    scale = float(values.sum()) / len(x) or 1.0
    turned = vectors.T @ (y - base)
    best: tuple[float, np.ndarray] | None = None
    for strength in STRENGTHS:
        shrunk = values / (values + strength * scale)
        fitted = vectors @ (shrunk[:, None] * turned)
        # Leaving one out, in closed form; the intercept takes part with 1 / n.
        leverage = (vectors * vectors) @ shrunk + 1 / len(x)
        loss = float((((y - base - fitted) / (1 - leverage.clip(max=1 - 1e-9))[:, None]) ** 2).sum())
        if best is None or loss < best[0]:
            best = (loss, vectors @ (turned / (values + strength * scale)[:, None]))
    assert best is not None
    found: np.ndarray = (held @ x.T @ best[1] + base).argmax(axis=1)
    return found
