"""The table of methods beside references: no method is missing, and a difference that nothing explains is a failure."""

import dataclasses
import importlib
from pathlib import Path
from types import ModuleType

import pytest

from pellucid.errors import MethodError
from pellucid.methods.catalogue import METHODS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def conformance(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("conformance")


def test_every_method_has_a_reference(conformance: ModuleType) -> None:
    assert set(conformance.REFERENCES) == set(METHODS)


@pytest.mark.filterwarnings("ignore")
def test_rows_are_measured_and_fail_where_they_differ_unexplained(conformance: ModuleType) -> None:
    for peer in ("captum", "zennit"):
        pytest.importorskip(peer)
    methods = ["saliency", "shapley", "excitation-backprop", "cam"]
    rows = conformance.rows_of(["reused ReLU"], methods)
    same, drawn, mended, undefined = rows
    assert [row.method for row in rows] == methods
    assert same.difference == 0
    assert drawn.difference < 1e-6  # Captum sums in single precision
    assert mended.difference > mended.limit > 1e-8 > mended.mended
    assert "equation 3" in mended.explained
    assert undefined.difference is None
    assert "not defined here: cam needs an average" in undefined.explained
    assert not any(map(conformance.fails, rows))
    for wrong in (1.0, float("nan"), None):
        assert conformance.fails(dataclasses.replace(same, difference=wrong))


@pytest.mark.filterwarnings("ignore")
def test_an_explanation_counts_only_where_the_mended_reference_agrees(
    conformance: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    against = conformance.REFERENCES["saliency"]
    twice, thrice = (lambda subject, by=by: by * against.run(subject) for by in (2, 3))
    found = []
    for mended in (against.run, thrice):
        wrong = dataclasses.replace(against, run=twice, mended=mended, because="it doubles")
        monkeypatch.setitem(conformance.REFERENCES, "saliency", wrong)
        [row] = conformance.rows_of(["functional ReLU"], ["saliency"])
        assert row.difference == 0.5
        found.append((row.explained, conformance.fails(row)))
    assert found == [("it doubles", False), ("", True)]


@pytest.mark.filterwarnings("ignore")
def test_a_refusal_that_nobody_expects_is_no_row(conformance: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    other = dataclasses.replace(conformance.REFERENCES["cam"], undefined=False)
    monkeypatch.setitem(conformance.REFERENCES, "cam", other)
    with pytest.raises(MethodError, match="cam needs an average"):
        conformance.rows_of(["reused ReLU"], ["cam"])


def test_the_document_has_a_row_for_every_method() -> None:
    text = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")} == set(METHODS)
