"""Where results are written: decided, and refused if it cannot be, before any work is done."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from pellucid.cli.streams import plain
from pellucid.errors import SettingError


def writable(path: Path, *, option: str, read: Sequence[str | Path] = ()) -> Path:
    """A file that can be written.

    Args:
        path: Where; an existing file will be replaced.
        option: The option that named it, for the message.
        read: What the command reads; none of that may be replaced.

    Returns:
        The path, with a symbolic link at its end followed.

    Raises:
        SettingError: It is no place for a file, its folder does not exist, or the command reads it.
        OSError: It may not be written; one line, with the way out.
    """
    shown = plain(str(path))
    try:
        if path.is_dir() or not path.name:
            raise SettingError(option, given=shown, expected="a file, and this is a folder", hint="name a file in it")
        if path.exists() and not path.is_file():
            raise SettingError(option, given=shown, expected="a file, and this is a device or a pipe")
        if any(_same(path, each) for each in read):
            raise SettingError(
                option, given=shown, expected="another file than those that are read", hint="name a new one"
            )
        path = path.resolve() if path.is_symlink() else path
        folder = path.parent
        if folder.exists() and not folder.is_dir():
            raise SettingError(
                option, given=shown, expected=f"a file in a folder, and {plain(folder.name)!r} is a file"
            )
        if not folder.is_dir():
            hint = f"make the folder first: mkdir -p '{plain(str(folder))}'"
            raise SettingError(option, given=shown, expected="a file in a folder that exists", hint=hint)
        # Permissions, read-only systems and quotas all have their own rules; only writing tells.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except SettingError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        message = (
            f"{option} '{shown}' cannot be written: {reason.lower()}; name another place, or change its permissions."
        )
        raise OSError(message) from error
    return path


def writable_base(base: Path, *, option: str, read: Sequence[str | Path] = ()) -> Path:
    """What BASE.json and BASE.safetensors can be written for; a suffix of one of the two is taken off.

    Raises:
        SettingError, OSError: As for `writable`.
    """
    base = base.with_suffix("") if base.suffix in (".json", ".safetensors") else base
    for suffix in (".json", ".safetensors"):
        writable(base.with_name(f"{base.name}{suffix}") if base.name else base, option=option, read=read)
    return base


def for_each(
    pictures: Sequence[str],
    given: Path | None,
    *,
    option: str,
    suffix: str,
    default: str = "",
    read: Sequence[str | Path] = (),
) -> list[Path] | None:
    """One file for each picture: the one that was named, or one in the folder that was.

    Args:
        pictures: The pictures' paths.
        given: What the option said: a file, or for several pictures a folder; None if it said nothing.
        option: The option.
        suffix: What the files' names end with; empty for the base of a .json and a .safetensors file.
        default: Where nothing was said, what follows the picture's name in the file's; empty for no file at all.
        read: What the command reads besides the pictures; neither may be replaced.

    Returns:
        The files, or None if there are to be none.

    Raises:
        SettingError: Several pictures and no folder, or no place for a file.
        OSError: A file may not be written.
    """
    if given is None and not default:
        return None
    stems = apart([Path(plain(picture)).stem or "picture" for picture in pictures])
    check = partial(writable if suffix else writable_base, option=option, read=[*pictures, *read])
    if given is None:
        return [check(Path(f"{stem}{default}{suffix}")) for stem in stems]
    if given.is_dir():
        return [check(given / f"{stem}{suffix}") for stem in stems]
    if len(pictures) > 1:
        expected = f"a folder that exists, for the results of {len(pictures)} pictures"
        named_like_a_file = given.exists() or given.suffix
        hint = "" if named_like_a_file else f"make it first: mkdir -p '{plain(str(given))}'"
        raise SettingError(option, given=plain(str(given)), expected=expected, hint=hint)
    return [check(given)]


def distinct(places: Mapping[str, Sequence[Path]], *, bases: Mapping[str, Sequence[Path]]) -> None:
    """Refuse that two options name one file.

    Args:
        places: Files by the option that named them.
        bases: The same for what a .json and a .safetensors file are written for.

    Raises:
        SettingError: The second of them would replace the first.
    """
    both = {
        option: [base.with_name(f"{base.name}{suffix}") for base in named for suffix in (".json", ".safetensors")]
        for option, named in bases.items()
    }
    taken: dict[Path, str] = {}
    for option, files in (*places.items(), *both.items()):
        for file in files:
            if taken.setdefault(file.absolute(), option) != option:
                expected = f"another place than that of {taken[file.absolute()]}"
                raise SettingError(option, given=plain(str(file)), expected=expected)


def _same(path: Path, other: str | Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):  # one of them does not exist, or is no path at all, such as a model's name
        return False


def apart(names: Sequence[str]) -> list[str]:
    """Names that occur again get a number: cat, cat-2."""
    taken: set[str] = set()
    found = []
    for name in names:
        number, free = 1, name
        # File systems that ignore case would put both into one file.
        while free.casefold() in taken:
            number += 1
            free = f"{name}-{number}"
        taken.add(free.casefold())
        found.append(free)
    return found


def for_methods(path: Path, names: Sequence[str]) -> list[Path]:
    """One file for each method: the path itself for one, else with the method's name behind the stem."""
    if len(names) == 1:
        return [path]
    return [path.with_name(f"{path.stem}-{name}{path.suffix}") for name in apart(names)]
