"""Graphs in .npz files: a sparse matrix in parts, as gnn-benchmark has it, or many small dense ones.

Reference:
    Shchur et al., Pitfalls of Graph Neural Network Evaluation, 2018.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.errors import InputError
from pellucid.inputs.archives import npz_arrays
from pellucid.inputs.files import naming, readable
from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_set import GraphSet
from pellucid.inputs.scipy_graphs import from_scipy
from pellucid.inputs.sparse_matrices import checked_sparse

Arrays = Mapping[str, npt.NDArray[Any]]


def read_npz(content: bytes, *, called: str, name: str, directed: bool | None = None) -> Graph | GraphSet:
    """The graph, or the graphs, of an .npz file.

    A graph is there as `adj_data`, `adj_indices`, `adj_indptr` and `adj_shape` (compressed rows, also `adj_matrix.…`),
    or as the parts of `scipy.sparse.save_npz`; with `attr_…` or `attr_matrix`, `labels`, `node_names`, `attr_names`
    and `class_names` where they are there. Many graphs are there as `adj` (graphs, nodes, nodes), with `x`
    (graphs, nodes, features), `y` (graphs,) and `edge_gt`, the edges that make the label, where they are there.

    Args:
        content: The whole file.
        called: What an error calls it, quoted.
        name: What to call the graph.
        directed: None decides by whether the matrix is symmetric.

    Raises:
        InputError: It is damaged, holds other arrays or more than plain data.
    """
    arrays = npz_arrays(content, called=called)
    if "adj" in arrays and arrays["adj"].ndim == 3:
        return _dense_set(arrays, called=called, name=name, directed=directed)
    adjacency = _matrix(arrays, "adj", called)
    if adjacency is None:
        names = ", ".join(readable(each) for each in list(arrays)[:5])
        raise InputError(
            f"{called} holds the arrays {names}, expected adj_data, adj_indices, adj_indptr and adj_shape, or adj of "
            "shape (graphs, nodes, nodes)."
        )
    given: dict[str, Any] = {"features": _matrix(arrays, "attr", called)}
    if given["features"] is None and "attr_matrix" in arrays:
        given["features"] = arrays["attr_matrix"]
    if "labels" in arrays:
        given["labels"] = arrays["labels"]
    for key, field in (("node_names", "node_names"), ("attr_names", "feature_names"), ("class_names", "class_names")):
        if key in arrays:
            given[field] = _names(arrays[key])
    with naming(called):
        return from_scipy(adjacency, directed=directed, name=name, **given)


def _matrix(arrays: Arrays, prefix: str, called: str) -> Any:
    for start in (f"{prefix}_", f"{prefix}_matrix.", *(("",) if prefix == "adj" else ())):
        keys = [f"{start}{part}" for part in ("data", "indices", "indptr", "shape")]
        if all(key in arrays for key in keys):
            made = scipy.sparse.csr_array
            if not start and str(arrays.get("format", np.array(b"csr")).item()) in ("b'csc'", "csc"):
                made = scipy.sparse.csc_array
            return checked_sparse(made, [arrays[key] for key in keys[:3]], arrays[keys[3]], called=called)
    return None


def _names(array: npt.NDArray[Any]) -> tuple[str, ...]:
    return tuple(
        readable(each.decode("utf-8", errors="replace") if isinstance(each, bytes) else str(each))
        for each in array.ravel().tolist()
    )


def _dense_set(arrays: Arrays, *, called: str, name: str, directed: bool | None) -> GraphSet:
    adjacency = arrays["adj"]
    count, nodes = adjacency.shape[:2]
    expected = {"adj": (count, nodes, nodes), "edge_gt": (count, nodes, nodes), "x": (count, nodes), "y": (count,)}
    for key, shape in expected.items():
        if key in arrays and arrays[key].shape[: len(shape)] != shape:
            raise InputError(f"{called}: {key} has the shape {arrays[key].shape}, expected {shape} and what follows.")
    if "y" in arrays and arrays["y"].size != count:
        raise InputError(f"{called}: y has the shape {arrays['y'].shape}, expected one class or value for each graph.")
    labels, truth, features = arrays.get("y"), arrays.get("edge_gt"), arrays.get("x")
    class_names = None
    if labels is not None and labels.dtype.kind in "iu" and labels.min(initial=0) >= 0:
        class_names = tuple(f"class {number}" for number in range(int(labels.max(initial=0)) + 1))
    graphs, loops = [], 0
    for number in range(count):
        starts, ends = np.nonzero(adjacency[number])
        loops += bool((starts == ends).any())
        given: dict[str, Any] = {}
        values = adjacency[number][starts, ends]
        if (values != 1).any():
            given["edge_weights"] = values
        if truth is not None:
            # A true edge may be marked in one direction only.
            marked = (truth[number] != 0) | (truth[number] != 0).T
            given |= {"edge_truth": marked[starts, ends], "node_truth": marked.any(axis=0)}
        with naming(f"{called}, graph {number}"):
            graphs.append(
                Graph.from_arcs(
                    np.stack([starts, ends]),
                    directed=directed,
                    num_nodes=nodes,
                    features=None if features is None else features[number],
                    label=None if labels is None else labels[number].item(),
                    class_names=class_names,
                    name=f"{name} {number}",
                    **given,
                )
            )
    notes = (f"{loops} graphs have an edge of a node to itself",) if loops else ()
    with naming(called):
        return GraphSet(graphs=tuple(graphs), name=name, class_names=class_names, notes=notes)
