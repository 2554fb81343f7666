"""What a mosaic is once it is drawn: an object that shows itself and saves itself, as a picture or as its numbers."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from pellucid.archive import write_whole
from pellucid.errors import SettingError
from pellucid.figures import png
from pellucid.figures.colour import is_flat, palette
from pellucid.figures.numbers import number


class Box(NamedTuple):
    """Where a map lies in the PNG, in pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """Feature maps of one site as one picture. Shows itself in a notebook.

    Attributes:
        maps: The values as they were given, (maps, height, width).
        channels: The number of each map's channel.
        low: Least finite value of all maps (NaN if there is none).
        high: Largest finite value of all maps.
        lows: Least finite value of each map.
        highs: Largest finite value of each map.
        scale: "map": each map on its own scale; "shared": one scale for all.
        entries: The maps as palette entries, uint8, their shape.
        canvas: The whole drawing as palette entries.
        boxes: Where each map lies on the canvas.
        factor: How many pixels a value is wide and high; 1/k where only every k-th value is drawn.
        total: How many channels the site has.
    """

    maps: np.ndarray
    channels: tuple[int, ...]
    low: float
    high: float
    lows: np.ndarray
    highs: np.ndarray
    scale: Literal["map", "shared"]
    entries: np.ndarray
    canvas: np.ndarray
    boxes: tuple[Box, ...]
    factor: float
    total: int | None
    title: str

    def png(self) -> bytes:
        """The drawing with its legend, as PNG."""
        return png.indexed(self.canvas, palette("sequential"))

    def save(self, path: str | Path) -> Path:
        """Write the drawing (`.png`), or its numbers (`.npz`: `maps`, `channels`).

        Returns:
            The path that was written.
        """
        return _save(Path(path), self.png, {"maps": self.maps, "channels": np.array(self.channels)})

    def _repr_png_(self) -> bytes:
        return self.png()

    def __repr__(self) -> str:
        count, height, width = self.maps.shape
        of = "" if self.total is None else f" of {self.total}"
        return f"Grid({count}{of} maps of {height} × {width} values, {rule(self.scale)}, {span(self.low, self.high)})"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sheet:
    """The grids of several sites below each other. Shows itself in a notebook."""

    labels: tuple[str, ...]
    grids: tuple[Grid, ...]
    canvas: np.ndarray

    def png(self) -> bytes:
        """The sheet as PNG."""
        return png.indexed(self.canvas, palette("sequential"))

    def save(self, path: str | Path) -> Path:
        """Write the sheet (`.png`), or its numbers (`.npz`: `labels`, and `maps_0`, `channels_0`, … for each site)."""
        numbers = {"labels": np.array(self.labels)}
        for place, grid in enumerate(self.grids):
            numbers |= {f"maps_{place}": grid.maps, f"channels_{place}": np.array(grid.channels)}
        return _save(Path(path), self.png, numbers)

    def _repr_png_(self) -> bytes:
        return self.png()

    def __repr__(self) -> str:
        return f"Sheet({', '.join(self.labels)})"


def rule(scale: str) -> str:
    """The rule of a scale, as a legend says it."""
    return "each map on its own scale" if scale == "map" else "one scale for all maps"


def span(low: float, high: float) -> str:
    """A range of values, as a legend says it."""
    if np.isnan(low):
        return "not finite"
    return f"flat at {number(low)}" if is_flat(low, high) else f"{number(low)} to {number(high)}"


def kept(array: np.ndarray) -> np.ndarray:
    """Read-only, and not the caller's own array."""
    array = array.copy()
    array.setflags(write=False)
    return array


def _save(path: Path, draw: Callable[[], bytes], numbers: dict[str, np.ndarray]) -> Path:
    if path.suffix.lower() == ".png":
        content = draw()
    elif path.suffix.lower() == ".npz":
        packed = io.BytesIO()
        np.savez_compressed(packed, **numbers)  # type: ignore[arg-type]  # the stub mixes up its flag with the arrays
        content = packed.getvalue()
    else:
        raise SettingError("path", given=str(path), expected="a name that ends in .png (picture) or .npz (numbers)")
    write_whole(path, content)
    return path
