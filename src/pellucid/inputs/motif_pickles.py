"""Graphs with planted motifs, as pickles of nine arrays: the node benchmarks of GNNExplainer and PGExplainer.

Reference:
    Luo et al., Parameterized Explainer for Graph Neural Network, NeurIPS 2020.
"""

from typing import Any

import numpy as np

from pellucid.errors import InputError
from pellucid.inputs.files import naming
from pellucid.inputs.graph import Graph
from pellucid.inputs.restricted_pickle import load_plain

_PARTS = (
    *("adj", "features", "y_train", "y_val", "y_test", "train_mask", "val_mask", "test_mask"),
    "edge_label_matrix",
)


def read_motif_pickle(content: bytes, *, called: str, name: str) -> Graph:
    """The graph of a pickle of nine arrays: adjacency, features, labels and masks of three splits, true edges.

    The matrix of true edges marks each in one direction; an edge is true if either is marked.

    Args:
        content: The pickle.
        called: What an error calls it, quoted.
        name: What to call the graph.

    Raises:
        InputError: It holds more than plain data, which is refused and not run, or other arrays.
    """
    value = load_plain(content, called=called, encoding="latin1")
    if not isinstance(value, tuple | list) or len(value) != len(_PARTS):
        given = f"{len(value)} things" if isinstance(value, tuple | list) else f"a {type(value).__name__}"
        raise InputError(f"{called} is a pickle of {given}, expected the {len(_PARTS)} arrays {', '.join(_PARTS)}.")
    try:
        parts = {key: np.asarray(each) for key, each in zip(_PARTS, value, strict=True)}
    except ValueError as error:
        raise InputError(f"{called} holds rows of different lengths, expected arrays; copy it again.") from error
    shapes = {parts[key].shape for key in ("y_train", "y_val", "y_test")}
    if len(shapes) > 1:
        raise InputError(
            f"{called} has y_train, y_val and y_test of shapes {sorted(shapes)}, expected the same of all."
        )
    nodes = len(parts["adj"]) if parts["adj"].ndim else 0
    for key, array in parts.items():
        wanted: tuple[Any, ...] = (
            (nodes,) if key.endswith("mask") else (nodes, nodes) if "f" not in key[:1] else (nodes,)
        )
        if key.startswith(("y_", "features")):
            wanted = (nodes, "…")
        shape = (*array.shape[:1], "…") if wanted[-1] == "…" and array.ndim == 2 else array.shape
        if shape != wanted or array.dtype.kind not in "biuf":
            raise InputError(f"{called}: {key} has {array.dtype} of shape {array.shape}, expected {wanted}.")
    adjacency = parts["adj"]
    starts, ends = np.nonzero(adjacency)
    marked = parts["edge_label_matrix"] != 0
    marked = marked | marked.T
    classes = parts["y_train"] + parts["y_val"] + parts["y_test"]
    labels = np.where((classes != 0).any(axis=1), classes.argmax(axis=1), -1)
    values = adjacency[starts, ends]
    with naming(called):
        return Graph.from_arcs(
            np.stack([starts, ends]),
            num_nodes=nodes,
            features=parts["features"],
            edge_weights=values if (values != 1).any() else None,
            edge_truth=marked[starts, ends],
            node_truth=marked.any(axis=0),
            labels=labels,
            splits={key.removesuffix("_mask"): parts[key] != 0 for key in _PARTS if key.endswith("mask")},
            name=name,
        )
