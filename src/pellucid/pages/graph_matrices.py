"""The section about matrices: A, A + I, degrees, Â and X, and how one node's row of each comes about."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from pellucid.figures.matrix import TABLE
from pellucid.figures.numbers import number
from pellucid.inputs.graph import Graph
from pellucid.pages.graph_bundle import GraphBundle
from pellucid.pages.graph_naming import features_called, node_called, nodes_called
from pellucid.pages.graph_pictures import Shown, draw_numbers
from pellucid.pages.words import Catalogue, Sentence, percent

_LISTED = 8
_EXAMPLES = 3
_HALF = 468
_MOST_CELLS = 40_000_000
"""Entries of a matrix of features that is drawn; beyond, its picture would be nearly all one colour."""


def matrices_section(bundle: GraphBundle, words: Catalogue) -> dict[str, Any]:
    """The matrices as numbers or pictures, and the rows of the node that is asked about."""
    graph, record = bundle.graph, bundle.record
    adjacency = graph.adjacency()
    share = adjacency.nnz / graph.num_nodes**2
    return {
        "claim": words.say("graph.matrix.claim", count=adjacency.nnz, nodes=graph.num_nodes, share=percent(share)),
        "figures": _figures(bundle, words),
        "note": words.say(f"graph.matrix.note.{_kind_of_note(graph)}"),
        "nodes": [
            {
                "title": words.say("graph.matrix.node", name=node_called(graph, steps["node"], words)),
                "steps": row_by_row(graph, int(steps["node"]), messages(bundle), words),
            }
            for steps in record["steps"]
        ],
    }


def _kind_of_note(graph: Graph) -> str:
    if graph.num_nodes > TABLE:
        return "large"
    return "directed" if graph.directed else "small"


def messages(bundle: GraphBundle) -> scipy.sparse.csr_array | None:
    """Â as the first layer has it: row i holds the weights of what node i receives; None where it is not known."""
    if "message arcs" not in bundle.arrays:
        return None
    senders, receivers = bundle.arrays["message arcs"]
    count = bundle.record["facts"]["nodes"]
    return scipy.sparse.csr_array((bundle.arrays["message weights"], (receivers, senders)), shape=(count, count))


def is_symmetric_normalisation(graph: Graph, found: scipy.sparse.csr_array) -> bool:
    """Whether a layer's weights are those of Kipf and Welling."""
    difference = abs(found - graph.normalised_adjacency())
    return bool(difference.nnz == 0 or difference.max() < 1e-5)


def _figures(bundle: GraphBundle, words: Catalogue) -> list[dict[str, Any]]:
    graph = bundle.graph
    small = graph.num_nodes <= TABLE
    names = [node_called(graph, node, words) for node in range(graph.num_nodes)] if small else None
    groups = None if graph.labels is None else graph.labels
    about: dict[str, Any] = {"names": names, "columns": _short(names), "groups": groups, "wide": _HALF}
    about["group_names"] = graph.class_names
    neighbours = np.diff(scipy.sparse.csr_array(graph.adjacency().T).indptr)
    most = int(neighbours.max())
    tied = int((neighbours == most).sum())
    kind = "graph.matrix.a.empty" if not most else "graph.matrix.a" if tied == 1 else "graph.matrix.a.tied"
    said = words.say(kind, name=node_called(graph, int(neighbours.argmax()), words), some=tied, most=most)
    found: list[tuple[Sentence, Shown]] = [(said, draw_numbers(graph.adjacency(), words, **about))]
    if small:
        with_loops, degrees = graph.adjacency(self_loops=True), graph.degrees(self_loops=True)
        said = words.say("graph.matrix.loops", entries=with_loops.nnz, nodes=graph.num_nodes)
        found.append((said, draw_numbers(with_loops, words, **about)))
        said = words.say("graph.matrix.degrees", least=number(degrees.min()), most=number(degrees.max()))
        found.append((said, draw_numbers(degrees[:, None], words, names=names, columns=["D"], wide=_HALF)))
    weights = messages(bundle)
    if weights is not None:
        said = words.say("graph.matrix.messages", most=number(float(weights.max())))
        found.append((said, draw_numbers(weights, words, **about)))
    if not graph.featureless and graph.num_nodes * graph.num_features <= _MOST_CELLS:
        order = np.arange(graph.num_nodes) if small or groups is None else np.argsort(groups, kind="stable")
        columns = features_called(graph, words) if graph.feature_names else [str(i) for i in range(graph.num_features)]
        share = percent(bundle.record["facts"]["features"]["filled"])
        said = words.say("graph.matrix.features", share=share, entries=graph.num_nodes * graph.num_features)
        found.append((said, draw_numbers(graph.features[order], words, names=names, columns=columns, wide=_HALF)))
    return [{"title": title, "drawing": drawn} for title, drawn in found]


def row_by_row(graph: Graph, node: int, weights: scipy.sparse.csr_array | None, words: Catalogue) -> list[Sentence]:
    """How a node's rows come about, from A to Â, and its row of X.

    Args:
        graph: The graph.
        node: The node.
        weights: Â; None where it is not known.
        words: The language.
    """
    loop = bool((graph.edges == node).all(axis=1).any())
    degrees = graph.degrees(self_loops=True)
    said = [
        _row_of_a(graph, node, words),
        words.say("graph.row.loop" if loop else "graph.row.identity"),
        words.say("graph.row.degree", degree=number(degrees[node])),
    ]
    if weights is not None:
        usual = is_symmetric_normalisation(graph, weights)
        said.append(words.say("graph.row.symmetric" if usual else "graph.row.other"))
        row = weights[[node]].tocoo()
        order = np.lexsort((row.col, -row.data, row.col != node))[:_EXAMPLES]
        if usual and graph.edge_weights is None:
            said += [
                words.say(
                    "graph.row.example",
                    name=node_called(graph, int(row.col[place]), words),
                    own=number(degrees[node]),
                    other=number(degrees[row.col[place]]),
                    weight=number(row.data[place]),
                )
                for place in order.tolist()
            ]
    said.append(_row_of_x(graph, node, words))
    return said


def _row_of_a(graph: Graph, node: int, words: Catalogue) -> Sentence:
    kind = "column" if graph.directed else "row"
    neighbours = graph.neighbours(node).tolist()
    listed, more = neighbours[:_LISTED], max(0, len(neighbours) - _LISTED)
    if not listed:
        return words.say(f"graph.row.a.{kind}.empty", node=str(node))
    if graph.edge_weights is None:
        names = nodes_called(graph, listed, words, more=more)
        return words.say(f"graph.row.a.{kind}", node=str(node), names=names)
    entries = np.ravel(graph.adjacency()[listed, [node] * len(listed)])
    pairs = [f"{node_called(graph, n, words)} = {number(v)}" for n, v in zip(listed, entries.tolist(), strict=True)]
    joined = ", ".join(pairs)
    names = words.text("graph.and_more", listed=joined, count=more) if more else joined
    return words.say(f"graph.row.a.{kind}.weighted", node=str(node), names=names)


def _row_of_x(graph: Graph, node: int, words: Catalogue) -> Sentence:
    if graph.featureless:
        return words.say("graph.row.x.identity", node=str(node))
    row = graph.features[[node]]
    row = np.asarray(row.toarray() if scipy.sparse.issparse(row) else row).ravel()
    there = np.flatnonzero(row)
    names = features_called(graph, words)
    strongest = there[np.lexsort((there, -np.abs(row[there])))][:_LISTED]
    pairs = ", ".join(f"{names[place]} = {number(row[place])}" for place in strongest.tolist())
    more = len(there) - len(strongest)
    listed = words.text("graph.and_more", listed=pairs, count=more) if more else pairs
    if not len(there):
        return words.say("graph.row.x.empty", node=str(node), all=len(row))
    return words.say("graph.row.x", node=str(node), filled=len(there), all=len(row), listed=listed)


def _short(names: Sequence[str] | None) -> list[str] | None:
    """Columns have little room: numbers do."""
    return None if names is None else [str(place) for place in range(len(names))]
