"""Diagrams along the depth, one below the other, that share their sites: curves, and shares as stacked bars."""

from collections.abc import Sequence
from dataclasses import dataclass

from pellucid.errors import SettingError
from pellucid.figures.colour import palette
from pellucid.figures.curves import Curve, DrawnCurve, panel
from pellucid.figures.numbers import number
from pellucid.figures.svg import (
    ACCENT,
    DARK,
    INK,
    LIGHT,
    LINE,
    SOFT,
    Drawing,
    clean,
    document,
    element,
    px,
    shortened,
    text,
)

_HIGH, _HEAD, _LEFT, _RIGHT, _NAMES, _GAP = 104, 26, 54, 128, 84, 14
_COLOURS = {"main": ACCENT, "control": SOFT}


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvesPanel:
    """A diagram of curves.

    Attributes:
        title: What is measured, in words.
        curves: Style "main" is drawn in colour, "control" in grey.
        low: The value at the bottom.
        high: The value at the top.
        ticks: Values and texts of the grid's lines.
        level: A dashed line and what it is called, or None.
    """

    title: str
    curves: Sequence[Curve]
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    level: tuple[float, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SharesPanel:
    """A diagram of stacked bars, one for each site, and beside it one in grey for the control.

    Attributes:
        title: What is shared out.
        shares: For each site the shares from the bottom up, each 0 … 1; nothing where none was measured.
        controls: The same of the control, or nothing.
        names: What the shares are called, as many as the longest has.
    """

    title: str
    shares: Sequence[Sequence[float]]
    controls: Sequence[Sequence[float]]
    names: Sequence[str]


def draw_depth_panels(
    panels: Sequence[CurvesPanel | SharesPanel],
    names: Sequence[str],
    *,
    title: str = "",
    description: str = "",
    width: int = 760,
) -> Drawing:
    """Draw diagrams that share their sites.

    Args:
        panels: One or more.
        names: The sites, from left to right.
        title: A line above.
        description: What is on it, for those who cannot see it.
        width: In pixels, 480 or more.

    Raises:
        SettingError: There is no panel or no site, or too little room.
    """
    for what, given, least in (("panels", len(panels), 1), ("names", len(names), 1), ("width", width, 480)):
        if given < least:
            raise SettingError(what, given=given, expected=f"{least} or more")
    parts, top = [], 8.0
    if title:
        parts.append(text(shortened(title, room=width - 16, size=15), x=8, y=24, size=15, fill=INK, weight=600))
        top = 36.0
    for each in panels:
        parts.append(text(each.title, x=8, y=top + 15, size=13, fill=INK))
        drawn = _curves(each, width) if isinstance(each, CurvesPanel) else _shares(each, width)
        parts.append(element("g", "".join(drawn), transform=f"translate(0 {px(top + _HEAD)})"))
        top += _HEAD + _HIGH + _GAP
    for x, name in zip(_places(len(names), width), names, strict=True):
        short = shortened(name, room=1.5 * _NAMES, size=12)
        label = element("title", clean(name)) + text(short, x=0, y=0, anchor="end")
        parts.append(element("g", label, transform=f"translate({px(x + 4)} {px(top)}) rotate(-38)"))
    height = top + _NAMES
    return Drawing(
        svg=document(parts, width=width, height=height, title=title or panels[0].title, description=description),
        width=width,
        height=round(height),
        legend={"panels": [each.title for each in panels], "sites": list(names)},
        title=title,
    )


def _places(count: int, width: int) -> list[float]:
    """Where each site stands; as `curves.panel` has them."""
    return [_LEFT + (width - _RIGHT - _LEFT) * (i + 0.5) / count for i in range(count)]


def _curves(given: CurvesPanel, width: int) -> list[str]:
    # The first on top, so drawn last.
    found = panel(
        given.curves,
        width=width,
        height=_HIGH,
        margins=(4, _RIGHT, 4, _LEFT),
        low=given.low,
        high=given.high,
        ticks=given.ticks,
    )
    parts = []
    for y, words in found.ticks:
        parts.append(element("path", d=f"M{found.left} {y}H{found.right}", stroke=LINE, stroke_width=1))
        parts.append(text(words, x=found.left - 8, y=float(y) + 4, size=11, anchor="end"))
    if given.level is not None:
        value, words = given.level
        place = found.bottom - (found.bottom - 4) * (value - given.low) / (given.high - given.low)
        line = f"M{found.left} {px(place)}H{found.right}"
        parts.append(element("path", d=line, stroke=SOFT, stroke_width=1, stroke_dasharray="4 4"))
        parts.append(text(words, x=found.left + 4, y=place - 4, size=11, halo=True))
    for curve, drawn in reversed(list(zip(given.curves, found.curves, strict=True))):
        parts += _one_curve(curve, drawn)
    return parts


def _one_curve(curve: Curve, drawn: DrawnCurve) -> list[str]:
    colour = _COLOURS[drawn.style]
    parts = []
    if drawn.band:
        parts.append(element("polygon", points=drawn.band, fill=colour, fill_opacity="0.16"))
    if drawn.line:
        parts.append(element("polyline", points=drawn.line, fill="none", stroke=colour, stroke_width=2))
        end = text(drawn.label, x=float(drawn.label_x), y=float(drawn.label_y), size=12, fill=colour, halo=True)
        parts.append(end)
    values = [value for value in curve.values if value is not None]
    for (x, y), value in zip(drawn.dots, values, strict=True):
        said = element("title", f"{clean(curve.label)}: {number(value)}")
        parts.append(element("circle", said, cx=x, cy=y, r=3, fill=colour))
    return parts


def _shares(given: SharesPanel, width: int) -> list[str]:
    count, low, high = len(given.shares), _HIGH - 4.0, 4.0
    room = (width - _RIGHT - _LEFT) / count
    wide = min(34.0, 0.4 * room)
    parts = []
    for value, words in ((0.0, "0"), (0.5, "0.5"), (1.0, "1")):
        y = low - (low - high) * value
        parts.append(element("path", d=f"M{_LEFT} {px(y)}H{width - _RIGHT}", stroke=LINE, stroke_width=1))
        parts.append(text(words, x=_LEFT - 8, y=y + 4, size=11, anchor="end"))
    main, grey = _ramp(len(given.names), "main"), _ramp(len(given.names), "control")
    for place, x in enumerate(_places(count, width)):
        begin = x - (wide + 1 if given.controls else wide / 2)
        parts += _stack(given.shares[place], given.names, main, x=begin, wide=wide, low=low, high=high)
        if given.controls:
            parts += _stack(given.controls[place], given.names, grey, x=x + 1, wide=wide, low=low, high=high)
    parts += _key(given.names, main, grey if given.controls else None, x=width - _RIGHT + 10, low=low, high=high)
    return parts


def _key(
    names: Sequence[str], main: Sequence[str], grey: Sequence[str] | None, *, x: float, low: float, high: float
) -> list[str]:
    """What each colour is called, the lowest share at the bottom; where there are many, every other one."""
    step = (low - high) / max(len(names), 6)
    every = -(-12 // max(1, int(step)))
    parts = []
    for number_, name in enumerate(names):
        y = low - (number_ + 1) * step
        parts.append(element("rect", x=float(x), y=float(y), width=10, height=float(step), fill=main[number_]))
        if grey is not None:
            parts.append(element("rect", x=float(x + 11), y=float(y), width=10, height=float(step), fill=grey[number_]))
        if number_ % every == 0:
            parts.append(text(name, x=x + 27, y=y + step / 2 + 4, size=11))
    return parts


def _stack(
    shares: Sequence[float],
    names: Sequence[str],
    colours: Sequence[str],
    *,
    x: float,
    wide: float,
    low: float,
    high: float,
) -> list[str]:
    parts, base = [], low
    for share, name, colour in zip(shares, names, colours, strict=False):
        tall = (low - high) * share
        said = element("title", f"{clean(name)}: {number(share)}")
        parts.append(
            element("rect", said, x=float(x), y=float(base - tall), width=float(wide), height=float(tall), fill=colour)
        )
        if tall >= 13 and wide >= 24:
            ink = LIGHT if _is_dark(colour) else DARK
            written = f"{share:.2f}".removeprefix("0") if share < 0.995 else "1"
            parts.append(text(written, x=x + wide / 2, y=base - tall / 2 + 4, size=11, fill=ink, anchor="middle"))
        base -= tall
    return parts


def _ramp(count: int, style: str) -> list[str]:
    """Colours from dark to light: of the sequential scale, or greys."""
    shades = [0.12 + 0.78 * i / max(1, count - 1) for i in range(count)]
    if style == "control":
        return ["#{0:02x}{0:02x}{0:02x}".format(round(96 + 140 * shade)) for shade in shades]
    colours = palette("sequential")
    return ["#{:02x}{:02x}{:02x}".format(*colours[round(shade * 254)][:3]) for shade in shades]


def _is_dark(colour: str) -> bool:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 140
