"""The recipe for data sets of graphs in the TU format, MUTAG and its like: a graph isomorphism network."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from pellucid.inputs.graph_set import GraphSet
from pellucid.models.recipes.data_sets import many_graphs
from pellucid.models.recipes.graph_batches import stratified
from pellucid.models.recipes.graph_cards import write_model
from pellucid.models.recipes.graph_fitting import (
    Folds,
    GraphTask,
    GraphTraining,
    Progress,
    by_inner_validation,
    by_mean_curve,
    fit_graphs,
)

PUBLISHED: Final[Mapping[str, Mapping[str, tuple[float, float]]]] = {
    "mean_curve": {"MUTAG": (0.894, 0.056), "PROTEINS": (0.762, 0.028)},
    "inner_validation": {"PROTEINS": (0.733, 0.040)},
}
"""Mean and deviation over ten folds: Xu et al. 2019, table 1 (GIN-0), and Errica et al. 2020, table 3."""
HELD_OUT: Final = 10
"""One part in so many is held out from the network that is written."""
SPLIT_SEED: Final = 0
_EXPECTED: Final = "a folder with NAME_A.txt, NAME_graph_indicator.txt and so on"
_LIMITS: Final = (
    "Trained on one data set; other graphs need the same node types in the same columns.",
    "Edge types and edge features are not used.",
)


def settings_for(graphs: GraphSet, *, seed: int = 0, epochs: int | None = None) -> GraphTraining:
    """How to train on a data set: 150 epochs in batches of 32 graphs; from 1 000 graphs on 100 epochs in those of 128.

    Args:
        graphs: The data set.
        seed: Of the first weights and the batches.
        epochs: How often each graph is seen, if not as often as that.
    """
    usual, batch = (150, 32) if len(graphs) < 1000 else (100, 128)
    return GraphTraining(seed=seed, epochs=usual if epochs is None else epochs, batch=batch)


def published(name: str, protocol: str) -> dict[str, float] | None:
    """What was published for a data set under a protocol: mean and deviation; None where nothing is known here."""
    known = PUBLISHED[protocol].get(name.upper().removesuffix("_FULL"))
    return None if known is None else {"mean": known[0], "deviation": known[1]}


def train_tudataset(
    out: Path,
    *,
    data: Path,
    seed: int = 0,
    epochs: int | None = None,
    folds: int = 10,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a graph isomorphism network on a data set of graphs, and write tudataset.safetensors and tudataset.json.

    Five layers, 32 channels, the sums over the nodes of all layers side by side, batch norm, Adam with rate .01 halved
    every 50 epochs. It is measured in ten folds under both protocols of the literature (`by_mean_curve`,
    `by_inner_validation`); the network that is written is trained once more on all but a tenth of the graphs.
    The same arguments make the same weights, bit by bit, on the same machine with the same versions.

    Args:
        out: The folder to write to; files of the same names are replaced.
        data: A folder with NAME_A.txt, NAME_graph_indicator.txt and so on.
        seed: Of the first weights and the batches; the folds stay as they are.
        epochs: How often each graph is seen; None takes what `settings_for` says.
        folds: How many parts the data set is cut into for measuring; 0 measures on the held-out tenth only.
        progress: Called with steps done, steps in all and what is going on.

    Returns:
        The model card.

    Raises:
        InputError: The folder holds something else, or is damaged.
        SettingError: A number makes no sense.
        OSError: The folder cannot be written to.

    Reference:
        Xu et al., How Powerful are Graph Neural Networks?, ICLR 2019.
    """
    graphs = many_graphs(data, expected=_EXPECTED)
    started = time.perf_counter()
    task, settings = GraphTask.of(graphs), settings_for(graphs, seed=seed, epochs=epochs)
    measured: dict[str, Any] = {}
    known: dict[str, Any] = {}
    if folds:
        for name, protocol in (("mean_curve", by_mean_curve), ("inner_validation", by_inner_validation)):
            found = protocol(task, settings, folds=folds, split_seed=SPLIT_SEED, progress=progress)
            measured[name] = record_of(found)
            known[name] = published(graphs.name, name)
    ended = time.perf_counter()
    held_out, *others = stratified(task.labels.numpy(), HELD_OUT, seed=SPLIT_SEED)
    train = np.sort(np.concatenate(others))
    fitted = fit_graphs(task, train, settings, watched={"test": held_out}, progress=progress, what="training")
    facts = {
        "data": {
            "what": f"the data set {graphs.name!r}",
            "graphs": len(graphs),
            "held_out": held_out.tolist(),
            "split_seed": SPLIT_SEED,
        },
        "training": asdict(settings),
        "accuracy": {"test": float(fitted.accuracy["test"][-1]), **measured},
        "published": known,
        "limits_of_use": list(_LIMITS),
        "seconds": {"measuring": ended - started, "training": time.perf_counter() - ended},
    }
    return write_model(
        out,
        fitted.network,
        name="tudataset",
        class_names=graphs.class_names or (),
        feature_names=graphs[0].feature_names,
        preparation=None,
        seed=seed,
        facts=facts,
    )


def record_of(found: Folds) -> dict[str, Any]:
    """What a protocol measured, in JSON types."""
    return {
        "mean": found.mean,
        "deviation": found.deviation,
        "folds": list(found.values),
        "epochs": list(found.epochs),
    }
