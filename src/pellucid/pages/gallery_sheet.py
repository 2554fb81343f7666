"""A gallery as one PNG: every map with its legend and what was measured, and the rank agreement below."""

from pathlib import Path

import numpy as np

from pellucid.archive import write_whole
from pellucid.errors import SettingError
from pellucid.figures import png
from pellucid.figures.contact_sheet import below, contact_sheet, correlation_table
from pellucid.figures.numbers import number
from pellucid.methods.explanation import Explanation
from pellucid.pages.agreement import numbered
from pellucid.pages.gallery import Gallery
from pellucid.pages.pictures import on_prepared

_SIDE = 288
"""Most pixels of a side of a drawing; a small picture is enlarged up to it."""


def write_gallery_png(gallery: Gallery, path: str | Path) -> Path:
    """Write a gallery as `.png`, whole or not at all. Returns the path.

    Raises:
        SettingError: Another suffix.
        OSError: The folder is missing or not writable.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise SettingError("path", given=str(path), expected="a name that ends in .png")
    write_whole(path, gallery_png(gallery))
    return path


def gallery_png(gallery: Gallery) -> bytes:
    """Every map of a gallery with its legend, cost and checks, and the table of their rank agreement, as one PNG.

    Its letters are plain (ASCII); for other languages there is the page.
    """
    agreement = gallery.record["agreement"]
    numbers = numbered(len(agreement["names"]), controls=len(agreement["controls"]))
    names = [f"{place} {name}" for place, name in zip(numbers, agreement["names"], strict=True)]
    prepared = np.asarray(gallery.arrays["prepared"])
    # The names of the controls come after those of the methods.
    drawings = [_figure(each, name, prepared) for name, each in zip(names, gallery.explanations, strict=False)]
    table = correlation_table(
        np.array(agreement["absolute"], dtype=np.float64),
        names=names,
        columns=numbers,
        title="Spearman rank correlation of absolute values; x: no ranking",
    )
    return png.rgb(below([contact_sheet(drawings), table]))


def _figure(explanation: Explanation, name: str, prepared: np.ndarray) -> np.ndarray:
    drawn = on_prepared(explanation, prepared, longest=_SIDE)
    lines = _lines(explanation)
    if drawn.cell > 1:
        lines.insert(0, f"{'mean' if drawn.mean else 'sum'} over {drawn.cell} x {drawn.cell} pixels")
    return drawn.overlay.figure_pixels(title=name, lines=lines)


def _lines(explanation: Explanation) -> list[str]:
    cost = explanation.cost
    spent = f"{cost.forwards} forward, {cost.backwards} backward, {number(cost.seconds, digits=2)} s on {cost.device}"
    checks = [f"{name}: {number(value)}" for name, value in sorted(explanation.checks.items())]
    return [spent, *checks, *explanation.notes]
