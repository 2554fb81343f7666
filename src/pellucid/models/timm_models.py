"""The models of timm; the only file that imports it. Nothing is ever downloaded."""

import math
import sys
import warnings
from collections import Counter
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlparse

import torch
from torch import nn

from pellucid.errors import MissingExtraError, ModelError, ModelNameError, did_you_mean
from pellucid.models.architecture import Architecture, Cached, Remap, kept_random_state, rgb
from pellucid.models.preprocessing import Preprocessing
from pellucid.models.torchvision_models import unloadable_torchvision

_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def build_timm(name: str, *, num_classes: int | None, trained: bool) -> Architecture:
    """An untrained model of timm, with the metadata of its default weights.

    Args:
        name: "resnet18", or "resnet18.a1_in1k" for certain weights.
        num_classes: Outputs; None means as its weights have.
        trained: Whether weights will be put in; random ones have no class names.

    Raises:
        MissingExtraError: timm is not installed.
        ModelError: It cannot be imported, or has no model of that name.
    """
    timm = _timm()
    config = _config(timm, name)
    settings = {} if num_classes is None else {"num_classes": num_classes}
    with kept_random_state(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module: nn.Module = timm.create_model(name, pretrained=False, **settings)
    outputs = getattr(module, "num_classes", None)
    preprocessing, notes = _preprocessing(config)
    return Architecture(
        module=module.eval(),
        name=name,
        source=f"timm/{name}",
        preprocessing=preprocessing,
        class_names=_imagenet_names() if trained and outputs == 1000 and config.get("num_classes") == 1000 else None,
        outputs=outputs,
        notes=notes,
        remap=_own_remap(module),
    )


def cached_timm(name: str) -> Cached:
    """The file that the Hugging Face cache, or torch.hub's, keeps for the weights of a model."""
    config = _config(_timm(), name)
    hub, url = config.get("hf_hub_id"), config.get("url")
    wanted = (config["hf_hub_filename"],) if config.get("hf_hub_filename") else _HUB_FILES
    places: list[str] = []
    if hub:
        from huggingface_hub import constants, try_to_load_from_cache

        for file in wanted:
            found = try_to_load_from_cache(hub, file)
            if isinstance(found, str):
                return Cached(file=Path(found), expected=file)
        places.append(f"{wanted[0]} of the hub's {hub!r} in {constants.HF_HUB_CACHE}")
    if url:
        file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
        if file.is_file():
            return Cached(file=file, expected=file.name)
        places.append(f"{file.name} in {file.parent}")
    return Cached(
        file=None, expected=f"expected {' or '.join(places)}" if places else "timm publishes no weights for it"
    )


@cache
def _timm() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import timm
            import timm.data
    except ModuleNotFoundError as error:
        raise MissingExtraError("timm", purpose="a model of timm", extra="models") from error
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        raise ModelError(f"timm needs torchvision: {unloadable_torchvision(error)}") from error
    module: ModuleType = timm
    return module


def _config(timm: ModuleType, name: str) -> dict[str, Any]:
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = (
            did_you_mean(architecture, timm.list_models())
            or f"; it has {len(timm.list_models())} others, see timm.list_models()."
        )
        raise ModelNameError(f"timm has no model {architecture!r}{near}")
    known = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in known:
        near = did_you_mean(tag, known) or f"; it has {', '.join(known) or 'none'}."
        raise ModelNameError(f"timm's {architecture} has no weights {tag!r}{near}")
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return {} if config is None else dict(config.to_dict())


def _preprocessing(config: dict[str, Any]) -> tuple[Preprocessing | None, tuple[str, ...]]:
    if "input_size" not in config:
        return None, ()
    channels, height, width = config["input_size"]
    if channels != 3:
        raise ModelError(
            f"timm/{config.get('architecture')} takes {channels} channels, expected 3: pellucid reads colour pictures."
        )
    share = config.get("crop_pct") or 0.875
    scaled = (math.floor(height / share), math.floor(width / share))
    mode = config.get("crop_mode") or "center"
    notes: tuple[str, ...] = ()
    if mode == "border":
        notes = (
            "its makers fit in the whole picture and pad it; here the shorter side is scaled and the centre cut out",
        )
    elif mode == "center" and height != width:
        notes = (
            "its makers keep the picture's proportions before they cut; here both sides are scaled to the model's",
        )
    preprocessing = Preprocessing(
        resize=scaled if mode == "squash" or height != width else scaled[0],
        filter="bicubic" if config.get("interpolation") in (None, "random") else config["interpolation"],
        crop=height if height == width else (height, width),
        mean=rgb(config["mean"]),
        std=rgb(config["std"]),
        source="the weights' metadata",
    )
    return preprocessing, notes


@cache
def _imagenet_names() -> tuple[str, ...]:
    from timm.data.imagenet_info import ImageNetInfo

    known: Any = ImageNetInfo()
    full = [known.index_to_description(index) for index in range(known.num_classes())]
    short = Counter(name.partition(",")[0] for name in full)
    # "maillot" is two garments: such names keep their synonyms.
    return tuple(first if short[first := name.partition(",")[0]] == 1 else name for name in full)


def _own_remap(module: nn.Module) -> Remap | None:
    rename = getattr(sys.modules.get(type(module).__module__), "checkpoint_filter_fn", None)
    return None if rename is None else lambda state: rename(state, module)
