"""The key of a drawing in SVG: bars with numbers, marks of groups, strokes of types, and what has no value."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from pellucid.figures.colour import Scale
from pellucid.figures.legend import bar_png, end_labels
from pellucid.figures.numbers import number
from pellucid.figures.paint import flat_fill
from pellucid.figures.svg import INK, SOFT, element, shortened, text, text_room
from pellucid.figures.wording import Wording

_BAR, _BAR_HIGH, _SIZE, _LINE, _GAP = 200, 8, 12, 17, 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleKey:
    """A bar with the numbers of its ends.

    Attributes:
        scale: Which colour stands for which value.
        what: What has these colours; empty where that is plain.
        unit: What a value is.
        lines: Sentences below.
    """

    scale: Scale
    what: str = ""
    unit: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkKey:
    """A small drawing, 22 × 14 pixels around (11, 0), and what it stands for."""

    drawn: str
    name: str


def key(
    scales: Sequence[ScaleKey], marks: Sequence[MarkKey], *, left: float, top: float, width: float, wording: Wording
) -> tuple[list[str], float]:
    """Draw a key.

    Args:
        scales: Bars, side by side where there is room.
        marks: What stands below them, in rows.
        left: Where it begins.
        top: Where it begins.
        width: How much room it has.
        wording: The words of its sentences.

    Returns:
        Elements, and the height that they take.
    """
    parts: list[str] = []
    bar = min(_BAR, int(width))
    columns = max(1, int((width + _GAP) // (bar + _GAP)))
    y, row_high = top, 0.0
    for place, each in enumerate(scales):
        if place and place % columns == 0:
            y, row_high = y + row_high + 8, 0.0
        x = left + place % columns * (bar + _GAP)
        alone = len(scales) == 1
        drawn, high = _scale(each, x=x, y=y, bar=bar, room=width if alone else bar, wording=wording)
        parts += drawn
        row_high = max(row_high, high)
    y += row_high
    if marks:
        y += 6 if scales else 0
        drawn, high = _marks(marks, left=left, top=y, width=width)
        parts += drawn
        y += high
    return parts, y - top


def _scale(each: ScaleKey, *, x: float, y: float, bar: int, room: float, wording: Wording) -> tuple[list[str], float]:
    scale, parts, begin = each.scale, [], y
    if scale.not_finite == scale.values:
        return [], 0.0
    if scale.low == scale.high:
        parts.append(
            element("rect", x=x, y=y, width=22, height=_BAR_HIGH, fill=flat_fill(scale), stroke=SOFT, stroke_width=0.5)
        )
        parts.append(text(number(scale.low), x=x + 28, y=y + _BAR_HIGH, size=_SIZE, fill=INK))
        y += _BAR_HIGH + 4
    else:
        picture = base64.b64encode(bar_png(scale.kind)).decode()
        parts.append(
            element(
                "image", x=x, y=y, width=bar, height=_BAR_HIGH, preserveAspectRatio="none",
                href=f"data:image/png;base64,{picture}",
            )
        )  # fmt: skip
        low, high = end_labels(scale)
        y += _BAR_HIGH + 14
        parts.append(text(low, x=x, y=y, size=_SIZE, fill=INK))
        parts.append(text(high, x=x + bar, y=y, size=_SIZE, fill=INK, anchor="end"))
        if scale.low < 0 < scale.high:
            zero = x + bar / (1 + scale.high / -scale.low)
            if min(zero - x - text_room(low, size=_SIZE), x + bar - text_room(high, size=_SIZE) - zero) > 10:
                parts.append(element("path", d=f"M{zero:.1f} {begin + _BAR_HIGH:.1f}v3", stroke=INK, stroke_width=1))
                parts.append(text("0", x=zero, y=y, size=_SIZE, fill=INK, anchor="middle"))
    said = [line for line in (each.what, each.unit, *each.lines, *_remarks(scale, wording)) if line]
    if each.what and each.unit:
        said[:2] = [f"{each.what}: {each.unit}"]
    for line in said:
        for piece in _broken(line, room=room):
            y += _LINE
            parts.append(text(piece, x=x, y=y, size=_SIZE, fill=SOFT))
    return parts, y - begin + 6


def _remarks(scale: Scale, wording: Wording) -> list[str]:
    said = []
    if scale.flat and scale.values > 1 and scale.low != scale.high:
        said.append(wording.equal.format(value=number(scale.most, sign=scale.kind == "signed")))
    if scale.beyond:
        furthest = scale.most if scale.most > scale.high else scale.least
        share = number(100 * scale.beyond / (scale.values - scale.not_finite), digits=2)
        said.append(wording.beyond.format(share=share, value=number(furthest)))
    return said


def _marks(marks: Sequence[MarkKey], *, left: float, top: float, width: float) -> tuple[list[str], float]:
    parts = []
    x, y = left, top + 9
    for each in marks:
        name = shortened(each.name, room=width - 30, size=_SIZE)
        wide = 28 + text_room(name, size=_SIZE) + 16
        if x > left and x + wide - 16 > left + width:
            x, y = left, y + _LINE + 3
        parts.append(element("g", each.drawn, transform=f"translate({x:.1f} {y:.1f})"))
        parts.append(text(name, x=x + 28, y=y + 4, size=_SIZE, fill=SOFT))
        x += wide
    return parts, y - top + 10


def _broken(line: str, *, room: float) -> list[str]:
    """The lines of a sentence, broken at spaces."""
    lines: list[str] = []
    # Only plain spaces: groups of digits are joined by one that must not break.
    for word in line.split(" "):
        if lines and text_room(f"{lines[-1]} {word}", size=_SIZE) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
