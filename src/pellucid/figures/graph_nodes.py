"""The nodes of a drawn graph, and what stands in the key for them and for the edges."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.figures.categories import colour_of, mark, shape_of
from pellucid.figures.colour import Scale
from pellucid.figures.graph_edges import NO_VALUE, Edges
from pellucid.figures.key import MarkKey
from pellucid.figures.numbers import number
from pellucid.figures.paint import fills, ink_on
from pellucid.figures.strokes import Course, Stroke, lines
from pellucid.figures.svg import INK, PAGE, SOFT, clean, element
from pellucid.figures.wording import Wording


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """The nodes: what each looks like."""

    values: np.ndarray | None
    scale: Scale | None
    groups: np.ndarray | None

    def fill(self, node: int) -> str | None:
        """Its colour; None where it has no value or no group."""
        if self.values is not None and self.scale is not None:
            return fills(self.values[node : node + 1], self.scale)[0]
        if self.groups is not None:
            return colour_of(int(self.groups[node])) if self.groups[node] >= 0 else None
        return PAGE

    def ink(self, node: int) -> str:
        """What letters inside are written in."""
        fill = self.fill(node)
        return INK if fill in (None, PAGE) else ink_on(str(fill))

    def shape(self, node: int) -> str:
        """The shape of its group."""
        return "circle" if self.groups is None else shape_of(int(self.groups[node]))

    def drawn(self, places: np.ndarray, radius: float, rings: Sequence[int], notes: Sequence[str]) -> list[str]:
        """Every node as an element that tells its name and value when pointed at."""
        parts = []
        for node, (x, y) in enumerate(places.tolist()):
            shape, fill = self.shape(node), self.fill(node)
            inside = f"<title>{clean(notes[node])}</title>"
            inside += mark(
                shape, x, y, radius, fill=fill or PAGE, stroke=INK if fill == PAGE else SOFT,
                stroke_width=1.2 if fill == PAGE else 1, stroke_dasharray=None if fill else "2.5 2.5",
            )  # fmt: skip
            if node in rings:
                inside += mark(shape, x, y, radius + 4, fill="none", stroke=INK, stroke_width=2)
            parts.append(f"<g>{inside}</g>")
        return parts

    def key(self, names: Sequence[str] | None, wording: Wording) -> list[MarkKey]:
        """What the shapes and the dashed marks stand for."""
        found = []
        if self.groups is not None:
            for group in np.unique(self.groups[self.groups >= 0]).tolist():
                colour = PAGE if self.values is not None else colour_of(group)
                drawn = mark(shape_of(group), 11, 0, 6, fill=colour, stroke=SOFT, stroke_width=1)
                found.append(MarkKey(drawn=drawn, name=_name_of(names, group)))
        empty = 0
        word = wording.no_value
        if self.values is not None:
            empty = int((~np.isfinite(self.values)).sum())
        elif self.groups is not None:
            empty, word = int((self.groups < 0).sum()), wording.unknown
        if empty:
            drawn = mark("circle", 11, 0, 6, fill=PAGE, stroke=SOFT, stroke_width=1, stroke_dasharray="2.5 2.5")
            found.append(MarkKey(drawn=drawn, name=f"{word}: {number(empty)}"))
        return found


def told(
    names: Sequence[str],
    values: np.ndarray | None,
    groups: np.ndarray | None,
    group_names: Sequence[str] | None,
    wording: Wording,
) -> list[str]:
    """What each node says when pointed at: its name, value and group."""
    found = []
    for node, name in enumerate(names):
        line = name
        if values is not None:
            value = float(values[node])
            line += f": {number(value) if np.isfinite(value) else wording.no_value}"
        if groups is not None:
            group = int(groups[node])
            line += f" ({_name_of(group_names, group) if group >= 0 else wording.unknown})"
        found.append(line)
    return found


def edge_key(edges: Edges, wording: Wording) -> list[MarkKey]:
    """What the kinds of stroke stand for."""
    types = [] if edges.types is None else np.unique(edges.types).tolist()
    found = [MarkKey(drawn=_sample(edges.stroke_of(each)), name=_name_of(edges.type_names, each)) for each in types]
    empty = 0 if edges.values is None else int((~np.isfinite(edges.values)).sum())
    if empty:
        found.append(MarkKey(drawn=_sample(NO_VALUE), name=f"{wording.no_value}: {number(empty)}"))
    return found


def _sample(stroke: Stroke) -> str:
    way = Course(start=(0.0, 0.0), control=(11.0, 0.0), end=(22.0, 0.0))
    return "".join(
        element("path", d=d, fill="none", stroke=SOFT, stroke_width=wide, stroke_dasharray=dash)
        for d, dash, wide in lines(way, stroke, width=1.6)
    )


def _name_of(names: Sequence[str] | None, place: int) -> str:
    return str(names[place]) if names is not None and 0 <= place < len(names) else str(place)
