"""The edges of a drawn graph: their ways between the nodes, and their lines."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.figures.colour import Scale
from pellucid.figures.numbers import number
from pellucid.figures.paint import fills, weights
from pellucid.figures.strokes import Course, Stroke, between, lines, loop
from pellucid.figures.svg import SOFT, clean, element

THINNEST, WIDEST = 1.4, 5.0
"""Pixels. The weakest edge is as wide as can be seen."""
NO_VALUE: Stroke = "dotted"
_RING = 5.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """The edges of a drawing and what is known about them."""

    ends: np.ndarray
    directed: bool
    values: np.ndarray | None
    scale: Scale | None
    types: np.ndarray | None
    strokes: tuple[Stroke, ...]
    names: Sequence[str]
    type_names: Sequence[str] | None

    def stroke_of(self, number: int) -> Stroke:
        """How a type is drawn."""
        return self.strokes[number % len(self.strokes)]


def courses(edges: Edges, places: np.ndarray, *, radius: float, rings: Sequence[int]) -> list[Course]:
    """The way of each edge; edges between the same two nodes lie beside each other."""
    spots = [(float(x), float(y)) for x, y in places]
    between_same: dict[tuple[int, int], list[int]] = defaultdict(list)
    for edge, (a, b) in enumerate(edges.ends.tolist()):
        between_same[min(a, b), max(a, b)].append(edge)
    room = [radius * 1.06 + (_RING if node in rings else 0.5) for node in range(len(places))]
    found: dict[int, Course] = {}
    for (a, b), members in between_same.items():
        if a == b:
            side = _free_side(a, edges.ends, places)
            for rank, edge in enumerate(members):
                found[edge] = loop(spots[a], radius=room[a], towards=side + 1.3 * rank, size=max(13.0, radius * 1.3))
            continue
        far = float(np.hypot(spots[a][0] - spots[b][0], spots[a][1] - spots[b][1]))
        step = max(5.0, min(14.0, 0.12 * far))
        for edge, bend in zip(members, _bends(edges, members, a), strict=True):
            start, end = edges.ends[edge].tolist()
            reach = room[end] + (1.0 if edges.directed else 0.0)
            found[edge] = between(spots[start], spots[end], leave=room[start], reach=reach, bend=step * bend)
    return [found[edge] for edge in range(len(edges.ends))]


def drawn_edges(edges: Edges, ways: Sequence[Course]) -> list[str]:
    """The lines of all edges, the strongest on top."""
    count = len(ways)
    colours: list[str | None] = [None] * count
    if edges.values is None and edges.types is None:
        return _plain(ways, directed=edges.directed)
    if edges.values is None or edges.scale is None:
        strength = np.zeros(count)
        faint = _faint(count)
    else:
        strength = weights(edges.values, edges.scale)
        colours, faint = fills(edges.values, edges.scale), 0.8
    parts = []
    for edge in np.argsort(strength, kind="stable").tolist():
        colour = colours[edge]
        wide = THINNEST if colour is None else THINNEST + (WIDEST - THINNEST) * float(strength[edge])
        stroke: Stroke = "solid" if edges.types is None else edges.stroke_of(int(edges.types[edge]))
        if edges.values is not None and colour is None:
            stroke = NO_VALUE
        inside = _lines(ways[edge], stroke, wide=wide, colour=colour, faint=faint, directed=edges.directed)
        told = _told(edges, edge)
        parts.append(f"<g><title>{clean(told)}</title>{inside}</g>" if told else inside)
    return parts


def _faint(count: int) -> float:
    """How opaque lines are that say nothing but that they are there: where many cross, the paper still shows."""
    return float(np.clip(8 / np.sqrt(count), 0.16, 0.65)) if count else 1.0


def _plain(ways: Sequence[Course], *, directed: bool) -> list[str]:
    """Lines that all look the same, with what they share written once: a dense graph has thousands."""
    size, faint = 6.5 + 1.5 * THINNEST, _faint(len(ways))
    drawn = [way.shortened(size * 0.75) if directed else way for way in ways]
    inside = "".join(element("path", d=way.path()) for way in drawn)
    if not inside:
        return []
    parts = [element("g", inside, fill="none", stroke=SOFT, stroke_opacity=faint, stroke_width=THINNEST)]
    if directed:
        heads = "".join(element("polygon", points=way.head(size)) for way in ways)
        parts.append(element("g", heads, fill=SOFT, fill_opacity=min(1.0, faint + 0.2)))
    return parts


def points_on(ways: Sequence[Course]) -> np.ndarray:
    """Points along every edge, about 5 pixels apart; (points, 2)."""
    found = []
    for way in ways:
        a, c, b = (np.array(each) for each in (way.start, way.middle(), way.end))
        # Through the real middle, which is near enough to tell whether a name covers the line.
        steps = max(2, int((np.hypot(*(c - a)) + np.hypot(*(b - c))) / 5))
        share = np.linspace(0, 1, steps)[:, None]
        bent = 2 * c - (a + b) / 2
        found.append((1 - share) ** 2 * a + 2 * share * (1 - share) * bent + share**2 * b)
    return np.concatenate(found) if found else np.zeros((0, 2))


def _lines(way: Course, stroke: Stroke, *, wide: float, colour: str | None, faint: float, directed: bool) -> str:
    size = 6.5 + 1.5 * wide
    line = way.shortened(size * 0.75) if directed else way
    plain = {"fill": "none", "stroke_linecap": "butt" if directed or stroke != "solid" else "round"}
    drawn = lines(line, stroke, width=wide)
    if colour is None:
        inside = "".join(
            element("path", d=d, stroke=SOFT, stroke_opacity=faint, stroke_width=w, stroke_dasharray=dash, **plain)
            for d, dash, w in drawn
        )
        head = {"fill": SOFT, "fill_opacity": min(1.0, faint + 0.2)}
    else:
        # A rim in the page's soft colour keeps a white line visible on white paper, and a dark one on dark paper.
        inside = "".join(
            element("path", d=d, stroke=SOFT, stroke_opacity=0.7, stroke_width=w + 1.2, stroke_dasharray=dash, **plain)
            for d, dash, w in drawn
        )
        inside += "".join(
            element("path", d=d, stroke=colour, stroke_width=w, stroke_dasharray=dash, **plain) for d, dash, w in drawn
        )
        head = {"fill": colour, "stroke": SOFT, "stroke_width": 0.6}
    return inside + (element("polygon", points=way.head(size), **head) if directed else "")


def _told(edges: Edges, edge: int) -> str:
    if edges.values is None and edges.types is None:
        return ""
    start, end = (edges.names[node] for node in edges.ends[edge].tolist())
    line = f"{start} {'→' if edges.directed else '–'} {end}"
    if edges.values is not None:
        line += f": {number(float(edges.values[edge]))}"
    if edges.types is not None:
        place = int(edges.types[edge])
        known = edges.type_names is not None and 0 <= place < len(edges.type_names)
        line += f" ({edges.type_names[place] if known and edges.type_names is not None else place})"
    return line


def _bends(edges: Edges, members: Sequence[int], first: int) -> list[float]:
    """How far each of the edges between two nodes is bent to its left, in steps."""
    if len(members) == 1:
        return [0.0]
    forward = [int(edges.ends[edge, 0]) == first for edge in members]
    if edges.directed and 0 < sum(forward) < len(members):
        # Each direction on its own left: two arcs then lie on two sides.
        seen = {True: 0, False: 0}
        bends = []
        for ahead in forward:
            seen[ahead] += 1
            bends.append(float(seen[ahead]) - 0.25)
        return bends
    spread = [rank - (len(members) - 1) / 2 for rank in range(len(members))]
    return [each if ahead else -each for each, ahead in zip(spread, forward, strict=True)]


def _free_side(node: int, ends: np.ndarray, places: np.ndarray) -> float:
    """The direction, in radians, in which a node has no neighbours."""
    touching = ends[(ends == node).any(axis=1)]
    others = np.unique(touching[touching != node])
    if not len(others):
        return -np.pi / 2
    steps = places[others] - places[node]
    angles = np.sort(np.arctan2(steps[:, 1], steps[:, 0]))
    gaps = np.diff(np.append(angles, angles[0] + 2 * np.pi))
    widest = int(gaps.argmax())
    return float(angles[widest] + gaps[widest] / 2)
