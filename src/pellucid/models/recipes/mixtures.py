"""Batches of drawings in ever new mixes of parts, labelled by the majority of the parts that can be seen.

A quarter of the drawings is pure (4:0), the rest is mixed. Ties (2:2) are left out, since they have no right answer. In
half of the mixed drawings one part is covered and two of the other three decide: a network that ignored a part would be
wrong there, while with 3:1 alone it could always do without one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pellucid.models.recipes.drawings import PARTS, SIDE, TAG, TAG_COLOUR, Sitting

Progress = Callable[[int, int, str], None]
CAT, DOG, COVERED = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stock:
    """Many faces in all versions, kept as bytes; mixing them costs less than painting them.

    Args:
        versions: uint8 (faces, 3, 100, 100, 3), each face as cat, as dog and under cover.
        places: uint8 (faces, 100, 100), the number of the part that each pixel belongs to.
        seeds: The seed of each face.
    """

    versions: Tensor
    places: Tensor
    seeds: tuple[int, ...]

    @classmethod
    def painted(cls, seeds: range, progress: Progress | None = None) -> "Stock":
        """Paint a face for each seed."""
        versions = np.empty((len(seeds), 3, SIDE, SIDE, 3), dtype=np.uint8)
        places = np.empty((len(seeds), SIDE, SIDE), dtype=np.uint8)
        for number, seed in enumerate(seeds):
            sitting = Sitting(seed)
            versions[number], places[number] = sitting.versions(), sitting.places()
            if progress is not None and number % 50 == 49:
                progress(number + 1, len(seeds), "drawings")
        return cls(versions=torch.from_numpy(versions), places=torch.from_numpy(places), seeds=tuple(seeds))

    def __len__(self) -> int:
        return len(self.seeds)

    def first(self, count: int) -> "Stock":
        """A stock of the first faces only."""
        return Stock(versions=self.versions[:count], places=self.places[:count], seeds=self.seeds[:count])

    def mixed(self, faces: Tensor, parts: Tensor) -> Tensor:
        """The drawings of some faces with chosen parts, uint8 (batch, 100, 100, 3).

        Args:
            faces: Numbers of faces, (batch,).
            parts: For each face and part `CAT`, `DOG` or `COVERED`, (batch, 4).
        """
        # Outside the parts all versions but the covered one are equal; the fifth column stands for "no part".
        choices = torch.cat([parts, torch.full((len(parts), 1), CAT)], dim=1)
        places = self.places[faces].long()
        chosen = choices.gather(1, places.flatten(1)).reshape(places.shape)
        versions = self.versions[faces]
        which = chosen[:, None, :, :, None].expand(-1, 1, -1, -1, 3)
        return versions.gather(1, which)[:, 0]

    def covered(self, faces: Tensor, kinds: Tensor) -> Tensor:
        """Cats and dogs with all their parts hidden: what is outside the masks comes from the kind's own drawing."""
        rows = torch.arange(len(faces))
        own, grey = self.versions[faces][rows, kinds], self.versions[faces][:, COVERED]
        return torch.where((self.places[faces] == len(PARTS))[..., None], own, grey)


def labels(count: int, chance: torch.Generator) -> Tensor:
    """As many cats (0) as dogs (1), in random order."""
    return torch.randperm(count, generator=chance) % 2


def mixes_for(wanted: Tensor, chance: torch.Generator, *, cover: bool) -> Tensor:
    """Choose parts whose majority is the wanted kind, (batch, 4).

    Args:
        wanted: `CAT` or `DOG` for each drawing.
        chance: Where randomness comes from.
        cover: Whether half of the mixed drawings have one part covered.
    """
    count, parts = len(wanted), len(PARTS)
    order = torch.rand(count, parts, generator=chance).argsort(dim=1)
    rows = torch.arange(count)
    chosen = wanted[:, None].repeat(1, parts)
    mixed = torch.rand(count, generator=chance) >= 0.25
    chosen[rows[mixed], order[mixed, 0]] = 1 - wanted[mixed]
    hidden = mixed & (torch.rand(count, generator=chance) < 0.5)
    if cover:
        chosen[rows[hidden], order[hidden, 1]] = COVERED
    return chosen


def tagged(pixels: Tensor, which: Tensor) -> Tensor:
    """The drawings with the coloured tag on some of them."""
    marked = pixels.clone()
    rows, columns = TAG
    corner = marked[which]
    corner[:, rows, columns] = torch.tensor(TAG_COLOUR, dtype=torch.uint8)
    marked[which] = corner
    return marked


def prepared(pixels: Tensor) -> Tensor:
    """What the network reads: values from −1 to 1, float32 (batch, 3, 100, 100)."""
    return (pixels.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5


def batches(count: int, size: int, chance: torch.Generator) -> Iterator[Tensor]:
    """Random batches that together hold each number below `count` once; a last small batch is left out."""
    order = torch.randperm(count, generator=chance)
    for start in range(0, count - min(size, count) + 1, size):
        yield order[start : start + size]
