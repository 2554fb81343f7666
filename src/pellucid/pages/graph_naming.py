"""What a page about a graph calls nodes, edges, features and the thing that is asked about."""

from collections.abc import Sequence

from pellucid.inputs.graph import Graph
from pellucid.inputs.molecule import Molecule
from pellucid.methods.graph_targets import about
from pellucid.pages.graph_bundle import GraphBundle
from pellucid.pages.naming import explained_names, subject, title_key, title_names
from pellucid.pages.notes import noted
from pellucid.pages.words import Catalogue, Segment, Sentence, shortened, visible

_LONGEST = 48


def node_called(graph: Graph, node: int, words: Catalogue) -> str:
    """A node by its name, or by its number where it has none."""
    if graph.node_names is None:
        return words.text("graph.atom" if isinstance(graph.body, Molecule) else "graph.node", node=str(node))
    return shortened(graph.node_names[node], longest=_LONGEST)


def nodes_called(graph: Graph, nodes: Sequence[int], words: Catalogue, *, more: int = 0) -> str:
    """Nodes one after the other, and how many more there are."""
    listed = ", ".join(node_called(graph, int(node), words) for node in nodes)
    return words.text("graph.and_more", listed=listed, count=more) if more else listed


def edge_called(graph: Graph, ends: Sequence[int], words: Catalogue) -> str:
    """An edge by its two ends."""
    between = "graph.edge.directed" if graph.directed else "graph.edge"
    first, second = (node_called(graph, int(end), words) for end in ends)
    return words.text(between, first=first, second=second)


def features_called(graph: Graph, words: Catalogue) -> list[str]:
    """Every feature by its name or number; of a graph without features, each is a node."""
    if graph.featureless:
        return [node_called(graph, node, words) for node in range(graph.num_nodes)]
    if graph.feature_names is not None:
        return [shortened(name, longest=_LONGEST) for name in graph.feature_names]
    return [words.text("graph.feature", index=str(index)) for index in range(graph.num_features)]


def asked_about(bundle: GraphBundle, words: Catalogue) -> str:
    """What is asked about: a node, an edge, or the whole graph, molecule or surface."""
    nodes = bundle.explanations[0].target.nodes
    if len(nodes) == 1:
        return node_called(bundle.graph, nodes[0], words)
    if len(nodes) == 2:
        return edge_called(bundle.graph, nodes, words)
    return words.text(f"graph.what.{bundle.record['facts']['body']}")


def asked_in_full(bundle: GraphBundle, words: Catalogue) -> Sentence:
    """The target as it was resolved: what it is about, and which class or output of it."""
    target = bundle.explanations[0].target
    rest = target.text.removeprefix(visible(about(bundle.graph, target.nodes)))
    if len(target.classes) == 1 and bundle.record["answer"]["form"] == "values":
        rest = f"output {target.classes[0]}"
    which = noted(rest, "target", words, longest=160, otherwise="name")
    return (Segment(f"{asked_about(bundle, words)}: ", "name"), *which) if target.nodes else which


def graph_title(bundle: GraphBundle, words: Catalogue) -> tuple[str, dict[str, str]]:
    """The key of the title that fits, and the names that it has places for."""
    what = asked_about(bundle, words)
    return f"graph.{title_key(bundle)}", {**title_names(bundle, words), "what": what}


def scored(bundle: GraphBundle, words: Catalogue) -> str:
    """What the explained number is, in a few words: the logit of a class, a difference of two, an output."""
    target = bundle.explanations[0].target
    if len(target.classes) > 1:
        names = explained_names(bundle, words)
        return words.text("graph.of.contrast", name=names[0], other=names[1])
    kind = "output" if bundle.record["answer"]["form"] == "values" else "logit"
    return words.text(f"graph.of.{kind}", name=subject(bundle, words))
