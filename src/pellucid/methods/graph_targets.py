"""Targets on graphs: which node, edge or graph, and which of its classes.

    node:17                   the class with the largest logit of node 17
    node:17/class:2           class 2 of node 17; also /top:2, /contrast:a,b, /output:0
    node:*                    every node, each as a target of its own
    edge:3-17                 an edge by its ends; edge:*
    graph, graph/class:1      a whole graph; `top:1` and `class:1` alone mean the same

A node may be written by its name.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pellucid.capture.asks import Facts
from pellucid.capture.graph_asks import Aim
from pellucid.capture.graph_engine import RowsOf, WholePass
from pellucid.errors import TargetError, did_you_mean
from pellucid.inputs.graph import Graph
from pellucid.methods.targets import Resolved, check, resolve

_FORM = re.compile(r"(node|edge|graph)(?::([^/]*))?(?:/(.+))?")
_ONE = {"nodes": "node:0", "edges": "edge:0-1", "graphs": "graph"}
_FORMS = "node:17, node:17/class:2, node:*, edge:3-17, graph or graph/class:1"


def check_graph_target(target: str) -> None:
    """Refuse what cannot be a target on a graph, before any work.

    Raises:
        TargetError: It cannot be read.
    """
    _split(target)


def asks_of_all(target: str) -> bool:
    """Whether a target means every node or every edge."""
    return _split(target)[1] == "*"


def aims_of(target: str, graph: Graph, rows: RowsOf) -> list[tuple[int, ...]]:
    """What a target is about in one graph: nodes, ends of edges, or nothing for the graph itself.

    Raises:
        TargetError: The model answers for something else, or there is no such node or edge.
    """
    where, which, _ = _split(target)
    wanted = {"node": "nodes", "edge": "edges", "graph": "graphs"}[where]
    if wanted != rows:
        raise TargetError(
            f"target {target!r} is about {'an' if where == 'edge' else 'a'} {where}, and this model answers for "
            f"{rows}; write {_ONE[rows]}."
        )
    if rows == "graphs":
        return [()]
    if which == "*":
        return (
            [(node,) for node in range(graph.num_nodes)] if where == "node" else list(map(tuple, graph.edges.tolist()))
        )
    if where == "node":
        return [(_node(which, graph, target),)]
    ends = which.split("-")
    if len(ends) != 2:
        raise TargetError(f"target {target!r} names {len(ends)} ends, expected two: edge:3-17.")
    return [(_node(ends[0], graph, target), _node(ends[1], graph, target))]


def resolved(
    target: str,
    graph: Graph,
    nodes: tuple[int, ...],
    logits: Tensor,
    whole: WholePass,
    class_names: tuple[str, ...] | None,
) -> Resolved:
    """What a target means for one node, edge or graph.

    Args:
        target: The target as the user wrote it.
        graph: The graph.
        nodes: The node, or the ends of the edge.
        logits: The logits of this node, edge or graph, (classes,).
        whole: The pass over the graph.
        class_names: Names of the classes, if anybody knows them.

    Raises:
        TargetError: No such class or output.
    """
    what = _split(target)[2]
    facts = Facts(sites=whole.sites, aliases=whole.aliases, class_site=None, items=1, input_shape=(1,))
    [found] = resolve(what, logits[None], facts, class_names)
    return replace(found, asked=target, text=about(graph, nodes) + found.text, nodes=nodes)


def about(graph: Graph, nodes: Sequence[int]) -> str:
    """How the text of a target begins: with the node or the two ends; with nothing for a whole graph."""
    return " and ".join(called(graph, node) for node in nodes) + ": " if nodes else ""


def aim_of(found: Resolved, *, graph: int, offset: int, classes: int) -> Aim:
    """A resolved target as the engine takes it.

    Args:
        found: The target.
        graph: The graph's place in its batch.
        offset: The number of its first node there.
        classes: How many logits there are.
    """
    weights = torch.zeros(classes)
    for index, weight in found.score.weights.items():
        weights[index] = weight
    is_value = found.asked.rpartition("/")[2].startswith("output:")
    nodes = tuple(node + offset for node in found.nodes)
    return Aim(nodes=nodes, graph=graph, weights=weights, is_value=is_value)


def _split(target: str) -> tuple[str, str, str]:
    """Where, which one, and what about it."""
    if not isinstance(target, str):
        raise TargetError(f"target {target!r} is no text; write it as {_FORMS}.")
    match = _FORM.fullmatch(target)
    if match is None:
        word = target.partition(":")[0]
        if word in ("top", "class", "contrast", "output"):
            check(target)
            return "graph", "", target
        near = did_you_mean(word, ["node", "edge", "graph", "top", "class", "contrast", "output"]) or ";"
        raise TargetError(f"target {target!r} cannot be read{near} write it as {_FORMS}.")
    where, which, what = match.groups()
    if (which is None or not which.strip()) != (where == "graph"):
        raise TargetError(f"target {target!r} cannot be read; write it as {_FORMS}.")
    what = what or "top:1"
    check(what)
    if what.startswith("unit:"):
        raise TargetError(f"target {target!r} cannot be used: units are explained in pictures; name a class.")
    return where, (which or "").strip(), what


def _node(text: str, graph: Graph, target: str) -> int:
    text = text.strip()
    names = graph.node_names
    if names is not None and text in names:
        found = [number for number, name in enumerate(names) if name == text]
        if len(found) > 1:
            few = ", ".join(map(str, found[:5]))
            raise TargetError(f"node {text!r} is ambiguous: {len(found)} nodes have that name ({few}); give a number.")
        return found[0]
    if not text.isdecimal():
        near = "" if names is None else did_you_mean(text, list(names))
        raise TargetError(f"target {target!r} names node {text!r}, and there is none{near or '; give its number.'}")
    if int(text) >= graph.num_nodes:
        raise TargetError(
            f"target {target!r} is out of range: the graph has {graph.num_nodes} nodes, 0 to {graph.num_nodes - 1}."
        )
    return int(text)


def called(graph: Graph, node: int) -> str:
    """A node as the text of a target has it: by its number, and by its name where it has one."""
    return f"node {node}" if graph.node_names is None else f"{graph.node_names[node]} (node {node})"
