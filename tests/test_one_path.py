"""Explain, save, load, draw, page: one path for a picture and for a graph of four nodes."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.pages.conftest import model, picture
from tests.pages.graphs import four_nodes, network

import pellucid
from pellucid.methods.explanation import Explanation
from pellucid.models.model import Model
from pellucid.pages.bundle import Bundle, make_bundle
from pellucid.pages.graph_bundle import make_graph_bundle
from pellucid.pages.page import render
from pellucid.pages.saved import report_saved

Case = tuple[Model, Any, str, Callable[..., Any]]
CASES: dict[str, Callable[[], Case]] = {
    "a picture": lambda: (model(), picture(), "top:1", make_bundle),
    "a graph": lambda: (network(four_nodes()), four_nodes(), "node:2", make_graph_bundle),
}


@pytest.mark.parametrize("case", CASES)
def test_an_explanation_is_saved_loaded_and_drawn(case: str, tmp_path: Path) -> None:
    known, given, target, _ = CASES[case]()
    why = pellucid.explain(known, given, method="integrated-gradients(steps=4)", target=target)
    loaded = Explanation.load(why.save(tmp_path / "why"))
    assert loaded.same_as(why)
    # A picture's drawing is a bitmap, a graph's is lines; each shows itself.
    assert any(callable(getattr(loaded.draw(), shown, None)) for shown in ("_repr_svg_", "figure_png"))
    assert repr(loaded) == repr(why)


@pytest.mark.parametrize("case", CASES)
def test_a_bundle_is_saved_loaded_and_gives_the_same_page(case: str, tmp_path: Path) -> None:
    known, given, target, make = CASES[case]()
    bundle = make(known, given, methods=["integrated-gradients(steps=4)"], target=target)
    saved = bundle.save(tmp_path / "b")
    assert render(Bundle.load(saved)) == render(bundle)
    page = report_saved(saved, to=tmp_path / "again.html")
    assert page.read_text(encoding="utf-8") == render(bundle)


@pytest.mark.parametrize("case", CASES)
def test_report_is_the_whole_path_in_one_call(case: str, tmp_path: Path) -> None:
    known, given, target, make = CASES[case]()
    methods = ["integrated-gradients(steps=4)"]
    page = pellucid.report(known, given, to=tmp_path / "page.html", methods=methods, target=target, lang="ko")
    ours = render(make(known, given, methods=methods, target=target), lang="ko")
    duration = r"[0-9.]+( ms|초)"  # two runs, two durations
    assert re.sub(duration, "", page.read_text(encoding="utf-8")) == re.sub(duration, "", ours)
