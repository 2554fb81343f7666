"""Layer-wise relevance propagation: the score handed down to the input, layer by layer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pellucid.capture.asks import INPUT, Ask, Facts, Given, Parts, Passes, Piece, Probing, Reads, Variants
from pellucid.capture.handing import Handed, HandedDown, Operation
from pellucid.errors import MethodError, SettingError, did_you_mean
from pellucid.methods.catalogue import register
from pellucid.methods.gradients import axes_of
from pellucid.methods.relevance_ops import is_affine, is_scale, layer_of, passed_on, refused
from pellucid.methods.relevance_rules import (
    STABILISER,
    Layer,
    affine,
    alpha_beta_rule,
    box_rule,
    epsilon_rule,
    even_rule,
    gamma_rule,
)


@dataclass(frozen=True, slots=True)
class Composite:
    """Which rule each kind of layer gets.

    Attributes:
        conv: For convolutions.
        dense: For linear layers.
        first: For layers before which there is no other one; None for their kind's own.
    """

    conv: str
    dense: str
    first: str | None = None


COMPOSITES: Mapping[str, Composite] = {
    "epsilon": Composite("epsilon", "epsilon"),
    "lrp-0": Composite("lrp-0", "lrp-0"),
    "gamma": Composite("gamma", "gamma"),
    "alpha2beta1": Composite("alpha2beta1", "alpha2beta1"),
    "alpha1beta0": Composite("z-plus", "z-plus"),
    "z-plus": Composite("z-plus", "z-plus"),
    "epsilon-plus": Composite("z-plus", "epsilon"),
    "epsilon-plus-flat": Composite("z-plus", "epsilon", "flat"),
    "epsilon-gamma-box": Composite("gamma", "epsilon", "box"),
    "epsilon-alpha2beta1": Composite("alpha2beta1", "epsilon"),
    "epsilon-alpha2beta1-flat": Composite("alpha2beta1", "epsilon", "flat"),
}
FIRSTS = ("composite", "flat", "w-square", "box")


@register("lrp")
@dataclass(frozen=True, slots=True, kw_only=True)
class LRP:
    """How the score is shared out among the input values, handed down from layer to layer.

    Values are in units of the score. Relevance begins as the score itself (of a contrast: one logit, and minus the
    other). Each layer hands it to its inputs by a rule, and biases keep the share that is theirs; so values sum to
    the score less what the biases took, `share that biases took`, and what went to stabilisers and to units without
    any contribution, `share that was lost`. The second part, `relevance per site`, has the sum at each site.

    Batch norm right behind a convolution or linear layer is folded into it for the explanation; any other is a layer of
    its own under the epsilon rule. Activations (ReLU, GELU, SiLU and others) pass relevance through, sums and averages
    share it in proportion to what each term adds, max pooling gives it to the largest. What multiplies two activations
    (squeeze and excitation, attention), and every operation without a rule, is refused by name.

    Attributes:
        composite: Which rule convolutions, linear layers and the first layer get: epsilon, lrp-0, gamma, alpha2beta1,
            alpha1beta0, z-plus, epsilon-plus, epsilon-plus-flat, epsilon-gamma-box, epsilon-alpha2beta1 or
            epsilon-alpha2beta1-flat.
        epsilon: Stabiliser of the epsilon rule, 0 or more, in units of a layer's output.
        gamma: How much the gamma rule strengthens what has the output's sign, 0 or more.
        first: Another rule for the first layer: flat, w-square or box; "composite" for the composite's own.
        low: Lowest value of the prepared input, for the box rule; None for that of a black pixel.
        high: Highest value, likewise; None for that of a white pixel.

    Reference:
        Bach et al., On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise Relevance Propagation,
        PLoS ONE 2015, eq. 56 to 60; Montavon et al., Layer-Wise Relevance Propagation: An Overview, 2019.
    """

    composite: str = "epsilon-plus-flat"
    epsilon: float = 1e-6
    gamma: float = 0.25
    first: str = "composite"
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for name, known in (("composite", tuple(COMPOSITES)), ("first", FIRSTS)):
            given = getattr(self, name)
            if given not in known:
                near = did_you_mean(str(given), list(known)).removeprefix("; ").rstrip("?")
                raise SettingError(name, given=given, expected=f"one of {', '.join(known)}", hint=near)
        for name in ("epsilon", "gamma"):
            given = getattr(self, name)
            if not _is_number(given) or not 0 <= given < float("inf"):
                raise SettingError(name, given=given, expected="a number, 0 or more")
        self._check_bounds()

    def _check_bounds(self) -> None:
        for name, given, other in (("low", self.low, self.high), ("high", self.high, self.low)):
            if given is None:
                continue
            side, across = ("below", "high") if name == "low" else ("above", "low")
            if not (_is_number(given) and _is_number(other)) or self.low >= self.high:  # type: ignore[operator]
                raise SettingError(name, given=given, expected=f"a number {side} {across}, or None for both")

    def passes(self, facts: Facts) -> Passes:
        """One forward and one way back per item."""
        return Passes(forwards=facts.items, backwards=facts.items)

    def probe(self, given: Given) -> Probing:
        """Hand the score down to the input."""
        bounds = self._bounds(given) if "box" in (self.first, self._first()) else None
        batch = Variants(count=1, make=lambda _: given.x)
        reads = Reads(values=frozenset({INPUT}))
        found = yield Ask(variants=batch, want="relevance", reads=reads, handing=self._handing(bounds))
        return _parts(found, given)

    def _first(self) -> str | None:
        return COMPOSITES[self.composite].first if self.first == "composite" else self.first

    def _handing(
        self, bounds: tuple[Tensor, Tensor] | None
    ) -> Callable[[Operation, tuple[Tensor | None, ...]], Handed]:
        # LRP-0 is exact also where there is no layer, and no stabiliser is larger than the user's.
        epsilon = 0.0 if self.composite == "lrp-0" else self.epsilon
        stabiliser = min(epsilon, STABILISER)

        def hand(operation: Operation, arrived: tuple[Tensor | None, ...]) -> Handed:
            handed = passed_on(operation, arrived)
            if handed is not None:
                return handed
            relevance = arrived[0]
            if relevance is None or len(arrived) > 1:  # attention and other tuples
                raise refused("lrp", operation)
            if is_affine(operation):
                return affine(operation, relevance, epsilon=0.0 if is_scale(operation) else stabiliser)
            layer = layer_of(operation)
            if layer is None:
                raise refused("lrp", operation)
            return self._ruled(layer, relevance, epsilon, bounds)

        return hand

    def _ruled(self, layer: Layer, relevance: Tensor, epsilon: float, bounds: tuple[Tensor, Tensor] | None) -> Handed:
        rule = self._rule(layer.operation)
        if rule == "gamma":
            return gamma_rule(layer, relevance, gamma=self.gamma)
        if rule in ("z-plus", "alpha2beta1"):
            beta = 1.0 if rule == "alpha2beta1" else 0.0
            return alpha_beta_rule(layer, relevance, alpha=1.0 + beta, beta=beta)
        if rule == "flat":
            return even_rule(layer, relevance, weight=torch.ones_like(layer.weight))
        if rule == "w-square":
            return even_rule(layer, relevance, weight=layer.weight**2)
        if rule == "box":
            assert bounds is not None
            ends = [layer.operation.again(bound.to(layer.x).expand_as(bounds[0])) for bound in bounds]
            low, high = torch.minimum(*ends).expand_as(layer.x), torch.maximum(*ends).expand_as(layer.x)
            return box_rule(layer, relevance, low=low, high=high)
        return epsilon_rule(layer, relevance, epsilon=epsilon)

    def _rule(self, operation: Operation) -> str:
        chosen, first = COMPOSITES[self.composite], self._first()
        if operation.name == "batch_norm":
            return "epsilon"
        # The box is meant for pixels under a convolution; a dense first layer keeps its own rule, as in the papers.
        if operation.is_first and first is not None and (first != "box" or operation.kind == "conv"):
            return first
        return chosen.conv if operation.kind == "conv" else chosen.dense

    def _bounds(self, given: Given) -> tuple[Tensor, Tensor]:
        """The lowest and the highest input, of one item's shape."""
        one = given.x[:1]
        if self.low is not None and self.high is not None:
            low, high = torch.full_like(one, self.low), torch.full_like(one, self.high)
        elif given.preparing is None or one.dim() != 4 or one.shape[1] != 3:
            raise MethodError(
                "lrp with the box rule needs the lowest and the highest possible input, and a tensor does not say how "
                "it was prepared; give both, e.g. lrp(composite=epsilon-gamma-box, low=-2.2, high=2.7), load the model "
                "with its preprocessing, or use another first rule, e.g. first=flat."
            )
        else:
            black, white = (one.new_tensor(given.preparing.grey(level)).view(1, 3, 1, 1) for level in (0, 255))
            low, high = black.expand_as(one), white.expand_as(one)
        room = 1e-4 * (high - low)
        if bool(((given.x < low - room) | (given.x > high + room)).any()):
            raise MethodError(
                f"lrp with the box rule needs inputs between low and high, and values from {float(given.x.min()):.3g} "
                f"to {float(given.x.max()):.3g} were given for {float(low.min()):.3g} to {float(high.max()):.3g}; give "
                "low and high that hold them, or use another first rule, e.g. first=flat."
            )
        return low, high


def _parts(found: HandedDown, given: Given) -> Parts:
    values, scores = found.at[INPUT][0], given.scores.double()
    arrived = values.double().flatten(1).sum(1)
    none = torch.zeros_like(scores)
    sums = torch.stack([found.sums[s.name][0] if s.name in found.sums else none for s in given.facts.sites], dim=1)
    # Where the score is 0 there is nothing to take a share of.
    whole = torch.where(scores == 0, torch.nan, scores)
    checks = {
        "relevance at the input": arrived,
        "share that biases took": found.bias[0] / whole,
        "share that was lost": (scores - arrived - found.bias[0]) / whole,
    }
    nothing = "the score is 0, so nothing is handed down"
    return Parts(
        pieces=(
            Piece(place=INPUT, axes=axes_of(values), values=values),
            Piece(place=INPUT, axes=("sites",), values=sums, name="relevance per site"),
        ),
        checks=checks,
        notes={item: (nothing,) for item, score in enumerate(scores.tolist()) if score == 0},
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
