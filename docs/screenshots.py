"""Make the pictures in docs/images: `python docs/screenshots.py`, or with saved bundles behind it.

Without arguments, the upper part of the demo page in both languages. With bundles (`pellucid explain --bundle`), the
page of each in light, dark, Korean, on a phone and in print, cut into strips one beside the other. Needs Debian's
chromium and playwright.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import PIL.Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
STRIP = 3200
"""Pixels of a page in one strip; longer pages get several."""


def demo(browser: Any, folder: Path) -> None:
    """One picture per language: the upper part of the page, at 1280 pixels."""
    for language, name in (("en", "demo.png"), ("ko", "demo.ko.png")):
        page_file = folder / f"{language}.html"
        command = [sys.executable, "-m", "pellucid", "demo", "-o", str(page_file), "--lang", language]
        subprocess.run(command, check=True)
        page = browser.new_page(viewport={"width": 1280, "height": 2300}, color_scheme="light")
        page.goto(page_file.as_uri())
        shot = IMAGES / name
        page.screenshot(path=str(shot), clip={"x": 0, "y": 0, "width": 1280, "height": 2300})
        small(PIL.Image.open(shot)).save(shot, optimize=True)


def pages(browser: Any, folder: Path, bundles: Sequence[str]) -> None:
    """The page of every bundle in every dress."""
    for bundle in bundles:
        for language, width, scheme, media in (
            ("en", 1280, "light", "screen"),
            ("en", 1280, "dark", "screen"),
            ("ko", 1280, "light", "screen"),
            ("en", 360, "light", "screen"),
            ("en", 800, "light", "print"),
        ):
            page_file = folder / "page.html"
            command = [sys.executable, "-m", "pellucid", "report", bundle, "-o", str(page_file)]
            subprocess.run([*command, "--lang", language], check=True)
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.emulate_media(media=media, color_scheme=scheme)
            page.goto(page_file.as_uri())
            shot = folder / "page.png"
            page.screenshot(path=str(shot), full_page=True)
            page.close()
            dress = "phone" if width == 360 else "print" if media == "print" else f"{scheme}.{language}"
            strips(PIL.Image.open(shot)).save(IMAGES / f"{Path(bundle).stem}.{dress}.png", optimize=True)


def strips(page: PIL.Image.Image) -> PIL.Image.Image:
    """A long page cut into strips, one beside the other, at half size."""
    count = -(-page.height // STRIP)
    sheet = PIL.Image.new("RGB", (count * (page.width + 40) - 40, min(STRIP, page.height)), (128, 136, 144))
    for number in range(count):
        box = (0, number * STRIP, page.width, min(page.height, (number + 1) * STRIP))
        sheet.paste(page.convert("RGB").crop(box), (number * (page.width + 40), 0))
    return small(sheet.reduce(2))


def small(picture: PIL.Image.Image) -> PIL.Image.Image:
    """128 colours are enough for a screenshot in the docs."""
    return picture.convert("RGB").convert("P", palette=PIL.Image.Palette.ADAPTIVE, colors=128)


def main(arguments: Sequence[str]) -> None:
    """The demo's pictures, or those of some bundles."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        if arguments:
            pages(browser, Path(folder), arguments)
        else:
            demo(browser, Path(folder))
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
