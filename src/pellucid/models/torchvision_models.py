"""The classifiers of torchvision; the only file that imports it. Nothing is ever downloaded."""

import re
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor

from pellucid.errors import MissingExtraError, ModelError, ModelNameError, did_you_mean
from pellucid.models.architecture import Architecture, Cached, kept_random_state, rgb
from pellucid.models.preprocessing import Preprocessing

# The builders of these two draw initial weights slowly, and their published weights expect the input to be rescaled
# inside.
_INCEPTIONS: Mapping[str, dict[str, bool]] = {
    "googlenet": {"aux_logits": True, "init_weights": False},
    "inception_v3": {"aux_logits": True, "init_weights": False},
}
_OLD_DENSE_LAYER = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.(?=[12]\.)")


def build_torchvision(name: str, *, num_classes: int | None, trained: bool) -> Architecture:
    """An untrained classifier of torchvision, with the metadata of its default weights.

    Args:
        name: The builder's name, "resnet18".
        num_classes: Outputs; None means as its default weights have.
        trained: Whether weights will be put in; random ones have no class names.

    Raises:
        MissingExtraError: torchvision is not installed.
        ModelError: It cannot be imported, or has no classifier of that name.
    """
    models = _torchvision_models()
    weights = _default_weights(models, name)
    settings: dict[str, Any] = dict(_INCEPTIONS.get(name, {}))
    if num_classes is not None:
        settings["num_classes"] = num_classes
    with kept_random_state(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Random inceptions take the slow draw too: without it their weights are what the memory held.
        if not trained and "init_weights" in settings:
            settings["init_weights"] = True
        module = models.get_model(name, weights=None, **settings)
    rescales = trained and name in _INCEPTIONS
    if rescales:
        module.transform_input = True
    categories = tuple(weights.meta["categories"]) if weights is not None else None
    outputs = num_classes if num_classes is not None else (len(categories) if categories else None)
    return Architecture(
        module=module.eval(),
        name=name,
        source=f"torchvision/{name}",
        preprocessing=None if weights is None else _preprocessing(weights),
        class_names=categories if trained and categories is not None and outputs == len(categories) else None,
        outputs=outputs,
        notes=(f"{name} rescales its input inside, as the published weights need it",) if rescales else (),
        remap=_new_dense_names if name.startswith("densenet") else None,
    )


def cached_torchvision(name: str) -> Cached:
    """The file that torch.hub keeps for the default weights of a model."""
    weights = _default_weights(_torchvision_models(), name)
    if weights is None:
        return Cached(file=None, expected="torchvision publishes no weights for it")
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    return Cached(
        file=file if file.is_file() else None, expected=f"expected {file.name} in {file.parent} (from {weights.url})"
    )


@cache
def _torchvision_models() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torchvision.models as models
    except ModuleNotFoundError as error:
        raise MissingExtraError("torchvision", purpose="a model of torchvision", extra="models") from error
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        raise ModelError(unloadable_torchvision(error)) from error
    return models  # type: ignore[no-any-return]


def unloadable_torchvision(error: Exception) -> str:
    """What to say when torchvision is there but does not go with this torch."""
    return (
        f"torchvision is installed but cannot be imported beside torch {torch.__version__} "
        f"({' '.join(str(error).split())[:200]}); "
        "install the build that belongs to this torch: pip install --force-reinstall --no-deps torchvision "
        "--index-url https://download.pytorch.org/whl/cpu"
    )


def _default_weights(models: ModuleType, name: str) -> Any | None:
    # Only classifiers: the builders of detectors download a backbone even when asked for no weights.
    known = models.list_models(module=models)
    if name not in known:
        if name in models.list_models():
            raise ModelError(f"torchvision/{name} is no plain classifier; pass the module itself to look inside it.")
        near = did_you_mean(name, known) or f"; it has {', '.join(known[:6])} and {len(known) - 6} more."
        raise ModelNameError(f"torchvision has no classifier {name!r}{near}")
    return getattr(models.get_model_weights(name), "DEFAULT", None)


def _preprocessing(weights: Any) -> Preprocessing:
    recipe = weights.transforms()
    return Preprocessing(
        resize=_side(recipe.resize_size),
        filter=recipe.interpolation.value,
        crop=_side(recipe.crop_size),
        mean=rgb(recipe.mean),
        std=rgb(recipe.std),
        source="the weights' metadata",
    )


def _side(size: list[int]) -> int | tuple[int, int]:
    return int(size[0]) if len(size) == 1 else (int(size[0]), int(size[1]))


def _new_dense_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    # The published DenseNets were saved when torch still allowed "norm.1" as a module's name.
    return {_OLD_DENSE_LAYER.sub(r"\1", name): tensor for name, tensor in state.items()}
