"""`inspect_filters`: what a model's filters are like, whether they were trained, which of them do nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pellucid.capture import passes
from pellucid.capture.batches import as_batch
from pellucid.capture.sites import Site
from pellucid.capture.undisturbed import undisturbed
from pellucid.errors import PellucidError, SettingError
from pellucid.inputs.picture_reading import read_picture
from pellucid.insights import statistics, verdicts
from pellucid.insights.filter_report import FilterReport, Finding
from pellucid.insights.layers import Layer, after, layers_of
from pellucid.insights.measuring import Progress, measured, silent_added, with_effects, without_memory_of
from pellucid.models.loading import load
from pellucid.models.model import Model


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Probe:
    """A batch, the sites of its pass, and how many real pictures it holds."""

    batch: Tensor
    sites: tuple[Site, ...]
    pictures: int


def inspect_filters(
    model: Model | nn.Module | str, pictures: Any = None, *, seed: int = 0, progress: Progress | None = None
) -> FilterReport:
    """Look at the filters of every convolution and linear layer, and say what is wrong with them, if anything is.

    With pictures it is also measured what removing dead and duplicate filters changes, which channels stay silent, and
    (from eight pictures on) whether BatchNorm layers remember what arrives at them.

    Args:
        model: A `Model`, an `nn.Module`, or what `pellucid.load` takes.
        pictures: Probe pictures of the kind that the model was trained on: what `pellucid.trace` takes. None for the
            weights alone.
        seed: Of what is drawn: rows of very large layers.
        progress: Called with the changes that were measured so far, and how many there are.

    Returns:
        The report.

    Raises:
        InputError, ModelError: A picture or the model cannot be used.
        SettingError: The seed is below 0 or too large.
    """
    if not 0 <= seed < 2**32:
        raise SettingError("seed", given=seed, expected="a whole number from 0 to 4294967295")
    known = load(model)
    module = known.module
    notes: list[str] = []
    probe = _probe(known, pictures, notes)
    # In train mode, to read a weight with spectral norm takes another step of its power iteration.
    with undisturbed(module), torch.no_grad():
        layers = layers_of(module, probe.sites)
    if not layers:
        notes.append("the model has no convolution and no linear layer of torch.nn, so there was nothing to look at.")
    reports = [measured(layer, module, seed=seed) for layer in layers]
    broken = _not_finite(module)
    findings = [*verdicts.not_finite(broken), *verdicts.initial_weights(reports)]
    anew = _initial_sites(findings, layers)
    norms = statistics.norms_of(module, probe.sites)
    checks: list[statistics.NormCheck] = []
    pairs: list[tuple[str, str]] = []
    if broken and probe.pictures:
        notes.append("nothing was measured on the pictures, since weights are not finite.")
    elif probe.pictures:
        reports = silent_added(module, probe.batch, layers, reports, probe.sites)
        reports, cut = with_effects(module, probe.batch, layers, reports, probe.sites, progress)
        notes += cut
        if probe.pictures < statistics.ENOUGH_PICTURES and norms:
            notes.append(
                f"{probe.pictures} pictures are too few to compare BatchNorm's statistics with; give "
                f"{statistics.ENOUGH_PICTURES} or more."
            )
        elif norms:
            arriving = statistics.arriving_at(module, probe.batch, norms, probe.sites)
            checks = [norm.gap(arriving[norm.name]) for norm in norms]
            # What comes out of fresh weights fits nobody's statistics.
            spoilt = after(anew, probe.sites)
            judged = [norm for norm in norms if norm.name not in spoilt]
            pairs = statistics.swapped(module, probe.batch, judged, probe.sites, arriving)
            wrong = {name for pair in pairs for name in pair}
            reports = [without_memory_of(*both, wrong) for both in zip(reports, layers, strict=True)]
    findings += verdicts.statistics(norms, checks, pairs, anew, probe.sites)
    findings += verdicts.filters(reports, {layer.name: layer for layer in layers}, probe.pictures)
    return FilterReport(
        model=known.name,
        weights_digest=known.weights_digest,
        pictures=probe.pictures,
        seed=seed,
        layers=tuple(reports),
        norms=tuple(checks),
        findings=tuple(sorted(findings, key=lambda finding: not finding.damage)),
        notes=tuple(notes),
    )


def layers_in_order(model: Model, pictures: Any = None) -> list[Layer]:
    """The layers with filters in the order in which `inspect_filters` tells of them; nothing is measured.

    Raises:
        InputError, ModelError: A picture or the model cannot be used.
    """
    return layers_of(model.module, _probe(model, pictures, []).sites)


def _probe(model: Model, pictures: Any, notes: list[str]) -> _Probe:
    """The batch and the sites of its pass; without pictures those of a blank one, which shows the graph only."""
    if pictures is not None:
        _, batch, _ = as_batch(model, pictures)
        return _Probe(batch=batch, sites=passes.facts(model.module, batch).sites, pictures=len(batch))
    notes.append(
        "no pictures were given, so no effect was measured, no channel was found silent, and BatchNorm's statistics "
        "were compared with nothing."
    )
    batch = _blank(model)
    try:
        return _Probe(batch=batch, sites=passes.facts(model.module, batch).sites, pictures=0)
    except PellucidError as error:
        notes.append(f"no pass could be made to see which BatchNorm belongs to which layer: {error}")
        return _Probe(batch=batch, sites=(), pictures=0)


def _blank(model: Model) -> Tensor:
    """An input of zeros, as large as a picture becomes, with as many channels as the first convolution takes."""
    height, width = model.preprocessing.prepare(read_picture(np.zeros((256, 256, 3), dtype=np.uint8))).shape[-2:]
    first = next((part for part in model.module.modules() if isinstance(part, nn.Conv2d)), None)
    channels = 3 if first is None else first.in_channels
    weight = next((each for each in model.module.parameters() if each.is_floating_point()), torch.zeros(1))
    return weight.new_zeros((1, channels, height, width)).detach()


def _not_finite(module: nn.Module) -> dict[str, int]:
    """How many values are NaN or infinite, by the name of the weight or statistic; those without any are left out."""
    counts = {
        name: int(tensor.numel() - torch.isfinite(tensor.detach()).sum())
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
        if tensor.is_floating_point()
    }
    return {name: count for name, count in counts.items() if count}


def _initial_sites(findings: Sequence[Finding], layers: Sequence[Layer]) -> list[str]:
    """The calls of layers that were found to have initial weights."""
    kinds = ("untrained", "half-loaded", "re-initialised", "one-value")
    names = {site for finding in findings if finding.kind in kinds for site in finding.sites}
    return [call for layer in layers if layer.name in names for call in layer.calls]
