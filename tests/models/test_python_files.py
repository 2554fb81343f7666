"""Models that a Python file builds: only with trust, and without a trace."""

import os
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from pellucid.errors import ModelError, UntrustedModelError
from pellucid.models.loading import load


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def python_file(folder: Path, code: str) -> Path:
    file = folder / "net.py"
    file.write_text(code, encoding="utf-8")
    return file


def test_a_python_file_runs_only_with_trust(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    file = python_file(
        tmp_path, f"import os; os.mkdir({str(marker)!r})\nfrom torch import nn\ndef build(): return nn.Linear(2, 2)\n"
    )
    with pytest.raises(
        UntrustedModelError, match=r"net.py:build is refused: tier T2 .* SHA-256 [0-9a-f]{64}\. .*--trust"
    ) as error:
        load(f"{file}:build")
    assert error.value.exit_code == 4
    assert not marker.exists()
    model = load(f"{file}:build", trust=True)
    assert marker.exists()
    assert isinstance(model.module, nn.Linear)
    assert (model.name, model.source) == ("Linear", "net.py:build")


def test_a_python_file_finds_its_neighbours_and_leaves_no_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "layers_beside.py").write_text("from torch import nn\nclass Head(nn.Linear): pass\n", encoding="utf-8")
    file = python_file(
        tmp_path,
        "from __future__ import annotations\nfrom dataclasses import dataclass\nimport torch\nprint('hello')\n"
        "@dataclass\nclass Settings:\n    width: int = 2\n"
        "def build():\n    from layers_beside import Head\n    torch.manual_seed(3)\n"
        "    return Head(Settings().width, 2)\n"
        "ready = torch.nn.ReLU()\n",
    )
    before = list(sys.path), set(sys.modules), torch.get_rng_state(), dict(os.environ)
    model = load(f"{file}:build", trust=True)
    assert type(model.module).__name__ == "Head"
    assert sys.path == before[0]
    assert set(sys.modules) == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert dict(os.environ) == before[3]
    assert capsys.readouterr().out == ""
    assert isinstance(load(f"{file}:ready", trust=True).module, nn.ReLU)


@pytest.mark.parametrize(
    ("code", "name", "message"),
    [
        ("def build(: pass", "build", "cannot be run: SyntaxError"),
        ("import sys; sys.exit(3)", "build", "cannot be run: SystemExit: 3"),
        ("def build(): raise KeyError('layer')", "build", "net.py:build failed: KeyError: 'layer'"),
        ("def build(n): return n", "build", "missing a required argument: 'n'; it is called without arguments"),
        ("def build(): return 3", "build", "returned an int, expected an nn.Module"),
        ("def build(): return 3", "biuld", "has no 'biuld'; did you mean 'build'"),
        ("def build(): return 3", "zzz", "has no 'zzz'; it has build"),
        ("build = 3", "build", "is an int, expected a callable"),
    ],
)
def test_a_python_file_that_fails_says_how_in_one_line(tmp_path: Path, code: str, name: str, message: str) -> None:
    path, modules = list(sys.path), set(sys.modules)
    with pytest.raises(ModelError, match=message) as error:
        load(f"{python_file(tmp_path, code)}:{name}", trust=True)
    one_line(error)
    assert (sys.path, set(sys.modules)) == (path, modules)


def test_a_python_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"net.py cannot be read: No such file"):
        load(f"{tmp_path}/net.py:build", trust=True)
