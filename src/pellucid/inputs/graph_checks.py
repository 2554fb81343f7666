"""What can be wrong with a graph, said with its number and the first few places."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.errors import InputError
from pellucid.inputs.counting import counted, places, rows_named
from pellucid.inputs.graph_edges import PER_EDGE, each_once, node_count, pairs_of

Array = npt.NDArray[Any]
_NAMES = ("edge_type_names", "class_names", "node_names", "feature_names", "edge_feature_names")

NO_FEATURES = "the nodes have no features, so each is described by being itself: the identity matrix"
"""The note of a graph whose nodes are described only by being themselves."""


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a graph, validated, in their types, read-only and nobody else's.

    Raises:
        InputError: Something does not fit together.
    """
    edges = pairs_of(given["edges"])
    nodes = node_count(edges, given["num_nodes"])
    found: dict[str, Any] = {"num_nodes": nodes, "directed": bool(given["directed"])}
    notes = [str(each) for each in given["notes"]]
    for name in PER_EDGE:
        if given[name] is not None:
            found[name] = _per_edge(name, given[name], len(edges))
    edges, kept, repeated = each_once(edges, {name: found[name] for name in PER_EDGE if name in found}, **_kind(given))
    found["edges"] = edges
    if repeated:
        found |= {name: found[name][kept] for name in PER_EDGE if name in found}
        notes.append(f"{counted(repeated, 'edge')} given more than once {'is' if repeated == 1 else 'are'} stored once")
    for name in _NAMES:
        found[name] = None if given[name] is None else _words(name, given[name])
    found["features"], found["featureless"] = _features(given["features"], nodes)
    if found["featureless"] and not any("identity" in note for note in notes):
        notes.append(NO_FEATURES)
    _named(found["node_names"], nodes, "node_names", "node")
    if found["feature_names"] is not None and not found["featureless"]:
        _named(found["feature_names"], found["features"].shape[1], "feature_names", "column of features")
    if found.get("edge_types") is not None:
        found["edge_type_names"] = _typed(found["edge_types"], found["edge_type_names"])
    if found.get("edge_features") is not None:
        _named(
            found["edge_feature_names"],
            found["edge_features"].shape[1],
            "edge_feature_names",
            "column of edge features",
        )
    found["labels"] = None if given["labels"] is None else _labels(given["labels"], nodes, found["class_names"])
    if given["node_truth"] is not None:
        found["node_truth"] = _truth("node_truth", np.array(given["node_truth"]), nodes, "nodes")
    if given["node_contributions"] is not None:
        found["node_contributions"] = _contributions(given["node_contributions"], nodes)
    found["positions"] = None if given["positions"] is None else _positions(given["positions"], nodes)
    found["label"] = None if given["label"] is None else _label(given["label"])
    found["splits"] = {str(name): _split(name, mask, nodes) for name, mask in dict(given["splits"]).items()}
    found["notes"] = tuple(notes)
    for value in (*found.values(), *found["splits"].values()):
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return found


def _words(name: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InputError(f"{name} is {given!r}, expected a list of names.")
    return tuple(str(each) for each in given)


def _kind(given: Mapping[str, Any]) -> dict[str, bool]:
    return {"directed": bool(given["directed"])}


def _per_edge(name: str, value: Any, count: int) -> Array:
    array = np.asarray(value)
    if array.ndim == 0 or len(array) != count:
        rows = "one value" if array.ndim == 0 else f"{len(array)} rows"
        raise InputError(f"{name} has {rows} for {counted(count, 'edge')}; give one for each edge.")
    if name == "edge_types":
        if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
            raise InputError(f"edge_types has {array.dtype} of shape {array.shape}, expected whole numbers (edges,).")
        return array.astype(np.int64)
    if name == "edge_truth":
        return _truth(name, np.array(array), count, "edges")
    if array.ndim != (1 if name == "edge_weights" else 2):
        expected = "(edges,)" if name == "edge_weights" else "(edges, features)"
        raise InputError(f"{name} has shape {array.shape}, expected {expected}.")
    return _finite(name, _floats(name, array))


def _features(given: Any, nodes: int) -> tuple[Any, bool]:
    if given is None:
        return scipy.sparse.eye_array(nodes, dtype=np.float32, format="csr"), True
    if scipy.sparse.issparse(given):
        with np.errstate(over="ignore"):
            matrix = scipy.sparse.csr_array(given, dtype=np.float32, copy=True)
        matrix.sum_duplicates()
        _rows_match(matrix.shape, nodes)
        bad = ~np.isfinite(matrix.data)
        if bad.any():
            rows = np.unique(np.repeat(np.arange(nodes), np.diff(matrix.indptr))[bad])
            raise InputError(_not_finite("features", int(bad.sum()), "node", rows))
        if max(matrix.nnz, *matrix.shape) < 2**31:
            # The digest is to depend on what the matrix holds, not on how wide its maker's indices were.
            matrix.indices, matrix.indptr = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
        for part in (matrix.data, matrix.indices, matrix.indptr):
            part.flags.writeable = False
        return matrix, False
    array = np.asarray(given)
    if array.ndim != 2:
        raise InputError(f"features have shape {array.shape}, expected (nodes, features): one row for each node.")
    _rows_match(array.shape, nodes)
    return _finite("features", _floats("features", array), row="node"), False


def _rows_match(shape: tuple[int, ...], nodes: int) -> None:
    if shape[0] != nodes:
        hint = " (it looks transposed)" if len(shape) == 2 and shape[1] == nodes else ""
        raise InputError(
            f"features have {shape[0]} rows for {counted(nodes, 'node')}{hint}; give one row for each node."
        )


def _floats(name: str, array: Array) -> npt.NDArray[np.float32]:
    if array.dtype == object or not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_):
        raise InputError(f"{name} holds {array.dtype}, expected numbers.")
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, which is refused with its place
        return np.array(array, dtype=np.float32, order="C")


def _finite(name: str, array: npt.NDArray[np.float32], *, row: str = "edge") -> npt.NDArray[np.float32]:
    bad = ~np.isfinite(array)
    if bad.any():
        rows = places(bad.reshape(len(array), -1).any(axis=1))
        raise InputError(_not_finite(name, int(bad.sum()), row, rows))
    return array


def _not_finite(name: str, count: int, row: str, rows: Array) -> str:
    return (
        f"{name} holds {counted(count, 'value')} that {'is' if count == 1 else 'are'} NaN or infinite "
        f"({rows_named(row, rows)}); fill or drop them."
    )


def _label(given: Any) -> int | float:
    value = given.item() if isinstance(given, np.generic) else given
    if not isinstance(value, int | float) or not np.isfinite(value):
        raise InputError(f"label is {value!r}, expected the number of a class or a finite value.")
    return value


def _labels(given: Any, nodes: int, class_names: tuple[str, ...] | None) -> npt.NDArray[np.int64]:
    array = np.asarray(given)
    if array.shape != (nodes,) or not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"labels have {array.dtype} of shape {array.shape}, expected whole numbers of shape ({nodes},): "
            "one class for each node, -1 where it is unknown."
        )
    top = len(class_names) if class_names is not None else None
    outside = (array < -1) | (array >= top if top is not None else False)
    if outside.any():
        allowed = "-1 (unknown) or more" if top is None else f"-1 (unknown) to {top - 1}, since {top} classes are named"
        bad = places(outside)
        raise InputError(f"{counted(len(bad), 'label')} out of range ({rows_named('node', bad)}), expected {allowed}.")
    return array.astype(np.int64)


def _typed(types: npt.NDArray[np.int64], names: tuple[str, ...] | None) -> tuple[str, ...]:
    top = int(types.max()) + 1 if len(types) else 0
    outside = (types < 0) | (types >= len(names) if names is not None else False)
    if outside.any():
        allowed = "0 or more" if names is None else f"0 to {len(names) - 1}, since {len(names)} types are named"
        bad = places(outside)
        raise InputError(
            f"{counted(len(bad), 'edge type')} out of range ({rows_named('edge', bad)}), expected {allowed}."
        )
    return tuple(f"type {i}" for i in range(top)) if names is None else names


def _positions(given: Any, nodes: int) -> npt.NDArray[np.float64]:
    array = np.array(given, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != nodes or array.shape[1] not in (2, 3):
        raise InputError(f"positions have shape {array.shape}, expected ({nodes}, 2) or ({nodes}, 3).")
    bad = ~np.isfinite(array)
    if bad.any():
        raise InputError(_not_finite("positions", int(bad.sum()), "node", places(bad.any(axis=1))))
    return array


def _split(name: object, mask: Any, nodes: int) -> npt.NDArray[np.bool_]:
    array = np.array(mask)
    if array.dtype != np.bool_ or array.shape != (nodes,):
        raise InputError(f"split {name!r} has {array.dtype} of shape {array.shape}, expected bool of shape ({nodes},).")
    return array


def _contributions(given: Any, nodes: int) -> npt.NDArray[np.float64]:
    array = np.array(given)
    if array.shape != (nodes,) or array.dtype.kind not in "iuf":
        raise InputError(
            f"node_contributions has {array.dtype} of shape {array.shape}, expected numbers of shape ({nodes},)."
        )
    bad = ~np.isfinite(array)
    if bad.any():
        raise InputError(_not_finite("node_contributions", int(bad.sum()), "node", places(bad)))
    return array.astype(np.float64)


def _truth(name: str, array: Array, count: int, what: str) -> npt.NDArray[np.bool_]:
    if array.dtype != np.bool_ or array.shape != (count,):
        raise InputError(
            f"{name} has {array.dtype} of shape {array.shape}, expected bool of shape ({count},): "
            f"whether each of the {what} is part of what makes the label."
        )
    return array


def _named(names: tuple[str, ...] | None, count: int, field: str, what: str) -> None:
    if names is not None and len(names) != count:
        raise InputError(f"{field} has {counted(len(names), 'name')} for {counted(count, what)}; give one for each.")
