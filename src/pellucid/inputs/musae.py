"""Social networks in the format of MUSAE: edges and targets as CSV, the features of each node as lists in JSON.

Reference:
    Rozemberczki, Allen & Sarkar, Multi-scale Attributed Node Embedding, 2019.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.errors import InputError
from pellucid.inputs.edge_lists import numbered_names
from pellucid.inputs.files import naming, readable
from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_json import parsed
from pellucid.inputs.text_tables import Table, read_table

_LABELS = ("page_type", "ml_target", "mature")
_NAMES = ("page_name", "name")


def musae_name(names: list[str]) -> str | None:
    """The name of the MUSAE network among the names of some files, or None."""
    found = sorted(each.removesuffix("_edges.csv") for each in names if each.endswith("_edges.csv"))
    return next((each for each in found if f"{each}_target.csv" in names), None)


def read_musae(files: Mapping[str, bytes], name: str, *, called: str) -> Graph:
    """The graph of a MUSAE network: undirected, with sparse features of ones, and with names and kinds of nodes.

    Args:
        files: The contents of the files by name.
        name: The name of the network.
        called: What an error calls the folder, quoted.

    Raises:
        InputError: A file is missing, damaged or does not fit the others; names file and line.
    """
    features_file = next((each for each in (f"{name}.json", f"{name}_features.json") if each in files), None)
    targets = _table(files, f"{name}_target.csv", called)
    edges = _table(files, f"{name}_edges.csv", called)
    at = targets.named(("new_id", "id"))
    if at is None or edges.width != 2:
        raise InputError(f"{called} has no column id in {name}_target.csv, or more than two in {name}_edges.csv.")
    nodes = len(targets.rows)
    ids = targets.whole_numbers(at, what="the id")
    _numbers_once(ids, targets)
    order = np.argsort(ids)
    ends = np.stack([edges.whole_numbers(column, what="the node") for column in (0, 1)], axis=1)
    outside = np.flatnonzero((ends < 0).any(axis=1) | (ends >= nodes).any(axis=1))
    if len(outside):
        line, pair = edges.lines[outside[0]], ", ".join(str(each) for each in ends[outside[0]])
        raise InputError(
            f"{edges.called}, line {line}: the edge {pair} names a node that is not in {name}_target.csv, expected 0 "
            f"to {nodes - 1} ({len(outside)} such lines)."
        )
    given: dict[str, Any] = {}
    if (labelled := targets.named(_LABELS)) is not None:
        words = targets.column(labelled)
        given["labels"], given["class_names"] = numbered_names([words[each] for each in order])
    if (named := targets.named(_NAMES)) is not None:
        words = targets.column(named)
        given["node_names"] = tuple(readable(words[each]) for each in order)
    notes: list[str] = []
    if features_file is not None:
        file = f"{called}, {readable(features_file)}"
        lists = parsed(files[features_file].decode("utf-8", errors="replace"), called=file)
        given["features"] = _features(lists, nodes, file, notes)
    with naming(called):
        return Graph(edges=ends, num_nodes=nodes, name=name, notes=tuple(notes), **given)


def _table(files: Mapping[str, bytes], name: str, called: str) -> Table:
    if name not in files:
        raise InputError(f"{called} has no {readable(name)}; copy the whole data set.")
    text = files[name].decode("utf-8", errors="replace")
    return read_table(text, called=f"{called}, {readable(name)}", header=True)


def _numbers_once(ids: npt.NDArray[np.int64], targets: Table) -> None:
    wrong = (ids < 0) | (ids >= len(ids))
    if not wrong.any():
        wrong = np.ones(len(ids), dtype=np.bool_)
        wrong[np.unique(ids, return_index=True)[1]] = False
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{targets.called}, line {targets.lines[row]}: the id {ids[row]} is there before or too large, expected "
            f"each number from 0 to {len(ids) - 1} once ({int(wrong.sum())} such lines)."
        )


def _features(lists: Any, nodes: int, called: str, notes: list[str]) -> scipy.sparse.csr_array:
    if not isinstance(lists, dict):
        raise InputError(f"{called} holds a {type(lists).__name__}, expected an object of lists, one for each node.")
    try:
        rows = np.array([int(each) for each in lists], dtype=np.int64)
        counts = [len(each) for each in lists.values()]
        columns = np.fromiter(chain.from_iterable(lists.values()), dtype=np.int64, count=sum(counts))
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{called} holds more than lists of whole numbers ({readable(str(error))}).") from error
    if len(rows) and (rows.min() < 0 or rows.max() >= nodes):
        wrong = int(rows[(rows < 0) | (rows >= nodes)][0])
        raise InputError(f"{called} describes node {wrong}, expected 0 to {nodes - 1}.")
    if len(columns) and (columns.min() < 0 or columns.max() > 10_000_000):
        raise InputError(
            f"{called} has feature numbers from {columns.min()} to {columns.max()}, expected 0 to 10,000,000."
        )
    if without := nodes - len(np.unique(rows)):
        notes.append(f"{without} nodes have no list of features: all are zero")
    width = int(columns.max(initial=0)) + 1
    matrix = scipy.sparse.csr_array(
        (np.ones(len(columns), dtype=np.float32), (np.repeat(rows, counts), columns)), shape=(nodes, width)
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1  # a feature is there or not, however often a list names it
    return matrix
