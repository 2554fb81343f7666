"""The recipe for meshes: to which part of a table, mug, lamp or animal each vertex belongs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.errors import SettingError
from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_features import prepared
from pellucid.inputs.mesh_features import SURFACE_FEATURES
from pellucid.models.gcn import GCN
from pellucid.models.recipes.fitting import repeatable
from pellucid.models.recipes.graph_batches import GraphStock, parted
from pellucid.models.recipes.graph_cards import write_model
from pellucid.models.recipes.shapes import KINDS, PARTS, shape

Progress = Callable[[int, int, str], None]
PREPARATION: Final = "surface-features"
# Shapes for training and for testing come from ranges of seeds that never meet.
UNSEEN_SEEDS: Final = 1_000_000
MOST_SHAPES: Final = UNSEEN_SEEDS
_LIMITS: Final = (
    "Trained on simple solids; on scanned or modelled things its answers are guesses, most of all where parts blend.",
    "A vertex within a side of a triangle from the border of two parts may get either.",
    "Features do not change with position, pose and size, so left and right, top and bottom look alike to it.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshTraining:
    """How the network is trained.

    Args:
        seed: Of the first weights and the batches.
        shapes: How many shapes of each kind are made for training.
        layers: Of the network.
        hidden: Channels between its layers.
        rate: The highest learning rate of the one-cycle schedule.
        epochs: How often each shape is seen.
        batch: Shapes in one step.
        threads: Processor threads; sums depend on their number in the last bit.
    """

    seed: int = 0
    shapes: int = 40
    layers: int = 4
    hidden: int = 48
    rate: float = 0.01
    epochs: int = 15
    batch: int = 4
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "threads", "batch"):
            if getattr(self, name) < 1:
                raise SettingError(name, given=getattr(self, name), expected="1 or more")
        if not 1 <= self.shapes <= MOST_SHAPES:
            raise SettingError("shapes", given=self.shapes, expected=f"1 to {MOST_SHAPES:,}")


def train_mesh_parts(
    out: Path,
    *,
    seed: int = 0,
    shapes: int = 40,
    epochs: int = 15,
    unseen: int = 20,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train a network that names the part of each vertex, and write mesh-parts.safetensors and mesh-parts.json.

    GraphSAGE of four layers on features that do not change when a mesh is moved, turned or enlarged, so it needs no
    turned copies in training. The shapes are made on the spot (`recipes.shapes`).
    The same arguments make the same weights, bit by bit, on the same machine with the same versions.

    Args:
        out: The folder to write to; files of the same names are replaced.
        seed: Of the first weights and the batches.
        shapes: How many shapes of each kind to make for training.
        epochs: How often each is seen.
        unseen: How many further shapes of each kind to measure on.
        progress: Called with steps done, steps in all and what is going on.

    Returns:
        The model card.

    Raises:
        SettingError: A number makes no sense.
        OSError: The folder cannot be written to.

    Reference:
        Hamilton et al., Inductive Representation Learning on Large Graphs, NeurIPS 2017.
    """
    started = time.perf_counter()
    settings = MeshTraining(seed=seed, shapes=shapes, epochs=epochs)
    if unseen < 1:
        raise SettingError("unseen", given=unseen, expected="1 or more")
    known = made(range(shapes), progress=progress)
    network = fit_parts(known, settings, progress=progress)
    trained = time.perf_counter()
    tests = made(range(UNSEEN_SEEDS, UNSEEN_SEEDS + unseen), progress=progress)
    with repeatable(seed, settings.threads):
        measured = part_accuracies(network, tests)
    facts = {
        "data": {
            "what": f"shapes made by the recipe: {', '.join(KINDS)}",
            "training_seeds": [0, shapes - 1],
            "unseen_seeds": [UNSEEN_SEEDS, UNSEEN_SEEDS + unseen - 1],
            "training_vertices": sum(each.num_nodes for each in known),
            "unseen_vertices": sum(each.num_nodes for each in tests),
        },
        "training": asdict(settings),
        "accuracy": measured,
        "limits_of_use": list(_LIMITS),
        "seconds": {"training": trained - started, "measuring": time.perf_counter() - trained},
    }
    return write_model(
        out,
        network,
        name="mesh-parts",
        class_names=PARTS,
        feature_names=SURFACE_FEATURES,
        preparation=PREPARATION,
        seed=seed,
        facts=facts,
    )


def made(seeds: range, *, progress: Progress | None = None) -> list[Graph]:
    """A shape of each kind for each seed, prepared for the network."""
    wanted = [(kind, seed) for seed in seeds for kind in KINDS]
    found = []
    for number, (kind, seed) in enumerate(wanted):
        found.append(prepared(shape(kind, seed), PREPARATION))
        if progress is not None:
            progress(number + 1, len(wanted), "shapes")
    return found


def fit_parts(graphs: Sequence[Graph], settings: MeshTraining, *, progress: Progress | None = None) -> GCN:
    """Train a fresh network on prepared meshes with labels.

    Args:
        graphs: The meshes.
        settings: How.
        progress: Called with steps done, steps in all and what is going on.

    Returns:
        The network in evaluation mode.
    """
    stock, labels = GraphStock.of(graphs), _labels(graphs)
    with repeatable(settings.seed, settings.threads):
        chance = torch.Generator().manual_seed(settings.seed)
        network = GCN(
            stock.x.shape[1],
            len(PARTS),
            hidden=settings.hidden,
            layers=settings.layers,
            convolution="sage",
            dropout=0.0,
            batch_norm=True,
            residual=True,
        ).train()
        steps = settings.epochs * -(-len(stock) // settings.batch)
        optimizer = torch.optim.Adam(network.parameters(), lr=settings.rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=settings.rate, total_steps=steps)
        step = 0
        for _ in range(settings.epochs):
            for numbers in parted(len(stock), settings.batch, chance):
                some = stock.batch(numbers)
                loss = F.cross_entropy(network(some.x, some.edge_index), labels[some.nodes])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                step += 1
                if progress is not None:
                    progress(step, steps, f"training, loss {float(loss.detach()):.3f}")
    return network.eval()


def part_accuracies(network: GCN, graphs: Sequence[Graph]) -> dict[str, Any]:
    """The share of right vertices: of all, of each part, and of each kind of shape.

    Args:
        network: In evaluation mode.
        graphs: Prepared meshes with labels; a name begins with the kind.
    """
    labels = _labels(graphs).numpy()
    right = parts_of(network, graphs) == labels
    kinds = np.repeat([each.name.split()[0] for each in graphs], [each.num_nodes for each in graphs])
    return {
        "vertices": float(right.mean()),
        "parts": {name: float(right[labels == k].mean()) for k, name in enumerate(PARTS) if (labels == k).any()},
        "kinds": {str(kind): float(right[kinds == kind].mean()) for kind in np.unique(kinds)},
        "commonest_part": float(np.bincount(labels).max() / len(labels)),
    }


def parts_of(network: GCN, graphs: Sequence[Graph]) -> np.ndarray:
    """The number of the part that a network gives to each vertex of prepared meshes, one mesh after the other."""
    stock = GraphStock.of(graphs)
    found = []
    with torch.no_grad():
        for number in range(len(stock)):
            one = stock.batch(torch.tensor([number]))
            found.append(network(one.x, one.edge_index).argmax(dim=1).numpy())
    return np.concatenate(found)


def _labels(graphs: Sequence[Graph]) -> Tensor:
    return torch.from_numpy(np.concatenate([each.labels for each in graphs if each.labels is not None]))
