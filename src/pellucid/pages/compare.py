"""`compare`: from two pictures in a model, or a picture in two models, to a page in one call."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from pellucid.errors import SettingError
from pellucid.inputs.image import Image
from pellucid.inputs.picture_reading import read_picture
from pellucid.models.loading import load
from pellucid.models.model import Model
from pellucid.models.sources import RANDOM
from pellucid.models.untrained import untrained_model
from pellucid.pages.bundle import Progress
from pellucid.pages.compared import write_comparison
from pellucid.pages.comparing import Side, make_comparison
from pellucid.pages.words import Catalogue


def compare(
    model: Model | nn.Module | str,
    input: Any,
    *,
    to: str | Path,
    other: Any = None,
    against: Model | nn.Module | str | None = None,
    sites: Sequence[str] | None = None,
    lang: str = "en",
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Write one self-contained page about where two passes part: along the depth, and in which channels.

    Args:
        model: A `Model`, an `nn.Module`, or what `pellucid.load` takes.
        input: An `Image`, or what `pellucid.read` takes.
        to: The page to write; it is written whole or not at all.
        other: Another picture for the same model.
        against: Another model for the same picture, as `model`; "random" is the same architecture with its weights
            drawn anew. Exactly one of `other` and `against` is given.
        sites: Selectors of the sites whose maps are drawn; up to five over the depth unless given.
        lang: "en" or "ko".
        seed: For the weights of "random".
        progress: Called with the steps done and the steps in all.

    Returns:
        The path of the page.

    Raises:
        SettingError: Not exactly one of `other` and `against`, a folder that does not exist, or no such language.
        InputError, ModelError, SiteError: Something cannot be used; says what to do.
    """
    Catalogue(lang)
    path = Path(to)
    if not path.parent.is_dir():
        raise SettingError("to", given=str(to), expected="a file in a folder that exists", hint="make the folder first")
    if (other is None) == (against is None):
        given = "neither" if other is None else "both"
        raise SettingError("other, against", given=given, expected="one of them: another picture, or another model")
    known = model if isinstance(model, Model) else load(model)
    image = _image(input)
    first = Side(model=known, image=image)
    redrawn = isinstance(against, str) and against == RANDOM
    if against is None:
        second = Side(model=known, image=_image(other))
    elif redrawn:
        second = Side(model=untrained_model(known, seed=seed), image=image)
    else:
        second = Side(model=against if isinstance(against, Model) else load(against), image=image)
    comparison = make_comparison(first, second, sites=sites, seed=seed if redrawn else None, progress=progress)
    return write_comparison(comparison, path, lang=lang)


def _image(given: Any) -> Image:
    return given if isinstance(given, Image) else read_picture(given)
