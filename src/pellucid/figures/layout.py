"""Where to draw the nodes of a graph that has no positions: the same graph always gets the same ones.

Distances on paper follow distances in the graph (stress majorisation). Nothing is drawn at random, so two pages about
one graph show the same shape.

Reference:
    Gansner, Koren & North, Graph Drawing by Stress Majorization, Graph Drawing 2004.
"""

import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import connected_components, shortest_path
from scipy.spatial import KDTree

from pellucid.errors import SettingError

LARGEST = 2000
"""Nodes. Beyond, distances between all pairs take too long, and the drawing says nothing."""

_GAP = 0.9
"""Between parts that are not connected, in lengths of an edge."""
_DECIMALS = 9


def layout(edges: np.ndarray, *, num_nodes: int) -> np.ndarray:
    """Positions for the nodes of a graph.

    Connected parts are laid out by themselves and packed side by side, the largest first; nodes without an edge stand
    in rows below. Directions, self-loops, double edges and the order of the edges make no difference.

    Args:
        edges: (edges, 2), the two ends of each edge.
        num_nodes: How many nodes there are.

    Returns:
        float64 (nodes, 2), read-only, in a box whose longer side is 1 and whose lower left corner is (0, 0); y points
        up.

    Raises:
        SettingError: Ends that are no nodes, or more than `LARGEST` nodes.
    """
    ends = _checked(edges, num_nodes)
    if num_nodes == 0:
        return _frozen(np.zeros((0, 2)))
    ones = np.ones(len(ends))
    links = scipy.sparse.csr_array((ones, (ends[:, 0], ends[:, 1])), shape=(num_nodes, num_nodes))
    count, label = connected_components(links, directed=False)
    parts = [np.flatnonzero(label == part) for part in range(count)]
    alone = [int(part[0]) for part in parts if len(part) == 1]
    parts = sorted((part for part in parts if len(part) > 1), key=lambda part: (-len(part), int(part[0])))
    places = np.zeros((num_nodes, 2))
    shapes = [_one_part(links[part][:, part]) for part in parts]
    for part, shape, corner in zip(parts, shapes, _packed([np.ptp(shape, axis=0) for shape in shapes]), strict=True):
        places[part] = shape - shape.min(axis=0) + corner
    if alone:
        placed = places[np.concatenate(parts)] if parts else np.zeros((0, 2))
        places[alone] = _rows(len(alone), placed)
    places -= places.min(axis=0)
    longest = float(places.max())
    return _frozen(np.round(places / longest, _DECIMALS) if longest > 0 else places + 0.5)


def _one_part(links: scipy.sparse.csr_array) -> np.ndarray:
    """A connected part, its longer side along x; an edge is about 1 long."""
    count = links.shape[0]
    if count == 2:
        return np.array([[0.0, 0.0], [1.0, 0.0]])
    apart = shortest_path(links, method="D", directed=False, unweighted=True)
    places: np.ndarray = _stress(apart, _start(apart), rounds=max(30, min(300, 60_000 // count)))
    places = _separated(places)
    places -= places.mean(axis=0)
    _, axes = np.linalg.eigh(places.T @ places)
    places = places @ axes[:, ::-1]
    # The axes have no direction of their own: the side of the node that is furthest out decides.
    furthest = places[np.abs(places).round(6).argmax(axis=0), (0, 1)]
    places *= np.where(furthest < 0, -1.0, 1.0)
    return places


def _start(apart: np.ndarray) -> np.ndarray:
    """Classical scaling of the distances, and a spiral on top: nodes with equal distances must not start as one."""
    count = len(apart)
    centred = np.square(apart)
    centred = centred - centred.mean(axis=0) - centred.mean(axis=1)[:, None] + centred.mean()
    size, axes = np.linalg.eigh(-centred / 2)
    first = axes[:, -2:][:, ::-1] * np.sqrt(np.maximum(size[-2:][::-1], 1e-9))
    first *= np.where(first[np.abs(first).round(6).argmax(axis=0), (0, 1)] < 0, -1.0, 1.0)
    turn = np.arange(count) * (np.pi * (3 - np.sqrt(5)))
    reach = 0.3 * np.sqrt((np.arange(count) + 0.5) / count)
    spiral: np.ndarray = first + reach[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    # The last digits of eigenvectors depend on the processor and on the number of threads.
    return spiral.round(6)


def _stress(apart: np.ndarray, places: np.ndarray, *, rounds: int) -> np.ndarray:
    """Each round moves all nodes to the minimum of a bound on the stress, which can therefore only fall."""
    count = len(apart)
    with np.errstate(divide="ignore"):
        weights = np.where(apart > 0, 1 / np.square(apart), 0.0)
    pull = -weights
    np.fill_diagonal(pull, weights.sum(axis=1))
    # The matrix has no inverse, since moving all nodes together changes nothing; fixing the mean makes it regular.
    solve = np.linalg.inv(pull + 1 / count) - 1 / count
    wish = weights * apart
    for _ in range(rounds):
        step = places[:, None] - places[None]
        far = np.sqrt(np.square(step).sum(axis=2))
        ratio = wish / np.maximum(far, 1e-9)
        moved = solve @ (ratio.sum(axis=1)[:, None] * places - ratio @ places)
        change = float(np.abs(moved - places).max())
        places = moved
        if change < 1e-4:
            break
    return places


def _separated(places: np.ndarray) -> np.ndarray:
    """Nodes that all but cover each other, pushed apart: half of the room that each would have on an even sheet."""
    count = len(places)
    box = np.maximum(np.ptp(places, axis=0), 1.0)
    least = min(0.5, 0.5 * float(np.sqrt(box[0] * box[1] / count)))
    for _ in range(40):
        pairs = KDTree(places).query_pairs(least - 1e-3, output_type="ndarray")
        if not len(pairs):
            break
        # Sums of floats depend on their order, and the order of the pairs is not promised.
        first, second = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].T
        step = places[first] - places[second]
        far = np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)
        push = (0.5 * (least - far) / far)[:, None] * step
        for axis in (0, 1):
            places[:, axis] += np.bincount(first, push[:, axis], count) - np.bincount(second, push[:, axis], count)
    return places


def _packed(sizes: list[np.ndarray]) -> list[np.ndarray]:
    """Lower left corners of boxes in rows, the first row on top, so that the whole is about as wide as high."""
    if not sizes:
        return []
    room = [size + _GAP for size in sizes]
    width = max(max(float(size[0]) for size in room), 1.25 * float(np.sqrt(sum(size[0] * size[1] for size in room))))
    order = sorted(range(len(room)), key=lambda i: (-float(room[i][1]), i))
    corners = [np.zeros(2)] * len(room)
    left, top, tall = 0.0, 0.0, 0.0
    for i in order:
        if left > 0 and left + room[i][0] > width + 1e-9:
            left, top, tall = 0.0, top - tall, 0.0
        corners[i] = np.array([left, top - room[i][1] + _GAP])
        left, tall = left + float(room[i][0]), max(tall, float(room[i][1]))
    return corners


def _rows(count: int, placed: np.ndarray) -> np.ndarray:
    """Rows of nodes below what is placed, as wide as that."""
    left, right = (float(placed[:, 0].min()), float(placed[:, 0].max())) if len(placed) else (0.0, 0.0)
    bottom = float(placed[:, 1].min()) - _GAP if len(placed) else 0.0
    # Closer together where there are many, so that they do not outgrow the rest.
    step = min(_GAP, max(0.35, (right - left) / max(1, count - 1))) if len(placed) else _GAP
    a_row = max(1, int((right - left) / step) + 1) if len(placed) else int(np.ceil(np.sqrt(1.6 * count)))
    number = np.arange(count)
    return np.stack([left + step * (number % a_row), bottom - step * (number // a_row)], axis=1)


def _checked(edges: np.ndarray, num_nodes: int) -> np.ndarray:
    ends = np.asarray(edges)
    if ends.size == 0:
        ends = np.zeros((0, 2), dtype=np.int64)
    if ends.ndim != 2 or ends.shape[1] != 2 or ends.dtype.kind not in "iu":
        raise SettingError("edges", given=f"{ends.dtype} {ends.shape}", expected="whole numbers of shape (edges, 2)")
    if num_nodes > LARGEST:
        raise SettingError(
            "num_nodes", given=num_nodes, expected=f"at most {LARGEST}", hint="draw a neighbourhood of some nodes"
        )
    if ends.size and not (ends.min() >= 0 and ends.max() < num_nodes):
        raise SettingError("edges", given=f"ends {ends.min()} to {ends.max()}", expected=f"nodes 0 to {num_nodes - 1}")
    ends = np.sort(ends[ends[:, 0] != ends[:, 1]], axis=1)
    return np.unique(ends, axis=0).astype(np.int64)


def _frozen(places: np.ndarray) -> np.ndarray:
    places = places + 0.0
    places.setflags(write=False)
    return places
