"""Excitation backprop: the probability that a neuron wins, handed down from the target."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pellucid.capture.asks import INPUT, Ask, Facts, Given, Parts, Passes, Piece, Probing, Reads, Variants
from pellucid.capture.handing import Handed, Operation
from pellucid.errors import MethodError, SettingError
from pellucid.methods.catalogue import register
from pellucid.methods.gradients import axes_of
from pellucid.methods.relevance_ops import is_affine, layer_of, passed_on, refused
from pellucid.methods.relevance_rules import quotient

CONTRASTS = ("none", "dual")


@register("excitation-backprop")
@dataclass(frozen=True, slots=True, kw_only=True)
class ExcitationBackprop:
    """How likely each value is to win when neurons compete, from the target down, to be what excites it.

    Values are probabilities without a unit: the target begins with 1 (of a contrast: one class with 1, the other with
    −1), and a neuron hands its probability to its inputs in proportion to activation × positive weight. Negative
    weights and biases take no part, nor do negative activations, which only come up in the prepared picture and where
    a model has other activations than ReLU. Values sum to `probability that arrived`; where no input excites a neuron,
    its probability ends there. Batch norm, sums, pooling and refusals are as for `lrp`.

    Attributes:
        site: Where the map is made: "input", or a selector of one site (the paper shows pooling layers in the middle).
        contrast: "none"; or "dual": the map of a target whose weights in the class layer are negated is subtracted, so
            that what excites every class cancels. Values below 0 then speak for the other classes.

    Reference:
        Zhang et al., Top-Down Neural Attention by Excitation Backprop, ECCV 2016, eq. 2 to 5 and section 3.3.
    """

    site: str = INPUT
    contrast: str = "none"

    def __post_init__(self) -> None:
        if not isinstance(self.site, str) or not self.site:
            raise SettingError("site", given=self.site, expected="input, or a selector of one site, e.g. last:conv")
        if self.contrast not in CONTRASTS:
            raise SettingError("contrast", given=self.contrast, expected=f"one of {', '.join(CONTRASTS)}")

    def passes(self, facts: Facts) -> Passes:
        """One forward and one way back per item; for the contrast two."""
        times = 2 if self.contrast == "dual" else 1
        return Passes(forwards=times * facts.items, backwards=times * facts.items)

    def probe(self, given: Given) -> Probing:
        """Hand the target's probability down to the site."""
        place = INPUT if self.site == INPUT else given.facts.site(self.site).name
        batch = Variants(count=1, make=lambda _: given.x)
        values: Tensor | None = None
        reached: set[str] = set()
        for dual in (None, given.facts.class_site)[: 2 if self.contrast == "dual" else 1]:
            found = yield Ask(
                variants=batch,
                want="relevance",
                reads=Reads(values=frozenset({place})),
                handing=_handing(dual, reached),
                start="weight",
            )
            values = found.at[place][0] if values is None else values - found.at[place][0]
        if self.contrast == "dual" and not reached:
            raise MethodError(
                "excitation-backprop with contrast=dual negates the weights of the class layer, and this target does "
                "not come by it; explain a class, or use contrast=none."
            )
        assert values is not None
        return _parts(place, values, given.facts)


def _parts(place: str, values: Tensor, facts: Facts) -> Parts:
    arrived = values.double().flatten(1).sum(1)
    if place == INPUT:
        piece = Piece(place=place, axes=axes_of(values), values=values)
    elif place in facts.channels_first():
        piece = Piece(place=place, axes=("height", "width"), values=values.sum(1))
    else:
        piece = Piece(place=place, axes=tuple(f"axis {i}" for i in range(1, values.dim())), values=values)
    return Parts(pieces=(piece,), checks={"probability that arrived": arrived})


def _handing(negated: str | None, reached: set[str]) -> Callable[[Operation, tuple[Tensor | None, ...]], Handed]:
    """The rule for each operation; the layer at one site with all of its weights negated."""

    def hand(operation: Operation, arrived: tuple[Tensor | None, ...]) -> Handed:
        handed = passed_on(operation, arrived)
        if handed is not None:
            return handed
        relevance = arrived[0]
        if relevance is None or len(arrived) > 1:  # attention and other tuples
            raise refused("excitation-backprop", operation)
        if is_affine(operation):
            return _among_terms(operation, relevance)
        layer = layer_of(operation)
        if layer is None:
            raise refused("excitation-backprop", operation)
        weight = layer.weight
        if operation.site == negated:
            reached.add(operation.site)
            weight = -weight
        x = layer.x.clamp(min=0)
        z, back = layer.at(x, weight.clamp(min=0), None)
        return layer.handed(x * back(quotient(relevance, z, 0.0)))

    return hand


def _among_terms(operation: Operation, relevance: Tensor) -> Handed:
    """The terms of a sum or a mean compete with what each adds, where that is positive; constants take no part."""
    nothing = [torch.zeros_like(x) for x in operation.inputs]
    constant, _ = operation.pull(lambda *given: operation.run(*given), nothing)
    added, ways = [], []
    for place, x in enumerate(operation.inputs):

        def alone(value: Tensor, place: int = place) -> Tensor:
            return operation.run(*nothing[:place], value, *nothing[place + 1 :])  # type: ignore[no-any-return]

        made, back = operation.pull(alone, [x.clamp(min=0)])
        added.append((made - constant).clamp(min=0))
        ways.append(back)
    share = quotient(relevance, sum(added[1:], added[0]), 0.0)
    parts = tuple(
        x.clamp(min=0) * back(share * (term > 0))[0]
        for x, term, back in zip(operation.inputs, added, ways, strict=True)
    )
    return Handed(inputs=parts)
