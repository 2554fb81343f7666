"""What a weights file is, from its first bytes and its members; what is no weights file is refused by name."""

import json
import zipfile
from pathlib import Path
from typing import Literal

from pellucid.errors import CheckpointError, did_you_mean

Kind = Literal["safetensors", "torch", "pickle", "torchscript", "exported"]

_EXPECTED = "expected safetensors or a torch.save file"
_CONVERT = "load it in its own library and save the weights as safetensors under the names of a PyTorch module"
# (where, bytes, what it is, what to do)
_SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"version https://git-lfs", "a Git-LFS pointer, not the weights themselves", "run: git lfs pull"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5 (Keras or TensorFlow)", _CONVERT),
    (4, b"TFL3", "TensorFlow Lite", _CONVERT),
    (0, b"GGUF", "GGUF", _CONVERT),
    (0, b"\x93NUMPY", "a numpy array", _CONVERT),
)
_FOREIGN_SUFFIXES = {
    ".onnx": "ONNX",
    ".pb": "a TensorFlow graph",
    ".mlmodel": "Core ML",
    ".msgpack": "a Flax checkpoint",
    ".h5": "HDF5 (Keras or TensorFlow)",
}
# The legacy format of torch.save begins with this number as a pickle of its own.
_LEGACY_MAGIC = bytes.fromhex("8a0a6cfc9c46f9206aa850192e")


def kind_of(path: Path) -> Kind:
    """Which kind of weights file this is. The file is looked at, never unpickled.

    Raises:
        CheckpointError: It is missing, empty, cut short or of another kind; says what was found and expected.
    """
    head, size = _head(path)
    lowered = head.lstrip().lower()
    if lowered.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise CheckpointError(
            f"{path.name} is an HTML page, {_EXPECTED}; the download gave a web page: fetch the file itself."
        )
    for offset, signature, what, advice in _SIGNATURES:
        if head[offset:].startswith(signature):
            raise CheckpointError(f"{path.name} is {what}, {_EXPECTED}; {advice}.")
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path, size)
    if head[:2] == b"\x80\x02" and head[2:].startswith(_LEGACY_MAGIC):
        return "torch"
    length = int.from_bytes(head[:8], "little")
    if len(head) > 8 and head[8:9] == b"{" and length < 1 << 30:
        _require_whole(path, size, length)
        return "safetensors"
    if path.suffix.lower() in _FOREIGN_SUFFIXES:
        raise CheckpointError(f"{path.name} is {_FOREIGN_SUFFIXES[path.suffix.lower()]}, {_EXPECTED}; {_CONVERT}.")
    if head[:1] == b"\x80":
        return "pickle"
    raise CheckpointError(f"{path.name} begins with {_glimpse(head)} ({size:,} bytes), {_EXPECTED}.")


def _head(path: Path) -> tuple[bytes, int]:
    try:
        if path.is_dir():
            what = "a TensorFlow SavedModel" if (path / "saved_model.pb").exists() else "a folder"
            raise CheckpointError(f"{path} is {what}, expected a weights file; name the file itself.")
        with path.open("rb") as file:
            head = file.read(512)
        size = path.stat().st_size
    except CheckpointError:
        raise
    except FileNotFoundError as error:
        try:
            beside = [entry.name for entry in path.parent.iterdir()][:1000]
        except OSError:
            beside = []
        raise CheckpointError(
            f"no file {path}{did_you_mean(path.name, beside) or ', expected a weights file'}."
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise CheckpointError(f"{path} cannot be read: {reason}; expected a weights file.") from error
    if size == 0:
        raise CheckpointError(f"{path.name} is empty (0 bytes), {_EXPECTED}.")
    return head, size


def _kind_of_zip(path: Path, size: int) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        # The list of members stands at the end, so a cut anywhere loses it.
        raise CheckpointError(
            f"{path.name} is cut short: {size:,} bytes of a torch.save file found, its end is missing; fetch it again."
        ) from error
    inner = {name.split("/", 1)[-1] for name in names} | set(names)
    if path.suffix.lower() == ".pt2" or inner & {"archive_format", "serialized_exported_program.json"}:
        return "exported"
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        return "torchscript"
    if "data.pkl" in inner:
        return "torch"
    if any(name.endswith(".npy") for name in names):
        what = "a numpy .npz archive"
    elif "model.weights.h5" in inner:
        what = "a Keras model"
    else:
        what = f"a zip file with {', '.join(repr(name) for name in names[:3]) or 'nothing in it'}"
    raise CheckpointError(f"{path.name} is {what}, {_EXPECTED}; {_CONVERT}.")


def _require_whole(path: Path, size: int, length: int) -> None:
    with path.open("rb") as file:
        file.seek(8)
        header = file.read(length)
    if len(header) < length:
        raise CheckpointError(
            f"{path.name} is cut short: a safetensors header of {length:,} bytes expected, {size:,} bytes found; "
            "fetch it again."
        )
    try:
        entries = json.loads(header)
        ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
        whole = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise CheckpointError(
            f"{path.name} is damaged: its safetensors header is no table of tensors; fetch it again."
        ) from error
    if size != whole:
        what = "cut short" if size < whole else "damaged"
        raise CheckpointError(
            f"{path.name} is {what}: {whole:,} bytes of safetensors expected, {size:,} found; fetch it again."
        )


def _glimpse(head: bytes) -> str:
    text = head[:24]
    printable = all(32 <= byte < 127 or byte in b"\r\n\t" for byte in text)
    return (
        f"the text {text.decode('ascii').splitlines()[0]!r}"
        if printable and text.strip()
        else f"the bytes {text[:8].hex(' ')}"
    )
