"""What a page says about each explanation of a graph: its drawings, its bars, and what was measured about it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.figures.numbers import number
from pellucid.inputs.mesh import Mesh
from pellucid.methods.catalogue import GRAPH_METHODS, build, text_of
from pellucid.methods.explanation import Explanation
from pellucid.methods.graph_drawing import MOST, edge_values, feature_values, node_values
from pellucid.methods.graph_subject import GraphSubject
from pellucid.pages.graph_bundle import GraphBundle
from pellucid.pages.graph_naming import asked_about, edge_called, features_called, node_called, scored
from pellucid.pages.graph_pictures import draw_strongest, draw_values
from pellucid.pages.naming import method_name, score_word
from pellucid.pages.notes import noted
from pellucid.pages.words import Catalogue, Segment, Sentence, shortened


def why_section(bundle: GraphBundle, words: Catalogue) -> dict[str, Any]:
    """Every explanation of the bundle."""
    first = bundle.explanations[0]
    return {
        "claim": words.say(
            "graph.why.claim",
            count=len(bundle.explanations),
            score=score_word(bundle, words),
            value=number(first.score, digits=4),
            what=asked_about(bundle, words),
        ),
        "rows": [_row(explanation, bundle, words) for explanation in bundle.explanations],
    }


def _row(explanation: Explanation, bundle: GraphBundle, words: Catalogue) -> dict[str, Any]:
    name, subject = explanation.method, explanation.subject
    assert isinstance(subject, GraphSubject)
    nodes, edges = node_values(explanation), edge_values(explanation)
    units = {kind: _unit(explanation, kind, words) for kind in ("nodes", "edges", "features", "edge_types")}
    drawings: list[dict[str, Any]] = []
    asked = explanation.target.nodes
    if nodes is not None or edges is not None:
        title, rings = _strongest(subject, bundle, nodes, edges, words)
        # Where nothing is asked about in particular, rings are free to show where the strongest is.
        drawn = draw_values(
            subject, words, nodes=nodes, edges=edges, target=asked or rings, unit=units["nodes"],
            edge_unit=units["edges"],
        )  # fmt: skip
        if rings and not asked and not isinstance(bundle.graph.body, Mesh):
            title.append(words.say("graph.why.ring" if nodes is not None else "graph.why.rings"))
        drawings.append({"title": title, "drawing": drawn})
    if edges is not None and isinstance(bundle.graph.body, Mesh):
        ends = _at_ends(subject, edges)
        surface: dict[str, Any] = {"title": [words.say("graph.why.surface")]}
        surface["drawing"] = draw_values(subject, words, nodes=ends, unit=units["edges"])
        drawings = [*drawings, surface] if nodes is not None else [{**surface, "title": [*title, *surface["title"]]}]
    features = feature_values(explanation)
    if features is not None and not bundle.graph.featureless:
        names = features_called(bundle.graph, words)
        best = int(np.abs(features).argmax())
        flat = len(names) > 1 and features.min() == features.max()
        claim = words.say(
            "graph.why.flat.features" if flat else "graph.why.feature",
            name=names[best],
            value=number(features[best], sign=not flat),
            count=len(names),
        )
        drawings.append({"title": [claim], "drawing": draw_strongest(features, names, words, unit=units["features"])})
    types = next((part.values for part in explanation.parts if part.name == "edge_types"), None)
    if types is not None:
        names = [shortened(bundle.graph.edge_type_name(i), longest=40) for i in range(len(types))]
        best = int(np.abs(types).argmax())
        claim = words.say("graph.why.type", name=names[best], value=number(types[best]))
        drawings.append({"title": [claim], "drawing": draw_strongest(types, names, words, unit=units["edge_types"])})
    return {
        "title": method_name(name, words),
        "text": shortened(text_of(build(name, dict(explanation.settings), among=GRAPH_METHODS)), longest=200),
        "reading": words.say(f"graph.reading.{name}") if words.has(f"graph.reading.{name}") else None,
        "findings": _findings(explanation, bundle, words),
        "notes": [noted(note, "explanation", words, longest=400) for note in explanation.notes],
        "drawings": drawings,
        "drawn": _drawn(subject, bundle, words),
    }


def _strongest(
    subject: GraphSubject,
    bundle: GraphBundle,
    nodes: npt.NDArray[Any] | None,
    edges: npt.NDArray[Any] | None,
    words: Catalogue,
) -> tuple[list[Sentence], tuple[int, ...]]:
    """Which node and which edge count most, with their numbers: the title of a drawing; and where they are."""
    graph, said = bundle.graph, []
    places: tuple[int, ...] = ()
    if nodes is not None and len(nodes) > 1 and nodes.min() == nodes.max():
        said.append(words.say("graph.why.flat.nodes", count=len(nodes), value=number(nodes[0])))
    elif nodes is not None and len(nodes):
        best = int(np.abs(nodes).argmax())
        places = (int(subject.nodes[best]),)
        called = node_called(graph, places[0], words)
        said.append(words.say("graph.why.node", name=called, value=number(nodes[best]), count=len(nodes)))
    if edges is not None and len(edges) > 1 and edges.min() == edges.max():
        said.append(words.say("graph.why.flat.edges", count=len(edges), value=number(edges[0])))
    elif edges is not None and len(edges):
        best = int(np.abs(edges).argmax())
        ends = tuple(graph.edges[subject.edges[best]].tolist())
        places = places or ends
        called = edge_called(graph, ends, words)
        said.append(words.say("graph.why.edge", name=called, value=number(edges[best]), count=len(edges)))
    return said, places


def _at_ends(subject: GraphSubject, edges: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """For each node the value of that of its edges which is furthest from 0."""
    found = np.zeros(len(subject.nodes))
    ends = np.searchsorted(subject.nodes, subject.source.edges[subject.edges])
    for place in np.argsort(np.abs(edges), kind="stable").tolist():
        found[ends[place]] = edges[place]
    return found


def _unit(explanation: Explanation, kind: str, words: Catalogue) -> str:
    key = f"graph.unit.{explanation.method}.{kind}"
    return words.text(key) if words.has(key) else ""


def _findings(explanation: Explanation, bundle: GraphBundle, words: Catalogue) -> list[Sentence]:
    said = []
    removal = explanation.settings.get("removal")
    if isinstance(removal, str) and words.has(f"graph.removal.{removal}"):
        said.append(words.say(f"graph.removal.{removal}"))
    checks: dict[str, Any] = dict(explanation.checks)
    totals = {"features": node_values(explanation), "edges": edge_values(explanation)}
    for kind, values in totals.items():
        gap = checks.pop(f"{kind} completeness gap", None)
        if gap is not None and values is not None:
            total = float(values.sum(dtype=np.float64))
            said.append(
                words.say(f"graph.check.{kind}", total=number(total, digits=4), rise=number(total - gap, digits=4))
            )
            said.append(words.say("graph.check.gap", gap=number(gap, digits=2)))
    agreement = checks.pop("rank agreement", None)
    if agreement is not None:
        said.append(words.say("graph.check.agreement", value=number(agreement)))
    return said + [(Segment(f"{name}: {number(value)}", "plain"),) for name, value in sorted(checks.items())]


def _drawn(subject: GraphSubject, bundle: GraphBundle, words: Catalogue) -> list[Sentence]:
    """What is not drawn, and what is drawn although its messages do not reach the target."""
    first, said = bundle.explanations[0].subject, []
    assert isinstance(first, GraphSubject)
    there = len(subject.nodes)
    if there > MOST and bundle.graph.body is None:
        said.append(words.say("graph.input.part", shown=MOST, found=there, all=subject.all_nodes))
    further = there - len(first.nodes)
    if further > 0:
        said.append(words.say("graph.why.further", count=further))
    return said


def settings_text(settings: Mapping[str, Any]) -> str:
    """All settings of a method in one line, as they are written."""
    return ", ".join(f"{name}={value}" for name, value in sorted(settings.items()))


__all__ = ["scored", "settings_text", "why_section"]
