"""What was found out about a model's filters: numbers of every layer, and findings as sentences."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pellucid.errors import SiteError, did_you_mean
from pellucid.insights.initial import Initial
from pellucid.insights.kernels import Pair, Spectrum, grouped
from pellucid.insights.probes import Effect
from pellucid.insights.statistics import NormCheck

Reason = Literal["weights", "scale", "silent"]
Kind = Literal[
    "not-finite",
    "untrained",
    "half-loaded",
    "re-initialised",
    "one-value",
    "fresh-statistics",
    "swapped-statistics",
    "foreign-statistics",
    "dead",
    "duplicate",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """A filter that does nothing.

    Attributes:
        channel: Its number.
        reason: "weights": its norm is at most a thousandth of the layer's median; "scale": the BatchNorm behind it
            multiplies it by next to nothing; "silent": behind its activation it is 0 everywhere on the probe pictures.
        remembered: Whether the BatchNorm behind it remembers that it varied.
        removal: What setting the channel to 0, where it is handed on, does to the answers; None if not measured.
    """

    channel: int
    reason: Reason
    remembered: bool = False
    removal: Effect | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A filter that is nearly the same as another one.

    Attributes:
        pair: The two, and the cosine between them.
        exact: Whether they are equal up to a factor, as only a copy is.
        removal: What setting the channel to 0, where it is handed on, does to the answers; None if not measured.
        replacement: What putting the scaled twin in its place does; None if not measured.
    """

    pair: Pair
    exact: bool
    removal: Effect | None = None
    replacement: Effect | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerReport:
    """The filters of one layer.

    Attributes:
        name: Its path in the model.
        shape: (filters, inputs of one group, *kernel).
        groups: How many groups its channels are in.
        norms: The Euclidean norm of each filter.
        zeros: Share of weights that are exactly 0.
        not_finite: How many weights are NaN or infinite; where there are any, nothing else is measured.
        spectrum: Singular values and ranks; None where not measured.
        initial: The comparison with random initial weights; None for a small layer.
        dead: Filters that do nothing, by weights or scale; `silent` lists the others.
        silent: Filters that are 0 everywhere on the probe pictures, and are not dead; empty without pictures.
        twins: Filters that are nearly the same as another one.
    """

    name: str
    shape: tuple[int, ...]
    groups: int
    norms: np.ndarray
    zeros: float
    not_finite: int
    spectrum: Spectrum | None
    initial: Initial | None
    dead: tuple[Dead, ...] = ()
    silent: tuple[Dead, ...] = ()
    twins: tuple[Twin, ...] = ()

    @property
    def duplicates(self) -> tuple[tuple[int, ...], ...]:
        """The groups of filters that are nearly the same."""
        return grouped(tuple(twin.pair for twin in self.twins))

    def to_record(self) -> dict[str, Any]:
        """Everything in JSON types."""
        spectrum, initial = self.spectrum, self.initial
        return {
            "name": self.name,
            "shape": list(self.shape),
            "groups": self.groups,
            "norms": self.norms.tolist(),
            "zeros": self.zeros,
            "not_finite": self.not_finite,
            "singular_values": None if spectrum is None else spectrum.values.tolist(),
            "effective_rank": None if spectrum is None else spectrum.effective_rank,
            "stable_rank": None if spectrum is None else spectrum.stable_rank,
            "spectrum_of": None if spectrum is None else list(spectrum.of),
            "initial": None
            if initial is None
            else {
                "family": initial.family,
                "deviation": initial.deviation,
                "scores": dict(initial.scores),
                "fits": initial.fits,
            },
            "dead": [_dead(each) for each in self.dead],
            "silent": [_dead(each) for each in self.silent],
            "duplicates": [list(group) for group in self.duplicates],
            "twins": [
                {
                    "channel": twin.pair.channel,
                    "twin": twin.pair.twin,
                    "cosine": twin.pair.cosine,
                    "exact": twin.exact,
                    "removal": _effect(twin.removal),
                    "replacement": _effect(twin.replacement),
                }
                for twin in self.twins
            ],
        }

    def __repr__(self) -> str:
        size = "×".join(map(str, self.shape))
        rank = "" if self.spectrum is None else f", effective rank {self.spectrum.effective_rank:.1f}"
        many = len(self.dead), len(self.silent), len(self.twins)
        return f"<LayerReport {self.name} {size}{rank}, {many[0]} dead, {many[1]} silent, {many[2]} duplicate>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a reader should know.

    Attributes:
        kind: What it is.
        damage: Whether it cannot come from training; else it is a fact about a network that may well be sound.
        sites: The layers, or BatchNorm sites, that it is about.
        channels: The filters, where it is about filters.
        sentence: It in words, with its numbers.
    """

    kind: Kind
    damage: bool
    sites: tuple[str, ...]
    sentence: str
    channels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilterReport:
    """What was found out about the filters of a model. Holds no model.

    Attributes:
        model: The model's name.
        weights_digest: SHA-256 of its weights.
        pictures: How many probe pictures there were.
        seed: Of what was drawn.
        layers: The layers, in order of execution.
        norms: How the input of each BatchNorm differs from what it remembers; empty without pictures.
        findings: What a reader should know, damage first.
        notes: What was not looked at, and why.
    """

    model: str
    weights_digest: str
    pictures: int
    seed: int
    layers: tuple[LayerReport, ...]
    norms: tuple[NormCheck, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def damage(self) -> tuple[Finding, ...]:
        """The findings that cannot come from training."""
        return tuple(finding for finding in self.findings if finding.damage)

    def layer(self, name: str) -> LayerReport:
        """The layer of that name.

        Raises:
            SiteError: There is none; names the nearest.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        near = did_you_mean(name, [layer.name for layer in self.layers]) or "; see report.layers."
        raise SiteError(f"no layer with filters is called {name!r}{near}")

    def named(self, kind: Kind) -> tuple[str, ...]:
        """The layers and sites that findings of one kind are about."""
        return tuple(site for finding in self.findings if finding.kind == kind for site in finding.sites)

    def to_record(self) -> dict[str, Any]:
        """Everything in JSON types."""
        return {
            "model": self.model,
            "weights_digest": self.weights_digest,
            "pictures": self.pictures,
            "seed": self.seed,
            "layers": [layer.to_record() for layer in self.layers],
            "batch_norms": [
                {"name": each.name, "mean_gap": each.mean_gap, "variance_gap": each.variance_gap} for each in self.norms
            ],
            "findings": [
                {
                    "kind": each.kind,
                    "damage": each.damage,
                    "sites": list(each.sites),
                    "channels": list(each.channels),
                    "sentence": each.sentence,
                }
                for each in self.findings
            ],
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        damage, others = len(self.damage), len(self.findings) - len(self.damage)
        measured = f"{self.pictures} pictures" if self.pictures else "no pictures"
        lines = [
            f"<FilterReport of {self.model}: {len(self.layers)} layers, {damage} damage, {others} other, {measured}>"
        ]
        return "\n".join([*lines, *(f"  {finding.sentence}" for finding in self.damage)])


def listed(names: Sequence[object], *, most: int = 12) -> str:
    """Some names or numbers as a sentence has them: "1, 2 and 3", or the first twelve "and 7 more"."""
    words = [str(name) for name in names]
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _dead(each: Dead) -> dict[str, Any]:
    return {
        "channel": each.channel,
        "reason": each.reason,
        "remembered": each.remembered,
        "removal": _effect(each.removal),
    }


def _effect(effect: Effect | None) -> dict[str, Any] | None:
    return None if effect is None else {"largest": effect.largest, "mean": effect.mean, "changed": effect.changed}
