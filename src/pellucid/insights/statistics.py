"""Do the BatchNorm layers of a model remember the statistics of what arrives at them?

A trained layer keeps the mean and variance of each channel. On pictures of the training kind what arrives agrees with
them, up to the few pictures. Two layers whose statistics were swapped are found because each fits the other's input:
which channel is loud and which is quiet is as good as a fingerprint.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pellucid.capture.replay import Edit
from pellucid.capture.sites import INPUT, Site
from pellucid.insights.layers import path_of
from pellucid.insights.probes import Channels, Sums, channels_at, replays

ENOUGH_PICTURES = 8
"""Below, the statistics of a layer after the last pooling are those of too few values to be compared."""
TOO_FAR = (2.0, 2.08)
"""In standard deviations, and as a logarithm (a factor of 8). Of 90 draws of 8 pictures, also of 8 of one class, the
worst layer of a sound model came to 1.18 and 1.40; a convolution that was initialised anew comes to 0.9 to 4.0 in the
second, so this rule alone finds only some of them."""
_FITS_BETTER = 0.8
"""The two layers' distances after a swap of their statistics, as a share of those before. In 42 draws of 8 pictures for
five sound networks no pair came below 1.18, nearly all far above; a swap turns the share into its inverse."""
_WORTH_TRYING = 0.85
"""A layer whose input fits another layer's statistics so much better is corrected, to look at what follows from there.
Sound layers come to 0.58, so this proves nothing."""
_MOST_TRIALS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class NormCheck:
    """How what arrives at a BatchNorm layer differs from what it remembers.

    Attributes:
        name: The layer's site.
        mean_gap: Median over the channels of |mean − running mean| / √running variance.
        variance_gap: Median over the channels of |ln(variance / running variance)|.
    """

    name: str
    mean_gap: float
    variance_gap: float

    @property
    def far(self) -> bool:
        """Whether it is further off than pictures can explain."""
        return self.mean_gap > TOO_FAR[0] or self.variance_gap > TOO_FAR[1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Norm:
    """A BatchNorm layer that is called once. Holds no module, but its tensors.

    Attributes:
        name: Its site.
        source: The site whose values it takes.
        mean: Running mean.
        variance: Running variance plus epsilon.
        scale: Its weight; ones where it has none.
        shift: Its bias; zeros where it has none.
        epsilon: What is added to a variance.
    """

    name: str
    source: str
    mean: Tensor
    variance: Tensor
    scale: Tensor
    shift: Tensor
    epsilon: float

    @property
    def fresh(self) -> bool:
        """Whether no picture has ever changed its statistics: mean 0 and variance 1, exactly."""
        return bool((self.mean == 0).all()) and bool(((self.variance - self.epsilon - 1).abs() < 1e-6).all())

    def gap(self, arriving: Channels) -> NormCheck:
        """How far what arrives is from what is remembered."""
        mean = (arriving.mean - self.mean).abs() / self.variance.sqrt()
        variance = ((arriving.variance + self.epsilon) / self.variance).log().abs()
        return NormCheck(name=self.name, mean_gap=float(mean.median()), variance_gap=float(variance.median()))

    def distance(self, arriving: Channels) -> float:
        """Both gaps in one number."""
        found = self.gap(arriving)
        return found.mean_gap + found.variance_gap

    def corrected(self, arriving: Channels) -> Edit:
        """An edit that makes of the layer's result what it had been with the statistics of what arrives."""
        ratio = (self.variance / (arriving.variance + self.epsilon)).sqrt()
        offset = self.scale * (self.mean - arriving.mean) / (arriving.variance + self.epsilon).sqrt()

        def edit(values: Tensor) -> Tensor:
            shape = (1, -1, *(1,) * (values.dim() - 2))
            factor, shift, moved = (each.to(values).view(shape) for each in (ratio, self.shift, offset))
            return (values - shift) * factor + shift + moved

        return edit


def norms_of(module: nn.Module, sites: Sequence[Site]) -> list[Norm]:
    """The BatchNorm layers that keep statistics and can be judged, in order of execution."""
    parts = dict(module.named_modules())
    shapes = {site.name: site.shape for site in sites}
    called = [path_of(site.name) for site in sites if site.op == "batch_norm"]
    found = []
    for site in sites:
        part = parts.get(path_of(site.name))
        mean, variance = getattr(part, "running_mean", None), getattr(part, "running_var", None)
        if site.op != "batch_norm" or not isinstance(mean, Tensor) or not isinstance(variance, Tensor):
            continue
        source = site.inputs[0] if len(site.inputs) == 1 else INPUT
        # A shared layer has several inputs and one memory; a part of a tuple cannot be replayed.
        if called.count(path_of(site.name)) > 1 or shapes.get(source) != site.shape or source.endswith("]"):
            continue
        epsilon = float(getattr(part, "eps", 0.0))
        scale, shift = getattr(part, "weight", None), getattr(part, "bias", None)
        mean = _plain(mean)
        found.append(
            Norm(
                name=site.name,
                source=source,
                mean=mean,
                variance=_plain(variance) + epsilon,
                scale=torch.ones_like(mean) if scale is None else _plain(scale),
                shift=torch.zeros_like(mean) if shift is None else _plain(shift),
                epsilon=epsilon,
            )
        )
    return found


def arriving_at(module: nn.Module, batch: Tensor, norms: Sequence[Norm], sites: Sequence[Site]) -> dict[str, Channels]:
    """What arrives at each BatchNorm layer, by its site."""
    found = channels_at(module, batch, list(dict.fromkeys(norm.source for norm in norms)), sites)
    return {norm.name: found[norm.source] for norm in norms}


def swapped(
    module: nn.Module,
    batch: Tensor,
    norms: Sequence[Norm],
    sites: Sequence[Site],
    arriving: Mapping[str, Channels],
) -> list[tuple[str, str]]:
    """Pairs of BatchNorm layers that hold each other's statistics.

    What arrives at the second of a pair comes through the first one's wrong statistics. So where the first one's input
    fits another layer better than its own, the pass is replayed with the first one put right, and only then is it asked
    whether the second one's input fits the first.

    Args:
        module: The model.
        batch: The prepared pictures.
        norms: The layers, in order of execution.
        sites: The sites of the pass.
        arriving: What arrives at each, as the model is.

    Returns:
        The pairs, by the first one's place.
    """
    known = dict(arriving)
    fixed: dict[str, Edit] = {}
    pairs: list[tuple[str, str]] = []
    trials = 0
    for place, first in enumerate(norms):
        if first.name in fixed:
            continue
        own = first.distance(known[first.name])
        for _, second in sorted(_better(first, norms[place + 1 :], known, own), key=lambda pair: pair[0]):
            if second.name in fixed or trials == _MOST_TRIALS:
                continue
            trials += 1
            attempt = {**fixed, first.name: first.corrected(known[first.name])}
            seen = _replayed(module, batch, norms, sites, attempt)
            before = first.distance(seen[first.name]) + second.distance(seen[second.name])
            after = second.distance(seen[first.name]) + first.distance(seen[second.name])
            if after < _FITS_BETTER * before:
                pairs.append((first.name, second.name))
                fixed = {**attempt, second.name: second.corrected(seen[second.name])}
                known = _replayed(module, batch, norms, sites, fixed)
                break
    return pairs


def _better(
    first: Norm, others: Sequence[Norm], arriving: Mapping[str, Channels], own: float
) -> Iterator[tuple[float, Norm]]:
    """The layers whose statistics fit the first one's input clearly better than its own do."""
    for other in others:
        if len(other.mean) == len(first.mean):
            distance = other.distance(arriving[first.name])
            if distance < _WORTH_TRYING * own:
                yield distance, other


def _replayed(
    module: nn.Module, batch: Tensor, norms: Sequence[Norm], sites: Sequence[Site], edits: Mapping[str, Edit]
) -> dict[str, Channels]:
    sums = Sums()
    # A BatchNorm may follow another one, whose result is edited already.
    watching = {norm.source: sums.watching(norm.source, edits.get(norm.source)) for norm in norms}
    for replay in replays(module, batch, sites):
        replay.logits({**edits, **watching})
    found = sums.channels()
    return {norm.name: found[norm.source] for norm in norms}


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().double().cpu()
