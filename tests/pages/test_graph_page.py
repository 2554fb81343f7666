import base64
import hashlib
import html as escaping
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.pages.graphs import four_nodes, made, network, ring
from tests.pages.test_hostile import CORPUS, SHOWN
from tests.pages.test_korean import english

import graph_models as samples
import pellucid
from pellucid.errors import TargetError
from pellucid.inputs.graph import Graph
from pellucid.models.loading import load
from pellucid.pages.graph_bundle import GraphBundle, make_graph_bundle
from pellucid.pages.index import entry, render_index
from pellucid.pages.page import render, write_page

ALL = ["saliency", "input-x-gradient", "grad-cam", "gnn-explainer(nodes=feature, edge_types=true)", "occlusion"]


def text_of(html: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return escaping.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", body)))


def molecule() -> GraphBundle:
    graph = pellucid.read("smiles:CC(=O)Nc1ccc(O)cc1")
    return make_graph_bundle(network(graph, level="graph"), graph, target="graph")


def mesh(tmp_path: Path) -> Graph:
    corners = "v 1 1 1\nv 1 -1 -1\nv -1 1 -1\nv -1 -1 1\nv 2 2 2\n"
    (tmp_path / "solid.obj").write_text(corners + "f 1 2 3\nf 1 4 2\nf 1 3 4\nf 2 4 3\nf 1 2 5\n")
    found = pellucid.read(tmp_path / "solid.obj")
    assert isinstance(found, Graph)
    return found


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_same_bundle_gives_the_same_bytes(lang: str) -> None:
    assert render(made(), lang=lang) == render(made(), lang=lang)


def test_sections_come_in_the_order_in_which_data_flows() -> None:
    found = re.findall(r'<section id="(\w+)"', render(made(target="graph", settings={"level": "graph"})))
    assert found == ["answer", "input", "matrices", "layers", "readout", "flow", "why", "assumed"]


def test_there_is_no_script_no_inline_style_and_no_address_but_data() -> None:
    html = render(made())
    assert not re.search(r"<script|\sstyle=|\son\w+=|<link|<iframe|@import|url\(", html)
    assert set(re.findall(r"""(?:src|href)="([a-z]+):""", html)) <= {"data"}
    style = re.search(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:" in html


def test_every_number_of_a_layer_is_on_the_page() -> None:
    bundle = made()
    words = text_of(render(bundle))
    graph = four_nodes()
    normalised = graph.normalised_adjacency().toarray()[2]
    aggregated = normalised @ graph.features
    for value in (*normalised, *aggregated):
        assert f"{value:.3g}".ljust(4, "0")[:4] in words
    assert "Row 2 of A: 1 for node 0, node 1, node 3, 0 elsewhere." in words
    assert "Its degree is the sum of these: 4." in words
    assert "From node 3: 1 ÷ √(4 × 2) = 0.354." in words


def test_the_answer_and_the_known_label_stand_at_the_head() -> None:
    words = text_of(render(made()).split('<section id="answer"')[0])
    row = made().record["answer"]["rows"][0]
    assert f"Why does this network say class {row['index']} for node 2?" in words
    assert ("That is its known label." if row["index"] == 1 else "Its known label is another one: class 1.") in words


def test_a_share_that_passes_a_relu_is_called_an_approximation_and_one_that_does_not_exact() -> None:
    assert "they are an approximation" in text_of(render(made()))
    linear = text_of(render(made(settings={"layers": 1})))
    assert "so the shares are exact" in linear
    assert "an approximation" not in linear


def test_a_graph_without_features_says_the_identity_matrix() -> None:
    words = text_of(render(made(ring(), target="node:0")))
    assert "X is the identity matrix, 30 × 30" in words
    assert "Row 0 of X: 1 at itself, 0 elsewhere." in words
    assert "by feature" not in words


def test_a_directed_graph_reads_columns_and_a_weighted_one_tells_its_weights() -> None:
    directed = text_of(render(made(four_nodes(directed=True))))
    assert "Column 2 of A: 1 for node 0, node 1, from where edges lead there; 0 elsewhere." in directed
    weighted = text_of(render(made(four_nodes(edge_weights=[0.5, 1.5, 2.0, 1.0]))))
    assert "Row 2 of A: node 0 = 1, node 1 = 1.50, node 3 = 2, 0 elsewhere." in weighted
    assert "Edges have weights from 0.500 to 2." in weighted


def test_what_a_drawing_leaves_out_is_said() -> None:
    star = Graph(edges=[(0, node) for node in range(1, 200)], num_nodes=300, name="star")
    words = text_of(render(made(star, target="node:0", methods=["saliency"])))
    assert "Drawn are 120 of the 200 nodes in sight, the nearest first; the whole graph has 300." in words


def test_each_method_tells_its_strongest_its_removal_and_its_settings() -> None:
    bundle = made(methods=["occlusion(removal=silence)", "gnn-explainer"])
    words = text_of(render(bundle))
    assert "its messages are 0, degrees and means stay as they were" in words
    edges = bundle.explanations[1].part("edges").values
    ends = four_nodes().edges[int(np.abs(edges).argmax())]
    assert f"Of 4 edges, node {ends[0]} – node {ends[1]} counts most: {edges.max():.3f}." in words
    assert "GNNExplainer: edge_entropy=1.0, " in words


def test_a_network_whose_steps_are_not_known_shows_its_sites_instead() -> None:
    model = load(samples.node_models()["sage"].eval())
    words = text_of(render(make_graph_bundle(model, samples.graph(), target="node:3", methods=["saliency"])))
    assert "The steps of this network are not known, so its sites are listed instead" in words
    assert "convolutions.0" in words
    assert "Through all layers" not in words


def test_layers_with_weights_of_their_own_are_told_from_the_usual_ones() -> None:
    from torch_geometric.nn import GCNConv

    model = load(samples.Two(GCNConv, add_self_loops=False).eval())
    words = text_of(render(make_graph_bundle(model, samples.graph(), target="node:3", methods=["saliency"])))
    assert "Â holds the weights that the first layer itself computes" in words
    assert "1 ÷ √" not in words


def test_a_molecule_is_drawn_as_one_and_rings_mark_the_strongest() -> None:
    words = text_of(render(molecule()))
    assert "has 11 atoms and 11 bonds" in words
    assert "Rings mark its ends." in words
    assert "Types of edges: single 4, double 1, triple 0, aromatic 6." in words


@pytest.mark.parametrize("target", ["graph", "node:0"])
def test_a_surface_is_drawn_from_three_sides_also_for_one_of_its_nodes(tmp_path: Path, target: str) -> None:
    graph = mesh(tmp_path)
    model = network(graph, level="graph" if target == "graph" else "node")
    html = render(make_graph_bundle(model, graph, target=target))
    assert html.count('<div class="views">') >= 4
    assert "Darker where the light does not reach." in html
    assert "Edges on the surface" in html


@pytest.mark.parametrize(
    "make",
    [
        lambda: made(),
        lambda: made(methods=ALL[:3]),
        lambda: made(samples.graph(), target="node:3", methods=ALL),
        lambda: made(target="edge:0-2", settings={"level": "edge"}),
        lambda: made(target="node:2/contrast:0,1"),
        lambda: made(target="node:2/output:1"),
        lambda: made(target="graph", settings={"level": "graph", "readout": "max"}),
        lambda: made(target="graph", settings={"level": "graph", "readout": "attention"}),
        lambda: made(ring(), target="node:0"),
        lambda: made(four_nodes(directed=True, edge_weights=[1, 2, 3, 4]), methods=["grad-cam"]),
        lambda: made(settings={"residual": True, "batch_norm": True, "layers": 3}),
        molecule,
    ],
)
def test_no_english_word_is_seen_on_a_korean_page(make: Callable[[], GraphBundle]) -> None:
    page = render(make(), lang="ko")
    known = {"convolutions", "GNNExplainer", "GraphConvolution", "GCNConv", "single", "double", "triple", "aromatic"}
    known |= {"ring", "degree", "hydrogens", "charge", "other", "element", "four", "random", "graph"}
    assert english(page) - known == set()
    assert re.findall(r'<[^>]*lang="en">[^<]*', page) == []


def hostile(text: str) -> GraphBundle:
    """A bundle with the same foreign text in every place that a stranger can fill."""
    graph = four_nodes(
        name=text,
        node_names=[text, f"{text} 1", f"{text} 2", "plain"],
        feature_names=[text, "other"],
        class_names=[text, f"{text} b"],
        edge_types=[0, 0, 1, 1],
        edge_type_names=[text, "other"],
        notes=(text,),
    )
    from dataclasses import replace

    ours = replace(network(graph), name=text, source=text, notes=(text,))
    methods = ["saliency", "gnn-explainer(edge_types=true)"]
    return make_graph_bundle(ours, graph, target="node:2", methods=methods, remark=text, command=f"pellucid {text}")


@pytest.mark.parametrize("case", CORPUS)
def test_foreign_text_is_escaped_everywhere(case: str) -> None:
    page = render(hostile(CORPUS[case]))
    page.encode()
    if "<" in CORPUS[case]:
        assert CORPUS[case] not in page
    if case in ("template", "emoji"):
        assert page.count(CORPUS[case]) >= 6
    if case == "right to left":
        assert "\u202e" not in page
        assert SHOWN[case] in page


@pytest.mark.browser
@pytest.mark.parametrize("case", ["closing script", "broken image", "svg", "comment", "style", "right to left"])
def test_a_browser_shows_foreign_text_and_does_nothing_else(case: str, tmp_path: Path, chromium: Any) -> None:
    path = write_page(hostile(CORPUS[case]), tmp_path / "page.html")
    tab = chromium.new_page()
    trouble: list[str] = []
    tab.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
    tab.on("console", lambda said: trouble.append(said.text))
    tab.on("request", lambda sent: trouble.append(sent.url[:60]) if sent.url[:5] not in ("file:", "data:") else None)
    tab.goto(path.as_uri())
    elements = tab.evaluate("document.querySelectorAll('script, iframe, object, [onerror], [onload]').length")
    hidden = tab.evaluate("getComputedStyle(document.querySelector('h1')).display")
    tab.close()
    assert trouble == []
    assert elements == 0
    assert hidden == "block"


@pytest.mark.browser
@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("which", ["ring", "molecule", "mesh", "sites"])
def test_nothing_sticks_out_of_the_window(which: str, width: int, lang: str, tmp_path: Path, chromium: Any) -> None:
    if which == "ring":
        bundle = made(ring(node_names=[f"a rather long name {i}" for i in range(30)]), target="node:0",
                      settings={"hidden": 20})  # fmt: skip
    elif which == "molecule":
        bundle = molecule()
    elif which == "mesh":
        graph = mesh(tmp_path)
        bundle = make_graph_bundle(network(graph, level="graph"), graph, target="graph")
    else:
        model = load(samples.node_models()["pyg-gat"].eval())
        bundle = make_graph_bundle(model, samples.graph(), target="node:3", methods=["saliency"])
    tab = chromium.new_page(viewport={"width": width, "height": 900})
    violations: list[str] = []
    tab.on("console", lambda said: violations.append(said.text))
    tab.goto(write_page(bundle, tmp_path / "page.html", lang=lang).as_uri())
    wide = tab.evaluate("document.documentElement.scrollWidth")
    inside = tab.evaluate(
        "Math.max(0, ...[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth))"
    )
    smallest = tab.evaluate(
        "Math.min(...[...document.querySelectorAll('body *')].filter(e => e.textContent.trim() && !e.children.length)"
        ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    heads = tab.evaluate(
        "[...document.querySelectorAll('.numbers-table thead bdi')].filter(e => e.getBoundingClientRect().right > "
        "e.parentElement.getBoundingClientRect().right + 1).map(e => e.textContent)"
    )
    tab.close()
    assert violations == []
    assert heads == []
    assert wide <= width
    # On a wide page no table needs to be scrolled.
    assert inside == 0 or width < 1440
    assert smallest >= 11


def test_the_index_lists_a_graph_with_a_drawing_and_its_answer(tmp_path: Path) -> None:
    bundle = made()
    html = render_index([entry(bundle, tmp_path / "four.html")])
    assert '<a href="four.html"' in html
    assert html.count("<svg") == 1
    assert "four" in text_of(html)


def test_a_page_is_about_one_node_or_edge() -> None:
    with pytest.raises(TargetError, match=r"'node:\*' is about all of them, and a page is about one"):
        made(target="node:*")


def test_of_directed_edges_rows_of_a_send_and_rows_of_the_messages_receive() -> None:
    graph = four_nodes(directed=True)
    assert graph.adjacency().toarray()[0, 1] == 1
    assert "In A and A + I rows send and columns receive; in Â rows receive" in text_of(render(made(graph)))
    assert "Rows receive, columns send." in text_of(render(made()))


def test_of_equals_none_is_called_the_most() -> None:
    graph = four_nodes(edges=[(0, 1), (1, 2), (0, 2)], num_nodes=4)
    words = text_of(render(made(graph, target="node:0")))
    assert "A: 3 nodes have the most neighbours, 2 each" in words
    assert "3 messages arrive; 3 of them weigh most, 0.333 each." in words
    alone = text_of(render(made(four_nodes(edges=np.zeros((0, 2), dtype=int), num_nodes=4), target="node:0")))
    assert "A: no node has a neighbour" in alone


def test_the_heaviest_of_many_messages_is_called_so_though_its_share_is_small() -> None:
    # Node 13 has one edge, so its message is the heaviest, and nothing in it.
    spokes = [(0, node) for node in range(1, 14)] + [(node, node + 1) for node in range(1, 12)]
    features = np.ones((14, 2))
    features[13] = 0
    bundle = made(four_nodes(edges=spokes, features=features, labels=None), target="node:0")
    layer = bundle.record["steps"][0]["layers"][0]
    assert layer["others"]["count"] > 0
    assert "that of node 13 weighs most" in text_of(render(bundle))


def test_where_nothing_is_brought_nobody_brings_most() -> None:
    graph = four_nodes(features=np.zeros((4, 2)))
    words = text_of(render(made(graph, methods=["integrated-gradients"])))
    assert "No node brings anything to" in words
    assert "All 2 features have the value 0." in words
    assert "brings most" not in words
    assert "largest share comes" not in words


def test_a_node_that_hears_only_itself_is_said_to() -> None:
    graph = ring(200, directed=True, edges=[(node, node + 1) for node in range(199)])
    words = text_of(render(made(graph, target="node:0", methods=["saliency"])))
    assert "depends on that one node alone, of 200." in words
    assert "Drawn is the one node in sight; the whole graph has 200." in words
    assert "0 hops" not in words


def test_where_all_that_is_in_sight_is_drawn_that_is_said() -> None:
    words = text_of(
        render(made(ring(200, edges=[(n, n + 1) for n in range(199)]), target="node:9", methods=["saliency"]))
    )
    assert "Drawn are all 5 nodes in sight; the whole graph has 200." in words


def test_degrees_of_a_directed_graph_count_what_leads_to_a_node() -> None:
    graph = four_nodes(directed=True)
    assert "0 to 2 edges lead to a node" in text_of(render(made(graph)))
    weighted = four_nodes(directed=True, edge_weights=[1.0, 1.0, 1.0, 1.0])
    assert "The weights of the edges that lead to a node sum to 0 to 2" in text_of(render(made(weighted)))
