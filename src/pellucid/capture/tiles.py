"""Values that differ from a known one only in a small rectangle, one for each variant, and operations on them.

A variant of a picture differs from it in a window. Each operation widens the rectangle in which its result can differ,
by exact bounds; what lies outside is known already. So only a tile around the rectangle is computed.

Reference:
    Nakandala et al., Incremental and Approximate Inference for Faster Occlusion-based Deep CNN Explanations (Krypton),
    SIGMOD 2019, section 4, for the idea of propagating the bounds.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Span:
    """Along one axis, for each variant: where it can differ, [first, end), and where its tile begins.

    Attributes:
        first: (variants,).
        end: (variants,); not more than the tile's length behind `first`.
        start: (variants,): the tile holds [start, start + length), inside of the map.
        length: Of every tile.
    """

    first: Tensor
    end: Tensor
    start: Tensor
    length: int

    @classmethod
    def around(cls, first: Tensor, end: Tensor, side: int) -> "Span":
        """The smallest tiles of one length that hold all differences, in a map of some side."""
        first = first.clamp(0, side)
        end = torch.maximum(end.clamp(0, side), first)
        length = max(1, int((end - first).max()))
        return cls(first, end, torch.minimum(first, first.new_tensor(side - length)), length)

    def through(self, *, kernel: int, stride: int, padding: int, side: int) -> "Span":
        """What can differ after a window of some size (dilation counted) has moved over it; `side` is the result's."""
        first = -((-(self.first + padding - kernel + 1)) // stride)
        return Span.around(first, (self.end - 1 + padding) // stride + 1, side)


@dataclass(frozen=True, slots=True)
class Tiles:
    """Variants of a map.

    Attributes:
        base: The known map, (1, channels, height, width).
        tile: (variants, height, width, channels) of the tiles.
        rows: Where they lie, from top to bottom.
        columns: From left to right.
    """

    base: Tensor
    tile: Tensor
    rows: Span
    columns: Span

    @property
    def is_whole(self) -> bool:
        """Whether the tiles are the whole maps."""
        return tuple(self.tile.shape[1:3]) == tuple(self.base.shape[2:])

    @property
    def share(self) -> float:
        """How much of the map a tile covers."""
        return self.rows.length * self.columns.length / math.prod(self.base.shape[2:])

    def region(
        self, rows: tuple[Tensor, int], columns: tuple[Tensor, int], *, padding: tuple[int, int], fill: float
    ) -> Tensor:
        """The values of each variant in a rectangle, (variants, height, width, channels).

        Args:
            rows: Where it begins, (variants,), and how many there are. It may reach into the padding.
            columns: The same for columns.
            padding: How far above and left of the map there are `fill` values; below and right of it, as far as needed.
            fill: What lies around the map.
        """
        (top, height), (left, width) = rows, columns
        padded = self.base.permute(0, 2, 3, 1)[0]
        below, behind = (
            max(0, int(first.max()) + length - side)
            for first, length, side in ((top, height, padded.shape[0]), (left, width, padded.shape[1]))
        )
        if any((*padding, below, behind)):
            padded = F.pad(padded, (0, 0, padding[1], behind, padding[0], below), value=fill)
        down, across = (torch.arange(length, device=top.device) for length in (height, width))
        y, x = top[:, None] + down, left[:, None] + across
        found = padded[(y + padding[0])[:, :, None], (x + padding[1])[:, None, :]]
        y, x = y - self.rows.start[:, None], x - self.columns.start[:, None]
        inside = ((y >= 0) & (y < self.rows.length))[:, :, None] & ((x >= 0) & (x < self.columns.length))[:, None, :]
        variant, i, j = inside.nonzero(as_tuple=True)
        found[variant, i, j] = self.tile[variant, y[variant, i], x[variant, j]]
        return found

    def widened(self) -> "Tiles":
        """The same with tiles that are the whole maps."""
        if self.is_whole:
            return self
        count, (height, width) = len(self.tile), self.base.shape[2:]
        found = self.base.permute(0, 2, 3, 1).repeat(count, 1, 1, 1)
        y, x = (
            span.start[:, None] + torch.arange(span.length, device=found.device) for span in (self.rows, self.columns)
        )
        found[torch.arange(count, device=found.device)[:, None, None], y[:, :, None], x[:, None, :]] = self.tile
        zero = torch.zeros_like(self.rows.start)
        return Tiles(self.base, found, Span.around(zero, zero + height, height), Span.around(zero, zero + width, width))

    def maps(self) -> Tensor:
        """All variants as whole maps, (variants, channels, height, width)."""
        return self.widened().tile.permute(0, 3, 1, 2)

    def each(self, changed: Tensor, base: Tensor) -> "Tiles":
        """Other values at the same places."""
        return replace(self, tile=changed, base=base)


@dataclass(frozen=True, slots=True)
class Window:
    """How a convolution or a pooling moves: kernel (dilation counted), stride and padding, down and across."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


def moved(x: Tiles, window: Window, base: Tensor, *, fill: float) -> tuple[Tensor, Span, Span]:
    """What an operation that moves a window has to be run on, without padding, and where its result lies.

    Args:
        x: What it moves over.
        window: How.
        base: Its known result.
        fill: What lies around the map.

    Returns:
        (variants, channels, height, width) in channels-last layout, and the spans of the result.
    """
    spans, places = [], []
    for axis, span in enumerate((x.rows, x.columns)):
        kernel, stride, padding = window.kernel[axis], window.stride[axis], window.padding[axis]
        after = span.through(kernel=kernel, stride=stride, padding=padding, side=base.shape[2 + axis])
        spans.append(after)
        places.append((after.start * stride - padding, (after.length - 1) * stride + kernel))
    region = x.region(places[0], places[1], padding=window.padding, fill=fill)
    return region.permute(0, 3, 1, 2), spans[0], spans[1]


def joined(values: list[Tiles]) -> list[Tiles]:
    """The same maps with tiles at the same places, where any of them can differ."""
    if all(each.is_whole for each in values):
        return values
    spans = []
    for axis, name in enumerate(("rows", "columns")):
        mine: list[Span] = [getattr(each, name) for each in values]
        first = torch.stack([span.first for span in mine]).amin(0)
        end = torch.stack([span.end for span in mine]).amax(0)
        spans.append(Span.around(first, end, values[0].base.shape[2 + axis]))
    rows, columns = spans
    return [
        replace(
            each,
            tile=each.region((rows.start, rows.length), (columns.start, columns.length), padding=(0, 0), fill=0.0),
            rows=rows,
            columns=columns,
        )
        for each in values
    ]
