"""Pages from what was saved, without the model: one bundle, or all that a folder holds."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from pellucid.errors import ArchiveError, CapacityError, PellucidError, SettingError
from pellucid.pages.bundle import Bundle
from pellucid.pages.compared import write_comparison
from pellucid.pages.comparison import Comparison
from pellucid.pages.gallery import Gallery
from pellucid.pages.gallery_page import write_gallery
from pellucid.pages.graph_bundle import GraphBundle
from pellucid.pages.page import write_page
from pellucid.pages.words import Catalogue

Saved = Bundle | GraphBundle | Comparison | Gallery

_LOADERS: Mapping[str, Callable[[Path], Saved]] = {
    "bundle": Bundle.load,
    "comparison": Comparison.load,
    "gallery": Gallery.load,
}

# What a record brings about that is JSON, but not the record of a bundle: a key is missing, a list is a number.
_INCOMPLETE = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, AssertionError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a folder holds.

    Attributes:
        bundles: The JSON files of bundles, by name; whether they are whole only loading tells.
        passed_over: How many other JSON files there are.
    """

    bundles: tuple[Path, ...]
    passed_over: int


def find_saved(folder: str | Path) -> Found:
    """The bundles, comparisons and galleries in a folder, not in folders inside it.

    A JSON file that cannot be read counts as one where arrays lie beside it: it was something that pellucid saved.
    """
    files = sorted(file for file in Path(folder).iterdir() if file.suffix == ".json" and file.is_file())
    bundles = tuple(file for file in files if _kind(file) in _LOADERS)
    return Found(bundles=bundles, passed_over=len(files) - len(bundles))


def load_saved(path: str | Path) -> Saved:
    """What was saved under a name, whichever kind of page it is for.

    Raises:
        ArchiveError: The files are missing, damaged, or nothing that a page can be made of.
    """
    path = Path(path)
    text = path if path.suffix == ".json" else path.with_name(f"{path.name.removesuffix('.safetensors')}.json")
    loader = _LOADERS.get(_kind(text) if text.is_file() else "bundle", Bundle.load)
    try:
        return loader(text)
    except RecursionError as error:
        raise ArchiveError(f"{text} is nested too deeply to be a saved bundle; save it again.") from error


def write_saved(saved: Saved, path: str | Path, *, lang: str = "en") -> Path:
    """Write the page of what was loaded, whole or not at all.

    Raises:
        ArchiveError: It lacks something that the page needs.
        CapacityError: The page would be larger than 5 MB.
        SettingError: No such language.
    """
    Catalogue(lang)
    try:
        if isinstance(saved, Comparison):
            return write_comparison(saved, path, lang=lang)
        if isinstance(saved, Gallery):
            return write_gallery(saved, path, lang=lang)
        return write_page(saved, path, lang=lang)
    except (CapacityError, ArchiveError):
        raise
    except (*_INCOMPLETE, PellucidError, TemplateError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ArchiveError(f"what was saved is not complete ({reason}); make it again with this pellucid.") from error


def report_saved(path: str | Path, *, to: str | Path, lang: str = "en") -> Path:
    """Write the page of what was saved; no model is needed, and the same bundle gives the same bytes.

    Args:
        path: What `--bundle` of `pellucid explain` or `pellucid compare` made: its .json file, or its name without a
            suffix.
        to: The page to write.
        lang: "en" or "ko".

    Returns:
        The path of the page.

    Raises:
        ArchiveError: The files are missing, damaged, or no bundle.
        SettingError: The folder does not exist, or there is no such language.
    """
    if not Path(to).parent.is_dir():
        raise SettingError("to", given=str(to), expected="a file in a folder that exists", hint="make the folder first")
    Catalogue(lang)
    return write_saved(load_saved(path), to, lang=lang)


def _kind(file: Path) -> str:
    try:
        record: Any = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return "bundle" if file.with_suffix(".safetensors").is_file() else ""
    kind = record.get("pellucid") if isinstance(record, dict) else None
    return kind if isinstance(kind, str) else ""
