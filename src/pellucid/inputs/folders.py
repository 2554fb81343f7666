"""Folders of pictures: which files are meant, and which class each belongs to."""

import os
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import InputError
from pellucid.inputs.files import readable

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPicture:
    """A file that should be a picture.

    Attributes:
        path: Where it is.
        label: The folder below the given one in which it lies, as a class; None if it lies in the given one itself.
    """

    path: Path
    label: str | None


def pictures_in(folder: str | Path) -> list[FoundPicture]:
    """The pictures of a folder and of the folders below it, by suffix, in the order of their paths.

    Hidden files and folders are passed over; links to folders are not followed, so no loop of links is endless.

    Raises:
        InputError: There is no such folder, it may not be read, or no file in it has the suffix of a picture.
    """
    top = Path(folder)
    shown = readable(str(folder))
    if not top.is_dir():
        raise InputError(f"{shown} is no folder; name a folder with pictures.")
    found: list[FoundPicture] = []

    def refuse(error: OSError) -> None:
        if Path(str(error.filename)) == top:
            raise InputError(f"{shown} may not be read: {error.strerror}.") from error

    for place, folders, files in os.walk(top, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        within = Path(place).relative_to(top).parts
        found += [
            FoundPicture(path=Path(place) / name, label=within[0] if within else None)
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    if not found:
        kinds = ", ".join(sorted(suffix.removeprefix(".") for suffix in SUFFIXES))
        raise InputError(f"{shown} holds no pictures ({kinds}); name another folder.")
    return sorted(found, key=lambda picture: picture.path.parts)
