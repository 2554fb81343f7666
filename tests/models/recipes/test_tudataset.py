"""The recipe tudataset: its card, and a short run on MUTAG."""

from pathlib import Path

import pytest

import pellucid
from pellucid.errors import InputError
from pellucid.models.graph_arguments import arguments_of
from pellucid.models.recipes.tudataset import published, train_tudataset


@pytest.fixture
def graphs(tmp_path: Path) -> Path:
    """Forty graphs in the TU format: pairs and triangles of two kinds of nodes."""
    folder = tmp_path / "TINY"
    folder.mkdir()
    arcs, owners, kinds, labels, first = [], [], [], [], 1
    for number in range(40):
        size = 2 + number % 2
        nodes = range(first, first + size)
        arcs += [f"{one}, {other}" for one in nodes for other in nodes if one != other]
        owners += [str(number + 1)] * size
        kinds += [str(node % 2) for node in nodes]
        labels.append(str(number % 2))
        first += size
    for name, lines in (("A", arcs), ("graph_indicator", owners), ("node_labels", kinds), ("graph_labels", labels)):
        (folder / f"TINY_{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_the_card_has_both_protocols_and_what_was_held_out(tmp_path: Path, graphs: Path) -> None:
    card = train_tudataset(tmp_path, data=graphs, epochs=6, folds=3)
    for protocol in ("mean_curve", "inner_validation"):
        assert len(card["accuracy"][protocol]["folds"]) == 3
        assert card["published"][protocol] is None
    assert len(card["data"]["held_out"]) == 4
    model = pellucid.load(tmp_path / "tudataset.safetensors")
    data = pellucid.read(graphs)
    held_out = [data[number] for number in card["data"]["held_out"]]
    given = arguments_of(model.module, held_out)
    found = model.module(given.x, given.edge_index, batch=given.batch).argmax(dim=1).tolist()
    right = [answer == graph.label for answer, graph in zip(found, held_out, strict=True)]
    assert sum(right) / 4 == card["accuracy"]["test"]


def test_the_same_seed_makes_the_same_file(tmp_path: Path, graphs: Path) -> None:
    first, again = (train_tudataset(tmp_path, data=graphs, epochs=2, folds=0, seed=7) for _ in range(2))
    assert first["weights_sha256"] == again["weights_sha256"]
    assert first["accuracy"].keys() == {"test"}


def test_a_single_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("from,to\n0,1\n1,2\n")
    with pytest.raises(InputError, match=r"'one.csv' holds one graph, expected many graphs: a folder with NAME_A.txt"):
        train_tudataset(tmp_path, data=tmp_path / "one.csv")


def test_graphs_without_classes_are_refused(tmp_path: Path, graphs: Path) -> None:
    (graphs / "TINY_graph_labels.txt").unlink()
    with pytest.raises(InputError, match="the graphs of 'TINY' have no classes"):
        train_tudataset(tmp_path, data=graphs)


def test_published_figures_are_found_by_name_and_protocol() -> None:
    assert published("MUTAG", "mean_curve") == {"mean": 0.894, "deviation": 0.056}
    assert published("PROTEINS_full", "mean_curve") == {"mean": 0.762, "deviation": 0.028}
    assert published("MUTAG", "inner_validation") is None


def test_a_few_epochs_on_mutag_are_better_than_the_commoner_class(tmp_path: Path, shared_data: Path) -> None:
    card = train_tudataset(tmp_path, data=shared_data / "graphs" / "tud_mutag", epochs=8, folds=0)
    assert card["class_names"] == ["not mutagenic", "mutagenic"]
    assert card["feature_names"] == ["C", "N", "O", "F", "I", "Cl", "Br"]
    assert card["accuracy"]["test"] > 0.66
