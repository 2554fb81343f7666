"""From PyTorch Geometric's `Data` and back. Tensors are recognised by what they can do, so torch is not imported."""

import importlib
import warnings
from typing import Any

import numpy as np
import scipy.sparse

from pellucid.errors import InputError, MissingExtraError
from pellucid.inputs.graph import Graph

_SPLITS = {"train_mask": "train", "val_mask": "val", "test_mask": "test"}

_NAMES = ("name", "class_names", "node_names", "edge_type_names", "feature_names", "edge_feature_names")
_KNOWN = frozenset(
    {
        *("edge_index", "num_nodes", "x", "edge_weight", "edge_type", "edge_attr", "pos", "y"),
        *("edge_truth", "node_truth", "node_contributions", *_NAMES),
    }
)


def is_pyg_data(source: object) -> bool:
    """Whether an object is a graph of PyTorch Geometric, which is not imported for that."""
    return any(each.__module__.startswith("torch_geometric.data.") for each in type(source).__mro__)


def from_pyg(source: Any, *, directed: bool | None = None) -> Graph:
    """A graph from a `torch_geometric.data.Data`; the tensors are copied.

    `x`, `edge_weight`, `edge_type`, `pos` and the masks of splits become the fields of that meaning; `edge_attr`
    becomes `edge_features`, or edge types where it is one whole number for each arc. `y` becomes `labels` if it has a
    whole number for each node and `label` if it has one entry. Of several splits the first is taken.

    Args:
        source: The data; one graph, with one kind of nodes.
        directed: None decides by whether every arc has its partner with the same values.

    Raises:
        InputError: It has no `edge_index`, or something does not fit together.
    """
    if not hasattr(source, "edge_index") or type(source).__name__ == "HeteroData":
        raise InputError(
            f"a {type(source).__name__} is no graph with one kind of nodes, expected a Data; "
            "data.to_homogeneous() makes one of a HeteroData."
        )
    if type(source).__name__.endswith("Batch"):
        raise InputError("a Batch holds several graphs, expected one; give batch[0] or each of batch.to_data_list().")
    if source.edge_index is None:
        raise InputError(
            "the Data has no edge_index, expected arcs of shape (2, arcs); for points without edges make some."
        )
    arcs = _numpy(source.edge_index)
    if arcs.ndim != 2 or arcs.shape[0] != 2:
        raise InputError(f"edge_index has the shape {arcs.shape}, expected (2, arcs).")
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as counted_by_arcs:
        warnings.simplefilter("always")
        nodes = int(source.num_nodes)
    if counted_by_arcs:
        notes.append(f"the Data does not say how many nodes it has: {nodes}, the highest number of its arcs plus one")
    given: dict[str, Any] = {"num_nodes": nodes}
    for key, field in (
        ("x", "features"),
        ("edge_weight", "edge_weights"),
        ("edge_type", "edge_types"),
        ("pos", "positions"),
    ):
        value = _get(source, key)
        if value is not None:
            given[field] = value[:, np.newaxis] if key == "x" and value.ndim == 1 else value
    for key in ("edge_truth", "node_truth", "node_contributions"):
        if (value := _get(source, key)) is not None:
            given[key] = value
    given |= _edge_attributes(source, "edge_types" in given)
    given |= _target(source, nodes, notes)
    notes += _left_out(source, nodes)
    given["splits"] = _splits(source, nodes, notes)
    for key in _NAMES:
        value = getattr(source, key, None)
        if isinstance(value, str if key == "name" else list | tuple):
            given[key] = value
    try:
        return Graph.from_arcs(arcs, directed=directed, notes=tuple(notes), **given)
    except InputError as error:
        if directed is not None or "given more than once with different" not in str(error):
            raise
    notes.append("the two directions of some edges differ, so the graph is read as directed")
    return Graph.from_arcs(arcs, directed=True, notes=tuple(notes), **given)


def to_pyg(graph: Graph) -> Any:
    """The graph as a `torch_geometric.data.Data`; `from_pyg` takes it back, with the same digest.

    An undirected edge has both its arcs, first all edges as they are stored and then the reversed ones. Sparse features
    stay sparse; without features there is no `x`. Names are kept as plain lists; a body and notes have no place there.

    Raises:
        MissingExtraError: PyTorch Geometric is not installed.
    """
    try:
        from torch_geometric.data import Data
    except ImportError as error:
        raise MissingExtraError("torch_geometric", purpose="Making a PyG Data", extra="pyg") from error
    # torch comes with PyG; a plain import here would bring it into a room that is to stay free of it.
    torch = importlib.import_module("torch")
    arcs, edge = graph.arcs()
    made = Data(edge_index=torch.from_numpy(arcs.copy()), num_nodes=graph.num_nodes)

    def put(key: str, value: Any) -> None:
        if value is not None:
            made[key] = torch.from_numpy(np.array(value))

    if not graph.featureless:
        if scipy.sparse.issparse(graph.features):
            entries = scipy.sparse.coo_array(graph.features)
            places = torch.from_numpy(np.stack(entries.coords).astype(np.int64))
            values = torch.from_numpy(entries.data.copy())
            made.x = torch.sparse_coo_tensor(places, values, entries.shape, is_coalesced=True, check_invariants=True)
        else:
            put("x", graph.features)
    per_edge = {
        "edge_attr": graph.edge_features,
        "edge_weight": graph.edge_weights,
        "edge_type": graph.edge_types,
        "edge_truth": graph.edge_truth,
    }
    for key, value in per_edge.items():
        put(key, None if value is None else value[edge])
    put("y", graph.labels if graph.labels is not None or graph.label is None else np.array([graph.label]))
    put("pos", None if graph.positions is None else graph.positions.astype(np.float32))
    put("node_truth", graph.node_truth)
    put("node_contributions", graph.node_contributions)
    for name, mask in graph.splits.items():
        put(f"{name}_mask", mask)
    for key in _NAMES:
        value = getattr(graph, key)
        if value is not None:
            made[key] = value if isinstance(value, str) else list(value)
    return made


def _numpy(tensor: Any) -> Any:
    if getattr(tensor, "is_sparse", False):
        entries = tensor.detach().cpu().coalesce()
        places = entries.indices().numpy()
        return scipy.sparse.csr_array((entries.values().numpy(), tuple(places)), shape=tuple(tensor.shape))
    if getattr(tensor, "is_sparse_csr", False):
        rows = tensor.detach().cpu()
        parts = (rows.values().numpy(), rows.col_indices().numpy(), rows.crow_indices().numpy())
        return scipy.sparse.csr_array(parts, shape=tuple(tensor.shape))
    if hasattr(tensor, "detach"):
        # numpy knows no bfloat16 and no half precision that it would not round again.
        whole = tensor.detach().cpu()
        return (whole.float() if "float16" in str(whole.dtype) else whole).numpy()
    return np.asarray(tensor)


def _get(source: Any, key: str) -> Any:
    value = getattr(source, key, None)
    return None if value is None else _numpy(value)


def _edge_attributes(source: Any, typed: bool) -> dict[str, Any]:
    value = _get(source, "edge_attr")
    if value is None:
        return {}
    if value.ndim == 1 and value.dtype.kind in "iu" and not typed:
        return {"edge_types": value}
    return {"edge_features": value[:, np.newaxis] if value.ndim == 1 else value}


def _target(source: Any, nodes: int, notes: list[str]) -> dict[str, Any]:
    y = _get(source, "y")
    if y is None or y.size == 0:
        return {}
    flat = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if flat.size == 1:
        return {"label": flat.reshape(-1)[0].item()}
    if flat.shape == (nodes,) and flat.dtype.kind in "iu":
        return {"labels": flat}
    notes.append(
        f"y of shape {y.shape} and type {y.dtype} is left out: it is no class for each node and no single value"
    )
    return {}


def _left_out(source: Any, nodes: int) -> list[str]:
    keys = list(source.keys()) if callable(getattr(source, "keys", None)) else []
    unknown = [
        key for key in keys if key not in _KNOWN and not (key.endswith("_mask") and _is_mask(source[key], nodes))
    ]
    if not unknown:
        return []
    some = ", ".join(map(str, sorted(unknown)[:5])) + (", …" if len(unknown) > 5 else "")
    return [f"what says nothing to a graph is left out: {some}"]


def _is_mask(value: Any, nodes: int) -> bool:
    return getattr(value, "ndim", 0) in (1, 2) and value.shape[0] == nodes and "bool" in str(value.dtype)


def _splits(source: Any, nodes: int, notes: list[str]) -> dict[str, Any]:
    keys = {key: name for key, name in _SPLITS.items() if getattr(source, key, None) is not None}
    for key in source.keys() if callable(getattr(source, "keys", None)) else ():
        if key.endswith("_mask") and key not in keys and getattr(source[key], "ndim", 0) in (1, 2):
            keys[key] = key.removesuffix("_mask")
    found = {}
    for key, name in keys.items():
        mask = _numpy(source[key])
        if mask.shape[:1] != (nodes,) or mask.dtype != np.bool_:
            continue
        if mask.ndim == 2:
            notes.append(f"of the {mask.shape[1]} splits of {key} the first is taken")
            mask = mask[:, 0]
        found[name] = mask
    return found
