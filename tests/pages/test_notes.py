"""Patterns of notes: both languages agree, foreign text is never taken for a note, and no text makes them slow."""

import json
import re
import time
from importlib.resources import files
from string import Formatter

import pytest
from tests.pages.conftest import model, picture
from tests.pages.test_hostile import CORPUS

from pellucid.pages.bundle import make_bundle
from pellucid.pages.notes import ANY, NUMBER, noted, noted_by_sentence, patterns
from pellucid.pages.page import render
from pellucid.pages.words import Catalogue

KO = Catalogue("ko")


def pairs() -> list[tuple[str, str, str]]:
    text = (files("pellucid.pages") / "catalogues" / "notes.ko.json").read_text(encoding="utf-8")
    return [(kind, *pair) for kind, group in json.loads(text).items() for pair in group]


def places(sentence: str) -> dict[str, str]:
    return {name: tag or "" for _, name, tag, _ in Formatter().parse(sentence) if name is not None}


def english_in(kind: str, text: str) -> list[str]:
    """What of a note stays English on a Korean page."""
    say = noted_by_sentence if kind == "card" else noted
    return [segment.text for segment in say(text, kind, KO) if segment.tag == "en"]


# The catalogue


def test_a_pattern_and_its_sentence_have_the_same_places() -> None:
    for _, english, korean in pairs():
        assert places(english).keys() == places(korean).keys(), english
        assert english.count("{") == len(places(english)) == korean.count("{"), english


def test_only_numbers_stand_in_a_korean_sentence_without_an_element_of_their_own() -> None:
    for _, english, korean in pairs():
        elements = places(korean)
        for name, of in places(english).items():
            assert elements[name] in (("",) if of == NUMBER else ("code", "name", "en")), english


def test_every_pattern_can_be_read_in_one_pass_and_names_kinds_that_exist() -> None:
    known = patterns("ko")
    for pattern in (each for group in known.values() for each in group):
        assert all(pattern.literals[1:-1])  # two places side by side could be parted anywhere
        assert all(of in (ANY, NUMBER) or of in known for _, of in pattern.places)


def test_no_pattern_stands_behind_one_that_takes_its_notes() -> None:
    for kind, english, korean in pairs():
        sample = re.sub(r"\{\w+(:number)?[^}]*\}", lambda found: "7" if found[1] else "some word", english)
        first = next(each for each in patterns("ko")[kind] if each.taken_apart(sample) is not None)
        assert first.said == korean


def test_every_sentence_is_korean() -> None:
    assert [korean for _, _, korean in pairs() if not re.search("[가-힣]", korean)] == []


# What others say


@pytest.mark.parametrize("case", CORPUS)
def test_foreign_text_is_no_note(case: str) -> None:
    for kind in patterns("ko"):
        assert [segment.tag for segment in noted(CORPUS[case], kind, KO)] == ["en"]


@pytest.mark.parametrize("case", CORPUS)
def test_foreign_text_inside_a_note_is_set_apart_and_cannot_leave_its_place(case: str) -> None:
    text = CORPUS[case]
    said = noted(f"the decoder says: {text}", "picture", KO)
    assert [segment.tag for segment in said] == ["", "en"]
    html = render(make_bundle(model(), picture(notes=(f"the decoder says: {text}",)), methods=("saliency",)), lang="ko")
    assert not re.search(r"<script|<img src=x|<svg onload|</style>.*</style>", html, flags=re.DOTALL)


def test_what_no_pattern_fits_stays_and_is_marked_as_english() -> None:
    html = render(make_bundle(model(notes=("a word from <elsewhere>",)), picture(), methods=("saliency",)), lang="ko")
    assert '<p><bdi lang="en">a word from &lt;elsewhere&gt;</bdi></p>' in html
    assert 'lang="en"' not in render(make_bundle(model(), picture(), methods=("saliency",)), lang="ko")


def test_a_place_for_a_number_takes_no_words() -> None:
    assert english_in("picture", "EXIF orientation <b>6</b> applied") != []
    assert english_in("explanation", "not finite: many of 12 values are NaN or infinite") != []


def seconds(text: str, kind: str) -> float:
    """What a note takes of the processor at best, so that a busy machine does not count."""
    found = []
    for _ in range(3):
        begun = time.process_time()
        noted(text, kind, KO)
        found.append(time.process_time() - begun)
    return min(found)


@pytest.mark.parametrize("kind", list(patterns("ko")))
def test_ten_kilobytes_take_a_moment_whatever_they_hold(kind: str) -> None:
    """Each pattern is fed with its own words, over and over, with its own end and with another."""
    for pattern in patterns("ko")[kind]:
        first, *inner, last = pattern.literals if pattern.places else ("", pattern.literals[0], "")
        for piece in ("7", "7 ", "".join(inner) or "of", "".join(inner)[:-1] or "("):
            for end in (last, "\0"):
                text = first + piece * (10_000 // len(piece)) + end
                assert seconds(text, kind) < 0.1


def test_a_chain_of_descriptions_ends() -> None:
    assert seconds("centre crop 1×1, " * 600 + "RGB, ÷ 255 (assumed)", "preparation") < 0.1
    assert seconds("flags for a; the rest: " * 500 + "flags", "source") < 0.1
