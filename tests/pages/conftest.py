"""A small network and pictures for the tests of pages."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.inputs.image import Image
from pellucid.models.model import Model
from pellucid.models.preprocessing import Preprocessing
from pellucid.models.xai_cnn import XAI
from pellucid.pages.bundle import Bundle, make_bundle

METHODS = ("grad-cam", "integrated-gradients(steps=4)", "guided-backpropagation")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: opens a page in chromium; skipped where there is none")


class Small(nn.Module):
    """Two convolutions, a sum, a mean and a log-softmax."""

    def __init__(self, classes: int = 7) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1, stride=2)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.last = nn.Linear(8, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.first(x))
        x = self.relu(self.second(x)) + self.pool(x)
        return torch.log_softmax(self.last(x.mean((2, 3))), dim=1)


def picture(height: int = 40, width: int = 60, *, name: str = "cat.png", notes: tuple[str, ...] = ()) -> Image:
    """A picture with something to see: a bright disc on noise."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 90, (height, width, 3), dtype=np.uint8)
    down, across = np.ogrid[:height, :width]
    pixels[(down - height / 2) ** 2 + (across - width / 2) ** 2 < (min(height, width) / 4) ** 2] = (230, 160, 90)
    return Image(pixels=pixels, name=name, digest="ab" * 32, notes=notes)


def model(**changes: Any) -> Model:
    """The small network with seven named classes."""
    torch.manual_seed(0)
    settings: dict[str, Any] = {
        "module": Small().eval(),
        "name": "small",
        "preprocessing": Preprocessing(resize=32, crop=24, mean=(0.5,) * 3, std=(0.25,) * 3, source="flags"),
        "class_names": ("cat", "dog", "owl", "fox", "bee", "eel", "ant"),
        "source": "net.py:build",
    }
    return Model(**{**settings, **changes})


def seed_network() -> Model:
    """The seed network, very narrow, for pictures of 100×100."""
    torch.manual_seed(0)
    return model(
        module=XAI(width=2).eval(),
        class_names=("cat", "dog"),
        preprocessing=Preprocessing(resize=100, crop=100, source="flags"),
    )


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return make_bundle(model(), picture(), methods=METHODS)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser that may talk to nobody."""
    from pathlib import Path

    place = next((p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(p).exists()), None)
    if place is None:
        pytest.skip("needs a browser: there is no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright to drive chromium")
    flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=place, args=flags)
        yield browser
        browser.close()
