"""Meshes that are written as text: Wavefront OBJ, OFF, and the readable kind of STL."""

import re

import numpy as np

from pellucid.errors import InputError
from pellucid.inputs.files import readable
from pellucid.inputs.mesh_polygons import Polygons, polygons

# Some files of ModelNet have no space between the word and the first count: OFF490 518 0.
_OFF = re.compile(r"\s*((?:ST)?C?N?OFF)(?![^\s\d])")
_OBJ = re.compile(r"^\s*v[ \t]+[-+.\d]+[eE\d.+-]*[ \t]+[-+.\d]", re.MULTILINE)
_OBJ_WORDS = {"v", "vt", "vn", "vp", "f", "l", "p", "o", "g", "s", "mtllib", "usemtl", "#"}


def is_off(text: str) -> bool:
    """Whether text begins as OFF files do."""
    return _OFF.match(_uncommented(text[:4000])) is not None


def is_obj(text: str) -> bool:
    """Whether the first lines of a text are those of an OBJ file, a vertex among them."""
    start = text[:20_000]
    if not _OBJ.search(start):
        return False
    words = [line.split()[0] for line in start.splitlines()[:200] if line.split()]
    return sum(word in _OBJ_WORDS or word.startswith("#") for word in words) >= 0.9 * len(words)


def read_obj(text: str, *, called: str) -> Polygons:
    """The points and faces of an OBJ file; textures, normals, groups, lines and curves are left out.

    Raises:
        InputError: A line is damaged; names it.
    """
    points: list[list[float]] = []
    sizes: list[int] = []
    corners: list[int] = []
    highest, its_line = 0, 0
    for number, line in enumerate(text.replace("\\\r\n", " ").replace("\\\n", " ").splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words or words[0] not in ("v", "f"):
            continue
        try:
            if words[0] == "v":
                points.append([float(words[1]), float(words[2]), float(words[3])])
                continue
            face = [int(word.partition("/")[0]) for word in words[1:]]
        except (ValueError, IndexError):
            what = "three numbers" if words[0] == "v" else "the numbers of vertices"
            shown = readable(line.strip(), limit=60)
            raise InputError(f"{called}, line {number}: {shown!r}, expected {what} after {words[0]!r}.") from None
        # Below 0 they count back from the last vertex so far.
        face = [corner - 1 if corner > 0 else len(points) + corner if corner < 0 else -1 for corner in face]
        if len(face) < 3 or min(face) < 0:
            shown = readable(line.strip(), limit=60)
            raise InputError(f"{called}, line {number}: {shown!r}, expected three or more vertices from 1 on.")
        if max(face) >= highest:
            highest, its_line = max(face) + 1, number
        sizes.append(len(face))
        corners += face
    if points and highest > len(points):  # a face may stand before its vertices, so this is known at the end
        raise InputError(
            f"{called}, line {its_line}: a face names vertex {readable(str(highest), limit=40)}, expected 1 to "
            f"{len(points)}; mend the file."
        )
    return polygons(points, sizes, corners, called=called)


def read_off(text: str, *, called: str) -> Polygons:
    """The points and faces of an OFF file; colours and normals are left out.

    Raises:
        InputError: A line is damaged, or the file ends too early; names the line.
    """
    lines = [
        (number, words)
        for number, line in enumerate(text.splitlines(), start=1)
        if (words := line.partition("#")[0].split())
    ]
    word, first = _OFF.match(lines[0][1][0]), lines[0][1]
    joined = first[0][word.end() :] if word else ""
    lines[0] = (lines[0][0], [joined, *first[1:]] if joined else first[1:])  # counts may follow the word OFF
    lines = lines if lines[0][1] else lines[1:]
    try:
        count, faces = (int(word) for word in lines[0][1][:2])
        if count < 0 or faces < 0:
            raise ValueError
    except (ValueError, IndexError):
        raise InputError(f"{called}: no numbers of vertices and faces after 'OFF'; the file is damaged.") from None
    body = lines[1:]
    if len(body) < count + faces:
        raise InputError(
            f"{called} has {len(body):,} lines for {count:,} vertices and {faces:,} faces: it is cut off; "
            "copy it again."
        )
    points, sizes, corners = [], [], []
    for number, words in body[:count]:
        try:
            points.append([float(words[0]), float(words[1]), float(words[2])])
        except (ValueError, IndexError):
            raise InputError(f"{called}, line {number}: expected the three numbers of a vertex.") from None
    for number, words in body[count : count + faces]:
        try:
            size = int(words[0])
            face = [int(word) for word in words[1 : 1 + size]]
            if len(face) != size or size < 0:
                raise ValueError
        except ValueError:
            raise InputError(f"{called}, line {number}: expected how many corners a face has, and which.") from None
        sizes.append(size)
        corners += face
    more = len(body) - count - faces
    notes = (f"{more:,} line{'s' * (more != 1)} after the {faces:,} faces left out",) if more else ()
    return polygons(points, sizes, corners, called=called, notes=notes)


def read_text_stl(text: str, *, called: str) -> Polygons:
    """The triangles of a readable STL file, each with three points of its own.

    Raises:
        InputError: A vertex has no three numbers, or a facet no three vertices; names the line.
    """
    points: list[list[float]] = []
    facets = 0
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.casefold().split()
        if words[:1] == ["vertex"]:
            try:
                x, y, z = (float(word) for word in words[1:])
            except ValueError:
                raise InputError(f"{called}, line {number}: expected three numbers after 'vertex'.") from None
            points.append([x, y, z])
        elif words[:1] == ["facet"]:
            facets += 1
        elif words[:1] == ["endfacet"] and len(points) != 3 * facets:
            raise InputError(
                f"{called}, line {number}: the facet has {len(points) - 3 * facets + 3} vertices, expected 3."
            )
    if len(points) != 3 * facets or "endsolid" not in text[-1000:].casefold():
        raise InputError(f"{called} has {len(points):,} vertices in {facets:,} facets: it is cut off; copy it again.")
    return polygons(points, np.full(facets, 3), np.arange(3 * facets), called=called)


def _uncommented(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
