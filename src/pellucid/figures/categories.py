"""Colours and shapes for groups: eight colours that stay apart for colour-blind eyes, and a shape besides."""

import numpy as np

from pellucid.errors import SettingError
from pellucid.figures.svg import element, px

# M. Okabe and K. Ito, Color Universal Design, 2008; grey in the place of black, which a dark page would swallow.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#555b61")
SHAPES = ("circle", "square", "triangle", "diamond", "hexagon", "pentagon", "cross")
"""Seven, so that colour and shape together repeat only after 56 groups."""

_CORNERS = {"triangle": (3, -90), "diamond": (4, -90), "hexagon": (6, 0), "pentagon": (5, -90)}
_GROWN = {"triangle": 1.3, "diamond": 1.22, "hexagon": 1.08, "pentagon": 1.12}
"""By how much a polygon is larger than the circle, so that all cover about the same area."""


def colour_of(group: int) -> str:
    """The colour of a group, "#rrggbb"; the eight repeat."""
    return COLOURS[group % len(COLOURS)]


def shape_of(group: int) -> str:
    """The shape of a group, a word of `SHAPES`; a group that is not known (-1) is a circle."""
    return SHAPES[group % len(SHAPES)] if group >= 0 else SHAPES[0]


def mark(shape: str, x: float, y: float, radius: float, **attributes: object) -> str:
    """A shape around a point as an SVG element."""
    if shape == "circle":
        return element("circle", cx=float(x), cy=float(y), r=float(radius), **attributes)
    if shape == "square":
        side = radius * 1.8
        return element("rect", x=x - side / 2, y=y - side / 2, width=float(side), height=float(side), **attributes)
    if shape == "cross":
        arm, wide = radius * 1.1, radius * 0.42
        points = [(-wide, -arm), (wide, -arm), (wide, -wide), (arm, -wide), (arm, wide), (wide, wide)]
        points += [(-a, -b) for a, b in points]
    else:
        count, turn = _CORNERS[shape]
        angles = np.radians(turn + 360 / count * np.arange(count))
        size = radius * _GROWN[shape]
        points = [(size * float(np.cos(a)), size * float(np.sin(a))) for a in angles]
    return element("polygon", points=" ".join(f"{px(x + a)},{px(y + b)}" for a, b in points), **attributes)


def checked_groups(groups: np.ndarray | None, *, count: int, name: str) -> np.ndarray | None:
    """Group numbers as int64 of the right length, or an error that says what is wrong."""
    if groups is None:
        return None
    found = np.asarray(groups)
    if found.shape != (count,) or found.dtype.kind not in "iu":
        raise SettingError(
            name, given=f"{found.dtype} {found.shape}", expected=f"{count} whole numbers", hint="-1 is not known"
        )
    return found.astype(np.int64)
