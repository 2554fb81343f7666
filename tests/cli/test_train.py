"""`pellucid train` for graphs: what it hands on, what it says, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Cli

from pellucid.models.recipes import facebook, mesh_parts, planetoid, tudataset

RECIPES = {
    "planetoid": (planetoid, "train_planetoid"),
    "tudataset": (tudataset, "train_tudataset"),
    "facebook": (facebook, "train_facebook"),
    "mesh-parts": (mesh_parts, "train_mesh_parts"),
}


def test_karate_is_trained_and_told(cli: Cli, place: Path) -> None:
    ended = cli("train", "karate")
    assert (ended.code, ended.out) == (0, "karate.safetensors\n")
    assert "accuracy, test: 93.8 %" in ended.err
    assert {file.name for file in place.glob("karate.*")} == {"karate.safetensors", "karate.json"}


def test_with_json_the_card_is_the_one_document(cli: Cli, place: Path) -> None:
    ended = cli("train", "karate", "--json", "--quiet", "--seed", "2")
    assert json.loads(ended.out) == json.loads((place / "karate.json").read_text())
    assert json.loads(ended.out)["seed"] == 2
    assert ended.err == ""


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_gets_what_was_said(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch, recipe: str) -> None:
    module, name = RECIPES[recipe]
    seen: dict[str, Any] = {}

    def train(out: Path, **given: Any) -> dict[str, Any]:
        seen.update(given, out=out)
        accuracy = {"test": 0.5, "mean_curve": {"mean": 0.9, "deviation": 0.05}, "parts": {"leg": 0.25}}
        return {"accuracy": accuracy, "published": {"test": 0.75, "mean_curve": {"mean": 0.894, "deviation": 0.056}}}

    monkeypatch.setattr(module, name, train)
    data = [] if recipe == "mesh-parts" else ["--data", "folder"]
    ended = cli("train", recipe, "--seed", "4", *data)
    assert ended.out == f"{recipe}.safetensors\n"
    assert ended.err.splitlines() == [
        "accuracy, test: 50.0 %; published 75.0 %",
        "accuracy, mean curve: 90.0 ± 5.0 %; published 89.4 ± 5.6 %",
        "accuracy, leg: 25.0 %",
    ]
    del seen["progress"]
    assert seen == {"out": Path("."), "seed": 4} | ({"data": Path("folder")} if data else {})


@pytest.mark.parametrize("recipe", ["planetoid", "tudataset", "facebook"])
def test_a_recipe_for_a_data_set_needs_one(cli: Cli, recipe: str) -> None:
    ended = cli("train", recipe)
    assert ended.code == 2
    assert f"{recipe} trains on a data set; name it: --data FOLDER, a folder with " in ended.errors[0]


def test_a_recipe_that_makes_its_own_takes_no_data(cli: Cli) -> None:
    ended = cli("train", "karate", "--data", "folder")
    assert ended.code == 2
    assert "--data is 'folder', expected nothing: karate makes its own" in ended.errors[0]


def test_a_folder_that_is_missing_or_holds_something_else_fails(cli: Cli, place: Path) -> None:
    ended = cli("train", "planetoid", "--data", "nowhere")
    assert (ended.code, ended.errors) == (1, ["error: 'nowhere' does not exist; check the path."])
    (place / "empty").mkdir()
    ended = cli("train", "tudataset", "--data", "empty")
    assert ended.code == 1
    assert (
        "the folder 'empty' holds no data set that is known here, expected a folder with NAME_A.txt" in ended.errors[0]
    )
    assert not list(place.glob("*.safetensors"))
