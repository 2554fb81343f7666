"""Lines between nodes: straight, curved, in parallel, dashed, with heads, and loops; all as SVG path data."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pellucid.figures.svg import px

Stroke = Literal["solid", "dashed", "dotted", "dash-dot", "double", "triple", "aromatic"]
STROKES: tuple[Stroke, ...] = get_args(Stroke)
"""How edges of different types are told apart without colour."""

_DASHES = {"dashed": "7 4", "dotted": "1.5 3.5", "dash-dot": "8 3 2 3"}
_APART = 3.6
"""Pixels between the lines of a double or triple stroke of usual width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The way of an edge: a quadratic curve from its start over a control point to its end, or a loop.

    Attributes:
        start: Where it leaves its first node.
        control: Halfway between the ends where it is straight.
        end: Where it reaches its second node.
        second: The second control point of a loop; None of other edges.
    """

    start: tuple[float, float]
    control: tuple[float, float]
    end: tuple[float, float]
    second: tuple[float, float] | None = None

    def path(self, *, aside: float = 0.0) -> str:
        """SVG path data, moved `aside` to the left of the direction of travel."""
        (ax, ay), (cx, cy), (bx, by) = self.start, self.control, self.end
        long = float(np.hypot(bx - ax, by - ay)) or 1.0
        sx, sy = aside * (by - ay) / long, -aside * (bx - ax) / long
        begin = f"M{px(ax + sx)} {px(ay + sy)}"
        if self.second is not None:
            dx, dy = self.second
            return f"{begin}C{px(cx + sx)} {px(cy + sy)} {px(dx + sx)} {px(dy + sy)} {px(bx + sx)} {px(by + sy)}"
        if abs((cx - ax) * (by - ay) - (cy - ay) * (bx - ax)) < 1e-6 * long * long:
            return f"{begin}L{px(bx + sx)} {px(by + sy)}"
        return f"{begin}Q{px(cx + sx)} {px(cy + sy)} {px(bx + sx)} {px(by + sy)}"

    def shortened(self, pixels: float) -> "Course":
        """The same way, ending earlier, so that a head has room."""
        near = self.control if self.second is None else self.second
        back = _unit(near, self.end)
        return Course(
            start=self.start,
            control=self.control,
            end=(self.end[0] - back[0] * pixels, self.end[1] - back[1] * pixels),
            second=self.second,
        )

    def head(self, size: float) -> str:
        """Points of a triangle with its tip at the end."""
        ux, uy = _unit(self.control if self.second is None else self.second, self.end)
        bx, by = self.end
        foot, half = (bx - ux * size, by - uy * size), size * 0.42
        return (
            f"{px(bx)},{px(by)} {px(foot[0] - uy * half)},{px(foot[1] + ux * half)} "
            f"{px(foot[0] + uy * half)},{px(foot[1] - ux * half)}"
        )

    def middle(self) -> tuple[float, float]:
        """A point halfway."""
        if self.second is not None:
            xs = (self.start[0], 3 * self.control[0], 3 * self.second[0], self.end[0])
            ys = (self.start[1], 3 * self.control[1], 3 * self.second[1], self.end[1])
            return sum(xs) / 8, sum(ys) / 8
        return (
            (self.start[0] + 2 * self.control[0] + self.end[0]) / 4,
            (self.start[1] + 2 * self.control[1] + self.end[1]) / 4,
        )


def between(a: tuple[float, float], b: tuple[float, float], *, leave: float, reach: float, bend: float = 0.0) -> Course:
    """The way from one node to another.

    Args:
        a: The middle of the first node.
        b: The middle of the second.
        leave: How far from `a` it begins, in pixels.
        reach: How far from `b` it ends.
        bend: How far its middle lies to the left of the straight line, in pixels.
    """
    ux, uy = _unit(a, b)
    # The control point of a quadratic curve lies twice as far out as the curve.
    control = ((a[0] + b[0]) / 2 + 2 * bend * uy, (a[1] + b[1]) / 2 - 2 * bend * ux)
    far = float(np.hypot(b[0] - a[0], b[1] - a[1]))
    # Nodes that touch still show a piece of their edge.
    fit = min(1.0, 0.8 * far / (leave + reach)) if leave + reach > 0 else 1.0
    out, back = _unit(a, control), _unit(b, control)
    if bend == 0:
        out, back = (ux, uy), (-ux, -uy)
    start = (a[0] + out[0] * leave * fit, a[1] + out[1] * leave * fit)
    end = (b[0] + back[0] * reach * fit, b[1] + back[1] * reach * fit)
    if bend == 0:
        control = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    return Course(start=start, control=control, end=end)


def loop(at: tuple[float, float], *, radius: float, towards: float, size: float) -> Course:
    """The way from a node back to itself.

    Args:
        at: The middle of the node.
        radius: Of the node.
        towards: The side on which it lies, in radians, clockwise from the right.
        size: How far it reaches beyond the node.
    """
    opening = 0.5

    def spot(angle: float, far: float) -> tuple[float, float]:
        return at[0] + far * float(np.cos(angle)), at[1] + far * float(np.sin(angle))

    far = radius + size * 1.33
    return Course(
        start=spot(towards - opening, radius),
        control=spot(towards - opening, far),
        second=spot(towards + opening, far),
        end=spot(towards + opening, radius),
    )


def lines(course: Course, stroke: Stroke, *, width: float) -> list[tuple[str, str | None, float]]:
    """What is drawn of one stroke: path data, dashes and width of each of its lines."""
    step = max(_APART, width * 1.3)
    thin = max(1.1, width * 0.62)
    if stroke == "double":
        return [(course.path(aside=a), None, thin) for a in (-step / 2, step / 2)]
    if stroke == "triple":
        return [(course.path(aside=a), None, thin) for a in (-step, 0.0, step)]
    if stroke == "aromatic":
        return [(course.path(aside=-step / 2), None, thin), (course.path(aside=step / 2), "3 2.5", thin)]
    return [(course.path(), _DASHES.get(stroke), width)]


def _unit(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    far = float(np.hypot(b[0] - a[0], b[1] - a[1]))
    return ((b[0] - a[0]) / far, (b[1] - a[1]) / far) if far > 0 else (1.0, 0.0)
