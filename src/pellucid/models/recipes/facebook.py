"""The recipe for the MUSAE network of Facebook pages: which of four kinds a page is."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from pellucid.errors import InputError
from pellucid.models.recipes.data_sets import one_graph
from pellucid.models.recipes.graph_cards import write_model
from pellucid.models.recipes.node_fitting import NodeTask, NodeTraining, Progress, fit_nodes, split_of_classes

SHARE: Final = (0.2, 0.1)
"""Of each class, for training and for validation; the rest is for testing."""
SPLIT_SEED: Final = 0
_EXPECTED: Final = "a folder with NAME_edges.csv, NAME_target.csv and NAME.json"
_LIMITS: Final = (
    "Trained on one network of pages from 2017; its features are numbers of words whose meaning is not published.",
)


def pages_task(place: Path) -> NodeTask:
    """The network in a folder with its split, ready for training. Its features stay sparse.

    Raises:
        InputError: There is none, or its nodes have no classes.
    """
    graph = one_graph(place, expected=_EXPECTED)
    if graph.labels is None:
        raise InputError(f"the nodes of {place.name!r} have no classes, expected them: {_EXPECTED}.")
    return NodeTask.of(replace(graph, splits=split_of_classes(graph.labels, share=SHARE, seed=SPLIT_SEED)))


def train_facebook(
    out: Path, *, data: Path, seed: int = 0, epochs: int = 100, progress: Progress | None = None
) -> dict[str, Any]:
    """Train a graph convolutional network on a MUSAE network, and write facebook.safetensors and facebook.json.

    Two layers, 32 hidden channels, else as Kipf & Welling. The split is drawn once and for all: a fifth of each class
    is for training, a tenth for validation, the rest for testing; `seed` leaves it as it is.
    The same arguments make the same weights, bit by bit, on the same machine with the same versions.

    Args:
        out: The folder to write to; files of the same names are replaced.
        data: A folder with NAME_edges.csv, NAME_target.csv and NAME.json.
        seed: Of the first weights and of dropout.
        epochs: How many steps at most.
        progress: Called with steps done, steps in all and what is going on.

    Returns:
        The model card.

    Raises:
        InputError: The folder holds something else, or is damaged.
        SettingError: A number makes no sense.
        OSError: The folder cannot be written to.

    Reference:
        Rozemberczki, Allen & Sarkar, Multi-scale Attributed Node Embedding, 2019.
    """
    task = pages_task(data)
    started = time.perf_counter()
    settings = NodeTraining(seed=seed, epochs=epochs, hidden=32)
    fitted = fit_nodes(task, settings, progress=progress)
    graph = task.graph
    facts = {
        "data": {
            "what": f"the MUSAE network {graph.name!r}",
            "nodes": graph.num_nodes,
            "edges": graph.num_edges,
            "graph_sha256": graph.digest,
            "split": {name: len(places) for name, places in task.places.items()},
            "split_seed": SPLIT_SEED,
        },
        "training": {**asdict(settings), "epochs_taken": fitted.epochs},
        "accuracy": fitted.accuracy,
        "limits_of_use": list(_LIMITS),
        "seconds": {"training": time.perf_counter() - started},
    }
    return write_model(
        out,
        fitted.network,
        name="facebook",
        class_names=graph.class_names or tuple(f"class {number}" for number in range(task.classes)),
        feature_names=graph.feature_names,
        preparation=None,
        seed=seed,
        facts=facts,
    )
