"""`pellucid doctor`: what is installed and what this machine can do."""

import importlib.util
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from pellucid import __version__
from pellucid.cli import streams
from pellucid.cli.tables import Column, put_table
from pellucid.cli.talking import Talk

_NEEDED = ("torch", "numpy", "Pillow", "safetensors", "jaxtyping", "typer", "rich", "jinja2", "matplotlib")
_EXTRAS = {"timm": "models", "torchvision": ""}
_FONTS = {"Korean": "한", "Japanese": "あ", "Chinese": "汉"}
# Files are tried in this order, since most fonts know none of these letters.
_LIKELY = ("cjk", "nanum", "malgun", "gothic", "noto", "unifont", "droid", "wqy", "uming", "simsun", "msyh", "batang")
_MOST_FILES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: "versions", "extras", "fonts", "machine" or "models".
        name: What it is.
        found: What was found, in words.
        state: "ok"; "note" for what is missing and not needed; "bad" for what is needed.
        advice: What to do about it; empty if nothing.
    """

    topic: str
    name: str
    found: str
    state: Literal["ok", "note", "bad"] = "ok"
    advice: str = ""


def doctor(*, talk: Talk) -> int:
    """Say what is installed and what this machine can do; exit code 1 if something needed is missing."""
    findings = [*_versions(), *_extras(), *_machine(), *_models(), *_fonts()]
    bad = [finding for finding in findings if finding.state == "bad"]
    if talk.as_json:
        streams.put_json({"pellucid": "doctor", "ok": not bad, "findings": [asdict(each) for each in findings]})
    else:
        _put(findings)
        talk.say(f"{len(bad)} of {len(findings)} need attention" if bad else "all that is needed is here")
    return 1 if bad else 0


def _put(findings: list[Finding]) -> None:
    rows = []
    for each in findings:
        mark = "bad: " if each.state == "bad" else ""
        rows.append([each.topic, each.name, mark + each.found + (f"; {each.advice}" if each.advice else "")])
    put_table([Column(header="topic"), Column(header="name"), Column(header="found", wraps=True)], rows)


def _versions() -> Iterator[Finding]:
    yield Finding(topic="versions", name="pellucid", found=__version__)
    yield Finding(topic="versions", name="python", found=platform.python_version())
    for name in _NEEDED:
        version = _version(name)
        if version is None:
            advice = f"install it: pip install {name}"
            yield Finding(topic="versions", name=name, found="not installed", state="bad", advice=advice)
        else:
            yield Finding(topic="versions", name=name, found=version)


def _extras() -> Iterator[Finding]:
    for name, extra in _EXTRAS.items():
        version = _version(name)
        if version is not None:
            yield Finding(topic="extras", name=name, found=version)
        else:
            line = f"pip install 'pellucid[{extra}]'" if extra else f"pip install {name}"
            advice = f"for {name}/NAME models: {line}"
            yield Finding(topic="extras", name=name, found="not installed", state="note", advice=advice)


def _machine() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    words = f"{platform.machine()}, {cores} usable core{'s' if cores != 1 else ''}"
    yield Finding(topic="machine", name="processor", found=words)
    if importlib.util.find_spec("torch") is None:
        return
    try:
        import torch
    except (ImportError, OSError) as error:
        advice = "install it again: pip install --force-reinstall torch"
        words = f"torch is installed but cannot be imported: {streams.plain(str(error))}"
        yield Finding(topic="machine", name="torch", found=words, state="bad", advice=advice)
        return
    yield Finding(topic="machine", name="torch threads", found=str(torch.get_num_threads()))
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            yield Finding(topic="machine", name=f"cuda:{index}", found=torch.cuda.get_device_name(index))
    elif torch.backends.mps.is_available():
        yield Finding(topic="machine", name="mps", found="usable with --device mps")
    else:
        yield Finding(topic="machine", name="accelerator", found="none; models run on the processor", state="note")


def _models() -> Iterator[Finding]:
    if importlib.util.find_spec("torch") is None:
        return
    from pellucid.errors import PellucidError
    from pellucid.models.bundled import bundled, load_bundled

    for name in bundled():
        try:
            load_bundled(name)
        except OSError:
            advice = "install pellucid again"
            yield Finding(topic="models", name=name, found="files are missing", state="bad", advice=advice)
        except PellucidError as error:
            yield Finding(topic="models", name=name, found=streams.plain(str(error)), state="bad")
        else:
            yield Finding(topic="models", name=name, found="its weights are whole")


def _fonts() -> Iterator[Finding]:
    """Fonts of this machine; a page that is read on another one uses that one's."""
    files = _font_files()
    for language, letter in _FONTS.items():
        name = next((file.name for file in files if _knows(file, letter)), None)
        if name is not None:
            yield Finding(topic="fonts", name=language, found=name)
        else:
            advice = "a browser here shows boxes instead of its letters; install a Noto CJK font"
            yield Finding(topic="fonts", name=language, found="no font found", state="note", advice=advice)


def _font_files() -> list[Path]:
    home = Path(os.path.expanduser("~"))
    places = {
        "win32": [Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts"],
        "darwin": [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"],
    }.get(
        sys.platform,
        [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".fonts", home / ".local/share/fonts"],
    )
    found = [
        Path(folder) / name
        for place in places
        for folder, _, names in os.walk(place)
        for name in names
        if name.lower().endswith((".ttf", ".ttc", ".otf"))
    ]

    def rank(file: Path) -> tuple[int, str]:
        likely = next((i for i, word in enumerate(_LIKELY) if word in file.name.lower()), len(_LIKELY))
        return likely, file.name

    return sorted(found, key=rank)[:_MOST_FILES]


def _knows(file: Path, letter: str) -> bool:
    # Reading the file's own table of letters needs none of matplotlib's font cache, which takes seconds to build.
    from matplotlib.ft2font import FT2Font

    try:
        return bool(FT2Font(str(file)).get_char_index(ord(letter)))
    except (OSError, RuntimeError):
        return False


def _version(name: str) -> str | None:
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
    if name != "torch":
        return found
    # Its metadata may leave out for which device it was built.
    import torch

    return str(torch.__version__)
