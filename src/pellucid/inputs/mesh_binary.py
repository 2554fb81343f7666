"""Meshes that may be written in bytes: PLY of all three kinds, and the compact kind of STL.

Reference:
    Turk, The PLY Polygon File Format, 1994.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.errors import InputError
from pellucid.inputs.files import readable
from pellucid.inputs.mesh_polygons import Polygons, polygons

_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "float32": "f4"},
    **{"double": "f8", "float64": "f8"},
}
_ORDERS = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}
_CORNERS = ("vertex_indices", "vertex_index")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Property:
    name: str
    kind: str
    counted_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Element:
    name: str
    count: int
    properties: tuple[_Property, ...]


def is_binary_stl(content: bytes) -> bool:
    """Whether the length of a file is that of as many triangles as an STL header would say."""
    return len(content) >= 134 and len(content) == 84 + 50 * int.from_bytes(content[80:84], "little")


def read_binary_stl(content: bytes, *, called: str) -> Polygons:
    """The triangles of a compact STL file, each with three points of its own."""
    facet = np.dtype([("normal", "<f4", 3), ("points", "<f4", (3, 3)), ("attribute", "<u2")])
    facets = np.frombuffer(content, dtype=facet, offset=84)
    count = len(facets)
    return polygons(facets["points"], np.full(count, 3), np.arange(3 * count), called=called)


def is_ply(content: bytes) -> bool:
    """Whether bytes begin as PLY files do."""
    return re.match(rb"ply\s*[\r\n]", content) is not None


def read_ply(content: bytes, *, called: str) -> Polygons:
    """The points and faces of a PLY file; colours, normals and other elements are left out.

    Raises:
        InputError: The header is damaged, or the file ends too early.
    """
    order, elements, start = _header(content, called)
    words = content[start:].split() if order == "=" else []
    place = 0 if order == "=" else start
    points: npt.NDArray[np.float64] | None = None
    sizes, corners = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for element in elements:
        try:
            columns, place = (
                _text_element(words, place, element) if order == "=" else _element(content, place, element, order)
            )
        except (ValueError, IndexError, OverflowError) as error:
            raise InputError(
                f"{called} ends or is damaged within its {element.count:,} rows of {readable(element.name)!r}; "
                "copy it again."
            ) from error
        if element.name == "vertex":
            if not all(axis in columns for axis in "xyz"):
                raise InputError(f"{called} has vertices without x, y and z.")
            if any((columns[axis][0] != 1).any() for axis in "xyz"):
                raise InputError(f"{called} has vertices with lists as x, y or z, expected one number each.")
            points = np.stack([columns[axis][1] for axis in "xyz"], axis=1).astype(np.float64)
        elif element.name == "face":
            key = next((each for each in _CORNERS if each in columns), None)
            if key is None:
                raise InputError(f"{called} has faces without vertex_indices.")
            named = columns[key][1]
            if not (np.abs(named) < 2**53).all() or (named % 1 != 0).any():
                raise InputError(f"{called} has faces that name no vertices; mend the file.")
            sizes, corners = columns[key][0], columns[key][1].astype(np.int64)
    if points is None:
        raise InputError(f"{called} has no vertices, expected a surface of vertices and faces.")
    return polygons(points, sizes, corners, called=called)


def _header(content: bytes, called: str) -> tuple[str, list[_Element], int]:
    end = re.search(rb"end_header[ \t]*(\r\n|\n|\r)", content[:100_000])
    if end is None:
        raise InputError(f"{called} has no end of a PLY header; copy it again.")
    order, elements = "", []
    for line in content[: end.start()].decode("latin-1").splitlines():
        words = line.split()
        try:
            if words[:1] == ["format"]:
                order = _ORDERS[words[1]]
            elif words[:1] == ["element"]:
                elements.append(_Element(name=words[1], count=int(words[2]), properties=()))
            elif words[:2] == ["property", "list"]:
                added = _Property(name=words[4], kind=_TYPES[words[3]], counted_by=_TYPES[words[2]])
                elements[-1] = _with(elements[-1], added)
            elif words[:1] == ["property"]:
                elements[-1] = _with(elements[-1], _Property(name=words[2], kind=_TYPES[words[1]]))
        except (KeyError, IndexError, ValueError):
            shown = readable(line, limit=60)
            raise InputError(f"{called}: the line {shown!r} of the PLY header makes no sense; mend the file.") from None
    if not order or any(each.count < 0 for each in elements):
        raise InputError(f"{called} has a PLY header without a known format; mend the file.")
    return order, elements, end.end()


def _with(element: _Element, added: _Property) -> _Element:
    return _Element(name=element.name, count=element.count, properties=(*element.properties, added))


_Columns = dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]


def _element(content: bytes, place: int, element: _Element, order: str) -> tuple[_Columns, int]:
    """Of each property the lengths of its lists and all values; and where the next element begins."""
    if not element.count or not element.properties:
        return _nothing(element), place
    lengths = _lengths_of_first(content, place, element, order)
    fields: list[Any] = []
    for number, each in enumerate(element.properties):
        if each.counted_by is not None:
            fields.append((f"count {number}", order + each.counted_by, ()))
        fields.append((f"value {number}", order + each.kind, () if each.counted_by is None else (lengths[number],)))
    row = np.dtype(fields)
    # Nearly all files have equal lists; only then do rows have one size and can be read at once.
    if place + row.itemsize * element.count <= len(content):
        rows = np.frombuffer(content, dtype=row, count=element.count, offset=place)
        lists = [number for number, each in enumerate(element.properties) if each.counted_by is not None]
        if all((rows[f"count {number}"] == lengths[number]).all() for number in lists):
            columns = {
                each.name: (np.full(element.count, lengths[number]), rows[f"value {number}"].reshape(-1))
                for number, each in enumerate(element.properties)
            }
            return columns, place + row.itemsize * element.count
    return _row_by_row(content, place, element, order)


def _lengths_of_first(content: bytes, place: int, element: _Element, order: str) -> list[int]:
    lengths = []
    for each in element.properties:
        length = 1
        if each.counted_by is not None:
            length, place = _value(content, place, order + each.counted_by)
        if length < 0:
            raise ValueError("a list of negative length")
        lengths.append(length)
        place += length * np.dtype(each.kind).itemsize
    return lengths


def _row_by_row(content: bytes, place: int, element: _Element, order: str) -> tuple[_Columns, int]:
    sizes: list[list[int]] = [[] for _ in element.properties]
    values: list[list[npt.NDArray[np.float64]]] = [[] for _ in element.properties]
    for _ in range(element.count):
        for number, each in enumerate(element.properties):
            length = 1
            if each.counted_by is not None:
                length, place = _value(content, place, order + each.counted_by)
            kind = np.dtype(order + each.kind)
            if length < 0 or place + length * kind.itemsize > len(content):
                raise ValueError("the file ends")
            values[number].append(np.frombuffer(content, dtype=kind, count=length, offset=place))
            sizes[number].append(length)
            place += length * kind.itemsize
    columns = {
        each.name: (np.array(sizes[number], dtype=np.int64), np.concatenate(values[number]))
        for number, each in enumerate(element.properties)
    }
    return columns, place


def _value(content: bytes, place: int, kind: str) -> tuple[int, int]:
    size = np.dtype(kind).itemsize
    return int(np.frombuffer(content[place : place + size], dtype=kind)[0]), place + size


def _text_element(words: list[bytes], place: int, element: _Element) -> tuple[_Columns, int]:
    if not element.count or not element.properties:
        return _nothing(element), place
    if all(each.counted_by is None for each in element.properties):
        width = len(element.properties)
        if place + width * element.count > len(words):
            raise ValueError("the file ends")
        table = np.array(words[place : place + width * element.count], dtype=np.float64).reshape(-1, width)
        ones = np.ones(element.count, dtype=np.int64)
        columns = {each.name: (ones, table[:, number]) for number, each in enumerate(element.properties)}
        return columns, place + width * element.count
    sizes: list[list[int]] = [[] for _ in element.properties]
    values: list[list[float]] = [[] for _ in element.properties]
    for _ in range(element.count):
        for number, each in enumerate(element.properties):
            length = 1
            if each.counted_by is not None:
                length, place = int(words[place]), place + 1
            if length < 0 or place + length > len(words):
                raise ValueError("the file ends")
            values[number] += [float(word) for word in words[place : place + length]]
            sizes[number].append(length)
            place += length
    columns = {
        each.name: (np.array(sizes[number], dtype=np.int64), np.array(values[number]))
        for number, each in enumerate(element.properties)
    }
    return columns, place


def _nothing(element: _Element) -> _Columns:
    return {each.name: (np.zeros(0, np.int64), np.zeros(0)) for each in element.properties}
