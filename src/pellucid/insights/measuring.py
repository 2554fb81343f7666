"""From a layer to its report: first the numbers of its weights, then what is measured on the probe pictures."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from pellucid.capture.replay import Edit, without_channels
from pellucid.capture.sites import Site
from pellucid.errors import NotFiniteError
from pellucid.insights.filter_report import Dead, LayerReport, Twin
from pellucid.insights.initial import initial
from pellucid.insights.kernels import DEAD, Pair, dead_of, norms_of, pairs_of, spectrum_of
from pellucid.insights.layers import Layer, path_of
from pellucid.insights.probes import Effect, channels_at, effects, replaced

MOST_MEASURED = 24
"""Filters whose removal is measured; each takes a pass from its layer on."""
_REMEMBERED = 0.05
"""Of the median running variance: a BatchNorm that remembers so much has seen the filter alive. Where training itself
has killed one, 3e-4 was the most that was seen."""
_EXACT = 1e-6
"""How far a cosine may be from 1 for a copy; the nearest pair that training made came to 0.998."""

Progress = Callable[[int, int], None]


def measured(layer: Layer, module: nn.Module, *, seed: int) -> LayerReport:
    """The numbers that need no picture."""
    flat = layer.flat
    bad = int(np.count_nonzero(~np.isfinite(flat)))
    norms = norms_of(flat)
    report = LayerReport(
        name=layer.name,
        shape=layer.filters.shape,
        groups=layer.groups,
        norms=norms,
        zeros=float(np.count_nonzero(flat == 0)) / flat.size,
        not_finite=bad,
        spectrum=None,
        initial=None,
    )
    if bad:
        return report
    without_weights = dead_of(norms)
    pairs = pairs_of(flat, groups=layer.groups, leave_out=without_weights)
    return replace(
        report,
        spectrum=spectrum_of(flat, seed=seed),
        initial=initial(layer.filters, seed=seed),
        dead=_dead(without_weights.tolist(), layer, module),
        twins=tuple(Twin(pair=pair, exact=abs(pair.cosine) > 1 - _EXACT) for pair in pairs),
    )


def _dead(without_weights: Sequence[int], layer: Layer, module: nn.Module) -> tuple[Dead, ...]:
    """The filters without weights, and those that BatchNorm's scale makes constant."""
    dead = {channel: Dead(channel=channel, reason="weights") for channel in without_weights}
    norm = None if layer.batch_norm is None else module.get_submodule(path_of(layer.batch_norm))
    variance, scale = getattr(norm, "running_var", None), getattr(norm, "weight", None)
    if isinstance(variance, Tensor):
        least = _REMEMBERED * float(variance.median())
        dead = {channel: replace(each, remembered=float(variance[channel]) > least) for channel, each in dead.items()}
    if isinstance(scale, Tensor):
        strength = scale.detach().abs()
        for channel in torch.nonzero(strength <= DEAD * strength.median()).flatten().tolist():
            dead.setdefault(channel, Dead(channel=channel, reason="scale"))
    return tuple(dead[channel] for channel in sorted(dead))


def without_memory_of(report: LayerReport, layer: Layer, distrusted: Collection[str]) -> LayerReport:
    """The report without what a BatchNorm remembers of dead filters, if that holds another layer's statistics."""
    if layer.batch_norm not in distrusted:
        return report
    return replace(report, dead=tuple(replace(each, remembered=False) for each in report.dead))


def silent_added(
    module: nn.Module,
    batch: Tensor,
    layers: Sequence[Layer],
    reports: Sequence[LayerReport],
    sites: Sequence[Site],
) -> list[LayerReport]:
    """Add the channels that are 0 everywhere behind their activation, on all pictures and at every call."""
    names = [name for layer in layers if layer.rectified for name in layer.handed_on]
    seen = channels_at(module, batch, names, sites)
    found = []
    for layer, report in zip(layers, reports, strict=True):
        silent: tuple[Dead, ...] = ()
        if layer.rectified:
            everywhere = torch.stack([seen[name].silent for name in layer.handed_on]).all(dim=0)
            dead = {each.channel for each in report.dead}
            numbers = torch.nonzero(everywhere).flatten().tolist()
            silent = tuple(Dead(channel=number, reason="silent") for number in numbers if number not in dead)
        found.append(replace(report, silent=silent))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """A change that is to be measured: of which filter of which layer, and what it is the removal or replacement of."""

    layer: str
    of: Dead | Pair
    twin_instead: bool
    edits: dict[str, Edit]


def with_effects(
    module: nn.Module,
    batch: Tensor,
    layers: Sequence[Layer],
    reports: Sequence[LayerReport],
    sites: Sequence[Site],
    progress: Progress | None,
) -> tuple[list[LayerReport], list[str]]:
    """Measure what removing each dead, duplicate and silent filter does, up to `MOST_MEASURED` filters.

    Returns:
        The reports, and a note where some were left out.
    """
    changes, left_out = _changes(layers, reports)
    try:
        found = effects(module, batch, sites, [change.edits for change in changes], progress or _quiet)
    except NotFiniteError as error:
        return list(reports), [f"removing was not measured: {error}"]
    known = {
        (change.layer, change.of, change.twin_instead): effect for change, effect in zip(changes, found, strict=True)
    }
    note = (
        f"removing was measured for {MOST_MEASURED} of the dead, duplicate and silent filters and left out for "
        f"{left_out} (first come copies and filters that died after training, silent ones come last)."
    )
    return [_with(report, known) for report in reports], [note] if left_out else []


def _with(report: LayerReport, known: dict[tuple[str, Dead | Pair, bool], Effect]) -> LayerReport:
    return replace(
        report,
        dead=tuple(replace(each, removal=known.get((report.name, each, False))) for each in report.dead),
        silent=tuple(replace(each, removal=known.get((report.name, each, False))) for each in report.silent),
        twins=tuple(
            replace(
                each,
                removal=known.get((report.name, each.pair, False)),
                replacement=known.get((report.name, each.pair, True)),
            )
            for each in report.twins
        ),
    )


def _changes(layers: Sequence[Layer], reports: Sequence[LayerReport]) -> tuple[list[_Change], int]:
    """What is measured, the most telling first, and how many filters are left out."""
    ranked: list[tuple[int, Layer, Dead | Pair]] = []
    for layer, report in zip(layers, reports, strict=True):
        if layer.calls:
            ranked += [(0 if each.exact else 1, layer, each.pair) for each in report.twins]
            ranked += [(0 if each.remembered else 1, layer, each) for each in report.dead]
            ranked += [(2, layer, each) for each in report.silent]
    ranked.sort(key=lambda entry: entry[0])
    changes = []
    for _, layer, of in ranked[:MOST_MEASURED]:
        remove = without_channels([of.channel])
        changes.append(
            _Change(layer=layer.name, of=of, twin_instead=False, edits=dict.fromkeys(layer.handed_on, remove))
        )
        if isinstance(of, Pair):
            instead = _instead(layer, of)
            changes.append(
                _Change(layer=layer.name, of=of, twin_instead=True, edits=dict.fromkeys(layer.calls, instead))
            )
    return changes, max(0, len(ranked) - MOST_MEASURED)


def _instead(layer: Layer, pair: Pair) -> Edit:
    norms = norms_of(layer.flat)
    bias = getattr(layer.module, "bias", None)
    biases = bias.tolist() if isinstance(bias, Tensor) else [0.0] * len(norms)
    factor = float(norms[pair.channel] / norms[pair.twin]) * (1 if pair.cosine > 0 else -1)
    return replaced(pair.channel, pair.twin, factor=factor, own=biases[pair.channel], other=biases[pair.twin])


def _quiet(done: int, total: int) -> None:
    """No report."""
