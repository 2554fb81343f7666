"""Training on whole graphs, and the two protocols: what they look at, and when."""

from typing import Any

import numpy as np
import pytest
import torch

from pellucid.errors import InputError, SettingError
from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_set import GraphSet
from pellucid.models.recipes import graph_fitting
from pellucid.models.recipes.graph_fitting import (
    Curves,
    Folds,
    GraphTask,
    GraphTraining,
    by_inner_validation,
    by_mean_curve,
    fit_graphs,
)

QUICK = GraphTraining(epochs=4, layers=2, hidden=8, batch=8)


def rings_and_stars(count: int = 40) -> GraphSet:
    graphs = []
    for number in range(count):
        size = 5 + number % 7
        star = [(0, node) for node in range(1, size)]
        ring = [(node, (node + 1) % size) for node in range(size)]
        edges = star if number % 2 else ring
        graphs.append(Graph(edges=edges, features=np.ones((size, 1), dtype=np.float32), label=number % 2))
    return GraphSet(graphs=tuple(graphs), name="shapes", class_names=("ring", "star"))


@pytest.fixture(scope="module")
def task() -> GraphTask:
    return GraphTask.of(rings_and_stars())


def test_what_can_be_learnt_is_learnt(task: GraphTask) -> None:
    parts = {"test": np.arange(30, 40)}
    found = fit_graphs(task, np.arange(30), GraphTraining(epochs=15, layers=2, hidden=8, batch=8), watched=parts)
    assert found.accuracy["test"].shape == (15,)
    assert found.accuracy["test"][-1] == 1
    assert not found.network.training


def test_the_network_is_that_of_the_paper(task: GraphTask) -> None:
    assert task.network(GraphTraining()).settings == {
        "in_features": 1,
        "classes": 2,
        "hidden": 32,
        "layers": 5,
        "level": "graph",
        "convolution": "gin",
        "readout": "sum",
        "every_layer": True,
        "dropout": 0.0,
        "batch_norm": True,
        "residual": False,
    }


def test_the_same_seed_makes_the_same_bits_watched_or_not(task: GraphTask) -> None:
    first = fit_graphs(task, np.arange(20), QUICK).network.state_dict()
    again = fit_graphs(task, np.arange(20), QUICK, watched={"test": np.arange(20, 40)}).network.state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())


class Watch:
    """Stands for training: remembers what it was given, and returns curves that were laid down."""

    def __init__(self, curves: dict[str, list[list[float]]]) -> None:
        self.curves, self.seen = curves, []  # type: ignore[var-annotated]

    def __call__(self, task: Any, train: np.ndarray, settings: Any, *, watched: Any, **rest: Any) -> Curves:
        fold = len(self.seen)
        self.seen.append((train, watched, settings.seed))
        return Curves(network=None, accuracy={name: np.array(rows[fold]) for name, rows in self.curves.items()})  # type: ignore[arg-type]


def test_the_mean_curve_chooses_one_epoch_for_all_folds(task: GraphTask, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch({"test": [[0.1, 0.8, 0.9], [0.2, 0.9, 0.6]]})
    monkeypatch.setattr(graph_fitting, "fit_graphs", watch)
    found = by_mean_curve(task, QUICK, folds=2)
    assert (found.values, found.epochs) == ((0.8, 0.9), (2, 2))
    assert found.mean == pytest.approx(0.85)
    assert found.deviation == pytest.approx(0.05)
    for train, watched, _ in watch.seen:
        assert sorted([*train, *watched["test"]]) == list(range(40))
    assert [seed for _, _, seed in watch.seen] == [0, 1]


def test_inner_validation_chooses_without_the_held_out_fold(task: GraphTask, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch({"val": [[0.5, 0.9, 0.9], [1.0, 0.1, 0.2]], "test": [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]})
    monkeypatch.setattr(graph_fitting, "fit_graphs", watch)
    found = by_inner_validation(task, QUICK, folds=2)
    assert (found.values, found.epochs) == ((0.3, 0.4), (3, 1)), "of equally good epochs the last one counts"
    tested = []
    for train, watched, _ in watch.seen:
        assert sorted([*train, *watched["val"], *watched["test"]]) == list(range(40))
        assert len(watched["val"]) == 2
        tested += watched["test"].tolist()
    assert sorted(tested) == list(range(40))


@pytest.mark.parametrize("protocol", [by_mean_curve, by_inner_validation])
def test_a_protocol_runs_and_tells_how_far_it_is(task: GraphTask, protocol: Any) -> None:
    seen: list[tuple[int, int]] = []
    found: Folds = protocol(task, QUICK, folds=2, progress=lambda done, total, what: seen.append((done, total)))
    assert len(found.values) == 2
    assert seen == [(done, 8) for done in range(1, 9)]


def test_graphs_without_classes_are_refused() -> None:
    one = Graph(edges=[(0, 1)], features=np.ones((2, 1), dtype=np.float32), label=0.5)
    with pytest.raises(InputError, match="the graphs of 'graphs' have no classes"):
        GraphTask.of(GraphSet(graphs=(one,)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch": 1}, "batch is 1, expected 2 or more"),
        ({"halving": 0}, "halving is 0, expected 1 or more"),
        ({"rate": -1.0}, "rate is -1.0, expected 0 or more"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        GraphTraining(**given)
