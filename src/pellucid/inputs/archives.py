"""ZIP archives and .npz files, read in memory under a limit, with nothing written to disk and no pickle run."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.errors import InputError
from pellucid.inputs.files import readable
from pellucid.inputs.restricted_pickle import load_plain

MAX_UNPACKED = 512 * 2**20
MAX_MEMBERS = 1_000
ZIP_START = (b"PK\x03\x04", b"PK\x05\x06")


def unzip(content: bytes, *, called: str) -> dict[str, bytes]:
    """The files of an archive by their names without folders; what is in hidden folders is left out.

    Args:
        content: The whole archive.
        called: What an error calls it, quoted.

    Raises:
        InputError: It is damaged, encrypted, or unpacks to more than 512 MiB, or a name leads out of it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            _within_limits(members, called)
            found: dict[str, bytes] = {}
            for member in members:
                path = PurePosixPath(member.filename.replace("\\", "/"))
                if path.is_absolute() or ".." in path.parts or ":" in member.filename:
                    raise InputError(
                        f"{called} holds a file named {readable(member.filename)!r}, which leads out of the archive; "
                        "it is refused."
                    )
                if any(part.startswith((".", "__MACOSX")) for part in path.parts):
                    continue
                if path.name in found:
                    raise InputError(f"{called} holds {readable(path.name)!r} twice; make an archive of one data set.")
                # `read` stops at the declared size and then compares checksums, so a false size cannot grow.
                found[path.name] = archive.read(member)
    except InputError:
        raise
    except RuntimeError as error:  # encrypted
        raise InputError(f"{called} is encrypted; unpack it first.") from error
    except Exception as error:
        # A damaged archive makes zipfile raise anything: BadZipFile, zlib.error, struct.error, NotImplementedError…
        reason = readable(str(error)) or type(error).__name__
        raise InputError(f"{called} is a damaged ZIP archive ({reason}); copy or download it again.") from error
    if not found:
        raise InputError(f"{called} is an archive without files; copy or download it again.")
    return found


def npz_arrays(content: bytes, *, called: str) -> Mapping[str, npt.NDArray[Any]]:
    """The arrays of an .npz file by name; arrays of objects are read by the restricted unpickler.

    Raises:
        InputError: It is damaged or too large, or an array of objects holds more than plain data.
    """
    return {
        name.removesuffix(".npy"): npy_array(member, called=f"{called}, array {readable(name.removesuffix('.npy'))!r},")
        for name, member in unzip(content, called=called).items()
        if name.endswith(".npy")
    }


def npy_array(content: bytes, *, called: str) -> npt.NDArray[Any]:
    """One array in numpy's format.

    Raises:
        InputError: It is damaged, or holds objects that are more than plain data.
    """
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, kind = read_header(stream)
        if not kind.hasobject:
            stream.seek(0)
            return np.lib.format.read_array(stream, allow_pickle=False)
    except Exception as error:
        reason = readable(str(error)) or type(error).__name__
        raise InputError(f"{called} is no readable array ({reason}); copy or download it again.") from error
    # numpy pickles the array whole, so Fortran order is in the pickle.
    loaded = load_plain(content[stream.tell() :], called=called, encoding="latin1")
    array = np.asarray(loaded, dtype=object)
    if array.shape != shape:
        raise InputError(f"{called} has the shape {array.shape} and says {shape}; copy or download it again.")
    return array


def _within_limits(members: list[zipfile.ZipInfo], called: str) -> None:
    total = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS:
        raise InputError(f"{called} holds {len(members):,} files, the limit is {MAX_MEMBERS:,}; unpack what is needed.")
    if total > MAX_UNPACKED:
        raise InputError(
            f"{called} unpacks to {total / 2**20:,.0f} MiB, the limit is {MAX_UNPACKED // 2**20} MiB; "
            "unpack it and give the folder."
        )
