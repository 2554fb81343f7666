"""What the page says about form and class, filters and the path of the decision."""

import json
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.pages.conftest import Small, model, picture
from torch import nn

import pellucid
from pellucid.insights.measuring import MOST_MEASURED
from pellucid.insights.probe_pictures import ProbePictures, drawn_pictures
from pellucid.pages.bundle import Bundle, make_bundle
from pellucid.pages.page import render


@pytest.fixture(scope="module")
def probed() -> Bundle:
    drawn = drawn_pictures(24)
    return make_bundle(model(), picture(), methods=("saliency",), probe=drawn)


@pytest.fixture(scope="module")
def named() -> Bundle:
    """Long names of sites and of a class, as real networks have them."""
    torch.manual_seed(0)
    parts: dict[str, nn.Module] = {}
    for number, channels in ((10, 3), (11, 8), (12, 8)):
        parts[f"features_{number}_squeeze_convolution"] = nn.Conv2d(channels, 8, 3, padding=1)
        parts[f"features_{number}_squeeze_activation"] = nn.ReLU()
    tail = {"pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "fc": nn.Linear(8, 7)}
    network = nn.Sequential(OrderedDict({**parts, **tail})).eval()
    ours = model(module=network, class_names=tuple(f"Egyptian cat {letter}" for letter in "abcdefg"))
    return make_bundle(ours, picture(), methods=("saliency",), probe=drawn_pictures(24))


_OUTSIDE = """[...document.querySelectorAll('svg text')].filter(e => e.getClientRects().length).flatMap(e => {
    const text = e.getBoundingClientRect(), svg = e.ownerSVGElement.getBoundingClientRect();
    const out = text.right > svg.right + 1 || text.left < svg.left - 1 || text.bottom > svg.bottom + 1;
    return out ? [e.textContent] : [];
})"""


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("&#39;", "'")


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_sections_come_in_the_order_in_which_data_flows_and_are_numbered(probed: Bundle, lang: str) -> None:
    html = render(probed, lang=lang)
    assert re.findall(r'<section id="(\w+)"', html) == [
        "answer", "input", "network", "depth", "filters", "path", "why", "assumed",
    ]  # fmt: skip
    assert re.findall(r"<h2><span>(\d+)</span>", html) == [str(number) for number in range(1, 9)]


def test_the_claim_about_the_depth_holds_the_measured_numbers_of_both_networks(probed: Bundle) -> None:
    record = probed.record["depth"]
    places = [i for i, site in enumerate(record["sites"]) if site["flips"] is not None]
    middle = places[len(places) // 2]
    words = text_of(render(probed))
    assert re.search(r"a straight line reads back [0-9.]+ % of the form of a picture", words)
    for network in ("sites", "twin"):
        value = record[network][middle]["form"]["value"]
        shown = f"{100 * value:.2g}" if value >= 0.005 else "0"
        assert f"{shown} % " in words or f"{shown} %." in words


def test_the_curves_end_in_the_measured_numbers_and_can_be_read_aloud(probed: Bundle) -> None:
    html = render(probed)
    last = probed.record["depth"]["sites"][-1]["emerged"]["value"]
    assert f"trained {last:.2f}" in html
    told = re.findall(r'<svg class="curves"[^>]*aria-label="([^"]+)"', html)
    assert len(told) == 6  # three, wide and narrow
    assert all(re.search(r"\d\.\d\d", words) for words in told)


def test_what_the_pictures_were_is_said(probed: Bundle) -> None:
    assert "Measured on 24 drawings that pellucid makes itself" in text_of(render(probed))
    drawn = drawn_pictures(16)
    mine = ProbePictures(images=drawn.images, labels=None, source="folder", name="mine")
    words = text_of(render(make_bundle(model(), picture(), methods=("saliency",), probe=mine)))
    assert "Measured on 16 pictures of the folder." in words


def test_only_of_a_network_with_batch_normalisation_it_is_said_that_it_was_settled(probed: Bundle) -> None:
    words = text_of(render(probed))
    assert "the same architecture with random weights (seed 0)." in words
    assert "batch normalisation" not in words
    normed = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 22 * 22, 7))
    made = make_bundle(model(module=normed.eval()), picture(), methods=("saliency",), probe=drawn_pictures(16))
    assert "its batch normalisation settled on the same pictures." in text_of(render(made))


def test_the_path_adds_up_as_it_says(probed: Bundle) -> None:
    record = probed.record["path"]
    words = text_of(render(probed))
    for site in record["sites"]:
        assert f"All {site['channels']} channels add up to" in words
    explained = probed.explanations[0]
    assert record["score"] == pytest.approx(explained.score, rel=1e-5)


def test_the_kernels_are_those_of_the_first_layer_strongest_first(probed: Bundle) -> None:
    kept = probed.record["filters"]["kernels"]
    ours = model()
    weight = next(p for p in ours.module.parameters() if p.dim() == 4).detach().numpy()
    norms = np.sqrt((weight**2).sum(axis=(1, 2, 3)))
    assert kept["channels"] == np.argsort(-norms, kind="stable").tolist()
    first = weight[kept["channels"][0]]
    tile = probed.arrays["kernels"][0].astype(float) / 255
    assert np.allclose(tile, 0.5 + first.transpose(1, 2, 0) / np.abs(first).max() / 2, atol=0.003)


def test_damage_is_the_claim() -> None:
    torch.manual_seed(0)
    broken = Small()
    with torch.no_grad():
        weight = next(p for p in broken.parameters() if p.dim() == 4)
        weight[1] = weight[0]
    found = make_bundle(model(module=broken.eval()), picture(), methods=("saliency",))
    assert [(each["kind"], each["damage"]) for each in found.record["filters"]["findings"]] == [("duplicate", True)]
    claim = re.search(r'<section id="filters">.*?<p class="claim">(.*?)</p>', render(found), re.DOTALL)
    assert claim is not None
    assert "1 filter is the same as another or nearly so, in" in text_of(claim[1])


def test_each_finding_counts_its_own_filters_and_names_those_that_were_removed() -> None:
    torch.manual_seed(0)
    broken = Small()
    with torch.no_grad():
        weight = broken.first.weight
        weight[1] = weight[0]
        weight[4] = weight[3] + 0.01 * weight[2]
        weight[6] = weight[3] + 0.01 * weight[5]
    ours = model(module=broken.eval())
    (layer,) = [each for each in pellucid.inspect_filters(ours, [picture()]).layers if each.name == "first"]
    assert [(each.pair.channel, each.exact) for each in layer.twins] == [(1, True), (4, False), (6, False)]
    effects = [each.removal for each in layer.twins if each.removal is not None]
    assert len(effects) == 3
    found = make_bundle(ours, picture(), methods=("saliency",)).record["filters"]["findings"]
    assert [(each["count"], each["channels"], each["largest"]) for each in found] == [
        (1, [1], effects[0].largest),
        (2, [4, 6], max(effects[1].largest, effects[2].largest)),
    ]
    words = text_of(render(make_bundle(ours, picture(), methods=("saliency",))))
    assert "Channel 1. On this picture, removing one changes the logits by at most" in words
    assert "2 filters are the same as others or nearly so, in first . Channels 4, 6." in words


def test_what_was_not_removed_is_not_spoken_for() -> None:
    torch.manual_seed(0)
    wide = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 7))
    with torch.no_grad():
        wide[0].weight[:30] *= 1e-6
    words = text_of(render(make_bundle(model(module=wide.eval()), picture(), methods=("saliency",))))
    assert "30 filters pass on next to nothing of the picture, in" in words
    assert f"Measured for {MOST_MEASURED} of 30." in words


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_sites_that_differ_in_the_middle_of_a_long_name_have_names_of_their_own(named: Bundle, lang: str) -> None:
    html = render(named, lang=lang)
    rows = (r'<text class="mono" transform[^>]*>([^<]+)', r'<text class="mono" x=[^>]*>([^<]+)')
    for names in (re.findall(row, html) for row in rows):
        assert len(names) > 2
        assert len({*names}) in (len(names), len(names) // 2)  # the depth is drawn twice, wide and narrow


def test_a_saved_bundle_gives_the_same_page_to_the_byte(probed: Bundle, tmp_path: Path) -> None:
    again = Bundle.load(probed.save(tmp_path / "b"))
    assert render(again) == render(probed)
    assert json.dumps(again.record, sort_keys=True) == json.dumps(probed.record, sort_keys=True)


def test_a_bundle_without_findings_gives_a_page_without_their_sections(probed: Bundle) -> None:
    bare = Bundle(
        record={k: v for k, v in probed.record.items() if k not in ("depth", "filters", "path")}, arrays=probed.arrays
    )
    assert re.findall(r'<section id="(\w+)"', render(bare)) == ["answer", "input", "network", "why", "assumed"]


@pytest.mark.parametrize(("lang", "width"), [("en", 360), ("ko", 360), ("ko", 1440)])
def test_nothing_sticks_out_of_the_window(probed: Bundle, tmp_path: Path, chromium: Any, lang: str, width: int) -> None:
    file = tmp_path / "page.html"
    file.write_text(render(probed, lang=lang), encoding="utf-8")
    tab = chromium.new_page(viewport={"width": width, "height": 900})
    tab.goto(file.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    shown = tab.evaluate(
        "[...document.querySelectorAll('.wide-only')].filter(e => e.offsetParent || e.getClientRects().length).length"
    )
    assert (shown > 0) == (width > 760)
    tab.close()


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("width", [360, 800, 1440])
def test_what_is_written_in_a_drawing_stays_in_it(
    named: Bundle, tmp_path: Path, chromium: Any, lang: str, width: int
) -> None:
    file = tmp_path / "page.html"
    file.write_text(render(named, lang=lang), encoding="utf-8")
    tab = chromium.new_page(viewport={"width": width, "height": 900})
    tab.goto(file.as_uri())
    assert tab.evaluate(_OUTSIDE) == []
    tab.close()


def test_the_api_takes_drawings_as_a_probe_set(tmp_path: Path) -> None:
    page = pellucid.report(model(), picture(), to=tmp_path / "p.html", methods=("saliency",), probe="drawings")
    assert 'id="depth"' in page.read_text(encoding="utf-8")
