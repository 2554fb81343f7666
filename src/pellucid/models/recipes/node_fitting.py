"""Training a network on the nodes of one graph, some of which have a known class: the setting of Kipf & Welling."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.errors import InputError, SettingError
from pellucid.inputs.graph import Graph
from pellucid.models.architecture import kept_random_state
from pellucid.models.gcn import GCN
from pellucid.models.graph_arguments import arguments_of
from pellucid.models.recipes.fitting import repeatable

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTraining:
    """How a network is trained; the defaults are Kipf & Welling's for citation networks.

    Args:
        seed: Of the first weights and of dropout.
        layers: Of the network.
        hidden: Channels between its layers.
        dropout: Probability of dropping a value before each layer.
        rate: Learning rate of Adam.
        decay: L2 penalty on the first layer.
        epochs: How many steps at most; each sees the whole graph.
        window: Training ends where the validation loss is above the mean of this many epochs before; 0 never does. The
            weights are those of the last epoch, as the authors have it.
        threads: Processor threads; sums depend on their number in the last bit.

    Reference:
        Kipf & Welling, Semi-Supervised Classification with Graph Convolutional Networks, ICLR 2017, section 5.2.
    """

    seed: int = 0
    layers: int = 2
    hidden: int = 16
    dropout: float = 0.5
    rate: float = 0.01
    decay: float = 5e-4
    epochs: int = 200
    window: int = 10
    threads: int = 1

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("threads", 1), ("window", 0)):
            if getattr(self, name) < least:
                raise SettingError(name, given=getattr(self, name), expected=f"{least} or more")
        for name in ("rate", "decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise SettingError(name, given=getattr(self, name), expected="0 or more, and finite")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NodeFit:
    """A network trained on nodes.

    Args:
        network: In evaluation mode.
        accuracy: The share of right nodes of each split; of "all", those with a known class.
        epochs: How many steps were taken.
        losses: The validation loss after each of them; empty without a split "val".
    """

    network: GCN
    accuracy: dict[str, float]
    epochs: int
    losses: tuple[float, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NodeTask:
    """One graph as tensors, made once for all trainings on it.

    Args:
        graph: The graph, prepared.
        x: Its features, sparse where the graph has them so.
        edge_index: Its arcs.
        edge_weight: Their weights, or None.
        labels: The class of each node, -1 where unknown.
        classes: How many there are.
        places: The numbers of the nodes of each split; those with an unknown class are left out.
    """

    graph: Graph
    x: Tensor
    edge_index: Tensor
    edge_weight: Tensor | None
    labels: Tensor
    classes: int
    places: dict[str, Tensor]

    @classmethod
    def of(cls, graph: Graph) -> "NodeTask":
        """The task of a graph.

        Raises:
            InputError: It has no labels, or no split "train" with some; says what is missing.
        """
        if graph.labels is None or not (graph.labels >= 0).any():
            raise InputError(f"{graph.name!r} has no labels of nodes; give a data set that has.")
        known = graph.labels >= 0
        places = {name: torch.from_numpy(np.flatnonzero(mask & known)) for name, mask in graph.splits.items()}
        if not len(places.get("train", ())):
            raise InputError(f"{graph.name!r} has no split 'train' with labels, and training needs one; give splits.")
        classes = int(graph.labels.max()) + 1 if graph.class_names is None else len(graph.class_names)
        with kept_random_state():
            given = arguments_of(GCN(graph.num_features, classes), [graph])
        return cls(
            graph=graph,
            x=given.x,
            edge_index=given.edge_index,
            edge_weight=given.edge_weight,
            labels=torch.from_numpy(graph.labels.copy()),
            classes=classes,
            places={**places, "all": torch.from_numpy(np.flatnonzero(known))},
        )


def fit_nodes(task: NodeTask, settings: NodeTraining, *, progress: Progress | None = None) -> NodeFit:
    """Train a fresh network.

    Args:
        task: The graph.
        settings: How.
        progress: Called with epochs done, epochs in all and what is going on.
    """
    with repeatable(settings.seed, settings.threads):
        network = GCN(
            task.x.shape[1], task.classes, hidden=settings.hidden, layers=settings.layers, dropout=settings.dropout
        )
        losses = _descend(network.train(), task, settings, progress)
        network.eval()
        with torch.no_grad():
            right = _logits(network, task).argmax(dim=1) == task.labels
    accuracy = {name: int(right[places].sum()) / len(places) for name, places in task.places.items() if len(places)}
    watched = settings.window > 0 and "val" in task.places
    return NodeFit(network=network, accuracy=accuracy, epochs=len(losses), losses=tuple(losses) if watched else ())


def spread(values: list[float]) -> dict[str, Any]:
    """Mean, standard deviation (of the sample) and the values themselves."""
    array = np.array(values)
    deviation = float(array.std(ddof=1)) if len(array) > 1 else None
    return {"mean": float(array.mean()), "deviation": deviation, "values": values}


def split_of_classes(labels: npt.NDArray[np.int64], *, share: tuple[float, float], seed: int) -> dict[str, Any]:
    """A random split "train", "val", "test" in which each class has its share.

    Args:
        labels: The class of each node, -1 where unknown.
        share: Of each class for training, and for validation; the rest is for testing.
        seed: Of the draw.
    """
    chance = np.random.default_rng(seed)
    splits = {name: np.zeros(len(labels), dtype=np.bool_) for name in ("train", "val", "test")}
    for number in np.unique(labels[labels >= 0]):
        nodes = chance.permutation(np.flatnonzero(labels == number))
        first, second = (round(part * len(nodes)) for part in (share[0], sum(share)))
        for name, chosen in zip(splits, np.split(nodes, [max(first, 1), max(second, 1)]), strict=True):
            splits[name][chosen] = True
    return splits


def _descend(network: GCN, task: NodeTask, settings: NodeTraining, progress: Progress | None) -> list[float]:
    """One step for each epoch; the validation loss after each."""
    first = list(network.convolutions[0].parameters())
    rest = [each for layer in network.convolutions[1:] for each in layer.parameters()]
    groups = [{"params": first, "weight_decay": settings.decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.Adam(groups, lr=settings.rate)
    train, watch = task.places["train"], task.places.get("val")
    losses: list[float] = []
    for epoch in range(settings.epochs):
        network.train()
        loss = F.cross_entropy(_logits(network, task)[train], task.labels[train])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(_validation_loss(network, task, watch, settings, first) if settings.window else float("nan"))
        if progress is not None:
            progress(epoch + 1, settings.epochs, f"training, loss {float(loss.detach()):.3f}")
        if settings.window and epoch > settings.window and losses[-1] > np.mean(losses[-settings.window - 1 : -1]):
            break
    return losses


def _validation_loss(
    network: GCN, task: NodeTask, watch: Tensor | None, settings: NodeTraining, penalised: list[Any]
) -> float:
    if watch is None or not len(watch):
        return float("nan")
    network.eval()
    with torch.no_grad():
        loss = F.cross_entropy(_logits(network, task)[watch], task.labels[watch])
        # The authors watch the loss with its penalty.
        penalty = sum((each.square().sum() for each in penalised), torch.zeros(())) * settings.decay / 2
    return float(loss + penalty)


def _logits(network: GCN, task: NodeTask) -> Tensor:
    found: Tensor = network(task.x, task.edge_index, task.edge_weight)
    return found
