"""Terminals, encodings, pipes and signals; and that what is not needed is not loaded."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Cli, of_net

from pellucid import __version__
from pellucid.cli import reference, streams, talking
from pellucid.cli.tables import Column, put_table
from pellucid.cli.talking import Talk

ROOT = Path(__file__).resolve().parents[2]


def separate(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own."""
    known = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment}
    return subprocess.run(
        [sys.executable, "-m", "pellucid", *arguments],
        cwd=place,
        env=known,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_neither_the_package_nor_help_nor_a_refused_place_loads_torch(place: Path) -> None:
    script = """
import sys
import pellucid
from pellucid.cli import run
codes = [run(["--help"]), run(["explain", "--help"]), run(["--version"]), run([])]
codes.append(run(["explain", "xai", "x", "-o", "no/x"]))
assert codes == [0, 0, 0, 0, 2], codes
assert "torch" not in sys.modules, "torch"
assert "matplotlib" not in sys.modules, "matplotlib"
"""
    known = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=place, env=known, capture_output=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_the_version_is_that_of_the_package(cli: Cli) -> None:
    assert cli("--version").out == f"pellucid {__version__}\n"


def test_without_a_word_the_help_is_shown(cli: Cli) -> None:
    ended = cli()
    assert ended.code == 0
    assert "explain" in ended.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("explian",), "error: No such command 'explian'. Did you mean 'explain'? (see pellucid --help)."),
        (("maps",), "error: Missing argument 'MODEL' (see pellucid maps --help)."),
        (("demo", "--sede", "1"), "(see pellucid demo --help)."),
    ],
)
def test_a_usage_error_is_one_line_and_names_the_help(cli: Cli, words: tuple[str, ...], message: str) -> None:
    ended = cli(*words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert message in ended.err


def test_the_reference_is_that_of_the_commands() -> None:
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == reference.reference(), "make it again: python -m pellucid.cli.reference > docs/cli.md"


def test_every_option_of_the_help_is_in_the_reference(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    import re

    monkeypatch.setenv("COLUMNS", "200")
    text = reference.reference()
    for command in ("demo", "explain", "maps", "trace", "list", "train", "doctor"):
        section = text.split(f"## pellucid {command}\n")[1].split("\n## ")[0]
        for option in re.findall(r"--[a-z][a-z-]+", cli(command, "--help").out):
            assert option in section or option == "--help"


def test_a_terminal_in_another_encoding_gets_question_marks_and_json_gets_escapes(place: Path) -> None:
    (place / "cat.png").rename(place / "고양이.png")
    ended = separate(place, "trace", *of_net(), "고양이.png", "--json", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.decode("ascii"))["picture"] == "고양이.png"
    assert b"32?32" in ended.stderr


def test_a_termination_ends_with_143_and_leaves_nothing(place: Path) -> None:
    ended = separate(place, "explain", *of_net("Terminating"), "cat.png", "-o", "page.html", "-q")
    assert (ended.returncode, ended.stderr) == (143, b"terminated\n")
    assert not list(place.glob("*.html")) + list(place.glob(".*"))


def test_a_reader_that_goes_away_is_no_error(place: Path) -> None:
    known = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        words = [sys.executable, "-m", "pellucid", "list", "targets"]
        ended = subprocess.run(words, env=known, stdout=pipe, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_foreign_text_loses_its_control_codes() -> None:
    assert streams.plain("a\x1b[31mb\x1b]0;title\x07c\nd\x9b\u202e") == "abc d\ufffd\ufffd"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


COLUMNS = (Column(header="site", wraps=True), Column(header="cost", right=True, rank=2), Column(header="size", rank=1))
ROWS = [["features.0", "1,000,000", "[red]64"], ["\x1b[31mfeatures.1", "2", "128"]]


@pytest.mark.parametrize(("width", "headers"), [(60, "site cost size"), (25, "site size"), (11, "site")])
def test_a_narrow_terminal_loses_the_lesser_columns_first(
    monkeypatch: pytest.MonkeyPatch, width: int, headers: str
) -> None:
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    put_table(COLUMNS, ROWS)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()
    assert lines[0].split() == headers.split()
    assert max(map(len, lines)) <= width
    assert "\x1b[31m" not in out.getvalue()


def test_in_a_pipe_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "20")
    put_table([Column(header="text")], [["x" * 300]])
    assert "x" * 300 in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_without_a_terminal_progress_is_a_plain_line_every_few_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(talking.time, "monotonic", lambda: now[0])
    with Talk().progress("work") as report:
        for step in range(1, 101):
            now[0] = step / 10
            report(step, 100)
    lines = capsys.readouterr().err.splitlines()
    # After 3, 6 and 9 of 10 seconds; a tenth of a second for a step.
    assert lines == [
        "work: 30 of 100, about 7 s left",
        "work: 60 of 100, about 4 s left",
        "work: 90 of 100, about 1 s left",
    ]


def test_what_is_left_counts_the_time_before_the_first_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(talking.time, "monotonic", lambda: now[0])
    with Talk().progress("explaining, percent") as report:
        for seconds, share in ((20.0, 10.5), (40.0, 20.5)):
            now[0] = seconds
            report(share, 100)
    assert capsys.readouterr().err.splitlines() == [
        "explaining, percent: 10 of 100, about 2 min 50 s left",
        "explaining, percent: 20 of 100, about 2 min 35 s left",
    ]


def test_another_stretch_of_work_is_timed_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(talking.time, "monotonic", lambda: now[0])
    with Talk().progress("training") as report:
        for step in range(1, 11):
            report(step, 10, "drawing")
        now[0] = 100.0
        report(0, 40, "fitting")
        now[0] = 110.0
        report(10, 40, "fitting")
    assert capsys.readouterr().err.splitlines() == [
        "training, fitting: 0 of 40",
        "training, fitting: 10 of 40, about 30 s left",
    ]


def test_quiet_progress_is_silent_and_a_bar_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Talk(quiet=True).progress("work") as report:
        report(1, 2)
    assert capsys.readouterr().err == ""
    err = Terminal()
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setenv("TERM", "xterm")
    with Talk().progress("work") as report:
        report(1, 2, "first")
        report(1, 5, "second")
    assert "work" in err.getvalue()
    assert err.getvalue().endswith("\x1b[2K")
