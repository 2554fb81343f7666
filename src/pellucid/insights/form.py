"""How much of the picture's form can be read back from a site, by a straight line from channels to pixels.

At each position a ridge regression predicts, from the channels alone, the block of luminance that the position stands
for: stride × stride pixels of what the network sees, around the middle of its receptive field. One regression serves
all positions, so it cannot learn where in the picture it is. On pictures that it never saw,

    R² = 1 − Σ((y − ȳ) − (ŷ − mean of ŷ))² / Σ(y − ȳ)²,    ȳ the picture's own mean,

is the share of the picture's form that is kept: 1 is all, 0 is no better than one grey, and what is worse than that is
below 0. How bright the whole picture is counts as no form, and colour is not asked about.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.capture.sites import Site
from pellucid.insights.ridge import Moments, Readout, fit_moments, fit_rows

FOLDS = 4
_MOST_POSITIONS = 512
"""Positions of a picture that take part in fitting, drawn at random; all take part in measuring."""
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def luminance(pixels: np.ndarray) -> np.ndarray:
    """Of uint8 (height, width, 3) in RGB: float32 (height, width), 0 … 1, by the weights of ITU-R BT.601."""
    found: np.ndarray = pixels.astype(np.float32) @ _LUMA / 255
    return found


@dataclass(frozen=True, slots=True)
class Blocks:
    """Which block of pixels each position of a site stands for.

    Attributes:
        size: Height and width of a block in pixels.
        tops: The first row of each row of positions; blocks that do not lie in the picture are left out.
        lefts: The same for columns.
        rows: The positions' rows that are used.
        columns: The positions' columns that are used.
    """

    size: tuple[int, int]
    tops: np.ndarray
    lefts: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    @classmethod
    def of(cls, site: Site, picture: tuple[int, int]) -> "Blocks | None":
        """The blocks of a site, or None where no position has a whole block in the picture."""
        sides = site.shape[2:] if site.is_map else (1, 1)
        field = site.receptive_field if site.is_map else None
        found = []
        for axis, (count, side) in enumerate(zip(sides, picture, strict=True)):
            if field is not None and count > 1:
                stride = field.stride[axis]
                middle = field.offset[axis] + (field.size[axis] - 1) / 2 + stride * np.arange(count)
                starts = np.floor(middle - (stride - 1) / 2 + 0.5).astype(int)
            else:
                # Every position is seen, or nobody knows which: the positions share the picture evenly.
                stride = max(1, side // count)
                starts = np.arange(count) * side // count
            inside = np.flatnonzero((starts >= 0) & (starts + stride <= side))
            found.append((stride, starts[inside], inside))
        (tall, tops, rows), (wide, lefts, columns) = found
        if not len(rows) or not len(columns):
            return None
        return cls((tall, wide), tops, lefts, rows, columns)

    def targets(self, picture: np.ndarray) -> np.ndarray:
        """The blocks of one picture's luminance, (positions, pixels)."""
        down, across = np.arange(self.size[0]), np.arange(self.size[1])
        rows = (self.tops[:, None] + down)[:, None, :, None]
        columns = (self.lefts[:, None] + across)[None, :, None, :]
        return picture[rows, columns].reshape(len(self.tops) * len(self.lefts), -1)

    def channels(self, values: np.ndarray) -> np.ndarray:
        """One picture's channels at the positions that are used, (positions, channels)."""
        if values.ndim == 1:
            return values[None]
        used = values[:, self.rows][:, :, self.columns]
        return used.reshape(len(values), -1).T

    def picture(self, blocks: np.ndarray, side: tuple[int, int]) -> np.ndarray:
        """Blocks put back in their places; NaN where there is none. Where blocks overlap, the later one shows."""
        found = np.full(side, np.nan, dtype=np.float32)
        tall, wide = self.size
        for number, block in enumerate(blocks):
            top, left = self.tops[number // len(self.lefts)], self.lefts[number % len(self.lefts)]
            found[top : top + tall, left : left + wide] = block.reshape(tall, wide)
        return found


class FormReader:
    """Learns, picture by picture, to read luminance back from one site.

    Args:
        blocks: Which pixels each position stands for.
        channels: How many channels the site has.
        pictures: How many pictures it will learn from.
        seed: For the positions that take part.
    """

    def __init__(self, blocks: Blocks, *, channels: int, pictures: int, seed: int) -> None:
        self.blocks = blocks
        self._random = np.random.default_rng(seed)
        per_picture = min(_MOST_POSITIONS, len(blocks.rows) * len(blocks.columns))
        self._few = pictures * per_picture <= channels
        self._moments: list[Moments | None] = [None] * FOLDS
        self._rows: list[tuple[np.ndarray, np.ndarray, int]] = []

    def learn(self, values: np.ndarray, picture: np.ndarray, *, fold: int) -> None:
        """Take in one picture: the site's values, (channels, height, width) or (channels,), and its luminance."""
        x, y = self.blocks.channels(values), self.blocks.targets(picture)
        if len(x) > _MOST_POSITIONS:
            chosen = self._random.choice(len(x), _MOST_POSITIONS, replace=False)
            x, y = x[chosen], y[chosen]
        if self._few:
            self._rows.append((x, y, fold))
            return
        found, before = Moments.of(x, y), self._moments[fold]
        self._moments[fold] = found if before is None else before + found

    def fit(self) -> Readout:
        """The regression, after the last picture."""
        if self._few:
            x, y = (np.concatenate([row[part] for row in self._rows]) for part in (0, 1))
            return fit_rows(x, y, np.concatenate([np.full(len(row[0]), row[2]) for row in self._rows]))
        return fit_moments([moments for moments in self._moments if moments is not None])


def read_back(readout: Readout, blocks: Blocks, values: np.ndarray) -> np.ndarray:
    """One picture's luminance as it is read from a site's values, as blocks (positions, pixels)."""
    return readout.predict(blocks.channels(values).astype(np.float64))


def kept(read: np.ndarray, true: np.ndarray) -> float | None:
    """R² over one picture's blocks; None where the picture is of one grey."""
    true = true.astype(np.float64)
    spread = float(((true - true.mean()) ** 2).sum())
    missing = true - true.mean() - (read - read.mean())
    return None if spread < 1e-9 * true.size else 1 - float((missing**2).sum()) / spread


def folds_of(count: int) -> Sequence[int]:
    """The fold of each learning picture."""
    return [number % FOLDS for number in range(count)]
