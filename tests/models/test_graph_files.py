"""Weights files of graph networks: what comes back, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import scipy.sparse
import torch

import pellucid
from pellucid.archive import digest
from pellucid.errors import CheckpointError, InputError, ModelError, SettingError
from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_features import row_normalised
from pellucid.inputs.image import Image
from pellucid.inputs.karate import karate_club
from pellucid.models.bundled import load_kinship, load_truth
from pellucid.models.gcn import GCN
from pellucid.models.graph_arguments import arguments_of
from pellucid.models.graph_files import KEY, saved_network

NAMES = ("a", "b", "c")
KINDS: list[dict[str, Any]] = [
    {},
    {"convolution": "gin", "level": "graph", "readout": "attention", "every_layer": True, "batch_norm": True},
    {"convolution": "sage", "level": "edge", "layers": 3, "residual": True, "dropout": 0.25, "hidden": 5},
]


def network(**options: Any) -> GCN:
    torch.manual_seed(0)
    return GCN(4, 3, **options)


def written(place: Path, change: Callable[[dict[str, Any]], None] | None = None, **options: Any) -> Path:
    """A file of a network, its record changed."""
    file = place / "net.safetensors"
    file.write_bytes(saved_network(network(**options), class_names=NAMES, preparation=None))
    if change is not None:
        state = safetensors.torch.load_file(file)
        with safetensors.safe_open(file, framework="pt") as opened:
            record = json.loads(opened.metadata()[KEY])
        change(record)
        safetensors.torch.save_file(state, file, metadata={KEY: json.dumps(record)})
    return file


@pytest.mark.parametrize("options", KINDS)
def test_every_kind_of_network_comes_back_with_its_weights_and_names(tmp_path: Path, options: dict[str, Any]) -> None:
    net = network(**options)
    model = pellucid.load(written(tmp_path, **options))
    assert isinstance(model.module, GCN)
    assert model.module.settings == net.settings
    assert not model.module.training
    assert all(parameter.requires_grad for parameter in model.module.parameters())
    assert (model.name, model.class_names, model.notes) == ("net", NAMES, ())
    arcs = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    x = torch.randn(3, 4)
    assert torch.equal(model.module(x, arcs), net.eval()(x, arcs))


def test_equal_networks_make_equal_files() -> None:
    first, second = (saved_network(network(), class_names=NAMES, preparation=None) for _ in range(2))
    assert first == second


def test_loading_leaves_the_random_state_alone(tmp_path: Path) -> None:
    file = written(tmp_path)
    before = torch.get_rng_state()
    pellucid.load(file)
    assert torch.equal(before, torch.get_rng_state())


def test_graphs_are_prepared_as_in_training_and_the_notes_say_so(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    file.write_bytes(saved_network(network(), class_names=NAMES, preparation="row-normalised"))
    assert pellucid.load(file).notes == (
        "it was trained on graphs with features that are 'row-normalised', and every graph it is given is made so",
    )
    features = np.random.default_rng(0).uniform(1, 9, (3, network().settings["in_features"]))
    graph = Graph(edges=[(0, 1), (1, 2)], features=features)
    model = pellucid.load(file)
    target = "graph" if network().level == "graph" else "node:1"
    raw, ready = (
        pellucid.explain(model, each, method="saliency", target=target) for each in (graph, row_normalised(graph))
    )
    assert raw.same_as(ready)
    plain = pellucid.explain(model.module, graph, method="saliency", target=target)
    assert not np.allclose(raw.logits, plain.logits, atol=1e-3)


def test_the_card_beside_the_weights_is_found_and_leads_to_them(tmp_path: Path) -> None:
    file = written(tmp_path)
    card = file.with_suffix(".json")
    card.write_text(json.dumps({"weights_sha256": digest(file.read_bytes()), "accuracy": 1}))
    assert pellucid.load(card).card["accuracy"] == pellucid.load(file).card["accuracy"] == 1
    card.write_text(json.dumps({"weights_sha256": "0" * 64, "accuracy": 1}))
    assert "accuracy" not in pellucid.load(file).card, "the card of another file is not this one's"
    with pytest.raises(CheckpointError, match=r"net.safetensors is not the file that net.json describes"):
        pellucid.load(card)


def test_cards_that_lead_nowhere_say_so(tmp_path: Path) -> None:
    card = tmp_path / "net.json"
    with pytest.raises(CheckpointError, match=r"net.json is missing, expected the .json beside weights"):
        pellucid.load(card)
    card.write_text("[1]")
    with pytest.raises(CheckpointError, match=r"net.json is no model card"):
        pellucid.load(card)
    card.write_text(json.dumps({"weights_sha256": "0" * 64}))
    with pytest.raises(CheckpointError, match=r"net.safetensors is missing beside its model card net.json"):
        pellucid.load(card)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record["settings"].update(hidden=17), "does not fit its own settings: 3 of 4 tensors"),
        (lambda record: record["settings"].update(layers=10**12), "has 1,000,000,000,000 layers and holds 4 tensors"),
        (lambda record: record["settings"].update(hidden=10**12), "does not fit its own settings"),
        (
            lambda record: record["settings"].update(convolution="gat"),
            "settings that make no GCN: convolution is 'gat'",
        ),
        (lambda record: record["settings"].update(colour="red"), "settings that make no GCN: .*colour"),
        (lambda record: record["settings"].update(layers="2"), "settings that make no GCN: layers is '2'"),
        (lambda record: record.update({"class": "GAT"}), "holds something else than a GCN"),
        (lambda record: record.update(class_names=["a"]), "does not name each of its classes"),
        (lambda record: record.update(class_names=[1, 2, 3]), "does not name each of its classes"),
        (lambda record: record.update(preparation=3), "has a int as preparation, expected a word"),
    ],
)
def test_a_record_that_cannot_be_right_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        pellucid.load(written(tmp_path, change))


def test_metadata_that_are_no_json_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(1)}, file, metadata={KEY: "{"})
    with pytest.raises(CheckpointError, match=r"net.safetensors has metadata that are no JSON"):
        pellucid.load(file)


def test_other_safetensors_still_need_their_architecture(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(1)}, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="not the network they belong to"):
        pellucid.load(file)


def test_a_file_that_says_its_size_takes_no_other(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="num_classes is 3, expected nothing"):
        pellucid.load(written(tmp_path), num_classes=3)


def test_the_bundled_karate_network_knows_its_club() -> None:
    model, club = pellucid.load("karate"), karate_club()
    assert model.class_names == club.class_names
    assert model.card["data"]["graph_sha256"] == club.digest
    given = arguments_of(model.module, [club])
    right = model.module(given.x, given.edge_index).argmax(dim=1).numpy() == club.labels
    assert right[club.splits["test"]].mean() == model.card["accuracy"]["test"] >= 0.9
    assert not any("assumed" in note for note in model.notes)


def test_a_network_of_graphs_refuses_pictures_and_has_no_table_of_drawings() -> None:
    import numpy as np

    model = pellucid.load("karate")
    picture: Image = pellucid.read(np.zeros((8, 8, 3), dtype=np.uint8))
    with pytest.raises(InputError, match="karate looks at graphs, and a picture was given; give it a graph"):
        model.tensor([picture])
    for wanted in (load_truth, load_kinship):
        with pytest.raises(ModelError, match="karate looks at graphs, expected a network of drawings"):
            wanted("karate")


def test_weights_that_are_whole_numbers_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path)
    state = {name: tensor.int() for name, tensor in network().state_dict().items()}
    with safetensors.safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    safetensors.torch.save_file(state, file, metadata=metadata)
    with pytest.raises(CheckpointError, match="holds int32 as"):
        pellucid.load(file)


def test_a_file_that_asks_for_a_billion_norms_is_refused_at_once(tmp_path: Path) -> None:
    file = written(tmp_path, change=lambda record: record["settings"].update(batch_norm=10**9))
    with pytest.raises(CheckpointError, match="batch_norm is 1000000000, expected True or False"):
        pellucid.load(file)


def test_weights_of_one_graph_survive_beside_a_graph_without() -> None:
    weighted = Graph(edges=[(0, 1)], edge_weights=[2.0], features=np.ones((2, 4)))
    plain = Graph(edges=[(0, 1)], features=np.ones((2, 4)))
    given = arguments_of(network(), [weighted, plain]).edge_weight
    assert given is not None
    assert given.tolist() == [2, 2, 1, 1]


def test_graphs_whose_edges_have_other_features_are_not_mixed() -> None:
    one, two = (Graph(edges=[(0, 1)], edge_features=np.ones((1, n)), features=np.ones((2, 4))) for n in (1, 2))
    with pytest.raises(InputError, match="edge_features of different lengths"):
        arguments_of(network(), [one, two])


class Dense(torch.nn.Module):
    def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
        return x


def test_sparse_features_that_would_fill_the_memory_are_refused() -> None:
    wide = Graph(edges=[(0, 1)], features=scipy.sparse.csr_array((2, 10**9), dtype=np.float32))
    with pytest.raises(InputError, match=r"would be a dense matrix of 8\.0 GB for this model"):
        arguments_of(Dense(), [wide])
