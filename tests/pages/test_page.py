import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.pages.conftest import model, picture, seed_network
from torch import nn

import pellucid.pages
from pellucid.errors import CapacityError
from pellucid.models.preprocessing import Preprocessing
from pellucid.pages import page
from pellucid.pages.bundle import Bundle, make_bundle
from pellucid.pages.page import render, write_page


def text_of(html: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", body))


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_same_bundle_gives_the_same_bytes(bundle: Bundle, lang: str) -> None:
    assert render(bundle, lang=lang) == render(bundle, lang=lang)


def test_the_policy_names_the_style_by_its_hash(bundle: Bundle) -> None:
    html = render(bundle)
    style = re.search(r"<style>(.*?)</style>", html, flags=re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'" in html
    assert "default-src 'none'" in html


def test_there_is_no_script_no_inline_style_and_no_address_but_data(bundle: Bundle) -> None:
    html = render(bundle)
    assert not re.search(r"<script|\sstyle=|\son\w+=|<link|<iframe|@import|url\(", html)
    assert set(re.findall(r"""(?:src|href)="([a-z]+):""", html)) == {"data"}


def test_the_sources_use_none_of_the_ways_around_escaping() -> None:
    room = Path(pellucid.pages.__file__).parent
    for file in [*room.rglob("*.py"), *room.rglob("*.html"), *room.rglob("*.css")]:
        assert not re.search(r"\|\s*safe|Markup\(|innerHTML|document\.write|eval\(|autoescape false", file.read_text())


def test_sections_come_in_the_order_in_which_data_flows(bundle: Bundle) -> None:
    found = re.findall(r'<section id="(\w+)"', render(bundle))
    assert found == ["answer", "input", "network", "filters", "path", "why", "assumed"]


def test_the_title_and_the_claims_hold_the_measured_numbers(bundle: Bundle) -> None:
    words = text_of(render(bundle))
    row = bundle.record["answer"]["rows"][0]
    assert f"Why does this network say {row['name']}?" in words
    assert f"with probability {row['probability']:.3f}" in words
    assert "sites turn 1728 numbers into 7." in words
    assert "The network sees 38 % of the picture" in words.replace("\u00a0", " ")


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_every_site_of_a_deep_network_is_on_the_page_once(lang: str) -> None:
    made = make_bundle(seed_network(), picture(), methods=("saliency",))
    html = render(made, lang=lang)
    column = html[html.index('<section id="network"') : html.index('<section id="why"')]
    named = re.findall(r'<span class="nm"><b><bdi>([^<]+)</bdi></b>', column)
    assert sorted(named) == sorted(site["name"] for site in made.record["sites"])
    assert column.count('<details class="fold">') >= 3


def test_bars_are_as_long_as_their_numbers_and_none_is_longer_than_its_place(bundle: Bundle) -> None:
    html = render(bundle)
    answer = html[html.index('<section id="answer"') : html.index('<section id="input"')]
    bars = [float(width) for width in re.findall(r'<rect width="([\d.]+)"', answer)]
    shown = [row["probability"] for row in bundle.record["answer"]["rows"]]
    shown.append(bundle.record["answer"]["rest"]["probability"])
    assert bars == pytest.approx([100 * value / max(shown) for value in shown], abs=0.5)
    costs = [
        float(width)
        for width in re.findall(
            r'preserveAspectRatio="none" aria-hidden="true"><rect width="([\d.]+)" height="8"', html
        )
    ]
    assert max(costs) == 100


def test_a_receptive_field_is_cut_at_the_picture() -> None:
    deep = nn.Sequential(*[nn.Conv2d(3, 3, 9, padding=4) for _ in range(6)]).eval()
    tail = nn.Sequential(deep, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    html = render(make_bundle(model(module=tail, class_names=None), picture(), methods=("saliency",)))
    sees = [int(n) for n in re.findall(r"<i>sees</i><b>(\d+)</b>", html)]
    assert sees[:3] == [9, 17, 24]
    assert max(sees) == 24


def test_both_drawings_stand_on_one_page_and_their_legend_ends_in_numbers(bundle: Bundle) -> None:
    html = render(bundle)
    assert html.count('class="drawn"') == 6
    ticks = re.findall(r'<div class="ticks"><span>([^<]+)</span>(?:<span>0</span>)?<span>([^<]+)</span>', html)
    assert len(ticks) == 3 + len(bundle.record["maps"]) + len(bundle.record["path"]["sites"])
    assert all(re.search(r"\d", end) for pair in ticks for end in pair)


def test_a_picture_that_goes_in_as_it_is_gets_one_drawing() -> None:
    as_it_is = model(preprocessing=Preprocessing.none())
    html = render(make_bundle(as_it_is, picture(), methods=("saliency",)))
    assert html.count('class="drawn"') == 1
    assert "The network sees the picture as it is" in html
    assert "The network sees the whole picture" in html


def test_integrated_gradients_state_their_sum_and_their_gap(bundle: Bundle) -> None:
    words = text_of(render(bundle)).replace("\u00a0", " ")
    assert re.search(r"The values add up to .+; from the baseline to the picture the score rises by", words)
    assert re.search(r"The gap of .+ is .+ % of that rise", words)


def test_where_the_score_does_not_change_no_share_of_the_change_is_shown() -> None:
    ours = model()
    ours.module.last.weight.data.fill_(0.0)  # type: ignore[union-attr, operator]
    made = make_bundle(ours, picture(), methods=("integrated-gradients",))
    words = text_of(render(made))
    assert "NaN" not in words
    assert "The gap of" not in words
    assert "so the gap is no share of a change" in words
    assert re.search(r"No channel of \S+ speaks for ", words)


def test_no_positive_evidence_is_said_with_the_methods_own_note() -> None:
    ours = model()
    ours.module.last.weight.data.fill_(-1.0)  # type: ignore[union-attr, operator]
    made = make_bundle(ours, picture(), methods=("grad-cam",))
    assert "no positive evidence" in render(made)
    assert "찬성하는 근거가 없습니다." in render(made, lang="ko")


def test_a_contrast_names_both_classes_in_the_title() -> None:
    made = make_bundle(model(), picture(), methods=("saliency",), target="contrast:owl,fox")
    assert "Why owl rather than fox?" in text_of(render(made))
    assert "왜 fox 대신 owl인가?" in text_of(render(made, lang="ko"))


def test_a_class_that_is_not_the_answer_is_not_called_the_answer() -> None:
    last = make_bundle(model(), picture(), methods=("saliency",), target="top:7")
    assert "which is not this network’s answer" in text_of(render(last))


def test_a_single_number_is_no_probability() -> None:
    one = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)).eval()
    html = render(make_bundle(model(module=one, class_names=None), picture(), methods=("saliency",), target="output:0"))
    assert "The network answers with one number." in html
    assert "log-softmax" not in html[html.index('<section id="answer"') : html.index('<section id="input"')]


def test_the_path_to_a_number_leads_to_an_output_and_not_to_a_class() -> None:
    parts = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1)
    ours = model(module=nn.Sequential(*parts).eval())
    made = make_bundle(replace(ours, class_names=None), picture(), methods=("saliency",))
    for lang, output, class_ in (("en", "output 0", "class 0"), ("ko", "출력 0", "클래스 0")):
        page = render(made, lang=lang)
        assert class_ not in page
        assert output in text_of(page.partition('<section id="path">')[2].partition("</section>")[0])


def test_a_unit_can_be_explained() -> None:
    made = make_bundle(model(), picture(), methods=("saliency",), target="unit:'second'/3")
    assert "What drives channel 3 of second, mean over positions?" in text_of(render(made))


def test_a_remark_stands_at_the_head_of_the_page() -> None:
    made = make_bundle(model(), picture(), methods=("saliency",), remark="Unlike the training pictures.")
    html = render(made)
    assert html.index("Unlike the training pictures.") < html.index('<section id="answer"')


def test_a_page_is_written_whole_or_not_at_all(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "cat.html"
    assert write_page(bundle, target).read_text(encoding="utf-8") == render(bundle)
    monkeypatch.setattr(page, "LIMIT", 1000)
    with pytest.raises(CapacityError, match="more than the limit"):
        write_page(bundle, tmp_path / "large.html")
    assert [file.name for file in tmp_path.iterdir()] == ["cat.html"]
