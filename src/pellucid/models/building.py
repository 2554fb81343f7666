"""What a source stands for, before other weights go into it."""

from dataclasses import replace
from pathlib import Path
from typing import cast

from torch import nn

from pellucid.errors import SettingError
from pellucid.models.architecture import Architecture, Cached, kept_random_state
from pellucid.models.bundled import load_bundled
from pellucid.models.checkpoints import Weights
from pellucid.models.preprocessing import Preprocessing
from pellucid.models.python_files import build_from_file
from pellucid.models.seed import SIDE, assumed_for_seed, size_of
from pellucid.models.sources import SEED, Source
from pellucid.models.unwrapping import unwrapped
from pellucid.models.xai_cnn import XAI


def from_module(module: nn.Module) -> Architecture:
    """A module that the user passed; it stays as it is."""
    module, notes = unwrapped(module)
    name = type(module).__name__
    return Architecture(module=module, name=name, source=name, outputs=outputs_of(module), notes=notes, ours=False)


def from_library(source: Source, *, num_classes: int | None, trained: bool) -> Architecture:
    """An untrained model of torchvision or timm."""
    # Imported here: each of the two libraries takes seconds, and may be missing.
    if source.kind == "timm":
        from pellucid.models.timm_models import build_timm as build
    else:
        from pellucid.models.torchvision_models import build_torchvision as build
    return build(source.name, num_classes=num_classes, trained=trained)


def cached_weights(source: Source) -> Cached:
    """Where torchvision or timm keeps the weights of a name on this machine."""
    if source.kind == "timm":
        from pellucid.models.timm_models import cached_timm as cached
    else:
        from pellucid.models.torchvision_models import cached_torchvision as cached
    return cached(source.name)


def built_from(source: Source, weights: Weights | None, *, trust: bool, num_classes: int | None) -> Architecture:
    """The network of a name.

    Args:
        source: The name, taken apart; not a weights file.
        weights: What will go in; its shapes say the size of a seed network. None for what the name brings along.
        trust: Whether a Python file may run.
        num_classes: Outputs, for the kinds that pellucid can size.
    """
    if source.kind in ("torchvision", "timm"):
        return _with_assumed_metadata(from_library(source, num_classes=num_classes, trained=weights is not None))
    if source.kind == "seed":
        return _seed(weights, num_classes)
    if num_classes is not None:
        raise SettingError(
            "num_classes", given=num_classes, expected=f"nothing: {source.stem!r} has its own number of outputs"
        )
    if source.kind == "bundled":
        return _bundled(source.name)
    with kept_random_state(seed=None):
        module, notes = unwrapped(build_from_file(cast(Path, source.file), source.name, trust=trust))
    name = type(module).__name__
    return Architecture(module=module.eval(), name=name, source=source.stem, outputs=outputs_of(module), notes=notes)


def outputs_of(module: nn.Module) -> int | None:
    """How many outputs a module says it has; None where it does not say."""
    count = getattr(module, "num_classes", None)
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else None


def _with_assumed_metadata(built: Architecture) -> Architecture:
    if built.preprocessing is None:
        return built
    what = "preprocessing and class names were" if built.class_names else "the preprocessing was"
    note = f"{what} taken from the default weights' metadata, and it is assumed that they fit"
    known = replace(built.preprocessing, source="the default weights' metadata")
    return replace(built, preprocessing=known, notes=(*built.notes, note))


def _bundled(name: str) -> Architecture:
    with kept_random_state():
        module, card = load_bundled(name)
    names = tuple(card["class_names"])
    prepared = card.get("preprocessing")
    return Architecture(
        module=module.eval(),
        name=name,
        source=name,
        preprocessing=prepared and Preprocessing.from_record({"source": "the model card", **prepared}),
        class_names=names,
        outputs=len(names),
        card=card,
    )


def _seed(weights: Weights | None, num_classes: int | None) -> Architecture:
    """The seed network at the size that its weights have."""
    size = None if weights is None else size_of({name: tensor.shape for name, tensor in weights.state.items()})
    width, classes = size or (64, 2)
    classes = num_classes or classes
    with kept_random_state():
        module = XAI(num_classes=classes, width=width).eval()
    prepared = assumed_for_seed()
    note = f"the seed network was made for pictures of {SIDE}×{SIDE}; the rest was assumed: {prepared.describe()}"
    return Architecture(module=module, name=SEED, source=SEED, preprocessing=prepared, outputs=classes, notes=(note,))
