"""Drawings as part of a page, so that they have its colours and its letters: the only markup that is not escaped.

The templates escape whatever they are given. A drawing is let through where it holds nothing but the elements and the
attributes that `pellucid.figures` draws with, and no address but that of a picture inside it.
"""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

from pellucid.figures.svg import Drawing

_SVG = "{http://www.w3.org/2000/svg}"
_ELEMENTS = frozenset(
    f"{_SVG}{name}"
    for name in (
        "svg", "title", "desc", "g", "path", "rect", "circle", "ellipse", "polygon", "polyline", "line", "image",
        "text", "tspan",
    )
)  # fmt: skip
_ATTRIBUTES = frozenset(
    (
        "width", "height", "viewBox", "role", "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "d", "dx",
        "dy", "points", "transform", "fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "stroke-opacity",
        "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity", "text-anchor", "font-size", "font-weight",
        "paint-order", "preserveAspectRatio", "image-rendering", "href", "shape-rendering",
    )
)  # fmt: skip
_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/]+=*")
_DECLARATION = re.compile(r"<[!?]")


@dataclass(frozen=True, slots=True)
class Inline:
    """A drawing that a template writes as it is.

    Args:
        drawing: The drawing.

    Raises:
        ValueError: It holds an element, an attribute or an address that no drawing of ours has.
    """

    drawing: Drawing

    def __post_init__(self) -> None:
        check(self.drawing.svg)

    def __html__(self) -> str:
        return self.drawing.svg


def check(svg: str) -> None:
    """Refuse markup that could do anything but be looked at.

    Raises:
        ValueError: Names what it may not hold.
    """
    if _DECLARATION.search(svg):
        raise ValueError("a drawing holds a declaration or a comment, expected elements only")
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise ValueError(f"a drawing is no XML ({error})") from error
    for element in root.iter():
        if element.tag not in _ELEMENTS:
            raise ValueError(f"a drawing holds <{element.tag.removeprefix(_SVG)}>, expected elements of a drawing only")
        for name, value in element.attrib.items():
            if name not in _ATTRIBUTES or (name == "href" and not _PICTURE.fullmatch(value)) or "url(" in value:
                raise ValueError(f"a drawing holds the attribute {name}={value[:40]!r}, expected none of that kind")
