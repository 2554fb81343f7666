"""What a page says about each explanation: its picture, its legend in numbers, and what was measured about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.figures.colour import Scale
from pellucid.figures.numbers import number
from pellucid.methods.explanation import Explanation
from pellucid.methods.parts import Part
from pellucid.pages.bundle import Bundle
from pellucid.pages.channel_bars import ChannelBars, channel_bars, of_channels
from pellucid.pages.measuring import half_of
from pellucid.pages.naming import method_name
from pellucid.pages.notes import noted
from pellucid.pages.pictures import Drawing, drawing
from pellucid.pages.words import Catalogue, Segment, Sentence, percent, shortened


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One explanation as the page shows it.

    Attributes:
        title: The method's name for people.
        where: Where its values lie, and its settings.
        reading: How to read the picture; None for a method that the catalogue does not know.
        drawing: The pictures and their scale; None for values of channels.
        channels: Values of channels; None for those of a picture.
        ends: What stands below the two ends of the bar.
        zero: Whether zero is marked in the middle.
        legend: The unit, and what the colours do not show.
        findings: Measured sentences.
        cost: Passes, seconds, and where it ran.
        notes: The method's own notes.
        short: Number and words for the head of the page; None if nothing could be measured.
    """

    title: str
    where: Sentence
    reading: Sentence | None
    drawing: Drawing | None
    channels: ChannelBars | None
    ends: tuple[str, str]
    zero: bool
    legend: list[Sentence]
    findings: list[Sentence]
    cost: Sentence
    notes: list[Sentence]
    short: tuple[str, Sentence] | None


def said_about(bundle: Bundle, words: Catalogue) -> list[Said]:
    """The explanations of a bundle in their order."""
    explanations = bundle.explanations
    shared = shared_notes(explanations)
    prepared, original = (np.asarray(bundle.arrays[name]) for name in ("prepared", "original"))
    geometry, same_view = bundle.shown_geometry, bundle.same_view
    return [
        said(
            each,
            None
            if of_channels(each)
            else drawing(each, prepared=prepared, original=original, geometry=geometry, same_view=same_view),
            words,
            settings=each.settings,
            shared=shared,
        )
        for each in explanations
    ]


def shared_notes(explanations: Sequence[Explanation]) -> list[str]:
    """The notes that several explanations have in common, to be said once."""
    first, *others = explanations
    return [note for note in first.notes if others and all(note in other.notes for other in others)]


def said(
    explanation: Explanation,
    drawn: Drawing | None,
    words: Catalogue,
    *,
    settings: Mapping[str, object],
    shared: Sequence[str] = (),
) -> Said:
    """What a page says about one explanation.

    Args:
        explanation: The explanation.
        drawn: Its drawing; None for values of channels, which have bars.
        words: The catalogue of the page.
        settings: Those of its settings that are shown.
        shared: Notes that are said elsewhere.
    """
    name, part = explanation.method, explanation.parts[0]
    findings, short = _findings(explanation, words)
    place = _place(part, words)
    separator = "; "
    for key, value in sorted(settings.items()):
        if value is not None and key != "site":
            place += (Segment(separator, ""), *noted(f"{key} {value}", "setting", words, longest=160))
            separator = ", "
    cost = explanation.cost
    return Said(
        title=method_name(name, words),
        where=place,
        reading=words.say(f"reading.{name}") if words.has(f"reading.{name}") else None,
        drawing=drawn,
        channels=channel_bars(explanation, words) if drawn is None else None,
        ends=("", "") if drawn is None else _ends(drawn.scale),
        zero=drawn is not None and drawn.scale.kind == "signed",
        legend=_legend(explanation, drawn, words),
        findings=findings,
        cost=words.say(
            "why.cost", forwards=cost.forwards, backwards=cost.backwards, seconds=number(cost.seconds, digits=2),
            device=cost.device,
        ),
        notes=[noted(note, "explanation", words, longest=400) for note in explanation.notes if note not in shared],
        short=short,
    )  # fmt: skip


def _place(part: Part, words: Catalogue) -> Sentence:
    if part.place == "input":
        return words.say("why.input")
    if not part.is_map:
        return words.say("why.channels", site=shortened(part.place), count=part.values.size)
    height, width = part.values.shape[-2:]
    return words.say("why.site", site=shortened(part.place), height=height, width=width)


def _ends(scale: Scale) -> tuple[str, str]:
    return number(scale.low), number(scale.high, sign=scale.kind == "signed")


def _legend(explanation: Explanation, drawn: Drawing | None, words: Catalogue) -> list[Sentence]:
    name = explanation.method
    known = f"unit.{name}"
    said: list[Sentence] = []
    if words.has(known):
        said.append(words.say(known))
    else:
        said.append((Segment(shortened(explanation.unit), "plain"),))
    if drawn is None:
        return [*said, words.say("why.maps")] if explanation.feature_maps() is not None else said
    scale = drawn.scale
    if drawn.cell > 1:
        said.append(words.say("why.mean" if drawn.mean else "why.sum", cell=drawn.cell))
    if scale.flat:
        said.append(words.say("why.flat", value=number(scale.most)))
    if scale.beyond:
        share = percent(scale.beyond / max(1, scale.values - scale.not_finite))
        furthest = scale.most if abs(scale.most) >= abs(scale.least) else scale.least
        said.append(words.say("why.cut", share=share, furthest=number(furthest, sign=scale.kind == "signed")))
    if scale.not_finite:
        said.append(words.say("why.not_finite", count=scale.not_finite))
    return said


def _findings(explanation: Explanation, words: Catalogue) -> tuple[list[Sentence], tuple[str, Sentence] | None]:
    part = explanation.parts[0]
    plane = part.plane() if part.is_map else part.values
    at_input = part.place == "input"
    found: list[Sentence] = []
    short: tuple[str, Sentence] | None = None
    half = None if not part.is_map else half_of(np.abs(plane) if at_input else plane)
    if half is not None:
        some, all_ = half
        if at_input:
            share = percent(some / all_)
            found.append(words.say("why.half.pixels", share=share, count=all_))
            short = (f"{share} %", words.say("short.half.pixels"))
        else:
            found.append(words.say("why.half.cells", some=some, count=all_))
            short = (f"{number(some)} / {number(all_)}", words.say("short.half.cells"))
    checks: dict[str, Any] = dict(explanation.checks)
    gap, relative = checks.pop("completeness gap", None), checks.pop("relative gap", None)
    if gap is not None:
        summed = explanation.part("segments").values if explanation.has("segments") else explanation.values
        total = float(summed.sum(dtype=np.float64))
        if explanation.has("segments"):
            plane = summed
        if explanation.signed and np.isfinite(plane).all():
            # Only values that add up to something speak for and against it; a negative gradient does not.
            positive = float(np.clip(plane, 0, None).sum(dtype=np.float64))
            negative = float(np.clip(plane, None, 0).sum(dtype=np.float64))
            found.append(words.say("why.signs", positive=number(positive, sign=True), negative=number(negative)))
        found.append(words.say("why.complete", total=number(total, digits=4), rise=number(total - gap, digits=4)))
        # Where the score does not change there is no share of the change; a note says so.
        if relative is not None and np.isfinite(relative):
            found.append(words.say("why.gap", gap=number(gap, digits=2), share=percent(relative)))
            short = (f"{percent(relative)} %", words.say("short.gap"))
    for name, value in sorted(checks.items()):
        found.append((*noted(name, "check", words), Segment(f": {number(value)}", "plain")))
    return found, short
