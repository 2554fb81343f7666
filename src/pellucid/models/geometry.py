"""The way back: where a place in the picture that a model sees lies in the original one."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pellucid.errors import SettingError, did_you_mean

Size = tuple[int, int]
Place = TypeVar("Place", float, npt.NDArray[Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Where a prepared picture lies in the original one.

    Places are (y, x) in pixel-edge coordinates: a picture of height 10 reaches from 0.0 to 10.0, and its first pixel's
    middle is 0.5. Plain numbers and arrays are taken alike.

    Attributes:
        original: Height and width of the original picture.
        resized: Height and width after resizing.
        crop_box: Left, top, right and bottom of the crop in the resized picture.
    """

    original: Size
    resized: Size
    crop_box: tuple[int, int, int, int]

    def __post_init__(self) -> None:
        for name in ("original", "resized"):
            object.__setattr__(self, name, whole_size(name, getattr(self, name)))
        box = tuple(self.crop_box)
        height, width = self.resized
        fits = len(box) == 4 and all(is_whole(edge) for edge in box)
        if not (fits and 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height):
            expected = f"left, top, right, bottom within {width}×{height} (width×height)"
            raise SettingError("crop_box", given=self.crop_box, expected=expected)
        object.__setattr__(self, "crop_box", box)

    @property
    def prepared(self) -> Size:
        """Height and width of what the model sees."""
        left, top, right, bottom = self.crop_box
        return bottom - top, right - left

    @property
    def frame(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the prepared picture, in the original one."""
        height, width = self.prepared
        top, left = self.to_original(0.0, 0.0)
        bottom, right = self.to_original(float(height), float(width))
        return left, top, right, bottom

    def to_original(self, y: Place, x: Place) -> tuple[Place, Place]:
        """The place in the original picture of a place in the prepared one."""
        left, top, _, _ = self.crop_box
        return (
            (y + top) * (self.original[0] / self.resized[0]),
            (x + left) * (self.original[1] / self.resized[1]),
        )

    def to_prepared(self, y: Place, x: Place) -> tuple[Place, Place]:
        """The place in the prepared picture of a place in the original one; outside the crop it lies outside, too."""
        left, top, _, _ = self.crop_box
        return (
            y * (self.resized[0] / self.original[0]) - top,
            x * (self.resized[1] / self.original[1]) - left,
        )

    def to_record(self) -> dict[str, Any]:
        """The geometry in JSON types."""
        return {"original": list(self.original), "resized": list(self.resized), "crop_box": list(self.crop_box)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Geometry":
        """The geometry that `to_record` wrote.

        Raises:
            SettingError: A field is unknown, missing or makes no sense.
        """
        same_fields(cls, record, called="geometry")
        return cls(**record)


def is_whole(value: object) -> bool:
    """Whether this is a whole number; True and False are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def whole_size(name: str, value: Any) -> Size:
    """A pair (height, width) of whole numbers, 1 or more; anything else is refused under the setting's name."""
    if (
        not isinstance(value, tuple | list)
        or len(value) != 2
        or not all(is_whole(side) and side >= 1 for side in value)
    ):
        raise SettingError(name, given=value, expected="two whole numbers (height, width), 1 or more")
    return int(value[0]), int(value[1])


def same_fields(cls: type, record: Mapping[str, Any], *, called: str) -> None:
    """Refuse a saved record whose fields are not exactly those of the class."""
    known = [field.name for field in fields(cls)]
    for name in record:
        if name not in known:
            near = did_you_mean(str(name), known).removeprefix("; ").removesuffix("?")
            raise SettingError(called, given=name, expected=f"the fields {', '.join(known)}", hint=near)
    missing = [name for name in known if name not in record]
    if missing:
        raise SettingError(called, given=f"without {', '.join(missing)}", expected=f"the fields {', '.join(known)}")
