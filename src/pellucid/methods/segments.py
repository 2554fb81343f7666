"""Segments: a picture cut into parts, and the pictures in which only some of them are left."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from pellucid.capture.asks import INPUT, Given, Piece, Variants
from pellucid.errors import MethodError, MissingExtraError, SettingError
from pellucid.methods.baselines import baseline_of, check_baseline

PLANE = ("height", "width")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """How each picture of a batch is cut.

    Attributes:
        labels: int64 (batch, height, width): the segment of each pixel, from 0.
        counts: How many segments each picture has.
    """

    labels: Int64[Tensor, "batch height width"]
    counts: tuple[int, ...]

    @property
    def most(self) -> int:
        """The largest number of segments of a picture."""
        return max(self.counts)

    def spread(self, values: Sequence[Tensor]) -> Tensor:
        """The value of its segment at every pixel, (batch, height, width), from one tensor (segments,) per picture."""
        return torch.stack(
            [each.to(self.labels.device)[found] for each, found in zip(values, self.labels, strict=True)]
        )

    def boxes(self) -> Tensor:
        """int64 (most, 4): top, left, bottom, right of what bounds segment i in all pictures."""
        found = []
        for number in range(self.most):
            _, rows, columns = (self.labels == number).nonzero(as_tuple=True)
            found.append([int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1])
        return torch.tensor(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """A picture whose segments are there or not; what is missing shows the baseline.

    Attributes:
        x: The prepared batch.
        cover: The baseline, of the same shape.
        segments: How each picture is cut.
    """

    x: Float[Tensor, "batch channels height width"]
    cover: Float[Tensor, "batch channels height width"]
    segments: Segments

    def left(self, kept: Sequence[Tensor]) -> Tensor:
        """The batch with some segments left of each picture; one bool tensor (segments,) per picture."""
        shown = self.segments.spread(kept)
        return torch.where(shown[:, None], self.x, self.cover)

    def coalitions(self, kept: Sequence[Tensor], *, first: int = 0) -> Variants:
        """Variants: row i of each picture's table says what is left of it; shorter tables end with whole pictures.

        Args:
            kept: One bool table (variants, segments) per picture; both sizes may differ.
            first: The row with which to begin.
        """
        count = max(len(table) for table in kept)

        def make(number: int) -> Tensor:
            return self.left(
                [
                    table[number] if number < len(table) else torch.ones(table.shape[1], dtype=torch.bool)
                    for table in kept
                ]
            )

        return Variants(count=count - first, make=lambda number: make(first + number))


def game_of(given: Given, *, method: str, segments: str, baseline: str) -> Game:
    """Cut the pictures of a batch.

    Raises:
        MethodError: The input is no picture.
        SettingError: A picture is too small for so many segments.
        MissingExtraError: Superpixels need a library that is not installed.
    """
    pictures_only(given.x, method)
    return Game(x=given.x, cover=baseline_of(given, baseline), segments=segments_of(given.x, segments))


def pictures_only(x: Tensor, method: str) -> None:
    """Refuse an input that is no batch of pictures.

    Raises:
        MethodError: It is none.
    """
    if x.dim() != 4:
        shape = "×".join(map(str, x.shape[1:]))
        raise MethodError(f"{method} covers parts of pictures, and the input has shape {shape}; use saliency.")


def check_segments(text: object, baseline: str) -> None:
    """Refuse what cannot be a setting, before any work.

    Raises:
        SettingError: `segments` or `baseline` makes no sense.
    """
    _parts_of(text)
    check_baseline(baseline)


def count_of(text: str) -> int:
    """How many segments a setting means; superpixels may come out a few more or less."""
    kind, number = _parts_of(text)
    return number * number if kind == "grid" else number


def segments_of(x: Float[Tensor, "batch channels height width"], text: str) -> Segments:
    """Cut each prepared picture, as the model sees it.

    Args:
        x: The prepared batch.
        text: `grid:7`: 7×7 rectangles, from the top left, row by row, whose sides differ by a pixel at most;
            `slic:50`: about 50 superpixels.
    """
    kind, number = _parts_of(text)
    height, width = x.shape[-2:]
    if kind == "slic":
        tables = [_superpixels(item, number) for item in x.detach().double().cpu().numpy()]
        labels = torch.from_numpy(np.stack(tables)).to(x.device)
        return Segments(labels=labels, counts=tuple(int(table.max()) + 1 for table in tables))
    if min(height, width) < number:
        expected = f"no more than {min(height, width)} rectangles a side: the prepared picture is {height}×{width}"
        raise SettingError("segments", given=text, expected=expected)
    rows, columns = (torch.arange(side, device=x.device) * number // side for side in (height, width))
    labels = (rows[:, None] * number + columns).expand(len(x), height, width)
    return Segments(labels=labels, counts=(number * number,) * len(x))


def pieces_of(game: Game, values: Sequence[Tensor], errors: Sequence[Tensor] | None = None) -> tuple[Piece, ...]:
    """What a method over segments returns: values on the pixels, per segment, and the map of the segments.

    Args:
        game: The pictures and how they are cut.
        values: One tensor (segments,) per picture.
        errors: Their standard errors, where they were sampled.
    """
    like, cut = game.x.dtype, game.segments

    def filled(each: Sequence[Tensor]) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence([one.to(like) for one in each], batch_first=True)

    return (
        Piece(
            place=INPUT,
            axes=PLANE,
            values=cut.spread(values).to(like),
            standard_error=None if errors is None else cut.spread(errors).to(like),
        ),
        Piece(
            place=INPUT,
            axes=("segments",),
            values=filled(values),
            name="segments",
            standard_error=None if errors is None else filled(errors),
            lengths=cut.counts,
        ),
        Piece(place=INPUT, axes=PLANE, values=cut.labels.to(like), name="segment map"),
    )


def draws(rng: torch.Generator, count: int) -> list[torch.Generator]:
    """One generator per picture, all in the state of one: what is drawn for a picture depends on no other."""
    state = rng.get_state()
    return [torch.Generator().set_state(state) for _ in range(count)]


def subsets(segments: int, size: int) -> list[tuple[int, ...]]:
    """All sets of some segments of one size, in lexicographic order."""
    return list(itertools.combinations(range(segments), size))


def table_of(sets: Sequence[Sequence[int]], segments: int) -> Bool[Tensor, "sets segments"]:
    """Sets of segments as rows of a table."""
    table = torch.zeros(len(sets), segments, dtype=torch.bool)
    for row, each in zip(table, sets, strict=True):
        row[list(each)] = True
    return table


def whole_number(name: str, given: object, *, least: int, hint: str = "") -> None:
    """Refuse what is no whole number of a least size.

    Raises:
        SettingError: It is none.
    """
    if isinstance(given, bool) or not isinstance(given, int) or given < least:
        raise SettingError(name, given=given, expected=f"a whole number, {least} or more", hint=hint)


def _parts_of(text: object) -> tuple[str, int]:
    kind, _, number = text.partition(":") if isinstance(text, str) else ("", "", "")
    if kind not in ("grid", "slic") or not (number.isascii() and number.isdigit() and 0 < int(number) < 10_000):
        raise SettingError(
            "segments", given=text, expected="grid:N for N×N rectangles or slic:N for about N superpixels, e.g. grid:7"
        )
    return kind, int(number)


def _superpixels(item: np.ndarray, count: int) -> np.ndarray:
    """Superpixels by scikit-image with its usual compactness, numbered from 0 without gaps."""
    try:
        from skimage.segmentation import slic
    except ImportError as error:
        raise MissingExtraError("scikit-image", purpose="segments=slic:N", extra="segments") from error
    low, high = item.min(), item.max()
    # Prepared pictures are normalised; colours are compared in 0 … 1, as those of a photograph.
    shown = np.moveaxis((item - low) / ((high - low) or 1.0), 0, -1)
    colour = shown.shape[-1] == 3
    found = slic(
        shown, n_segments=count, compactness=10.0 if colour else 0.1, convert2lab=colour, channel_axis=-1, start_label=0
    )
    _, labels = np.unique(found, return_inverse=True)
    return labels.reshape(found.shape).astype(np.int64)
