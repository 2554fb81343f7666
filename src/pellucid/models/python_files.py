"""Models that a Python file builds: foreign code, so it runs only when somebody said so (tier T2)."""

import contextlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from torch import nn

from pellucid.archive import digest
from pellucid.errors import ModelError, UntrustedModelError, did_you_mean, with_article


def refuse_untrusted(file: str, *, reason: str, sha256: str) -> UntrustedModelError:
    """The error for whatever would run foreign code; names tier, reason, checksum and the exact flag."""
    return UntrustedModelError(
        f"{file} is refused: tier T2 (code), {reason}. SHA-256 {sha256}. If you know and trust where it comes from, "
        "say so: --trust on the command line, trust=True in Python."
    )


def build_from_file(path: Path, name: str, *, trust: bool) -> nn.Module:
    """Run a Python file and call what `name` says, without arguments.

    While it runs, its folder is on `sys.path`, so that it finds the files beside it, and what it prints goes to stderr;
    afterwards `sys.path` and `sys.modules` are as before, but for libraries from elsewhere that it imported.

    Args:
        path: The file.
        name: A function, a class, or a module object in it; may be dotted.
        trust: Whether the user said that its code may run.

    Raises:
        UntrustedModelError: `trust` was not given; nothing was run.
        ModelError: There is no such file or name, or the code fails or returns something else.
    """
    try:
        code = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror}; expected a Python file, as in net.py:build."
        ) from error
    sha256 = digest(code)
    if not trust:
        raise refuse_untrusted(f"{path.name}:{name}", reason="building the model runs this Python file", sha256=sha256)
    module = ModuleType(f"pellucid_source_{sha256[:12]}")
    module.__file__ = str(path)
    shown = f"{path.name}:{name}"
    with _imports_beside(path, module), contextlib.redirect_stdout(sys.stderr):
        try:
            exec(compile(code, str(path), "exec"), module.__dict__)  # this is what trust=True is for
        except (Exception, SystemExit) as error:
            raise ModelError(f"{path.name} cannot be run: {_one_line(error)}.") from error
        builder: object = module
        for part in name.split("."):
            if not hasattr(builder, part):
                known = [word for word, value in vars(module).items() if callable(value) and not word.startswith("_")]
                near = did_you_mean(part, known) or f"; it has {', '.join(known[:8]) or 'no callable'}."
                raise ModelError(f"{path.name} has no {name!r}{near}")
            builder = getattr(builder, part)
        if isinstance(builder, nn.Module):
            return builder
        if not callable(builder):
            found = with_article(type(builder).__name__)
            raise ModelError(f"{shown} is {found}, expected a callable that returns an nn.Module.")
        try:
            inspect.signature(builder).bind()
        except TypeError as error:
            raise ModelError(
                f"{shown} {error}; it is called without arguments: add a function that needs none."
            ) from error
        except ValueError:
            pass  # some builtins have no signature; calling them says what is wrong
        try:
            built = builder()
        except (Exception, SystemExit) as error:
            raise ModelError(f"{shown} failed: {_one_line(error)}.") from error
    if not isinstance(built, nn.Module):
        raise ModelError(f"{shown} returned {with_article(type(built).__name__)}, expected an nn.Module.")
    return built


@contextlib.contextmanager
def _imports_beside(path: Path, module: ModuleType) -> Iterator[None]:
    folder = path.resolve().parent
    before = set(sys.modules)
    search = list(sys.path)
    known_folder = any(Path(entry).resolve() == folder for entry in search)
    sys.modules[module.__name__] = module  # dataclasses look their module up while they are made
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = search
        sys.modules.pop(module.__name__, None)
        if not known_folder:
            _forget_imports_from(folder, before)


def _forget_imports_from(folder: Path, before: set[str]) -> None:
    # Another project may have a `layers.py` too, so what came from this folder must not answer for that one. Libraries
    # in a virtual environment below the folder stay: their compiled parts cannot be imported twice.
    tops = {name.partition(".")[0] for name in set(sys.modules) - before}
    for top in tops - before:
        file = getattr(sys.modules.get(top), "__file__", None)
        if file is None:
            continue
        place = Path(file).resolve()
        if folder == (place.parent.parent if place.stem == "__init__" else place.parent):
            for name in [name for name in sys.modules if name == top or name.startswith(f"{top}.")]:
                del sys.modules[name]


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
