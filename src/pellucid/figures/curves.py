"""Curves over the sites of a network, as the coordinates of an SVG: numbers in, numbers and strings out.

A page draws them with its own colours and fonts; here only where everything lies is decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_LABEL_GAP = 15.0
"""Pixels between two labels at the right, so that neither covers the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One line: a value with its interval at each site, None where nothing was measured.

    Attributes:
        label: What stands at its right end.
        style: The class that the page gives it.
        values: The values.
        lows: Lower ends of the intervals.
        highs: Upper ends.
    """

    label: str
    style: str
    values: Sequence[float | None]
    lows: Sequence[float | None]
    highs: Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnCurve:
    """A curve in pixels: its line, the band of its intervals, its dots, its label."""

    label: str
    style: str
    line: str
    band: str
    dots: tuple[tuple[str, str], ...]
    label_x: str
    label_y: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One diagram in pixels.

    Attributes:
        width: Of the whole drawing.
        height: Of the whole drawing.
        left: Where the diagram begins.
        right: Where it ends; labels stand beyond.
        bottom: The height of the axis.
        ticks: Height and text of each line of the grid.
        places: Where each site stands along the axis.
        curves: The curves, the first on top.
    """

    width: int
    height: int
    left: int
    right: int
    bottom: int
    ticks: tuple[tuple[str, str], ...]
    places: tuple[str, ...]
    curves: tuple[DrawnCurve, ...]


def panel(
    curves: Sequence[Curve],
    *,
    width: int,
    height: int,
    margins: tuple[int, int, int, int],
    low: float,
    high: float,
    ticks: Sequence[tuple[float, str]],
) -> Panel:
    """Lay out curves that share their sites.

    Args:
        curves: One or more, all with as many values as there are sites; what lies beyond the ends is drawn at them.
        width: Of the whole drawing in pixels.
        height: Of the whole drawing in pixels.
        margins: Room at the top, right, bottom and left.
        low: The value at the bottom.
        high: The value at the top.
        ticks: Values and texts of the grid's lines.
    """
    top, right, bottom, left = margins
    count = len(curves[0].values)
    end, base = width - right, height - bottom

    def x(number: int) -> float:
        return left + (end - left) * (number + 0.5) / count

    def y(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return base - (base - top) * share

    drawn = []
    for curve in curves:
        there = [i for i, value in enumerate(curve.values) if value is not None]
        points = [(x(i), y(float(curve.values[i]))) for i in there]  # type: ignore[arg-type]
        upper = [(x(i), y(float(v))) for i in there if (v := curve.highs[i]) is not None]
        lower = [(x(i), y(float(v))) for i in there if (v := curve.lows[i]) is not None]
        drawn.append((curve, points, [*upper, *reversed(lower)]))
    heights = _apart([points[-1][1] if points else base for _, points, _ in drawn], base)
    return Panel(
        width=width,
        height=height,
        left=left,
        right=end,
        bottom=base,
        ticks=tuple((_px(y(value)), text) for value, text in ticks),
        places=tuple(_px(x(number)) for number in range(count)),
        curves=tuple(
            DrawnCurve(
                label=curve.label,
                style=curve.style,
                line=_points(points),
                band=_points(band),
                dots=tuple((_px(a), _px(b)) for a, b in points),
                label_x=_px((points[-1][0] if points else end) + 10),
                label_y=_px(place + 4),
            )
            for (curve, points, band), place in zip(drawn, heights, strict=True)
        ),
    )


def _apart(heights: Sequence[float], bottom: float) -> list[float]:
    """Heights of labels, moved as little as keeps them from covering each other."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = [heights[i] for i in order]
    for number in range(1, len(placed)):
        placed[number] = max(placed[number], placed[number - 1] + _LABEL_GAP)
    # Pushed down, the last may have left the diagram; from there they are pushed up again.
    limit = bottom
    for number in reversed(range(len(placed))):
        placed[number] = min(placed[number], limit)
        limit = placed[number] - _LABEL_GAP
    found = [0.0] * len(heights)
    for number, place in zip(order, placed, strict=True):
        found[number] = place
    return found


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_px(x)},{_px(y)}" for x, y in points)


def _px(value: float) -> str:
    return f"{value:.1f}"
