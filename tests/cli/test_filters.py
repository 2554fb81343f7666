"""`pellucid filters`: the report of the library as a table, as sentences, as one document, and a picture."""

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from tests.cli.conftest import Cli, of_net

import pellucid
from pellucid.models.recipes.drawings import draw, pure

DAMAGED = """
import torch

import pellucid


def build():
    net = pellucid.load("animals").module
    with torch.no_grad():
        net.features[24].weight[3] = net.features[24].weight[8]
    return net
"""


@pytest.fixture
def folder(place: Path) -> Path:
    for kind in ("cat", "dog"):
        (place / "faces" / kind).mkdir(parents=True)
        for seed in range(4):
            PIL.Image.fromarray(draw(seed, pure(kind)).pixels).save(place / "faces" / kind / f"{seed} face.png")
    return place / "faces"


def test_the_document_is_the_library_s_report(cli: Cli, folder: Path) -> None:
    ended = cli("filters", "animals", "faces", "--json")
    assert ended.code == 0
    document = json.loads(ended.out)
    files = sorted(folder.rglob("*.png"))
    record = pellucid.inspect_filters("animals", files).to_record()
    assert document["layers"] == record["layers"]
    assert document["findings"] == []
    assert document["pictures"] == 8
    assert [each["name"] for each in document["batch_norms"]] == [each["name"] for each in record["batch_norms"]]
    assert (document["drawn"], document["file"], document["skipped"]) == ("features.0", "animals-filters.png", [])
    with PIL.Image.open("animals-filters.png") as drawn:
        assert drawn.format == "PNG"


def test_the_table_has_a_line_for_every_layer_and_ends_with_the_verdict(cli: Cli) -> None:
    ended = cli("filters", "animals")
    assert ended.code == 0
    lines = [line for line in ended.out.splitlines() if line.strip()]
    assert lines[-2:] == ["No damage was found: nothing that could not come from training.", "animals-filters.png"]
    assert [line.split()[0] for line in lines[2:-2]] == [
        layer.name for layer in pellucid.inspect_filters("animals").layers
    ]
    assert "note: no pictures were given, so no effect was measured" in ended.err


def test_damage_is_said_in_a_sentence(cli: Cli, place: Path) -> None:
    (place / "damaged.py").write_text(DAMAGED)
    ended = cli("filters", "damaged.py:build", "--trust", *of_net()[2:])
    assert ended.code == 0
    assert "DAMAGE: features.24: 1 of 32 filters is a copy of another up to a factor: 8 like 3." in ended.out


def test_broken_pictures_are_skipped_and_said_and_the_rest_is_taken(cli: Cli, folder: Path) -> None:
    (folder / "cat" / "broken.png").write_bytes(b"no picture")
    (folder / "dog" / "loop.png").symlink_to("loop.png")
    ended = cli("filters", "animals", "faces", "--json")
    assert ended.code == 3
    document = json.loads(ended.out)
    assert document["pictures"] == 8
    assert [each["picture"] for each in document["skipped"]] == ["broken.png", "loop.png"]
    assert len(ended.errors) == 2
    assert "2 of 10 pictures were skipped, 8 taken" in ended.err


def test_nothing_is_reported_when_every_picture_fails(cli: Cli, place: Path) -> None:
    (place / "broken.png").write_bytes(b"no picture")
    ended = cli("filters", "animals", "broken.png", "missing.png")
    assert (ended.code, ended.out) == (1, "")
    assert "all 2 pictures failed" in ended.err
    assert cli("filters", "animals", "missing.png").err.count("\n") == 1
    assert not (place / "animals-filters.png").exists()


def test_of_many_pictures_some_are_taken_from_all_over(cli: Cli, folder: Path) -> None:
    ended = cli("filters", "animals", "faces", "--most", "2", "--json")
    assert json.loads(ended.out)["pictures"] == 2
    assert "note: 2 of 8 pictures are taken; --most takes more" in ended.err


def test_a_site_and_channels_choose_what_is_drawn(cli: Cli) -> None:
    for site, name in (
        ("features.2", "features.2"),
        ("last:conv", "features.5"),
        ("@3", "head"),
        ("*.0", "features.0"),
    ):
        assert json.loads(cli("filters", *of_net(), "--site", site, "--json").out)["drawn"] == name
    assert (
        cli("filters", *of_net(), "--site", "features.2", "--channel", "1", "--channel", "6", "-o", "two.png").code == 0
    )
    assert cli("filters", *of_net(), "--site", "features.2", "--scale", "filter", "-o", "own.png").code == 0
    with PIL.Image.open("two.png") as two, PIL.Image.open("own.png") as own:
        assert not np.array_equal(np.asarray(two), np.asarray(own)[: two.height, : two.width])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--channel", "40"), "channel is 40, expected 0 to 39"),
        (("--site", "kind:conv"), "'kind:conv' means 3 sites"),
        (("--site", "haed"), "no site 'haed'; did you mean 'head'?"),
        (("-o", "maps.jpg"), "expected a name that ends in .png"),
        (("--most", "0"), "--most is 0, expected 1 or more"),
        (("--scale", "map"), "'map' is not one of 'filter', 'shared'"),
        (("--seed", "-1"), "Invalid value for '--seed'"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_inspected(
    cli: Cli, words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pellucid.insights.filters.inspect_filters", lambda *_, **__: pytest.fail("it was inspected"))
    ended = cli("filters", *of_net(), "cat.png", *words)
    assert ended.code == 2
    assert message in ended.errors[0]


def test_a_network_without_filters_has_nothing_to_draw(cli: Cli, place: Path) -> None:
    (place / "bare.py").write_text(
        "from torch import nn\n\n"
        "def build():\n    return nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
    )
    ended = cli("filters", "bare.py:build", "--trust", *of_net()[2:])
    assert ended.code == 2
    assert "expected a network with a convolution or a linear layer" in ended.errors[0]
