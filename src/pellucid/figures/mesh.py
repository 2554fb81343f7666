"""A surface in space as shaded pictures from a few fixed sides, with values as colours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pellucid.archive import write_whole
from pellucid.errors import SettingError
from pellucid.figures import png
from pellucid.figures.categories import COLOURS, checked_groups
from pellucid.figures.colour import NOT_FINITE, PAPER, Kind, Scale, palette, sequential, signed
from pellucid.figures.grid import kept
from pellucid.figures.legend import described, end_labels, strip
from pellucid.figures.lettering import line_height, shorten, text_width, write
from pellucid.figures.mesh_view import Angles, normals_of, seen_faces, view
from pellucid.figures.numbers import number
from pellucid.figures.paint import scale_of

VIEWS: tuple[Angles, ...] = ((35.0, 20.0), (155.0, 20.0), (275.0, 20.0))
"""Three sides, a third of a turn apart, so that every part is seen from somewhere."""

NEUTRAL = (0xB4, 0xBB, 0xC2)
"""The grey of a surface without values."""

_ROOM = 1.4
"""How far a close-up reaches, in distances from the middle of what it is about to its farthest vertex."""
_SIDES: tuple[Angles, ...] = tuple(
    (float(around), float(up)) for up in (15, -15, 45, -45, 75, -75) for around in range(0, 360, 45)
)
_GAP, _MARGIN, _TITLE, _SMALL = 16, 16, 17, 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeshFigure:
    """A drawn surface. Shows itself, with its legend, in a notebook.

    Attributes:
        views: uint8 (height, width, 3) for each angle, on white, read-only.
        angles: From where each is seen.
        scale: Which colour stands for which value; None where there are no numbers.
        unit: What a value is.
        groups: The groups that are drawn, with their names and colours.
        title: The line above.
    """

    views: tuple[np.ndarray, ...]
    angles: tuple[Angles, ...]
    scale: Scale | None
    unit: str
    groups: tuple[tuple[str, str], ...]
    title: str

    @property
    def legend(self) -> dict[str, Any]:
        """The numbers of the legend in JSON types; empty where there are no values."""
        if self.scale is None:
            return {"groups": [{"name": name, "colour": colour} for name, colour in self.groups]} if self.groups else {}
        return described(self.scale, unit=self.unit)

    def view_png(self, place: int) -> bytes:
        """One view alone, as PNG, for a page that writes the angle in its own language."""
        return png.rgb(self.views[place])

    def png(self) -> bytes:
        """All views side by side with their angles and the legend, as PNG."""
        return png.rgb(self._sheet())

    def save(self, path: str | Path) -> Path:
        """Write all views with their legend as a `.png`. Returns the path."""
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise SettingError("path", given=str(path), expected="a name that ends in .png")
        write_whole(path, self.png())
        return path

    def _repr_png_(self) -> bytes:
        return self.png()

    def __repr__(self) -> str:
        height, width, _ = self.views[0].shape
        return f"MeshFigure({self.title!r}, {len(self.views)} views of {width} × {height})"

    def _sheet(self) -> np.ndarray:
        colours = palette("sequential" if self.scale is None else self.scale.kind)
        height, width, _ = self.views[0].shape
        whole = len(self.views) * (width + _GAP) - _GAP
        below = np.full((line_height(_SMALL) + 4, whole), PAPER, dtype=np.uint8)
        for place, (around, up) in enumerate(self.angles):
            said = f"{number(around)} deg around, {number(up)} deg up"
            write(below, shorten(said, width=width, size=_SMALL), left=place * (width + _GAP), top=2, size=_SMALL)
        space = np.full((height, _GAP, 3), 255, dtype=np.uint8)
        pictures = [part for view in self.views for part in (view, space)][:-1]
        parts = [np.concatenate(pictures, axis=1), colours[below]]
        if self.title:
            head = np.full((line_height(_TITLE) + 8, whole), PAPER, dtype=np.uint8)
            write(head, shorten(self.title, width=whole, size=_TITLE), left=0, top=0, size=_TITLE)
            parts.insert(0, colours[head])
        if self.scale is not None:
            parts.append(colours[self._strip(self.scale, whole)])
        elif self.groups:
            parts.append(_swatches(self.groups, whole))
        sheet = np.concatenate(parts, axis=0)
        return np.pad(sheet, ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0)), constant_values=255)

    def _strip(self, scale: Scale, width: int) -> np.ndarray:
        zero = 1 / (1 + scale.high / -scale.low) if scale.low < 0 < scale.high else None
        lines = [line for line in (self.unit, *scale.remarks(), "Darker where the light does not reach.") if line]
        bar = strip(scale.kind, width=width, ends=end_labels(scale), zero=zero, bar=min(240, width), lines=lines)
        return np.concatenate([np.full((12, width), PAPER, dtype=np.uint8), bar])


def draw_mesh(
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    values: np.ndarray | Sequence[float] | None = None,
    groups: np.ndarray | None = None,
    group_names: Sequence[str] | None = None,
    kind: Kind | None = None,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    angles: Sequence[Angles] = VIEWS,
    around: np.ndarray | Sequence[int] | None = None,
    up: Literal["y", "z"] = "y",
    size: int = 320,
    title: str = "",
) -> MeshFigure:
    """Draw a surface from a few sides, in parallel projection: what is far away is as large as what is near.

    A value of a vertex colours the part of each face that is nearest to that vertex; nothing is blended, so every
    colour is one of the legend, only darker where the light does not reach. NaN is magenta: no value.

    Args:
        vertices: (vertices, 3).
        faces: (faces, 3), the corners of triangles.
        values: One for each vertex or for each face.
        groups: Or a group for each vertex or each face, -1 where unknown.
        group_names: Names of the groups.
        kind: "signed" or "sequential"; decided by the values unless given.
        low: The low end of the scale, where several drawings share it.
        high: The high end.
        unit: What a value is.
        angles: From where it is seen: degrees around the upright axis, and degrees above the horizon.
        around: Vertices: only the surface around them is drawn, large, and from where most is seen of the faces at the
            first of them; `angles` do not count then.
        up: Which axis points up.
        size: Pixels of one view, both ways.
        title: A line above (ASCII; other letters become question marks).
    """
    points, corners = _checked(vertices, faces, angles, up, size)
    if values is not None and groups is not None:
        raise SettingError("values, groups", given="both", expected="one of the two")
    scale, colours, on_faces = None, np.tile(np.array(NEUTRAL, dtype=np.uint8), (len(corners), 1)), True
    shown: tuple[tuple[str, str], ...] = ()
    if values is not None:
        numbers, on_faces = _numbers(values, points, corners)
        scale = scale_of(numbers, kind=kind, low=low, high=high)
        colours = _colours(numbers, scale)
    elif groups is not None:
        on_faces = _on_faces(len(groups), points, corners, "groups")
        members = checked_groups(groups, count=len(groups), name="groups")
        assert members is not None
        colours, shown = _group_colours(members, group_names)
    if up == "z":
        # The same frame for both: x to the right, y up, z towards the viewer.
        points = points[:, [0, 2, 1]] * (1, 1, -1)
    if around is not None:
        near, angles = _near(points, corners, np.asarray(around))
        corners = corners[near]
        colours = colours[near] if on_faces else colours
        drawn = points[np.unique(corners)]
    else:
        drawn = points
    middle = (drawn.max(axis=0) + drawn.min(axis=0)) / 2
    reach = float(np.sqrt(np.square(drawn - middle).sum(axis=1).max())) or 1.0
    points = (points - middle) / reach
    normals = normals_of(points, corners)
    views = tuple(
        kept(view(points, corners, normals, colours, on_faces=on_faces, angle=angle, size=size)) for angle in angles
    )
    return MeshFigure(
        views=views, angles=tuple((float(a), float(b)) for a, b in angles), scale=scale, unit=unit, groups=shown,
        title=title,
    )  # fmt: skip


def _near(points: np.ndarray, corners: np.ndarray, around: np.ndarray) -> tuple[np.ndarray, tuple[Angles, ...]]:
    """The faces around some vertices, and angles from which these are seen."""
    place = points[around].mean(axis=0)
    wide = float(np.sqrt(np.square(points[around] - place).sum(axis=1).max()))
    side = np.sqrt(np.square(points[corners] - points[corners[:, [1, 2, 0]]]).sum(axis=2)).mean()
    near = (np.square(points[corners] - place).sum(axis=2) <= (_ROOM * max(wide, float(side))) ** 2).any(axis=1)
    mine = np.isin(corners[near], around[:1]).any(axis=1)
    points = (points - place) / float(np.sqrt(np.square(points[corners[near]] - place).sum(axis=2).max()))
    best = max(_SIDES, key=lambda angle: np.isin(seen_faces(points, corners[near], angle), np.flatnonzero(mine)).sum())
    return near, tuple((best[0] + turn, best[1]) for turn in (0.0, -30.0, 30.0))


def _colours(values: np.ndarray, scale: Scale) -> np.ndarray:
    signs = scale.kind == "signed"
    entries = signed(values, scale.high) if signs else sequential(values, low=scale.low, high=scale.high)
    entries[~np.isfinite(values)] = NOT_FINITE
    colours: np.ndarray = palette(scale.kind)[entries]
    return colours


def _group_colours(members: np.ndarray, names: Sequence[str] | None) -> tuple[np.ndarray, tuple[tuple[str, str], ...]]:
    table = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in COLOURS], dtype=np.uint8)
    colours = np.where(members[:, None] < 0, np.array(NEUTRAL, dtype=np.uint8), table[members % len(COLOURS)])
    shown = [
        (str(names[group]) if names is not None and group < len(names) else str(group), COLOURS[group % len(COLOURS)])
        for group in np.unique(members[members >= 0]).tolist()
    ]
    if (members < 0).any():
        shown.append(("not known", "#{:02x}{:02x}{:02x}".format(*NEUTRAL)))
    return colours, tuple(shown)


def _swatches(groups: Sequence[tuple[str, str]], width: int) -> np.ndarray:
    high = line_height(_SMALL) + 4
    rows: list[list[tuple[int, str, str]]] = [[]]
    left = 0
    for name, colour in groups:
        name = shorten(name, width=width - 22, size=_SMALL)
        wide = 22 + text_width(name, size=_SMALL) + 16
        if rows[-1] and left + wide - 16 > width:
            rows.append([])
            left = 0
        rows[-1].append((left, name, colour))
        left += wide
    canvas = np.full((len(rows) * high + 10, width), PAPER, dtype=np.uint8)
    for row, each in enumerate(rows):
        for left, name, _ in each:
            write(canvas, name, left=left + 20, top=10 + row * high, size=_SMALL)
    drawn = palette("sequential")[canvas]
    for row, each in enumerate(rows):
        for left, _, colour in each:
            top = 12 + row * high
            drawn[top : top + 12, left : left + 14] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return drawn


def _numbers(values: np.ndarray | Sequence[float], points: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, bool]:
    found = np.asarray(values)
    if found.ndim != 1 or found.dtype.kind not in "fiub":
        raise SettingError("values", given=f"{found.dtype} {found.shape}", expected="numbers in a row")
    return found.astype(np.float64), _on_faces(len(found), points, corners, "values")


def _on_faces(count: int, points: np.ndarray, corners: np.ndarray, name: str) -> bool:
    if count not in (len(points), len(corners)):
        raise SettingError(
            name, given=f"{count} of them", expected=f"{len(points)}, one for each vertex, or {len(corners)}, for faces"
        )
    return count != len(points)


def _checked(
    vertices: np.ndarray, faces: np.ndarray, angles: Sequence[Angles], up: str, size: int
) -> tuple[np.ndarray, np.ndarray]:
    points, corners = np.asarray(vertices), np.asarray(faces)
    if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0 or points.dtype.kind not in "fiu":
        raise SettingError(
            "vertices", given=f"{points.dtype} {points.shape}", expected="numbers of shape (vertices, 3)"
        )
    if not np.isfinite(points).all():
        raise SettingError("vertices", given="a place that is not finite", expected="finite numbers")
    if corners.ndim != 2 or corners.shape[1] != 3 or len(corners) == 0 or corners.dtype.kind not in "iu":
        raise SettingError(
            "faces", given=f"{corners.dtype} {corners.shape}", expected="whole numbers of shape (faces, 3)"
        )
    if not (corners.min() >= 0 and corners.max() < len(points)):
        raise SettingError(
            "faces", given=f"corners {corners.min()} to {corners.max()}", expected=f"vertices 0 to {len(points) - 1}"
        )
    if not angles or not all(len(each) == 2 and np.isfinite(each).all() for each in angles):
        raise SettingError("angles", given=list(angles), expected="one or more pairs of degrees")
    if up not in ("y", "z"):
        raise SettingError("up", given=up, expected="'y' or 'z'")
    if not 16 <= size <= 2048:
        raise SettingError("size", given=size, expected="16 to 2048 pixels")
    return points.astype(np.float64), corners.astype(np.int64)
