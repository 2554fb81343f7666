"""The recipe mesh-parts: a short training, what it measures, and real meshes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid
from pellucid.errors import SettingError
from pellucid.inputs.graph_features import prepared
from pellucid.models.recipes.mesh_parts import (
    MeshTraining,
    fit_parts,
    made,
    part_accuracies,
    parts_of,
    train_mesh_parts,
)
from pellucid.models.recipes.shapes import KINDS, PARTS


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("parts")
    return out, train_mesh_parts(out, shapes=2, epochs=15, unseen=1)


def test_even_a_short_training_beats_the_commonest_part(trained: tuple[Path, dict[str, Any]]) -> None:
    accuracy = trained[1]["accuracy"]
    assert accuracy["vertices"] > accuracy["commonest_part"] + 0.1
    assert set(accuracy["parts"]) == set(PARTS)
    assert set(accuracy["kinds"]) == set(KINDS)


def test_the_model_comes_back_and_answers_as_its_card_says(trained: tuple[Path, dict[str, Any]]) -> None:
    out, card = trained
    model = pellucid.load(out / "mesh-parts.json")
    assert model.class_names == PARTS
    assert "'surface-features'" in model.notes[0]
    first, last = card["data"]["unseen_seeds"]
    assert part_accuracies(model.module, made(range(first, last + 1))) == card["accuracy"]  # type: ignore[arg-type]


def test_the_same_seed_makes_the_same_weights() -> None:
    meshes = made(range(1))
    first, again = (fit_parts(meshes, MeshTraining(shapes=1, epochs=1)).state_dict() for _ in range(2))
    assert all((tensor == again[name]).all() for name, tensor in first.items())


def test_seeds_for_training_and_for_measuring_never_meet(trained: tuple[Path, dict[str, Any]]) -> None:
    data = trained[1]["data"]
    assert data["training_seeds"][1] < data["unseen_seeds"][0]


def test_it_runs_on_real_meshes(trained: tuple[Path, dict[str, Any]], shared_data: Path) -> None:
    network = pellucid.load(trained[0] / "mesh-parts.safetensors").module
    for file in sorted((shared_data / "graphs" / "meshes_common").glob("*.obj")):
        graph = pellucid.read(file)
        if graph.num_nodes < 3000:
            parts = parts_of(network, [prepared(graph, "surface-features")])  # type: ignore[arg-type]
            assert parts.shape == (graph.num_nodes,)
            assert np.isin(parts, range(len(PARTS))).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [({"shapes": 0}, "shapes is 0, expected 1 to 1,000,000"), ({"epochs": 0}, "epochs is 0, expected 1 or more")],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        MeshTraining(**given)


def test_measuring_on_nothing_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="unseen is 0, expected 1 or more"):
        train_mesh_parts(tmp_path, unseen=0)
