"""A small network in a file, a picture, and a way to run a command in this process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from pellucid.cli import run

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 40, 3), nn.ReLU(), nn.Conv2d(40, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 5, 3)
        )
        self.head = nn.Linear(5, classes)

    def forward(self, x):
        print("the model says hello")
        return self.head(self.features(x).mean((2, 3)))


def build():
    torch.manual_seed(0)
    return Net()


def with_nan():
    net = build()
    net.features[0].weight.data[0, 0, 0, 0] = float("nan")
    return net


def smooth():
    net = build()
    net.features[1] = nn.SiLU()
    return net


def dense():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 3))


def one_site():
    return nn.Sequential(nn.Conv2d(3, 2, 3))


class Whole(Net):
    def forward(self, x):
        return 3


class Complex(Net):
    def forward(self, x):
        return torch.complex(super().forward(x), super().forward(x))


class Answering(Net):
    def forward(self, x):
        return {"out": super().forward(x)}


class Grey(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))


class Broken(Net):
    def forward(self, x):
        raise ZeroDivisionError("\\x1b[31mred\\x1b[0m\\nand a second line")


class Terminating(Net):
    def forward(self, x):
        import os
        import signal

        os.kill(os.getpid(), signal.SIGTERM)
        return super().forward(x)


class Interrupted(Net):
    def forward(self, x):
        raise KeyboardInterrupt
"""
SIZES = ("--resize", "32", "--crop", "32", "--mean", "0.5,0.5,0.5", "--std", "1/2,0.5,0.5")


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("error: ")]


Cli = Callable[..., Ended]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a network `net.py` and a picture `cat.png`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "net.py").write_text(NET)
    pixels = np.random.default_rng(0).integers(0, 255, (40, 48, 3)).astype(np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "cat.png")
    return tmp_path


@pytest.fixture
def cli(place: Path, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command in `place`."""

    def ended(*arguments: str) -> Ended:
        capsys.readouterr()
        code = run(arguments)
        written = capsys.readouterr()
        return Ended(code=code, out=written.out, err=written.err)

    return ended


def of_net(name: str = "build") -> tuple[str, ...]:
    """The options of a network in `net.py`."""
    return (f"net.py:{name}", "--trust", *SIZES)
