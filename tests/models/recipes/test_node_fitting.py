"""Training on nodes: what stops it, what is penalised, what is counted."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pellucid.errors import InputError, SettingError
from pellucid.inputs.graph import Graph
from pellucid.inputs.karate import karate_club
from pellucid.models.gcn import GCN
from pellucid.models.recipes.node_fitting import NodeTask, NodeTraining, fit_nodes, split_of_classes, spread


def ring(nodes: int = 60, seed: int = 0) -> Graph:
    """Two classes on two halves of a ring, with noisy features and a split into three."""
    chance = np.random.default_rng(seed)
    labels = (np.arange(nodes) >= nodes // 2).astype(np.int64)
    features = chance.normal(size=(nodes, 6)) + labels[:, np.newaxis]
    edges = np.stack([np.arange(nodes), (np.arange(nodes) + 1) % nodes], axis=1)
    splits = split_of_classes(labels, share=(0.2, 0.3), seed=seed)
    return Graph(edges=edges, features=features.astype(np.float32), labels=labels, splits=splits, name="ring")


def test_the_same_seed_makes_the_same_bits_and_another_seed_others() -> None:
    task = NodeTask.of(ring())
    first, again, other = (fit_nodes(task, NodeTraining(seed=seed, epochs=5)).network for seed in (0, 0, 1))
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert not torch.equal(first.convolutions[0].linear.weight, other.convolutions[0].linear.weight)


def test_training_leaves_the_random_state_and_the_threads_alone() -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    fit_nodes(NodeTask.of(ring()), NodeTraining(epochs=2))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_without_dropout_it_is_plain_adam_with_a_penalty_on_the_first_layer_alone() -> None:
    graph = replace(ring(), splits={"train": ring().splits["train"]})
    task = NodeTask.of(graph)
    settings = NodeTraining(seed=3, epochs=7, dropout=0.0, decay=0.1, window=0)
    torch.manual_seed(3)
    net = GCN(6, 2, dropout=0.0)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    train = torch.from_numpy(np.flatnonzero(graph.splits["train"]))
    for _ in range(7):
        penalty = sum(each.square().sum() for each in net.convolutions[0].parameters()) * 0.05
        loss = F.cross_entropy(net(task.x, task.edge_index)[train], task.labels[train]) + penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(fit_nodes(task, settings).network.state_dict(), net.state_dict(), atol=1e-5, rtol=1e-4)


def test_training_ends_at_the_first_epoch_above_the_mean_of_the_window_before() -> None:
    found = fit_nodes(NodeTask.of(ring()), NodeTraining(epochs=400, window=5, rate=0.1, dropout=0.8))
    losses = found.losses
    above = [epoch for epoch in range(6, len(losses)) if losses[epoch] > np.mean(losses[epoch - 5 : epoch])]
    assert above == [len(losses) - 1]
    assert found.epochs == len(losses) < 400


def test_a_window_of_zero_never_ends_training() -> None:
    found = fit_nodes(NodeTask.of(ring()), NodeTraining(epochs=30, window=0, rate=0.5))
    assert (found.epochs, found.losses) == (30, ())


def test_the_accuracy_of_each_split_is_that_of_the_network() -> None:
    graph = ring()
    found = fit_nodes(NodeTask.of(graph), NodeTraining(epochs=20))
    task = NodeTask.of(graph)
    right = found.network(task.x, task.edge_index).argmax(dim=1).numpy() == graph.labels
    assert found.accuracy == {
        **{name: right[mask].mean() for name, mask in graph.splits.items()},
        "all": right.mean(),
    }


def test_nodes_of_unknown_class_are_left_out() -> None:
    labels = ring().labels.copy()  # type: ignore[union-attr]
    labels[::2] = -1
    task = NodeTask.of(replace(ring(), labels=labels))
    assert len(task.places["all"]) == 30
    assert all((task.labels[places] >= 0).all() for places in task.places.values())


def test_sparse_features_stay_sparse() -> None:
    assert NodeTask.of(karate_club()).x.is_sparse


def test_progress_counts_the_epochs() -> None:
    seen: list[tuple[int, int]] = []
    fit_nodes(
        NodeTask.of(ring()), NodeTraining(epochs=4), progress=lambda done, total, what: seen.append((done, total))
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": None}, "'ring' has no labels of nodes; give a data set that has"),
        ({"splits": {}}, "'ring' has no split 'train' with labels"),
        ({"splits": {"train": np.zeros(60, dtype=bool)}}, "'ring' has no split 'train' with labels"),
    ],
)
def test_a_graph_that_nothing_can_be_learnt_from_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NodeTask.of(replace(ring(), **change))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "epochs is 0, expected 1 or more"),
        ({"window": -1}, "window is -1, expected 0 or more"),
        ({"rate": float("nan")}, "rate is nan, expected 0 or more, and finite"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        NodeTraining(**given)


def test_each_class_has_its_share_and_unknown_ones_none() -> None:
    labels = np.array([0] * 40 + [1] * 20 + [-1] * 5 + [2] * 3)
    splits = split_of_classes(labels, share=(0.2, 0.1), seed=0)
    assert np.bincount(labels[splits["train"]]).tolist() == [8, 4, 1]
    assert np.bincount(labels[splits["val"]])[:2].tolist() == [4, 2]
    assert (sum(mask.astype(int) for mask in splits.values()) == (labels >= 0)).all()
    again = split_of_classes(labels, share=(0.2, 0.1), seed=0)
    assert all((splits[name] == again[name]).all() for name in splits)


def test_the_spread_is_of_a_sample() -> None:
    assert spread([0.1, 0.3]) == {"mean": 0.2, "deviation": pytest.approx(np.sqrt(0.02)), "values": [0.1, 0.3]}
    assert spread([0.1])["deviation"] is None
