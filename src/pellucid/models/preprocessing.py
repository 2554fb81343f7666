"""What happens to a picture before a model sees it: resize, crop, scale, normalise; each step readable and drawable."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import PIL.Image

from pellucid.errors import CapacityError, InputError, SettingError, did_you_mean
from pellucid.inputs.image import Image
from pellucid.models.geometry import Geometry as Geometry
from pellucid.models.geometry import Size, is_whole, same_fields, whole_size

Pixels = npt.NDArray[np.uint8]
Triple = tuple[float, float, float]

# Every filter of Pillow, under its own name in small letters.
FILTERS = {member.name.lower(): member for member in PIL.Image.Resampling}

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)

# A line of 1×20 000 pixels whose shorter side becomes 256 would be 1.3 gigapixels.
_MOST_RESIZED_PIXELS = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """One step of preprocessing, ready to be shown.

    Attributes:
        name: "original", "resized", "cropped", "scaled" or "normalised".
        text: What the step did, in words and numbers.
        pixels: uint8 array (height, width, 3), RGB.
        low: The value that is drawn as 0.
        high: The value that is drawn as 255.
    """

    name: str
    text: str
    pixels: Pixels
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How a picture becomes the numbers that a model was trained on.

    The picture is resized, cropped at its centre, its channels put in order, each value multiplied by `scale`, and then
    `mean` is subtracted and the rest divided by `std`.

    Attributes:
        resize: What the shorter side becomes, keeping the proportions; or exactly (height, width); or None.
        filter: How pixels are mixed when resizing: nearest, box, bilinear, hamming, bicubic, lanczos,
            mks2013 or mks2021.
        crop: Side of the square that is cut from the centre; or (height, width); or None.
        channels: The order in which the model takes red, green and blue.
        scale: What 8-bit values are multiplied by; 1/255 makes them 0 to 1.
        mean: What is subtracted per channel, in the order of `channels` and in units after `scale`.
        std: What the rest is divided by, likewise.
        source: Where these settings come from ("the weights' metadata", "flags", "assumed").
    """

    resize: int | Size | None = None
    filter: str = "bilinear"
    crop: int | Size | None = None
    channels: Literal["RGB", "BGR"] = "RGB"
    scale: float = 1 / 255
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    source: str = "flags"

    def __post_init__(self) -> None:
        for name in ("resize", "crop"):
            value = getattr(self, name)
            if isinstance(value, tuple | list):
                object.__setattr__(self, name, whole_size(name, value))
            elif value is not None and not (is_whole(value) and value >= 1):
                expected = "a whole number, 1 or more, a pair (height, width) of such, or None"
                raise SettingError(name, given=value, expected=expected, hint="224 suits most models for photographs")
        if self.filter not in FILTERS:
            near = did_you_mean(str(self.filter), list(FILTERS)).removeprefix("; ").removesuffix("?")
            raise SettingError("filter", given=self.filter, expected=f"one of {', '.join(FILTERS)}", hint=near)
        if self.channels not in ("RGB", "BGR"):
            raise SettingError(
                "channels", given=self.channels, expected="'RGB' or 'BGR'", hint="'RGB' suits most models"
            )
        if not _is_number(self.scale) or self.scale <= 0:
            raise SettingError("scale", given=self.scale, expected="a number over 0", hint="1/255 suits most models")
        object.__setattr__(self, "scale", float(self.scale))
        for name, triple in (("mean", self.mean), ("std", self.std)):
            object.__setattr__(self, name, _triple(name, triple))
        if min(self.std) <= 0:
            raise SettingError(
                "std", given=self.std, expected="three numbers over 0", hint="(1, 1, 1) leaves values alone"
            )
        if not isinstance(self.source, str):
            raise SettingError("source", given=self.source, expected="a phrase", hint="'flags', for one")
        self._refuse_a_crop_that_never_fits()

    @classmethod
    def assumed(cls) -> "Preprocessing":
        """What most models for photographs were trained with, for when nothing better is known."""
        return cls(resize=256, crop=224, mean=_IMAGENET_MEAN, std=_IMAGENET_STD, source="assumed")

    @classmethod
    def none(cls) -> "Preprocessing":
        """Pictures as they are, at any size: values from 0 to 1 and nothing else."""
        return cls(source="none")

    def geometry(self, image: Image) -> Geometry:
        """Where what the model sees lies in the picture.

        Raises:
            InputError: The picture is smaller than the crop.
            CapacityError: Resizing would make far too many pixels.
        """
        height, width = self._resized(image)
        if self.crop is None:
            return Geometry(
                original=(image.height, image.width), resized=(height, width), crop_box=(0, 0, width, height)
            )
        crop_height, crop_width = _pair(self.crop)
        if crop_height > height or crop_width > width:
            after = "" if self.resize is None else " after resizing"
            way_out = f"resize it to {max(crop_height, crop_width)} or more, or use crop=None"
            raise InputError(
                f"{image.name!r} is {width}×{height} pixels{after} (width×height), smaller than the crop of "
                f"{crop_width}×{crop_height}; {way_out}."
            )
        left, top = (width - crop_width) // 2, (height - crop_height) // 2
        box = (left, top, left + crop_width, top + crop_height)
        return Geometry(original=(image.height, image.width), resized=(height, width), crop_box=box)

    def pixels(self, image: Image) -> Pixels:
        """What the model sees, before scaling: uint8 (height, width, 3), in RGB order for showing.

        Raises:
            InputError: The picture is smaller than the crop.
            CapacityError: Resizing would make far too many pixels.
        """
        geometry = self.geometry(image)
        left, top, right, bottom = geometry.crop_box
        return np.ascontiguousarray(self._resize(image, geometry)[top:bottom, left:right])

    def prepare(self, image: Image) -> npt.NDArray[np.float32]:
        """The numbers that the model gets: float32 (3, height, width).

        Raises:
            InputError: The picture is smaller than the crop.
            CapacityError: Resizing would make far too many pixels.
        """
        return self._values(self.pixels(image))

    def grey(self, level: int) -> Triple:
        """What a pixel of one grey becomes, per channel as the model takes them.

        Args:
            level: 0 is black, 255 is white.
        """
        first, second, third = self._values(np.full((1, 1, 3), level, dtype=np.uint8)).ravel().tolist()
        return first, second, third

    def steps(self, image: Image) -> list[Step]:
        """Every step that does something, with its result to look at; the last one draws the lowest value as black."""
        geometry = self.geometry(image)
        left, top, right, bottom = geometry.crop_box
        steps = [Step(name="original", text=f"{image.width}×{image.height}", pixels=image.pixels, low=0.0, high=255.0)]
        resized = self._resize(image, geometry)
        if self.resize is not None:
            text = f"{self._resize_in_words()}: {geometry.resized[1]}×{geometry.resized[0]}"
            steps.append(Step(name="resized", text=text, pixels=resized, low=0.0, high=255.0))
        cropped = np.ascontiguousarray(resized[top:bottom, left:right])
        if self.crop is not None:
            text = f"{self._crop_in_words()}, from x = {left}, y = {top}"
            steps.append(Step(name="cropped", text=text, pixels=cropped, low=0.0, high=255.0))
        values = self._values(cropped)
        low, high = float(values.min()), float(values.max())
        span = high - low
        drawn = np.rint((values - low) * (255 / span)) if span > 0 else np.full_like(values, 127)
        shown = np.ascontiguousarray(self._swap(drawn).transpose(1, 2, 0).astype(np.uint8))
        name = "normalised" if self._normalises else "scaled"
        text = f"{self._values_in_words()}: {low:.3g} to {high:.3g}"
        steps.append(Step(name=name, text=text, pixels=shown, low=low, high=high))
        return steps

    def describe(self) -> str:
        """Everything that is done to a picture, on one line."""
        parts = [] if self.resize is None else [self._resize_in_words()]
        parts += [] if self.crop is None else [self._crop_in_words()]
        return f"{', '.join([*parts, self._values_in_words()])} ({self.source})"

    def to_record(self) -> dict[str, Any]:
        """The settings in JSON types."""
        record = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in record.items()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Preprocessing":
        """The settings that `to_record` wrote.

        Raises:
            SettingError: A field is unknown, missing or makes no sense.
        """
        same_fields(cls, record, called="preprocessing")
        return cls(**record)

    @property
    def _normalises(self) -> bool:
        return self.mean != (0.0, 0.0, 0.0) or self.std != (1.0, 1.0, 1.0)

    def _resized(self, image: Image) -> Size:
        if self.resize is None:
            return image.height, image.width
        if isinstance(self.resize, tuple):
            height, width = self.resize
        else:
            scale = self.resize / min(image.height, image.width)
            # The shorter side must come out exact; the other one is rounded to the nearest, halves to even.
            height, width = (max(self.resize, round(side * scale)) for side in (image.height, image.width))
        if height * width > _MOST_RESIZED_PIXELS:
            raise CapacityError(
                f"{image.name!r} of {image.width}×{image.height} pixels would become {width}×{height} with resize="
                f"{self.resize}, the limit is {_MOST_RESIZED_PIXELS / 1e6:g} megapixels; use resize=(height, width)."
            )
        return height, width

    def _resize(self, image: Image, geometry: Geometry) -> Pixels:
        if geometry.resized == geometry.original:
            return image.pixels
        height, width = geometry.resized
        return np.asarray(image.pil().resize((width, height), FILTERS[self.filter]))

    def _values(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        # Divided by 255, not multiplied by 1/255: in float32 the last bit differs, and the models were fed the former.
        values = pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(1 / self.scale)
        values = self._swap(values) - np.array(self.mean, dtype=np.float32)[:, None, None]
        return np.ascontiguousarray(values / np.array(self.std, dtype=np.float32)[:, None, None])

    def _swap(self, planes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return planes[::-1] if self.channels == "BGR" else planes

    def _resize_in_words(self) -> str:
        if isinstance(self.resize, tuple):
            return f"resize to {self.resize[1]}×{self.resize[0]} ({self.filter})"
        return f"shorter side to {self.resize} ({self.filter})"

    def _crop_in_words(self) -> str:
        height, width = _pair(self.crop or 0)
        return f"centre crop {width}×{height}"

    def _values_in_words(self) -> str:
        divisor = 1 / self.scale
        scale = f"÷ {divisor:.6g}" if divisor >= 1 else f"× {self.scale:.6g}"
        scale = "values as they are" if divisor == 1 else scale
        words = f"{self.channels}, {scale}"
        return f"{words}, mean {_numbers(self.mean)}, std {_numbers(self.std)}" if self._normalises else words

    def _refuse_a_crop_that_never_fits(self) -> None:
        if self.resize is None or self.crop is None:
            return
        crop_height, crop_width = _pair(self.crop)
        if isinstance(self.resize, tuple):
            fits = crop_height <= self.resize[0] and crop_width <= self.resize[1]
        else:
            # The longer side may be anything.
            fits = min(crop_height, crop_width) <= self.resize
        if not fits:
            expected = f"at most what resizing leaves, resize={self.resize}"
            raise SettingError("crop", given=self.crop, expected=expected, hint="a larger resize or crop=None helps")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(float(value))


def _pair(side: int | Size) -> Size:
    return side if isinstance(side, tuple) else (side, side)


def _triple(name: str, value: Any) -> Triple:
    if not isinstance(value, tuple | list) or len(value) != 3 or not all(_is_number(number) for number in value):
        hint = "one each for the first, second and third channel"
        raise SettingError(name, given=value, expected="three finite numbers", hint=hint)
    return float(value[0]), float(value[1]), float(value[2])


def _numbers(triple: Triple) -> str:
    return "(" + ", ".join(f"{number:.4g}" for number in triple) + ")"
