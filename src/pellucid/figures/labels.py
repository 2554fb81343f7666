"""Names of nodes on a drawing: inside where they fit, else beside, where they cover least."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.figures.svg import text_room

SIZE, INSIDE = 12, 11
_GAP, _HIGH, _RING = 4.0, 13.0, 5.0
# Right first, then what readers accept as belonging to the node, in this order.
_SIDES = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Where a name stands: its middle, its left or its right end, by `anchor`, on the line `y`."""

    node: int
    words: str
    x: float
    y: float
    anchor: str | None
    inside: bool


def fits_inside(words: str, radius: float) -> bool:
    """Whether a name can stand in its node."""
    return radius >= 8.5 and text_room(words, size=INSIDE) <= 1.75 * radius


def placed(
    names: Sequence[tuple[int, str]],
    places: np.ndarray,
    *,
    radius: float,
    on_edges: np.ndarray,
    keep: frozenset[int],
    width: float,
    height: float,
) -> list[Label]:
    """Place names so that they cover neither nodes nor each other; one that finds no room is left out.

    Args:
        names: Nodes and what they are called, the most important first.
        places: (nodes, 2), middles of all nodes in pixels.
        radius: Of the nodes.
        on_edges: (points, 2), some points on every edge.
        keep: Nodes with a ring, whose names are written even where they cover something.
        width: Of the drawing.
        height: Of the drawing.
    """
    found: list[Label] = []
    boxes: list[tuple[float, float, float, float]] = []
    for node, words in names:
        x, y = (float(value) for value in places[node])
        if fits_inside(words, radius):
            found.append(Label(node=node, words=words, x=x, y=y + INSIDE * 0.36, anchor="middle", inside=True))
            continue
        room = text_room(words, size=SIZE)
        rim = radius + (_RING if node in keep else 0.0)
        best: tuple[float, Label, tuple[float, float, float, float]] | None = None
        for order, (sx, sy) in enumerate(_SIDES):
            reach = rim + _GAP if 0 in (sx, sy) else 0.72 * rim + _GAP / 2
            middle = y + sy * (reach + (_HIGH / 2 if sx == 0 else _HIGH / 4 if sy else 0))
            left = x + sx * reach - (room if sx < 0 else room / 2 if sx == 0 else 0)
            box = (left, middle - _HIGH / 2, left + room, middle + _HIGH / 2)
            cost = 0.2 * order + _cost(box, places, radius, on_edges, boxes, width, height)
            anchor = {1: None, -1: "end", 0: "middle"}[sx]
            label = Label(node=node, words=words, x=x + sx * reach, y=middle + SIZE * 0.36, anchor=anchor, inside=False)
            if best is None or cost < best[0]:
                best = (cost, label, box)
        assert best is not None
        if best[0] < _BLOCKED or node in keep:
            found.append(best[1])
            boxes.append(best[2])
    return found


_BLOCKED = 100.0


def _cost(
    box: tuple[float, float, float, float],
    places: np.ndarray,
    radius: float,
    on_edges: np.ndarray,
    boxes: list[tuple[float, float, float, float]],
    width: float,
    height: float,
) -> float:
    left, top, right, bottom = box
    cost = 0.0
    if left < 2 or top < 2 or right > width - 2 or bottom > height - 2:
        cost += 10 * _BLOCKED
    near = np.clip(places, (left, top), (right, bottom))
    cost += _BLOCKED * int((np.hypot(*(places - near).T) < radius).sum())
    for a, b, c, d in boxes:
        if left < c and a < right and top < d and b < bottom:
            cost += 2 * _BLOCKED
    if len(on_edges):
        inside = (on_edges >= (left, top)).all(axis=1) & (on_edges <= (right, bottom)).all(axis=1)
        cost += min(_BLOCKED / 2, 1.5 * int(inside.sum()))
    return cost
