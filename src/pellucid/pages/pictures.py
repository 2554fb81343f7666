"""The pictures of a page as data URLs: photographs, feature maps, attributions with their legends."""

import base64
import io
from dataclasses import dataclass

import numpy as np
import PIL.Image

from pellucid.figures import png
from pellucid.figures.colour import Kind, Scale, palette
from pellucid.figures.legend import bar_png
from pellucid.figures.overlay import Overlay, overlay
from pellucid.methods.explanation import Explanation
from pellucid.models.geometry import Geometry
from pellucid.pages.measuring import cells

_SMALL = 160
"""Pixels; up to this side a photograph is kept to the last bit, beyond it as a JPEG of high quality."""
_LONGEST_PHOTOGRAPH = 640
LONGEST = 480
_CELLS = 64
_PIXELS = 256
_CUT = 1.0
"""Percent of an attribution at the input that may lie beyond its scale; the legend says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image of the page: its data URL and its sides in pixels."""

    url: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """An attribution as it is drawn: on the prepared and on the original picture, and how to read its colours.

    Attributes:
        prepared: On what the model saw.
        original: On the whole picture; None where that is the same.
        scale: Which colour stands for which value.
        bar: The colours from one end to the other.
        rows: Rows of the values as they are drawn.
        columns: Their columns.
        cell: How many values of the input one drawn value stands for, along each side.
        mean: Whether it is their mean; else their sum.
    """

    prepared: Picture
    original: Picture | None
    scale: Scale
    bar: str
    rows: int
    columns: int
    cell: int
    mean: bool


def data_url(content: bytes, *, kind: str = "png") -> str:
    """Bytes of an image as a URL that needs no request."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def bar(kind: Kind) -> str:
    """The colours of a scale, one pixel each."""
    return data_url(bar_png(kind))


def photograph(pixels: np.ndarray) -> Picture:
    """A picture to recognise; small ones to the last bit, very large ones reduced."""
    pixels, _ = _at_most(pixels, _LONGEST_PHOTOGRAPH)
    height, width = pixels.shape[:2]
    if max(height, width) <= _SMALL:
        return Picture(url=data_url(png.rgb(np.ascontiguousarray(pixels))), width=width, height=height)
    return _jpeg(pixels, quality=90)


def thumbnail(pixels: np.ndarray, longest: int) -> Picture:
    """A picture to tell from others, with no side longer than that many pixels."""
    return _jpeg(reduced(pixels, longest), quality=80)


def map_url(entries: np.ndarray, kind: Kind = "sequential") -> str:
    """One feature map, a pixel for each value."""
    return data_url(png.indexed(np.ascontiguousarray(entries), palette(kind)))


def drawing(
    explanation: Explanation,
    *,
    prepared: np.ndarray,
    original: np.ndarray,
    geometry: Geometry,
    same_view: bool,
    longest: int = LONGEST,
) -> Drawing:
    """Draw an explanation on both pictures, on one scale.

    Values at the input are summed over squares of pixels where they add up to the score (a completeness gap is known),
    so that a reader sees amounts instead of noise; gradients are drawn pixel by pixel as long as pixels can be seen.

    Args:
        explanation: What to draw.
        prepared: The picture as the model saw it.
        original: The whole picture, possibly reduced.
        geometry: How the one lies in the other, in pixels of `original`.
        same_view: Whether both are the same picture, so that one drawing is enough.
        longest: Most pixels of a side of the drawing.
    """
    first = on_prepared(explanation, prepared, longest=longest)
    plane, box = first.plane, first.box
    second = None
    if not same_view:
        top, left = geometry.to_original(box[1], box[0])
        bottom, right = geometry.to_original(box[3], box[2])
        whole, again = _at_most(original, longest)
        there = (left * again[1], top * again[0], right * again[1], bottom * again[0])
        frame = tuple(edge * again[1 - i % 2] for i, edge in enumerate(geometry.frame))
        seen = (frame[0], frame[1], frame[2], frame[3])
        shown = overlay(plane, whole, kind=explanation.kind, box=there, seen=seen, cut=first.cut, side=longest)
        second = _drawn(shown.pixels)
    return Drawing(
        prepared=_drawn(first.overlay.pixels), original=second, scale=first.overlay.scale, bar=bar(explanation.kind),
        rows=plane.shape[0], columns=plane.shape[1], cell=first.cell, mean=first.mean,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnPrepared:
    """An attribution over the picture that the model saw.

    Attributes:
        overlay: The drawing.
        plane: The values that are drawn: the map itself, or sums or means over squares of pixels.
        box: Where they lie in the prepared picture, in pixels.
        cell: How many values of the input one drawn value stands for, along each side.
        mean: Whether it is their mean; else their sum.
        cut: Percent of the drawn values that may lie beyond the scale.
    """

    overlay: Overlay
    plane: np.ndarray
    box: tuple[float, float, float, float]
    cell: int
    mean: bool
    cut: float


def on_prepared(explanation: Explanation, prepared: np.ndarray, *, longest: int) -> OnPrepared:
    """Draw an explanation over the prepared picture; how its values are brought together is said at `drawing`."""
    part = explanation.parts[0]
    plane, cell, mean = part.plane(), 1, False
    at_input = part.place == "input"
    box = part.box or (0.0, 0.0, float(prepared.shape[1]), float(prepared.shape[0]))
    if at_input:
        most = max(plane.shape)
        # Of segments every pixel shows the whole value of its segment: such values do not add up over pixels.
        mean = "completeness gap" not in explanation.checks or explanation.has("segments")
        cell = -(-most // (min(_PIXELS, longest) if mean else _CELLS))
        plane = cells(plane, cell, mean=mean)
        box = (0.0, 0.0, float(plane.shape[1] * cell), float(plane.shape[0] * cell))
    cut = _CUT if at_input else 0.0
    small, shrink = _at_most(prepared, longest)
    inside = (box[0] * shrink[1], box[1] * shrink[0], box[2] * shrink[1], box[3] * shrink[0])
    seen = (0.0, 0.0, float(small.shape[1]), float(small.shape[0]))
    drawn = overlay(
        plane, small, kind=explanation.kind, box=inside, cut=cut, side=longest, seen=seen, unit=explanation.unit
    )
    return OnPrepared(overlay=drawn, plane=plane, box=box, cell=cell, mean=mean, cut=cut)


def reduced(pixels: np.ndarray, longest: int) -> np.ndarray:
    """A picture with no side longer than that many pixels."""
    return _at_most(pixels, longest)[0]


def _jpeg(pixels: np.ndarray, *, quality: int) -> Picture:
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    return Picture(url=data_url(buffer.getvalue(), kind="jpeg"), width=pixels.shape[1], height=pixels.shape[0])


def _drawn(pixels: np.ndarray) -> Picture:
    return Picture(url=data_url(png.rgb(pixels)), width=pixels.shape[1], height=pixels.shape[0])


def _at_most(pixels: np.ndarray, longest: int) -> tuple[np.ndarray, tuple[float, float]]:
    """A picture with no side longer than that, and by what (height, width) it was multiplied."""
    height, width = pixels.shape[:2]
    share = longest / max(height, width)
    if share >= 1:
        return pixels, (1.0, 1.0)
    size = (max(1, round(width * share)), max(1, round(height * share)))
    reduced = np.asarray(PIL.Image.fromarray(pixels).resize(size, PIL.Image.Resampling.LANCZOS))
    return reduced, (size[1] / height, size[0] / width)
