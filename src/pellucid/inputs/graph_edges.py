"""The edges of a graph: pairs of node numbers that exist, each once; and arcs joined to edges."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.errors import InputError
from pellucid.inputs.counting import counted, first_few, places, rows_named

Array = npt.NDArray[Any]

PER_EDGE = ("edge_types", "edge_weights", "edge_features", "edge_truth")
"""The fields of a graph that have a row for each edge."""

# Two node numbers are joined to one of 64 bits where pairs are compared.
_MOST_NODES = 2**31
# The identity alone takes a gigabyte then; a file of ten bytes must not ask for more.
_MOST_GIVEN = 100_000_000


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
    pairs = pairs_of(array)
    alone = _without_partner(pairs)
    if directed is None:
        directed = bool(len(alone))
    if directed:
        return {"edges": pairs, "directed": True, **rest}
    if len(alone):
        some = ", ".join(f"{a}→{b}" for a, b in pairs[alone[:3]])
        raise InputError(
            f"{counted(len(alone), 'arc')} of an undirected graph {'has' if len(alone) == 1 else 'have'} no partner in "
            f"the other direction ({some}{', …' if len(alone) > 3 else ''}); add them, or say directed=True."
        )
    per_arc = {name: np.asarray(rest[name]) for name in PER_EDGE if rest.get(name) is not None}
    for name, value in per_arc.items():
        if len(value) != len(pairs):
            raise InputError(f"{name} has {len(value)} rows for {counted(len(pairs), 'arc')}; give one for each arc.")
    edges, kept, _ = each_once(pairs, per_arc, directed=False)
    arcs_of_edges = 2 * len(edges) - int((edges[:, 0] == edges[:, 1]).sum())
    if repeated := len(pairs) - arcs_of_edges:
        are = "is" if repeated == 1 else "are"
        note = f"{counted(repeated, 'arc')} given more than once {are} stored once"
        rest = {**rest, "notes": (*rest.get("notes", ()), note)}
    return {"edges": edges, "directed": False, **rest, **{name: value[kept] for name, value in per_arc.items()}}


def pairs_of(edges: Any) -> npt.NDArray[np.int64]:
    """The two ends of each edge, int64 (edges, 2).

    Raises:
        InputError: They have another shape, or are no whole numbers below 2³¹.
    """
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
        bad = places((pairs >= _MOST_NODES).any(axis=1))
        raise InputError(
            f"{counted(len(bad), 'edge')} name{'s' * (len(bad) == 1)} nodes beyond {_MOST_NODES - 1:,} "
            f"({rows_named('edge', bad)}); number the nodes from 0 without gaps, and keep such ids as node_names."
        )
    return pairs


def node_count(edges: npt.NDArray[np.int64], given: Any) -> int:
    """How many nodes there are: as many as are said, or as the edges name if they leave no gap.

    Raises:
        InputError: The edges leave gaps, or name nodes that are not there.
    """
    lowest, highest = (int(edges.min()), int(edges.max())) if len(edges) else (0, -1)
    if lowest < 0:
        bad = places((edges < 0).any(axis=1))
        raise InputError(f"edges name negative nodes ({rows_named('edge', bad)}), expected numbers from 0.")
    if given is None:
        used = np.unique(edges)
        if len(used) != highest + 1:
            missing = highest + 1 - len(used)
            # The first six that are missing lie below the number of those used plus six.
            first = np.setdiff1d(np.arange(min(highest, len(used) + 6) + 1), used)
            raise InputError(
                f"node numbers have gaps: {counted(missing, 'number')} from 0 to {highest} "
                f"{'is' if missing == 1 else 'are'} never used ({first_few(first)}); "
                f"give num_nodes={highest + 1} if those are nodes without edges, else number the nodes without gaps."
            )
        if not len(used):
            raise InputError("a graph without edges needs num_nodes, to know how many nodes it has.")
        return highest + 1
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 1:
        raise InputError(f"num_nodes is {given!r}, expected a whole number, 1 or more.")
    if given > _MOST_GIVEN:
        raise InputError(f"num_nodes is {given:,}, the limit is {_MOST_GIVEN:,}; give a part of the graph.")
    if highest >= given:
        bad = places((edges >= given).any(axis=1))
        raise InputError(
            f"{counted(len(bad), 'edge')} name{'s' * (len(bad) == 1)} nodes beyond the last, which is {given - 1} "
            f"({rows_named('edge', bad)}, up to node {highest}); is the numbering from 1?"
        )
    return int(given)


def each_once(
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
        other = value[first_of_each]
        # NaN differs from itself, and is refused by that name later.
        unlike = (value != other) & ~((value != value) & (other != other))
        differing = places(unlike.reshape(len(value), -1).any(axis=1))
        if len(differing):
            a, b = edges[differing[0]]
            raise InputError(
                f"edge {a}–{b} is given more than once with different {name} ({counted(len(differing), 'such row')}); "
                "give each edge once, or join them first."
            )
    kept = np.sort(first)
    return edges[kept], kept, len(edges) - len(kept)


def _without_partner(pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    if not len(pairs):
        return np.zeros(0, dtype=np.int64)
    size = int(pairs.max()) + 1
    there, back = pairs[:, 0] * size + pairs[:, 1], pairs[:, 1] * size + pairs[:, 0]
    return places(~np.isin(there, back))
