"""The numeric and sparse arrays of a MATLAB file of version 5. Ours, since scipy's reader can crash on a damaged file.

Reference:
    MathWorks, MAT-File Format, chapter 1: Level 5 MAT-File Format.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.errors import InputError
from pellucid.inputs.archives import MAX_UNPACKED
from pellucid.inputs.sparse_matrices import checked_sparse

_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_SPARSE, _NUMERIC = 5, range(6, 16)
_HEADER = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class MatlabFile:
    """What a file holds.

    Attributes:
        arrays: Dense arrays and `scipy.sparse.csc_array` by name.
        others: The names of cells, structures, text and objects, which are not read.
    """

    arrays: dict[str, Any] = field(default_factory=dict)
    others: tuple[str, ...] = ()


def matlab_file(content: bytes, *, called: str) -> MatlabFile:
    """Read the arrays of a MATLAB file.

    Args:
        content: The whole file.
        called: What an error calls it, quoted.

    Raises:
        InputError: It is damaged or cut off, or unpacks to more than 512 MiB.
    """
    order = "<" if content[126:128] == b"IM" else ">"
    arrays: dict[str, Any] = {}
    others = []
    try:
        for kind, element in _unpacked(content, order, called):
            if kind != _MATRIX:
                continue
            name, value = _array(element, order, called)
            if value is None:
                others.append(name)
            else:
                arrays[name] = value
    except (ValueError, IndexError, OverflowError, struct.error, zlib.error) as error:
        raise InputError(f"{called} is no readable MATLAB file ({error}); copy or download it again.") from error
    return MatlabFile(arrays=arrays, others=tuple(others))


def _unpacked(content: bytes, order: str, called: str) -> Iterator[tuple[int, bytes]]:
    total = 0
    for kind, element in _elements(content[_HEADER:], order, padded=False):
        if kind != _COMPRESSED:
            yield kind, element
            continue
        unpack = zlib.decompressobj()
        whole = unpack.decompress(element, MAX_UNPACKED - total + 1)
        total += len(whole)
        if total > MAX_UNPACKED:
            raise InputError(f"{called} unpacks to more than {MAX_UNPACKED // 2**20} MiB, which is the limit.")
        if not unpack.eof:
            raise ValueError("a compressed part is cut off")
        yield from _elements(whole, order, padded=False)


def _elements(content: bytes, order: str, *, padded: bool) -> Iterator[tuple[int, bytes]]:
    """The type and the bytes of each element; inside an array they are padded to eight bytes."""
    place = 0
    while place < len(content):
        if place + 8 > len(content):
            raise ValueError("the file ends too early")
        kind, size = struct.unpack_from(f"{order}II", content, place)
        start = place + 8
        if kind >> 16:
            # A small element has size and type in one word, and its bytes in the next.
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
            if size > 4:
                raise ValueError("a small element of more than four bytes")
        if start + size > len(content):
            raise ValueError("the file ends too early")
        yield kind, content[start : start + size]
        place = start + size
        if padded:
            place = max(-(-place // 8) * 8, place)


def _array(content: bytes, order: str, called: str) -> tuple[str, Any]:
    parts = list(_elements(content, order, padded=True))
    if len(parts) < 3:
        raise ValueError("an array without name or shape")
    shape = tuple(int(each) for each in _numbers(parts[1], order))
    name = parts[2][1].decode("latin-1")
    (flags,) = struct.unpack_from(f"{order}I", parts[0][1])
    kind = flags & 0xFF
    if any(each < 0 for each in shape) or flags & 0x800 or kind not in (_SPARSE, *_NUMERIC):
        return name, None  # complex numbers have no meaning here
    values = [_numbers(each, order) for each in parts[3:]]
    if kind != _SPARSE:
        if len(values) != 1 or len(values[0]) != math.prod(shape):
            raise ValueError(f"{name} has other values than its shape {shape} says")
        return name, values[0].reshape(shape, order="F")
    if len(values) != 3 or len(shape) != 2 or not len(values[1]):
        raise ValueError(f"{name} is no sparse matrix")
    rows, pointers, entries = values
    count = int(pointers[-1])
    if count < 0 or len(rows) < count or len(entries) < count:
        raise ValueError(f"{name} has fewer entries than it says")
    # Room that was reserved and not used follows the entries.
    found = (entries[:count].astype(np.float64), rows[:count].astype(np.int64), pointers.astype(np.int64))
    return name, checked_sparse(scipy.sparse.csc_array, found, shape, called=called)


def _numbers(part: tuple[int, bytes], order: str) -> npt.NDArray[Any]:
    kind, content = part
    if kind not in _NUMBERS:
        raise ValueError(f"numbers of the unknown type {kind}")
    return np.frombuffer(content, dtype=order + _NUMBERS[kind]).astype(_NUMBERS[kind])
