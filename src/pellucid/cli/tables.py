"""Tables on standard output: as wide as they need to be, or in a narrow terminal without the lesser columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pellucid.cli.streams import data_stream, plain

if TYPE_CHECKING:
    from rich.table import Table

_ANY_WIDTH = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column.

    Attributes:
        header: Its heading.
        right: Whether its cells are numbers, which stand at the right.
        wraps: Whether a long cell may take several lines.
        rank: 0 for a column that is always shown; of the others the highest goes first.
    """

    header: str
    right: bool = False
    wraps: bool = False
    rank: int = 0


def put_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, headers: bool = True) -> None:
    """Write a table. Its cells are foreign text: nothing in them is markup or a control code."""
    from rich.console import Console

    out = data_stream()
    console = Console(file=out, highlight=False, emoji=False)
    if not console.is_terminal:
        # A file or a pipe has no width; its lines must not be cut.
        console = Console(file=out, highlight=False, emoji=False, width=_ANY_WIDTH)
    shown = list(columns)
    table = _table(columns, shown, rows, headers=headers)
    wide = console.options.update(max_width=_ANY_WIDTH)
    while console.measure(table, options=wide).maximum > console.width and any(each.rank for each in shown):
        shown.remove(max(shown, key=lambda each: each.rank))
        table = _table(columns, shown, rows, headers=headers)
    with console.capture() as captured:
        console.print(table)
    # Cells are padded to the width of their column; behind the last one that is only in the way.
    out.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))


def _table(
    columns: Sequence[Column], shown: Sequence[Column], rows: Sequence[Sequence[str]], *, headers: bool
) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, show_header=headers)
    for each in shown:
        justify = "right" if each.right else "left"
        table.add_column(each.header, justify=justify, no_wrap=not each.wraps, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(plain(cell)) for each, cell in zip(columns, row, strict=True) if each in shown))
    return table
