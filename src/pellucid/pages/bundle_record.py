"""What bundles of pictures and of graphs have in common: the version, reading and cleaning a record."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from pellucid import archive
from pellucid.errors import ArchiveError
from pellucid.pages.words import cleaned

VERSION = 1

# An absolute folder at the start of a word or of a value in it: `/home/me/`, `--to=~/`, `net@C:\\nets\\`.
_FOLDERS = re.compile(r"(^|[=@,])(?:~[^/\\]*|[A-Za-z]:)?[/\\](?:[^/\\]*[/\\])*")


def read_record(path: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The record and the arrays of a saved bundle.

    Raises:
        ArchiveError: The files are missing, damaged, no bundle, or of a version that this pellucid does not know.
    """
    record, arrays = archive.read(path, kind="bundle")
    found = record.get("bundle_version")
    if found != VERSION:
        raise ArchiveError(
            f"{PurePath(path).name} is a bundle of version {found}, expected {VERSION}; make it again with this "
            "pellucid."
        )
    kept = {name: value for name, value in record.items() if name not in ("pellucid", "version", "arrays_sha256")}
    return kept, arrays


def require(
    parts: Sequence[str],
    record: Mapping[str, Any],
    needed: Sequence[str],
    arrays: Mapping[str, np.ndarray],
    *,
    name: str,
) -> None:
    """Refuse a bundle that lacks something.

    Args:
        parts: The keys that its record has to have.
        record: The record.
        needed: The arrays that it has to have.
        arrays: The arrays.
        name: The bundle's name, for the message.

    Raises:
        ArchiveError: Something is missing; names it.
    """
    missing = [part for part in parts if part not in record] + [part for part in needed if part not in arrays]
    if missing:
        raise ArchiveError(f"{name} lacks {', '.join(missing)}; make the bundle again.")


def without_folders(command: str) -> str:
    """A command whose words name files without their folders."""
    # A page is shown to others; where somebody keeps their files is not theirs to know.
    try:
        return shlex.join(_FOLDERS.sub(r"\1", word) for word in shlex.split(command))
    except ValueError:  # a quote that is never closed
        return " ".join(_FOLDERS.sub(r"\1", word) for word in command.split())


def as_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record whose texts can be written and read."""
    found = cleaned(record)
    assert isinstance(found, dict)
    return found
