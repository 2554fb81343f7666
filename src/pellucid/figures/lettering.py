"""Letters on a drawing of palette entries, in the font that Pillow brings along.

That font has ASCII only, so text in a PNG is plain English; a page sets its own text in HTML, where Korean is right.
"""

from functools import cache, lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pellucid.figures.colour import INK, PAPER, STRENGTHS

_PLAIN = str.maketrans({
    "\u2212": "-", "\u2013": "-", "\u2014": "-", "\u00d7": "x", "\u202f": " ", "\u2009": " ", "\u00a0": " ",
    "\u2026": "...", "\u221e": "inf", "\u201c": '"', "\u201d": '"', "\u2018": "'", "\u2019": "'", "\u00b7": "-",
    "\u00b2": "2",
})  # fmt: skip


def plain(text: str) -> str:
    """The text in the letters that the font has; what it lacks becomes a question mark."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text.translate(_PLAIN))


def line_height(size: int) -> int:
    """How many pixels one line of text takes."""
    return round(size * 1.4)


def text_width(text: str, *, size: int) -> int:
    """How many pixels wide a line is."""
    return int(np.ceil(_font(size).getlength(plain(text))))


def wrap(text: str, *, width: int, size: int) -> list[str]:
    """The lines of a text, broken at spaces so that each fits the width; a word longer than a line stays whole."""
    lines: list[str] = []
    for word in plain(text).split():
        if lines and text_width(f"{lines[-1]} {word}", size=size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def shorten(text: str, *, width: int, size: int) -> str:
    """The text, cut at its end with three dots where it is wider than `width`."""
    text = plain(text)
    if text_width(text, size=size) <= width:
        return text
    while text and text_width(f"{text}...", size=size) > width:
        text = text[:-1]
    return f"{text.rstrip()}..."


def write(canvas: np.ndarray, text: str, *, left: int, top: int, size: int = 13, tone: int = INK) -> None:
    """Set a line of text on blank paper; what lies outside the canvas is left out.

    Args:
        canvas: Palette entries, uint8 (height, width); changed in place.
        text: One line.
        left: Where it begins.
        top: The upper edge of its line.
        size: Pixels, as font sizes are given.
        tone: `INK` or `SOFT`.
    """
    for piece in _pieces(plain(text)):
        letters = _letters(piece, size, tone)
        height, width = letters.shape
        upper, lower = max(0, top), min(canvas.shape[0], top + height)
        first, last = max(0, left), min(canvas.shape[1], left + width)
        if upper < lower and first < last:
            canvas[upper:lower, first:last] = letters[upper - top : lower - top, first - left : last - left]
        left += width


def _pieces(text: str) -> list[str]:
    # Whole numbers are set digit by digit (all digits are equally wide): hundreds of channel numbers take ten drawings.
    return list(text) if text.isdigit() else [text]


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@lru_cache(maxsize=1024)
def _letters(text: str, size: int, tone: int) -> np.ndarray:
    """A piece of text on paper as palette entries, uint8 (line height, width)."""
    image = Image.new("L", (max(1, text_width(text, size=size)), line_height(size)))
    ImageDraw.Draw(image).text((0, size), text, fill=255, font=_font(size), anchor="ls")
    strength = (np.asarray(image).astype(np.uint16) * STRENGTHS + 127) // 255
    letters = np.where(strength > 0, strength + tone - 1, PAPER).astype(np.uint8)
    letters.setflags(write=False)
    return letters
