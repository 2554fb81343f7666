"""SVG as text: elements, colours that follow the page, and the drawing that shows and saves itself.

A page forbids style attributes and style elements, so everything here is a presentation attribute. Its own rule for
text in an SVG is stronger than an attribute of `text`, but not than one of a `tspan` inside: sizes and colours of
letters stand there.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from pellucid.archive import write_whole
from pellucid.errors import SettingError

INK, SOFT = "var(--ink, currentColor)", "var(--soft, currentColor)"
LINE, ACCENT, PAGE = "var(--line, currentColor)", "var(--accent, currentColor)", "var(--paper, Canvas)"
"""Colours of the page, light or dark."""
DARK, LIGHT = "#171a1e", "#ffffff"
"""Ink and paper on top of data colours, which are the same in every scheme."""

_ALONE = {INK: DARK, SOFT: "#5a626b", LINE: "#dfe3e7", ACCENT: "#0b6e69", PAGE: LIGHT}
_FONTS = (
    "system-ui, 'Segoe UI', Roboto, 'Noto Sans KR', 'Noto Sans CJK KR', 'Apple SD Gothic Neo', 'Malgun Gothic', "
    "Arial, sans-serif"
)
# What XML 1.0 cannot hold, not even escaped.
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawing:
    """A drawing made of lines and text. Shows itself in a notebook.

    Attributes:
        svg: The drawing for a page: its colours and its font are those of the page, light or dark.
        width: In pixels.
        height: In pixels.
        legend: The numbers of the legend in JSON types.
        title: The line above; may be empty.
    """

    svg: str
    width: int
    height: int
    legend: dict[str, Any]
    title: str

    def alone(self) -> str:
        """The drawing as it stands without a page: on white paper, with its own fonts and no variables."""
        return stand_alone(self.svg)

    def save(self, path: str | Path) -> Path:
        """Write the drawing as an `.svg` on white paper. Returns the path."""
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise SettingError("path", given=str(path), expected="a name that ends in .svg")
        write_whole(path, self.alone().encode())
        return path

    def _repr_svg_(self) -> str:
        return self.alone()

    def _repr_html_(self) -> str:
        return self.alone()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.title!r}, {self.width} × {self.height})"


def document(parts: Iterable[str], *, width: float, height: float, title: str, description: str) -> str:
    """A whole SVG.

    Args:
        parts: Its elements, in the order in which they cover each other.
        width: In pixels.
        height: In pixels.
        title: What it is, for those who cannot see it.
        description: What is on it.
    """
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{px(width)}" height="{px(height)}"'
    head += f' viewBox="0 0 {px(width)} {px(height)}" role="img">'
    return "".join([head, element("title", clean(title)), element("desc", clean(description)), *parts, "</svg>"])


def stand_alone(svg: str) -> str:
    """An SVG for a page as one that needs none: white paper below it, its own fonts, plain colours."""
    head, _, rest = _plain_colours(svg).partition(">")
    return f'{head} font-family="{_FONTS}"><rect width="100%" height="100%" fill="{LIGHT}"/>{rest}'


def on_white(parts: Iterable[str], *, top: float, width: float, height: float) -> list[str]:
    """Elements on white ground in light and in dark pages.

    Where white is the colour of 0, as on a signed scale, what is 0 must recede, and on dark ground it would stand out.
    """
    ground = element("rect", x=0, y=float(top), width=float(width), height=float(height), fill=LIGHT)
    return [ground, *(_plain_colours(part) for part in parts)]


def _plain_colours(svg: str) -> str:
    for variable, colour in _ALONE.items():
        svg = svg.replace(f'"{variable}"', f'"{colour}"')
    return svg


def element(name: str, inside: str = "", /, **attributes: object) -> str:
    """One element; `inside` is ready SVG. Attributes that are None are left out, `_` in names becomes `-`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{px(value) if isinstance(value, float) else escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>"


def text(
    words: str,
    *,
    x: float,
    y: float,
    size: int = 12,
    fill: str = SOFT,
    anchor: str | None = None,
    weight: int | None = None,
    halo: bool = False,
) -> str:
    """A line of text.

    Args:
        words: Any language.
        x: Where it begins, ends or has its middle, by `anchor`.
        y: The line that its letters stand on.
        size: Pixels.
        fill: Its colour.
        anchor: "middle", "end", or None for the start.
        weight: 400 to 700.
        halo: Whether it has an edge in the page's colour, so that it can be read across lines.
    """
    edge = {"stroke": PAGE, "stroke_width": 3, "stroke_linejoin": "round", "paint_order": "stroke"} if halo else {}
    inner = element("tspan", clean(words), fill=fill, font_size=size, font_weight=weight, **edge)
    return element("text", inner, x=float(x), y=float(y), text_anchor=anchor) if words else ""


def clean(words: str) -> str:
    """Text as it may stand in an SVG."""
    return escape(_UNWRITABLE.sub("\ufffd", words), quote=False)


def px(value: float) -> str:
    """A coordinate with one decimal at most, never "-0"."""
    short = f"{value:.1f}".removesuffix(".0")
    return "0" if short == "-0" else short


def text_room(words: str, *, size: float) -> float:
    """About how many pixels a line takes, on the safe side: fonts differ, and only the browser knows its own."""
    return size * sum(_width(letter) for letter in words)


def shortened(words: str, *, room: float, size: float) -> str:
    """The text, cut at its end with "…" where it takes more than `room` pixels."""
    taken, kept, dots = 0.0, 0, text_room("…", size=size)
    # Letter by letter and no further than there is room: a stranger's name may have a million.
    for number, letter in enumerate(words, start=1):
        taken += size * _width(letter)
        if taken + dots <= room:
            kept = number
        if taken > room:
            return f"{words[:kept].rstrip()}…"
    return words


def _width(letter: str) -> float:
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.0
    if unicodedata.combining(letter):
        return 0.0
    if letter in "ijl.,:;'|!()[] \u202f":
        return 0.33
    if letter in "mwMW%@—…":
        return 0.92
    return 0.68 if letter.isupper() else 0.58
