"""The reference of all commands as Markdown, made from the same objects as `--help`.

python -m pellucid.cli.reference > docs/cli.md
"""

import inspect
import sys
from collections.abc import Iterator
from typing import Any

import typer

from pellucid.cli.app import app
from pellucid.cli.running import EXIT_CODES


def reference() -> str:
    """Every command with its arguments, options, defaults and help."""
    group: Any = typer.main.get_command(app)
    lines = [
        "# The command line",
        "",
        "Made by `python -m pellucid.cli.reference`; a test fails when it differs from `pellucid --help`.",
        "",
        str(group.help),
        "",
        "Data goes to standard output (`--json`: exactly one document); progress and messages go to standard error. "
        "An error is one line; `--debug` adds its traceback.",
        "",
        "| exit code | meaning |",
        "|---|---|",
        *(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()),
        "",
    ]
    for name, command in _commands(group):
        lines += [f"## pellucid {name}", "", inspect.cleandoc(command.help or ""), ""]
        arguments = [each for each in command.params if each.param_type_name == "argument"]
        options = [each for each in command.params if each.param_type_name == "option"]
        lines += ["    pellucid " + " ".join([name, *(each.metavar for each in arguments), "[OPTIONS]"]), ""]
        if arguments:
            lines += ["| argument | meaning |", "|---|---|"]
            lines += [f"| `{_cell(each.metavar)}` | {_cell(each.help)}{_default(each)} |" for each in arguments] + [""]
        panels: dict[str, list[Any]] = {}
        for option in options:
            panels.setdefault(option.rich_help_panel or "Options", []).append(option)
        for panel, members in panels.items():
            lines += [f"| {panel} | meaning |", "|---|---|"]
            lines += [f"| `{_cell(_written(each))}` | {_cell(each.help)}{_default(each)} |" for each in members] + [""]
    return "\n".join(lines).rstrip() + "\n"


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its whole name, those of a command behind it."""
    for name, command in group.commands.items():
        yield f"{before}{name}", command
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")


def _written(option: Any) -> str:
    """An option as it is typed: `-o, --output FILE`."""
    names = ", ".join(sorted(option.opts, key=len))
    if option.is_flag:
        return names
    return f"{names} {option.metavar}"


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return f" Default: {_cell(parameter.show_default)}."
    if parameter.default is None or parameter.default is False or parameter.required:
        return ""
    return f" Default: `{getattr(parameter.default, 'value', parameter.default)}`."


def _cell(text: str | None) -> str:
    # In a table, a bar would begin another cell, also inside `code`.
    return (text or "").replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
