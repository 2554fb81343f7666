"""From words on a command line to an exit code: every way in which a command ends, as at most one line.

0 ok · 1 failed · 2 usage · 3 finished with skipped inputs · 4 refused · 130, 141, 143 ended by a signal
"""

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import typer

from pellucid.cli import streams
from pellucid.cli.wording import told
from pellucid.errors import PellucidError

INTERRUPTED, BROKEN_PIPE, TERMINATED = 130, 141, 143
EXIT_CODES = {
    0: "done",
    1: "failed: a file or a model is bad, or cannot be written",
    2: "usage: a word, number or name on the command line makes no sense",
    3: "finished, and some inputs were skipped",
    4: "refused: it would run foreign code, and nobody said `--trust`",
    INTERRUPTED: "interrupted (Ctrl-C)",
    BROKEN_PIPE: "whoever read the output has gone",
    TERMINATED: "terminated",
}


class Terminated(BaseException):
    """Somebody asked the process to end. No SystemExit, since who runs foreign code treats that as its failure."""


def main() -> NoReturn:
    """The command `pellucid`: run it and end the process with its exit code."""
    streams.usable_streams()
    # An exception, so that half-written files are removed on the way out.
    with contextlib.suppress(ValueError):  # not in the main thread: somebody else minds the signals
        signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: What stands after `pellucid`.

    Returns:
        The exit code.
    """
    from pellucid.cli.app import app

    debug = "--debug" in arguments
    try:
        command = typer.main.get_command(app)
        with command.make_context("pellucid", list(arguments)) as context:
            code = command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as ending:
        return ending.exit_code
    except BrokenPipeError:
        _stop_writing()
        return BROKEN_PIPE
    except (KeyboardInterrupt, typer.Abort):
        streams.say("interrupted")
        return INTERRUPTED
    except Terminated:
        streams.say("terminated")
        return TERMINATED
    except Exception as error:
        if debug:
            traceback.print_exc()
        return explain_failure(error)
    return int(code or 0)


def explain_failure(error: Exception) -> int:
    """Tell an error in one line, and return the exit code that belongs to it."""
    if isinstance(error, PellucidError):
        streams.say(f"error: {told(error)}")
        return error.exit_code
    if isinstance(error, _click_exception()):
        streams.say(f"error: {_usage(error)}")
        return 2
    if isinstance(error, OSError):
        streams.say(f"error: {_system(error)}")
        return 1
    if isinstance(error, MemoryError):
        streams.say("error: out of memory; use a smaller picture or model, or free memory.")
        return 1
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    streams.say(f"error: this should not have happened, {words}; run again with --debug for the traceback.")
    return 1


def _click_exception() -> type[Exception]:
    # By version, typer brings its own copy of click or uses the installed one. In both, BadParameter is a UsageError,
    # and that a ClickException.
    return typer.BadParameter.__mro__[2]


def _usage(error: Exception) -> str:
    message = str(error.format_message()) if hasattr(error, "format_message") else str(error)
    # Some versions of typer say which Python error a wrong word of a list of words was.
    message = message.replace("Value error, ", "")
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "pellucid")
    return f"{message.rstrip('.') if not message.endswith('?') else message} (see {path} --help)."


def _system(error: OSError) -> str:
    if error.errno is None or error.strerror is None:
        return str(error)
    place = f"{str(error.filename)!r}: " if error.filename else ""
    return f"{place}{error.strerror.lower()}."


def _stop_writing() -> None:
    # The reader has gone. What is still in the buffer must not complain when Python closes the stream.
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
