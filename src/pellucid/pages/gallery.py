"""A gallery: one picture in one model, explained by several methods, and how far their maps agree. JSON and arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from pellucid import archive
from pellucid.errors import ArchiveError
from pellucid.methods.explanation import Explanation
from pellucid.pages.bundle_record import require
from pellucid.pages.kept_explanations import restored_explanations

VERSION = 1
_PARTS = (
    "model", "picture", "preprocessing", "input", "answer", "explanations", "left_out", "agreement", "assumed",
    "versions",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Gallery:
    """What several methods say about one answer, ready to be shown.

    Attributes:
        record: Everything but the arrays, in JSON types.
        arrays: The `prepared` picture, and the explanations' arrays.
    """

    record: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    @cached_property
    def explanations(self) -> tuple[Explanation, ...]:
        """The explanations in the order of the page."""
        return restored_explanations(self.record["explanations"], self.arrays)

    def save(self, path: str | Path) -> Path:
        """Save as `path`.json and `path`.safetensors; `Gallery.load` reads it back.

        Returns:
            The path of the JSON file.
        """
        return archive.write(path, kind="gallery", record=self.record, arrays=self.arrays)

    @classmethod
    def load(cls, path: str | Path) -> "Gallery":
        """Read a saved gallery.

        Raises:
            ArchiveError: The files are missing, damaged, no gallery, or of a version that this pellucid does not know.
        """
        record, arrays = archive.read(path, kind="gallery")
        name, found = PurePath(path).name, record.get("gallery_version")
        if found != VERSION:
            raise ArchiveError(
                f"{name} is a gallery of version {found}, expected {VERSION}; make it again with this pellucid."
            )
        require(_PARTS, record, ("prepared",), arrays, name=name)
        kept = {key: value for key, value in record.items() if key not in ("pellucid", "version", "arrays_sha256")}
        return cls(record=kept, arrays=arrays)

    def __repr__(self) -> str:
        name, model = self.record["picture"]["name"], self.record["model"]["name"]
        count = len(self.record["explanations"])
        return f"<Gallery of {name!r} in {model!r}: {count} method{'s' * (count != 1)}>"
