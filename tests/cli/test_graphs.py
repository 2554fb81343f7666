import json
from pathlib import Path

import pytest
from tests.cli.conftest import Cli, of_net

from pellucid.inputs.graph import Graph

NET = """
import torch
from pellucid.models.gcn import GCN


def nodes():
    torch.manual_seed(0)
    return GCN(2, 2, hidden=3)


def club():
    torch.manual_seed(0)
    return GCN(34, 2, hidden=3)


def molecules():
    torch.manual_seed(0)
    return GCN(19, 2, hidden=3, level="graph")


def unknown():
    torch.manual_seed(0)
    return GCN(2, 2, hidden=3, convolution="sage")
"""
EDGES = "from,to\nAnna,Ben\nBen,Cem\nCem,Dora\nAnna,Cem\n"
PEOPLE = "id,label,age,height\nAnna,a,1,0\nBen,b,0,1\nCem,b,1,1\nDora,a,0,2\n"


@pytest.fixture
def four(place: Path) -> tuple[str, ...]:
    """Four people, and a network for them."""
    (place / "gnet.py").write_text(NET)
    (place / "friends.csv").write_text(EDGES)
    (place / "people.csv").write_text(PEOPLE)
    return ("friends.csv", "--nodes", "people.csv")


def test_show_says_what_was_read(cli: Cli, four: tuple[str, ...]) -> None:
    ended = cli("graph", "show", *four, "--node", "Cem")
    assert ended.code == 0
    assert "4 undirected" in ended.out
    assert "degree 3: Anna, Ben, Dora" in ended.out
    assert "a 2, b 2" in ended.out


def test_show_draws_the_graph_or_the_neighbourhood_of_a_node(cli: Cli, four: tuple[str, ...], place: Path) -> None:
    ended = cli("graph", "show", *four, "-o", "g.svg")
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "g.svg")
    assert (place / "g.svg").read_text(encoding="utf-8").startswith("<svg")
    assert cli("graph", "show", *four, "-o", "g.png").errors == [
        "error: --output is 'g.png', expected a name that ends in .svg, since a graph is drawn in lines."
    ]


def test_matrices_are_numbers_and_the_rows_of_a_node_come_step_by_step(cli: Cli, four: tuple[str, ...]) -> None:
    ended = cli("graph", "matrices", *four)
    assert "A, the adjacency matrix" in ended.out
    assert "0.354" in ended.out
    steps = cli("graph", "matrices", *four, "--node", "Cem").out
    assert "Row 2 of A: 1 for Anna, Ben, Dora, 0 elsewhere." in steps
    assert "From Dora: 1 ÷ √(4 × 2) = 0.354." in steps


def test_large_matrices_are_drawn_or_given_as_a_document(cli: Cli, place: Path) -> None:
    refused = cli("graph", "matrices", "karate")
    assert refused.code == 2
    assert "say --node 3 for the rows of one, -o FILE.svg for a picture" in refused.errors[0]
    for name in ("a.svg", "a.png"):
        ended = cli("graph", "matrices", "karate", "--matrix", "normalised", "-o", name)
        assert (ended.code, ended.out.strip()) == (0, name)
        assert "colours from 0 to" in ended.err
    record = json.loads(cli("graph", "matrices", "karate", "--json").out)
    assert record["adjacency"]["shape"] == [34, 34]
    assert len(record["adjacency"]["values"]) == 156


def test_trace_writes_out_the_steps_of_a_node(cli: Cli, four: tuple[str, ...]) -> None:
    asked = ("graph", "trace", "gnet.py:nodes", *four, "--trust", "--node", "Cem")
    ended = cli(*asked)
    assert ended.code == 0
    assert "  0.3536 × Dora" in ended.out
    record = json.loads(cli(*asked, "--json").out)
    layer = record["layers"][0]
    assert layer["senders"] == [0, 1, 2, 3]
    assert sum(row[0] for row in layer["shares"]) == pytest.approx(layer["transformed"][0])
    assert record["name"] == "Cem"


def test_trace_of_a_network_for_whole_graphs_shows_the_readout(cli: Cli, four: tuple[str, ...]) -> None:
    ended = cli("graph", "trace", "gnet.py:molecules", "smiles:CC(=O)O", "--trust")
    assert ended.code == 0
    assert "mean over 4 nodes" in ended.out


def test_explain_lists_values_and_draws_them(cli: Cli, four: tuple[str, ...], place: Path) -> None:
    asked = ("graph", "explain", "gnet.py:nodes", *four, "--trust", "--target", "node:Cem", "--method", "occlusion")
    ended = cli(*asked, "-o", "why.svg")
    assert ended.code == 0
    assert "Cem – Dora" in ended.out
    assert (place / "why.svg").is_file()
    record = json.loads(cli(*asked, "--method", "saliency", "--json").out)
    assert [each["method"] for each in record["explanations"]] == ["occlusion", "saliency"]
    assert {each["name"] for each in record["explanations"][0]["values"]["node"]} == {"Anna", "Ben", "Cem", "Dora"}


def test_explain_makes_a_page_of_a_graph_and_report_makes_it_again(
    cli: Cli, four: tuple[str, ...], place: Path
) -> None:
    asked = ("explain", "gnet.py:nodes", *four, "--trust", "--target", "node:Cem", "--method", "saliency")
    ended = cli(*asked, "-o", "page.html", "--bundle", "b")
    assert (ended.code, ended.out.split()) == (0, ["page.html", "b.json"])
    assert "--nodes" in (place / "page.html").read_text(encoding="utf-8")
    assert cli("report", "b", "-o", "again.html").code == 0
    assert (place / "again.html").read_bytes() == (place / "page.html").read_bytes()
    record = json.loads(cli(*asked, "--json").out)
    assert record["graphs"][0]["explanations"][0]["method"] == "saliency"


def test_explain_takes_several_graphs_and_names_their_files(cli: Cli, four: tuple[str, ...], place: Path) -> None:
    (place / "out").mkdir()
    molecules = ("smiles:CCO", "smiles:C1CC", "smiles:CC(=O)O")
    ended = cli("explain", "gnet.py:molecules", *molecules, "--trust", "--method", "saliency", "-o", "out")
    assert ended.code == 3
    assert len(ended.errors) == 1
    assert sorted(each.name for each in (place / "out").iterdir()) == ["smiles-CC-=O-O.html", "smiles-CCO.html"]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("--png", "x.png"), "--png is 'x.png', expected nothing, since this model takes graphs"),
        (("--crop", "24"), "--crop is '24', expected nothing, since this model takes graphs"),
        (("--target", "node:Eve"), "names node 'Eve', and there is none"),
        (("--target", "graph"), "answers for nodes; write node:0"),
        (("--method", "grad-cm"), "no method 'grad-cm'"),
        (("--item", "3"), "--item is 3, expected nothing, since 'friends.csv' is one graph"),
        (("--prepare", "row"), "preparation is 'row', expected 'row-normalised' or 'surface-features'"),
    ],
)
def test_what_makes_no_sense_for_a_graph_is_refused(
    cli: Cli, four: tuple[str, ...], extra: tuple[str, ...], message: str
) -> None:
    target = () if "--target" in extra else ("--target", "node:Cem")
    ended = cli("explain", "gnet.py:nodes", *four, "--trust", *target, *extra)
    assert ended.code == 2
    assert len(ended.errors) == 1
    assert message in ended.errors[0]


def test_graphs_and_pictures_are_told_apart(cli: Cli, four: tuple[str, ...]) -> None:
    assert "is a picture, expected a graph" in cli("graph", "show", "cat.png").errors[0]
    assert "takes pictures" in cli("graph", "trace", *of_net()[:2], *four, "--node", "0").errors[0]
    assert "no chain of graph convolutions" in cli("graph", "trace", "gnet.py:unknown", *four, "--trust").errors[0]
    refused = cli("explain", *of_net(), "cat.png", "--directed")
    assert refused.code == 2
    assert "expected a model that takes graphs" in refused.errors[0]


def test_the_demo_trains_two_networks_and_writes_two_pages(cli: Cli, place: Path) -> None:
    ended = cli("demo", "graph")
    assert ended.code == 0
    assert ended.out.split() == ["pellucid-karate.html", "pellucid-caffeine.html"]
    assert "of the members whose side it was not told" in ended.err
    assert cli("demo", "graph", "--bundle", "b").code == 2


def test_the_demo_says_what_is_missing_without_rdkit(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.errors import MissingExtraError

    def missing(*given: object, **rest: object) -> None:
        raise MissingExtraError("rdkit", purpose="reading SMILES", extra="molecules")

    monkeypatch.setattr("pellucid.inputs.smiles.read_smiles", missing)
    ended = cli("demo", "graph", "--json")
    record = json.loads(ended.out)
    assert ended.code == 0
    assert record["pages"] == ["pellucid-karate.html"]
    assert "pip install 'pellucid[molecules]'" in record["missing"]


@pytest.mark.parametrize(
    "command",
    [
        ("graph", "show"),
        ("graph", "matrices"),
        ("graph", "explain", "gnet.py:nodes", "--trust", "--target", "node:Cem"),
        ("explain", "gnet.py:nodes", "--trust", "--target", "node:Cem"),
    ],
)
def test_a_table_of_nodes_is_never_replaced(cli: Cli, four: tuple[str, ...], place: Path, command: tuple[str]) -> None:
    (place / "people.svg").write_text(PEOPLE)
    ended = cli(*command, "friends.csv", "--nodes", "people.svg", "-o", "people.svg")
    assert ended.code == 2
    assert "expected another file than those that are read" in ended.errors[-1]
    assert (place / "people.svg").read_text() == PEOPLE


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("karate", "--item", "3"), "--item is 3, expected nothing, since 'karate' is one graph"),
        (("karate", "--directed"), "--directed is 'said', expected nothing, since edges of 'karate' have no direction"),
        (("karate", "--nodes", "people.csv"), "--nodes is 'people.csv', expected nothing"),
        (("smiles:CO", "--nodes", "people.csv"), "--nodes is 'people.csv', expected nothing"),
        (("karate", "--node", "membr 3"), "the nearest name is 'member 3'."),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    cli: Cli, four: tuple[str, ...], given: tuple[str, ...], message: str
) -> None:
    ended = cli("graph", "show", *given)
    assert ended.code == 2
    assert message in ended.errors[-1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (".", "'.' is a folder without a data set of graphs, expected a graph"),
        ("", "the path is empty, expected the path of a graph"),
        ("prose.txt", "'prose.txt' holds nothing that is known as a graph; see docs/graph-inputs.md"),
    ],
)
def test_what_is_no_graph_is_refused_in_words_about_graphs(cli: Cli, place: Path, name: str, message: str) -> None:
    (place / "prose.txt").write_text("Dear reader,\nthis is prose.\n")
    ended = cli("graph", "show", name)
    assert ended.code == 1
    assert message in ended.errors[0]


def test_a_name_that_two_nodes_have_is_no_node(cli: Cli, place: Path) -> None:
    (place / "twins.json").write_text(Graph(edges=[(0, 1), (1, 2)], node_names=["Kim", "Lee", "Kim"]).to_json())
    ended = cli("graph", "matrices", "twins.json", "--node", "Kim")
    assert ended.code == 2
    assert "expected a number, since 2 nodes have that name (0, 2)" in ended.errors[-1]


def test_trace_calls_neighbours_by_their_names(cli: Cli, four: tuple[str, ...]) -> None:
    ended = cli("graph", "trace", "gnet.py:nodes", *four, "--trust", "--node", "Cem")
    assert ended.out.startswith("Cem: neighbours Anna, Ben, Dora\n")


def test_show_says_that_degrees_of_directed_edges_are_incoming(cli: Cli, four: tuple[str, ...]) -> None:
    ended = cli("graph", "show", "friends.csv", "--directed", "--node", "Anna")
    assert "incoming degree 0: no edge leads here" in ended.out


def test_long_names_do_not_widen_the_matrices(cli: Cli, place: Path) -> None:
    (place / "long.json").write_text(Graph(edges=[(0, 1)], node_names=["x" * 300, "y"]).to_json())
    assert max(map(len, cli("graph", "matrices", "long.json").out.splitlines())) < 100


def test_a_name_that_fits_no_drawing_is_refused_before_anything_is_explained(
    cli: Cli, four: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pellucid.methods.explaining.explain_many", None)
    ended = cli("graph", "explain", "gnet.py:nodes", *four, "--trust", "--target", "node:Cem", "-o", "why.png")
    assert "expected a name that ends in .svg" in ended.errors[-1]


@pytest.mark.parametrize("command", ["trace", "maps"])
def test_commands_about_pictures_say_where_graphs_are_looked_at(cli: Cli, four: tuple[str, ...], command: str) -> None:
    ended = cli(command, "gnet.py:nodes", "friends.csv", "--trust")
    assert ended.code == 1
    assert "takes graphs, expected a model that takes pictures; for graphs there are pellucid graph" in ended.errors[-1]
