"""From a sparse adjacency matrix to a graph."""

from typing import Any

import numpy as np
import scipy.sparse

from pellucid.errors import InputError
from pellucid.inputs.graph import Graph


def from_scipy(matrix: Any, *, directed: bool | None = None, **rest: Any) -> Graph:
    """A graph from a scipy sparse adjacency matrix: the value in row i, column j is the weight of the edge from i to j.

    Where all values are 1 the edges have no weights. Stored zeros are no edges, and `notes` says so.

    Args:
        matrix: A square sparse matrix or array of any layout.
        directed: None decides by whether the matrix is symmetric.
        rest: As for `Graph`.

    Raises:
        InputError: It is not square, not finite, or not symmetric although `directed` is False.
    """
    if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(
            f"the sparse matrix has the shape {matrix.shape}, expected an adjacency matrix (nodes, nodes); "
            "features of nodes go into Graph(features=...)."
        )
    if matrix.shape[0] >= 2**31:
        raise InputError(f"the sparse matrix has {matrix.shape[0]:,} rows, more nodes than a graph can have here.")
    entries = scipy.sparse.coo_array(matrix, copy=True)
    entries.sum_duplicates()
    notes = list(rest.pop("notes", ()))
    there = entries.data != 0
    if not there.all():
        count = int((~there).sum())
        notes.append(f"{count} stored zero{'s' * (count != 1)} of the matrix {'are' if count != 1 else 'is'} no edge")
    weights = entries.data[there]
    arcs = np.stack(entries.coords)[:, there].astype(np.int64)
    if weights.dtype.kind not in "biuf":
        raise InputError(f"the sparse matrix holds {weights.dtype}, expected numbers.")
    if not np.isfinite(weights.astype(np.float64)).all():
        raise InputError("the sparse matrix holds NaN or infinity, expected finite weights; look for what made them.")
    if directed is None:
        # Values decide too: a matrix with the same places and different values on both sides is no undirected graph.
        directed = bool((entries != entries.T).nnz)
    per_arc = {} if (weights == 1).all() else {"edge_weights": weights}
    given = {"num_nodes": int(matrix.shape[0]), "notes": tuple(notes), **per_arc, **rest}
    return Graph.from_arcs(arcs, directed=directed, **given)
