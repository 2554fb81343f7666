"""The legend: a bar of colours with numbers at its ends, and the lines that say what the colours do not show."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.figures import png
from pellucid.figures.colour import INK, LINE, PAPER, SOFT, STRENGTHS, Kind, Scale, levels, palette
from pellucid.figures.lettering import line_height, text_width, wrap, write
from pellucid.figures.numbers import number

__all__ = ["bar_png", "described", "end_labels", "number", "stack", "strip"]

_BAR, _SIZE = 10, 13


def bar_png(kind: Kind) -> bytes:
    """The colours of a scale from its low to its high end, one pixel each: to be stretched by a page."""
    return png.indexed(np.arange(levels(kind), dtype=np.uint8)[None], palette(kind))


def end_labels(scale: Scale) -> tuple[str, str]:
    """What stands at the two ends of a bar; a signed scale shows its plus."""
    return number(scale.low), number(scale.high, sign=scale.kind == "signed")


def described(scale: Scale, *, unit: str) -> dict[str, Any]:
    """A legend in JSON types: `kind`, `low`, `high`, `least`, `most`, `unit`, `not_finite`, `beyond`, `flags`."""
    return {
        "kind": scale.kind,
        "low": scale.low,
        "high": scale.high,
        "least": scale.least,
        "most": scale.most,
        "unit": unit,
        "not_finite": scale.not_finite,
        "beyond": scale.beyond,
        "flags": list(scale.remarks()),
    }


def strip(
    kind: Kind,
    *,
    width: int,
    ends: tuple[str, str],
    zero: float | None = None,
    bar: int | None = None,
    lines: Sequence[str] = (),
) -> np.ndarray:
    """A legend as palette entries.

    Args:
        kind: Which colours.
        width: Of the whole strip, in pixels; the lines are wrapped to it.
        ends: What stands below the two ends of the bar.
        zero: Where zero lies on the bar, 0 … 1; marked and labelled if it is inside.
        bar: Width of the bar; as wide as the strip unless given.
        lines: Sentences below.

    Returns:
        uint8 (height, width).
    """
    bar = min(width, bar or width)
    wrapped = [part for line in lines for part in wrap(line, width=width, size=_SIZE)]
    high = _BAR + 4 + line_height(_SIZE) + (6 + line_height(_SIZE) * len(wrapped) if wrapped else 0)
    canvas = np.full((high, width), PAPER, dtype=np.uint8)
    canvas[:_BAR, :bar] = np.arange(bar) * levels(kind) // bar
    top = _BAR + 4
    write(canvas, ends[0], left=0, top=top)
    right = bar - text_width(ends[1], size=_SIZE)
    write(canvas, ends[1], left=right, top=top)
    if zero is not None and 0 < zero < 1:
        middle = round(zero * bar)
        canvas[_BAR : _BAR + 3, middle : middle + 1] = INK + STRENGTHS - 1
        left = middle - text_width("0", size=_SIZE) // 2
        if left > text_width(ends[0], size=_SIZE) + 6 and left + text_width("0", size=_SIZE) + 6 < right:
            write(canvas, "0", left=left, top=top)
    top += line_height(_SIZE) + 6
    for line in wrapped:
        write(canvas, line, left=0, top=top, tone=SOFT)
        top += line_height(_SIZE)
    return canvas


def stack(parts: Sequence[np.ndarray], *, gap: int, margin: int, rule: bool = False) -> np.ndarray:
    """Drawings of palette entries below each other on one sheet of paper, perhaps with a hairline between them."""
    width = max(part.shape[1] for part in parts) + 2 * margin
    high = sum(part.shape[0] for part in parts) + gap * (len(parts) - 1) + 2 * margin
    canvas = np.full((high, width), PAPER, dtype=np.uint8)
    top = margin
    for place, part in enumerate(parts):
        if rule and place:
            canvas[top - gap // 2, margin : width - margin] = LINE
        canvas[top : top + part.shape[0], margin : margin + part.shape[1]] = part
        top += part.shape[0] + gap
    return canvas
