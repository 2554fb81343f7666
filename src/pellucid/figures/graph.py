"""A graph as lines and marks: values as colours, groups as shapes, types of edges as kinds of stroke."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import SettingError
from pellucid.figures.categories import checked_groups
from pellucid.figures.colour import Kind, Scale
from pellucid.figures.graph_edges import Edges, courses, drawn_edges, points_on
from pellucid.figures.graph_nodes import Nodes, edge_key, told
from pellucid.figures.grid import kept
from pellucid.figures.key import ScaleKey, key
from pellucid.figures.labels import INSIDE, SIZE, placed
from pellucid.figures.legend import described
from pellucid.figures.numbers import number
from pellucid.figures.paint import checked_values, scale_of
from pellucid.figures.strokes import STROKES, Stroke
from pellucid.figures.svg import INK, Drawing, document, on_white, shortened, text, text_room
from pellucid.figures.wording import ENGLISH, Wording

NAMED = 40
"""Up to so many nodes all are named; beyond, only the highlighted ones."""

_MARGIN, _TITLE, _GAP = 8.0, 15, 18.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class GraphFigure(Drawing):
    """A drawn graph.

    Attributes:
        places: float64 (nodes, 2), where the middle of each node lies, in pixels, read-only.
        radius: Of a node, in pixels.
        named: The nodes whose names are written.
    """

    places: np.ndarray
    radius: float
    named: tuple[int, ...]


def draw_graph(
    positions: np.ndarray,
    edges: np.ndarray,
    *,
    directed: bool = False,
    node_values: np.ndarray | Sequence[float] | None = None,
    edge_values: np.ndarray | Sequence[float] | None = None,
    node_names: Sequence[str] | None = None,
    groups: np.ndarray | None = None,
    group_names: Sequence[str] | None = None,
    edge_types: np.ndarray | None = None,
    edge_type_names: Sequence[str] | None = None,
    edge_strokes: Sequence[Stroke] | None = None,
    highlighted: Sequence[int] = (),
    kind: Kind | None = None,
    low: float | None = None,
    high: float | None = None,
    edge_kind: Kind | None = None,
    edge_low: float | None = None,
    edge_high: float | None = None,
    unit: str = "",
    edge_unit: str = "",
    title: str = "",
    description: str = "",
    width: int = 640,
    wording: Wording = ENGLISH,
) -> GraphFigure:
    """Draw a graph.

    A value is a colour, from 0 on (viridis) or around 0 (blue, white, red); an edge is wider the further its value is
    from 0, and the weakest is still seen. What has a signed scale lies on white, also in a dark page, so that what is
    near 0 recedes. A dashed mark or a dotted line has no value: NaN. A group is a shape, and a colour too where nodes
    have no values. Arcs in both directions between two nodes are two curves.

    Args:
        positions: (nodes, 2), where the nodes are; y points up. `layout` makes them.
        edges: (edges, 2), the two ends of each edge; of a directed graph from and to.
        directed: Whether edges have heads.
        node_values: One for each node.
        edge_values: One for each edge.
        node_names: What each node is called; its number unless given.
        groups: The group of each node, -1 where unknown.
        group_names: Names of the groups.
        edge_types: The type of each edge.
        edge_type_names: Names of the types.
        edge_strokes: How each type is drawn, words of `STROKES`; in their order unless given.
        highlighted: Nodes that get a ring and are always named.
        kind: "signed" or "sequential"; decided by the values unless given.
        low: The low end of the nodes' scale, where several drawings share it.
        high: The high end.
        edge_kind: As `kind`.
        edge_low: As `low`.
        edge_high: As `high`.
        unit: What a node's value is.
        edge_unit: What an edge's value is.
        title: A line above.
        description: What is on it, for those who cannot see it; the numbers of nodes and edges unless given.
        width: In pixels. Letters keep their size, so a phone gets a drawing of its own.
        wording: The words of the key.

    Raises:
        SettingError: Something does not fit together; says what.
    """
    where, ends = _checked(positions, edges, width)
    count = len(where)
    names = [str(node) for node in range(count)] if node_names is None else _names(node_names, count, "node_names")
    values = checked_values(node_values, count=count, name="node_values")
    weights = checked_values(edge_values, count=len(ends), name="edge_values")
    members = checked_groups(groups, count=count, name="groups")
    types = checked_groups(edge_types, count=len(ends), name="edge_types")
    rings = _nodes(highlighted, count)
    scale = None if values is None else scale_of(values, kind=kind, low=low, high=high)
    edge_scale = None if weights is None else scale_of(weights, kind=edge_kind, low=edge_low, high=edge_high)

    top = _MARGIN + (_TITLE + 12 if title else 0)
    sides = 26.0 if (ends[:, 0] == ends[:, 1]).any() else 10.0
    if count <= NAMED:
        longest = max(text_room(name, size=SIZE) if len(name) > 3 else 0.0 for name in names)
        sides = max(sides, min(0.16 * width, longest))
    places, radius, bottom = _fitted(where, width=width, top=top, sides=sides)
    edge_set = Edges(
        ends=ends, directed=directed, values=weights, scale=edge_scale, types=types,
        strokes=_strokes(types, edge_strokes), names=names, type_names=edge_type_names,
    )  # fmt: skip
    ways = courses(edge_set, places, radius=radius, rings=rings)
    marks = Nodes(values=values, scale=scale, groups=members)
    head = text(shortened(title, room=width - 2 * _MARGIN, size=_TITLE), x=_MARGIN, y=_MARGIN + _TITLE, size=_TITLE,
                fill=INK, weight=600)  # fmt: skip
    parts = drawn_edges(edge_set, ways)
    parts += marks.drawn(places, radius, rings, told(names, values, members, group_names, wording))
    wanted = [*rings, *(node for node in range(count) if node not in rings)] if count <= NAMED else list(rings)
    labels = placed(
        [(node, shortened(names[node], room=140, size=SIZE)) for node in wanted], places,
        radius=radius, on_edges=points_on(ways), keep=frozenset(rings), width=width, height=bottom,
    )  # fmt: skip
    for label in labels:
        fill = marks.ink(label.node) if label.inside else INK
        parts.append(
            text(label.words, x=label.x, y=label.y, size=INSIDE if label.inside else SIZE, fill=fill,
                 anchor=label.anchor, halo=not label.inside)
        )  # fmt: skip
    if any(each is not None and each.kind == "signed" for each in (scale, edge_scale)):
        parts = on_white(parts, top=top, width=width, height=bottom - top)
    scales = [ScaleKey(scale=scale, what=wording.nodes if edge_scale else "", unit=unit)] if scale else []
    scales += [ScaleKey(scale=edge_scale, what=wording.edges, unit=edge_unit)] if edge_scale else []
    shown = marks.key(group_names, wording) + edge_key(edge_set, wording)
    drawn, taken = key(scales, shown, left=_MARGIN, top=bottom + _GAP, width=width - 2 * _MARGIN, wording=wording)
    height = bottom + (_GAP + taken if drawn else 0) + _MARGIN
    said = description or wording.graph.format(nodes=number(count), edges=number(len(ends)))
    return GraphFigure(
        svg=document([head, *parts, *drawn], width=width, height=height, title=title or said, description=said),
        width=width, height=round(height), title=title, places=kept(places), radius=radius,
        legend=_legend(scale, edge_scale, unit=unit, edge_unit=edge_unit),
        named=tuple(label.node for label in labels),
    )  # fmt: skip


def _legend(scale: Scale | None, edge_scale: Scale | None, *, unit: str, edge_unit: str) -> dict[str, Any]:
    found = {}
    if scale is not None:
        found["nodes"] = described(scale, unit=unit)
    if edge_scale is not None:
        found["edges"] = described(edge_scale, unit=edge_unit)
    return found


def _fitted(where: np.ndarray, *, width: int, top: float, sides: float) -> tuple[np.ndarray, float, float]:
    """Positions in pixels, the radius of a node, and where the drawing ends below."""
    count = len(where)
    extent = np.ptp(where, axis=0)
    largest = float(np.clip(78 / np.sqrt(count), 4.0, 13.0))
    # Room above and below for rings and loops, at the sides also for names.
    side = largest + min(sides, 26.0) + _MARGIN
    room = width - 2 * (largest + sides + _MARGIN)
    aspect = float(extent[1] / extent[0]) if extent[0] > 0 else (np.inf if extent[1] > 0 else 0.0)
    high = float(np.clip(room * aspect, 0, room * 0.95))
    ratios = [room / extent[0]] if extent[0] > 0 else []
    ratios += [high / extent[1]] if extent[1] > 0 else []
    # Few nodes stay close to each other instead of being blown up to the whole width.
    grow = min([*ratios, 110 * float(np.sqrt(count)) / float(extent.max())]) if ratios else 1.0
    high = grow * float(extent[1])
    middle = (where.max(axis=0) + where.min(axis=0)) / 2
    places = (where - middle) * (grow, -grow) + (width / 2, top + side - _MARGIN + high / 2)
    if count > 1:
        apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1)) if count <= 2000 else None
        if apart is not None:
            np.fill_diagonal(apart, np.inf)
            near = float(np.percentile(apart.min(axis=1), 20))
            largest = float(np.clip(0.42 * near, 4.0, largest))
    return places, largest, top + 2 * (side - _MARGIN) + high


def _checked(positions: np.ndarray, edges: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    where = np.asarray(positions)
    if where.ndim != 2 or where.shape[1] != 2 or len(where) == 0 or where.dtype.kind not in "fiu":
        raise SettingError(
            "positions", given=f"{where.dtype} {where.shape}", expected="numbers of shape (nodes, 2)",
            hint="layout() makes them",
        )  # fmt: skip
    if not np.isfinite(where).all():
        node = int(np.flatnonzero(~np.isfinite(where).all(axis=1))[0])
        raise SettingError("positions", given=f"{where[node].tolist()} at node {node}", expected="finite numbers")
    ends = np.asarray(edges)
    if ends.size == 0:
        ends = np.zeros((0, 2), dtype=np.int64)
    if ends.ndim != 2 or ends.shape[1] != 2 or ends.dtype.kind not in "iu":
        raise SettingError("edges", given=f"{ends.dtype} {ends.shape}", expected="whole numbers of shape (edges, 2)")
    if ends.size and not (ends.min() >= 0 and ends.max() < len(where)):
        raise SettingError("edges", given=f"ends {ends.min()} to {ends.max()}", expected=f"nodes 0 to {len(where) - 1}")
    if width < 160:
        raise SettingError("width", given=width, expected="160 or more")
    return where.astype(np.float64), ends.astype(np.int64)


def _names(names: Sequence[str], count: int, what: str) -> list[str]:
    if len(names) != count:
        raise SettingError(what, given=f"{len(names)} names", expected=f"{count}")
    return [str(name) for name in names]


def _nodes(nodes: Sequence[int], count: int) -> tuple[int, ...]:
    for node in nodes:
        if not 0 <= node < count:
            raise SettingError("highlighted", given=node, expected=f"nodes 0 to {count - 1}")
    return tuple(dict.fromkeys(int(node) for node in nodes))


def _strokes(types: np.ndarray | None, strokes: Sequence[Stroke] | None) -> tuple[Stroke, ...]:
    for each in strokes or ():
        if each not in STROKES:
            raise SettingError("edge_strokes", given=each, expected=f"words of {', '.join(STROKES)}")
    return tuple(strokes) if strokes else STROKES
