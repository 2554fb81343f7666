"""How alike the vectors of a graph's nodes are: over-smoothing as two exact numbers, in memory of the vectors' size.

The mean cosine asks about all pairs of nodes. Dirichlet energy asks about linked ones:

    E(H) = tr(Hᵀ Δ H) = ½ Σ_ij ã_ij ‖h_i / √d_i − h_j / √d_j‖²,    Δ = I − D^-1/2 (A + I) D^-1/2,

d_i the degree with the self-loop. It is 0 where h_i = √d_i · v for all nodes of a connected part, which is what
repeated symmetric normalisation comes to; equal vectors have energy 0 only where degrees are equal.

Reference:
    Cai & Wang, A Note on Over-Smoothing for Graph Neural Networks, 2020, definition 3.1.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.inputs.graph import Graph

Floats = npt.NDArray[np.float64]


def mean_cosine(vectors: Any) -> tuple[float | None, int]:
    """The mean cosine between the vectors of two different nodes, over all pairs.

    (‖Σ u_i‖² − n) / (n (n − 1)) with the unit vectors u_i, so no pair is ever looked at.

    Args:
        vectors: (nodes, channels), dense or sparse.

    Returns:
        The mean, −1 … 1, over the nodes whose vectors are not 0, None for fewer than two of them; and how many are 0:
        such a vector has no direction.
    """
    # Rows are halved in scale first: squares of very large or small values would leave the range.
    largest = np.asarray(abs(vectors).max(axis=1).todense() if scipy.sparse.issparse(vectors) else abs(vectors).max(1))
    largest = largest.ravel().astype(np.float64)
    there = np.flatnonzero(largest > 0)
    zeros = len(largest) - len(there)
    if len(there) < 2:
        return None, zeros
    scaled = scipy.sparse.diags_array(1 / largest[there]) @ vectors[there].astype(np.float64)
    squares = scaled.multiply(scaled) if scipy.sparse.issparse(scaled) else scaled * scaled
    norms = np.sqrt(np.asarray(squares.sum(axis=1)).ravel())
    total = scaled.T @ (1 / norms)
    count = len(there)
    return float((total @ total - count) / (count * (count - 1))), zeros


def laplacian(graph: Graph) -> scipy.sparse.csr_array:
    """Δ = I − D^-1/2 (A + I) D^-1/2, sparse (nodes, nodes); of a directed graph that of (A + Aᵀ) / 2."""
    found = graph.adjacency()
    if graph.directed:
        found = (found + found.T) / 2
    looped = found.diagonal() != 0
    found = found + scipy.sparse.diags_array((~looped).astype(np.float64))
    degrees = np.asarray(found.sum(axis=1)).ravel()
    half = np.zeros_like(degrees)
    np.power(degrees, -0.5, out=half, where=degrees > 0)
    scale = scipy.sparse.diags_array(half)
    return scipy.sparse.csr_array(scipy.sparse.eye_array(graph.num_nodes) - scale @ found @ scale)


def dirichlet_energy(vectors: Any, delta: scipy.sparse.csr_array) -> tuple[float, float | None]:
    """Dirichlet energy for each node, and for each unit of the vectors' own size.

    Args:
        vectors: H, (nodes, channels), dense or sparse.
        delta: Δ, as `laplacian` makes it.

    Returns:
        tr(Hᵀ Δ H) / nodes; and tr(Hᵀ Δ H) / ‖H‖², 0 … 2 for weights above 0, None where all vectors are 0.
    """
    vectors = vectors.astype(np.float64)
    smoothed = delta @ vectors
    product = vectors.multiply(smoothed) if scipy.sparse.issparse(vectors) else vectors * smoothed
    size = vectors.multiply(vectors) if scipy.sparse.issparse(vectors) else vectors * vectors
    energy, whole = float(product.sum()), float(size.sum())
    return energy / vectors.shape[0], energy / whole if whole > 0 else None
