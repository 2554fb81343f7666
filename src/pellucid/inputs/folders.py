"""Folders of pictures: which files are meant, in which order, and under which label."""

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import InputError
from pellucid.inputs.files import quoted

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""Of the files that count as pictures, in any case. Whether they are any is found out by reading them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFile:
    """A file in a folder.

    Attributes:
        path: Where it lies, with the folder in front as it was given.
        label: The subfolder that it lies in, at any depth; None for files that lie in the folder itself.
    """

    path: Path
    label: str | None


def pictures_in(folder: str | os.PathLike[str]) -> list[PictureFile]:
    """The pictures in a folder and in its subfolders, by name; hidden files and folders are left out.

    Nothing is opened, so a damaged file, a link to nowhere and a subfolder that may not be listed are among them: who
    reads them gets an error that says so. A folder that is reached twice by symbolic links is listed once.

    Args:
        folder: The folder.

    Returns:
        The files, sorted by their path below the folder; composed and decomposed letters are equal.

    Raises:
        InputError: It is no folder, or may not be listed, or holds no picture.
    """
    top = Path(folder)
    if not top.is_dir():
        raise InputError(f"{quoted(str(top))} is no folder, expected a folder of pictures; check the path.")
    try:
        os.scandir(top).close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{quoted(str(top))} cannot be listed: {reason}; change its permissions.") from error
    found = sorted(_below(top, set()), key=lambda path: _order(path.relative_to(top)))
    if not found:
        raise InputError(f"{quoted(str(top))} holds no picture, expected files that end in {', '.join(SUFFIXES)}.")
    return [PictureFile(path=path, label=_label(path.relative_to(top))) for path in found]


def _below(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            return
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as listed:
            # By name, so that of several ways to one folder it is always the same that counts.
            entries = sorted(listed, key=lambda entry: entry.name)
    except OSError:
        yield folder
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if path.is_dir():
            yield from _below(path, seen)
        elif path.suffix.lower() in SUFFIXES:
            yield path


def _label(inside: Path) -> str | None:
    return inside.parts[0] if len(inside.parts) > 1 else None


def _order(inside: Path) -> tuple[list[str], str]:
    return [unicodedata.normalize("NFC", part) for part in inside.parts], str(inside)
