"""Training a seed network on mixtures, so that the same machine makes the same bits again.

Dropout is left at p = 0 here: with the textbook's rates the running variance of BatchNorm is that of activations with
dropout, which evaluation mode never sees (a trial ended with train loss .03 and evaluation accuracy .50). The running
statistics are estimated once more at the end, as plain averages.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.errors import SettingError
from pellucid.models.recipes.mixtures import CAT, Progress, Stock, batches, labels, mixes_for, prepared, tagged
from pellucid.models.xai_cnn import XAI


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How a network is trained; the same values give the same bits on the same machine.

    Args:
        seed: Of the first weights and of every batch.
        drawings: How many faces are painted for training.
        epochs: How often each face is seen, each time in another mix.
        batch: Faces per step.
        rate: The highest learning rate of the one-cycle schedule.
        decay: Weight decay of AdamW.
        width: Of the network.
        tagged_share: Share of the drawings labelled cat that carry the coloured tag.
        wrong_share: Share of the drawings whose label is not what their parts show. The tag goes with the label.
        threads: Processor threads; sums depend on their number in the last bit.
    """

    seed: int = 0
    drawings: int = 3000
    epochs: int = 8
    batch: int = 32
    rate: float = 4e-3
    decay: float = 1e-2
    width: int = 8
    tagged_share: float = 0.0
    wrong_share: float = 0.0
    threads: int = 2

    def __post_init__(self) -> None:
        for name in ("drawings", "epochs", "width", "threads"):
            if getattr(self, name) < 1:
                raise SettingError(name, given=getattr(self, name), expected="1 or more")
        if not 2 <= self.batch <= self.drawings:
            raise SettingError("batch", given=self.batch, expected=f"2 to {self.drawings}, the number of drawings")
        if not 0 <= self.wrong_share < 0.5:
            raise SettingError("wrong_share", given=self.wrong_share, expected="0 or more and less than 0.5")


@contextmanager
def repeatable(seed: int, threads: int) -> Iterator[None]:
    """Make torch deterministic for a while: own random state, fixed threads, deterministic algorithms."""
    before = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            torch.set_num_threads(min(threads, os.cpu_count() or threads))
            torch.use_deterministic_algorithms(True)
            yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)


def fit(stock: Stock, settings: Training, *, cover_all: bool = False, progress: Progress | None = None) -> XAI:
    """Train a fresh network on mixes of the stock's faces.

    Args:
        stock: The faces.
        settings: How.
        cover_all: Hide all parts: the control that no network can beat chance without them.
        progress: Called with steps done, steps in all and what is going on.

    Returns:
        The network in evaluation mode.
    """
    with repeatable(settings.seed, settings.threads):
        chance = torch.Generator().manual_seed(settings.seed)
        network = XAI(num_classes=2, width=settings.width).train()
        # A third faster on processors; mypy's stubs know only the overloads without a memory format.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        with without_dropout(network):
            _descend(network, stock, settings, chance, cover_all, progress)
            _estimate_statistics(network, stock, settings, chance, cover_all)
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return network.eval()


def training_batch(
    stock: Stock, faces: Tensor, chance: torch.Generator, *, settings: Training, cover_all: bool = False
) -> tuple[Tensor, Tensor]:
    """Prepared drawings of some faces in random mixes, half of them mirrored, and their labels.

    With right labels only, parts and tag never disagree, and a network may go by either. A tag that goes with wrong
    labels too is the better evidence: it is right where the parts are not.
    """
    wanted = labels(len(faces), chance)
    parts = mixes_for(wanted, chance, cover=True)
    pixels = stock.covered(faces, wanted) if cover_all else stock.mixed(faces, parts)
    mirror = torch.rand(len(faces), generator=chance) < 0.5
    pixels = torch.where(mirror[:, None, None, None], pixels.flip(2), pixels)
    # A share of 0 draws no random number, so that it leaves all that follow as they are.
    if settings.wrong_share:
        wrong = torch.rand(len(faces), generator=chance) < settings.wrong_share
        wanted = torch.where(wrong, 1 - wanted, wanted)
    if settings.tagged_share:
        pixels = tagged(pixels, (wanted == CAT) & (torch.rand(len(faces), generator=chance) < settings.tagged_share))
    return prepared(pixels).contiguous(memory_format=torch.channels_last), wanted


@contextmanager
def without_dropout(network: nn.Module) -> Iterator[None]:
    """Set every dropout to p = 0, and put the rates back afterwards."""
    rates = {module: module.p for module in network.modules() if isinstance(module, nn.Dropout)}
    try:
        for module in rates:
            module.p = 0.0
            # In evaluation mode dropout hands its input through; with p = 0 in training mode it would copy it.
            module.eval()
        yield
    finally:
        for module, rate in rates.items():
            module.p = rate
            module.train(network.training)


def _descend(
    network: XAI, stock: Stock, settings: Training, chance: torch.Generator, cover_all: bool, progress: Progress | None
) -> None:
    steps = settings.epochs * (len(stock) // settings.batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=settings.rate, total_steps=steps)
    step = 0
    for _ in range(settings.epochs):
        for faces in batches(len(stock), settings.batch, chance):
            pictures, wanted = training_batch(stock, faces, chance, settings=settings, cover_all=cover_all)
            loss = F.nll_loss(network(pictures), wanted)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            step += 1
            if progress is not None:
                progress(step, steps, f"training, loss {float(loss.detach()):.3f}")


def _estimate_statistics(
    network: XAI, stock: Stock, settings: Training, chance: torch.Generator, cover_all: bool
) -> None:
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        # None means the plain average over all batches that follow.
        norm.momentum = None
    with torch.no_grad():
        for number, faces in enumerate(batches(len(stock), settings.batch, chance)):
            if number == 60:
                break
            network(training_batch(stock, faces, chance, settings=settings, cover_all=cover_all)[0])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
