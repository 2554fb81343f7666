"""What every recipe for graphs writes: weights that say which network they belong to, and a model card."""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import torch

from pellucid.archive import digest, dump_json, write_whole
from pellucid.models.gcn import GCN
from pellucid.models.graph_files import saved_network


def write_model(
    out: Path,
    network: GCN,
    *,
    name: str,
    class_names: Sequence[str],
    feature_names: Sequence[str] | None,
    preparation: str | None,
    seed: int,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Write NAME.safetensors and NAME.json, each whole or not at all.

    Args:
        out: The folder.
        network: The trained network.
        name: Of both files.
        class_names: Names of its outputs.
        feature_names: What each feature of a node is, or None where that is not known.
        preparation: See `saved_network`.
        seed: Of all random draws.
        facts: What else the card says: data, training, accuracy, limits of use, seconds.

    Returns:
        The model card.
    """
    content = saved_network(network, class_names=class_names, preparation=preparation)
    card = {
        "name": name,
        "architecture": {"class": "GCN", **network.settings},
        "class_names": list(class_names),
        "feature_names": None if feature_names is None else list(feature_names),
        "preparation": preparation,
        "seed": seed,
        **facts,
        "weights_sha256": digest(content),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
    }
    write_whole(out / f"{name}.safetensors", content)
    # The card names the digest of the weights, so it comes last: a card without its weights cannot be.
    write_whole(out / f"{name}.json", dump_json(card).encode())
    return card
