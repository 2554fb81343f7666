"""`pellucid graph matrices`: A, A + I, D, Â and X of a graph, as numbers, as a picture, or row by row for one node."""

from enum import StrEnum
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
    from pellucid.inputs.graph import Graph


_LONGEST = 40


class Matrix(StrEnum):
    """The matrices of a graph."""

    adjacency = "adjacency"
    loops = "loops"
    normalised = "normalised"
    features = "features"


_TITLES = {
    Matrix.adjacency: "A, the adjacency matrix",
    Matrix.loops: "A + I, with a loop at each node",
    Matrix.normalised: "Â, the normalised adjacency matrix",
    Matrix.features: "X, the features",
}


def graph_matrices(
    graph: GraphName,
    *,
    node: NodeName = None,
    matrix: Annotated[
        Matrix,
        typer.Option(
            metavar="WORD", help="For -o: adjacency, loops (A + I), normalised (Â) or features (X), sorted by label."
        ),
    ] = Matrix.adjacency,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Draw one: .svg with its legend, or .png, a pixel for each cell."
        ),
    ] = None,
    reading: GraphOptions,
    talk: Talk,
) -> int:
    """Show the matrices of a graph: as numbers up to 12 nodes; --node builds the rows of one node step by step."""
    place = None if output is None else writable(output, option="--output", read=[graph, *reading.files])
    if place is not None and place.suffix.lower() not in (".svg", ".png"):
        raise SettingError("--output", given=str(place), expected="a name that ends in .svg or .png")
    found = graphed(graph, reading=reading, talk=talk)
    chosen = None if node is None else node_of(found, node)

    from pellucid.figures.matrix import TABLE

    if not (found.num_nodes <= TABLE or chosen is not None or place is not None or talk.as_json):
        raise SettingError(
            "GRAPH",
            given=f"a graph of {found.num_nodes} nodes",
            expected=f"at most {TABLE} for numbers",
            hint="say --node 3 for the rows of one, -o FILE.svg for a picture, or --json for all entries",
        )
    steps = [] if chosen is None else _steps(found, chosen)
    if place is not None:
        talk.say(_draw(found, matrix, place))
    if talk.as_json:
        named = {each.value: _entries(_matrix(found, each)) for each in Matrix}
        degrees = found.degrees(self_loops=True).tolist()
        record = {"pellucid": "matrices", "graph": found.name, "digest": found.digest, **named, "degrees": degrees}
        files = [] if place is None else [str(place)]
        streams.put_json(record | {"node": chosen, "steps": steps, "files": files})
        return 0
    if chosen is not None:
        for step in steps:
            streams.put(step)
    elif place is None:
        _put(found)
    if place is not None:
        streams.put(str(place))
    return 0


def _matrix(graph: "Graph", which: Matrix) -> Any:
    if which is Matrix.features:
        return graph.features
    if which is Matrix.normalised:
        return graph.normalised_adjacency()
    return graph.adjacency(self_loops=which is Matrix.loops)


def _put(graph: "Graph") -> None:
    """All matrices of a small graph as tables."""
    import numpy as np
    import scipy.sparse

    from pellucid.figures.numbers import number
    from pellucid.pages.words import shortened

    names = [shortened(graph.node_name(node), longest=_LONGEST) for node in range(graph.num_nodes)]
    degrees = graph.degrees(self_loops=True)
    for which, title in _TITLES.items():
        values = _matrix(graph, which)
        dense = values.toarray() if scipy.sparse.issparse(values) else np.asarray(values)
        heads = list(graph.feature_names or ()) if which is Matrix.features else []
        heads = heads or [str(place) for place in range(dense.shape[1])]
        columns = [Column(header=title, wraps=True)] + [
            Column(header=shortened(each, longest=_LONGEST), right=True) for each in heads
        ]
        rows = [[name, *map(number, row)] for name, row in zip(names, dense.tolist(), strict=True)]
        if which is Matrix.loops:
            columns.append(Column(header="D", right=True))
            rows = [[*row, number(degree)] for row, degree in zip(rows, degrees.tolist(), strict=True)]
        put_table(columns, rows)
        streams.put("")


def _steps(graph: "Graph", node: int) -> list[str]:
    from pellucid.pages.graph_matrices import row_by_row
    from pellucid.pages.words import Catalogue

    said = row_by_row(graph, node, graph.normalised_adjacency(), Catalogue("en"))
    return ["".join(segment.text for segment in sentence) for sentence in said]


def _draw(graph: "Graph", which: Matrix, place: Path) -> str:
    """Draw one matrix; returns what stands in its legend, for a picture that has none."""
    from pellucid.archive import write_whole
    from pellucid.figures import png
    from pellucid.figures.colour import palette, sequential, signed
    from pellucid.figures.matrix import draw_matrix

    square = which is not Matrix.features
    groups = graph.labels if square else None
    names = graph.class_names if groups is not None else None
    title = f"{_TITLES[which]}: {graph.name}"
    drawn = draw_matrix(_matrix(graph, which), groups=groups, group_names=names, title=title)
    if place.suffix.lower() == ".svg":
        drawn.save(place)
    else:
        low, high = float(drawn.legend["low"]), float(drawn.legend["high"])
        kind = drawn.legend["kind"]
        entries = signed(drawn.cells, high) if kind == "signed" else sequential(drawn.cells, low=low, high=high)
        write_whole(place, png.indexed(entries, palette(kind)))
    rows, columns = drawn.block
    cell = "one entry" if drawn.block == (1, 1) else f"the sum of {rows} × {columns} entries"
    return f"{title}; a cell is {cell}, colours from {drawn.legend['low']:g} to {drawn.legend['high']:g}"


def _entries(matrix: Any) -> dict[str, Any]:
    """The entries that are not 0, by row and column."""
    import scipy.sparse

    found = scipy.sparse.coo_array(matrix)
    return {
        "shape": list(found.shape),
        "rows": found.row.tolist(),
        "columns": found.col.tolist(),
        "values": found.data.tolist(),
    }
