"""What an explanation consists of: arrays of values with their places, the picture they are about, and the cost."""

from dataclasses import dataclass

import numpy as np

from pellucid.errors import SettingError
from pellucid.models.preprocessing import Geometry


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """One array of attribution values.

    Attributes:
        name: What it is: "pixels" at the input, "map" at a site.
        place: `input` or the site at which the values lie.
        axes: Names of the axes, e.g. ("channels", "height", "width").
        values: The raw values, never rescaled; read-only.
        box: Where they lie in the prepared picture, in pixels: (left, top, right, bottom); None if that is unknown.
        standard_error: Of each value where it was sampled, else None.
    """

    name: str
    place: str
    axes: tuple[str, ...]
    values: np.ndarray
    box: tuple[float, float, float, float] | None = None
    standard_error: np.ndarray | None = None

    def __post_init__(self) -> None:
        if len(self.axes) != self.values.ndim:
            given = f"{len(self.axes)} names"
            raise SettingError("axes", given=given, expected=f"one for each of {self.values.ndim} axes of the values")
        object.__setattr__(self, "values", read_only(self.values))
        if self.standard_error is not None:
            object.__setattr__(self, "standard_error", read_only(self.standard_error))

    @property
    def is_map(self) -> bool:
        """Whether the values lie in a plane: (height, width), or (channels, height, width)."""
        return self.axes in (("height", "width"), ("channels", "height", "width"))

    def plane(self) -> np.ndarray:
        """The values as one plane (height, width): summed over channels where there are any."""
        return self.values.sum(axis=0) if self.values.ndim == 3 else self.values


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """What is needed to draw an explanation later.

    Attributes:
        name: The picture's name.
        digest: The picture's digest.
        pixels: The prepared picture, uint8 (height, width, 3).
        geometry: How it lies in the original.
    """

    name: str
    digest: str
    pixels: np.ndarray
    geometry: Geometry

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixels", read_only(self.pixels))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What an explanation took.

    Attributes:
        forwards: How often its input went forward, in passes that were shared with others too.
        backwards: How often it went backward.
        seconds: Wall-clock time, of shared passes its share.
        device: Where it ran.
    """

    forwards: int
    backwards: int
    seconds: float
    device: str


def read_only(array: np.ndarray) -> np.ndarray:
    """The array, or a copy that nobody else can write to."""
    if not array.flags.writeable and array.base is None:
        return array
    array = np.array(array)
    array.flags.writeable = False
    return array
