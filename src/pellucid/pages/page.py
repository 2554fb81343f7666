"""From a bundle to one HTML file: no script, no request, the same bytes for the same bundle."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pellucid.archive import write_whole
from pellucid.errors import CapacityError
from pellucid.pages.bundle import Bundle
from pellucid.pages.views import view
from pellucid.pages.words import Catalogue, visible

LIMIT = 5_000_000
"""Bytes of a page. The parts are bounded where they are made, so that a page is well below."""


def render(bundle: Bundle, *, lang: str = "en") -> str:
    """The page of a bundle.

    Args:
        bundle: What to show.
        lang: "en" or "ko".

    Returns:
        HTML that needs nothing but itself; its policy forbids scripts, requests and all styles but its own.

    Raises:
        SettingError: No such language.
    """
    words = Catalogue(lang)
    environment = _environment()
    # The policy names the style by its hash, so the hash is of the very text that the page includes.
    style = environment.get_template("style.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        lang=lang, t=words.text, say=words.say, style_digest=digest, **view(bundle, words)
    )


def write_page(bundle: Bundle, path: str | Path, *, lang: str = "en") -> Path:
    """Write the page of a bundle, whole or not at all.

    Returns:
        The path that was written.

    Raises:
        CapacityError: The page would be larger than 5 MB.
        OSError: The folder is missing or not writable.
    """
    path = Path(path)
    content = render(bundle, lang=lang).encode()
    if len(content) > LIMIT:
        raise CapacityError(
            f"the page of {bundle.record['picture']['name']!r} takes {len(content) / 1e6:.1f} MB, more than the limit "
            f"of {LIMIT / 1e6:g} MB; explain by fewer methods, or show fewer sites or channels."
        )
    write_whole(path, content)
    return path


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("pellucid.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _finalize(value: Any) -> Any:
    # A bundle may have been made elsewhere: what it holds is as foreign as a file name.
    return visible(value) if type(value) is str else value
