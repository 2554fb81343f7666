"""Standard output for data, standard error for all that is said; in any encoding, and without foreign control codes."""

import contextlib
import io
import json
import re
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TextIO

from pellucid.inputs.files import readable

_DATA: ContextVar[TextIO | None] = ContextVar("data", default=None)

# CSI (colours, cursor), OSC (titles, links) and the two-character sequences; a lone ESC is left to `readable`.
_TERMINAL_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_LONGEST = 2000


def plain(text: str) -> str:
    """A text on one line without anything that a terminal would obey."""
    return readable(" ".join(_TERMINAL_CODES.sub("", text).split()), limit=_LONGEST)


def usable_streams() -> None:
    """What a terminal's encoding cannot show becomes a question mark instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@contextlib.contextmanager
def data_apart() -> Iterator[None]:
    """Inside, `put` writes to standard output, and whatever else is printed there goes to standard error."""
    token = _DATA.set(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _DATA.reset(token)


def data_stream() -> TextIO:
    """The real standard output."""
    return _DATA.get() or sys.stdout


def say(text: str) -> None:
    """One line to standard error."""
    sys.stderr.write(plain(text) + "\n")
    sys.stderr.flush()


def put(text: str) -> None:
    """One line of data."""
    data_stream().write(plain(text) + "\n")


def put_aligned(text: str) -> None:
    """One line of data whose spaces matter, as in a column of numbers."""
    inner = text.lstrip(" ")
    blanks = " " * (len(text) - len(inner))
    data_stream().write(blanks + readable(_TERMINAL_CODES.sub("", inner), limit=_LONGEST) + "\n")


def put_json(record: object) -> None:
    """The one JSON document of a command, readable in any encoding."""
    # Imported here: the archive brings numpy, which `--help` need not wait for.
    from pellucid.archive import dump_json

    out = data_stream()
    text = dump_json(record)
    try:
        text.encode(out.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text), sort_keys=True, indent=1)
    out.write(text + "\n")
