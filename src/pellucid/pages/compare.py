"""`compare`: two pictures in a model, a picture in two models, or a picture by several methods: a page in one call."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from pellucid.capture.asks import Method
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
from pellucid.pages.gallery_making import make_gallery
from pellucid.pages.gallery_page import write_gallery
from pellucid.pages.words import Catalogue


def compare(
    model: Model | nn.Module | str,
    input: Any,
    *,
    to: str | Path,
    other: Any = None,
    against: Model | nn.Module | str | None = None,
    methods: Sequence[str | Method] | None = None,
    target: str = "top:1",
    sites: Sequence[str] | None = None,
    lang: str = "en",
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Write one self-contained page: where two passes part, or what several methods say about one answer.

    Exactly one of `other`, `against` and `methods` is given.

    Args:
        model: A `Model`, an `nn.Module`, or what `pellucid.load` takes.
        input: An `Image`, or what `pellucid.read` takes.
        to: The page to write; it is written whole or not at all.
        other: Another picture for the same model.
        against: Another model for the same picture, as `model`; "random" is the same architecture with its weights
            drawn anew.
        methods: Methods that explain the picture side by side, with their costs and the rank agreement of their maps;
            "all" among them stands for every method that applies to the model.
        target: What the methods explain; only with `methods`.
        sites: Selectors of the sites whose maps are drawn; up to five over the depth unless given; not with `methods`.
        lang: "en" or "ko".
        seed: For the weights of "random", and for every random draw of the methods.
        progress: Called with the steps done and the steps in all.

    Returns:
        The path of the page.

    Raises:
        SettingError: Not exactly one of `other`, `against` and `methods`, a setting of another form, a folder that does
            not exist, or no such language.
        InputError, ModelError, SiteError: Something cannot be used; says what to do.
    """
    Catalogue(lang)
    path = Path(to)
    if not path.parent.is_dir():
        raise SettingError("to", given=str(to), expected="a file in a folder that exists", hint="make the folder first")
    given = [
        name for name, value in (("other", other), ("against", against), ("methods", methods)) if value is not None
    ]
    if len(given) != 1:
        raise SettingError(
            "other, against, methods",
            given=" and ".join(given) or "none of them",
            expected="one of them: another picture, another model, or several methods",
        )
    if methods is None and target != "top:1":
        raise SettingError("target", given=target, expected="nothing without methods: passes have no target")
    if methods is not None and sites is not None:
        raise SettingError(
            "sites", given=sites, expected="nothing with methods", hint="a method's own is 'grad-cam(site=NAME)'"
        )
    known = model if isinstance(model, Model) else load(model)
    image = _image(input)
    if methods is not None:
        gallery = make_gallery(known, image, methods=methods, target=target, seed=seed, progress=progress)
        return write_gallery(gallery, path, lang=lang)
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
