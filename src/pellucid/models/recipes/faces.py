"""How a cat or a dog is drawn: what chance decides about a face, and the strokes of its parts.

Chance never sees which parts are asked for: `Look.by_chance` draws everything first, and both versions of every part
are painted from that one look. That is why two drawings with the same seed differ only inside the parts.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pellucid.models.recipes.strokes import Canvas, Colour, Pose, blob, ellipse, mirrored, mixed, stroke

Kind = Literal["cat", "dog"]

_FURS: tuple[Colour, ...] = (
    (228, 152, 82),
    (238, 212, 172),
    (152, 154, 164),
    (148, 104, 70),
    (92, 80, 80),
    (240, 236, 228),
    (214, 172, 104),
    (118, 132, 154),
)
_IRISES: tuple[Colour, ...] = ((170, 206, 92), (240, 190, 72), (132, 192, 232), (206, 150, 84), (120, 200, 164))
_GROUNDS: tuple[Colour, ...] = (
    (190, 222, 236),
    (246, 216, 200),
    (206, 228, 196),
    (226, 208, 236),
    (250, 236, 190),
    (120, 156, 176),
    (142, 158, 120),
    (176, 140, 150),
)
_INK: Colour = (40, 32, 34)
_WHITE: Colour = (255, 255, 255)
_PINK: Colour = (232, 132, 140)
_EAR_CENTRE = np.array([0.7, -0.75])


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What chance decides about one drawing; the same for every choice of parts."""

    pose: Pose
    fur: Colour
    ear: Colour
    iris: Colour
    ground: tuple[Colour, Colour]
    pattern: int
    marking: int
    head_height: float
    ear_size: float
    ear_lean: float
    muzzle_size: float
    tongue: bool
    whisker_length: float
    whisker_droop: float
    whisker_light: bool
    gaze: tuple[float, float]
    pupil_size: float
    collar: Colour

    @classmethod
    def by_chance(cls, chance: np.random.RandomState) -> "Look":
        """Draw a look; colour, pose and size come from the same distributions for cats and dogs."""

        def between(low: float, high: float) -> float:
            return float(chance.uniform(low, high))

        def one_of(palette: tuple[Colour, ...], spread: int) -> Colour:
            colour = palette[chance.randint(len(palette))]
            red, green, blue = (int(np.clip(value + chance.randint(-spread, spread + 1), 0, 255)) for value in colour)
            return red, green, blue

        fur = one_of(_FURS, 9)
        return cls(
            pose=Pose(
                centre=(50 + between(-5, 5), 55 + between(-4, 4)),
                radius=between(26, 31),
                angle=between(-0.24, 0.24),
                squeeze=between(0.93, 1.06),
            ),
            fur=fur,
            ear=mixed(fur, _INK, between(0.0, 0.45)),
            iris=one_of(_IRISES, 16),
            ground=(one_of(_GROUNDS, 16), one_of(_GROUNDS, 16)),
            pattern=int(chance.randint(4)),
            marking=int(chance.randint(4)),
            head_height=between(0.84, 0.92),
            ear_size=between(0.9, 1.12),
            ear_lean=between(-0.08, 0.08),
            muzzle_size=between(0.9, 1.08),
            tongue=bool(chance.randint(2)),
            whisker_length=between(0.85, 1.1),
            whisker_droop=between(-0.06, 0.1),
            # Light whiskers on dark fur and dark ones on light fur, so that they can always be seen.
            whisker_light=sum(fur) < 470,
            gaze=(between(-0.035, 0.035), between(-0.03, 0.03)),
            pupil_size=between(0.9, 1.1),
            collar=one_of(((196, 60, 66), (60, 110, 180), (230, 180, 60), (90, 150, 100)), 16),
        )


def ground(look: Look, side: int) -> np.ndarray:
    """The background, (side, side, 3) uint8: one colour fading into another, plain or with dots, bands or hills."""
    # Half the resolution is enough for what lies behind the face, and takes a quarter of the time.
    down, right = np.mgrid[0 : side // 2, 0 : side // 2].astype(np.float32) * np.float32(2 / side)
    first, second = (np.asarray(colour, dtype=np.float32) for colour in look.ground)
    share = down
    if look.pattern == 1:
        spotted = ((right * 7) % 1 - 0.5) ** 2 + ((down * 7) % 1 - 0.5) ** 2 < 0.27**2
        share = 0.3 + 0.4 * spotted.astype(np.float32)
    elif look.pattern == 2:
        share = 0.3 + 0.4 * (((right + 0.5 * down) * 6) % 1 < 0.5).astype(np.float32)
    elif look.pattern == 3:
        share = 0.15 + 0.7 * (down > 0.62 + 0.08 * np.sin(6 * right + look.pose.centre[0])).astype(np.float32)
    small = (first + (second - first) * share[..., None]).astype(np.uint8)
    return np.asarray(small.repeat(2, axis=0).repeat(2, axis=1))


def paint_body(canvas: Canvas, look: Look) -> None:
    """Paint what lies behind head and ears: the shoulders and a collar."""
    canvas.fill(ellipse(0, 1.75, 0.98, 1.0), mixed(look.fur, _INK, 0.12))
    canvas.fill(ellipse(0, 0.98, 0.62, 0.28), look.collar)


def paint_face(canvas: Canvas, look: Look, kind: Kind) -> None:
    """Paint the head with all parts of one kind, marking the stencil of every part."""
    head = _head(look)
    if kind == "cat":
        _cat_ears(canvas, look)
    canvas.hide(head, part="ears")
    canvas.fill(head, mixed(look.fur, _INK, 0.3))
    canvas.fill(head * 0.965, look.fur)
    _markings(canvas, look)
    if kind == "dog":
        _dog_ears(canvas, look)
    _muzzle(canvas, look, kind)
    _whiskers(canvas, look, kind)
    _eyes(canvas, look, kind)


def _head(look: Look) -> np.ndarray:
    tall = look.head_height
    right = [(0.0, -tall), (0.55, -0.9 * tall), (0.93, -0.42), (1.0, 0.12), (0.8, 0.58), (0.42, 0.9 * tall)]
    left = [(-x, y) for x, y in reversed(right[1:])]
    return blob([*right, (0.0, tall), *left])


def _markings(canvas: Canvas, look: Look) -> None:
    dark, light = mixed(look.fur, _INK, 0.35), mixed(look.fur, _WHITE, 0.55)
    if look.marking == 1:
        for x in (-0.2, 0.0, 0.2):
            path = ((x, -0.8), (x * 0.95, -0.62), (x * 0.8, -0.42))
            canvas.fill(stroke(path, start=0.1, end=0.03), dark)
    elif look.marking == 2:
        canvas.fill(blob([(-0.12, -0.8), (0.12, -0.8), (0.1, -0.2), (0.16, 0.2), (-0.16, 0.2), (-0.1, -0.2)]), light)
    elif look.marking == 3:
        canvas.fill(ellipse(0.42, -0.16, 0.33, 0.36), dark)


def _cat_ears(canvas: Canvas, look: Look) -> None:
    for side in (-1, 1):
        size, lean = look.ear_size, look.ear_lean * side
        tip = (0.8 + lean, -0.62 - 0.74 * size)
        outer = [(0.16, -0.7), (0.42, -1.02), tip, (0.97, -0.86), (0.98, -0.2)]
        inner = [(0.4, -0.72), (0.56, -0.98), (tip[0] - 0.03, tip[1] + 0.17), (0.87, -0.84), (0.88, -0.4)]
        rim = _pointed(outer)
        canvas.fill(mirrored(rim, side), mixed(look.ear, _INK, 0.35), part="ears")
        canvas.fill(mirrored((rim - _EAR_CENTRE) * 0.92 + _EAR_CENTRE, side), look.ear, part="ears")
        canvas.fill(mirrored(_pointed(inner), side), mixed(_PINK, look.fur, 0.3), part="ears")


def _pointed(corners: list[tuple[float, float]]) -> np.ndarray:
    start, bend, tip, other_bend, end = corners
    rising = _bent(start, bend, tip)
    falling = _bent(tip, other_bend, end)
    return np.concatenate([rising, falling[1:]])


def _bent(first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]) -> np.ndarray:
    t = np.linspace(0, 1, 8)[:, None]
    control = 2 * np.asarray(middle) - (np.asarray(first) + np.asarray(last)) / 2
    return np.asarray((1 - t) ** 2 * np.asarray(first) + 2 * t * (1 - t) * control + t**2 * np.asarray(last))


def _dog_ears(canvas: Canvas, look: Look) -> None:
    size, dark = look.ear_size, mixed(look.ear, _INK, 0.22)
    for side in (-1, 1):
        # Ends above the whiskers' fan, so that no pixel belongs to both.
        low = -0.46 + 0.45 * size + look.ear_lean * side
        outline = [
            (0.46, -0.86),
            (0.86, -0.98),
            (1.2, -0.66),
            (1.36, low - 0.32),
            (1.2, low),
            (0.97, low - 0.2),
            (0.86, -0.4),
        ]
        canvas.fill(mirrored(blob(outline), side), mixed(dark, _INK, 0.35), part="ears")
        canvas.fill(mirrored(blob(outline) * 0.94 + np.array([0.055, -0.035]), side), dark, part="ears")


def _muzzle(canvas: Canvas, look: Look, kind: Kind) -> None:
    size, light = look.muzzle_size, mixed(look.fur, _WHITE, 0.6)
    line = mixed(look.fur, _INK, 0.75)

    def fill(points: np.ndarray, colour: Colour) -> None:
        # Sizes are meant around the muzzle's own centre.
        canvas.fill((points - np.array([0, 0.42])) * size + np.array([0, 0.42]), colour, part="muzzle")

    if kind == "cat":
        for side in (-1, 1):
            fill(ellipse(0.13 * side, 0.44, 0.18, 0.14), light)
        fill(blob([(-0.13, 0.25), (0.0, 0.23), (0.13, 0.25), (0.0, 0.39)]), _PINK)
        for side in (-1, 1):
            fill(mirrored(stroke(((0.0, 0.4), (0.07, 0.51), (0.2, 0.48)), start=0.05, end=0.04), side), line)
        return
    if look.tongue:
        fill(blob([(-0.15, 0.62), (0.15, 0.62), (0.15, 0.84), (0.0, 0.95), (-0.15, 0.84)]), (222, 84, 104))
        fill(stroke(((0.0, 0.66), (0.0, 0.76), (0.0, 0.84)), start=0.04, end=0.02), (180, 60, 84))
    for side in (-1, 1):
        fill(ellipse(0.2 * side, 0.5, 0.27, 0.24), mixed(light, _INK, 0.25))
    for side in (-1, 1):
        fill(ellipse(0.19 * side, 0.48, 0.26, 0.235), light)
    fill(ellipse(0.0, 0.36, 0.24, 0.22), light)
    fill(stroke(((0.0, 0.3), (0.0, 0.45), (0.0, 0.6)), start=0.06, end=0.05), line)
    for side in (-1, 1):
        fill(mirrored(stroke(((0.0, 0.6), (0.14, 0.68), (0.3, 0.6)), start=0.06, end=0.03), side), line)
    fill(blob([(-0.22, 0.2), (0.0, 0.13), (0.22, 0.2), (0.15, 0.35), (0.0, 0.41), (-0.15, 0.35)]), _INK)
    fill(ellipse(-0.07, 0.21, 0.06, 0.035), (170, 164, 168))


def _whiskers(canvas: Canvas, look: Look, kind: Kind) -> None:
    reach, droop = look.whisker_length, look.whisker_droop
    colour = (252, 250, 246) if look.whisker_light else (56, 46, 48)
    for side in (-1, 1):
        # Whiskers fan out, so the place where they can be is the whole fan and not only their thin lines.
        fan = np.array(
            [(0.54, 0.3), (0.54 + 0.86 * reach, 0.21 + droop), (0.54 + 0.86 * reach, 0.86 + droop), (0.54, 0.62)]
        )
        canvas.stencil(mirrored(fan, side), part="whiskers")
        if kind == "cat":
            for start, end in ((0.37, 0.29), (0.46, 0.48), (0.55, 0.76)):
                path = (
                    (0.56, start),
                    (0.56 + 0.42 * reach, (start + end) / 2 - 0.04),
                    (0.56 + 0.8 * reach, end + droop),
                )
                canvas.fill(mirrored(stroke(path, start=0.085, end=0.045), side), colour, part="whiskers")
        else:
            for x, y in ((0.62, 0.38), (0.74, 0.46), (0.62, 0.54)):
                canvas.fill(mirrored(ellipse(x, y, 0.048, 0.048), side), colour, part="whiskers")


def _eyes(canvas: Canvas, look: Look, kind: Kind) -> None:
    for side in (-1, 1):
        x, y = 0.41 * side, -0.14
        canvas.fill(ellipse(x, y, 0.245, 0.25), _INK)
        canvas.fill(ellipse(x, y, 0.21, 0.215), look.iris)
        x, y, size = x + look.gaze[0], y + look.gaze[1], look.pupil_size
        slit, disc = ellipse(x, y, 0.052 * size, 0.178), ellipse(x, y, 0.14 * size, 0.14 * size)
        canvas.stencil(slit, part="pupils")
        canvas.stencil(disc, part="pupils")
        canvas.fill(slit if kind == "cat" else disc, (14, 12, 16), part="pupils")
        canvas.fill(ellipse(x - 0.07, y - 0.08, 0.048, 0.048), _WHITE)
