"""Saved results: one JSON file for what can be read, one safetensors file for the arrays. Never a pickle.

`write` puts both files in place whole or not at all: the arrays first, then the JSON that names their SHA-256, each
by a rename. `read` refuses what does not fit together.
"""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pellucid.errors import ArchiveError


def digest(content: bytes) -> str:
    """SHA-256 of some bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is either the old one or the new one, never a part of it.

    Raises:
        OSError: The folder is missing or not writable, or the disk is full; names the path and the bytes that are
            needed. Nothing is left behind.
    """
    try:
        _write_whole(path, content)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise
        raise OSError(error.errno, f"{error.strerror}; {len(content):,} bytes are needed", str(path)) from error


def _write_whole(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        current_mask = os.umask(0)
        os.umask(current_mask)
        os.chmod(temporary, 0o666 & ~current_mask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def dump_json(record: object) -> str:
    """JSON that any reader takes: UTF-8, stable key order, and NaN or infinity as null."""
    return json.dumps(_finite(record), ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False)


def write(path: str | Path, *, kind: str, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Path:
    """Save a result as `path`.json and `path`.safetensors.

    Args:
        path: Where; a suffix `.json` or `.safetensors` is taken off.
        kind: What it is ("trace", "explanation"); `read` asks for the same word.
        record: Everything but the arrays, in JSON types.
        arrays: Named arrays.

    Returns:
        The path of the JSON file.
    """
    base = _base(path)
    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    whole = {"pellucid": kind, "version": 1, "arrays_sha256": digest(content), **record}
    text = dump_json(whole)
    write_whole(base.with_name(base.name + ".safetensors"), content)
    target = base.with_name(base.name + ".json")
    write_whole(target, text.encode())
    return target


def read(path: str | Path, *, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Load what `write` saved: the record and the arrays.

    Raises:
        ArchiveError: A file is missing, damaged, of another kind, or the two do not belong together.
    """
    base = _base(path)
    text_file = base.with_name(base.name + ".json")
    arrays_file = base.with_name(base.name + ".safetensors")
    for file in (text_file, arrays_file):
        if not file.is_file():
            raise ArchiveError(f"{file} is missing; a saved {kind} is a .json and a .safetensors file side by side.")
    try:
        record = json.loads(text_file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArchiveError(f"{text_file} is no JSON ({error}); save the {kind} again.") from error
    if not isinstance(record, dict) or record.get("pellucid") != kind:
        found = record.get("pellucid", "something else") if isinstance(record, dict) else "something else"
        raise ArchiveError(f"{text_file} holds {found}, expected a saved {kind}.")
    content = arrays_file.read_bytes()
    if digest(content) != record.get("arrays_sha256"):
        raise ArchiveError(f"{arrays_file} does not belong to {text_file.name} or is damaged; save the {kind} again.")
    try:
        return record, load(content)
    except SafetensorError as error:  # pragma: no cover - the digest has just been right
        raise ArchiveError(f"{arrays_file} cannot be read ({error}); save the {kind} again.") from error


def _base(path: str | Path) -> Path:
    path = Path(path)
    return path.with_suffix("") if path.suffix in (".json", ".safetensors") else path


def _finite(record: object) -> object:
    if isinstance(record, float):
        return record if np.isfinite(record) else None
    if isinstance(record, Mapping):
        return {str(key): _finite(value) for key, value in record.items()}
    if isinstance(record, list | tuple):
        return [_finite(value) for value in record]
    if isinstance(record, np.integer | np.floating | np.bool_):
        return _finite(record.item())
    return record
