import html as escaping
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.pages.conftest import Small, model, picture
from torch import nn

from pellucid.inputs.image import Image
from pellucid.pages.bundle import Bundle, make_bundle
from pellucid.pages.page import render, write_page

CORPUS = {
    "closing script": "</script><script>alert(1)</script>",
    "broken image": "<img src=x onerror=alert(1)>",
    "svg": '"><svg onload=alert(1)>',
    "template": "{{7*7}}",
    "comment": "<!--<script>",
    "line separator": "a\u2028b",
    "nul": "a\x00b",
    "right to left": "cat\u202egnp.exe",
    "long": "x" * 10_000,
    "surrogate": "a\ud800b",
    "decomposed hangul": unicodedata.normalize("NFD", "고양이"),
    "emoji": "👩‍👩‍👧",
    "style": "</style><style>*{display:none}</style>",
    "jinja": "{% include 'style.css' %}",
}
SHOWN = {
    "line separator": "a[U+2028]b",
    "nul": "a[U+0000]b",
    "right to left": "cat[U+202E]gnp.exe",
    "surrogate": "a[U+D800]b",
    "long": "x" * 148 + "… (10\u202f000)",
}


def hostile(text: str) -> Bundle:
    """A bundle with the same foreign text in every place that a stranger can fill."""
    module = Small(classes=3).eval()
    name = text.replace(".", "_")  # a module's name has no dots
    module.add_module(name, nn.ReLU())
    inner = module.forward

    def forward(x: Any) -> Any:
        return inner(module.get_submodule(name)(x))

    module.forward = forward  # type: ignore[method-assign]
    ours = model(
        module=module, name=text, class_names=(text, f"{text} 2", "plain"), source=text, notes=(text,),
        preprocessing=replace(model().preprocessing, source=text),
    )  # fmt: skip
    image = Image(pixels=picture().pixels, name=text, digest="ab" * 32, notes=(text,))
    return make_bundle(ours, image, methods=("grad-cam",), remark=text, command=f"pellucid explain {text}")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Bundle]]:
    folder = tmp_path_factory.mktemp("hostile")
    made = {}
    for place, (case, text) in enumerate(CORPUS.items()):
        found = hostile(text)
        made[case] = write_page(found, folder / f"{place}.html"), found
    return made


@pytest.mark.parametrize("case", CORPUS)
def test_foreign_text_is_escaped_everywhere(case: str, pages: dict[str, tuple[Path, Bundle]]) -> None:
    page = pages[case][0].read_text(encoding="utf-8")
    shown = SHOWN.get(case, CORPUS[case])
    assert page.count(escaping.escape(shown).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")) >= 6
    if "<" in shown:
        assert shown not in page


@pytest.mark.parametrize("case", CORPUS)
def test_foreign_text_survives_saving(case: str, pages: dict[str, tuple[Path, Bundle]], tmp_path: Path) -> None:
    path, made = pages[case]
    made.save(tmp_path / "b")
    assert render(Bundle.load(tmp_path / "b")).encode() == path.read_bytes()


def test_a_bundle_with_unseen_characters_from_elsewhere_is_still_a_page(bundle: Bundle) -> None:
    picture_ = {**bundle.record["picture"], "name": "a\ud800b\x00"}
    foreign = Bundle(record={**bundle.record, "picture": picture_}, arrays=bundle.arrays)
    assert "a[U+D800]b[U+0000]" in render(foreign).encode().decode()


@pytest.mark.browser
@pytest.mark.parametrize("case", CORPUS)
def test_a_browser_shows_the_text_and_does_nothing_else(
    case: str, pages: dict[str, tuple[Path, Bundle]], chromium: Any
) -> None:
    path = pages[case][0]
    tab = chromium.new_page()
    trouble: list[str] = []
    tab.on("dialog", lambda dialog: (trouble.append(f"dialog {dialog.message}"), dialog.dismiss()))
    tab.on("console", lambda said: trouble.append(f"console {said.text}"))
    tab.on("pageerror", lambda error: trouble.append(f"error {error}"))
    tab.on(
        "request", lambda sent: trouble.append(sent.url[:80]) if not sent.url.startswith(("file:", "data:")) else None
    )
    tab.goto(path.as_uri())
    words = tab.evaluate("document.body.innerText")
    elements = tab.evaluate("document.querySelectorAll('script, iframe, object, [onerror], [onload]').length")
    hidden = tab.evaluate("getComputedStyle(document.querySelector('h1')).display")
    tab.close()
    assert trouble == []
    assert SHOWN.get(case, CORPUS[case]) in words.replace("\n", "")
    assert elements == 0
    assert hidden == "block"


@pytest.mark.browser
@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_sticks_out_of_the_window(bundle: Bundle, tmp_path: Path, chromium: Any, lang: str, width: int) -> None:
    path = write_page(bundle, tmp_path / "page.html", lang=lang)
    tab = chromium.new_page(viewport={"width": width, "height": 900})
    violations: list[str] = []
    tab.on("console", lambda said: violations.append(said.text))
    tab.goto(path.as_uri())
    wide = tab.evaluate("document.documentElement.scrollWidth")
    smallest = tab.evaluate(
        "Math.min(...[...document.querySelectorAll('body *')].filter(e => e.textContent.trim() && !e.children.length)"
        ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    tab.close()
    assert violations == []
    assert wide <= width
    assert smallest >= 11
