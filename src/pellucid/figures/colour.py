"""Colours for numbers: which value gets which entry of a palette, and what a reader has to be told about it.

A drawing is an array of palette entries until it is written. One palette of 256 entries holds everything that a drawing
needs, so that a mosaic with its text is one small palette PNG:

    0 … 239     the values: viridis in 240 steps, or blue – white – red in 239 with zero exactly in the middle
    240 …       paper, hairline, "flat", the two colours of "not finite", and two inks in five strengths each
"""

import base64
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from pellucid.errors import SettingError
from pellucid.figures.numbers import number

Kind = Literal["sequential", "signed"]
"""The two kinds of scale. Groups have no scale; their colours and shapes are in `categories`."""

SEQUENTIAL_LEVELS = 240
SIGNED_LEVELS = 239
"""Odd, so that zero has a level of its own."""
ZERO = SIGNED_LEVELS // 2
"""The entry of zero on the signed scale: pure white."""

PAPER, LINE, FLAT, NOT_FINITE, NOT_FINITE_TOO = 240, 241, 242, 243, 244
INK, SOFT = 245, 250
"""First of `STRENGTHS` entries, from faint to full, for the smooth edges of letters."""
STRENGTHS = 5

NEGATIVE, WHITE, POSITIVE = (0x1F, 0x5F, 0xA8), (255, 255, 255), (0xC2, 0x3B, 0x22)
_PAPER, _LINE, _INK, _SOFT = (255, 255, 255), (0xDF, 0xE3, 0xE7), (0x17, 0x1A, 0x1E), (0x5A, 0x62, 0x6B)
_FLAT, _NOT_FINITE, _NOT_FINITE_TOO = (0xC9, 0xCF, 0xD5), (0xC8, 0x14, 0x8C), (0xFF, 0x9B, 0xE0)

# Viridis (S. van der Walt, N. Smith, E. Firing; CC0) in 240 steps, RGB bytes. Kept here because importing matplotlib
# takes 0.3 s; a test compares it with matplotlib's own table.
_VIRIDIS = (
    "RAFURAJVRANXRQVYRQZaRQhbRglcRgteRgxfRg5hRw9iRxFjRxJlRxRmRxVnRxhqSBlrSBpsSBxuSB1vSB5wSCBxSCFySCJzSCN0"
    "RyV1RyZ2Ryd3Ryh4Ryt6Ryx7Ri18Ri98RjB9RjF+RTJ/RTR/RTWARTaBRDeBRDmCQzqDQzuDQj2EQj6FQkCFQUGGQUKGQEOHQESH"
    "P0WHP0eIPkiIPkmJPUqJPUuJPUyJPE6KO1CKO1GKOlKLOlOLOVSLOVWLOFaLOFeMN1iMN1mMNlqMNluMNVyMNF6NNF+NM2CNM2GN"
    "MmKNMmONMWSNMWWNMWaNMGeNMGiNL2mNL2qNLmuOLm2OLW6OLW+OLHCOLHGOLHKOK3OOK3SOKnWOKnaOKneOKXiOKXmOKHqOKHuO"
    "J3yOJ32OJ36OJn+OJoCOJoGOJYKOJYONJISNJIWNJIaNI4eNI4iNIomNIoqNIouNIYyNIY2MIY6MII+MIJCMIJGMH5KMH5OLH5SL"
    "H5WLH5aLHpiKHpmKHpmKHpqJHpuJHpyJHp2IHp6IHp+IHqCHH6GHH6KGH6OGIKSFIaaFIaeEIqeEI6iDI6mCJKqCJauBJqyBJ62A"
    "KK5/Ka9/KrB+K7F9LLF9L7N7MLR6MrV6M7Z5Nbd4Nrh3OLl2Obl2O7p1Pbt0PrxzQL1yQr5xRL5wR8BuScFtS8JsTcJrT8NpUcRo"
    "U8VnVcZmV8ZlWcdkW8hiXslhYMlgYspfZ8xcacxba81Zbc5YcM5Wcs9VdNBUd9BSedFRfNJPftJOgdNMg9NLhtRJi9VGjdZEkNZD"
    "ktdBldc/l9g+mtg8ndk6n9k4oto3pdo1p9szqtsyrdwwst0std0rt90put4nvd4mv98kwt8ixd8hx+AfyuAezeAdz+Ec0uEb1OEa"
    "2uIY3OIY3+MY4eMY5OMY5+QZ6eQZ7OQa7uUb8eUc8+Ue9uYf+OYh+uYi/eck"
)

# A range below a few units in the last place of the values is the rounding of one number, not a picture.
_ROUNDING = 8 * float(np.finfo(np.float32).eps)


@cache
def palette(kind: Kind) -> np.ndarray:
    """The 256 colours of a drawing as read-only uint8 (256, 3); the entries are those of the module's first lines."""
    table = np.empty((256, 3), dtype=np.uint8)
    table[:] = _PAPER
    if kind == "sequential":
        viridis = np.frombuffer(base64.b64decode(_VIRIDIS), dtype=np.uint8).reshape(SEQUENTIAL_LEVELS, 3)
        table[:SEQUENTIAL_LEVELS] = viridis
    else:
        share = np.abs(np.linspace(-1.0, 1.0, SIGNED_LEVELS))[:, None]
        ends = np.where(np.arange(SIGNED_LEVELS)[:, None] < ZERO, NEGATIVE, POSITIVE)
        table[:SIGNED_LEVELS] = np.rint(ends * share + np.array(WHITE) * (1 - share))
    table[LINE], table[FLAT] = _LINE, _FLAT
    table[NOT_FINITE], table[NOT_FINITE_TOO] = _NOT_FINITE, _NOT_FINITE_TOO
    strength = np.arange(1, STRENGTHS + 1)[:, None] / STRENGTHS
    for first, tone in ((INK, _INK), (SOFT, _SOFT)):
        table[first : first + STRENGTHS] = np.rint(np.array(tone) * strength + np.array(_PAPER) * (1 - strength))
    table.setflags(write=False)
    return table


def levels(kind: Kind) -> int:
    """How many entries of the palette stand for values; they are the first ones."""
    return SEQUENTIAL_LEVELS if kind == "sequential" else SIGNED_LEVELS


def sequential(values: np.ndarray, *, low: float | np.ndarray, high: float | np.ndarray) -> np.ndarray:
    """Entries of the sequential palette: equal steps from `low` to `high`.

    Values beyond an end get the colour of that end; `measure` counts them for the legend. What is not finite becomes a
    checkerboard of `NOT_FINITE` and `NOT_FINITE_TOO`. Where the range is 0 (or the rounding of one number) every entry
    is `FLAT`: a constant map has no scale to be drawn on.

    Args:
        values: Any shape; the last two axes are height and width.
        low: The first end; an array has one per map and broadcasts against `values`.
        high: The other end, not below `low`.

    Returns:
        uint8, the shape of `values`.
    """
    work, ends = _working(values, low, high)
    start, stop = ends
    if bool(np.any(stop < start)):
        raise SettingError("high", given=high, expected=f"{low} (low) or more")
    flat = is_flat(start, stop)
    finite = np.isfinite(values)
    with np.errstate(invalid="ignore", over="ignore"):
        share = work - start
        share /= np.where(flat, 1, stop - start)
        share *= SEQUENTIAL_LEVELS
    return _entries(share, finite, last=SEQUENTIAL_LEVELS - 1, flat=flat)


def signed(values: np.ndarray, limit: float) -> np.ndarray:
    """Entries of the signed palette: blue at `-limit`, white at zero exactly, red at `limit`.

    The steps are symmetric, so that `-values` gets the mirrored colours. Values beyond the limit get the colour of
    their end; `measure` counts them. What is not finite becomes a checkerboard. With limit 0 the rest is white.

    Returns:
        uint8, the shape of `values`.
    """
    if not (np.isfinite(limit) and limit >= 0):
        raise SettingError("limit", given=limit, expected="a finite number, 0 or more")
    work, (end,) = _working(values, limit)
    finite = np.isfinite(values)
    with np.errstate(invalid="ignore", over="ignore"):
        share = np.clip(work / end, -1, 1) if limit > 0 else np.zeros_like(work)
        share *= ZERO
    return _entries(np.rint(share) + ZERO, finite, last=SIGNED_LEVELS - 1)


def is_flat(low: float | np.ndarray, high: float | np.ndarray) -> np.ndarray:
    """Whether a range is 0, or no more than the rounding of one number in single precision."""
    start, stop = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    # Halves, because the difference of two numbers near the largest one is infinite.
    narrow: np.ndarray = stop / 2 - start / 2 <= _ROUNDING * (np.maximum(np.abs(start), np.abs(stop)) / 2)
    return narrow


def _working(values: np.ndarray, *ends: float | np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The values and the ends in a float type in which their differences stay finite."""
    bounds = [np.asarray(end, dtype=np.float64) for end in ends]
    largest = max((float(np.abs(bound).max()) for bound in bounds if bound.size), default=0.0)
    # Below 1e-30 the steps of a single-precision scale would be subnormal.
    single = values.dtype in (np.float16, np.float32) and (largest == 0 or 1e-30 < largest < 1e37)
    kind = np.float32 if single else np.float64
    work: np.ndarray = values.astype(kind, copy=False)
    scaled: list[np.ndarray] = [bound.astype(kind) for bound in bounds]
    if largest > 1e307:
        work, scaled = work * 0.0625, [bound * 0.0625 for bound in scaled]
    return work, scaled


def _entries(level: np.ndarray, finite: np.ndarray, *, last: int, flat: np.ndarray | None = None) -> np.ndarray:
    """The levels as entries, with the checkerboard and `FLAT` put in; `level` is used up."""
    whole = bool(finite.all())
    if not whole:
        level[~finite] = 0
    entries: np.ndarray = np.clip(level, 0, last, out=level).astype(np.uint8)
    if flat is not None and bool(flat.any()):
        np.copyto(entries, np.uint8(FLAT), where=flat)
    if not whole:
        place = np.indices(entries.shape[-2:]).sum(axis=0) if entries.ndim > 1 else np.arange(entries.size)
        board = np.where(place % 2 == 0, np.uint8(NOT_FINITE), np.uint8(NOT_FINITE_TOO))
        np.copyto(entries, board, where=~finite)
    return entries


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Which colour stands for which value, and what of the values the colours do not show. Made by `measure`."""

    kind: Kind
    low: float
    high: float
    least: float
    most: float
    values: int
    not_finite: int
    beyond: int

    @property
    def flat(self) -> bool:
        """Whether all finite values are one number (or there are none)."""
        return self.not_finite == self.values or bool(is_flat(self.least, self.most))

    def entries(self, values: np.ndarray) -> np.ndarray:
        """The palette entries of some values on this scale; uint8, their shape."""
        if self.flat:
            return sequential(values, low=self.low, high=self.low)
        if self.kind == "signed":
            return signed(values, self.high)
        return sequential(values, low=self.low, high=self.high)

    def remarks(self) -> tuple[str, ...]:
        """What the legend has to say beside the ends: flat, not finite, cut, no positive evidence."""
        said = []
        if self.not_finite == self.values:
            said.append(f"not finite: all {number(self.values)} values")
        elif self.flat:
            said.append(f"flat (range 0): every value is {number(self.most)}")
        if 0 < self.not_finite < self.values:
            said.append(f"not finite: {number(self.not_finite)} {'value' if self.not_finite == 1 else 'values'}")
        if self.most <= 0 and self.least < 0:
            said.append("no positive evidence")
        if self.beyond:
            furthest = self.most if self.most > self.high else self.least
            share = number(100 * self.beyond / (self.values - self.not_finite), digits=2)
            said.append(f"{share} % of the values lie beyond the ends, up to {number(furthest)}")
        return tuple(said)


def measure(
    values: np.ndarray, *, kind: Kind, low: float | None = None, high: float | None = None, cut: float = 0.0
) -> Scale:
    """The scale on which some values are drawn: from their range, unless ends are given.

    A sequential scale takes in zero, so that its colours can be read as amounts; a signed one is symmetric.

    Args:
        values: Any shape.
        kind: "sequential" or "signed".
        low: The low end (signed: the negative of `high`, or left out).
        high: The high end.
        cut: Percent of the values that may lie beyond the ends; 0 cuts nothing. The remarks say what was cut.
    """
    if kind not in ("sequential", "signed"):
        raise SettingError("kind", given=kind, expected="'sequential' or 'signed'")
    if not 0 <= cut < 50:
        raise SettingError("cut", given=cut, expected="percent of the values, from 0 up to 50")
    finite = values[np.isfinite(values)].astype(np.float64, copy=False)
    least, most = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if kind == "signed":
        if high is None and low is not None:
            high = -low
        furthest = _percentile(np.abs(finite), 100 - cut, whole=max(abs(least), abs(most)))
        high = furthest if high is None else high
        low = -high if low is None else low
        if low != -high:
            raise SettingError("low", given=low, expected=f"{-high} on a signed scale, whose middle is 0")
    else:
        low = min(0.0, least) if low is None else low
        high = _percentile(finite, 100 - cut, whole=max(0.0, most)) if high is None else high
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise SettingError("low, high", given=(low, high), expected="two finite numbers, the smaller one first")
    beyond = int(np.count_nonzero((finite < low) | (finite > high)))
    not_finite = int(values.size - finite.size)
    low, high = float(low) + 0.0, float(high) + 0.0  # never -0
    return Scale(
        kind=kind, low=low, high=high, least=least, most=most, values=values.size, not_finite=not_finite, beyond=beyond
    )


def _percentile(values: np.ndarray, percent: float, *, whole: float) -> float:
    """The end that leaves `100 - percent` of the values beyond; the whole range if that would leave nothing to see."""
    if percent == 100 or not values.size:
        return whole
    end = float(np.percentile(values, percent))
    return end if end > 0 else whole
