"""The gallery of methods: every map with its cost and its own scale, the agreement of all, and what was left out."""

import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import scipy.stats
from tests.pages.conftest import model, picture
from tests.pages.test_korean import english
from tests.pages.test_page import text_of

from pellucid.errors import ArchiveError, SettingError
from pellucid.pages import page
from pellucid.pages.compare import compare
from pellucid.pages.gallery import Gallery
from pellucid.pages.gallery_making import make_gallery
from pellucid.pages.gallery_page import render_gallery, write_gallery
from pellucid.pages.gallery_sheet import gallery_png, write_gallery_png
from pellucid.pages.index import entry, render_index
from pellucid.pages.saved import find_saved, load_saved, report_saved

METHODS = (
    "grad-cam", "hirescam", "saliency", "integrated-gradients(steps=4)", "kernel-shap(segments=grid:3, samples=60)",
    "occlusion(window=8, stride=4)", "excitation-backprop", "lime(samples=40, segments=grid:3)",
)  # fmt: skip


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    return make_gallery(model(), picture(), methods=METHODS, remark="unlike", command="pellucid compare /home/x/n cat")


def words_of(gallery: Gallery, lang: str = "en") -> str:
    return text_of(render_gallery(gallery, lang=lang)).replace("\u00a0", " ")


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_page_obeys_the_rules_of_every_page(gallery: Gallery, lang: str) -> None:
    html = render_gallery(gallery, lang=lang)
    assert html == render_gallery(gallery, lang=lang)
    assert not re.search(r"<script|\sstyle=|\son\w+=|<link|<iframe|@import|url\(", html)
    assert set(re.findall(r"""(?:src|href)="([a-z]+):""", html)) == {"data"}
    assert re.findall(r'<section id="(\w+)"', html) == ["methods", "agreement", "numbers", "assumed"]


def test_no_english_word_is_seen_on_the_korean_page(gallery: Gallery) -> None:
    found = english(render_gallery(gallery, lang="ko")) - {"unlike"}
    assert found <= {"CAM", "HiResCAM", "LIME", "KernelSHAP"}


def test_each_method_stands_with_its_cost_its_place_and_its_own_ends(gallery: Gallery) -> None:
    html, said = render_gallery(gallery), words_of(gallery)
    assert html.count('<img class="drawn"') == len(METHODS)
    for each in gallery.explanations:
        cost = f"Cost: forward passes {each.cost.forwards}, backward passes {each.cost.backwards}, "
        assert cost in said.replace("\u202f", "")
    rows, columns = gallery.explanations[0].parts[0].plane().shape
    assert f"{rows} × {columns} cells" in said
    assert "steps 4" in said
    assert "baseline zero" not in said.split("What was assumed")[0]  # usual settings are not repeated below every map
    ends = re.findall(r'<div class="ticks"><span>([^<]+)</span>(<span>0</span>)?<span>([^<]+)</span>', html)
    assert [bool(zero) for _, zero, _ in ends] == [each.signed for each in gallery.explanations]
    assert all(low == "0" for low, zero, _ in ends if not zero)
    assert all(high == f"+{low[1:]}" for low, zero, high in ends if zero)


def test_the_two_rules_of_colour_are_stated_once_with_how_many_maps_follow_them(gallery: Gallery) -> None:
    signed = sum(each.signed for each in gallery.explanations)
    said = words_of(gallery)
    assert said.count(f"{signed} maps have values below 0: red speaks for") == 1
    assert said.count(f"{len(METHODS) - signed} maps have none: their colours go from 0 up") == 1


def test_shares_of_segments_are_added_once_per_segment(gallery: Gallery) -> None:
    found = next(each for each in gallery.explanations if each.method == "kernel-shap")
    total = float(found.part("segments").values.sum())
    assert abs(found.checks["completeness gap"]) < 1e-6
    assert f"The values add up to {total:.4g}".replace("-", "−") in words_of(gallery)


def test_the_record_holds_the_rank_correlation_of_every_pair(gallery: Gallery) -> None:
    record = gallery.record["agreement"]
    place = {each.method: i for i, each in enumerate(gallery.explanations)}
    cams = [gallery.explanations[place[name]].parts[0].plane() for name in ("grad-cam", "hirescam")]
    expected = scipy.stats.spearmanr(np.abs(cams[0]).ravel(), np.abs(cams[1]).ravel()).statistic
    assert record["absolute"][place["grad-cam"]][place["hirescam"]] == pytest.approx(expected)
    assert record["names"][3] == "integrated-gradients(steps=4)"
    assert record["controls"] == record["names"][-2:] == ["control: centre", "control: edges"]
    assert record["signed"][place["grad-cam"]] == [None] * (len(METHODS) + 2)
    assert record["signed"][place["saliency"]][3] is not None


def test_the_matrix_shows_every_number_in_a_drawing_and_in_a_table_for_a_phone(gallery: Gallery) -> None:
    html = render_gallery(gallery)
    values = np.array(gallery.record["agreement"]["absolute"], dtype=float)
    shown = [f"{abs(v):.2f}" for v in values.ravel()]
    drawing = html.split('<div class="drawing scroll wide-only">')[1].split("</svg>")[0]
    written = re.findall(r">−?(\d?\.\d\d)<", drawing)
    assert [f"{float(text):.2f}" for text in written] == shown
    table = html.split('<div class="narrow-only">')[1].split("</table>")[0]
    assert re.findall(r'<td class="n">−?([\d.]+)</td>', table) == shown
    pairs = [values[i, j] for i in range(len(METHODS)) for j in range(i)]
    assert f"highest agreement{max(pairs):.2f}" in words_of(gallery)
    assert f"over {len(pairs)} pairs" in words_of(gallery)


def test_twenty_methods_have_numbers_that_fit_their_cells() -> None:
    from pellucid.figures.matrix import draw_matrix

    values = np.random.default_rng(0).uniform(-1, 1, (22, 22))
    figure = draw_matrix(values, kind="signed", low=-1, high=1, width=976, numbered=60, decimals=2)
    cells = [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)" height="26"', figure.svg)]
    written = re.findall(r">(−?\d?\.\d\d)<", figure.svg)
    assert len(written) == len(cells) == 484
    assert max(cells) * 22 < 976
    assert all(text.lstrip("−").startswith(".") == written[0].lstrip("−").startswith(".") for text in written)


def test_a_map_without_ranking_is_named_with_the_reason_and_what_was_left_out_is_listed(
    gallery: Gallery,
) -> None:
    arrays = dict(gallery.arrays)
    arrays["explanation 0 part 0"] = np.zeros_like(arrays["explanation 0 part 0"])
    made = make_gallery_from(gallery, arrays)
    said = words_of(made)
    assert "Grad-CAMno ranking: every value is the same" in said
    assert "Flat: every value is 0." in said
    assert "Do not apply to this networkCAMit has no average" in said
    assert english(render_gallery(made, lang="ko")) <= {"unlike", "CAM", "HiResCAM", "LIME", "KernelSHAP"}


def make_gallery_from(gallery: Gallery, arrays: dict[str, np.ndarray]) -> Gallery:
    """The gallery with other maps, compared anew, and with a method left out."""
    from pellucid.metrics.map_controls import map_controls
    from pellucid.metrics.rank_agreement import PlacedMap, rank_agreement

    changed = Gallery(record=gallery.record, arrays=arrays)
    controls = map_controls(arrays["prepared"])
    maps = [PlacedMap.of(each, name=str(i)) for i, each in enumerate(changed.explanations)]
    agreement = rank_agreement([*maps, *controls], size=arrays["prepared"].shape[:2]).to_record()
    agreed = {**agreement, "controls": [each.name for each in controls]}
    left_out = [{"method": "cam", "reason": "it has no average"}]
    return Gallery(record={**gallery.record, "agreement": agreed, "left_out": left_out}, arrays=arrays)


def test_a_saved_gallery_gives_the_same_page_and_a_line_in_the_index(gallery: Gallery, tmp_path: Path) -> None:
    file = gallery.save(tmp_path / "all")
    assert find_saved(tmp_path).bundles == (file,)
    again = load_saved(file)
    assert isinstance(again, Gallery)
    written = report_saved(file, to=tmp_path / "all.html")
    assert written.read_text(encoding="utf-8") == render_gallery(gallery)
    assert "cat.png" in render_index([entry(again, written)])
    assert repr(gallery) == "<Gallery of 'cat.png' in 'small': 8 methods>"
    file.write_text(file.read_text().replace('"gallery_version": 1', '"gallery_version": 9'))
    with pytest.raises(ArchiveError, match="is a gallery of version 9, expected 1"):
        Gallery.load(file)


def test_the_png_shows_all_maps_and_the_table(gallery: Gallery, tmp_path: Path) -> None:
    path = write_gallery_png(gallery, tmp_path / "all.png")
    assert path.read_bytes() == gallery_png(gallery)
    with PIL.Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels == (194, 59, 34)).all(axis=2).sum() > 9 * 400  # the diagonal of the table is full red
    with pytest.raises(SettingError, match=r"ends in \.png"):
        write_gallery_png(gallery, tmp_path / "all.jpg")


def test_a_page_that_would_be_too_large_is_not_written(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "LIMIT", 1000)
    with pytest.raises(MemoryError, match=r"the page of 8 methods takes .* choose fewer methods"):
        write_gallery(gallery, tmp_path / "all.html")


def test_compare_takes_methods_and_refuses_what_does_not_go_with_them(tmp_path: Path) -> None:
    to = tmp_path / "two.html"
    before = model().weights_digest
    ours = model()
    assert compare(ours, picture(), methods=["saliency", "grad-cam"], to=to) == to
    assert ours.weights_digest == before
    assert "2 methods explain the same logit" in text_of(to.read_text(encoding="utf-8"))
    for words, message in (
        ({"methods": ["saliency"], "against": "random"}, "is 'against and methods', expected one of them"),
        ({"methods": ["saliency"], "sites": ["first"]}, "a method's own is"),
        ({"other": picture(), "target": "class:1"}, "target is 'class:1', expected nothing without methods"),
        ({}, "is 'none of them'"),
    ):
        with pytest.raises(SettingError, match=message):
            compare(ours, picture(), to=to, **words)  # type: ignore[arg-type]
