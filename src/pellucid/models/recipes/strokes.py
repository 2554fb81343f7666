"""A canvas in face coordinates: smooth shapes drawn large, so that averaging blocks of pixels makes soft edges.

Coordinates: the head's centre is (0, 0), its half-width is 1, y grows downwards. The canvas turns, squeezes, moves and
enlarges them, so the painter never thinks about the pose.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Points = np.ndarray
_TURN = np.linspace(0, 2 * np.pi, 40, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Where the face is on the drawing.

    Args:
        centre: Of the head, in pixels of the finished drawing (x, y).
        radius: Half the head's width in pixels.
        angle: Turned clockwise, in radians.
        squeeze: The width relative to the height.
    """

    centre: tuple[float, float]
    radius: float
    angle: float
    squeeze: float

    def place(self, points: Points) -> Points:
        """From face coordinates to pixels of the finished drawing."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        x, y = points[:, 0] * self.squeeze, points[:, 1]
        turned = np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=1)
        return np.asarray(turned * self.radius + np.asarray(self.centre))


class Canvas:
    """A large picture to draw on, and for each part a stencil of where that part has been drawn.

    Args:
        pixels: What is there already, a uint8 array (side × scale, side × scale, 3) or a picture.
        scale: How many canvas pixels make one pixel of the finished drawing, along each side.
        pose: Where the face is.
        stencils: One picture of mode "L" per part; drawing for a part marks its stencil too.
    """

    def __init__(
        self, pixels: np.ndarray | Image.Image, *, scale: int, pose: Pose, stencils: dict[str, Image.Image]
    ) -> None:
        self.picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        self._pen = ImageDraw.Draw(self.picture)
        self._stencils = stencils
        self._stencil_pens = {part: ImageDraw.Draw(stencil) for part, stencil in stencils.items()}
        self._scale = scale
        self._pose = pose

    def copy(self) -> "Canvas":
        """A canvas with the same picture to go on from; the stencils are shared."""
        return Canvas(self.picture.copy(), scale=self._scale, pose=self._pose, stencils=self._stencils)

    def fill(self, points: Points, colour: Colour, *, part: str | None = None) -> None:
        """Fill a closed outline given in face coordinates; a part's stencil is marked as well."""
        outline = self._outline(points)
        self._pen.polygon(outline, fill=colour)
        if part is not None:
            self._stencil_pens[part].polygon(outline, fill=255)

    def stencil(self, points: Points, *, part: str) -> None:
        """Mark where a part can be without drawing anything."""
        self._stencil_pens[part].polygon(self._outline(points), fill=255)

    def hide(self, points: Points, *, part: str) -> None:
        """Take back the stencil of a part where something else now lies on top of it."""
        self._stencil_pens[part].polygon(self._outline(points), fill=0)

    def _outline(self, points: Points) -> list[tuple[float, float]]:
        return [(x, y) for x, y in (self._pose.place(points) * self._scale).tolist()]


def ellipse(x: float, y: float, across: float, down: float) -> Points:
    """The outline of an ellipse with the given centre and half-axes."""
    return np.asarray(_CIRCLE * (across, down) + (x, y))


def blob(corners: Sequence[tuple[float, float]], *, steps: int = 8) -> Points:
    """A smooth closed outline through the corners (a Catmull-Rom spline)."""
    knots = np.asarray(corners, dtype=float)
    before, after, beyond = np.roll(knots, 1, 0), np.roll(knots, -1, 0), np.roll(knots, -2, 0)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    path = 0.5 * (
        2 * knots
        + (after - before) * t
        + (2 * before - 5 * knots + 4 * after - beyond) * t**2
        + (3 * knots - before - 3 * after + beyond) * t**3
    )
    return np.asarray(path.transpose(1, 0, 2).reshape(-1, 2))


def stroke(path: Iterable[tuple[float, float]], *, start: float, end: float) -> Points:
    """A line through three points, bent smoothly, that tapers from one width to another."""
    first, middle, last = (np.asarray(point, dtype=float) for point in path)
    t = np.linspace(0, 1, 12)[:, None]
    # The quadratic curve passes through the middle point at t = 1/2.
    control = 2 * middle - (first + last) / 2
    line = (1 - t) ** 2 * first + 2 * t * (1 - t) * control + t**2 * last
    along = np.gradient(line, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    half = (start + (end - start) * t) / 2
    return np.concatenate([line + across * half, (line - across * half)[::-1]])


def mirrored(points: Points, side: int) -> Points:
    """The same outline on the right (side 1) or on the left (side −1) of the face."""
    return np.asarray(points * np.array([side, 1.0]))


def mixed(colour: Colour, other: Colour, share: float) -> Colour:
    """A colour between two: `share` of the other, the rest of the first."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue
