import json
import re
from importlib.resources import files
from pathlib import Path
from string import Formatter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid.pages
from pellucid.errors import SettingError
from pellucid.pages.words import (
    Catalogue,
    abridged,
    decimals_for,
    fixed,
    percent,
    probability,
    sentences,
    shortened,
    visible,
)

ROOM = Path(pellucid.pages.__file__).parent


def places(sentence: str) -> list[tuple[str, str]]:
    return sorted((name, tag or "") for _, name, tag, _ in Formatter().parse(sentence) if name is not None)


def test_both_catalogues_have_the_same_keys() -> None:
    assert list(sentences("en")) == list(sentences("ko"))


def test_a_sentence_has_the_same_places_in_both_languages() -> None:
    keys = [key for key in sentences("en") if not key.endswith(".one")]
    assert [(k, places(sentences("en")[k])) for k in keys] == [(k, places(sentences("ko")[k])) for k in keys]


def test_no_key_is_written_twice() -> None:
    for language in ("en", "ko"):
        text = (files("pellucid.pages") / "catalogues" / f"{language}.json").read_text(encoding="utf-8")
        keys = [key for key, _ in json.loads(text, object_pairs_hook=lambda pairs: pairs)]
        assert len(keys) == len(set(keys))


def test_every_korean_sentence_is_korean_unless_it_is_a_name() -> None:
    names = {"method.smooth-grad", "method.gradient-shap", "method.deeplift"}
    names |= {"op.relu", "method.grad-cam", "method.gnn-explainer", "short.value.is", "short.answer.is", "maps.time"}
XX
    names |= {"graph.edge", "graph.edge.directed", "graph.of.contrast", "graph.of.output"}
    names |= {"graph.settings", "figure.empty"}
    cams = "cam grad-cam++ xgrad-cam hirescam layer-cam eigen-cam eigen-grad-cam score-cam ablation-cam fullgrad"
    names |= {f"method.{name}" for name in cams.split()}
    names |= {"method.rise", "method.lime", "method.kernel-shap"}
    foreign = {key for key, text in sentences("ko").items() if not re.search("[가-힣]", text)}
    assert foreign == names


def test_every_key_that_the_templates_and_views_name_exists() -> None:
    found = set()
    for file in [*ROOM.glob("*.py"), *ROOM.glob("templates/*.html")]:
        found |= set(re.findall(r"""(?:\bt|say|words\.text)\(\s*["']([a-z_.]+[a-z_])["'][,)]""", file.read_text()))
    missing = {k for k in found if k not in sentences("en") and f"{k}.other" not in sentences("en")}
    assert len(found) > 80
    assert not missing


def test_an_unknown_language_is_refused_with_those_there_are() -> None:
    with pytest.raises(SettingError, match=r"lang is 'fr', expected 'en' or 'ko'"):
        Catalogue("fr")


def test_one_and_many_have_their_own_words() -> None:
    words = Catalogue("en")
    assert words.text("why.claim", count=1, score="logit", value="2").startswith("One explanation of the logit")
    assert words.text("why.claim", count=3, score="logit", value="2").startswith("3 explanations of the same logit")


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_a_visible_text_can_be_encoded_and_keeps_its_letters(text: str) -> None:
    shown = visible(text)
    shown.encode()
    assert [c for c in text if c.isalnum() and ord(c) < 0xD800] == [
        c for c in re.sub(r"\[U\+[0-9A-F]{4,}\]", "", shown) if c.isalnum() and ord(c) < 0xD800
    ] or "[U+" in text


def test_what_nobody_could_see_is_named() -> None:
    assert visible("a\u202eb\x00c\ud800d\u2028") == "a[U+202E]b[U+0000]c[U+D800]d[U+2028]"
    assert visible("a\u200eb\u200fc\u061c") == "a[U+200E]b[U+200F]c[U+061C]"


def test_a_long_name_keeps_both_ends() -> None:
    assert abridged("features.10.squeeze_activation", longest=22) == "features.10.sq…ivation"
    assert abridged("features.0", longest=22) == "features.0"
    assert abridged("a\u202eb", longest=22) == "a[U+202E]b"


def test_emoji_and_decomposed_hangul_stay_as_they_are() -> None:
    text = "👩‍👩‍👧 " + "\u1100\u1161"
    assert visible(text) == text


def test_a_text_of_ten_kilobytes_is_cut_and_says_how_long_it_was() -> None:
    shown = shortened("a" * 10_000)
    assert len(shown) < 200
    assert shown.endswith("… (10\u202f000)")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.7055, "0.706"), (0.0, "0"), (1.0, "1"), (0.9997, "0.9997"), (1 - 1e-12, "> 0.9999999"), (4.2e-5, "4.2e−5")],
)
def test_a_probability_is_never_rounded_to_certainty(value: float, shown: str) -> None:
    assert probability(value) == shown


def test_logits_that_lie_close_together_get_the_decimals_that_part_them() -> None:
    close = [0.03587, 0.03512]
    assert fixed(close[0], decimals_for(close)) != fixed(close[1], decimals_for(close))
    assert fixed(-23.218, 2) == "−23.22"
    assert fixed(-4.3e-5, 2) == "−4.3e−5"
    assert fixed(0.0, 2) == "0.00"


@pytest.mark.parametrize(
    ("share", "shown"), [(0.52, "52"), (0.01, "1"), (0.00083, "0.083"), (1.0, "100"), (0.999, "99.9")]
)
def test_a_share_is_said_in_percent_with_few_digits(share: float, shown: str) -> None:
    assert percent(share) == shown


def test_a_share_of_nothing_is_no_crash() -> None:
    assert percent(float("nan")) == "NaN"
