"""The trained networks that come with pellucid: their weights, model cards and tables of truth."""

import json
from importlib.resources import files
from typing import Any

import safetensors.torch
from torch import nn

from pellucid.archive import digest
from pellucid.errors import CheckpointError, ModelError, did_you_mean
from pellucid.models.gcn import GCN
from pellucid.models.recipes.kinship import Reference
from pellucid.models.xai_cnn import XAI

_OF_GRAPHS = ("karate",)


def bundled() -> tuple[str, ...]:
    """The names of the networks that come with pellucid."""
    return ("animals", "animals-shortcut", *_OF_GRAPHS)


def load_bundled(name: str) -> tuple[nn.Module, dict[str, Any]]:
    """A bundled network in evaluation mode, and its model card.

    Args:
        name: One of `bundled()`.

    Returns:
        The network, and the card as JSON types: class names, preprocessing, training data, measurements, limits of use.

    Raises:
        ModelError: No bundled network has this name.
        CheckpointError: The installed files do not belong together.
    """
    card = _record(name, f"{name}.json")
    content = _bytes(f"{name}.safetensors")
    if digest(content) != card["weights_sha256"]:
        raise CheckpointError(f"the weights of {name} are not those of its model card; install pellucid again.")
    state = safetensors.torch.load(content)
    if card["architecture"]["class"] == "GCN":
        settings = {key: value for key, value in card["architecture"].items() if key != "class"}
        network: nn.Module = GCN(**settings)
    else:
        network = XAI(num_classes=card["architecture"]["num_classes"], width=card["architecture"]["width"])
    network.load_state_dict(state)
    return network.eval(), card


def load_truth(name: str) -> dict[str, Any]:
    """The exact Shapley values of the parts for some drawings and a bundled network, as JSON types.

    Raises:
        ModelError: No bundled network of drawings has this name.
    """
    _of_drawings(name)
    return _record(name, f"{name}-truth.json")


def load_kinship(name: str) -> Reference:
    """What is usual at a bundled network's BatchNorm layers.

    A picture whose `unlikeness` is above `card["kinship"]["limit"]` is not of the kind that it was trained on.

    Raises:
        ModelError: No bundled network of drawings has this name.
    """
    _of_drawings(name)
    return Reference.from_tensors(safetensors.torch.load(_bytes(f"{name}-kinship.safetensors")))


def _record(name: str, file: str) -> dict[str, Any]:
    _known(name)
    record: dict[str, Any] = json.loads(_bytes(file))
    return record


def _of_drawings(name: str) -> None:
    _known(name)
    if name in _OF_GRAPHS:
        raise ModelError(f"{name} looks at graphs, expected a network of drawings: animals or animals-shortcut.")


def _known(name: str) -> None:
    if name not in bundled():
        near = did_you_mean(name, list(bundled())) or f"; bundled are {', '.join(bundled())}."
        raise ModelError(f"no bundled model {name!r}{near}")


def _bytes(file: str) -> bytes:
    return (files("pellucid.models") / "weights" / file).read_bytes()
