"""Citation networks in the format of planetoid: eight files named ind.NAME.*, pickles of Python 2.

Reference:
    Yang et al., Revisiting Semi-Supervised Learning with Graph Embeddings, ICML 2016.
    The split is that of Kipf & Welling, ICLR 2017: 500 nodes after the training nodes are for validation.
"""

import re
from collections.abc import Mapping
from operator import index
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.errors import InputError
from pellucid.inputs.files import naming, readable
from pellucid.inputs.graph import Graph
from pellucid.inputs.number_files import whole_rows
from pellucid.inputs.restricted_pickle import load_plain

PARTS = ("x", "y", "tx", "ty", "allx", "ally", "graph", "test.index")
_VALIDATION = 500


def planetoid_names(names: list[str]) -> list[str]:
    """The names of the planetoid data sets among the names of some files."""
    return sorted({found[1] for each in names if (found := re.fullmatch(r"ind\.(.+?)\.(?:allx|graph)", each))})


def read_planetoid(files: Mapping[str, bytes], name: str, *, called: str) -> Graph:
    """The graph of a planetoid data set.

    The rows of the test nodes stand in the order of `test.index`, which is undone. Numbers that no test node has
    (citeseer has 15 such) are nodes without features and label, and `notes` says so.

    Args:
        files: The contents of the files by name.
        name: The name of the data set.
        called: What an error calls the folder, quoted.

    Raises:
        InputError: A file is missing, damaged, holds more than plain data, or does not fit the others.
    """
    missing = [f"ind.{name}.{part}" for part in PARTS if f"ind.{name}.{part}" not in files]
    if missing:
        raise InputError(f"{called} has no {readable(', '.join(missing))}; copy the whole data set.")

    def part(what: str) -> Any:
        return load_plain(files[f"ind.{name}.{what}"], called=_file(name, what, called), encoding="latin1")

    test = whole_rows(files[f"ind.{name}.test.index"], columns=1, called=_file(name, "test.index", called))[:, 0]
    features = {what: _features(part(what), _file(name, what, called)) for what in ("allx", "tx")}
    labels = {what: _labels(part(what), _file(name, what, called)) for what in ("y", "ally", "ty")}
    neighbours = part("graph")
    edges, loops = _edges(neighbours, _file(name, "graph", called))
    known, trained = len(labels["ally"]), len(labels["y"])
    _fits(called, test, features, labels)
    nodes = 1 + int(max(test.max(initial=-1), edges.max(initial=-1), known - 1, max(neighbours, default=-1)))
    if nodes > known + 10 * len(test):
        raise InputError(
            f"{_file(name, 'graph', called)} names node {nodes - 1}, far beyond the {known + len(test)} that have "
            "features; copy it again."
        )
    rows = np.concatenate([np.arange(known), test])
    stacked = scipy.sparse.vstack([features["allx"], features["tx"]], format="coo")
    matrix = scipy.sparse.csr_array(
        (stacked.data, (rows[stacked.coords[0]], stacked.coords[1])), (nodes, stacked.shape[1])
    )
    numbers = np.full(nodes, -1, dtype=np.int64)
    numbers[rows] = np.concatenate([labels["ally"], labels["ty"]])
    splits = {key: np.zeros(nodes, dtype=np.bool_) for key in ("train", "val", "test")}
    splits["train"][:trained] = True
    splits["val"][trained : min(trained + _VALIDATION, known)] = True
    splits["test"][test] = True
    notes = []
    if without := nodes - len(rows):
        notes.append(f"{without} node{'s' * (without != 1)} without a row in the files: no features, label unknown")
    if loops:
        notes.append(f"{loops} edge{'s' * (loops != 1)} of a node to itself")
    with naming(called):
        return Graph(
            edges=edges, num_nodes=nodes, features=matrix, labels=numbers, splits=splits, name=name, notes=tuple(notes)
        )


def _file(name: str, what: str, called: str) -> str:
    return f"{called}, ind.{readable(name)}.{what}"


def _features(value: Any, called: str) -> Any:
    if isinstance(value, np.ndarray) and value.ndim == 2 and value.dtype.kind in "biuf":
        value = scipy.sparse.csr_array(value)
    if not scipy.sparse.issparse(value):
        raise InputError(f"{called} holds a {type(value).__name__}, expected a matrix of features.")
    return value


def _labels(value: Any, called: str) -> npt.NDArray[np.int64]:
    if not isinstance(value, np.ndarray) or value.ndim != 2 or not value.shape[1] or value.dtype.kind not in "biuf":
        raise InputError(f"{called} holds a {type(value).__name__}, expected one-hot labels (nodes, classes).")
    return np.where((value != 0).any(axis=1), value.argmax(axis=1), -1)


def _edges(neighbours: Any, called: str) -> tuple[npt.NDArray[np.int64], int]:
    try:
        counts = [len(each) for each in neighbours.values()]
        starts = np.repeat(np.array(list(neighbours), dtype=np.int64), counts)
        ends = np.array([index(end) for each in neighbours.values() for end in each], dtype=np.int64)
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{called} holds no lists of the neighbours of each node.") from error
    if min(starts.min(initial=0), ends.min(initial=0)) < 0:
        raise InputError(f"{called} names negative nodes, expected numbers from 0.")
    pairs = np.unique(np.stack([np.minimum(starts, ends), np.maximum(starts, ends)], axis=1), axis=0)
    return pairs, int((pairs[:, 0] == pairs[:, 1]).sum())


def _fits(called: str, test: npt.NDArray[np.int64], features: Mapping[str, Any], labels: Mapping[str, Any]) -> None:
    for one, other in ((features["allx"].shape[0], "ally"), (features["tx"].shape[0], "ty")):
        if one != len(labels[other]):
            raise InputError(
                f"{called} has {one:,} rows of features for {len(labels[other]):,} of {other}; copy it again."
            )
    if features["allx"].shape[1] != features["tx"].shape[1]:
        raise InputError(
            f"{called} has {features['allx'].shape[1]:,} features in allx and {features['tx'].shape[1]:,} in tx."
        )
    if len(labels["y"]) > len(labels["ally"]):
        raise InputError(f"{called} has {len(labels['y']):,} rows of y and only {len(labels['ally']):,} of ally.")
    if len(test) != len(labels["ty"]) or len(np.unique(test)) != len(test) or test.min() < len(labels["ally"]):
        raise InputError(
            f"{called} has {len(np.unique(test)):,} numbers of test nodes from {test.min()} for "
            f"{len(labels['ty']):,} rows of ty, expected one for each row, from {len(labels['ally'])} on."
        )
    if test.max() > len(labels["ally"]) + 10 * len(test):
        raise InputError(f"{called} has a test node {test.max()}, far beyond the {len(labels['ally'])} others.")
