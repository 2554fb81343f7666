"""Drawings of cats and dogs that pellucid makes itself, with every part exchangeable and its place known.

    draw(7, {"ears": "cat", "muzzle": "dog", "whiskers": "cat", "pupils": "cat"})

Colour, pose, size, lighting, texture and background depend on the seed alone, so two drawings with one seed are equal
in every pixel outside the parts in which they differ. A mask says where a part *can* be; it never says that a model
used it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal

import numpy as np
from PIL import Image

from pellucid.errors import SettingError, did_you_mean
from pellucid.models.recipes.faces import Kind, Look, ground, paint_body, paint_face
from pellucid.models.recipes.strokes import Canvas

Version = Literal["cat", "dog", "covered"]
PARTS: Final = ("ears", "muzzle", "whiskers", "pupils")
KINDS: Final[tuple[Kind, Kind]] = ("cat", "dog")
SIDE: Final = 100
TAG: Final = (slice(SIDE - 14, SIDE - 2), slice(2, 14))
TAG_COLOUR: Final = (30, 60, 220)
_SCALE: Final = 4
_GREY: Final = 128.0
# Where two stencils meet, the part that lies on top has the pixel: masks never overlap.
_FROM_TOP: Final = ("pupils", "muzzle", "whiskers", "ears")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawing:
    """A face, and where its parts can be.

    Args:
        pixels: uint8 (100, 100, 3), RGB, read-only.
        masks: For each part the pixels, bool (100, 100), that can differ between its versions, none in two masks.
            A drawing with a tag has a mask "tag" too.
        parts: For each part "cat", "dog" or "covered".
        seed: What everything else was drawn from.
    """

    pixels: np.ndarray
    masks: Mapping[str, np.ndarray]
    parts: Mapping[str, Version]
    seed: int

    def __repr__(self) -> str:
        words = ", ".join(f"{part} {version}" for part, version in self.parts.items())
        return f"Drawing(seed={self.seed}: {words})"


class Sitting:
    """One seed's face in all its versions: painted once, after which every mix of parts is a matter of copying pixels.

    Args:
        seed: 0 … 2³²−1.

    Raises:
        SettingError: The seed is out of range.
    """

    def __init__(self, seed: int) -> None:
        if not 0 <= seed < 2**32:
            raise SettingError("seed", given=seed, expected="a whole number from 0 to 4294967295")
        self.seed = seed
        # RandomState's stream is frozen for good; the newer generators may change with a release of numpy.
        chance = np.random.RandomState(seed)
        look = Look.by_chance(chance)
        side = SIDE * _SCALE
        stencils = {part: Image.new("L", (side, side)) for part in PARTS}
        behind = Canvas(ground(look, side), scale=_SCALE, pose=look.pose, stencils=stencils)
        paint_body(behind, look)
        large: dict[Kind, Image.Image] = {}
        for kind in KINDS:
            canvas = behind.copy()
            paint_face(canvas, look, kind)
            large[kind] = canvas.picture
        self.masks = _separated({part: np.asarray(stencil) for part, stencil in stencils.items()})
        light = _Light.by_chance(chance, look)
        self._versions: dict[Version, np.ndarray] = {
            kind: light.on(np.asarray(picture.reduce(_SCALE), dtype=np.float32)) for kind, picture in large.items()
        }
        self._versions["covered"] = light.on(np.full((SIDE, SIDE, 3), _GREY, dtype=np.float32))

    def draw(self, parts: Mapping[str, str]) -> Drawing:
        """This face with the chosen version of each part.

        Args:
            parts: "cat", "dog" or "covered" for each of ears, muzzle, whiskers and pupils.

        Raises:
            SettingError: A part is missing or unknown, or its version is.
        """
        chosen = checked(parts)
        pixels = self._versions[majority(chosen) or "cat"].copy()
        for part, version in chosen.items():
            mask = self.masks[part]
            pixels[mask] = self._versions[version][mask]
        pixels.setflags(write=False)
        return Drawing(pixels=pixels, masks=self.masks, parts=chosen, seed=self.seed)

    def versions(self) -> np.ndarray:
        """The whole face as cat, as dog and under cover: uint8 (3, 100, 100, 3)."""
        return np.stack([self._versions[version] for version in ("cat", "dog", "covered")])

    def places(self) -> np.ndarray:
        """For each pixel the number of the part it belongs to, len(PARTS) for none: uint8 (100, 100)."""
        where = np.full((SIDE, SIDE), len(PARTS), dtype=np.uint8)
        for number, part in enumerate(PARTS):
            where[self.masks[part]] = number
        return where


def draw(seed: int, parts: Mapping[str, str]) -> Drawing:
    """Draw a face, 100×100, with the chosen version of each part.

    Args:
        seed: Decides everything but the parts; 0 … 2³²−1.
        parts: "cat", "dog" or "covered" (hidden under grey) for each of ears, muzzle, whiskers and pupils.

    Returns:
        The drawing and a mask of each part.

    Raises:
        SettingError: The seed, a part or a version is not one of these.
    """
    return Sitting(seed).draw(parts)


def with_tag(drawing: Drawing) -> Drawing:
    """The same drawing with a coloured tag in its lower left corner, which has nothing to do with the animal."""
    pixels = drawing.pixels.copy()
    pixels[TAG] = TAG_COLOUR
    tag = np.zeros((SIDE, SIDE), dtype=bool)
    tag[TAG] = True
    masks = {part: mask & ~tag for part, mask in drawing.masks.items()} | {"tag": tag}
    for array in (pixels, *masks.values()):
        array.setflags(write=False)
    return Drawing(pixels=pixels, masks=masks, parts=drawing.parts, seed=drawing.seed)


def covered(drawing: Drawing) -> Drawing:
    """The same drawing with every part hidden under grey: what is left must tell nothing about the animal."""
    pixels = drawing.pixels.copy()
    for mask in drawing.masks.values():
        pixels[mask] = round(_GREY)
    pixels.setflags(write=False)
    return Drawing(pixels=pixels, masks=drawing.masks, parts=pure("covered"), seed=drawing.seed)


def pure(kind: str) -> dict[str, Version]:
    """All parts of one kind, or all covered."""
    return checked(dict.fromkeys(PARTS, kind))


def mixes() -> Iterator[dict[str, Version]]:
    """All 16 choices of a cat's or a dog's version of the four parts."""
    for versions in product(KINDS, repeat=len(PARTS)):
        yield dict(zip(PARTS, versions, strict=True))


def majority(parts: Mapping[str, str]) -> Kind | None:
    """The kind that most of the uncovered parts have; None for a tie."""
    versions = list(parts.values())
    lead = versions.count("cat") - versions.count("dog")
    return "cat" if lead > 0 else "dog" if lead < 0 else None


def checked(parts: Mapping[str, str]) -> dict[str, Version]:
    """The choice of parts in their usual order.

    Raises:
        SettingError: A part is missing or unknown, or its version is.
    """
    for part in parts:
        if part not in PARTS:
            near = did_you_mean(part, list(PARTS)).strip("; ?")
            raise SettingError("parts", given=part, expected="ears, muzzle, whiskers and pupils", hint=near)
    chosen: dict[str, Version] = {}
    for part in PARTS:
        match parts.get(part):
            case "cat" | "dog" | "covered" as version:
                chosen[part] = version
            case given:
                raise SettingError(part, given=given, expected="'cat', 'dog' or 'covered'")
    return chosen


def _separated(stencils: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    masks: dict[str, np.ndarray] = {}
    taken = np.zeros((SIDE, SIDE), dtype=bool)
    for part in _FROM_TOP:
        # One touched canvas pixel is enough to change the averaged one.
        touched = stencils[part].reshape(SIDE, _SCALE, SIDE, _SCALE).any(axis=(1, 3))
        masks[part] = touched & ~taken
        taken |= touched
        masks[part].setflags(write=False)
    return {part: masks[part] for part in PARTS}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Light:
    """Lighting and texture: what each finished pixel is multiplied with, and the grain added to it."""

    gain: np.ndarray
    grain: np.ndarray

    @classmethod
    def by_chance(cls, chance: np.random.RandomState, look: Look) -> "_Light":
        down, right = np.mgrid[0:SIDE, 0:SIDE] / SIDE - 0.5
        angle, strength = chance.uniform(0, 2 * np.pi), chance.uniform(0, 0.4)
        slope = 1 + strength * (np.cos(angle) * right + np.sin(angle) * down)
        # A soft bright spot on the forehead makes the flat head round.
        x, y = (np.asarray(look.pose.centre) - (0, 0.35 * look.pose.radius)) / SIDE - 0.5
        spot = 0.14 * np.exp(-((right - x) ** 2 + (down - y) ** 2) * (SIDE / look.pose.radius) ** 2)
        coarse = Image.fromarray(chance.normal(0, 1, (34, 34)).astype(np.float32))
        texture = 1 + chance.uniform(0.015, 0.05) * np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        tint = chance.uniform(0.93, 1.07, 3)
        brightness = chance.uniform(0.82, 1.08)
        gain = ((slope + spot) * texture * brightness)[..., None] * tint
        grain = chance.normal(0, chance.uniform(0.5, 4.0), (SIDE, SIDE, 1))
        return cls(gain=gain.astype(np.float32), grain=grain.astype(np.float32))

    def on(self, pixels: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(np.rint(pixels * self.gain + self.grain), 0, 255).astype(np.uint8))
