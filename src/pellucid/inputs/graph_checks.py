"""What can be wrong with a graph, said with its number and the first few places; and arcs joined to edges."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.errors import InputError

Array = npt.NDArray[Any]
# Two node numbers are joined to one of 64 bits where pairs are compared.
_MOST_NODES = 2**31
_PER_EDGE = ("edge_types", "edge_weights", "edge_features", "edge_truth")
_NAMES = ("edge_type_names", "class_names", "node_names", "feature_names", "edge_feature_names")


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a graph, validated, in their types, read-only and nobody else's.

    Raises:
        InputError: Something does not fit together.
    """
    edges = _pairs(given["edges"])
    nodes = _node_count(edges, given["num_nodes"])
    found: dict[str, Any] = {"num_nodes": nodes, "directed": bool(given["directed"])}
    notes = list(given["notes"])
    for name in _PER_EDGE:
        if given[name] is not None:
            found[name] = _per_edge(name, given[name], len(edges))
    edges, kept, repeated = _each_once(
        edges, {name: found[name] for name in _PER_EDGE if name in found}, **_kind(given)
    )
    found["edges"] = edges
    if repeated:
        found |= {name: found[name][kept] for name in _PER_EDGE if name in found}
        notes.append(f"{_count(repeated, 'edge')} given more than once {'is' if repeated == 1 else 'are'} stored once")
    for name in _NAMES:
        found[name] = None if given[name] is None else tuple(str(each) for each in given[name])
    found["features"], found["featureless"] = _features(given["features"], nodes)
    if found["featureless"] and not any("identity" in note for note in notes):
        notes.append("the nodes have no features, so each is described by being itself: the identity matrix")
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


def edges_of_arcs(arcs: Any, *, directed: bool | None, rest: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a graph whose edges are the pairs of some arcs.

    Raises:
        InputError: An arc of an undirected graph has no partner, or the two differ in weight, type or features.
    """
    array = np.asarray(arcs)
    if array.ndim == 2 and array.shape[0] == 2 and array.shape[1] != 2:
        array = array.T
    elif array.ndim == 2 and array.shape == (2, 2):
        array = array.T  # two arcs: (2, arcs) is what this takes first of all
    pairs = _pairs(array)
    alone = _without_partner(pairs)
    if directed is None:
        directed = bool(len(alone))
    if directed:
        return {"edges": pairs, "directed": True, **rest}
    if len(alone):
        some = ", ".join(f"{a}→{b}" for a, b in pairs[alone[:3]])
        raise InputError(
            f"{_count(len(alone), 'arc')} of an undirected graph {'has' if len(alone) == 1 else 'have'} no partner in "
            f"the other direction ({some}{', …' if len(alone) > 3 else ''}); add them, or say directed=True."
        )
    per_arc = {name: np.asarray(rest[name]) for name in _PER_EDGE if rest.get(name) is not None}
    for name, value in per_arc.items():
        if len(value) != len(pairs):
            raise InputError(f"{name} has {len(value)} rows for {_count(len(pairs), 'arc')}; give one for each arc.")
    edges, kept, _ = _each_once(pairs, per_arc, directed=False)
    return {"edges": edges, "directed": False, **rest, **{name: value[kept] for name, value in per_arc.items()}}


def _kind(given: Mapping[str, Any]) -> dict[str, bool]:
    return {"directed": bool(given["directed"])}


def _pairs(edges: Any) -> npt.NDArray[np.int64]:
    try:
        array = np.asarray(edges)
    except ValueError:
        array = np.asarray(None)
    if array.size == 0 and array.dtype != object:
        return np.zeros((0, 2), dtype=np.int64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError(
            f"edges have shape {array.shape}, expected (edges, 2): two node numbers a row; "
            "for PyG's edge_index of shape (2, arcs) use Graph.from_arcs."
        )
    if not np.issubdtype(array.dtype, np.integer):
        as_numbers = array.astype(np.float64) if np.issubdtype(array.dtype, np.floating) else None
        if as_numbers is None or not np.isfinite(as_numbers).all() or (as_numbers % 1 != 0).any():
            raise InputError(f"edges hold {array.dtype}, expected whole numbers: nodes are numbered from 0.")
    if array.dtype.kind == "f":
        array = np.clip(array, -1, _MOST_NODES)
    elif array.dtype.kind == "u":
        array = np.minimum(array, _MOST_NODES)
    pairs = array.astype(np.int64)
    if pairs.max() >= _MOST_NODES:
        bad = _places((pairs >= _MOST_NODES).any(axis=1))
        raise InputError(
            f"{_count(len(bad), 'edge')} name{'s' * (len(bad) == 1)} nodes beyond {_MOST_NODES - 1:,} "
            f"({_rows('edge', bad)}); number the nodes from 0 without gaps, and keep such ids as node_names."
        )
    return pairs


def _node_count(edges: npt.NDArray[np.int64], given: Any) -> int:
    lowest, highest = (int(edges.min()), int(edges.max())) if len(edges) else (0, -1)
    if lowest < 0:
        bad = _places((edges < 0).any(axis=1))
        raise InputError(f"edges name negative nodes ({_rows('edge', bad)}), expected numbers from 0.")
    if given is None:
        used = np.unique(edges)
        if len(used) != highest + 1:
            missing = np.setdiff1d(np.arange(highest + 1), used)
            raise InputError(
                f"node numbers have gaps: {_count(len(missing), 'number')} from 0 to {highest} "
                f"{'is' if len(missing) == 1 else 'are'} never used ({_first(missing)}); "
                f"give num_nodes={highest + 1} if those are nodes without edges, else number the nodes without gaps."
            )
        if not len(used):
            raise InputError("a graph without edges needs num_nodes, to know how many nodes it has.")
        return highest + 1
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 1:
        raise InputError(f"num_nodes is {given!r}, expected a whole number, 1 or more.")
    if highest >= given:
        bad = _places((edges >= given).any(axis=1))
        raise InputError(
            f"{_count(len(bad), 'edge')} name{'s' * (len(bad) == 1)} nodes beyond the last, which is {given - 1} "
            f"({_rows('edge', bad)}, up to node {highest}); is the numbering from 1?"
        )
    return int(given)


def _each_once(
    edges: npt.NDArray[np.int64], per_edge: Mapping[str, Array], *, directed: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """The edges, each once, in the order of their first appearance; which rows those were; how many were left out."""
    ends = edges if directed else np.sort(edges, axis=1)
    # One number for each pair: comparing rows takes many times as long.
    keys = ends[:, 0] * (int(ends.max(initial=0)) + 1) + ends[:, 1]
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    if len(first) == len(edges):
        return edges, np.arange(len(edges)), 0
    first_of_each = first[inverse.ravel()]
    for name, value in per_edge.items():
        differing = _places((value != value[first_of_each]).reshape(len(value), -1).any(axis=1))
        if len(differing):
            a, b = edges[differing[0]]
            raise InputError(
                f"edge {a}–{b} is given more than once with different {name} ({_count(len(differing), 'such row')}); "
                "give each edge once, or join them first."
            )
    kept = np.sort(first)
    return edges[kept], kept, len(edges) - len(kept)


def _without_partner(pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    if not len(pairs):
        return np.zeros(0, dtype=np.int64)
    size = int(pairs.max()) + 1
    there, back = pairs[:, 0] * size + pairs[:, 1], pairs[:, 1] * size + pairs[:, 0]
    return _places(~np.isin(there, back))


def _per_edge(name: str, value: Any, count: int) -> Array:
    array = np.asarray(value)
    if array.ndim == 0 or len(array) != count:
        rows = "one value" if array.ndim == 0 else f"{len(array)} rows"
        raise InputError(f"{name} has {rows} for {_count(count, 'edge')}; give one for each edge.")
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
            f"features have {shape[0]} rows for {_count(nodes, 'node')}{hint}; give one row for each node."
        )


def _floats(name: str, array: Array) -> npt.NDArray[np.float32]:
    if array.dtype == object or not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_):
        raise InputError(f"{name} holds {array.dtype}, expected numbers.")
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, which is refused with its place
        return np.array(array, dtype=np.float32, order="C")


def _finite(name: str, array: npt.NDArray[np.float32], *, row: str = "edge") -> npt.NDArray[np.float32]:
    bad = ~np.isfinite(array)
    if bad.any():
        rows = _places(bad.reshape(len(array), -1).any(axis=1))
        raise InputError(_not_finite(name, int(bad.sum()), row, rows))
    return array


def _not_finite(name: str, count: int, row: str, rows: Array) -> str:
    return (
        f"{name} holds {_count(count, 'value')} that {'is' if count == 1 else 'are'} NaN or infinite "
        f"({_rows(row, rows)}); fill or drop them."
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
        bad = _places(outside)
        raise InputError(f"{_count(len(bad), 'label')} out of range ({_rows('node', bad)}), expected {allowed}.")
    return array.astype(np.int64)


def _typed(types: npt.NDArray[np.int64], names: tuple[str, ...] | None) -> tuple[str, ...]:
    top = int(types.max()) + 1 if len(types) else 0
    outside = (types < 0) | (types >= len(names) if names is not None else False)
    if outside.any():
        allowed = "0 or more" if names is None else f"0 to {len(names) - 1}, since {len(names)} types are named"
        bad = _places(outside)
        raise InputError(f"{_count(len(bad), 'edge type')} out of range ({_rows('edge', bad)}), expected {allowed}.")
    return tuple(f"type {i}" for i in range(top)) if names is None else names


def _positions(given: Any, nodes: int) -> npt.NDArray[np.float64]:
    array = np.array(given, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != nodes or array.shape[1] not in (2, 3):
        raise InputError(f"positions have shape {array.shape}, expected ({nodes}, 2) or ({nodes}, 3).")
    bad = ~np.isfinite(array)
    if bad.any():
        raise InputError(_not_finite("positions", int(bad.sum()), "node", _places(bad.any(axis=1))))
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
        raise InputError(_not_finite("node_contributions", int(bad.sum()), "node", _places(bad)))
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
        raise InputError(f"{field} has {_count(len(names), 'name')} for {_count(count, what)}; give one for each.")


def _places(mask: Any) -> npt.NDArray[np.int64]:
    return np.flatnonzero(mask)


def _rows(what: str, rows: Array) -> str:
    return f"{what}{'s' * (len(rows) != 1)} {_first(rows)}"


def _first(numbers: Array) -> str:
    return ", ".join(str(int(each)) for each in numbers[:5]) + (", …" if len(numbers) > 5 else "")


def _count(count: int, noun: str) -> str:
    if count != 1:
        head, _, tail = noun.partition(" ")
        noun = f"{head}s {tail}".strip() if head == "column" else f"{noun}s"
    return f"{count:,} {noun}"
