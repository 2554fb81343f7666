"""Graphs in MATLAB files: a sparse adjacency matrix, and the table of people that facebook100 has beside it.

Reference:
    Traud, Mucha & Porter, Social structure of Facebook networks, Physica A 391, 2012.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.errors import InputError
from pellucid.inputs.files import naming, readable
from pellucid.inputs.graph import Graph
from pellucid.inputs.matlab_file import matlab_file
from pellucid.inputs.scipy_graphs import from_scipy

_COLUMNS = ("status", "gender", "major", "second major", "dorm", "year", "school")
_ADJACENCY = ("A", "adj", "adjacency", "network", "G")


def is_matlab(content: bytes) -> bool:
    """Whether bytes begin as MATLAB files of version 5 do."""
    return content.startswith(b"MATLAB 5.0 MAT-file")


def read_matlab(content: bytes, *, called: str, name: str, directed: bool | None = None) -> Graph:
    """The graph of a MATLAB file whose one square sparse matrix, or A, is the adjacency.

    Where there is `local_info` with the seven columns of facebook100, gender becomes `labels` (0 is unknown) and the
    other columns one-hot features, a column for each value; a missing value, 0, has none.

    Args:
        content: The whole file.
        called: What an error calls it, quoted.
        name: What to call the graph.
        directed: None decides by whether the matrix is symmetric.

    Raises:
        InputError: It is damaged, too large, or holds no such matrix.
    """
    found = matlab_file(content, called=called)
    matrices = {key: value for key, value in found.arrays.items() if scipy.sparse.issparse(value)}
    key = next((each for each in _ADJACENCY if each in matrices), next(iter(matrices), None))
    if key is None or (len(matrices) > 1 and key not in _ADJACENCY):
        names = ", ".join(readable(each) for each in (*found.arrays, *found.others)) or "nothing"
        raise InputError(f"{called} holds {names}, expected one sparse adjacency matrix, or one named A.")
    given: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    if "local_info" in found.arrays:
        given = _people(found.arrays["local_info"], matrices[key].shape[0], called)
        notes = (f"labels are the column {_COLUMNS[1]!r} of local_info; the others are one-hot features",)
    with naming(called):
        return from_scipy(matrices[key], directed=directed, name=name, notes=notes, **given)


def _people(table: npt.NDArray[Any], nodes: int, called: str) -> dict[str, Any]:
    if table.shape != (nodes, len(_COLUMNS)) or table.dtype.kind not in "iuf":
        raise InputError(
            f"{called}: local_info has {table.dtype} of shape {table.shape}, expected whole numbers of shape "
            f"({nodes}, {len(_COLUMNS)}): {', '.join(_COLUMNS)}."
        )
    blocks, feature_names = [], []
    for number, column in enumerate(_COLUMNS):
        values, places = np.unique(table[:, number].astype(np.int64), return_inverse=True)
        known = values != 0
        if number == 1:
            class_names = tuple(f"{column} {each}" for each in values[known])
            labels = np.where(known[places], np.cumsum(known)[places] - 1, -1)
            continue
        columns = np.cumsum(known) - 1
        rows = np.flatnonzero(known[places])
        ones = np.ones(len(rows), dtype=np.float32)
        blocks.append(scipy.sparse.csr_array((ones, (rows, columns[places[rows]])), shape=(nodes, int(known.sum()))))
        feature_names += [f"{column} {each}" for each in values[known]]
    return {
        "features": scipy.sparse.hstack(blocks, format="csr"),
        "feature_names": tuple(feature_names),
        "labels": labels,
        "class_names": class_names,
    }
