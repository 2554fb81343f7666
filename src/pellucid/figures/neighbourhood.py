"""The part of a large graph around one node that a drawing can hold: nearest first, and what is left out in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.errors import SettingError
from pellucid.figures.grid import kept
from pellucid.figures.numbers import grouped


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArcIndex:
    """Arcs sorted by the node that they lead to, so that many neighbourhoods can be cut without reading all again.

    Attributes:
        num_nodes: How many nodes there are.
        starts: int64 (nodes + 1,): the arcs to node i are those from place starts[i] to starts[i + 1].
        senders: int64 (arcs,), from where each arc comes, in this order.
        numbers: int64 (arcs,), the place of each arc as it was given.
    """

    num_nodes: int
    starts: np.ndarray
    senders: np.ndarray
    numbers: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbourhood:
    """A cut-out of a graph.

    Attributes:
        nodes: int64 (kept,), the nodes' numbers in the whole graph, the centre first, then by distance and rank.
        hops: int64 (kept,), how many arcs each is away from the centre.
        edges: int64 (arcs kept, 2), from and to, as places in `nodes`.
        arcs: int64 (arcs kept,), the place of each among the arcs that were given.
        found: How many nodes lie at each distance, from 0 on.
        shown: How many of them are kept.
    """

    nodes: np.ndarray
    hops: np.ndarray
    edges: np.ndarray
    arcs: np.ndarray
    found: tuple[int, ...]
    shown: tuple[int, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is left out."""
        return self.found == self.shown

    def said(self, *, pattern: str = "{shown} of {found} neighbours shown") -> str:
        """What is shown and what is left out, as a sentence; the centre is no neighbour."""
        return pattern.format(shown=grouped(sum(self.shown) - 1), found=grouped(sum(self.found) - 1))

    def __repr__(self) -> str:
        return f"Neighbourhood(of {int(self.nodes[0])}, {len(self.found) - 1} hops, {self.said()})"


def index_arcs(arcs: np.ndarray, *, num_nodes: int) -> ArcIndex:
    """Sort arcs for `neighbourhood`.

    Args:
        arcs: (2, arcs), from and to; an undirected edge is there in both directions.
        num_nodes: How many nodes there are.
    """
    given = np.asarray(arcs)
    if given.size == 0:
        given = np.zeros((2, 0), dtype=np.int64)
    if given.ndim != 2 or given.shape[0] != 2 or given.dtype.kind not in "iu":
        raise SettingError("arcs", given=f"{given.dtype} {given.shape}", expected="whole numbers of shape (2, arcs)")
    if given.size and not (given.min() >= 0 and given.max() < num_nodes):
        raise SettingError("arcs", given=f"ends {given.min()} to {given.max()}", expected=f"nodes 0 to {num_nodes - 1}")
    order = np.lexsort((given[0], given[1]))
    counts = np.bincount(given[1], minlength=num_nodes)
    return ArcIndex(
        num_nodes=num_nodes,
        starts=kept(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)),
        senders=kept(given[0, order].astype(np.int64)),
        numbers=kept(order.astype(np.int64)),
    )


def neighbourhood(
    index: ArcIndex,
    *,
    centre: int,
    hops: int = 2,
    max_nodes: int = 150,
    values: np.ndarray | Sequence[float] | None = None,
) -> Neighbourhood:
    """Cut out the nodes whose messages reach the centre within some hops.

    Nearer nodes come first. Where a distance has more nodes than there is room, those with the largest absolute values
    stay (those with the most incoming arcs where there are no values), of equal ones those with the smaller number. So
    every node that is kept has a way to the centre that is kept. The work grows with the neighbourhood, not with the
    graph.

    Args:
        index: The arcs, sorted by `index_arcs`.
        centre: The node in the middle.
        hops: How far to go; as many as the network has graph convolutions.
        max_nodes: How many nodes to keep, the centre included.
        values: One for each node of the whole graph; what is not finite ranks last.
    """
    if not 0 <= centre < index.num_nodes:
        raise SettingError("centre", given=centre, expected=f"a node, 0 to {index.num_nodes - 1}")
    for name, value, least in (("hops", hops, 0), ("max_nodes", max_nodes, 1)):
        if value < least:
            raise SettingError(name, given=value, expected=f"{least} or more")
    if values is not None and np.shape(values) != (index.num_nodes,):
        raise SettingError("values", given=np.shape(values), expected=f"one for each of {index.num_nodes} nodes")
    rings = [np.array([centre], dtype=np.int64)]
    seen = {centre}
    for _ in range(hops):
        senders = np.unique(index.senders[_incoming(index, rings[-1])])
        ring = np.array([node for node in senders.tolist() if node not in seen], dtype=np.int64)
        if not len(ring):
            break
        seen.update(ring.tolist())
        rings.append(ring)
    chosen, room = [], max_nodes
    for ring in rings:
        chosen.append(_ranked(ring, index, values)[:room])
        room -= len(chosen[-1])
    nodes = np.concatenate(chosen)
    edges, arcs = _between(index, nodes)
    return Neighbourhood(
        nodes=kept(nodes),
        hops=kept(np.repeat(np.arange(len(rings)), [len(each) for each in chosen])),
        edges=kept(edges),
        arcs=kept(arcs),
        found=tuple(len(ring) for ring in rings),
        shown=tuple(len(each) for each in chosen),
    )


def _ranked(ring: np.ndarray, index: ArcIndex, values: np.ndarray | Sequence[float] | None) -> np.ndarray:
    if values is None:
        weight = (index.starts[ring + 1] - index.starts[ring]).astype(np.float64)
    else:
        weight = np.abs(np.asarray(values, dtype=np.float64)[ring])
    weight[~np.isfinite(weight)] = -1.0
    return ring[np.lexsort((ring, -weight))]


def _incoming(index: ArcIndex, nodes: np.ndarray) -> np.ndarray:
    """Places of all arcs that lead to some nodes, node by node."""
    first = index.starts[nodes]
    counts = index.starts[nodes + 1] - first
    before = np.repeat(np.cumsum(counts) - counts, counts)
    places: np.ndarray = np.repeat(first, counts) + np.arange(int(counts.sum())) - before
    return places


def _between(index: ArcIndex, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The arcs whose two ends are both kept: from and to as places in `nodes`, and their numbers, in their order."""
    places = _incoming(index, nodes)
    receivers = np.repeat(np.arange(len(nodes)), index.starts[nodes + 1] - index.starts[nodes])
    order = np.argsort(nodes)
    spot = np.minimum(np.searchsorted(nodes, index.senders[places], sorter=order), len(nodes) - 1)
    inside = nodes[order[spot]] == index.senders[places]
    edges = np.stack([order[spot], receivers], axis=1)[inside]
    arcs = index.numbers[places[inside]]
    first = np.argsort(arcs, kind="stable")
    return edges[first], arcs[first]
