"""The page of a comparison: what it says, and that foreign text, windows and languages do it no harm."""

import html as escaping
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.pages.conftest import model, picture, seed_network
from tests.pages.test_comparing import against, compared, other_picture
from tests.pages.test_hostile import CORPUS, SHOWN
from tests.pages.test_page import text_of
from torch import nn

import pellucid
from pellucid.errors import CapacityError, SettingError
from pellucid.inputs.image import Image
from pellucid.models.untrained import untrained_model
from pellucid.pages import page
from pellucid.pages.compare import compare
from pellucid.pages.compared import render_comparison, write_comparison
from pellucid.pages.comparing import Side, make_comparison
from pellucid.pages.comparison import Comparison
from pellucid.pages.index import entry, render_index


@pytest.fixture(scope="module")
def pictures() -> Comparison:
    return compared()


def redrawn() -> Comparison:
    ours = model()
    return make_comparison(
        Side(model=ours, image=picture()), Side(model=untrained_model(ours, seed=3), image=picture()), seed=3
    )


def words_of(comparison: Comparison, lang: str = "en") -> str:
    return text_of(render_comparison(comparison, lang=lang)).replace("\u00a0", " ")


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_page_obeys_the_rules_of_every_page(pictures: Comparison, lang: str) -> None:
    html = render_comparison(pictures, lang=lang)
    assert html == render_comparison(pictures, lang=lang)
    assert not re.search(r"<script|\sstyle=|\son\w+=|<link|<iframe|@import|url\(", html)
    assert set(re.findall(r"""(?:src|href)="([a-z]+):""", html)) == {"data"}
    assert "default-src 'none'; style-src 'sha256-" in html


def test_sections_come_in_the_order_of_the_question(pictures: Comparison) -> None:
    found = re.findall(r'<section id="(\w+)"', render_comparison(pictures))
    assert found == ["answers", "depth", "maps", "assumed"]


def test_the_head_names_the_site_where_the_two_are_furthest_apart(pictures: Comparison) -> None:
    far = max(pictures.record["pairs"], key=lambda pair: pair["distance"])
    assert f"They are furthest apart at {far['first']}: distance {far['distance']:.3f}" in words_of(pictures)
    assert f"둘이 가장 멀어지는 곳은 {far['first']}, 거리는 {far['distance']:.3f}입니다" in words_of(pictures, "ko")


def test_every_aligned_site_has_a_bar_as_long_as_its_distance(pictures: Comparison) -> None:
    html = render_comparison(pictures)
    bars = [float(w) for w in re.findall(r'<span class="far"><svg[^>]+><rect[^>]* width="([\d.]+)"', html)]
    pairs = pictures.record["pairs"]
    expected = [pictures.record["input"]["distance"], *(pair["distance"] for pair in pairs)]
    assert bars == pytest.approx([50 * value for value in expected], abs=0.01)
    chart = html[html.index('<div class="plot">') : html.index('<div class="xticks">')]
    heights = [float(h) for h in re.findall(r'width="7" height="([\d.]+)"', chart)]
    marks = len(pictures.record["maps"])
    assert heights[:-marks] == pytest.approx([50 * pair["distance"] for pair in pairs], abs=0.01)
    assert heights[-marks:] == [6] * marks


def test_each_drawn_site_shows_triples_with_two_legends_in_numbers(pictures: Comparison) -> None:
    html = render_comparison(pictures)
    sites = len(pictures.record["maps"])
    assert html.count('<div class="triples">') == sites
    assert html.count('class="px signed"') == 3 * sites
    ticks = re.findall(r'<div class="ticks"><span>([^<]+)</span>(<span>0</span>)?<span>([^<]+)</span>', html)
    assert len(ticks) == 2 * sites
    assert [bool(zero) for _, zero, _ in ticks] == [False, True] * sites
    assert all(re.search(r"\d", end) for low, _, high in ticks for end in (low, high))


def test_titles_state_what_was_answered() -> None:
    ours = model()
    names = [pellucid.explain(ours, x, method="saliency").target.text for x in (picture(), other_picture())]
    one, other = (name.split(" (")[0] for name in names)
    same = f"Both pictures are {one} to this network"
    differ = f"One picture is {one} to this network, the other {other}"
    assert (same if one == other else differ) in words_of(compared())
    swapped = model(class_names=("dog", "owl", "fox", "bee", "eel", "ant", "cat"))
    assert re.search(r"One network says \w+, the other \w+", words_of(against(swapped)))
    assert "Both networks say" in words_of(against(model()))
    assert "두 신경망의 답은 모두" in words_of(against(model()), "ko")


def test_what_does_not_differ_is_said_so() -> None:
    said = words_of(against(model()))
    assert said.count("They differ at no aligned site.") == 2  # at the head and along the depth
    assert "largest at" not in said
    assert "The two answers are equal." in said
    assert "In the maps that are drawn, nothing changes." in said


def test_re_drawn_weights_are_told_at_the_head() -> None:
    said = words_of(redrawn())
    assert "B is the architecture of A with its weights drawn anew; what it answers means nothing." in said
    assert "Seed 3" in said
    assert "CKA does not depend on the order" in said
    assert "CKA does not depend on the order" not in words_of(compared())


def test_a_common_picture_is_shown_once_and_two_are_shown_both() -> None:
    assert render_comparison(redrawn()).count("<figcaption><b>A = B</b>") == 1
    assert render_comparison(compared()).count('<div class="frame">') == 2


def test_numbers_instead_of_classes_are_no_probabilities() -> None:
    one = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)).eval()
    ours = model(module=one, class_names=None)
    both = make_comparison(Side(model=ours, image=picture()), Side(model=ours, image=other_picture()))
    said = words_of(both)
    assert "The answers are" in said
    assert "probability" not in said


def test_nothing_in_common_is_a_page_as_well() -> None:
    narrow = nn.Sequential(nn.Conv2d(3, 5, 5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)).eval()
    both = against(model(module=narrow, class_names=("x", "y", "z")))
    assert both.record["pairs"] == []
    said = words_of(both)
    assert "No value of the one can be compared with one of the other." in said
    assert "No class of A is known to be a class of B." in said
    assert "9 sites of A have no partner of equal shape" in said
    assert words_of(both, "ko")


def test_a_value_that_is_not_finite_inside_is_told_and_not_measured() -> None:
    class Overflowing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.last = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            y = self.conv(x)
            return self.last((y / 0).clamp(-1, 1).mean((2, 3)))

    ours = model(module=Overflowing().eval(), class_names=None)
    both = make_comparison(Side(model=ours, image=picture()), Side(model=ours, image=other_picture()))
    assert "the values are not all finite" in words_of(both)
    assert [pair["first"] for pair in both.record["pairs"] if pair["distance"] is None] == ["/div"]


@pytest.mark.parametrize("case", CORPUS)
def test_foreign_text_is_escaped_everywhere(case: str) -> None:
    text = CORPUS[case]
    html = render_comparison(hostile(text))
    shown = SHOWN.get(case, text)
    assert html.count(escaping.escape(shown).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")) >= 4
    if "<" in shown:
        assert shown not in html
        assert shown not in render_index([entry(hostile(text), Path("a.html"))])


def hostile(text: str) -> Comparison:
    """A comparison with the same foreign text in every place that a stranger can fill."""
    module = model().module
    module.add_module(text.replace(".", "_"), nn.ReLU())
    inner = module.forward
    module.forward = lambda x: inner(module.get_submodule(text.replace(".", "_"))(x))  # type: ignore[method-assign]
    ours = model(module=module, name=text, class_names=(text, *map(str, range(6))), source=text, notes=(text,))
    ours = replace(ours, preprocessing=replace(ours.preprocessing, source=text))
    sides = [
        Side(model=ours, image=Image(pixels=pixels, name=text, digest="ab" * 32, notes=(text,)), remark=text)
        for pixels in (picture().pixels, picture().pixels[::-1].copy())
    ]
    return make_comparison(sides[0], sides[1], command=f"pellucid compare {text}")


@pytest.mark.browser
@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_sticks_out_of_the_window(tmp_path: Path, chromium: Any, lang: str, width: int) -> None:
    deep = seed_network()
    both = make_comparison(
        Side(model=deep, image=picture()), Side(model=untrained_model(deep, seed=0), image=picture()), seed=0
    )
    cases = {"deep": both, "hostile": hostile("x" * 300), "two": compared()}
    for name, comparison in cases.items():
        path = write_comparison(comparison, tmp_path / f"{name}.html", lang=lang)
        tab = chromium.new_page(viewport={"width": width, "height": 900})
        said: list[str] = []
        tab.on("console", lambda each, said=said: said.append(each.text))
        tab.goto(path.as_uri())
        tab.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
        wide = tab.evaluate("document.documentElement.scrollWidth")
        smallest = tab.evaluate(
            "Math.min(...[...document.querySelectorAll('body *')].filter(e => e.textContent.trim() && "
            "!e.children.length).map(e => parseFloat(getComputedStyle(e).fontSize)))"
        )
        tab.close()
        assert said == [], name
        assert wide <= width, name
        assert smallest >= 11, name


def test_a_page_is_written_whole_or_not_at_all(
    pictures: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "LIMIT", 1000)
    with pytest.raises(CapacityError, match="the page of the comparison takes"):
        write_comparison(pictures, tmp_path / "both.html")
    assert list(tmp_path.iterdir()) == []


class TestCompare:
    """The function of the library."""

    def test_two_pictures_and_two_models(self, tmp_path: Path) -> None:
        ours = model()
        one = pellucid.compare(ours, picture(), other=other_picture(), to=tmp_path / "a.html", lang="ko")
        two = compare(ours, picture(), against=model(), to=tmp_path / "b.html")
        three = compare(ours, picture(), against="random", seed=1, to=tmp_path / "c.html")
        assert all(path.read_text(encoding="utf-8").startswith("<!doctype html>") for path in (one, two, three))
        assert "Seed 1" in three.read_text(encoding="utf-8")

    @pytest.mark.parametrize(
        "wrong",
        [{"to": "nowhere/a.html"}, {"lang": "fr"}, {"other": None}, {"against": "random"}],
    )
    def test_what_cannot_work_is_refused_before_any_work(self, wrong: dict[str, Any], tmp_path: Path) -> None:
        with pytest.raises(SettingError):
            compare(model(), "none.png", **{"to": tmp_path / "a.html", "other": "none.png", **wrong})
        assert list(tmp_path.iterdir()) == []
