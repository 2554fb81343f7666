"""The recipe for Cora and other citation networks in the format of planetoid, with the settings of Kipf & Welling."""

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_features import prepared
from pellucid.models.recipes.data_sets import one_graph
from pellucid.models.recipes.graph_cards import write_model
from pellucid.models.recipes.node_fitting import NodeTask, NodeTraining, Progress, fit_nodes

PREPARATION: Final = "row-normalised"
PUBLISHED: Final[Mapping[str, float]] = {"cora": 0.815, "citeseer": 0.703, "pubmed": 0.790}
"""Test accuracy in Kipf & Welling, ICLR 2017, table 2: the mean of 100 runs."""
_EXPECTED: Final = "a folder with ind.NAME.x, ind.NAME.graph and so on"
# The files number the classes and do not name them. These names are those of the same papers in the files of Shchur et
# al. 2018, found by comparing all rows of features.
_CLASS_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "cora": (
        "Theory",
        "Reinforcement Learning",
        "Genetic Algorithms",
        "Neural Networks",
        "Probabilistic Methods",
        "Case Based",
        "Rule Learning",
    )
}
_LIMITS: Final = (
    "Trained on the nodes of one graph with the labels of a few; other graphs need the same words in the same columns.",
)


def citation_task(place: Path) -> NodeTask:
    """The citation network in a folder, ready for training: features row-normalised and sparse, classes named.

    Raises:
        InputError: There is none.
    """
    return NodeTask.of(_named(prepared(one_graph(place, expected=_EXPECTED), PREPARATION)))


def train_planetoid(
    out: Path, *, data: Path, seed: int = 0, epochs: int = 200, progress: Progress | None = None
) -> dict[str, Any]:
    """Train a graph convolutional network on a citation network, and write planetoid.safetensors and planetoid.json.

    Two layers, 16 hidden channels, dropout .5, Adam with rate .01, L2 penalty 5e-4 on the first layer, at most 200
    epochs, ended early on the validation loss with a window of 10; features row-normalised; the usual split.
    The same arguments make the same weights, bit by bit, on the same machine with the same versions.

    Args:
        out: The folder to write to; files of the same names are replaced.
        data: A folder with ind.NAME.x, ind.NAME.graph and so on.
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
        Kipf & Welling, Semi-Supervised Classification with Graph Convolutional Networks, ICLR 2017.
    """
    task = citation_task(data)
    started = time.perf_counter()
    settings = NodeTraining(seed=seed, epochs=epochs)
    fitted = fit_nodes(task, settings, progress=progress)
    graph = task.graph
    facts = {
        "data": {
            "what": f"the citation network {graph.name!r} in the split of planetoid",
            "nodes": graph.num_nodes,
            "edges": graph.num_edges,
            "graph_sha256": graph.digest,
            "split": {name: len(places) for name, places in task.places.items()},
        },
        "training": {**asdict(settings), "epochs_taken": fitted.epochs},
        "accuracy": fitted.accuracy,
        "published": {"test": PUBLISHED.get(graph.name.lower())},
        "limits_of_use": list(_LIMITS),
        "seconds": {"training": time.perf_counter() - started},
    }
    return write_model(
        out,
        fitted.network,
        name="planetoid",
        class_names=graph.class_names or tuple(f"class {number}" for number in range(task.classes)),
        feature_names=graph.feature_names,
        preparation=PREPARATION,
        seed=seed,
        facts=facts,
    )


def _named(graph: Graph) -> Graph:
    names = _CLASS_NAMES.get(graph.name.lower())
    if graph.class_names is not None or names is None or graph.labels is None or graph.labels.max() >= len(names):
        return graph
    return replace(graph, class_names=names)
