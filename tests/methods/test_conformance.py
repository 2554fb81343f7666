"""The table of methods beside the peers: no method is missing, and a difference that nothing explains is a failure."""

import dataclasses
import importlib
from pathlib import Path
from types import ModuleType

import pytest

from pellucid.methods.catalogue import METHODS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def conformance(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("conformance")


def test_every_method_is_compared_or_says_where(conformance: ModuleType) -> None:
    assert {*conformance.AGAINST, *conformance.SAMPLED, "lrp"} == set(METHODS)
    assert not conformance.AGAINST.keys() & conformance.SAMPLED.keys()
    for method in conformance.SAMPLED:
        [row] = conformance.rows_of([], [method])
        assert (ROOT / row.explained.removeprefix("in ")).is_file()


@pytest.mark.filterwarnings("ignore")
def test_rows_are_measured_and_fail_where_they_differ_unexplained(conformance: ModuleType) -> None:
    pytest.importorskip("captum")
    rows = conformance.rows_of(["reused ReLU"], ["saliency", "channel-ablation", "deeplift"])
    assert [row.difference <= row.limit for row in rows] == [True] * 3
    assert not any(map(conformance.fails, rows))
    assert conformance.fails(dataclasses.replace(rows[0], difference=1.0))
    assert conformance.fails(dataclasses.replace(rows[0], difference=float("nan")))
    assert not conformance.fails(dataclasses.replace(rows[0], difference=1.0, explained="by the paper"))


def test_the_document_has_a_row_for_every_method() -> None:
    text = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")} == set(METHODS)
