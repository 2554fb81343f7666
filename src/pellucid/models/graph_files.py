"""Weights files of graph networks: safetensors that say which network they belong to, and the model card beside them.

The metadata hold one JSON record under the key `pellucid`: the settings of a `GCN`, and the names of its classes.
Nothing in it is run, and a network is made only where every tensor of the file fits it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from pellucid.archive import digest
from pellucid.errors import CheckpointError, SettingError
from pellucid.models.architecture import Architecture
from pellucid.models.checkpoints import Weights, sha256_of
from pellucid.models.gcn import GCN

KEY = "pellucid"


def saved_network(network: GCN, *, class_names: Sequence[str] | None, preparation: str | None) -> bytes:
    """A network as a safetensors file from which `pellucid.load` makes it again.

    Args:
        network: The network.
        class_names: Names of its outputs, or None.
        preparation: How the features of its graphs were prepared, one of `pellucid.inputs.graph_features.PREPARATIONS`;
            None for features as they are read.
    """
    record = {
        "class": "GCN",
        "settings": network.settings,
        "class_names": None if class_names is None else list(class_names),
        "preparation": preparation,
    }
    tensors = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    # One key only: with several, safetensors writes them in any order, and equal networks would make unequal files.
    content: bytes = safetensors.torch.save(tensors, metadata={KEY: json.dumps(record, sort_keys=True)})
    return content


def network_of(state: Mapping[str, Tensor], metadata: Mapping[str, str], *, file: str) -> tuple[GCN, dict[str, Any]]:
    """The network of a file in evaluation mode, and its record.

    Args:
        state: Tensors by name.
        metadata: What the file says about itself.
        file: Its name, for errors.

    Raises:
        CheckpointError: The record is damaged, asks for another network, or does not fit the tensors.
    """
    record = _record(metadata[KEY], file)
    settings = record["settings"]
    # Each layer has a tensor of its own, so more layers than tensors cannot be right; and would take for ever to make.
    if isinstance(settings.get("layers"), int) and settings["layers"] > len(state):
        raise CheckpointError(
            f"{file} says that its network has {settings['layers']:,} layers and holds {len(state)} tensors; it is "
            "damaged, train the model again."
        )
    try:
        with torch.device("meta"):
            network = GCN(**settings)
    except (TypeError, SettingError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{file} has settings that make no GCN: {reason.rstrip('.')}; train it again.") from error
    expected = network.state_dict()
    strangers = [
        name
        for name in sorted({*expected, *state})
        if name not in state or name not in expected or state[name].shape != expected[name].shape
    ]
    if strangers:
        raise CheckpointError(
            f"{file} does not fit its own settings: {len(strangers)} of {len(expected)} tensors are missing, unknown "
            f"or of another shape ({', '.join(strangers[:3])}); train the model again."
        )
    broken = [
        name for name, tensor in state.items() if tensor.is_floating_point() != expected[name].is_floating_point()
    ]
    if broken:
        kind = str(state[broken[0]].dtype).removeprefix("torch.")
        raise CheckpointError(f"{file} holds {kind} as {broken[0]}, which no GCN has; train the model again.")
    network.load_state_dict(dict(state), assign=True)
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    return network.eval(), record


def architecture_of(read: Weights, path: Path) -> Architecture:
    """A network with its weights, names and, where one lies beside the file, its model card.

    Raises:
        CheckpointError: See `network_of`.
    """
    network, record = network_of(read.state, read.metadata, file=read.file)
    card = _card_beside(path) or {"architecture": {"class": "GCN", **network.settings}, **record}
    card = {**card, "preparation": record.get("preparation")}  # what the weights say, not the file beside them
    names = record.get("class_names")
    notes: tuple[str, ...] = read.notes
    if record.get("preparation"):
        notes += (note_on_preparation(str(record["preparation"])),)
    return Architecture(
        module=network,
        name=path.stem,
        source=read.file,
        class_names=None if names is None else tuple(names),
        outputs=int(network.settings["classes"]),
        notes=notes,
        card=card,
    )


def note_on_preparation(preparation: str) -> str:
    """One sentence on what happens to the graphs that the network is given."""
    return f"it was trained on graphs with features that are {preparation!r}, and every graph it is given is made so"


def weights_beside(card: Path) -> Path:
    """The weights file that lies beside a model card and belongs to it.

    Raises:
        CheckpointError: The card is missing or is none, or the weights are missing or others.
    """
    found = _read_card(card)
    if found is None:
        what = "is no model card" if card.is_file() else "is missing"
        raise CheckpointError(f"{card.name} {what}, expected the .json beside weights; name the .safetensors.")
    weights = card.with_suffix(".safetensors")
    if not weights.is_file():
        raise CheckpointError(f"{weights.name} is missing beside its model card {card.name}; put it there.")
    if sha256_of(weights) != found["weights_sha256"]:
        raise CheckpointError(
            f"{weights.name} is not the file that {card.name} describes; train the model again, or name the weights."
        )
    return weights


def _card_beside(weights: Path) -> dict[str, Any] | None:
    card = _read_card(weights.with_suffix(".json"))
    return card if card is not None and card["weights_sha256"] == digest(weights.read_bytes()) else None


def _read_card(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("weights_sha256"), str) else None


def _record(text: str, file: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} has metadata that are no JSON ({error}); train the model again.") from error
    if not isinstance(record, dict) or record.get("class") != "GCN" or not isinstance(record.get("settings"), dict):
        raise CheckpointError(f"{file} says that it holds something else than a GCN; a newer pellucid may know it.")
    names, settings = record.get("class_names"), record["settings"]
    plain = isinstance(names, list) and all(isinstance(name, str) and name for name in names)
    if names is not None and (not plain or len(names) != settings.get("classes")):
        raise CheckpointError(f"{file} does not name each of its classes; give class_names= or train it again.")
    preparation = record.get("preparation")
    if preparation is not None and not isinstance(preparation, str):
        raise CheckpointError(f"{file} has a {type(preparation).__name__} as preparation, expected a word.")
    return record
