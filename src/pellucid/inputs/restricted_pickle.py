"""Pickles of plain data, read without running anything that they name.

A pickle is a program. Data sets of graphs are handed around as pickles of numpy arrays, scipy matrices and
collections, so those are read; every other name that a pickle asks for is refused before it is looked up.
"""

import collections
import io
import math
import pickle
from collections.abc import Callable
from typing import Any, Literal, cast

import numpy as np
import scipy.sparse

from pellucid.errors import InputError
from pellucid.inputs.pickle_scan import check_sizes
from pellucid.inputs.sparse_matrices import checked_sparse

_PLAIN_KINDS = "biufcSUO"
_SPARSE = {"csr_matrix": "csr", "csc_matrix": "csc", "csr_array": "csr", "csc_array": "csc"}

# Stands for numpy.ndarray, which a pickle only ever hands on to the making of an empty array.
_ARRAY = object()


class _Sparse:
    """Takes what a pickled matrix holds; scipy's own class would trust it and may read beyond its arrays."""

    layout = "csr"


class _Csr(_Sparse):
    layout = "csr"


class _Csc(_Sparse):
    layout = "csc"


class _Type:
    """The type of an array's values; numpy's own class would take flags that it does not check."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.dtype = np.dtype(code)
        if self.dtype.kind not in _PLAIN_KINDS or self.dtype.fields or self.dtype.subdtype:
            raise pickle.UnpicklingError(f"an array of {self.dtype}")

    def __setstate__(self, state: Any) -> None:
        _, order, *rest = state
        if any(each is not None for each in rest[:3]) or order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("an array of records")
        if order in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """An array that waits for its values."""

    value: Any = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, raw = state
        self.value = _filled(tuple(shape), kind, raw, order="F" if fortran else "C")


def _filled(shape: tuple[int, ...], kind: Any, raw: Any, *, order: Literal["C", "F"]) -> Any:
    if not isinstance(kind, _Type) or any(not isinstance(each, int) or each < 0 for each in shape):
        raise pickle.UnpicklingError("an array without type or shape")
    count = math.prod(shape)
    if kind.dtype.kind == "O":
        if not isinstance(raw, list) or len(raw) != count:
            raise pickle.UnpicklingError(f"an array of {count} objects that holds others")
        objects = np.empty(count, dtype=object)
        objects[:] = raw
        return objects.reshape(shape)  # objects are pickled row by row whatever the order of the array
    content = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
    if len(content) != count * kind.dtype.itemsize:
        raise pickle.UnpicklingError(f"an array of shape {shape} that holds {len(content)} bytes")
    values = np.frombuffer(content, dtype=kind.dtype) if count else np.zeros(0, dtype=kind.dtype)
    return values.reshape(shape, order=order)


def _empty_array(kind: Any, shape: Any, code: Any) -> Any:
    if kind is not _ARRAY or tuple(shape) != (0,):
        raise pickle.UnpicklingError("an array that is not made empty first")
    return _Array()


def _scalar(kind: Any, raw: Any = None) -> Any:
    if not isinstance(raw, bytes | str):
        raise pickle.UnpicklingError("a number without its bytes")
    return _filled((1,), kind, raw, order="C")[0]


def _from_buffer(buffer: Any, kind: Any, shape: Any, order: Any) -> Any:
    if order not in ("C", "F"):
        raise pickle.UnpicklingError(f"an array of order {order!r}")
    return _filled(tuple(shape), kind, buffer, order=order)


def _new(kind: Any, base: Any, state: Any) -> Any:
    if not (isinstance(kind, type) and issubclass(kind, _Sparse)) or base is not object:
        raise pickle.UnpicklingError("an object of unknown class")
    return kind()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1", "utf-8"):
        raise pickle.UnpicklingError(f"text encoded as {encoding}")
    return text.encode(encoding)


def _no_bytes() -> bytes:
    return b""


def _named(module: str, name: str) -> Any:
    if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name in ("_reconstruct", "scalar"):
        return {"_reconstruct": _empty_array, "scalar": _scalar}[name]
    if module in ("numpy.core.numeric", "numpy._core.numeric") and name == "_frombuffer":
        return _from_buffer
    if module == "numpy" and name in ("ndarray", "dtype"):
        return {"ndarray": _ARRAY, "dtype": _Type}[name]
    if module.split(".")[:2] == ["scipy", "sparse"] and name in _SPARSE:
        return _Csr if _SPARSE[name] == "csr" else _Csc
    if module == "collections" and name in ("defaultdict", "OrderedDict"):
        return {"defaultdict": collections.defaultdict, "OrderedDict": collections.OrderedDict}[name]
    if module in ("builtins", "__builtin__") and name == "bytes":
        return _no_bytes  # Python 3 writes an empty array so for Python 2; bytes(10**12) would be another matter
    if module in ("builtins", "__builtin__") and name in _PLAIN_TYPES:
        return _PLAIN_TYPES[name]
    if module in ("copy_reg", "copyreg") and name == "_reconstructor":
        return _new
    if module == "_codecs" and name == "encode":
        return _encode
    return None


_PLAIN_TYPES: dict[str, Any] = {
    "list": list,
    "dict": dict,
    "set": set,
    "frozenset": frozenset,
    "tuple": tuple,
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "object": object,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        found = _named(module, name)
        if found is None:
            raise _RefusedError(f"{module}.{name}")
        return cast(Callable[..., Any], found)

    def persistent_load(self, pid: Any) -> Any:
        raise _RefusedError("something outside the file")


class _RefusedError(Exception):
    pass


def load_plain(content: bytes, *, called: str, encoding: Literal["ASCII", "latin1"] = "ASCII") -> Any:
    """What a pickle holds, if that is numbers, text, collections, numpy arrays or scipy's csr and csc matrices.

    Args:
        content: The pickle.
        called: What an error calls it, quoted.
        encoding: How text in pickles of Python 2 is read; their arrays need "latin1".

    Raises:
        InputError: The pickle names anything else, which is refused and not run; or it is damaged.
    """
    try:
        check_sizes(content)
        return _finished(_Unpickler(io.BytesIO(content), encoding=encoding).load(), called, {})
    except _RefusedError as error:
        raise InputError(
            f"{called} is a pickle that asks for {error}, which is refused and was not run; expected only numbers, "
            "text, collections, numpy arrays and scipy matrices: save it as .npz or JSON."
        ) from error
    except InputError:
        raise
    except Exception as error:
        # A damaged pickle makes the unpickler raise anything: EOFError, KeyError, IndexError, MemoryError…
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise InputError(
            f"{called} is no readable pickle ({_first_line(reason)}); copy or download it again."
        ) from error


def is_pickle(content: bytes) -> bool:
    """Whether bytes begin as pickles of protocol 2 or later do; older ones have no mark."""
    return len(content) > 2 and content[0] == 0x80 and 2 <= content[1] <= 5


def _finished(value: Any, called: str, seen: dict[int, Any]) -> Any:
    """The same with arrays and matrices in the places where they were taken in, in whatever container."""
    if isinstance(value, _Array):
        if value.value is None:
            raise pickle.UnpicklingError("an array without values")
        array = value.value
        return _finished(array, called, seen) if array.dtype.kind == "O" else array
    if isinstance(value, _Sparse):
        return _matrix(value, called)
    if isinstance(value, _Type):
        return value.dtype
    if not isinstance(value, list | dict | tuple | np.ndarray) or id(value) in seen:
        return value
    seen[id(value)] = value
    if isinstance(value, dict):
        for key in list(value):
            value[key] = _finished(value[key], called, seen)
    elif isinstance(value, tuple):
        return tuple(_finished(each, called, seen) for each in value)
    elif isinstance(value, list) or value.dtype.kind == "O":
        flat: Any = value if isinstance(value, list) else value.flat
        for place in range(len(flat)):
            flat[place] = _finished(flat[place], called, seen)
    return value


def _matrix(value: _Sparse, called: str) -> Any:
    state = vars(value)
    try:
        parts = tuple(np.asarray(_finished(state[name], called, {})) for name in ("data", "indices", "indptr"))
        shape = state.get("_shape", state.get("shape"))
        make = scipy.sparse.csr_array if value.layout == "csr" else scipy.sparse.csc_array
        return checked_sparse(make, parts, shape, called=called)
    except KeyError as error:
        raise InputError(f"{called} holds a sparse matrix without {error}; copy or download it again.") from error


def _first_line(text: str) -> str:
    return text.splitlines()[0][:120] if text else ""
