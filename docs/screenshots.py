"""Make the pictures in docs/images from the demo page: python docs/screenshots.py.

Needs Debian's chromium and playwright.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import PIL.Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def main() -> None:
    """One picture per language: the upper part of the page, at 1280 pixels."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        for language, name in (("en", "demo.png"), ("ko", "demo.ko.png")):
            page_file = Path(folder) / f"{language}.html"
            command = [sys.executable, "-m", "pellucid", "demo", "-o", str(page_file), "--lang", language]
            subprocess.run(command, check=True)
            page = browser.new_page(viewport={"width": 1280, "height": 2300}, color_scheme="light")
            page.goto(page_file.as_uri())
            shot = IMAGES / name
            page.screenshot(path=str(shot), clip={"x": 0, "y": 0, "width": 1280, "height": 2300})
            PIL.Image.open(shot).convert("P", palette=PIL.Image.Palette.ADAPTIVE, colors=128).save(shot, optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
