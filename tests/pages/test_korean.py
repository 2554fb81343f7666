"""The Korean pages are Korean: no English word is seen but names, and what is marked as English or as foreign text."""

import html
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.pages.conftest import METHODS, Small, model, picture
from torch import nn

import pellucid
from pellucid.capture.kinship import unlike_training
from pellucid.inputs.image import Image
from pellucid.inputs.reading import read
from pellucid.insights.probe_pictures import ProbePictures
from pellucid.models.recipes.drawings import draw
from pellucid.models.untrained import untrained_model
from pellucid.pages.bundle import make_bundle
from pellucid.pages.compared import render_comparison
from pellucid.pages.comparing import Side, make_comparison
from pellucid.pages.index import LeftOut, entry, render_index
from pellucid.pages.page import render

# Names that a Korean reader writes in Latin letters too.
NAMES = {"pellucid", "JSON", "numpy", "python", "torch", "Grad", "ReLU", "Adebayo"}
FOREIGN = ("code", "bdi", "style", "title")
WORD = re.compile(r"[A-Za-z]{4,}")
EMPTY = {"meta", "img", "br", "rect", "path", "polyline", "polygon", "image", "circle"}


class Reader(HTMLParser):
    """Collects the words of four Latin letters or more that a reader sees or hears as the page's own."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[tuple[str, bool]] = []
        self.words: list[str] = []
        self.set_apart: set[str] = set()
        self.told: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        for name in ("alt", "aria-label"):
            self.told |= set(WORD.findall(known.get(name) or ""))
        if tag not in EMPTY:
            # In a diagram the class "mono" stands for what is <code> elsewhere.
            foreign = tag in FOREIGN or known.get("lang") == "en" or known.get("class") == "mono"
            self.stack.append((tag, foreign))

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            assert self.stack.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if any(foreign for _, foreign in self.stack):
            self.set_apart |= set(WORD.findall(data))
        else:
            self.words += WORD.findall(data)


def english(page: str) -> set[str]:
    reader = Reader()
    reader.feed(page)
    assert reader.stack == []
    # An attribute has no elements: names in it are those that the page sets apart elsewhere.
    return (set(reader.words) | (reader.told - reader.set_apart)) - NAMES


class Smooth(Small):
    """The small network with an activation that guided backpropagation is not defined for."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.SiLU()  # type: ignore[assignment]


class Rare(Small):
    """Operations that the catalogue has no words for."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(torch.tanh(x).roll(1, 2).permute(0, 1, 3, 2))


def drawing() -> Image:
    return read(draw(7, {"ears": "cat", "muzzle": "cat", "whiskers": "dog", "pupils": "cat"}).pixels)


def noise() -> Image:
    values = np.random.default_rng(0).integers(0, 256, (120, 140, 4), dtype=np.uint8)
    return read(values)


def small() -> str:
    return render(make_bundle(model(), picture(), methods=METHODS), lang="ko")


def contrast() -> str:
    unnamed = model(class_names=None, notes=("the weights are random: what this model answers means nothing",))
    return render(make_bundle(unnamed, picture(), methods=METHODS, target="contrast:2,3"), lang="ko")


def unit() -> str:
    return render(make_bundle(model(), picture(), methods=("saliency",), target="unit:'second'/3"), lang="ko")


def smooth() -> str:
    return render(make_bundle(model(module=Smooth().eval()), picture()), lang="ko")


def dense() -> str:
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 8), nn.GELU(), nn.Linear(8, 7)).eval()
    return render(make_bundle(model(module=module), picture()), lang="ko")


def rare() -> str:
    return render(make_bundle(pellucid.load(Rare()), picture(), methods=("saliency",)), lang="ko")


def drawn() -> str:
    return render(make_bundle(pellucid.load("animals"), drawing()), lang="ko")


def unlike() -> str:
    known, image = pellucid.load("animals-shortcut"), noise()
    return render(make_bundle(known, image, remark=unlike_training(known, image)), lang="ko")


def compared() -> str:
    known, image = pellucid.load("animals"), noise()
    sides = Side(model=known, image=drawing()), Side(model=known, image=image, remark=unlike_training(known, image))
    return render_comparison(make_comparison(*sides), lang="ko")


def redrawn() -> str:
    sides = Side(model=model(), image=picture()), Side(model=untrained_model(model(), seed=1), image=picture())
    return render_comparison(make_comparison(*sides, seed=1), lang="ko")


def probed() -> str:
    chance = np.random.default_rng(0)
    values = [chance.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(64)]
    images = [Image(pixels=pixels, name=f"{i}.png", digest=f"{i:064x}") for i, pixels in enumerate(values)]
    probe = ProbePictures(images=images, labels=None, source="folder", name="probe")
    return render(make_bundle(model(), picture(), methods=("saliency",), probe=probe), lang="ko")


def listed() -> str:
    line = entry(make_bundle(model(), picture(), methods=("saliency",)), Path("a.html"))
    reason = "b.json lacks answer; make the bundle again."
    return render_index([line, line], left_out=[LeftOut(name="b.json", reason=reason)], passed_over=2, lang="ko")


@pytest.mark.parametrize(
    "make", [small, contrast, unit, smooth, dense, rare, probed, drawn, unlike, compared, redrawn, listed]
)
def test_no_english_word_is_seen_on_a_korean_page(make: Callable[[], str]) -> None:
    page = make()
    assert english(page) == set()
    assert re.findall(r'<[^>]*lang="en">[^<]*', page) == []


def test_the_gate_sees_an_english_word_and_looks_away_from_what_is_marked() -> None:
    assert english('<p>한국어 <b>never</b> <img alt="unseen"></p>') == {"never", "unseen"}
    assert english('<p>한국어 <code>never</code> <bdi>never</bdi> <span lang="en">never</span> ReLU</p>') == set()


def test_a_remark_and_its_numbers_stand_at_the_head_of_the_korean_page() -> None:
    head = html.unescape(unlike().split('<section id="answer"')[0])
    assert "모델이 학습한 종류의 그림이 아닙니다(다른 정도 " in head
