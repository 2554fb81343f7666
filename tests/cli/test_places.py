"""Where results go: never over what is read, and never two of them into one file."""

import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import Cli, of_net
from tests.cli.test_bad_input import one_line

import pellucid


@pytest.mark.parametrize(
    ("words", "option", "file"),
    [
        (("explain", *of_net(), "cat.png", "-o", "cat.png"), "--output", "cat.png"),
        (("explain", *of_net(), "cat.png", "--png", "./cat.png"), "--png", "cat.png"),
        (("explain", *of_net(), "cat.png", "--png", "."), "--png", "cat.png"),
        (("explain", *of_net(), "cat.png", "-o", "net.py"), "--output", "net.py"),
        (("maps", *of_net(), "cat.png", "-o", "cat.png"), "--output", "cat.png"),
        (("filters", *of_net(), "cat.png", "-o", "linked.png"), "--output", "linked.png"),
        (("compare", *of_net(), "other.png", "cat.png", "-o", "cat.png"), "--output", "cat.png"),
        (("report", "saved", "-o", "saved.safetensors"), "--output", "saved.safetensors"),
        (("trace", "w.safetensors", "--architecture", "xai", "cat.png", "--save", "w"), "--save", "w.safetensors"),
        (
            ("explain", "animals", "--classes", "names.json", "cat.png", "--bundle", "names"),
            "--bundle",
            "names.json",
        ),
    ],
)
def test_nothing_that_is_read_is_written_over(
    cli: Cli, place: Path, words: tuple[str, ...], option: str, file: str
) -> None:
    shutil.copy("cat.png", "other.png")
    (place / "linked.png").symlink_to("cat.png")
    for name in ("w.safetensors", "names.json", "saved.json", "saved.safetensors"):
        (place / name).write_text("kept")
    before = {each: each.read_bytes() for each in place.iterdir() if each.is_file()}
    message = one_line(cli(*words), 2)
    assert message == f"{option} is '{file}', expected another file than those that are read; name a new one."
    assert {each: each.read_bytes() for each in place.iterdir() if each.is_file()} == before


def test_two_options_do_not_write_one_file(cli: Cli, place: Path) -> None:
    for words in (
        ("-o", "a.json", "--bundle", "a"),
        ("--png", "a.png", "-o", "a.png"),
        ("--save", "a", "-o", "a.json"),
    ):
        assert "expected another place than that of --" in one_line(cli("explain", "none.py:x", "cat.png", *words), 2)
    words = ("compare", "none.py:x", "cat.png", "--with", "random", "-o", "a.json", "--bundle", "a")
    assert "--bundle is 'a.json', expected another place than that of --output." in one_line(cli(*words), 2)
    assert not [*place.glob("a.*")]


def test_a_name_of_a_model_that_is_no_file_is_no_obstacle(cli: Cli, place: Path) -> None:
    assert cli("filters", "animals", "-o", "animals.png").code == 0
    assert pellucid.read("animals.png").width > 0
