"""Graphs in MATLAB files: a sparse adjacency matrix, and the table of people that facebook100 has beside it.

Reference:
    Traud, Mucha & Porter, Social structure of Facebook networks, Physica A 391, 2012.
"""

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.errors import InputError
from pellucid.inputs.archives import MAX_UNPACKED
from pellucid.inputs.files import naming, readable
from pellucid.inputs.graph import Graph
from pellucid.inputs.scipy_graphs import from_scipy

_COLUMNS = ("status", "gender", "major", "second major", "dorm", "year", "school")
_ADJACENCY = ("A", "adj", "adjacency", "network", "G")
_COMPRESSED = 15


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
    import scipy.io

    _within_limit(content, called)
    try:
        found = scipy.io.loadmat(io.BytesIO(content), spmatrix=False)
    except Exception as error:
        # A damaged file makes the reader raise anything: zlib.error, ValueError, TypeError, struct.error…
        reason = readable(str(error)) or type(error).__name__
        raise InputError(f"{called} is no readable MATLAB file ({reason}); copy or download it again.") from error
    matrices = {key: value for key, value in found.items() if scipy.sparse.issparse(value)}
    key = next((each for each in _ADJACENCY if each in matrices), next(iter(matrices), None))
    if key is None or (len(matrices) > 1 and key not in _ADJACENCY):
        names = ", ".join(readable(each) for each in found if not each.startswith("__")) or "nothing"
        raise InputError(f"{called} holds {names}, expected one sparse adjacency matrix, or one named A.")
    given: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    if "local_info" in found:
        given = _people(found["local_info"], found[key].shape[0], called)
        notes = (f"labels are the column {_COLUMNS[1]!r} of local_info; the others are one-hot features",)
    with naming(called):
        return from_scipy(found[key], directed=directed, name=name, notes=notes, **given)


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


def _within_limit(content: bytes, called: str) -> None:
    """Unpack the compressed parts only to count what they hold, and stop at the limit."""
    place, total = 128, 0
    order = "<" if content[126:128] == b"IM" else ">"
    while place + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        if kind == _COMPRESSED:
            unpack, left = zlib.decompressobj(), content[place + 8 : place + 8 + size]
            while left and total <= MAX_UNPACKED:
                try:
                    total += len(unpack.decompress(left, 2**24))
                except zlib.error:
                    break  # damaged, which loading words better
                left = unpack.unconsumed_tail
        if total > MAX_UNPACKED:
            raise InputError(f"{called} unpacks to more than {MAX_UNPACKED // 2**20} MiB, which is the limit.")
        place += 8 + size
