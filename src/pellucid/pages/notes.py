"""Notes in the reader's language: sentences that the lower rooms compose in English, taken apart and said again.

The English sentence is the only one that loading, reading and explaining know. Here a file for each further language
(`catalogues/notes.ko.json`) says it again: for each kind of text pairs of an English pattern and a sentence with the
same places. A place of a pattern may say what fits in it: `{count:number}`, or a kind of text that is then translated
itself, `{source:source}`; without that it takes any text. A place of the other sentence names the element that the
value is set in, as in every catalogue. What no pattern fits stays as it is and is marked as English.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Formatter

from pellucid.figures.numbers import MINUS
from pellucid.pages.words import Catalogue, Segment, Sentence, filled_in, shortened

ANY, NUMBER = "", "number"
_NUMBER = re.compile(r"[+−-]?(?:[0-9]{1,20}(?:[.,][0-9]{1,20}){0,8}(?:e[+−-]?[0-9]{1,3})?|nan|inf)")
# A description of preprocessing is a chain of five steps; a text that nests deeper is none that pellucid wrote.
_DEEPEST = 8
_BETWEEN_SENTENCES = re.compile(r"(?<=[.]) (?=[A-Z0-9])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """An English sentence with places, and the same sentence in another language.

    Attributes:
        literals: The words around the places, one more than there are places.
        places: Name and kind of each place.
        said: The sentence in the other language.
    """

    literals: tuple[str, ...]
    places: tuple[tuple[str, str], ...]
    said: str

    @classmethod
    def read(cls, english: str, said: str) -> "Pattern":
        """A pattern from the two sentences of a catalogue."""
        literals, places = [""], []
        for literal, name, kind, _ in Formatter().parse(english):
            literals[-1] += literal
            if name is not None:
                places.append((name, kind or ANY))
                literals.append("")
        return cls(literals=tuple(literals), places=tuple(places), said=said)

    def taken_apart(self, text: str) -> dict[str, str] | None:
        """What stands in the places; None for another sentence.

        Each literal is taken where it first stands and nothing is tried twice, so the time grows with the length of
        the text and not with a power of it, whatever somebody has written into it.
        """
        if not self.places:
            return {} if text == self.literals[0] else None
        first, *inner, last = self.literals
        at, end = len(first), len(text) - len(last)
        if not (text.startswith(first) and text.endswith(last)):
            return None
        values = []
        for literal in inner:
            stop = text.find(literal, at + 1, end)
            if stop < 0:
                return None
            values.append(text[at:stop])
            at = stop + len(literal)
        if at >= end:
            return None
        values.append(text[at:end])
        found = {name: value for (name, _), value in zip(self.places, values, strict=True)}
        numbers = [found[name] for name, kind in self.places if kind == NUMBER]
        return found if all(_NUMBER.fullmatch(value) for value in numbers) else None


@cache
def patterns(language: str) -> Mapping[str, tuple[Pattern, ...]]:
    """The patterns of a language by kind of text, the first that fits counts; none for English."""
    file = files("pellucid.pages") / "catalogues" / f"notes.{language}.json"
    if not file.is_file():
        return {}
    pairs: dict[str, list[list[str]]] = json.loads(file.read_text(encoding="utf-8"))
    return {kind: tuple(Pattern.read(*pair) for pair in group) for kind, group in pairs.items()}


def noted(text: str, kind: str, words: Catalogue, *, longest: int = 600, otherwise: str = "en") -> Sentence:
    """A note in the language of a catalogue.

    Args:
        text: The note as it was composed, in English.
        kind: What it is about: a key of the file of patterns.
        words: The catalogue of the page.
        longest: How much of it is shown where it stays as it is; what is set in a place has the usual bound.
        otherwise: The element that a text is set in where no pattern fits.
    """
    if words.language == "en":
        return (Segment(shortened(text, longest=longest), "name"),)
    return _translated(text, kind, words.language, 0) or (Segment(shortened(text, longest=longest), otherwise),)


def noted_by_sentence(text: str, kind: str, words: Catalogue, *, longest: int = 600) -> Sentence:
    """A note of several sentences, each by itself: where one has no translation, the others still have theirs."""
    if words.language == "en":
        return noted(text, kind, words, longest=longest)
    said: list[Segment] = []
    for sentence in _BETWEEN_SENTENCES.split(text):
        said += [Segment(" ", "")] * bool(said)
        said += noted(sentence, kind, words, longest=longest)
    return tuple(said)


def noted_text(text: str, kind: str, words: Catalogue, *, longest: int = 160) -> str:
    """A note as plain text, for titles and attributes."""
    return shortened("".join(segment.text for segment in noted(text, kind, words, longest=longest)), longest=longest)


def _translated(text: str, kind: str, language: str, depth: int) -> Sentence | None:
    if depth > _DEEPEST:
        return None
    for pattern in patterns(language)[kind]:
        values = pattern.taken_apart(text)
        if values is not None:
            inner = {
                name: _translated(values[name], of, language, depth + 1)
                for name, of in pattern.places
                if of not in (ANY, NUMBER)
            }
            numbers = {name: values[name].replace("-", MINUS) for name, of in pattern.places if of == NUMBER}
            shown = {name: inner.get(name) or shortened(value) for name, value in values.items()} | numbers
            return filled_in(pattern.said, shown)
    return None
