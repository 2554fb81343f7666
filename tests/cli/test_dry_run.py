"""`pellucid explain --dry-run`: the price, and nothing else."""

import json
from pathlib import Path

from tests.cli.conftest import Cli, of_net


def test_the_price_of_each_method_and_of_all_is_told_and_nothing_is_written(cli: Cli, place: Path) -> None:
    before = {path.name for path in place.iterdir()}
    ended = cli("explain", *of_net(), "cat.png", "--method", "saliency", "--method", "rise(masks=100)", "--dry-run")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].split() == ["method", "forwards", "backwards", "seconds", "MB"]
    assert [line.split()[:3] for line in lines if line.startswith(("saliency", "rise", "together"))] == [
        ["saliency", "1", "1"],
        ["rise", "101", "0"],
        ["together", "101", "1"],
    ]
    assert lines[-1].startswith("Seconds are estimated from one pass on cpu")
    assert {path.name for path in place.iterdir()} - before <= {"__pycache__"}


def test_json_has_the_same_numbers_for_all_pictures_together(cli: Cli) -> None:
    words = ("explain", *of_net(), "cat.png", "cat.png", "--method", "rise(masks=100)", "--dry-run", "--json")
    document = json.loads(cli(*words).out)
    assert document["pellucid"] == "plan"
    assert document["methods"][0]["forwards"] == 101
    assert document["total"]["forwards"] == 202
    assert document["methods"][0]["shared"]["forwards"] == 1
    assert document["total"]["seconds"] > 0


def test_a_method_that_will_refuse_is_named_with_its_reason(cli: Cli) -> None:
    ended = cli("explain", *of_net("dense"), "cat.png", "--method", "grad-cam", "--method", "saliency", "--dry-run")
    assert ended.code == 0
    assert "grad-cam will refuse: grad-cam " in ended.out
    [row] = [line.split() for line in ended.out.splitlines() if line.startswith("grad-cam  ")]
    assert row == ["grad-cam", "–", "–", "–", "–"]


def test_a_model_of_graphs_has_no_price(cli: Cli) -> None:
    ended = cli("explain", "karate", "karate", "--dry-run")
    assert ended.code == 2
    assert "--dry-run" in ended.err
    assert "methods for graphs have no plan" in ended.err
