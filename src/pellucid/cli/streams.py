"""Standard output for data, standard error for all that is said; in any encoding, and without foreign control codes."""

import contextlib
import io
import json
import re
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, TextIO

from pellucid.inputs.files import readable

if TYPE_CHECKING:
    from rich.table import Table

_DATA: ContextVar[TextIO | None] = ContextVar("data", default=None)

# CSI (colours, cursor), OSC (titles, links) and the two-character sequences; a lone ESC is left to `readable`.
_TERMINAL_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_LONGEST = 2000
_ANY_WIDTH = 10_000


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


def put_table(table: "Table", *, droppable: tuple[str, ...] = ()) -> None:
    """A table as wide as it needs to be; in a narrow terminal it loses the columns of lesser interest first.

    Args:
        table: The table.
        droppable: Headers of columns that may go, the first one first.
    """
    from rich.console import Console

    console = Console(file=data_stream(), highlight=False, emoji=False)
    wide = console.options.update(max_width=_ANY_WIDTH)
    if not console.is_terminal:
        # A file or a pipe has no width; its lines must not be cut.
        console = Console(file=data_stream(), highlight=False, emoji=False, width=_ANY_WIDTH)
    for header in droppable:
        if console.measure(table, options=wide).maximum <= console.width:
            break
        table.columns = [column for column in table.columns if column.header != header]
    with console.capture() as captured:
        console.print(table)
    # Columns are padded to their width; behind the last one that is only in the way.
    data_stream().write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))
