"""Sparse matrices from parts that somebody else has written: their indices are compared before anything uses them."""

from typing import Any

import numpy as np

from pellucid.errors import InputError
from pellucid.inputs.files import readable


def checked_sparse(make: Any, parts: Any, shape: Any, *, called: str) -> Any:
    """A sparse matrix whose indices are known to lie inside it.

    Args:
        make: `scipy.sparse.csr_array` or `csc_array`.
        parts: Values, indices and index pointers.
        shape: Rows and columns.
        called: What an error calls the file.

    Raises:
        InputError: The parts do not make a matrix of that shape.
    """
    values, indices, pointers = (np.asarray(each) for each in parts)
    try:
        if pointers.ndim != 1 or not len(pointers) or not len(values) == len(indices) == pointers[-1]:
            raise ValueError("the numbers of values and indices differ")
        matrix = make(tuple(parts), shape=tuple(int(each) for each in shape))
        matrix.check_format(full_check=True)
    except (ValueError, TypeError, IndexError) as error:
        reason = readable(str(error), limit=120)
        raise InputError(
            f"{called} holds a sparse matrix whose parts do not fit ({reason}); download it again."
        ) from error
    return matrix
