"""How a command talks: the options for it, messages, and progress with the time that is left."""

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Protocol

import typer

from pellucid.cli import streams

_PANEL = "Output"
_SECONDS_BETWEEN_LINES = 3.0
_SECONDS_OF_SPEED = 300.0


class Report(Protocol):
    """Called with the steps done, the steps in all (0 where nobody knows), and what is going on if that changes."""

    def __call__(self, done: float, total: int, what: str = "", /) -> None:
        """Take note of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """What every command takes: how its results and messages are written."""

    as_json: Annotated[
        bool, typer.Option("--json", help="Write exactly one JSON document to standard output.", rich_help_panel=_PANEL)
    ] = False
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="No notes and no progress; errors are still told.", rich_help_panel=_PANEL),
    ] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=_PANEL)] = (
        False
    )

    def say(self, text: str) -> None:
        """One line on standard error, unless quiet."""
        if not self.quiet:
            streams.say(text)

    @contextlib.contextmanager
    def progress(self, what: str) -> Iterator[Report]:
        """Show how far some work is: a bar on a terminal, else a plain line every few seconds.

        Args:
            what: The work, as a word or two.
        """
        if self.quiet:
            yield _silent
        elif _on_a_terminal():
            with _bar(what) as report:
                yield report
        else:
            yield _Lines(what)


def _silent(done: float, total: int, what: str = "", /) -> None:
    """No report."""


class _Lines:
    """Progress as lines without control characters, the first one after a few seconds."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._start = self._last = time.monotonic()
        self._begun, self._seen = 0.0, (0.0, 0)

    def __call__(self, done: float, total: int, what: str = "", /) -> None:
        now = time.monotonic()
        if done < self._seen[0] or (self._seen[1] and total != self._seen[1]):
            # Another stretch of work: how long the one before took says nothing about it.
            self._start, self._begun = now, done
        self._seen = (done, total)
        if now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        elapsed = now - self._start
        doing = f"{self._what}, {what}" if what else self._what
        if total > 0:
            new = done - self._begun
            left = f", about {_duration(elapsed / new * (total - done))} left" if new > 0 and done < total else ""
            streams.say(f"{doing}: {int(done)} of {total}{left}")
        else:
            streams.say(f"{doing}: {int(done)}")


@contextlib.contextmanager
def _bar(title: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True, highlight=False, emoji=False)
    # As long as a pass may take: with fewer than two reports in this time there is no time left to show.
    with Progress(
        *columns, console=console, transient=True, redirect_stdout=False, speed_estimate_period=_SECONDS_OF_SPEED
    ) as shown:
        task = shown.add_task(title, total=None)
        seen: list[float] = [0, 0]

        def report(done: float, total: int, what: str = "", /) -> None:
            if done < seen[0] or total != seen[1]:
                shown.reset(task, total=total or None)
            seen[:] = done, total
            shown.update(task, completed=done, description=f"{title}, {what}" if what else title)

        yield report


def _on_a_terminal() -> bool:
    from rich.console import Console

    console = Console(stderr=True)
    return sys.stderr.isatty() and console.is_terminal and not console.is_dumb_terminal


def _duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
