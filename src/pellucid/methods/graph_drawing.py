"""Drawing an explanation of a graph: on the graph, on the molecule, on the mesh; and its features as bars."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pellucid.errors import SettingError
from pellucid.figures.wording import ENGLISH, Wording
from pellucid.inputs.graph import Graph
from pellucid.inputs.mesh import Mesh
from pellucid.inputs.molecule import Molecule
from pellucid.methods.graph_subject import GraphSubject

if TYPE_CHECKING:
    from pellucid.figures.bars import BarsFigure
    from pellucid.figures.graph import GraphFigure
    from pellucid.figures.mesh import MeshFigure
    from pellucid.figures.molecule import MoleculeFigure
    from pellucid.methods.explanation import Explanation

NUMBERED = 60
"""Most atoms that have their numbers beside them."""
MOST = 120
"""Most nodes of a drawing; of a larger neighbourhood the nearest are drawn, and it is said how many are not."""


def node_values(explanation: "Explanation") -> npt.NDArray[Any] | None:
    """One value for each node of the subject: its features summed; None where nodes were not explained."""
    part = next((part for part in explanation.parts if part.name == "nodes"), None)
    if part is None:
        return None
    return part.values.sum(axis=1) if part.values.ndim == 2 else part.values


def edge_values(explanation: "Explanation") -> npt.NDArray[Any] | None:
    """One value for each edge of the subject; None where edges were not explained."""
    return next((part.values for part in explanation.parts if part.name == "edges"), None)


def feature_values(explanation: "Explanation") -> npt.NDArray[Any] | None:
    """One value for each feature: summed over the nodes, or that of a mask that all nodes share; None without any."""
    for part in explanation.parts:
        if part.name == "features":
            return part.values
        if part.name == "nodes" and part.values.ndim == 2:
            return part.values.sum(axis=0)  # type: ignore[no-any-return]
    return None


def draw_on_graph(
    explanation: "Explanation",
    *,
    unit: str = "",
    edge_unit: str = "",
    title: str = "",
    width: int = 640,
    wording: Wording = ENGLISH,
) -> "GraphFigure | MoleculeFigure | MeshFigure":
    """Draw the values of nodes and edges where they belong, with a numeric legend; they are never rescaled.

    Args:
        explanation: Of a graph.
        unit: What a node's value is.
        edge_unit: What an edge's value is.
        title: A line above.
        width: In pixels.
        wording: The words of the key.

    Raises:
        SettingError: It explains a picture.
    """
    subject = explanation.subject
    if not isinstance(subject, GraphSubject):
        raise SettingError("explanation", given="one of a picture", expected="one of a graph", hint="use overlay()")
    return draw_subject(
        subject,
        nodes=node_values(explanation),
        edges=edge_values(explanation),
        target=explanation.target.nodes,
        unit=unit,
        edge_unit=edge_unit,
        title=title,
        width=width,
        wording=wording,
    )


def draw_subject(
    subject: GraphSubject,
    *,
    nodes: npt.NDArray[Any] | None = None,
    edges: npt.NDArray[Any] | None = None,
    target: Sequence[int] = (),
    unit: str = "",
    edge_unit: str = "",
    title: str = "",
    width: int = 640,
    wording: Wording = ENGLISH,
) -> "GraphFigure | MoleculeFigure | MeshFigure":
    """Draw a graph, or the part of it that a target can see, with values or without.

    On a mesh, values of nodes are drawn on the surface: outside of what the target can see they are 0. Where a target
    sees only a part of it, that part is drawn large, with what is around it.

    Args:
        subject: The graph, or the part of it.
        nodes: One value for each node of the subject, or None; then nodes have the shapes and colours of their labels.
        edges: One value for each edge of the subject, or None.
        target: The target node or the two ends of the target edge, by their numbers in the whole graph.
        unit: What a node's value is.
        edge_unit: What an edge's value is.
        title: A line above.
        width: In pixels.
        wording: The words of the key.
    """
    graph, body = subject.graph, subject.source.body
    marked = tuple(int(np.searchsorted(subject.nodes, node)) for node in target)
    whole = graph.num_nodes == subject.all_nodes
    if isinstance(graph.body, Molecule) and whole and graph.positions is not None:
        from pellucid.figures.molecule import draw_molecule

        return draw_molecule(
            graph.body.symbols,
            graph.positions[:, :2],
            graph.edges,
            bond_types=graph.edge_types,
            charges=graph.body.charges or None,
            hydrogens=graph.body.hydrogens or None,
            atom_values=nodes,
            bond_values=edges,
            highlighted=marked,
            numbered=graph.num_nodes <= NUMBERED,
            unit=unit,
            bond_unit=edge_unit,
            title=title,
            width=width,
            wording=wording,
        )
    if isinstance(body, Mesh) and (nodes is not None or (edges is None and whole)):
        from pellucid.figures.mesh import draw_mesh

        everywhere = None
        if nodes is not None:
            everywhere = np.zeros(subject.source.num_nodes, dtype=np.float64)
            everywhere[subject.nodes if subject.source.digest == subject.digest else slice(None)] = nodes
        seen = None
        if target and not whole:
            there = np.array([*target, *subject.nodes.tolist()])
            seen = there if body.nodes == "vertices" else body.faces[there].ravel()
        return draw_mesh(body.vertices, body.faces, values=everywhere, unit=unit, around=seen, title=title)
    return _on_nodes_and_edges(
        graph, subject, nodes, edges, marked, unit=unit, edge_unit=edge_unit, title=title, width=width, wording=wording
    )


def draw_features(
    explanation: "Explanation", *, top: int = 10, title: str = "", width: int = 480, wording: Wording = ENGLISH
) -> "BarsFigure":
    """Draw the features with the largest values as bars.

    Raises:
        SettingError: The explanation has no values of features.
    """
    from pellucid.figures.bars import draw_bars

    values, subject = feature_values(explanation), explanation.subject
    if values is None or not isinstance(subject, GraphSubject):
        there = ", ".join(part.name for part in explanation.parts)
        raise SettingError("explanation", given=f"one with {there}", expected="one with values of features")
    names = subject.graph.feature_names
    if names is None and subject.source.featureless:
        names = tuple(subject.source.node_name(node) for node in range(len(values))) if len(values) < 10_000 else None
    shown = names if names is not None and len(names) == len(values) else [f"feature {i}" for i in range(len(values))]
    return draw_bars(values, shown, top=top, title=title, width=width, wording=wording)


def _on_nodes_and_edges(
    graph: Graph,
    subject: GraphSubject,
    nodes: npt.NDArray[Any] | None,
    edges: npt.NDArray[Any] | None,
    target: tuple[int, ...],
    *,
    unit: str,
    edge_unit: str,
    title: str,
    width: int,
    wording: Wording,
) -> "GraphFigure":
    from pellucid.figures.graph import draw_graph
    from pellucid.figures.layout import layout

    kept, inside = _nearest(graph, subject, nodes, edges)
    place = np.full(graph.num_nodes, -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    ends = place[graph.edges[inside]]
    names = [str(subject.nodes[node]) for node in kept]
    if graph.node_names is not None:
        names = [graph.node_names[node] for node in kept]
    positions = graph.positions[kept, :2] if graph.positions is not None else layout(ends, num_nodes=len(kept))
    types = None if graph.edge_types is None else graph.edge_types[inside]
    return draw_graph(
        positions,
        ends,
        directed=graph.directed,
        node_values=None if nodes is None else nodes[kept],
        edge_values=None if edges is None else edges[inside],
        node_names=names,
        groups=graph.labels[kept] if nodes is None and graph.labels is not None else None,
        group_names=graph.class_names if nodes is None else None,
        edge_types=types,
        edge_type_names=graph.edge_type_names if types is not None else None,
        highlighted=tuple(int(place[node]) for node in target),
        unit=unit,
        edge_unit=edge_unit,
        title=title,
        width=width,
        wording=wording,
    )


def left_out(explanation: "Explanation") -> tuple[int, int]:
    """How many nodes of the subject a drawing shows, and how many there are."""
    subject = explanation.subject
    assert isinstance(subject, GraphSubject)
    count = len(subject.nodes)
    return (count if isinstance(subject.graph.body, Molecule | Mesh) else min(count, MOST)), count


def _nearest(
    graph: Graph, subject: GraphSubject, nodes: npt.NDArray[Any] | None, edges: npt.NDArray[Any] | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The nodes that are drawn, nearest first, then by what they or their edges are worth; and their edges."""
    if graph.num_nodes <= MOST:
        return np.arange(graph.num_nodes), np.arange(graph.num_edges)
    # Without values, those with the most edges.
    worth = graph.degrees() if nodes is None else np.abs(nodes).astype(np.float64)
    if nodes is None and edges is not None:
        worth = np.zeros(graph.num_nodes)
        for end in (0, 1):
            np.maximum.at(worth, graph.edges[:, end], np.abs(edges))
    kept = np.sort(np.lexsort((np.arange(graph.num_nodes), -worth, subject.hops))[:MOST])
    return kept, np.flatnonzero(np.isin(graph.edges, kept).all(axis=1))
