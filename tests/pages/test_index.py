import html as escaping
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.pages.test_hostile import CORPUS, SHOWN, hostile

from pellucid.errors import CapacityError
from pellucid.pages import page
from pellucid.pages.bundle import Bundle
from pellucid.pages.index import LeftOut, entry, render_index, write_index


def test_a_line_names_picture_model_answer_and_probability(bundle: Bundle) -> None:
    html = render_index([entry(bundle, Path("x/cat.html"))])
    row = bundle.record["answer"]["rows"][0]
    cells = re.findall(r"<bdi>([^<]+)</bdi>", html)
    assert cells == ["cat.png", "small", row["name"]]
    assert f'<td class="n">{row["probability"]:.3f}</td>' in html
    assert html.count('href="cat.html"') == 2


def test_pictures_and_models_are_counted_by_their_digests(bundle: Bundle) -> None:
    line = entry(bundle, Path("a.html"))
    other = replace(line, looks=(replace(line.looks[0], weights_digest="0" * 64),))
    html = render_index([line, line, other])
    assert "3 pages" in html
    assert "One picture in 2 models." in html


def test_a_digest_that_is_no_text_does_not_end_the_index_of_all_others(bundle: Bundle) -> None:
    odd = {**bundle.record, "picture": {**bundle.record["picture"], "digest": ["x"]}}
    lines = [entry(bundle, Path("a.html")), entry(Bundle(record=odd, arrays=bundle.arrays), Path("b.html"))]
    assert "2 pictures" in render_index(lines)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_index_has_no_script_and_only_its_own_style(bundle: Bundle, lang: str) -> None:
    html = render_index([entry(bundle, Path("a.html"))], left_out=[LeftOut(name="b", reason="c")], lang=lang)
    assert not re.search(r"<script|\sstyle=|\son\w+=|<link|<iframe|@import|url\(", html)
    assert "default-src 'none'; style-src 'sha256-" in html
    assert html == render_index([entry(bundle, Path("a.html"))], left_out=[LeftOut(name="b", reason="c")], lang=lang)


@pytest.mark.parametrize("case", CORPUS)
def test_foreign_text_is_escaped_in_the_index(case: str) -> None:
    text = CORPUS[case]
    found = entry(hostile(text), Path(f"{text[:40]}.html".replace("/", "|").replace("\ud800", "")))
    html = render_index([found], left_out=[LeftOut(name=text, reason=text)])
    shown = SHOWN.get(case, text)
    if case != "long":
        assert html.count(escaping.escape(shown).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")) >= 4
    if "<" in shown:
        assert shown not in html
    (address,) = set(re.findall(r'href="([^"]+)"', html))
    assert re.fullmatch(r"[\w.%~-]+", address, flags=re.ASCII)


def test_an_address_cannot_leave_the_folder_or_begin_a_script(bundle: Bundle) -> None:
    found = replace(entry(bundle, Path("a.html")), page="javascript:alert(1).html")
    assert 'href="javascript%3Aalert%281%29.html"' in render_index([found])


def test_an_index_of_very_many_pages_has_smaller_pictures(bundle: Bundle) -> None:
    line = entry(bundle, Path("a.html"))
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    line = replace(line, looks=(replace(line.looks[0], thumbnail=noise),))
    sizes = {count: len(render_index([line] * count)) for count in (250, 251, 1000, 1001)}
    assert sizes[250] > 2 * sizes[251]
    assert sizes[1000] > 2 * sizes[1001]
    # Noise is the largest picture that there is.
    assert max(sizes.values()) < page.LIMIT


def test_an_index_is_written_whole_or_not_at_all(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "LIMIT", 1000)
    with pytest.raises(CapacityError, match="the index of 1 pages takes"):
        write_index([entry(bundle, Path("a.html"))], tmp_path / "index.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.browser
@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_sticks_out_of_the_window(bundle: Bundle, tmp_path: Path, chromium: Any, lang: str, width: int) -> None:
    lines = [entry(bundle, Path("a.html")), entry(hostile("x" * 300), Path("b.html"))]
    path = write_index(lines, tmp_path / "index.html", left_out=[LeftOut(name="y" * 90, reason="z" * 200)], lang=lang)
    tab = chromium.new_page(viewport={"width": width, "height": 900})
    said: list[str] = []
    tab.on("console", lambda each: said.append(each.text))
    tab.goto(path.as_uri())
    wide = tab.evaluate("document.documentElement.scrollWidth")
    tab.close()
    assert said == []
    assert wide <= width
