"""Where a probe set comes from: the user's folder, or pellucid's own drawings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import InputError
from pellucid.inputs.folders import pictures_in
from pellucid.inputs.image import Image
from pellucid.inputs.picture_reading import read_picture
from pellucid.models.recipes.drawings import KINDS, draw, pure

DRAWINGS = "drawings"
_FIRST_SEED = 40_000_000
"""Faces that no recipe trains, tests or tabulates on."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProbePictures:
    """A probe set.

    Attributes:
        images: The pictures.
        labels: The class of each; None where nobody said.
        source: "drawings" or "folder".
        name: What the user called it, without the folders above.
        skipped: Files that could not be read, each with the reason.
    """

    images: Sequence[Image]
    labels: Sequence[str] | None
    source: str
    name: str
    skipped: Sequence[str] = ()


def drawn_pictures(count: int = 64) -> ProbePictures:
    """Pellucid's own drawings, cats and dogs in turn."""
    kinds = [KINDS[number % 2] for number in range(count)]
    images = [read_picture(draw(_FIRST_SEED + number, pure(kind)).pixels) for number, kind in enumerate(kinds)]
    return ProbePictures(images=images, labels=kinds, source=DRAWINGS, name=DRAWINGS)


def pictures_of(place: str | Path) -> ProbePictures:
    """The pictures of a folder; where they lie in folders of their own, these are the classes.

    Raises:
        InputError: There is no such folder, or no picture in it can be read.
    """
    images, labels, skipped = [], [], []
    for file in pictures_in(place):
        try:
            images.append(read_picture(file.path))
            labels.append(file.label)
        except (InputError, OSError) as error:
            skipped.append(str(error))
    if not images:
        raise InputError(f"none of the {len(skipped)} pictures of {Path(place).name!r} can be read: {skipped[0]}")
    named = [label for label in labels if label is not None]
    return ProbePictures(
        images=images,
        labels=named if len(named) == len(images) else None,
        source="folder",
        name=Path(place).name,
        skipped=skipped,
    )


def probe_from(given: "str | Path | ProbePictures") -> ProbePictures:
    """A probe set as a user names it: "drawings", a folder, or one that was made before.

    Raises:
        InputError: There is no such folder, or no picture in it can be read.
    """
    if isinstance(given, ProbePictures):
        return given
    return drawn_pictures() if given == DRAWINGS else pictures_of(given)
