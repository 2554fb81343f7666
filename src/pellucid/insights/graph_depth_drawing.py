"""The picture of what happens to nodes along the depth: four curves and the shares of the hops."""

import math
from collections.abc import Callable, Sequence

from pellucid.figures.curves import Curve
from pellucid.figures.depth_panels import CurvesPanel, SharesPanel, draw_depth_panels
from pellucid.figures.numbers import MINUS
from pellucid.figures.svg import Drawing
from pellucid.insights.graph_depth_results import GraphDepth, GraphDepthSite
from pellucid.intervals import Estimate

_SHARES = ((0.0, "0"), (0.5, "0.5"), (1.0, "1"))
_LEAST = -6
"""Powers of ten below which an energy is drawn as this one."""

Read = Callable[[GraphDepthSite], Estimate | float | None]


def draw_graph_depth(found: GraphDepth, *, width: int) -> Drawing:
    """Draw all that was measured; see `GraphDepth.draw`."""
    asked = {
        "features": "own features read back, R²",
        "components": f"own features read back, R² ({found.asked_values} leading components)",
        "log degree": "own degree read back, R²",
        None: "",
    }[found.asked]
    panels: list[CurvesPanel | SharesPanel] = []
    if any(site.own for site in found.sites):
        panels.append(_panel(found, asked, lambda site: site.own, low=-0.25))
    if found.chance is not None:
        level = (found.chance, "chance")
        panels.append(_panel(found, "class told by a linear probe, accuracy", lambda site: site.emerged, level=level))
    panels.append(_panel(found, "mean cosine between the vectors of two nodes", lambda site: site.cosine, low=-0.25))
    panels.append(_energy(found))
    if any(site.hops for site in found.sites):
        most = max(len(site.hops) for site in (*found.sites, *found.twin))
        panels.append(
            SharesPanel(
                title="where a vector's slopes lie: squared, share of each distance",
                shares=[[share.value for share in site.hops] for site in found.sites],
                controls=[[share.value for share in site.hops] for site in found.twin],
                names=[f"hop {hop}" if hop else "itself" for hop in range(most)],
            )
        )
    return draw_depth_panels(
        panels, [site.name for site in found.sites], title=found.graph, description=_said(found), width=width
    )


def _panel(
    found: GraphDepth, title: str, read: Read, *, low: float = 0.0, level: tuple[float, str] | None = None
) -> CurvesPanel:
    curves = _both(found, read)
    below = any(value is not None and value < 0 for curve in curves for value in curve.lows)
    ticks = [*_SHARES, *([(low, f"{MINUS}{-low:g}")] if below and low < 0 else [])]
    return CurvesPanel(title=title, curves=curves, low=low if below else 0.0, high=1.0, ticks=ticks, level=level)


def _energy(found: GraphDepth) -> CurvesPanel:
    def power(site: GraphDepthSite) -> float | None:
        value = site.relative_energy
        return None if value is None else max(_LEAST, math.log10(value)) if value > 0 else _LEAST

    curves = _both(found, power)
    known = [value for curve in curves for value in curve.values if value is not None]
    low = min(-1, math.floor(min(known, default=-1)))
    ticks = [(float(each), "1" if each == 0 else f"10{_raised(each)}") for each in range(low, 1, 1 if low > -4 else 2)]
    title = "Dirichlet energy, share of the vectors' size (logarithmic)"
    return CurvesPanel(title=title, curves=curves, low=float(low), high=math.log10(2), ticks=ticks)


def _raised(power: int) -> str:
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _both(found: GraphDepth, read: Read) -> list[Curve]:
    main = _curve([read(site) for site in found.sites], "this network", "main")
    return [main, _curve([read(site) for site in found.twin], "random weights", "control")] if found.twin else [main]


def _curve(values: Sequence[Estimate | float | None], label: str, style: str) -> Curve:
    def part(name: str) -> list[float | None]:
        return [getattr(value, name) if isinstance(value, Estimate) else value for value in values]

    return Curve(label=label, style=style, values=part("value"), lows=part("low"), highs=part("high"))


def _said(found: GraphDepth) -> str:
    rows = []
    for site in found.sites:
        numbers = {"R²": site.own and site.own.value, "accuracy": site.emerged and site.emerged.value}
        numbers |= {"mean cosine": site.cosine, "energy": site.relative_energy}
        told = ", ".join(f"{name} {value:.3g}" for name, value in numbers.items() if value is not None)
        rows.append(f"{site.name}: {told}")
    return "; ".join(rows)
