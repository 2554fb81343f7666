"""From what was measured to sentences: what is wrong with a model's weights, and what is merely worth knowing."""

import math
from collections.abc import Mapping, Sequence

from pellucid.capture.sites import Site
from pellucid.insights.filter_report import Dead, Finding, LayerReport, Twin, listed
from pellucid.insights.initial import ENOUGH, Initial
from pellucid.insights.layers import Layer, after
from pellucid.insights.probes import Effect
from pellucid.insights.statistics import Norm, NormCheck

_ALL = 0.95
"""Share of a model's layers that must look initial before the whole is called untrained: one in twenty may fail by
chance or be initialised in a way of its own."""
_APART = 4
"""Layers with dead filters that get a sentence each; more of them, as weight decay leaves them, share one."""
_MANY = 0.25
"""Share from which on a file was loaded by half, rather than single layers initialised anew."""


def not_finite(counts: Mapping[str, int]) -> list[Finding]:
    """NaN or infinity in weights or statistics, by the name of the tensor."""
    if not counts:
        return []
    total = sum(counts.values())
    return [
        Finding(
            kind="not-finite",
            damage=True,
            sites=tuple(counts),
            sentence=f"{total:,} {'value is' if total == 1 else 'values are'} NaN or infinite, in "
            f"{listed(list(counts))}: the answers mean nothing.",
        )
    ]


def initial_weights(layers: Sequence[LayerReport]) -> list[Finding]:
    """Which layers, or whether all of them, cannot be told from random initial weights."""
    measured = [(layer, layer.initial) for layer in layers if layer.initial is not None]
    constant = [layer for layer, found in measured if found.family == "constant"]
    judged = [(layer, found) for layer, found in measured if found.weights >= ENOUGH]
    fitting = [(layer, found) for layer, found in judged if found.fits]
    small = [(layer, found) for layer, found in measured if found.weights < ENOUGH]
    small_fitting = sum(found.fits for _, found in small)
    # A model of small layers only is judged as one: all of them together have to have enough weights.
    whole = judged or (small if sum(found.weights for _, found in small) >= ENOUGH else [])
    fits = len(fitting) if judged else small_fitting
    if whole and fits >= _ALL * len(whole) and small_fitting >= 0.9 * len(small):
        names = tuple(layer.name for layer, found in measured if found.fits)
        return [
            Finding(
                kind="untrained",
                damage=True,
                sites=names,
                sentence=f"The weights look untrained: in {len(names)} of the {len(measured)} layers that are large "
                f"enough to tell, they cannot be told from random initial ones ({_described(measured[0][1])} in "
                f"{measured[0][0].name}).",
            )
        ]
    found: list[Finding] = []
    fresh = [(layer, each) for layer, each in fitting if each.family != "constant"]
    if len(fresh) > 1 and len(fresh) >= _MANY * len(judged):
        found.append(
            Finding(
                kind="half-loaded",
                damage=True,
                sites=tuple(layer.name for layer, _ in fresh),
                sentence=f"The weights look loaded by half: {len(fresh)} of {len(judged)} layers cannot be told from "
                f"random initial ones: {listed([layer.name for layer, _ in fresh])}.",
            )
        )
    else:
        found += [
            Finding(
                kind="re-initialised",
                damage=True,
                sites=(layer.name,),
                sentence=f"{layer.name} looks initialised anew: its {each.weights:,} weights cannot be told from "
                f"random initial ones ({_described(each)}), and those of {len(judged) - len(fresh)} other layers can.",
            )
            for layer, each in fresh
        ]
    found += [
        Finding(
            kind="one-value",
            damage=True,
            sites=(layer.name,),
            sentence=f"{layer.name} holds one value only, {'0' if layer.zeros == 1 else 'not 0'}, in all of its "
            f"{layer.initial.weights if layer.initial else 0:,} weights.",
        )
        for layer in constant
    ]
    return found


def _described(found: Initial) -> str:
    if found.family == "constant":
        return "one value in all places"
    if found.family == "orthogonal":
        return "orthogonal filters of one strength"
    score = max(found.scores.values())
    return (
        f"{found.family}, standard deviation {found.deviation:.3g}, {score:.2f} of the way to where they could be told"
    )


def statistics(
    norms: Sequence[Norm],
    checks: Sequence[NormCheck],
    pairs: Sequence[tuple[str, str]],
    anew: Sequence[str],
    sites: Sequence[Site],
) -> list[Finding]:
    """What is wrong with BatchNorm's statistics.

    Args:
        norms: The layers.
        checks: What arrives at them against what they remember; empty where nobody looked.
        pairs: The ones that hold each other's statistics.
        anew: The sites of layers whose weights are initial ones: what follows them is not judged.
        sites: The sites of the pass.
    """
    found = []
    fresh = [norm.name for norm in norms if norm.fresh]
    if fresh:
        found.append(
            Finding(
                kind="fresh-statistics",
                damage=True,
                sites=tuple(fresh),
                sentence=f"{len(fresh)} of {len(norms)} BatchNorm layers have seen no picture (running mean 0 and "
                f"variance 1 in every channel): {listed(fresh)}.",
            )
        )
    gaps = {check.name: check for check in checks}
    found += [
        Finding(
            kind="swapped-statistics",
            damage=True,
            sites=pair,
            sentence=f"The running statistics of {pair[0]} and {pair[1]} look swapped: what arrives at each fits what "
            f"the other one remembers (at {pair[0]} the means are {gaps[pair[0]].mean_gap:.2f} standard deviations "
            f"and the variances a factor of {_factor(gaps[pair[0]])} off, medians over the channels).",
        )
        for pair in pairs
    ]
    known = {name for pair in pairs for name in pair} | set(fresh)
    spoilt = after([*anew, *known], sites)
    far = next((check for check in checks if check.far and check.name not in spoilt), None)
    if far is not None:
        found.append(
            Finding(
                kind="foreign-statistics",
                damage=True,
                sites=(far.name,),
                sentence=f"What arrives at {far.name} does not fit its running statistics: the means are "
                f"{far.mean_gap:.2f} standard deviations and the variances a factor of {_factor(far)} off (medians "
                "over the channels). The weights before it or its statistics were changed after training, or the "
                "pictures are of another kind or prepared in another way. Later layers are not judged.",
            )
        )
    return found


def _factor(check: NormCheck) -> str:
    return f"{math.exp(check.variance_gap):.3g}"


def filters(layers: Sequence[LayerReport], known: Mapping[str, Layer], pictures: int) -> list[Finding]:
    """The dead and the duplicate filters, a sentence for each layer and each kind."""
    sound = [layer for layer in layers if any(not each.remembered for each in layer.dead)]
    together = len(sound) > _APART
    found = [_dead_together(sound, pictures)] if together else []
    for layer in layers:
        for damage in (True, False):
            dead = [each for each in layer.dead if each.remembered == damage]
            if dead and (damage or not together):
                found.append(_dead(layer, dead, known[layer.name].batch_norm, pictures, damage=damage))
            twins = [each for each in layer.twins if each.exact == damage]
            if twins:
                found.append(_twins(layer, twins, pictures, damage=damage))
    return found


def _dead(layer: LayerReport, dead: Sequence[Dead], norm: str | None, pictures: int, *, damage: bool) -> Finding:
    channels = tuple(each.channel for each in dead)
    weights = sum(each.reason == "weights" for each in dead)
    why = []
    if weights:
        why.append(f"{weights} with a norm of at most a thousandth of the layer's median")
    if weights < len(dead):
        why.append(f"{len(dead) - weights} by the scale of {norm}, at most a thousandth of its median")
    it, are = ("it", "is") if len(dead) == 1 else ("they", "are")
    after_all = f", although {norm} remembers that {it} varied, so {it} died after training" if damage else ""
    return Finding(
        kind="dead",
        damage=damage,
        sites=(layer.name,),
        channels=channels,
        sentence=f"{layer.name}: {len(dead)} of {layer.shape[0]} filters {are} dead ({'; '.join(why)}): "
        f"{listed(channels)}{after_all}.{_removing([each.removal for each in dead], pictures)}",
    )


def _dead_together(layers: Sequence[LayerReport], pictures: int) -> Finding:
    dead = [each for layer in layers for each in layer.dead if not each.remembered]
    weights = sum(each.reason == "weights" for each in dead)
    filters = sum(layer.shape[0] for layer in layers)
    return Finding(
        kind="dead",
        damage=False,
        sites=tuple(layer.name for layer in layers),
        sentence=f"{len(dead)} of the {filters} filters in {len(layers)} layers are dead, {weights} with a norm of at "
        f"most a thousandth of their layer's median, {len(dead) - weights} by the scale of the BatchNorm behind them: "
        f"{listed([layer.name for layer in layers])}.{_removing([each.removal for each in dead], pictures)}",
    )


def _twins(layer: LayerReport, twins: Sequence[Twin], pictures: int, *, damage: bool) -> Finding:
    channels = tuple(sorted({number for each in twins for number in (each.pair.channel, each.pair.twin)}))
    least = min(abs(each.pair.cosine) for each in twins)
    are = "is" if len(twins) == 1 else "are"
    like = (
        "a copy of another up to a factor" if damage else f"nearly the same as another (|cosine| {least:.4f} or more)"
    )
    shown = listed(
        [f"{each.pair.channel} like {'-' if each.pair.cosine < 0 else ''}{each.pair.twin}" for each in twins]
    )
    replaced = _largest([each.replacement for each in twins])
    instead = ""
    if replaced is not None and math.isfinite(replaced.largest):
        instead = f" Put in its place, the twin changes the logits by at most {replaced.largest:.3g}."
    return Finding(
        kind="duplicate",
        damage=damage,
        sites=(layer.name,),
        channels=channels,
        sentence=f"{layer.name}: {len(twins)} of {layer.shape[0]} filters {are} {like}: {shown}."
        f"{_removing([each.removal for each in twins], pictures)}{instead}",
    )


def _removing(removals: Sequence[Effect | None], pictures: int) -> str:
    measured = [each for each in removals if each is not None]
    largest = _largest(removals)
    if largest is None:
        return ""
    some = "" if len(measured) == len(removals) else f" ({len(measured)} were measured)"
    if not math.isfinite(largest.largest):
        return f" Removing one of them makes a logit NaN or infinite{some}."
    most = max(each.changed for each in measured)
    return (
        f" Removing one changes the logits by at most {largest.largest:.3g}, and the first class of "
        f"{most if most else 'none'} of {pictures} {'picture' if pictures == 1 else 'pictures'}{some}."
    )


def _largest(found: Sequence[Effect | None]) -> Effect | None:
    return max((each for each in found if each is not None), key=lambda each: each.largest, default=None)
