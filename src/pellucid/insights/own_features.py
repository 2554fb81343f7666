"""How much of a node's own features can be read back from its vector, by a straight line.

What is read back depends on what there is: up to 64 features themselves, each with variance 1, so that no unit decides;
of more the 32 leading principal components, which have a size of their own; and where a graph has no features, the
logarithm of the degree, for the identity matrix says nothing about a node that was not seen, and the degree is the one
thing that a node has for itself. Each node is judged by a ridge regression that has not seen it (4 folds), and

    R² = 1 − Σ ‖y_i − ŷ_i‖² / Σ ‖y_i − ȳ‖²

over all nodes. A node's features and those of its neighbours are alike in most graphs, so some R² is left even where
only neighbours are heard.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.sparse.linalg

from pellucid.inputs.graph import Graph
from pellucid.insights.ridge import Moments, fit_moments
from pellucid.intervals import Estimate, r_squared

Floats = npt.NDArray[np.float64]
What = Literal["features", "components", "log degree"]
FOLDS = 4
LEAST_NODES = 16
FEW = 64
COMPONENTS = 32
_DENSE = 200
"""Up to so many rows or columns all components are computed, else the leading ones alone."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Own:
    """What is read back.

    Attributes:
        what: "features", "components" or "log degree".
        values: float64 (nodes, targets), each with mean 0.
        share: How much of the variance of the features this is, 0 … 1; None for the degree.
    """

    what: What
    values: Floats
    share: float | None


def own_of(graph: Graph, *, seed: int) -> Own | None:
    """What can be asked of each node of a graph; None where all nodes have the same."""
    if graph.featureless:
        degrees = np.bincount(graph.arcs()[0][1], minlength=graph.num_nodes)
        return _own("log degree", np.log1p(degrees)[:, None], None)
    features = graph.features
    if graph.num_features <= FEW:
        dense = features.toarray() if scipy.sparse.issparse(features) else features
        dense = dense.astype(np.float64) - dense.mean(axis=0, dtype=np.float64)
        spread = dense.std(axis=0)
        # Rounding alone gives a constant column of float32 some spread.
        told = spread > 1e-6 * np.abs(features).max(initial=1e-30)
        return _own("features", dense[:, told] / spread[told], 1.0)
    return _components(features, seed)


def read_back(vectors: Floats, own: Own, *, seed: int) -> Estimate | None:
    """R² over all nodes, with its interval over nodes.

    Args:
        vectors: (nodes, channels).
        own: What is read back.
        seed: For the folds and the resampling.

    Returns:
        None where there are fewer than 16 nodes.
    """
    count = len(vectors)
    if count < LEAST_NODES:
        return None
    fold = np.random.default_rng(seed).permutation(count) % FOLDS
    moments = [Moments.of(vectors[fold == number], own.values[fold == number]) for number in range(FOLDS)]
    missed = np.zeros(count)
    for number in range(FOLDS):
        readout = fit_moments([each for i, each in enumerate(moments) if i != number])
        held = fold == number
        missed[held] = ((own.values[held] - readout.predict(vectors[held])) ** 2).sum(axis=1)
    return r_squared(missed, (own.values**2).sum(axis=1), seed=seed)


def _own(what: What, values: Floats, share: float | None) -> Own | None:
    values = values - values.mean(axis=0)
    return Own(what=what, values=values, share=share) if values.size and bool(values.any()) else None


def _components(features: Any, seed: int) -> Own | None:
    """The leading principal components, without ever making sparse features dense if there are many."""
    rows, columns = features.shape
    matrix = features.astype(np.float64)
    mean = np.asarray(matrix.mean(axis=0)).ravel()
    squares = matrix.multiply(matrix) if scipy.sparse.issparse(matrix) else matrix * matrix
    whole = float(squares.sum() - rows * (mean @ mean))
    if whole <= 1e-12 * float(squares.sum()):
        return None
    count = min(COMPONENTS, rows - 1, columns)
    if min(rows, columns) <= _DENSE:
        dense = matrix.toarray() if scipy.sparse.issparse(matrix) else matrix
        left, sizes, _ = np.linalg.svd(dense - mean, full_matrices=False)
        left, sizes = left[:, :count], sizes[:count]
    else:
        centred = scipy.sparse.linalg.LinearOperator(
            matrix.shape,
            matvec=lambda v: matrix @ v - mean @ v,
            rmatvec=lambda v: matrix.T @ v - mean * v.sum(),
            matmat=lambda v: matrix @ v - mean @ v,
            rmatmat=lambda v: matrix.T @ v - np.outer(mean, v.sum(axis=0)),
            dtype=np.float64,
        )
        start = np.random.default_rng(seed).normal(size=min(rows, columns))
        left, sizes, _ = scipy.sparse.linalg.svds(centred, k=count, v0=start)
    return _own("components", left * sizes, float((sizes**2).sum() / whole))
