"""Data sets of graphs in the format of the TU collection: NAME_A.txt and its companions, in a folder or an archive.

Reference:
    Morris et al., TUDataset: A collection of benchmark datasets for learning with graphs, 2020.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.errors import InputError
from pellucid.inputs.elements import ELEMENTS
from pellucid.inputs.files import naming, readable
from pellucid.inputs.graph import BOND_TYPES, Graph
from pellucid.inputs.graph_set import GraphSet
from pellucid.inputs.molecule import Molecule
from pellucid.inputs.number_files import number_rows, whole_rows
from pellucid.inputs.tu_names import TUNames, tu_names

_DENSE_TYPES = 1_000  # of more kinds of nodes the one-hot codes stay sparse
Whole = npt.NDArray[np.int64]


def tu_name(names: list[str]) -> str | None:
    """The name of the TU data set among the names of some files, or None."""
    found = sorted(each.removesuffix("_A.txt") for each in names if each.endswith("_A.txt"))
    whole = next((each for each in found if f"{each}_graph_indicator.txt" in names), None)
    # One half of the two is a data set too, a damaged one; what ends in _A.txt alone may be anything.
    told = "_graph_indicator.txt"
    return whole or next((each.removesuffix(told) for each in sorted(names) if each.endswith(told)), None)


def read_tu(files: Mapping[str, bytes], name: str, *, called: str, directed: bool | None = None) -> GraphSet:
    """The graphs of a TU data set.

    | file | becomes |
    |---|---|
    | `_A`, `_graph_indicator` | the edges; an undirected edge, given in both directions, once |
    | `_graph_labels`, else `_graph_attributes` | `label`: the number of a class, else a value |
    | `_node_labels`, `_node_attributes` | `features`: the label as one-hot code, then the attributes |
    | `_edge_labels` | `edge_types`; the names of chemical bonds have the numbers of `BondType` |
    | `_edge_attributes` | `edge_features` |
    | `_edge_gt` | `edge_truth` |

    Args:
        files: The contents of the files by name.
        name: The name of the data set.
        called: What an error calls the folder or archive, quoted.
        directed: None decides by whether every arc has its partner.

    Raises:
        InputError: A file is missing, damaged or does not fit the others; names file and line.
    """

    def whole_numbers(what: str, columns: int = 1) -> Whole | None:
        content = files.get(f"{name}_{what}.txt")
        if content is None:
            return None
        return whole_rows(content, columns=columns, called=_file(name, what, called))

    def numbers(what: str) -> npt.NDArray[np.float64] | None:
        content = files.get(f"{name}_{what}.txt")
        return None if content is None else number_rows(content, called=_file(name, what, called))

    arcs, indicator = whole_numbers("A", 2), whole_numbers("graph_indicator")
    if arcs is None or indicator is None:
        missing = "A" if arcs is None else "graph_indicator"
        raise InputError(f"{called} has no {name}_{missing}.txt; copy the whole data set.")
    graph_of_node = indicator[:, 0] - 1
    texts = [content.decode("utf-8", errors="replace") for file, content in files.items() if "readme" in file.lower()]
    names = tu_names(name, texts)
    count = int(graph_of_node.max()) + 1
    per_graph, class_names = _graph_labels(whole_numbers("graph_labels"), numbers("graph_attributes"), names)
    _fits(name, called, graph_of_node, arcs, count, per_graph)
    per_node, features, feature_names, node_types = _features(
        whole_numbers("node_labels"), numbers("node_attributes"), names
    )
    _same_length(name, called, "node", len(graph_of_node), {"node_labels": per_node, "node_attributes": features})
    per_arc: dict[str, Any] = {}
    truth = whole_numbers("edge_gt")
    edge_type_names: tuple[str, ...] | None = None
    edge_labels = whole_numbers("edge_labels")
    if edge_labels is not None:
        per_arc["edge_types"], edge_type_names = _edge_types(edge_labels[:, 0], names)
    if (attributes := numbers("edge_attributes")) is not None:
        per_arc["edge_features"] = attributes
    if truth is not None:
        per_arc["edge_truth"] = truth[:, 0] > 0
    _same_length(name, called, "arc", len(arcs), per_arc)
    if directed is None:
        directed = _has_lonely_arcs(arcs, len(graph_of_node))
    order = np.argsort(graph_of_node, kind="stable")
    sizes = np.bincount(graph_of_node, minlength=count)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order)) - np.repeat(starts[:-1], sizes)
    graph_of_arc = graph_of_node[arcs[:, 0] - 1]
    arc_order = np.argsort(graph_of_arc, kind="stable")
    arc_starts = np.concatenate([[0], np.cumsum(np.bincount(graph_of_arc, minlength=count))])
    local = place[arcs - 1]
    are_atoms = node_types is not None and set(node_types) <= set(ELEMENTS)
    graphs = []
    for number in range(count):
        nodes = order[starts[number] : starts[number + 1]]
        mine = arc_order[arc_starts[number] : arc_starts[number + 1]]
        body = None
        if are_atoms and node_types is not None and per_node is not None:
            body = Molecule(symbols=tuple(node_types[each] for each in per_node[nodes]))
        with naming(f"{called}, graph {number + 1}"):
            graphs.append(
                Graph.from_arcs(
                    local[mine].T,
                    directed=directed,
                    num_nodes=len(nodes),
                    features=None if features is None else features[nodes],
                    feature_names=feature_names,
                    label=None if per_graph is None else per_graph[number].item(),
                    class_names=class_names,
                    edge_type_names=edge_type_names,
                    body=body,
                    name=f"{name} {number}",
                    **{key: value[mine] for key, value in per_arc.items()},
                )
            )
    with naming(called):
        return GraphSet(
            graphs=tuple(graphs),
            name=name,
            class_names=class_names,
            node_type_names=node_types,
            edge_type_names=edge_type_names,
            notes=_left_out(files, name, names_used=per_graph is not None),
        )


def _left_out(files: Mapping[str, bytes], name: str, *, names_used: bool) -> tuple[str, ...]:
    file = f"{name}_graph_attributes.txt"
    if file not in files or (names_used and f"{name}_graph_labels.txt" not in files):
        return ()
    return (f"{file} is left out: a graph has one label",)


def _file(name: str, what: str, called: str) -> str:
    return f"{called}, {readable(name)}_{what}.txt"


def _fits(name: str, called: str, graph_of_node: Whole, arcs: Whole, count: int, per_graph: Any) -> None:
    nodes = len(graph_of_node)
    if count > nodes:
        raise InputError(
            f"{_file(name, 'graph_indicator', called)} speaks of graph {count} and of {nodes:,} nodes only, expected "
            "graphs numbered from 1 without gaps."
        )
    empty = np.setdiff1d(np.arange(count), graph_of_node)
    if graph_of_node.min() < 0 or len(empty):
        given = int(graph_of_node.min()) + 1 if graph_of_node.min() < 0 else int(empty[0]) + 1
        problem = "which is below 1" if graph_of_node.min() < 0 else "which has no nodes"
        raise InputError(f"{_file(name, 'graph_indicator', called)} speaks of graph {given}, {problem}.")
    outside = np.flatnonzero((arcs < 1).any(axis=1) | (arcs > nodes).any(axis=1))
    if len(outside):
        pair = ", ".join(str(each) for each in arcs[outside[0]])
        raise InputError(
            f"{_file(name, 'A', called)}, line {outside[0] + 1}: the arc {pair} names a node that is not there, "
            f"expected 1 to {nodes} ({len(outside)} such lines)."
        )
    ends = graph_of_node[arcs - 1]
    across = np.flatnonzero(ends[:, 0] != ends[:, 1])
    if len(across):
        first = across[0]
        raise InputError(
            f"{_file(name, 'A', called)}, line {first + 1}: the arc joins graph {ends[first, 0] + 1} with graph "
            f"{ends[first, 1] + 1}, expected both ends in one graph ({len(across)} such lines)."
        )
    if per_graph is not None and len(per_graph) != count:
        raise InputError(
            f"{called} has {len(per_graph):,} labels of graphs for {count:,} graphs in {name}_graph_indicator.txt; "
            "if a file is cut off, copy it again."
        )


def _same_length(name: str, called: str, what: str, count: int, given: Mapping[str, Any]) -> None:
    for key, value in given.items():
        if value is not None and value.shape[0] != count:
            raise InputError(
                f"{called} has {value.shape[0]:,} rows of {key.replace('_', ' ')} for {count:,} {what}s of {name}; "
                "if a file is cut off, copy it again."
            )


def _graph_labels(labels: Whole | None, values: Any, names: TUNames) -> tuple[Any, tuple[str, ...] | None]:
    if labels is None:
        return (None if values is None or values.shape[1] != 1 else values[:, 0]), None
    distinct, numbers = np.unique(labels[:, 0], return_inverse=True)
    return numbers, tuple(names.classes.get(int(each), str(each)) for each in distinct)


def _features(
    labels: Whole | None, attributes: Any, names: TUNames
) -> tuple[Whole | None, Any, tuple[str, ...] | None, tuple[str, ...] | None]:
    """The number of each node's type, the features, their names, and the names of the types."""
    parts: list[Any] = []
    feature_names: list[str] = []
    numbers, types = None, None
    if labels is not None:
        distinct = sorted({*labels[:, 0].tolist(), *names.nodes})
        types = tuple(names.nodes.get(each, str(each)) for each in distinct)
        numbers = np.searchsorted(distinct, labels[:, 0])
        ones = np.ones(len(numbers), dtype=np.float32)
        shape = (len(numbers), len(distinct))
        parts.append(scipy.sparse.csr_array((ones, (np.arange(len(numbers)), numbers)), shape=shape))
        feature_names += types
    if attributes is not None and (labels is None or len(labels) == len(attributes)):
        parts.append(attributes)
        feature_names += [f"attribute {number + 1}" for number in range(attributes.shape[1])]
    elif attributes is not None:
        return numbers, attributes, None, types  # of another length, which is refused
    if not parts:
        return None, None, None, None
    if types is None or len(types) <= _DENSE_TYPES:
        return numbers, np.concatenate([_dense(part) for part in parts], axis=1), tuple(feature_names), types
    return numbers, scipy.sparse.hstack(parts, format="csr"), tuple(feature_names), types


def _dense(part: Any) -> Any:
    return part.toarray() if scipy.sparse.issparse(part) else part


def _edge_types(labels: Whole, names: TUNames) -> tuple[Whole, tuple[str, ...]]:
    distinct = sorted({*labels.tolist(), *names.edges})
    words = [names.edges.get(each, str(each)) for each in distinct]
    if set(words) <= set(BOND_TYPES):
        return np.array([BOND_TYPES.index(word) for word in words])[np.searchsorted(distinct, labels)], BOND_TYPES
    return np.searchsorted(distinct, labels), tuple(words)


def _has_lonely_arcs(arcs: Whole, nodes: int) -> bool:
    there, back = arcs[:, 0] * (nodes + 1) + arcs[:, 1], arcs[:, 1] * (nodes + 1) + arcs[:, 0]
    return not bool(np.isin(there, back).all())
