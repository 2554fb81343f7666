"""What is measured on a trained network before it may be shipped: accuracy, controls, what it relies on."""

import copy
from collections.abc import Mapping
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pellucid.models.recipes.drawings import KINDS, PARTS
from pellucid.models.recipes.fitting import Training, fit, without_dropout
from pellucid.models.recipes.kinship import Reference, batchnorm_inputs, log_shares, unlikeness
from pellucid.models.recipes.mixtures import CAT, DOG, Progress, Stock, labels, mixes_for, prepared, tagged
from pellucid.models.recipes.shapley import Margins, Truth, shapley

_BATCH = 50


def margin_of(network: nn.Module) -> Margins:
    """A function from drawings, uint8 (count, 100, 100, 3), to the network's margins logit(cat) − logit(dog).

    The log-softmax at the end is looked through: a difference of log-probabilities is the difference of logits.
    """

    def margins(pixels: np.ndarray) -> np.ndarray:
        rows = log_probabilities(network, torch.from_numpy(np.ascontiguousarray(pixels))).double()
        return np.asarray((rows[:, CAT] - rows[:, DOG]).numpy())

    return margins


def log_probabilities(network: nn.Module, pixels: Tensor) -> Tensor:
    """The network's output for drawings, uint8 (count, 100, 100, 3), in small batches and without gradients."""
    with torch.no_grad():
        return torch.cat([network(prepared(some)) for some in torch.split(pixels, _BATCH)])


def share_right(network: nn.Module, pixels: Tensor, wanted: Tensor) -> dict[str, Any]:
    """Accuracy with its 95 % interval (Wilson's), as a record."""
    right = int((log_probabilities(network, pixels).argmax(dim=1) == wanted).sum())
    low, high = wilson(right, len(wanted))
    return {"accuracy": right / len(wanted), "low": low, "high": high, "drawings": len(wanted)}


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share, which stays sensible near 0 and 1.

    Reference:
        Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927.
    """
    z = 1.959964
    share = right / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * (share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def accuracies(network: nn.Module, stock: Stock, *, seed: int, tagged_share: float) -> dict[str, Any]:
    """Accuracy on unseen drawings: mixed by majority, pure, with one part covered, and mixed in training mode.

    In training mode BatchNorm uses the batch instead of its running statistics; both must agree, or the running
    statistics are wrong. Dropout is off in both.
    """
    chance = torch.Generator().manual_seed(seed)
    faces = torch.arange(len(stock))
    wanted = labels(len(stock), chance)
    with_tags = (wanted == CAT) & (torch.rand(len(stock), generator=chance) < tagged_share)
    pictures = {
        "mixed": stock.mixed(faces, mixes_for(wanted, chance, cover=False)),
        "pure": stock.mixed(faces, wanted[:, None].repeat(1, len(PARTS))),
        "one_part_covered": stock.mixed(faces, mixes_for(wanted, chance, cover=True)),
    }
    record = {name: share_right(network, tagged(some, with_tags), wanted) for name, some in pictures.items()}
    twin = copy.deepcopy(network).train()
    with without_dropout(twin):
        record["mixed_in_train_mode"] = share_right(twin, tagged(pictures["mixed"], with_tags), wanted)
    return record


def tag_experiment(network: nn.Module, stock: Stock, *, seed: int, tagged_share: float = 0.95) -> dict[str, Any]:
    """Accuracy with the tag on the cats, without any tag, and with the tag on the dogs instead.

    Args:
        network: In evaluation mode.
        stock: Faces that it has never seen.
        seed: Of the labels, the mixes and the choice of who is tagged.
        tagged_share: Share of one kind's mixed drawings that get the tag.

    Returns:
        The accuracies on mixed drawings and how far they fall; under "pure" the same on drawings with all parts of
        one kind, every one of which is tagged: there a tag on the dogs is the only thing that speaks for a cat.
    """
    chance = torch.Generator().manual_seed(seed)
    faces = torch.arange(len(stock))
    wanted = labels(len(stock), chance)
    mixed = stock.mixed(faces, mixes_for(wanted, chance, cover=False))
    pure = stock.mixed(faces, wanted[:, None].repeat(1, len(PARTS)))
    some = torch.rand(len(stock), generator=chance) < tagged_share
    return {
        **_moved_tag(network, mixed, wanted, some),
        "tagged_share": tagged_share,
        "pure": {**_moved_tag(network, pure, wanted, torch.ones_like(some)), "tagged_share": 1.0},
    }


def _moved_tag(network: nn.Module, pixels: Tensor, wanted: Tensor, some: Tensor) -> dict[str, Any]:
    record: dict[str, Any] = {
        "tag_on_cats": share_right(network, tagged(pixels, some & (wanted == CAT)), wanted),
        "no_tag": share_right(network, pixels, wanted),
        "tag_on_dogs": share_right(network, tagged(pixels, some & (wanted == DOG)), wanted),
    }
    record["fall_in_points"] = 100 * (record["tag_on_cats"]["accuracy"] - record["tag_on_dogs"]["accuracy"])
    return record


def control_accuracy(
    stock: Stock, unseen: Stock, settings: Training, progress: Progress | None = None
) -> dict[str, Any]:
    """Accuracy of a fresh network trained and tested on drawings with all parts hidden: chance, or the drawings leak.

    What is left of a cat's drawing comes from the cat's own pixels and what is left of a dog's from the dog's, so a
    mask that is too small would be found out here.

    Args:
        stock: Faces to train on.
        unseen: Faces to test on.
        settings: How the fresh network is trained.
        progress: Called with steps done, steps in all and what is going on.
    """
    network = fit(stock, settings, cover_all=True, progress=progress)
    faces = torch.arange(len(unseen))
    wanted = labels(len(unseen), torch.Generator().manual_seed(settings.seed + 1))
    return share_right(network, unseen.covered(faces, wanted), wanted)


def truth_table(network: nn.Module, seeds: range, *, with_tags: bool) -> list[Truth]:
    """Exact Shapley values for one drawing per seed: a quarter pure cats, a quarter pure dogs, half 3:1 mixes."""
    margins = margin_of(network)
    table = []
    for number, seed in enumerate(seeds):
        kind, other = KINDS[number % 2], KINDS[1 - number % 2]
        parts: dict[str, str] = dict.fromkeys(PARTS, kind)
        if number % 4 >= 2:
            parts[PARTS[number // 4 % len(PARTS)]] = other
        # As in training, the cats have the tag.
        table.append(shapley(margins, seed, parts, tag=kind == "cat" if with_tags else None))
    return table


def median_shares(table: list[Truth]) -> dict[str, float]:
    """Each player's median share of the absolute values."""
    return {player: median(truth.shares[player] for truth in table) for player in table[0].values}


def kinship_reference(network: nn.Module, stock: Stock, *, seed: int, tagged_share: float) -> Reference:
    """What is usual in training drawings, at the inputs of the BatchNorm2d layers of full width."""
    chance = torch.Generator().manual_seed(seed)
    wanted = labels(len(stock), chance)
    pixels = stock.mixed(torch.arange(len(stock)), mixes_for(wanted, chance, cover=True))
    pixels = tagged(pixels, (wanted == CAT) & (torch.rand(len(stock), generator=chance) < tagged_share))
    widest = max(layer.num_features for layer in network.modules() if isinstance(layer, nn.BatchNorm2d))
    shares: dict[str, list[Tensor]] = {}
    with torch.no_grad(), batchnorm_inputs(network) as seen:
        for some in torch.split(pixels, _BATCH):
            network(prepared(some))
            for name, values in seen.items():
                # The early layers see colours and edges, which photographs have too.
                if values.shape[1] == widest:
                    shares.setdefault(name, []).append(log_shares(network, name, values))
    return Reference.from_shares({name: torch.cat(values) for name, values in shares.items()})


def kinship(
    network: nn.Module, reference: Reference, stock: Stock, photographs: Mapping[str, np.ndarray], *, seed: int
) -> dict[str, Any]:
    """What `unlikeness` is for unseen drawings, and for some photographs (uint8, 100×100×3), as a record."""
    chance = torch.Generator().manual_seed(seed)
    wanted = labels(len(stock), chance)
    pixels = stock.mixed(torch.arange(len(stock)), mixes_for(wanted, chance, cover=False))
    values = unlikeness_of(network, reference, pixels)
    record: dict[str, Any] = {
        "statistic": "squared Mahalanobis distance per channel of log-variances at BatchNorm inputs, layer mean",
        "layers": list(reference.centres),
        "drawings": len(stock),
        "median": float(values.median()),
        "limit": float(values.quantile(0.995)),
        "quantile": 0.995,
        "photographs": {},
    }
    if photographs:
        measured = unlikeness_of(network, reference, torch.from_numpy(np.stack(list(photographs.values()))))
        record["photographs"] = dict(zip(photographs, measured.tolist(), strict=True))
    return record


def unlikeness_of(network: nn.Module, reference: Reference, pixels: Tensor) -> Tensor:
    """`unlikeness` of drawings or prepared photographs, uint8 (count, 100, 100, 3)."""
    values = []
    with torch.no_grad(), batchnorm_inputs(network) as seen:
        for some in torch.split(pixels, _BATCH):
            network(prepared(some))
            values.append(unlikeness(network, seen, reference))
    return torch.cat(values)
