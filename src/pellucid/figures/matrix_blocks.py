"""The rows and columns of a matrix brought together by groups, and its entries summed into blocks.

What is sparse stays sparse: the work grows with the stored entries and the cells, not with rows times columns.
"""

from typing import Any

import numpy as np
import scipy.sparse

from pellucid.figures.categories import checked_groups


def block_order(groups: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """The order that brings the members of each group together; members keep theirs, unknown ones (-1) come last.

    Args:
        groups: (nodes,), whole numbers, -1 is not known.

    Returns:
        int64 (nodes,), and for each block its group, its first place and the place after its last.
    """
    members = checked_groups(groups, count=len(groups), name="groups")
    assert members is not None
    rank = np.where(members < 0, np.iinfo(np.int64).max, members)
    order = np.argsort(rank, kind="stable")
    found, first, counts = np.unique(rank[order], return_index=True, return_counts=True)
    blocks = [
        (int(group) if group < np.iinfo(np.int64).max else -1, int(start), int(start + count))
        for group, start, count in zip(found, first, counts, strict=True)
    ]
    return order, blocks


def reduced(matrix: Any, order: np.ndarray | None, *, most: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The matrix with at most `most` cells each way: itself, or the sums of blocks of entries.

    Args:
        matrix: An array, or a sparse array in coordinates.
        order: The order of rows and columns, or None.
        most: Cells each way.

    Returns:
        float64 cells, and how many rows and columns one stands for; the last may stand for fewer.
    """
    rows, columns = matrix.shape
    block = (-(-rows // most), -(-columns // most))
    shape = (-(-rows // block[0]), -(-columns // block[1]))
    if scipy.sparse.issparse(matrix):
        at_row, at_column = matrix.coords
        entries = matrix.data.astype(np.float64)
    else:
        if block == (1, 1):
            return ordered(matrix, order).astype(np.float64), block
        at_row, at_column = (each.ravel() for each in np.indices(matrix.shape, dtype=np.int32, sparse=False))
        entries = matrix.ravel().astype(np.float64)
    if order is not None:
        place = np.empty(rows, dtype=np.int64)
        place[order] = np.arange(rows)
        at_row, at_column = place[at_row], place[at_column]
    cell = (at_row // block[0]).astype(np.int64) * shape[1] + at_column // block[1]
    return np.bincount(cell, entries, shape[0] * shape[1]).reshape(shape), block


def ordered(matrix: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    """A dense matrix with its rows and columns in another order."""
    return matrix if order is None else matrix[order][:, order]
