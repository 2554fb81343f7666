"""Graphs as SVG: what is drawn is what was given, nothing vanishes, and equal input gives equal bytes."""

import re
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import SettingError
from pellucid.figures.colour import palette, sequential, signed
from pellucid.figures.graph import NAMED, GraphFigure, draw_graph
from pellucid.figures.graph_edges import THINNEST, WIDEST
from pellucid.figures.layout import layout

KARATE = np.array(nx.karate_club_graph().edges)
PLACES = layout(KARATE, num_nodes=34)
SVG = "{http://www.w3.org/2000/svg}"


def elements(svg: str, name: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(f"{SVG}{name}"))


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in elements(svg, "text")]


def coloured(figure: GraphFigure) -> list[ElementTree.Element]:
    """The lines of edges in data colours, without their rims."""
    return [
        each
        for each in elements(figure.svg, "path")
        if each.get("stroke", "").startswith("#") and each.get("stroke") != "#5a626b"
    ]


def hexed(colour: np.ndarray) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour.tolist())


def test_signed_values_have_the_colours_of_the_signed_scale_around_zero() -> None:
    values = np.linspace(-2.0, 1.0, 34)
    figure = draw_graph(PLACES, KARATE, node_values=values, unit="logits")
    wanted = [hexed(c) for c in palette("signed")[signed(values, 2.0)]]
    assert [c.get("fill") for c in elements(figure.svg, "circle")] == wanted
    assert (figure.legend["nodes"]["low"], figure.legend["nodes"]["high"]) == (-2.0, 2.0)
    assert {"−2", "0", "+2", "logits"} <= set(texts(figure.svg))


def test_values_from_zero_are_sequential_and_a_shared_scale_is_kept() -> None:
    values = np.linspace(1.0, 3.0, 34)
    figure = draw_graph(PLACES, KARATE, node_values=values, low=0.0, high=6.0)
    wanted = [hexed(c) for c in palette("sequential")[sequential(values, low=0.0, high=6.0)]]
    assert [c.get("fill") for c in elements(figure.svg, "circle")] == wanted
    assert {"0", "6"} <= set(texts(figure.svg))


def test_a_scale_that_cuts_says_how_much() -> None:
    figure = draw_graph(PLACES, KARATE, node_values=np.arange(34.0), low=0.0, high=16.5)
    assert "50 % beyond the ends, up to 33" in texts(figure.svg)


@pytest.mark.parametrize("value", [0.3, -0.3, 0.0])
def test_equal_values_are_drawn_alike_and_the_key_has_their_number(value: float) -> None:
    figure = draw_graph(PLACES, KARATE, node_values=[value] * 34, edge_values=[value] * 78)
    assert len({c.get("fill") for c in elements(figure.svg, "circle")}) == 1
    lines = [each for each in coloured(figure) if each.get("fill") == "none"]
    assert len({(each.get("stroke"), each.get("stroke-width")) for each in lines}) == 1
    said = " ".join(texts(figure.svg))
    assert {0.3: "every value is 0.300", -0.3: "every value is −0.300", 0.0: "0"}[value] in said
    assert "nan" not in figure.svg.lower()


def test_the_weakest_edge_is_still_a_line_and_the_strongest_is_on_top() -> None:
    weights = np.concatenate([[0.0, 1e-12], np.linspace(0, 1, 76)])
    figure = draw_graph(PLACES, KARATE, edge_values=weights)
    widths = [float(each.get("stroke-width", 0)) for each in coloured(figure)]
    assert min(widths) == THINNEST
    assert max(widths) == WIDEST
    assert widths == sorted(widths)
    # A rim keeps a line visible whose colour is that of the paper.
    assert figure.svg.count('stroke="var(--soft, currentColor)"') >= 78


def test_values_that_are_not_finite_are_no_value_in_the_drawing_and_in_the_key() -> None:
    values, weights = np.ones(34), np.ones(78)
    values[[3, 9]] = np.nan, np.inf
    weights[5] = np.nan
    figure = draw_graph(PLACES, KARATE, node_values=values, edge_values=weights)
    dashed = [c for c in elements(figure.svg, "circle") if c.get("stroke-dasharray")]
    assert len(dashed) == 3  # two nodes and the key
    assert {"no value: 2", "no value: 1"} <= set(texts(figure.svg))
    assert figure.legend["nodes"]["not_finite"] == 2


def test_directed_edges_have_heads_that_end_at_the_rim_of_their_node() -> None:
    figure = draw_graph(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0, 1]]), directed=True)
    (head,) = elements(figure.svg, "polygon")
    tip = [float(v) for v in head.get("points", "").split(" ")[0].split(",")]
    gap = figure.places[1, 0] - tip[0]
    assert figure.radius < gap < figure.radius + 4
    assert not elements(draw_graph(np.eye(2), np.array([[0, 1]])).svg, "polygon")


def test_arcs_in_both_directions_lie_on_two_sides() -> None:
    edges = np.array([[0, 1], [1, 0]])
    figure = draw_graph(np.array([[0.0, 0.0], [1.0, 0.0]]), edges, directed=True)
    controls = [float(re.findall(r"Q\S+ (\S+) ", p.get("d", ""))[0]) for p in elements(figure.svg, "path")]
    middle = figure.places[0, 1]
    assert (controls[0] - middle) * (controls[1] - middle) < 0


def test_edges_between_the_same_nodes_are_as_many_lines_as_there_are_edges() -> None:
    figure = draw_graph(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0, 1]] * 3))
    assert len({p.get("d") for p in elements(figure.svg, "path")}) == 3


def test_a_loop_lies_outside_of_its_node_and_away_from_the_neighbours() -> None:
    figure = draw_graph(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0, 1], [0, 0]]))
    loop = next(p.get("d", "") for p in elements(figure.svg, "path") if "C" in p.get("d", ""))
    xs = [float(x) for x in re.findall(r"(-?[\d.]+) -?[\d.]+", loop)]
    assert min(xs) < figure.places[0, 0] - figure.radius - 8
    assert max(xs) < figure.places[0, 0]


def test_types_of_edges_are_kinds_of_stroke_with_a_key() -> None:
    edges = np.array([[0, 1], [1, 2], [2, 0]])
    figure = draw_graph(
        np.array([[0, 0], [1, 0], [0, 1]]), edges, edge_types=np.array([0, 1, 1]),
        edge_type_names=["cites", "인용"], edge_strokes=["solid", "double"],
    )  # fmt: skip
    assert {"cites", "인용"} <= set(texts(figure.svg))
    assert len(elements(figure.svg, "path")) == 1 + 2 + 2 + 1 + 2


def test_groups_are_shapes_and_colours_and_unknown_ones_are_said() -> None:
    groups = np.array([0, 1] * 16 + [-1, -1])
    figure = draw_graph(PLACES, KARATE, groups=groups, group_names=["Mr. Hi", "임원"])
    assert len(elements(figure.svg, "rect")) == 16 + 1
    assert {"Mr. Hi", "임원", "not known: 2"} <= set(texts(figure.svg))


def test_highlighted_nodes_have_a_ring_and_are_named_even_in_large_graphs() -> None:
    graph = nx.barabasi_albert_graph(150, 2, seed=0)
    edges = np.array(graph.edges)
    names = [f"page {i}" for i in range(150)]
    figure = draw_graph(layout(edges, num_nodes=150), edges, node_names=names, highlighted=[7, 80])
    assert set(texts(figure.svg)) == {"page 7", "page 80"}
    assert set(figure.named) == {7, 80}
    rings = [c for c in elements(figure.svg, "circle") if c.get("fill") == "none"]
    assert len(rings) == 2


def test_short_names_stand_inside_and_long_ones_beside_without_covering_each_other() -> None:
    assert set(texts(draw_graph(PLACES, KARATE).svg)) == {str(i) for i in range(34)}
    tree = np.array(nx.balanced_tree(3, 3).edges)
    figure = draw_graph(layout(tree, num_nodes=40), tree, node_names=[f"word {i}" for i in range(40)])
    assert len(figure.named) >= 0.9 * 40
    spots = [
        (float(t.get("x", 0)), float(t.get("y", 0)), t.get("text-anchor"), len("".join(t.itertext())) * 6.0)
        for t in elements(figure.svg, "text")
    ]
    boxes = [(x - {"end": w, "middle": w / 2}.get(a or "", 0.0), y - 9, w) for x, y, a, w in spots]
    for i, (x, y, w) in enumerate(boxes):
        for u, v, z in boxes[:i]:
            assert x > u + z or u > x + w or abs(y - v) > 8
    assert NAMED == 40


def test_text_is_text_in_any_language_and_nothing_breaks_out_of_it() -> None:
    names = ["한글 이름", "<b>&\"'", "\x00\ud800 x"]
    figure = draw_graph(np.array([[0, 0], [1, 0], [0, 1]]), np.array([[0, 1]]), node_names=names, title="제목 <x>")
    found = texts(figure.svg)
    assert {"한글 이름", "<b>&\"'", "제목 <x>"} <= set(found)
    root = ElementTree.fromstring(figure.svg)
    assert root.get("role") == "img"
    assert root[0].tag.endswith("title")
    assert root[0].text == "제목 <x>"
    assert root[1].tag.endswith("desc")
    assert root[1].text == "nodes: 3, edges: 1"


def test_a_drawing_for_a_page_needs_no_style_script_or_other_file() -> None:
    figure = draw_graph(PLACES, KARATE, node_values=np.arange(34.0), title="x")
    assert "style" not in figure.svg
    assert "font-family" not in figure.svg
    assert not re.search(r"<script|url\(|href=\"(?!data:)", figure.svg)
    # A rule of the page for text is stronger than an attribute of `text`; letters keep theirs in a `tspan`.
    assert all(not {"fill", "font-size"} & set(each.keys()) for each in elements(figure.svg, "text"))


def test_alone_it_stands_on_white_paper_without_variables(tmp_path: Path) -> None:
    figure = draw_graph(PLACES, KARATE, node_values=np.arange(34.0) - 9, highlighted=[1], title="x")
    written = figure.save(tmp_path / "graph.svg").read_text(encoding="utf-8")
    assert "var(" not in written
    assert written == figure._repr_svg_() == figure._repr_html_()
    assert elements(written, "rect")[0].get("fill") == "#ffffff"
    with pytest.raises(SettingError, match=r"a name that ends in \.svg"):
        figure.save(tmp_path / "graph.png")


@given(st.integers(1, 30), st.integers(0, 40), st.integers(0, 9), st.booleans(), st.integers(160, 900))
@settings(deadline=None, max_examples=30)
def test_any_graph_gives_the_same_bytes_twice_and_stays_inside(
    n: int, m: int, seed: int, directed: bool, width: int
) -> None:
    rng = np.random.default_rng(seed)
    edges = rng.integers(0, n, size=(m, 2))
    wishes = {"directed": directed, "node_values": rng.normal(size=n), "edge_values": rng.normal(size=m)}
    places = layout(edges, num_nodes=n)
    figure, again = (draw_graph(places, edges, width=width, **wishes) for _ in range(2))  # type: ignore[arg-type]
    assert figure.svg == again.svg
    assert "nan" not in figure.svg
    assert figure.places.min() >= figure.radius
    assert (figure.places <= np.array([figure.width, figure.height]) - figure.radius).all()


def test_positions_given_by_hand_keep_their_shape_and_y_points_up() -> None:
    figure = draw_graph(np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]]), np.array([[0, 1]]))
    a, b, c = figure.places
    assert a[1] == pytest.approx(b[1])
    assert c[1] < a[1]
    assert (b[0] - a[0]) / (a[1] - c[1]) == pytest.approx(4 / 3)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"node_values": [1.0]}, "node_values is 'float64 (1,)', expected 34 numbers, NaN for no value."),
        ({"edge_values": ["a"] * 78}, "edge_values is '<U1 (78,)', expected 78 numbers, NaN for no value."),
        ({"node_names": ["a"]}, "node_names is '1 names', expected 34."),
        ({"groups": np.zeros(34)}, "groups is 'float64 (34,)', expected 34 whole numbers; -1 is not known."),
        ({"highlighted": [34]}, "highlighted is 34, expected nodes 0 to 33."),
        ({"edge_strokes": ["wavy"]}, "edge_strokes is 'wavy', expected words of solid, dashed, dotted"),
        ({"width": 10}, "width is 10, expected 160 or more."),
    ],
)
def test_what_does_not_fit_together_is_refused_in_one_line(wrong: dict, line: str) -> None:
    with pytest.raises(SettingError) as caught:
        draw_graph(PLACES, KARATE, **wrong)
    assert str(caught.value).startswith(line)


def test_positions_that_are_none_are_refused_in_one_line() -> None:
    with pytest.raises(SettingError, match=r"positions is 'float64 \(0, 2\)', expected numbers of shape \(nodes, 2\)"):
        draw_graph(np.zeros((0, 2)), np.zeros((0, 2)))
    with pytest.raises(SettingError, match=r"positions is '\[nan, 0.0\] at node 1', expected finite numbers\."):
        draw_graph(np.array([[0, 0], [np.nan, 0]]), np.zeros((0, 2)))
    with pytest.raises(SettingError, match=r"edges is 'ends 0 to 5', expected nodes 0 to 1\."):
        draw_graph(np.eye(2), np.array([[0, 5]]))


def test_a_dense_graph_is_a_small_file_and_each_of_its_edges_is_seen() -> None:
    graph = nx.gnp_random_graph(150, 0.38, seed=1)
    edges = np.array(graph.edges)
    figure = draw_graph(layout(edges, num_nodes=150), edges)
    assert len(elements(figure.svg, "path")) == len(edges) > 4000
    assert len(figure.svg) < 70 * len(edges)
    (opacity,) = {g.get("stroke-opacity") for g in elements(figure.svg, "g") if g.get("stroke-opacity")}
    assert float(opacity or 0) >= 0.16


def test_edges_of_a_signed_scale_lie_on_white_in_every_page_so_that_zero_recedes() -> None:
    signs = draw_graph(PLACES, KARATE, edge_values=np.linspace(-1, 1, 78), highlighted=[3])
    (ground,) = elements(signs.svg, "rect")
    assert ground.get("fill") == "#ffffff"
    assert "var(" not in signs.svg[: signs.svg.index("<image")]
    assert not elements(draw_graph(PLACES, KARATE, edge_values=np.linspace(0, 1, 78)).svg, "rect")
