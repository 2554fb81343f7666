"""From networkx and back: what a graph, its nodes and its edges carry as attributes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid.errors import InputError
from pellucid.inputs.edge_lists import numbered_names
from pellucid.inputs.files import readable
from pellucid.inputs.graph import Graph

_GRAPH_FIELDS = ("name", "label", "class_names", "edge_type_names", "feature_names", "edge_feature_names")

_OF_NODES = frozenset({"features", "label", "pos", "name", "truth", "contribution"})
_OF_EDGES = frozenset({"weight", "type", "features", "truth"})


def is_networkx(source: object) -> bool:
    """Whether an object is a graph of networkx; networkx is not imported for that."""
    return any(
        each.__module__.startswith("networkx.classes") and each.__name__ == "Graph" for each in type(source).__mro__
    )


def from_networkx(source: Any, *, directed: bool | None = None) -> Graph:
    """A graph from a `networkx.Graph`, `DiGraph`, `MultiGraph` or `MultiDiGraph`.

    Nodes get numbers in the order of the graph. Their names become `node_names`, unless they are 0, 1, 2, … in order.

    | attribute | becomes |
    |---|---|
    | of nodes: `features`, a number or a row of numbers | `features` |
    | of nodes: `label`, a number or a word | `labels`, words with `class_names`; -1 where a node has none |
    | of nodes: `pos`, `name`, `truth`, `contribution` | the fields of that meaning |
    | of edges: `weight` | `edge_weights`; 1 where an edge has none, as in networkx |
    | of edges: `type`, a number or a word | `edge_types`, words with `edge_type_names` |
    | of edges: `features`, `truth` | `edge_features`, `edge_truth` |
    | of the graph: `name`, `label` and lists of names | the same fields |

    Args:
        source: The graph; it is only read.
        directed: None takes what the graph is.

    Raises:
        InputError: Some nodes or edges have an attribute that others miss, or rows differ in length; names the first.
    """
    nodes = list(source.nodes)
    if not nodes:
        raise InputError("the networkx graph has no nodes, expected one or more.")
    place = {node: number for number, node in enumerate(nodes)}
    node_data = [source.nodes[node] for node in nodes]
    rows = list(source.edges(data=True))
    edge_data = [attributes for _, _, attributes in rows]
    known = {key: source.graph[key] for key in _GRAPH_FIELDS if _is_there(source.graph.get(key))}
    notes: list[str] = []
    if (label := source.graph.get("label")) is not None:
        classes = list(known.get("class_names", ()))
        known["label"] = classes.index(label) if isinstance(label, str) and label in classes else label
        if not isinstance(known["label"], int | float | np.number):
            notes.append(
                f"the label {readable(repr(known.pop('label')), limit=40)} of the graph is no number: left out"
            )
    given: dict[str, Any] = {"num_nodes": len(nodes), **known}

    def node(number: int) -> str:
        return f"node {readable(repr(nodes[number]), limit=40)}"

    def edge(number: int) -> str:
        start, end, _ = rows[number]
        return f"edge {readable(repr(start), limit=40)}–{readable(repr(end), limit=40)}"

    given["features"] = _rows_of(node_data, "features", node)
    given["positions"] = _rows_of(node_data, "pos", node)
    given["edge_features"] = _rows_of(edge_data, "features", edge)
    labels = [each.get("label") for each in node_data]
    for number, each in enumerate(labels):
        if each is not None and not isinstance(each, str | int | np.integer):
            shown = readable(repr(each), limit=40)
            raise InputError(f"'label' of {node(number)} is {shown}, expected a whole number or a word.")
    if any(each is not None for each in labels):
        given |= _classes(labels, known.get("class_names"))
    types = _complete(edge_data, "type", edge)
    if types is not None:
        given |= _types(types, known.get("edge_type_names"))
    if any("weight" in each for each in edge_data):
        without = sum("weight" not in each for each in edge_data)
        if without:
            notes.append(f"{without} of {len(rows)} edges have no weight and count as 1")
        given["edge_weights"] = _numbers([each.get("weight", 1) for each in edge_data], "weight", edge)
    if (contributions := _complete(node_data, "contribution", node)) is not None:
        given["node_contributions"] = _numbers(contributions, "contribution", node)
    for key, field, data, where in (
        ("truth", "node_truth", node_data, node),
        ("truth", "edge_truth", edge_data, edge),
    ):
        values = _complete(data, key, where)
        wrong = [number for number, value in enumerate(values or ()) if not isinstance(value, bool | np.bool_ | int)]
        if values is not None and wrong:
            shown = readable(repr(values[wrong[0]]), limit=40)
            raise InputError(f"{key!r} of {where(wrong[0])} is {shown}, expected True or False.")
        given[field] = None if values is None else np.array(values, dtype=np.bool_)
    names = _complete(node_data, "name", node)
    if names is not None:
        given["node_names"] = tuple(readable(str(each)) for each in names)
    elif any(isinstance(each, bool) or each != number for number, each in enumerate(nodes)):
        given["node_names"] = tuple(readable(str(each)) for each in nodes)
    notes += _left_out("nodes", node_data, _OF_NODES) + _left_out("edges", edge_data, _OF_EDGES)
    ends = [(place[start], place[end]) for start, end, _ in rows]
    given["directed"] = source.is_directed() if directed is None else directed
    return Graph(edges=np.array(ends, dtype=np.int64).reshape(-1, 2), notes=tuple(notes), **given)


def to_networkx(graph: Graph) -> Any:
    """The graph as a `networkx.Graph` or `DiGraph`; `from_networkx` takes it back.

    Nodes are 0, 1, 2, …; what they are called is their attribute `name`, since names need not be unique. Attributes are
    those of the table of `from_networkx`. Splits, the body and notes have no place there, nor has the order of edges.
    """
    import networkx

    made = networkx.DiGraph() if graph.directed else networkx.Graph()
    made.graph.update(
        {key: getattr(graph, key) for key in _GRAPH_FIELDS if getattr(graph, key) is not None}, name=graph.name
    )
    features = None if graph.featureless else graph.features
    if features is not None and not isinstance(features, np.ndarray):
        features = features.toarray()
    per_node: dict[str, Any] = {
        "features": features,
        "pos": graph.positions,
        "name": graph.node_names,
        "truth": graph.node_truth,
    }
    per_node["contribution"] = graph.node_contributions
    labels = None if graph.labels is None else [_word(int(each), graph.class_names) for each in graph.labels]
    per_node["label"] = labels
    types = None if graph.edge_types is None else [_word(int(each), graph.edge_type_names) for each in graph.edge_types]
    per_edge: dict[str, Any] = {"type": types, "features": graph.edge_features, "truth": graph.edge_truth}
    weights = None if graph.edge_weights is None else [float(each) for each in graph.edge_weights]
    per_edge["weight"] = weights
    made.add_nodes_from((number, _attributes(per_node, number)) for number in range(graph.num_nodes))
    made.add_edges_from(
        (int(start), int(end), _attributes(per_edge, number)) for number, (start, end) in enumerate(graph.edges)
    )
    return made


def _left_out(what: str, data: Sequence[dict[str, Any]], known: frozenset[str]) -> list[str]:
    unknown = sorted({str(key) for each in data for key in each if key not in known})
    if not unknown:
        return []
    some = ", ".join(readable(key, limit=40) for key in unknown[:5]) + (", …" if len(unknown) > 5 else "")
    return [f"attributes of {what} that say nothing to a graph are left out: {some}"]


def _is_there(value: Any) -> bool:
    return value is not None and (not isinstance(value, str | list | tuple) or len(value) > 0)


def _attributes(columns: dict[str, Any], row: int) -> dict[str, Any]:
    found = {key: values[row] for key, values in columns.items() if values is not None}
    return {
        key: value.item() if isinstance(value, np.generic) else value
        for key, value in found.items()
        if value is not None
    }


def _word(number: int, names: Sequence[str] | None) -> str | int | None:
    if number < 0:
        return None
    return number if names is None else names[number]


def _complete(data: Sequence[dict[str, Any]], key: str, where: Callable[[int], str]) -> list[Any] | None:
    there = [key in each and each[key] is not None for each in data]
    if not any(there):
        return None
    missing = [number for number, has in enumerate(there) if not has]
    if missing:
        some = ", ".join(where(number) for number in missing[:3])
        raise InputError(
            f"{len(missing)} of {len(data)} have no {key!r} while the others have ({some}"
            f"{', …' if len(missing) > 3 else ''}); give it to all or to none."
        )
    return [each[key] for each in data]


def _numbers(values: list[Any], key: str, where: Callable[[int], str]) -> Any:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        wrong = next(number for number, each in enumerate(values) if not isinstance(each, int | float | np.number))
        shown = readable(repr(values[wrong]), limit=40)
        raise InputError(f"{key!r} of {where(wrong)} is {shown}, expected a number.") from None


def _rows_of(data: Sequence[dict[str, Any]], key: str, where: Callable[[int], str]) -> Any:
    values = _complete(data, key, where)
    if values is None:
        return None
    rows = []
    for number, value in enumerate(values):
        try:
            rows.append(np.array(value, dtype=np.float64).reshape(-1))
        except (TypeError, ValueError):
            shown = readable(repr(value), limit=40)
            raise InputError(f"{key!r} of {where(number)} is {shown}, expected numbers.") from None
        if len(rows[-1]) != len(rows[0]):
            raise InputError(
                f"{key!r} of {where(number)} has {len(rows[-1])} numbers, {where(0)} has {len(rows[0])}; "
                "give all the same number."
            )
    return np.stack(rows)


def _classes(labels: list[Any], names: Sequence[str] | None) -> dict[str, Any]:
    there = [each for each in labels if each is not None]
    if all(isinstance(each, int | np.integer) for each in there):
        return {"labels": np.array([-1 if each is None else int(each) for each in labels], dtype=np.int64)}
    words = [str(each) for each in there]
    if names is not None and set(words) <= set(names):
        place = {name: number for number, name in enumerate(names)}
    else:
        place = {word: number for number, word in enumerate(sorted(set(words)))}
        names = tuple(readable(each) for each in place)
    numbers = [-1 if each is None else place[str(each)] for each in labels]
    return {"labels": np.array(numbers, dtype=np.int64), "class_names": tuple(names)}


def _types(types: list[Any], names: Sequence[str] | None) -> dict[str, Any]:
    if all(isinstance(each, int | np.integer) for each in types):
        return {"edge_types": np.array([int(each) for each in types], dtype=np.int64)}
    words = [str(each) for each in types]
    if names is not None and set(words) <= set(names):
        return {"edge_types": np.array([list(names).index(each) for each in words]), "edge_type_names": tuple(names)}
    numbers, found = numbered_names(words, bonds=True)
    return {"edge_types": numbers, "edge_type_names": found}
