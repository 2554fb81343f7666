"""Every method, on pictures and on graphs, has a page, and the page says what is true of it."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from pellucid.methods.catalogue import GRAPH_METHODS, METHODS
from pellucid.registry import Registry

PAGES = Path(__file__).resolve().parents[2] / "docs" / "methods"
ROW = re.compile(r"^\| `(\w+)` \| `([^`]*)` \| (.+) \|$", re.MULTILINE)


EACH = [("", METHODS, name) for name in METHODS] + [("graphs", GRAPH_METHODS, name) for name in GRAPH_METHODS]
each_method = pytest.mark.parametrize(
    ("folder", "registry", "method"), EACH, ids=[f"{folder}/{name}".strip("/") for folder, _, name in EACH]
)


def page(folder: str, method: str) -> str:
    path = PAGES / folder / f"{method}.md"
    assert path.is_file(), f"{method} has no page: write {path.relative_to(PAGES.parents[1])}"
    return path.read_text(encoding="utf-8")


@each_method
def test_a_page_answers_every_question_about_its_method(folder: str, registry: Registry[Any], method: str) -> None:
    text = page(folder, method)
    assert text.startswith(f"# {method}\n\n**Its question:** ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        "How to read the picture",
        "When it misleads",
        "Settings",
        "Formula, paper, checks",
    ]
    assert re.search(rf'method=f?"{re.escape(method)}(?![\w+-])', text)
    assert ">>> " in text


@each_method
def test_the_settings_on_a_page_are_those_of_the_class(folder: str, registry: Registry[Any], method: str) -> None:
    section = page(folder, method).split("## Settings\n")[1].split("\n## ")[0]
    written = {name: default for name, default, _ in ROW.findall(section)}
    assert written == {field.name: str(field.default) for field in dataclasses.fields(registry[method])}
    assert written or "None." in section


@each_method
def test_the_class_says_what_its_settings_mean(folder: str, registry: Registry[Any], method: str) -> None:
    said = registry[method].__doc__ or ""
    assert "Reference:" in said
    for field in dataclasses.fields(registry[method]):
        assert re.search(rf"^ +{field.name}: ", said, re.MULTILINE), f"{method}: {field.name} is not documented"


@each_method
def test_the_tests_that_a_page_names_exist(folder: str, registry: Registry[Any], method: str) -> None:
    named = re.findall(r"`(?:tests/methods/)?(test_\w+\.py)`", page(folder, method))
    assert named
    for name in named:
        assert (Path(__file__).parent / name).is_file()


@pytest.mark.parametrize(("folder", "registry"), [("", METHODS), ("graphs", GRAPH_METHODS)])
def test_no_page_is_about_something_else(folder: str, registry: Registry[Any]) -> None:
    assert {path.stem for path in (PAGES / folder).glob("*.md")} == set(registry)
