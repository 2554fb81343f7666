"""The section about a graph as it was read: its drawing, what is left out of it, and what is known about it."""

from typing import Any

from pellucid.figures.numbers import number
from pellucid.inputs.graph_checks import NO_FEATURES
from pellucid.methods.graph_drawing import MOST
from pellucid.methods.graph_subject import GraphSubject, whole_subject
from pellucid.pages.graph_bundle import GraphBundle
from pellucid.pages.graph_naming import asked_about, node_called
from pellucid.pages.graph_pictures import NARROW, Shown, draw_values, small_picture
from pellucid.pages.notes import noted
from pellucid.pages.words import Catalogue, Sentence, percent, shortened


def shown_subject(bundle: GraphBundle) -> GraphSubject:
    """What is drawn of the graph: all of it where that can be read, else what the target can see."""
    graph = bundle.graph
    subject = bundle.explanations[0].subject
    assert isinstance(subject, GraphSubject)
    return whole_subject(graph) if graph.num_nodes <= MOST or graph.body is not None else subject


def input_section(bundle: GraphBundle, words: Catalogue) -> dict[str, Any]:
    """The graph, drawn and in numbers."""
    subject = shown_subject(bundle)
    target = bundle.explanations[0].target
    drawing = draw_values(subject, words, target=target.nodes)
    return {
        "claim": _claim(bundle, words),
        "drawing": drawing,
        "caption": _caption(bundle, subject, drawing, words),
        "facts": _facts(bundle, words),
        "notes": [noted(note, "graph", words) for note in bundle.graph.notes if note != NO_FEATURES],
        "hero": _hero(bundle, subject, words),
    }


def sight(bundle: GraphBundle) -> tuple[int, int]:
    """How many nodes the target can see, and how many hops away the furthest is."""
    subject = bundle.explanations[0].subject
    assert isinstance(subject, GraphSubject)
    return len(subject.nodes), int(subject.hops.max(initial=0))


def _hero(bundle: GraphBundle, subject: GraphSubject, words: Catalogue) -> Shown:
    """The graph beside the title."""
    target = bundle.explanations[0].target.nodes
    if bundle.graph.body is not None:
        return draw_values(subject, words, target=target, wide=NARROW)
    named = [node_called(bundle.graph, node, words) for node in target]
    return Shown(wide=small_picture(subject, target, width=NARROW, named=named), narrow=None)


def _claim(bundle: GraphBundle, words: Catalogue) -> list[Sentence]:
    facts, graph = bundle.record["facts"], bundle.graph
    kind = "directed" if facts["directed"] else "undirected"
    said = [words.say(f"graph.input.claim.{facts['body']}.{kind}" if facts["body"] == "graph" else
                      f"graph.input.claim.{facts['body']}",
                      name=shortened(graph.name), nodes=facts["nodes"], edges=facts["edges"])]  # fmt: skip
    if bundle.explanations[0].target.nodes:
        seen, hops = sight(bundle)
        key = "graph.input.sees" if seen > 1 else "graph.input.sees.alone"
        said.append(words.say(key, what=asked_about(bundle, words), seen=seen, all=facts["nodes"], count=hops))
    return said


def _caption(bundle: GraphBundle, subject: GraphSubject, drawing: Shown, words: Catalogue) -> list[Sentence]:
    if drawing.views:
        return [words.say("graph.input.surface")]
    said = []
    shown, there = min(len(subject.nodes), MOST), len(subject.nodes)
    if bundle.record["facts"]["body"] != "molecule":
        if shown == there < subject.all_nodes:
            said.append(words.say("graph.input.part.all", count=there, all=subject.all_nodes))
        elif there < subject.all_nodes:
            said.append(words.say("graph.input.part", shown=shown, found=there, all=subject.all_nodes))
        elif shown < there:
            said.append(words.say("graph.input.shown", shown=shown, all=there))
        if bundle.graph.labels is not None:
            said.append(words.say("graph.input.labels"))
    if bundle.explanations[0].target.nodes:
        said.append(words.say("graph.input.ring"))
    if bundle.graph.positions is None:
        said.append(words.say("graph.input.layout"))
    return said


def _facts(bundle: GraphBundle, words: Catalogue) -> list[Sentence]:
    facts = bundle.record["facts"]
    degree, features = facts["degree"], facts["features"]
    least, median, most = (number(degree[name]) for name in ("least", "median", "most"))
    key = "graph.fact.degree" if facts["weights"] is None else "graph.fact.degree.weighted"
    key += ".directed" if facts["directed"] else ""
    said = [words.say(key, least=least, median=median, most=most)]
    if facts["weights"] is not None:
        low, high = (number(each) for each in facts["weights"])
        said.append(words.say("graph.fact.weights", low=low, high=high))
    if facts["types"]:
        listed = ", ".join(f"{shortened(each['name'], longest=40)} {number(each['count'])}" for each in facts["types"])
        said.append(words.say("graph.fact.types", listed=listed))
    if features["identity"]:
        said.append(words.say("graph.fact.identity", count=facts["nodes"]))
    else:
        low, high = number(features["low"]), number(features["high"])
        share = percent(features["filled"])
        said.append(words.say("graph.fact.features", count=features["count"], low=low, high=high, share=share))
    if facts["loops"]:
        said.append(words.say("graph.fact.loops", count=facts["loops"]))
    if facts["alone"]:
        said.append(words.say("graph.fact.alone", count=facts["alone"]))
    return said
