"""Values of channels on the page: bars in the page's language, and feature maps beside."""

import pytest
from tests.pages.conftest import model, picture

from pellucid.pages.bundle import make_bundle
from pellucid.pages.channel_bars import channel_bars
from pellucid.pages.page import render
from pellucid.pages.saved import report_saved
from pellucid.pages.words import Catalogue


@pytest.fixture(scope="module")
def bundle():  # type: ignore[no-untyped-def]
    return make_bundle(model(), picture(), methods=["channel-ablation", "saliency"], target="top:1")


@pytest.mark.parametrize(("lang", "word"), [("en", "channel"), ("ko", "채널")])
def test_the_strongest_channels_are_bars_with_their_maps(bundle, lang, word) -> None:  # type: ignore[no-untyped-def]
    html = render(bundle, lang=lang)
    values = bundle.explanations[0].values
    strongest = int(abs(values).argmax())
    assert f"{word} {strongest}" in html
    why = html.split('id="why"')[1]
    assert why.count('class="maps four"') == 1
    assert why.count('class="drawn"') >= 1  # the other method is drawn on the picture


def test_bars_and_maps_are_in_the_order_of_the_size_of_the_values(bundle) -> None:  # type: ignore[no-untyped-def]
    made = bundle.explanations[0]
    shown = channel_bars(made, Catalogue("en"))
    sizes = [abs(float(made.values[each.channel])) for each in shown.maps]
    assert sizes == sorted(sizes, reverse=True)
    assert len(shown.maps) == min(8, made.values.size)
    assert shown.ends[0] != shown.ends[1]


def test_a_saved_bundle_gives_the_same_page(bundle, tmp_path) -> None:  # type: ignore[no-untyped-def]
    saved = bundle.save(tmp_path / "b")
    page = report_saved(saved, to=tmp_path / "again.html")
    assert page.read_text(encoding="utf-8") == render(bundle)
