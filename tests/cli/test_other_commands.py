"""`demo`, `list`, `train` and `doctor`."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Cli

from pellucid.cli import doctor as doctor_module
from pellucid.methods.catalogue import GRAPH_METHODS, METHODS
from pellucid.models.loading import list_models


def test_demo_writes_a_page_in_out_if_there_is_one(cli: Cli, place: Path) -> None:
    (place / "out").mkdir()
    ended = cli("demo", "--lang", "ko", "--bundle", "demo")
    assert (ended.code, ended.out) == (0, "out/pellucid-demo.html\n")
    page = (place / "out" / "pellucid-demo.html").read_text(encoding="utf-8")
    assert 'lang="ko"' in page
    assert "animals" in page
    assert "<script" not in page
    assert f"file://{place.as_posix()}/out/pellucid-demo.html" in ended.err
    assert str(place) not in page
    # What was saved gives the same page, without the model.
    assert cli("report", "demo", "--lang", "ko").out == "demo.html\n"
    assert (place / "demo.html").read_text(encoding="utf-8") == page


def test_a_photograph_is_remarked_on_and_a_drawing_is_not(cli: Cli, shared_data: Path) -> None:
    from PIL import Image

    from pellucid.models.recipes.drawings import draw, pure

    Image.fromarray(draw(7, pure("cat")).pixels).save("drawn.png")
    cat = str(shared_data / "images" / "misc" / "chelsea.png")
    document = json.loads(cli("explain", "animals", "drawn.png", cat, "--json").out)
    drawn, photographed = document["pictures"]
    assert drawn["remark"] is None
    assert drawn["answer"][0]["name"] == "cat"
    assert "not the kind of picture" in photographed["remark"]


def test_every_model_and_method_is_listed(cli: Cli) -> None:
    found = json.loads(cli("list", "--json").out)
    assert {row["name"] for row in found["models"]} >= set(list_models())
    assert [row["name"] for row in found["methods"]] == list(METHODS)
    assert [row["name"] for row in found["graph-methods"]] == list(GRAPH_METHODS)
    topics = {"models", "methods", "graph-methods", "targets", "graph-targets", "sites", "channels", "filters"}
    assert set(found) == topics


def test_one_topic_is_listed_with_its_settings(cli: Cli) -> None:
    ended = cli("list", "methods")
    assert "integrated-gradients" in ended.out
    assert "steps=50" in ended.out
    assert "kind:conv" not in ended.out


def test_an_unknown_topic_names_the_known_ones(cli: Cli) -> None:
    ended = cli("list", "modles")
    assert ended.code == 2
    assert "'models', 'methods'" in ended.errors[0]


def test_what_is_listed_can_be_read_back_by_the_library() -> None:
    import numpy as np

    from pellucid.capture.channels import select_channels
    from pellucid.cli.listing import _ROWS, Topic
    from pellucid.methods.graph_targets import check_graph_target
    from pellucid.methods.targets import check, expanded
    from pellucid.models.preprocessing import FILTERS

    for row in _ROWS[Topic.targets]():
        for target in expanded(row["name"].split(", ")):
            check(target)
    for row in _ROWS[Topic.graph_targets]():
        for target in re.split(", |; ", row["name"]):
            check_graph_target(target)
    for row in _ROWS[Topic.channels]():
        assert select_channels(row["name"], np.zeros((40, 2, 2)))
    assert [row["name"] for row in _ROWS[Topic.filters]()] == list(FILTERS)


def test_doctor_finds_what_is_here(cli: Cli) -> None:
    import torch

    ended = cli("doctor", "--json")
    document = json.loads(ended.out)
    found = {row["name"]: row for row in document["findings"]}
    assert found["torch"]["found"] == torch.__version__
    assert found["torch threads"]["found"] == str(torch.get_num_threads())
    assert {"Korean", "Japanese", "Chinese", "processor", "timm"} <= set(found)
    assert document["ok"] == (ended.code == 0)


def test_doctor_ends_with_1_where_something_needed_is_missing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    known = doctor_module._version
    monkeypatch.setattr(doctor_module, "_version", lambda name: None if name in ("rich", "timm") else known(name))
    monkeypatch.setattr(doctor_module, "_font_files", list)
    ended = cli("doctor")
    assert ended.code == 1
    assert "bad: not installed; install it: pip install rich" in ended.out
    assert "for timm/NAME models: pip install 'pellucid[models]'" in ended.out
    assert "install a Noto CJK font" in ended.out


def test_train_passes_on_what_was_said_and_says_where_the_weights_are(
    cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pellucid.models.recipes import animals

    seen: dict[str, Any] = {}

    def train(out: Path, *, shortcut: bool, seed: int, progress: Any) -> dict[str, Any]:
        seen.update(out=out, shortcut=shortcut, seed=seed)
        progress(1, 2, "drawings")
        return {"name": "animals-shortcut"}

    monkeypatch.setattr(animals, "train_animals", train)
    ended = cli("train", "animals-shortcut", "--seed", "3")
    assert seen == {"out": Path("."), "shortcut": True, "seed": 3}
    assert (ended.code, ended.out) == (0, "animals-shortcut.safetensors\n")
    assert json.loads(cli("train", "animals", "--json").out) == {"name": "animals-shortcut"}
    assert seen["shortcut"] is False


def test_train_refuses_a_missing_folder_before_the_work(cli: Cli) -> None:
    ended = cli("train", "animals", "--out", "nowhere")
    assert ended.code == 2
    assert "mkdir -p 'nowhere'" in ended.errors[0]


def test_train_knows_only_its_recipes(cli: Cli) -> None:
    ended = cli("train", "animal")
    assert ended.code == 2
    assert "'animals', 'animals-shortcut'" in ended.errors[0]
