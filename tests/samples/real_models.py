"""Real networks of the shared data, and photographs to go with them."""

import importlib.util
import json
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

import pellucid
from pellucid.models.preprocessing import Preprocessing

NAMES = ("squeezenet1_0", "mobilenet_v2", "resnet20_cifar10", "resnet56_cifar10")


@lru_cache(maxsize=1)
def architectures(shared_data: Path) -> ModuleType:
    """The module that says how each network is built, prepared and which folder of photographs it knows."""
    spec = importlib.util.spec_from_file_location("shared_architectures", shared_data / "models" / "architectures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


def loaded(name: str, shared_data: Path) -> pellucid.Model:
    """A network with its real weights, its preprocessing and its class names."""
    build, prep, _ = architectures(shared_data).MODELS[name]
    preprocessing = Preprocessing(resize=prep.resize, crop=prep.crop, mean=prep.mean, std=prep.std, source="flags")
    folder = shared_data / "models" / name
    return pellucid.load(
        folder / "model.safetensors",
        architecture=build(),
        preprocessing=preprocessing,
        class_names=folder / "labels.json",
    )


def module(name: str, shared_data: Path) -> nn.Module:
    """The same as a bare module in eval mode."""
    return loaded(name, shared_data).module.eval()


def photographs(name: str, shared_data: Path, *, count: int) -> tuple[list[Path], dict[str, dict[str, object]]]:
    """Photographs that a network knows, spread over its folder; and the labels of all."""
    folder = shared_data / "images" / architectures(shared_data).MODELS[name][2]
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    step = max(1, len(labels) // count)
    return [folder / file for file in list(labels)[::step][:count]], labels


def plain_hooks(module: nn.Module, batch: Tensor) -> dict[str, Tensor]:
    """What every leaf returned at its last call, copied at once."""
    kept: dict[str, Tensor] = {}
    handles = [
        part.register_forward_hook(lambda _m, _i, out, name=path: kept.__setitem__(name, out.clone()))
        for path, part in module.named_modules()
        if not list(part.children())
    ]
    with torch.no_grad():
        module(batch)
    for handle in handles:
        handle.remove()
    return kept
