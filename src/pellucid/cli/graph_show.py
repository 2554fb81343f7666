"""`pellucid graph show`: what was read of a graph, in numbers or as a drawing."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import streams
from pellucid.cli.graphs import GraphName, GraphOptions, NodeName, graphed, node_of
from pellucid.cli.places import writable
from pellucid.cli.tables import Column, put_table
from pellucid.cli.talking import Talk
from pellucid.errors import SettingError

if TYPE_CHECKING:
    from pellucid.figures.graph import GraphFigure
    from pellucid.figures.mesh import MeshFigure
    from pellucid.figures.molecule import MoleculeFigure
    from pellucid.inputs.graph import Graph
    from pellucid.methods.graph_subject import GraphSubject

_HOPS = 2

DrawingOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Draw it: .svg, or .png for a surface."),
]


def graph_show(
    graph: GraphName,
    *,
    node: NodeName = None,
    output: DrawingOption = None,
    reading: GraphOptions,
    talk: Talk,
) -> int:
    """Say what a graph holds: nodes, edges, degrees, features, labels; with -o also draw it.

    Of a graph of more than 120 nodes, --node draws the neighbourhood of that node, two hops wide.
    """
    place = None if output is None else writable(output, option="--output", read=[graph, *reading.files])
    found = graphed(graph, reading=reading, talk=talk)
    chosen = None if node is None else node_of(found, node)

    from pellucid.pages.graph_measuring import graph_facts

    facts = graph_facts(found)
    files = []
    if place is not None:
        check_name(found, place)
        files.append(_drawn(found, chosen).save(place))
    if talk.as_json:
        about = {} if chosen is None else {"node": _node(found, chosen)}
        record = {"pellucid": "graph", "name": found.name, "digest": found.digest, "notes": list(found.notes), **facts}
        streams.put_json({**record, **about, "files": [str(file) for file in files]})
        return 0
    put_table([Column(header=streams.plain(found.name)), Column(header="", wraps=True)], _rows(found, facts, chosen))
    for file in files:
        streams.put(str(file))
    return 0


def check_name(graph: "Graph", place: Path) -> None:
    """Refuse a name that does not fit a drawing of this graph.

    Raises:
        SettingError: Drawings of lines are .svg, surfaces .png.
    """
    from pellucid.inputs.mesh import Mesh

    suffix = ".png" if isinstance(graph.body, Mesh) else ".svg"
    if place.suffix.lower() != suffix:
        what = "since a surface is drawn in pixels" if suffix == ".png" else "since a graph is drawn in lines"
        raise SettingError("--output", given=str(place), expected=f"a name that ends in {suffix}, {what}")


def around(graph: "Graph", node: int | None) -> "GraphSubject":
    """All of a graph, or where it is large the neighbourhood of a node."""
    import numpy as np

    from pellucid.figures.neighbourhood import index_arcs, neighbourhood
    from pellucid.methods.graph_drawing import MOST
    from pellucid.methods.graph_subject import GraphSubject, whole_subject

    if node is None or graph.num_nodes <= MOST or graph.body is not None:
        return whole_subject(graph)
    arcs, numbers = graph.arcs()
    near = neighbourhood(index_arcs(arcs, num_nodes=graph.num_nodes), centre=node, hops=_HOPS, max_nodes=MOST)
    order = np.argsort(near.nodes)
    return GraphSubject(
        name=graph.name,
        digest=graph.digest,
        nodes=near.nodes[order],
        edges=np.unique(numbers[near.arcs]),
        hops=near.hops[order],
        all_nodes=graph.num_nodes,
        source=graph,
    )


def _drawn(graph: "Graph", node: int | None) -> "GraphFigure | MoleculeFigure | MeshFigure":
    from pellucid.figures.layout import LARGEST
    from pellucid.methods.graph_drawing import draw_subject

    if node is None and graph.num_nodes > LARGEST and graph.body is None:
        raise SettingError(
            "--output",
            given=f"a drawing of {graph.num_nodes} nodes",
            expected=f"at most {LARGEST}",
            hint="say --node to draw the neighbourhood of one",
        )
    subject = around(graph, node)
    title = graph.name if node is None else f"{graph.name}, around {graph.node_name(node)}"
    return draw_subject(subject, target=() if node is None else (node,), title=title)


def _rows(graph: "Graph", facts: dict[str, Any], node: int | None) -> list[list[str]]:
    degree, features = facts["degree"], facts["features"]
    kind = "directed" if facts["directed"] else "undirected"
    rows = [
        ["nodes", f"{facts['nodes']:,}" + (f", {facts['alone']:,} without an edge" if facts["alone"] else "")],
        [
            "edges",
            f"{facts['edges']:,} {kind}" + (f", {facts['loops']:,} to the node itself" if facts["loops"] else ""),
        ],
        [
            "incoming degree" if facts["directed"] else "degree",
            f"{degree['least']:g} to {degree['most']:g}, median {degree['median']:g}",
        ],
    ]
    if facts["types"]:
        rows.append(["edge types", ", ".join(f"{each['name']} {each['count']:,}" for each in facts["types"])])
    if facts["weights"]:
        rows.append(["weights", f"{facts['weights'][0]:g} to {facts['weights'][1]:g}"])
    described = (
        f"{features['count']:,} a node, {features['low']:g} to {features['high']:g}, {features['filled']:.1%} not 0"
    )
    rows.append(["features", "none: the identity matrix" if features["identity"] else described])
    if graph.labels is not None:
        known = graph.labels[graph.labels >= 0]
        names = graph.class_names
        counts = {int(label): int((known == label).sum()) for label in sorted(set(known.tolist()))}
        listed = ", ".join(
            f"{names[label] if names else f'class {label}'} {count:,}" for label, count in counts.items()
        )
        rows.append(["labels", listed or "none known"])
    if graph.label is not None:
        rows.append(["label of the graph", str(graph.label)])
    rows += [[f"split {name}", f"{int(mask.sum()):,} nodes"] for name, mask in graph.splits.items()]
    if node is not None:
        known_of = _node(graph, node)
        names_of = ", ".join(known_of["neighbours"][:20]) + (" …" if len(known_of["neighbours"]) > 20 else "")
        what = "incoming degree" if graph.directed else "degree"
        none = "no edge leads here" if graph.directed else "no neighbours"
        rows.append([graph.node_name(node), f"{what} {known_of['degree']:g}: {names_of or none}"])
    return [*rows, ["digest", graph.digest]]


def _node(graph: "Graph", node: int) -> dict[str, Any]:
    return {
        "number": node,
        "name": graph.node_name(node),
        "degree": float(graph.degrees()[node]),
        "neighbours": [graph.node_name(int(each)) for each in graph.neighbours(node).tolist()],
        "label": None if graph.labels is None else int(graph.labels[node]),
    }
