"""The chapters in two languages: what doctest cannot see, for it runs each file alone."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
CHAPTERS = (("textbook.md", "textbook.ko.md"), ("graphs.md", "graphs.ko.md"))
PAGES = [page for chapter in CHAPTERS for page in chapter]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks_of(chapter: str) -> list[list[str]]:
    """The lines of every code block, without the comments, which are in the chapter's language."""
    text = (DOCS / chapter).read_text(encoding="utf-8")
    return [[re.sub(r"\s+# .*$", "", line) for line in block.splitlines()] for block in BLOCK.findall(text)]


def anchor(heading: str) -> str:
    """The anchor that a Markdown page makes of a heading: small letters, no punctuation, dashes for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter[0])
def test_both_languages_run_the_same_code_and_expect_the_same(chapter: tuple[str, str]) -> None:
    english, korean = (blocks_of(page) for page in chapter)
    assert len(english) > 10
    assert korean == english


@pytest.mark.parametrize("chapter", PAGES)
def test_the_contents_lead_to_every_section_in_order(chapter: str) -> None:
    text = BLOCK.sub("", (DOCS / chapter).read_text(encoding="utf-8"))
    headings = [anchor(heading) for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)]
    assert re.findall(r"\]\(#([^)]+)\)", text) == headings


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter[0])
def test_every_trap_stands_in_a_box_in_both_languages(chapter: tuple[str, str]) -> None:
    english, korean = ((DOCS / page).read_text(encoding="utf-8") for page in chapter)
    boxes = [english.count("\n> **Trap: "), korean.count("\n> **함정: ")]
    assert boxes == [english.count("**Trap: "), korean.count("**함정: ")]
    assert boxes[0] == boxes[1] > 0
