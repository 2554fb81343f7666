"""Every method has a page, and the page says what is true of it."""

import dataclasses
import re
from pathlib import Path

import pytest

from pellucid.methods.catalogue import METHODS

PAGES = Path(__file__).resolve().parents[2] / "docs" / "methods"
ROW = re.compile(r"^\| `(\w+)` \| `([^`]*)` \| (.+) \|$", re.MULTILINE)


def page(method: str) -> str:
    path = PAGES / f"{method}.md"
    assert path.is_file(), f"{method} has no page: write docs/methods/{method}.md"
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("method", list(METHODS))
def test_a_page_answers_every_question_about_its_method(method: str) -> None:
    text = page(method)
    assert text.startswith(f"# {method}\n\n**Its question:** ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        "How to read the picture",
        "When it misleads",
        "Settings",
        "Formula, paper, checks",
    ]
    assert f'method="{method}' in text
    assert ">>> " in text


@pytest.mark.parametrize("method", list(METHODS))
def test_the_settings_on_a_page_are_those_of_the_class(method: str) -> None:
    section = page(method).split("## Settings\n")[1].split("\n## ")[0]
    written = {name: default for name, default, _ in ROW.findall(section)}
    assert written == {field.name: str(field.default) for field in dataclasses.fields(METHODS[method])}
    assert written or "None." in section


@pytest.mark.parametrize("method", list(METHODS))
def test_the_class_says_what_its_settings_mean(method: str) -> None:
    said = METHODS[method].__doc__ or ""
    assert "Reference:" in said
    for field in dataclasses.fields(METHODS[method]):
        assert re.search(rf"^ +{field.name}: ", said, re.MULTILINE), f"{method}: {field.name} is not documented"


@pytest.mark.parametrize("method", list(METHODS))
def test_the_tests_that_a_page_names_exist(method: str) -> None:
    for name in re.findall(r"`(?:tests/methods/)?(test_\w+\.py)`", page(method)):
        assert (Path(__file__).parent / name).is_file()


def test_no_page_is_about_something_else() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(METHODS)
