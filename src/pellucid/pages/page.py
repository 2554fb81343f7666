"""From a bundle to one HTML file: no script, no request, the same bytes for the same bundle."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pellucid.archive import write_whole
from pellucid.errors import CapacityError
from pellucid.pages.bundle import Bundle
from pellucid.pages.graph_bundle import GraphBundle
from pellucid.pages.graph_page import graph_view
from pellucid.pages.views import view
from pellucid.pages.words import Catalogue, visible

LIMIT = 5_000_000
"""Bytes of a page. The parts are bounded where they are made, so that a page is well below."""


def render(bundle: Bundle | GraphBundle, *, lang: str = "en") -> str:
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
    if isinstance(bundle, GraphBundle):
        return filled("graph.html", words, graph_view(bundle, words))
    return filled("page.html", words, view(bundle, words))


def filled(template: str, words: Catalogue, values: Mapping[str, Any]) -> str:
    """A template of this room with its words, its style, and a policy that forbids all else."""
    environment = _environment()
    # The policy names the style by its hash, so the hash is of the very text that the page includes.
    style = environment.get_template("style.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template(template).render(
        lang=words.language, t=words.text, say=words.say, style_digest=digest, **values
    )


def write_page(bundle: Bundle | GraphBundle, path: str | Path, *, lang: str = "en") -> Path:
    """Write the page of a bundle, whole or not at all.

    Returns:
        The path that was written.

    Raises:
        CapacityError: The page would be larger than 5 MB.
        OSError: The folder is missing or not writable.
    """
    about = "graph" if isinstance(bundle, GraphBundle) else "picture"
    what = f"the page of {bundle.record[about]['name']!r}"
    fewer = "methods" if about == "graph" else "methods, or show fewer sites or channels"
    return written(render(bundle, lang=lang), path, what=what, hint=f"explain by fewer {fewer}")


def written(html: str, path: str | Path, *, what: str, hint: str) -> Path:
    """Write a page, whole or not at all.

    Args:
        html: The page.
        path: Where.
        what: What to call it where it is too large.
        hint: What would make it smaller.

    Raises:
        CapacityError: It would be larger than 5 MB.
        OSError: The folder is missing or not writable.
    """
    path = Path(path)
    content = html.encode()
    if len(content) > LIMIT:
        raise CapacityError(
            f"{what} takes {len(content) / 1e6:.1f} MB, more than the limit of {LIMIT / 1e6:g} MB; {hint}."
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
