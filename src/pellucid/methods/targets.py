"""Targets: what is explained, as a user writes it, and as the score that it means on one input.

    top:1                     the class with the largest logit (top:2: the second, …)
    top:1-5                   the five with the largest logits: five targets, which share passes
    class:281, class:tabby    a class by number or by name
    contrast:tabby,lynx       the logit of the first class minus that of the second
    output:2                  an output that is no class
    unit:'features.40'/7      the mean over positions of one channel of a site
    unit:'features.40'/7@3,5  the same channel at one position: row 3, column 5, counted from 0

Targets are logits: a final softmax, log-softmax or sigmoid is looked through.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from pellucid.capture.asks import Facts
from pellucid.capture.scores import LOGITS, Score
from pellucid.errors import TargetError, did_you_mean

_NUMBER = re.compile(r"[0-9]{1,9}")
_RANKS = re.compile(r"top:\s*([0-9]{1,9})\s*-\s*([0-9]{1,9})\s*")
_UNIT = re.compile(r"unit:(?:'([^']+)'|\"([^\"]+)\"|(.+?))/([0-9]{1,9})(?:@([0-9]{1,9}(?:,[0-9]{1,9})*))?")
MOST_RANKS = 100
"""Most targets that one range of ranks may mean."""
FORMS = "top:1, top:1-5, class:281, class:tabby, contrast:tabby,lynx, output:2 or unit:'features.40'/7"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A target on one input.

    Attributes:
        asked: The target as it was written.
        text: What it turned out to be, for people: "tabby (class 281)".
        score: The score that it means.
        classes: The class indices that it is about, first the one that is explained; empty for units.
        nodes: The target node, or the two ends of the target edge; empty for pictures and whole graphs.
    """

    asked: str
    text: str
    score: Score
    classes: tuple[int, ...] = field(default=())
    nodes: tuple[int, ...] = field(default=())

    def to_record(self) -> dict[str, Any]:
        """As JSON types."""
        weights = {str(index): weight for index, weight in self.score.weights.items()}
        record = {
            "asked": self.asked,
            "text": self.text,
            "place": self.score.place,
            "weights": weights,
            "classes": list(self.classes),
        }
        if self.score.position is not None:
            record["position"] = list(self.score.position)
        return record | ({"nodes": list(self.nodes)} if self.nodes else {})

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Resolved":
        """From what `to_record` gave."""
        weights = {int(index): float(weight) for index, weight in record["weights"].items()}
        position = tuple(map(int, record["position"])) if "position" in record else None
        score = Score(place=record["place"], weights=weights, position=position)
        return cls(
            asked=record["asked"],
            text=record["text"],
            score=score,
            classes=tuple(record["classes"]),
            nodes=tuple(record.get("nodes", ())),
        )


def places_of(target: str, facts: Facts) -> frozenset[str]:
    """The sites whose values a target needs."""
    return frozenset({facts.site(_unit(target)[0]).name}) if target.startswith("unit:") else frozenset()


def expanded(targets: Sequence[str]) -> list[str]:
    """Each target by itself: `top:1-5` is five of them.

    Raises:
        TargetError: A range of ranks that holds none, or begins below 1.
    """
    found: list[str] = []
    for target in targets:
        ranks = _RANKS.fullmatch(target) if isinstance(target, str) else None
        if ranks is None:
            found.append(target)
            continue
        first, last = int(ranks.group(1)), int(ranks.group(2))
        if not 1 <= first <= last:
            raise TargetError(f"target {target!r} is no range of ranks; the five best classes are written as top:1-5.")
        if last - first >= MOST_RANKS:
            raise TargetError(f"target {target!r} is {last - first + 1} targets; ask for {MOST_RANKS} at most at once.")
        found += [f"top:{rank}" for rank in range(first, last + 1)]
    return found


def check(target: str) -> None:
    """Refuse what cannot be a target, before any work.

    Raises:
        TargetError: The word before the colon is unknown, or what follows it cannot be meant.
    """
    if not isinstance(target, str):
        raise TargetError(f"target {target!r} is no text; write it as {FORMS}.")
    word, _, rest = target.partition(":")
    known = ["top", "class", "contrast", "output", "unit"]
    if word not in known or not rest.strip():
        near = did_you_mean(word, known) or ";"
        raise TargetError(f"target {target!r} cannot be read{near} Write it as {FORMS}.".replace("; Write", "; write"))
    if word == "top" and _RANKS.fullmatch(target):
        raise TargetError(f"target {target!r} is several targets, and one is wanted here, e.g. top:1.")
    if word in ("top", "output"):
        _whole(rest, target)
    elif word == "contrast":
        _two(rest, target)
    elif word == "unit":
        _unit(target)


def resolve(target: str, logits: Tensor, facts: Facts, class_names: Sequence[str] | None) -> list[Resolved]:
    """What a target means on each input of a batch.

    Args:
        target: The target as the user wrote it.
        logits: The unperturbed answer, (batch, classes).
        facts: The sites of the model.
        class_names: Names of the classes, if anybody knows them.

    Raises:
        TargetError: No such class, output or unit; says what there is.
    """
    check(target)
    word, _, rest = target.partition(":")
    count = logits.shape[1]
    if class_names is not None and len(class_names) != count:
        # With one logit for two classes, its name would be that of the class that it speaks against.
        class_names = None
    if word == "top":
        rank = _whole(rest, target)
        if not 1 <= rank <= count:
            raise TargetError(f"target {target!r} asks for rank {rank} of {count} classes; ranks are 1 to {count}.")
        order = logits.argsort(dim=1, descending=True, stable=True)[:, rank - 1].tolist()
        return [_class(target, index, count, class_names) for index in order]
    if word == "class":
        return [_class(target, find_class(rest, count, class_names), count, class_names)] * len(logits)
    if word == "output":
        index = _whole(rest, target)
        _in_range(index, count, target)
        score = Score(place=LOGITS, weights={index: 1.0})
        return [Resolved(asked=target, text=f"output {index}", score=score, classes=(index,))] * len(logits)
    if word == "contrast":
        one, other = (find_class(name, count, class_names) for name in _two(rest, target))
        if one == other:
            raise TargetError(f"target {target!r} compares class {one} with itself; name two different classes.")
        text = f"{_named(one, class_names)} rather than {_named(other, class_names)}"
        score = Score(place=LOGITS, weights={one: 1.0, other: -1.0})
        return [Resolved(asked=target, text=text, score=score, classes=(one, other))] * len(logits)
    return [_resolved_unit(target, facts)] * len(logits)


def _resolved_unit(target: str, facts: Facts) -> Resolved:
    selector, channel, position = _unit(target)
    site = facts.site(selector)
    if len(site.shape) > 2 and not site.channels_first:
        shape = "×".join(map(str, site.shape))
        raise TargetError(
            f"target {target!r} cannot be used: site {site.name!r} ({site.op}) has shape {shape}, and which axis "
            "holds its channels is not known; choose a convolution, e.g. unit:'last:conv'/0."
        )
    if len(site.shape) < 2 or not 0 <= channel < site.shape[1]:
        there = f"channels 0 to {site.shape[1] - 1}" if len(site.shape) > 1 else "no channels"
        raise TargetError(f"target {target!r} asks for channel {channel}; site {site.name!r} has {there}.")
    sides = site.shape[2:]
    if position is not None and (
        len(position) != len(sides) or any(at >= side for at, side in zip(position, sides, strict=True))
    ):
        size = "×".join(map(str, sides))
        last = ",".join(str(side - 1) for side in sides)
        there = f"{size} positions; the last is @{last}" if sides else "no positions; leave out what follows the @"
        raise TargetError(
            f"target {target!r} asks for position {','.join(map(str, position))}; site {site.name!r} has {there}."
        )
    score = Score(place=site.name, weights={channel: 1.0}, position=position)
    where = ", mean over positions" if sides else ""
    if position is not None:
        where = f" at position {', '.join(map(str, position))}"
    return Resolved(asked=target, text=f"channel {channel} of {site.name}{where}", score=score)


def find_class(text: str, count: int, class_names: Sequence[str] | None) -> int:
    """The index of a class given by number or by name; a name may be a part of one that is unique.

    Raises:
        TargetError: No such class, or several; names them with their indices.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        _in_range(int(text), count, f"class:{text}")
        return int(text)
    if class_names is None:
        numbers = f"a number from 0 to {count - 1}" if count > 1 else "class:0"
        raise TargetError(
            f"no class {text!r}: this model has no class names for its {count} output{'s' * (count > 1)}; "
            f"give {numbers}."
        )
    wanted = text.casefold()
    words = [{part.strip().casefold() for part in name.split(",")} | {name.casefold()} for name in class_names]
    for matching in (
        [i for i, names in enumerate(words) if wanted in names],
        [i for i, name in enumerate(class_names) if wanted in name.casefold()],
    ):
        if len(matching) == 1:
            return matching[0]
        if matching:
            several = ", ".join(f"{i} ({class_names[i]})" for i in matching[:6]) + (
                " and more" if len(matching) > 6 else ""
            )
            raise TargetError(f"class {text!r} is ambiguous: {several}; give a number, e.g. class:{matching[0]}.")
    names = list(class_names)
    some = f"; there are {count} classes, such as {', '.join(repr(name) for name in names[:3])}."
    raise TargetError(f"no class {text!r}{did_you_mean(text, names) or some}")


def _class(target: str, index: int, count: int, class_names: Sequence[str] | None) -> Resolved:
    _in_range(index, count, target)
    text = f"{class_names[index]} (class {index})" if class_names and index < len(class_names) else f"class {index}"
    return Resolved(asked=target, text=text, score=Score(place=LOGITS, weights={index: 1.0}), classes=(index,))


def _named(index: int, class_names: Sequence[str] | None) -> str:
    return class_names[index] if class_names and index < len(class_names) else f"class {index}"


def _two(text: str, target: str) -> tuple[str, str]:
    names = [part for part in text.split(",") if part.strip()]
    if len(names) != 2:
        raise TargetError(f"target {target!r} names {len(names)} classes, expected two: contrast:tabby,lynx.")
    return names[0], names[1]


def _unit(target: str) -> tuple[str, int, tuple[int, ...] | None]:
    """Selector, channel and, where one is named, position."""
    match = _UNIT.fullmatch(target)
    if match is None:
        raise TargetError(
            f"target {target!r} cannot be read; a unit is written as unit:'features.40'/7, at one position as "
            "unit:'features.40'/7@3,5."
        )
    position = None if match.group(5) is None else tuple(map(int, match.group(5).split(",")))
    return match.group(1) or match.group(2) or match.group(3), int(match.group(4)), position


def _whole(text: str, target: str) -> int:
    if not _NUMBER.fullmatch(text.strip()):
        raise TargetError(f"target {target!r} needs a whole number after the colon; write it as {FORMS}.")
    return int(text)


def _in_range(index: int, count: int, target: str) -> None:
    if index >= count:
        raise TargetError(f"target {target!r} is out of range: the model has {count} outputs, 0 to {count - 1}.")
