"""A comparison: all that a page needs about two pictures in one model, or one picture in two. JSON and arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from pellucid import archive
from pellucid.errors import ArchiveError

VERSION = 1
_PARTS = ("mode", "sides", "answer", "input", "pairs", "alone", "maps", "assumed", "versions")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """What is known about two passes, ready to be shown.

    Attributes:
        record: Everything but the arrays, in JSON types.
        arrays: `prepared 0` and `prepared 1`, as the networks see them; and `maps 0` … as palette entries: for each
            channel the first map, the second, and their difference.
    """

    record: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    @property
    def same_view(self) -> bool:
        """Whether both networks see the very same pixels."""
        return np.array_equal(self.arrays["prepared 0"], self.arrays["prepared 1"])

    def save(self, path: str | Path) -> Path:
        """Save as `path`.json and `path`.safetensors; `Comparison.load` reads it back.

        Returns:
            The path of the JSON file.
        """
        return archive.write(path, kind="comparison", record=self.record, arrays=self.arrays)

    @classmethod
    def load(cls, path: str | Path) -> "Comparison":
        """Read a saved comparison.

        Raises:
            ArchiveError: The files are missing, damaged, no comparison, or of a version that this pellucid does not
                know.
        """
        record, arrays = archive.read(path, kind="comparison")
        name, found = PurePath(path).name, record.get("comparison_version")
        if found != VERSION:
            raise ArchiveError(
                f"{name} is a comparison of version {found}, expected {VERSION}; make it again with this pellucid."
            )
        wanted = ("prepared 0", "prepared 1")
        missing = [part for part in _PARTS if part not in record] + [part for part in wanted if part not in arrays]
        if missing:
            raise ArchiveError(f"{name} lacks {', '.join(missing)}; make the comparison again.")
        kept = {key: value for key, value in record.items() if key not in ("pellucid", "version", "arrays_sha256")}
        return cls(record=kept, arrays=arrays)

    def __repr__(self) -> str:
        one, other = (f"{side['picture']['name']!r} in {side['model']['name']!r}" for side in self.record["sides"])
        return f"<Comparison of {one} and {other}: {len(self.record['pairs'])} aligned sites>"
