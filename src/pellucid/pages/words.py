"""The words of a page: catalogues, numbers for people, and foreign text made harmless to read.

Every sentence stands in a catalogue (`en.json`, `ko.json`) with places for values; a place may name the element that
its value is set in: `{name:em}`, `{site:code}`. What comes from outside (file names, class names, notes) is text like
any other and is escaped by the templates; here only the characters are replaced that a reader could not see.
"""

import json
import math
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import NamedTuple

from pellucid.errors import SettingError, did_you_mean
from pellucid.figures.numbers import MINUS, number

LANGUAGES = ("en", "ko")

# Control characters, line and paragraph separators, marks that turn the direction of writing, and lone surrogates. The
# zero-width joiner stays: emoji need it.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_LONGEST = 160


class Segment(NamedTuple):
    """A piece of a sentence and the element it is set in: "" for the catalogue's own words."""

    text: str
    tag: str


Sentence = tuple[Segment, ...]


class Catalogue:
    """The sentences of one language.

    Args:
        language: "en" or "ko".

    Raises:
        SettingError: There is no such catalogue.
    """

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            near = did_you_mean(language, list(LANGUAGES)).removeprefix("; ").removesuffix("?")
            raise SettingError("lang", given=language, expected=" or ".join(map(repr, LANGUAGES)), hint=near)
        self.language = language
        self._sentences = sentences(language)

    def say(self, key: str, /, **values: object) -> Sentence:
        """A sentence in segments; an integer `count` picks the form `key.one` or `key.other`."""
        return filled_in(self._sentence(key, values), values)

    def text(self, key: str, /, **values: object) -> str:
        """The same as plain text, for attributes."""
        return "".join(segment.text for segment in self.say(key, **values))

    def has(self, key: str) -> bool:
        """Whether the catalogue has a sentence of that name."""
        return key in self._sentences

    def _sentence(self, key: str, values: Mapping[str, object]) -> str:
        if key not in self._sentences and "count" in values:
            key = f"{key}.{'one' if values['count'] == 1 else 'other'}"
        return self._sentences[key]


def filled_in(sentence: str, values: Mapping[str, object]) -> Sentence:
    """A sentence of a catalogue with values in its places; a value that is a sentence itself keeps its own elements."""
    found: list[Segment] = []
    for literal, name, tag, _ in Formatter().parse(sentence):
        if literal:
            found.append(Segment(literal, ""))
        if name is not None:
            value = values[name]
            if isinstance(value, tuple):
                found += value
            else:
                text = number(value) if isinstance(value, int | float) else str(value)
                found.append(Segment(text, tag or "plain"))
    return tuple(found)


@cache
def sentences(language: str) -> Mapping[str, str]:
    """A catalogue as it is written: keys and sentences."""
    text = (files("pellucid.pages") / "catalogues" / f"{language}.json").read_text(encoding="utf-8")
    found: dict[str, str] = json.loads(text)
    return found


def visible(text: str) -> str:
    """A text with every character shown that a reader could not see: U+202E becomes "[U+202E]"."""
    return _UNSEEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def shortened(text: str, *, longest: int = _LONGEST) -> str:
    """A foreign text, cut where it would fill the page; how long it was is said."""
    text = visible(text)
    return text if len(text) <= longest else f"{text[: longest - 12]}… ({number(len(text))})"


def abridged(name: str, *, longest: int) -> str:
    """The name of a site where there is little room: both its ends, since they tell sites apart."""
    name = visible(name)
    tail = (longest - 1) // 3
    return name if len(name) <= longest else f"{name[: longest - 1 - tail]}…{name[-tail:]}"


def cleaned(record: object) -> object:
    """A JSON record whose texts, keys too, can be written and read."""
    if isinstance(record, str):
        return visible(record)
    if isinstance(record, Mapping):
        return {visible(str(key)): cleaned(value) for key, value in record.items()}
    if isinstance(record, list | tuple):
        return [cleaned(value) for value in record]
    return record


def probability(value: float) -> str:
    """A probability with three decimals, or as many as keep it apart from others and from 0 and 1."""
    if value in (0.0, 1.0):
        return number(value)
    if value < 0.00995:
        return number(value, digits=2)
    for decimals in range(3, 8):
        if round(value, decimals) < 1:
            return f"{value:.{decimals}f}"
    return "> 0.9999999"


def decimals_for(values: list[float]) -> int:
    """How many decimals keep some logits apart: 2, or more where they lie close together."""
    finite = [value for value in values if math.isfinite(value)]
    spread = max(finite) - min(finite) if finite else 0.0
    return 2 if spread <= 0 else max(2, min(7, 1 - math.floor(math.log10(spread))))


def fixed(value: float, decimals: int) -> str:
    """A number with a fixed count of decimals and a true minus, for columns; huge and tiny ones have an exponent."""
    text = f"{abs(value):.{decimals}f}"
    if not math.isfinite(value) or abs(value) >= 1e6 or (value and not float(text)):
        return number(value, digits=2)
    return (MINUS if value < 0 else "") + text


def percent(share: float) -> str:
    """A share as percent with two digits at most, without the sign."""
    value = 100 * share
    if not math.isfinite(value):
        return number(value)
    return number(
        float(f"{value:.2g}") if value < 99.5 else round(value, 1 if value < 100 else 0),
        digits=2 if value < 99.5 else 3,
    ).removesuffix(".0")


def million(count: float) -> str:
    """A count above 0 in millions, with three digits or one decimal."""
    value = count / 1e6
    if value < 0.001:
        return "< 0.001"
    return number(value) if value < 1 or value >= 1000 else f"{value:.1f}"
