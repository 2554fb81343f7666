"""From a path to the bytes of a file, and every way in which that fails, as one clear line.

Here is also how foreign text (a file's name, a colour profile's title) is made fit to be shown.
"""

import errno
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from pellucid.errors import InputError

# 50 megapixels of 16-bit RGBA are 400 MB uncompressed; what is larger is no picture of an allowed size.
MAX_BYTES = 512 * 2**20

# A folder of a million pictures must not be listed twice over to word an error.
_NAMES_LOOKED_AT = 20_000

# Joiners that emoji families and some scripts need; every other format character may hide or reorder text.
_JOINERS = "\u200c\u200d"


def readable(text: str, *, limit: int = 160) -> str:
    """Foreign text on one line, safe to print and to encode: what would break a line, hide or reorder it becomes �.

    Args:
        text: Any string; lone surrogates (undecodable file names) are allowed.
        limit: Longer text loses its middle.
    """
    composed = unicodedata.normalize("NFC", text)
    kept = "".join("\ufffd" if _hidden(character) else character for character in composed)
    if len(kept) > limit:
        half = limit // 2
        kept = f"{kept[:half]}…{kept[-half:]}"
    return kept


def quoted(path: str) -> str:
    """A path as an error shows it."""
    return f"'{readable(path)}'"


@contextmanager
def naming(called: str) -> Iterator[None]:
    """An error of what is read inside begins with the name of the file; `called` is quoted."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{called}: {error}") from error


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a regular file.

    Composed and decomposed spellings of one name (Korean and accented letters, as some systems store them) are equal.

    Raises:
        InputError: There is no such file, or it cannot be read, or it is empty, too large or no file at all.
    """
    given = os.fspath(path)
    if not given:
        raise InputError("the path is empty, expected the path of a picture.")
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", given):
        raise InputError(
            f"{quoted(given)} is an address, expected a file; download it first, pellucid opens no connection."
        )
    found = _status(given)
    if found is None:
        twin = _same_name_spelled_differently(Path(given))
        if twin is None:
            raise InputError(_missing(Path(given)))
        given = str(twin)
        found = _status(given)
    if found is None:  # the twin went away in between
        raise InputError(_missing(Path(path)))
    if stat.S_ISDIR(found.st_mode):
        if not os.access(given, os.R_OK | os.X_OK):
            raise InputError(_unreadable(given, PermissionError()))
        raise InputError(f"{quoted(given)} is a folder, expected a picture{_picture_in(Path(given))}")
    if not stat.S_ISREG(found.st_mode):
        # Opening a pipe would wait for ever, and a device may have no end.
        raise InputError(f"{quoted(given)} is no regular file; give the picture's bytes instead.")
    if found.st_size == 0:
        raise InputError(f"{quoted(given)} is empty (0 bytes); copy or download it again.")
    if found.st_size > MAX_BYTES:
        size = found.st_size / 2**20
        raise InputError(
            f"{quoted(given)} has {size:.0f} MiB, the limit is {MAX_BYTES // 2**20} MiB; make it smaller first."
        )
    try:
        with open(given, "rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        raise InputError(_unreadable(given, error)) from error


def _hidden(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Cf", "Zl", "Zp") and character not in _JOINERS


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:  # ValueError: a NUL, or a character that no file name can have
        raise InputError(_unreadable(path, error)) from error


def _unreadable(path: str, error: OSError | ValueError) -> str:
    if isinstance(error, PermissionError):
        return f"{quoted(path)} may not be read: permission denied; change its permissions or copy it."
    if isinstance(error, NotADirectoryError):
        return f"{quoted(path)} cannot exist: a part of the path is a file, expected a folder."
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return f"{quoted(path)} is a symbolic link that leads back to itself; give the file that is meant."
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{quoted(path)} cannot be opened: {readable(reason).lower()}; check the path."


def _names_beside(path: Path) -> list[str]:
    try:
        with os.scandir(path.parent) as entries:
            return sorted(entry.name for entry, _ in zip(entries, range(_NAMES_LOOKED_AT), strict=False))
    except OSError:
        return []


def _same_name_spelled_differently(path: Path) -> Path | None:
    wanted = unicodedata.normalize("NFC", path.name)
    if wanted.isascii():
        return None
    twins = [name for name in _names_beside(path) if unicodedata.normalize("NFC", name) == wanted]
    return path.with_name(twins[0]) if len(twins) == 1 else None


def _missing(path: Path) -> str:
    if path.is_symlink():
        return f"{quoted(str(path))} is a symbolic link to a file that does not exist; give the file that is meant."
    if not path.parent.is_dir():
        return f"{quoted(str(path))} does not exist, nor does its folder {quoted(str(path.parent))}; check the path."
    # Differences of case are the most usual and, letter by letter, the largest; so they do not count.
    by_folded = {name.casefold(): name for name in _names_beside(path)}
    near = get_close_matches(path.name.casefold(), by_folded, n=1, cutoff=0.6)
    hint = f"did you mean {quoted(by_folded[near[0]])}?" if near else "check the path."
    return f"{quoted(str(path))} does not exist; {hint}"


def _picture_in(folder: Path) -> str:
    usual = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")
    names = [name for name in _names_beside(folder / "any") if name.lower().endswith(usual)]
    return f"; it holds {quoted(names[0])}, for one." if names else "; name a file."
