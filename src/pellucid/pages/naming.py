"""What a page calls the things that it speaks of: the explained number, the classes, the title."""

from collections.abc import Mapping
from typing import Any, Protocol

from pellucid.methods.explanation import Explanation
from pellucid.pages.notes import noted, noted_text
from pellucid.pages.words import Catalogue, Segment, Sentence, shortened


class Asked(Protocol):
    """What names are found in: a bundle of a picture or of a graph."""

    @property
    def record(self) -> Mapping[str, Any]:
        """Its record, with the answer."""

    @property
    def explanations(self) -> tuple[Explanation, ...]:
        """Its explanations, all of one target."""


def score_word(bundle: Asked, words: Catalogue) -> str:
    """What the explained number is: a logit, a difference of two, an output, an activation."""
    target = bundle.explanations[0].target
    if not target.classes:
        return words.text("score.unit")
    if len(target.classes) > 1:
        return words.text("score.contrast")
    return words.text("score.output" if bundle.record["answer"]["form"] == "values" else "score.logit")


def class_name(row: Mapping[str, Any], words: Catalogue, *, form: str = "softmax") -> str:
    """A class as a page names it: by its own name, or by its number where it has none."""
    name = row["name"]
    key = "output" if form == "values" else "class"
    return words.text(key, index=str(row["index"])) if name is None else shortened(name)


def method_name(method: str, words: Catalogue) -> str:
    """A method as a page names it; by its own name where the catalogue does not know it."""
    return words.text(f"method.{method}") if words.has(f"method.{method}") else shortened(method)


def subject(bundle: Asked, words: Catalogue) -> str:
    """What is explained, by a name that fits into a title."""
    target = bundle.explanations[0].target
    return explained_names(bundle, words)[0] if len(target.classes) == 1 else noted_text(target.text, "target", words)


def explained(bundle: Asked, words: Catalogue) -> Sentence:
    """What is explained, in full; of a model whose answers are numbers an output, not a class."""
    target = bundle.explanations[0].target
    if len(target.classes) == 1 and bundle.record["answer"]["form"] == "values":
        return (Segment(explained_names(bundle, words)[0], "name"),)
    return noted(target.text, "target", words, longest=160, otherwise="name")


def explained_names(bundle: Asked, words: Catalogue) -> list[str]:
    """The names of the classes that are explained; empty for units."""
    answer = bundle.record["answer"]
    rows = {row["index"]: class_name(row, words, form=answer["form"]) for row in answer["rows"]}
    return [rows[index] for index in bundle.explanations[0].target.classes]


def title_names(bundle: Asked, words: Catalogue) -> dict[str, str]:
    """The names that the title has places for."""
    names = explained_names(bundle, words)
    return {"name": names[0], "other": names[1]} if len(names) == 2 else {"name": subject(bundle, words)}


def title_key(bundle: Asked) -> str:
    """Which title fits: the answer itself, another class, two classes, or something that is no class."""
    target, answer = bundle.explanations[0].target, bundle.record["answer"]
    if len(target.classes) != 1 or answer["form"] == "values":
        return "title.other" if len(target.classes) < 2 else "title.contrast"
    return "title.class" if answer["rows"][0]["index"] == target.classes[0] else "title.against"
