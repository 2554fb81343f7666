"""The recipe of the bundled network `karate`: who joins which side of Zachary's karate club, from two known members."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pellucid.inputs.karate import CLASS_NAMES, karate_club
from pellucid.models.recipes.graph_cards import write_model
from pellucid.models.recipes.node_fitting import NodeTask, NodeTraining, Progress, fit_nodes

_LIMITS = (
    "It knows the 34 members by their numbers and nothing about any other graph.",
    "Made for teaching: two labels in, 32 answers out.",
)


def train_karate(out: Path, *, seed: int = 0, epochs: int = 200, progress: Progress | None = None) -> dict[str, Any]:
    """Train the network from nothing and write karate.safetensors and its model card karate.json.

    A graph convolutional network of two layers sees the whole club and is told the side of the two leaders only.
    The same arguments make the same weights, bit by bit, on the same machine with the same versions.

    Args:
        out: The folder to write to; files of the same names are replaced.
        seed: Of the first weights and of dropout.
        epochs: How many steps.
        progress: Called with steps done, steps in all and what is going on.

    Returns:
        The model card.

    Raises:
        SettingError: A number makes no sense.
        OSError: The folder cannot be written to.
    """
    started = time.perf_counter()
    club = karate_club()
    settings = NodeTraining(seed=seed, epochs=epochs, window=0)
    fitted = fit_nodes(NodeTask.of(club), settings, progress=progress)
    known = [club.node_name(int(node)) for node in club.splits["train"].nonzero()[0]]
    facts = {
        "data": {
            "what": "Zachary's karate club (1977), as networkx has it: 34 members, 78 friendships without weights",
            "features": "none: the identity matrix",
            "graph_sha256": club.digest,
            "known_labels": known,
        },
        "training": asdict(settings),
        "accuracy": fitted.accuracy,
        "limits_of_use": list(_LIMITS),
        "seconds": {"training": time.perf_counter() - started},
    }
    return write_model(
        out,
        fitted.network,
        name="karate",
        class_names=CLASS_NAMES,
        feature_names=club.node_names,
        preparation=None,
        seed=seed,
        facts=facts,
    )
