"""Training a graph isomorphism network on the classes of whole graphs, and the two ways in which papers measure it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.errors import InputError, SettingError
from pellucid.inputs.graph_set import GraphSet
from pellucid.models.gcn import GCN
from pellucid.models.recipes.fitting import repeatable
from pellucid.models.recipes.graph_batches import Batch, GraphStock, parted, stratified

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphTraining:
    """How a network is trained; the defaults are of the values among which Xu et al. choose for bioinformatics.

    Args:
        seed: Of the first weights and the batches.
        layers: Of the network.
        hidden: Channels of each layer.
        dropout: Probability of dropping a value.
        rate: Learning rate of Adam at first.
        halving: After how many epochs it is halved, again and again.
        epochs: How often each graph is seen.
        batch: Graphs in one step.
        threads: Processor threads; sums depend on their number in the last bit.

    Reference:
        Xu et al., How Powerful are Graph Neural Networks?, ICLR 2019, section 7.
    """

    seed: int = 0
    layers: int = 5
    hidden: int = 32
    dropout: float = 0.0
    rate: float = 0.01
    halving: int = 50
    epochs: int = 150
    batch: int = 32
    threads: int = 1

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("threads", 1), ("halving", 1), ("batch", 2)):
            if getattr(self, name) < least:
                raise SettingError(name, given=getattr(self, name), expected=f"{least} or more")
        if not 0 <= self.rate < float("inf"):
            raise SettingError("rate", given=self.rate, expected="0 or more, and finite")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphTask:
    """A data set as tensors, made once for all trainings on it.

    Args:
        stock: The graphs.
        labels: The class of each.
        classes: How many there are.
    """

    stock: GraphStock
    labels: Tensor
    classes: int

    @classmethod
    def of(cls, graphs: GraphSet) -> "GraphTask":
        """The task of a data set.

        Raises:
            InputError: It has no classes, or no features.
        """
        if graphs.class_names is None or any(label is None for label in graphs.labels):
            raise InputError(f"the graphs of {graphs.name!r} have no classes, and training needs them.")
        labels = torch.tensor([int(label or 0) for label in graphs.labels])
        return cls(stock=GraphStock.of(graphs.graphs), labels=labels, classes=len(graphs.class_names))

    def network(self, settings: GraphTraining) -> GCN:
        """A fresh network; its first weights come from torch's generator."""
        return GCN(
            self.stock.x.shape[1],
            self.classes,
            hidden=settings.hidden,
            layers=settings.layers,
            level="graph",
            convolution="gin",
            readout="sum",
            every_layer=True,
            dropout=settings.dropout,
            batch_norm=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """What was measured after each epoch.

    Args:
        network: As it is after the last one, in evaluation mode.
        accuracy: For each watched part, the share of right graphs, one value for each epoch.
    """

    network: GCN
    accuracy: dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folds:
    """Accuracy on ten held-out parts.

    Args:
        values: Of each part.
        epochs: After which epoch, in each part.
    """

    values: tuple[float, ...]
    epochs: tuple[int, ...]

    @property
    def mean(self) -> float:
        """The mean over the parts."""
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float:
        """The standard deviation over the parts (divided by their number, as papers have it)."""
        return float(np.std(self.values))


def fit_graphs(
    task: GraphTask,
    train: np.ndarray,
    settings: GraphTraining,
    *,
    watched: dict[str, np.ndarray] | None = None,
    progress: Progress | None = None,
    what: str = "training",
) -> Curves:
    """Train a fresh network on some graphs of a data set and measure it on others after each epoch.

    Args:
        task: The data set.
        train: The numbers of the graphs to train on.
        settings: How.
        watched: Names of other parts, with the numbers of their graphs.
        progress: Called with epochs done, epochs in all and what is going on.
        what: What that is.
    """
    with repeatable(settings.seed, settings.threads):
        chance = torch.Generator().manual_seed(settings.seed)
        network = task.network(settings)
        optimizer = torch.optim.Adam(network.parameters(), lr=settings.rate)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=settings.halving, gamma=0.5)
        numbers = torch.from_numpy(train)
        parts = {name: task.stock.batch(torch.from_numpy(part)) for name, part in (watched or {}).items()}
        measured: dict[str, list[float]] = {name: [] for name in parts}
        for epoch in range(settings.epochs):
            network.train()
            for chosen in parted(len(numbers), settings.batch, chance):
                some = task.stock.batch(numbers[chosen])
                loss = F.cross_entropy(_logits(network, some), task.labels[some.numbers])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            schedule.step()
            network.eval()
            for name, part in parts.items():
                measured[name].append(accuracy(network, task, part))
            if progress is not None:
                progress(epoch + 1, settings.epochs, what)
        network.eval()
    return Curves(network=network, accuracy={name: np.array(values) for name, values in measured.items()})


def accuracy(network: GCN, task: GraphTask, part: Batch) -> float:
    """The share of the graphs of a batch that get their class."""
    with torch.no_grad():
        right = _logits(network, part).argmax(dim=1) == task.labels[part.numbers]
    return int(right.sum()) / len(right)


def by_mean_curve(
    task: GraphTask, settings: GraphTraining, *, folds: int = 10, split_seed: int = 0, progress: Progress | None = None
) -> Folds:
    """The protocol of Xu et al.: ten folds, and for all of them the epoch at which their mean accuracy is best.

    What is reported was also used to choose the epoch, so it is an optimistic number; it is what most papers print.

    Args:
        task: The data set.
        settings: How to train; fold k adds k to the seed.
        folds: How many parts.
        split_seed: Of the parts.
        progress: Called with epochs done, epochs in all and what is going on.
    """
    parts = stratified(task.labels.numpy(), folds, seed=split_seed)
    curves = []
    for number, held_out in enumerate(parts):
        rest = np.concatenate([part for other, part in enumerate(parts) if other != number])
        own = replace(settings, seed=settings.seed + number)
        said = _further(progress, number, folds, settings.epochs)
        found = fit_graphs(task, rest, own, watched={"test": held_out}, progress=said, what="mean curve")
        curves.append(found.accuracy["test"])
    table = np.stack(curves)
    best = int(table.mean(axis=0).argmax())
    return Folds(values=tuple(table[:, best].tolist()), epochs=(best + 1,) * folds)


def by_inner_validation(
    task: GraphTask, settings: GraphTraining, *, folds: int = 10, split_seed: int = 0, progress: Progress | None = None
) -> Folds:
    """The protocol of Errica et al.: each fold is looked at once, after an epoch chosen on a tenth of the other folds.

    Of epochs that are equally good the last one counts: the rate is lowest there.

    Args:
        task: The data set.
        settings: How to train; fold k adds k to the seed.
        folds: How many parts.
        split_seed: Of the parts.
        progress: Called with epochs done, epochs in all and what is going on.

    Reference:
        Errica et al., A Fair Comparison of Graph Neural Networks for Graph Classification, ICLR 2020. They also choose
        between settings in this way, and take the mean of three runs; here there is one setting and one run.
    """
    labels = task.labels.numpy()
    parts = stratified(labels, folds, seed=split_seed)
    values, epochs = [], []
    for number, held_out in enumerate(parts):
        rest = np.concatenate([part for other, part in enumerate(parts) if other != number])
        inner, *others = (rest[part] for part in stratified(labels[rest], 10, seed=split_seed))
        own = replace(settings, seed=settings.seed + number)
        said = _further(progress, number, folds, settings.epochs)
        watched = {"val": inner, "test": held_out}
        found = fit_graphs(task, np.concatenate(others), own, watched=watched, progress=said, what="inner validation")
        curve = found.accuracy["val"]
        best = len(curve) - 1 - int(curve[::-1].argmax())
        values.append(float(found.accuracy["test"][best]))
        epochs.append(best + 1)
    return Folds(values=tuple(values), epochs=tuple(epochs))


def _further(progress: Progress | None, fold: int, folds: int, epochs: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, _, what: progress(fold * epochs + done, folds * epochs, f"{what}, fold {fold + 1}")


def _logits(network: GCN, batch: Batch) -> Tensor:
    found: Tensor = network(batch.x, batch.edge_index, None, batch.batch)
    return found
