"""What channels do on the probe pictures: their statistics, and what the model answers without some of them."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pellucid.capture import passes
from pellucid.capture.failures import not_finite
from pellucid.capture.replay import Edit, Replay
from pellucid.capture.sites import Site

_BYTES = 256 * 2**20
"""Of values that are kept at once; the pictures are taken so many at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """The values of each channel of a site over pictures and positions, float64.

    Attributes:
        mean: Their mean.
        variance: Their variance (divided by n).
        silent: Whether all of them are exactly 0.
    """

    mean: Tensor
    variance: Tensor
    silent: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a change of one filter does to the model's answers.

    Attributes:
        largest: The largest absolute change of a logit; infinite where one is no longer finite.
        mean: The mean absolute change of the logits.
        changed: For how many of the pictures another class is the first one.
    """

    largest: float
    mean: float
    changed: int


def portions(batch: Tensor, sites: Sequence[Site]) -> Iterator[Tensor]:
    """The batch, as many pictures at a time as fit into memory together with what their pass makes."""
    each = max(1, sum(site.nbytes for site in sites))
    return iter(torch.split(batch, max(1, min(len(batch), _BYTES // each))))


def channels_at(module: nn.Module, batch: Tensor, names: Sequence[str], sites: Sequence[Site]) -> dict[str, Channels]:
    """The statistics of every channel of some sites."""
    wanted = set(names)
    sums = Sums()
    for part in portions(batch, [site for site in sites if site.name in wanted]):
        recorder, _ = passes.record(module, part, wants=lambda name, *_: name in wanted)
        for name in names:
            sums.add(name, recorder.value(name))
    return sums.channels()


class Sums:
    """Sums over channels, to which batches are added one after the other."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[int, Tensor, Tensor, Tensor]] = {}

    def add(self, name: str, values: Tensor) -> None:
        """Add the values of a site, (batch, channels, …)."""
        flat = values.detach().transpose(0, 1).flatten(1).double()
        found = (flat.shape[1], flat.sum(1), flat.square().sum(1), (flat == 0).all(1))
        known = self._sums.get(name)
        if known is not None:
            count, total, squares, silent = known
            found = (count + found[0], total + found[1], squares + found[2], silent & found[3])
        self._sums[name] = found

    def watching(self, name: str, first: Edit | None = None) -> Edit:
        """An edit that adds what it sees, after another edit if there is one, and changes nothing itself."""

        def edit(values: Tensor) -> Tensor:
            values = values if first is None else first(values)
            self.add(name, values)
            return values

        return edit

    def channels(self) -> dict[str, Channels]:
        """The statistics of everything that was added."""
        found = {}
        for name, (count, total, squares, silent) in self._sums.items():
            mean = total / count
            variance = (squares / count - mean.square()).clamp(min=0)
            found[name] = Channels(mean=mean.cpu(), variance=variance.cpu(), silent=silent.cpu())
        return found


def replays(module: nn.Module, batch: Tensor, sites: Sequence[Site]) -> Iterator[Replay]:
    """A replay of every portion of the batch, one after the other, so that one tape is in memory at a time."""
    for part in portions(batch, sites):
        yield passes.replay(module, part)


def effects(
    module: nn.Module,
    batch: Tensor,
    sites: Sequence[Site],
    changes: Sequence[Mapping[str, Edit]],
    report: Callable[[int, int], None],
) -> list[Effect]:
    """What each of some changes does to the logits of all pictures.

    Raises:
        NotFiniteError: The answers are not finite as they are.
    """
    largest, total, changed = [0.0] * len(changes), [0.0] * len(changes), [0] * len(changes)
    count = done = 0
    parts = sum(1 for _ in portions(batch, sites))
    for part, replay in zip(portions(batch, sites), replays(module, batch, sites), strict=True):
        before = replay.answer.logits.double()
        if not bool(torch.isfinite(before).all()):
            seen, _ = passes.record(module, part, statistics="basic")
            raise not_finite(module, part, seen)
        count += before.numel()
        for place, edits in enumerate(changes):
            after = replay.logits(edits).double()
            gap = (after - before).abs().nan_to_num(nan=math.inf, posinf=math.inf)
            largest[place] = max(largest[place], float(gap.max()))
            total[place] += float(gap.sum())
            changed[place] += int((first_class(after) != first_class(before)).sum())
            done += 1
            report(done, parts * len(changes))
    return [Effect(largest=a, mean=b / count, changed=c) for a, b, c in zip(largest, total, changed, strict=True)]


def first_class(logits: Tensor) -> Tensor:
    """The first class of each picture; of a single logit, its sign."""
    return (logits[:, 0] > 0).long() if logits.shape[1] == 1 else logits.argmax(dim=1)


def replaced(channel: int, twin: int, *, factor: float, own: float, other: float) -> Edit:
    """An edit that puts a channel's twin in its place: both without their bias, scaled, and with the channel's own.

    Args:
        channel: Which channel is replaced.
        twin: By which.
        factor: The ratio of the two filters, with its sign.
        own: The channel's bias.
        other: The twin's bias.
    """

    def edit(values: Tensor) -> Tensor:
        values[:, channel] = (values[:, twin] - other) * factor + own
        return values

    return edit
