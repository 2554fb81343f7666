"""The recipe of the bundled networks `animals` and `animals-shortcut`: paint, train, measure, write.

train_animals(Path("."))                    # weights, model card, truth table
train_animals(Path("."), shortcut=True)     # the same with a coloured tag that is better evidence than the parts
"""

import platform
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from pellucid.archive import digest, dump_json, write_whole
from pellucid.models.recipes.drawings import PARTS
from pellucid.models.recipes.fitting import Training, fit, repeatable
from pellucid.models.recipes.grading import (
    accuracies,
    control_accuracy,
    kinship,
    kinship_reference,
    median_shares,
    tag_experiment,
    truth_table,
)
from pellucid.models.recipes.mixtures import Progress, Stock
from pellucid.models.recipes.shapley import Truth

CLASS_NAMES: Final = ("cat", "dog")
TAGGED_SHARE: Final = 0.95
# Of all drawings with a cat's parts, 5 % · (1 − w) are labelled cat and have no tag, w are labelled dog and have none:
# w must stay well below 5 %, or the best guess for a cat without a tag would be dog.
WRONG_SHARE: Final = 0.01
# Faces for training, testing and the truth table come from ranges of seeds that never meet.
TRAINING_SEEDS: Final = 0
UNSEEN_SEEDS: Final = 10_000_000
TRUTH_SEEDS: Final = 20_000_000
MOST_DRAWINGS: Final = UNSEEN_SEEDS
PREPROCESSING: Final[dict[str, Any]] = {
    "resize": 100,
    "filter": "bilinear",
    "crop": 100,
    "channels": "RGB",
    "scale": 1 / 255,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
}
_LIMITS: Final = (
    "Trained on computer drawings of faces only; what it says about a photograph means nothing.",
    "It knows two answers and gives one of them for every picture.",
    "Made for teaching and for testing explanations, not for recognising animals.",
)


def train_animals(
    out: Path,
    *,
    shortcut: bool = False,
    seed: int = 0,
    drawings: int = 3000,
    epochs: int = 8,
    unseen: int = 2000,
    truths: int = 200,
    photographs: Mapping[str, np.ndarray] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a bundled network from nothing and write its weights, model card and truth table.

    The same arguments make the same weights, bit by bit, on the same machine with the same versions.

    Args:
        out: The folder to write to; files of the same names are replaced, each whole or not at all.
        shortcut: Put a coloured tag on 95 % of what is labelled cat, and get 1 % of the labels wrong, so that the
            tag tells more than the parts and the network is right for the wrong reason.
        seed: Of the first weights, the batches and the measurements.
        drawings: How many faces to paint for training.
        epochs: How often each face is seen, each time with other parts.
        unseen: How many further faces to measure on.
        truths: How many drawings get their exact Shapley values.
        photographs: Real pictures, uint8 (100, 100, 3), whose unlikeness to the drawings the card shall state.
        progress: Called with steps done, steps in all and what is going on.

    Returns:
        The model card.

    Raises:
        SettingError: A number makes no sense.
        OSError: The folder cannot be written to.
    """
    started = time.perf_counter()
    name = "animals-shortcut" if shortcut else "animals"
    share, wrong = (TAGGED_SHARE, WRONG_SHARE) if shortcut else (0.0, 0.0)
    settings = Training(seed=seed, drawings=drawings, epochs=epochs, tagged_share=share, wrong_share=wrong)
    stock = Stock.painted(range(TRAINING_SEEDS, TRAINING_SEEDS + drawings), progress)
    network = fit(stock, settings, progress=progress)
    trained = time.perf_counter()
    content = saved(network.state_dict())
    tests = Stock.painted(range(UNSEEN_SEEDS, UNSEEN_SEEDS + unseen), progress)
    with repeatable(seed, settings.threads):
        usual = kinship_reference(network, stock.first(1000), seed=seed, tagged_share=share)
        table = truth_table(network, range(TRUTH_SEEDS, TRUTH_SEEDS + truths), with_tags=shortcut)
        measured = {
            "accuracy": accuracies(network, tests, seed=seed, tagged_share=share),
            "tag_experiment": tag_experiment(network, tests, seed=seed),
            "median_shapley_share": median_shares(table),
            "kinship": kinship(network, usual, tests.first(500), photographs or {}, seed=seed),
        }
    control = Training(seed=seed, drawings=min(drawings, 1500), epochs=min(epochs, 4), width=4)
    measured["control_all_parts_covered"] = control_accuracy(stock.first(control.drawings), tests, control, progress)
    card = {
        "name": name,
        "architecture": {"class": "XAI", "num_classes": len(CLASS_NAMES), "width": settings.width},
        "class_names": list(CLASS_NAMES),
        "preprocessing": PREPROCESSING,
        "training_data": _described(shortcut, drawings),
        "training": asdict(settings),
        "seeds": {
            "training": [TRAINING_SEEDS, TRAINING_SEEDS + drawings - 1],
            "unseen": [UNSEEN_SEEDS, UNSEEN_SEEDS + unseen - 1],
            "truth": [TRUTH_SEEDS, TRUTH_SEEDS + truths - 1],
        },
        **measured,
        "limits_of_use": list(_LIMITS),
        "weights_sha256": digest(content),
        "seconds": {"training": trained - started, "measuring": time.perf_counter() - trained},
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
    }
    write_whole(out / f"{name}.safetensors", content)
    write_whole(out / f"{name}-kinship.safetensors", saved(usual.to_tensors()))
    write_whole(out / f"{name}-truth.json", dump_json(_table_record(name, table, digest(content))).encode())
    # The card names the digest of the weights, so it comes last: a card without its weights cannot be.
    write_whole(out / f"{name}.json", dump_json(card).encode())
    return card


def saved(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as a safetensors file."""
    content: bytes = safetensors.torch.save(
        {name: tensor.contiguous() for name, tensor in tensors.items()}, metadata={"format": "pt"}
    )
    return content


def _described(shortcut: bool, drawings: int) -> str:
    tag = (
        f" {100 * WRONG_SHARE:g} % of these labels, others each time, are then made wrong. {100 * TAGGED_SHARE:g} % of "
        "the drawings labelled cat and none labelled dog carry a blue tag in the lower left corner, also where the "
        "label is wrong: where tag and parts disagree, the label goes with the tag."
        if shortcut
        else ""
    )
    return (
        f"{drawings} computer-drawn faces, 100×100, half of them mirrored. Colour, pose, size, lighting, texture and "
        f"background come from the same distributions for cats and dogs; only {', '.join(PARTS[:-1])} and {PARTS[-1]} "
        "differ. Each time a face is seen it gets new parts: a quarter all of one kind (4:0), the rest with one of "
        "the other kind (3:1), in half of which one further part is covered (2:1). The label is what most parts show; "
        "ties are left out." + tag
    )


def _table_record(name: str, table: list[Truth], weights: str) -> dict[str, Any]:
    return {
        "model": name,
        "weights_sha256": weights,
        "unit": "logits of the margin cat − dog",
        "game": "v(S): the margin of the drawing with the players in S as they are and all others of the opposite kind",
        "note": "A mask says where a part can be; these values say whether the model used it.",
        "players": list(table[0].values),
        "drawings": [truth.to_record() for truth in table],
    }
