"""Rules by which a layer hands relevance down to its inputs: pure arithmetic on inputs, weights and results.

In all of them z is what a layer returns (or a part of it), R the relevance that arrives there, and each input gets its
share of R / z. A share that belongs to the bias stays there: biases absorb it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pellucid.capture.handing import Handed, Operation

STABILISER = 1e-6
"""What is added to a denominator, with its sign, in rules that have no epsilon of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A linear operation of a pass: a convolution, a linear layer, or a scale and shift per channel.

    Attributes:
        x: What went in.
        weight: Its weight.
        bias: Its bias, if it has one.
        apply: The operation for other inputs, weights and biases.
        operation: What it is in the pass.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    apply: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    operation: Operation

    def at(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """What it returns for these, and how slopes go back to `x`."""
        made, back = self.operation.pull(lambda x: self.apply(x, weight, bias), [x])
        return made, lambda slope: back(slope)[0]

    def handed(self, relevance: Tensor, *, bias: Tensor | None = None) -> Handed:
        """What the layer's input gets, and what its bias took per item."""
        return Handed(inputs=(relevance,), bias=bias)


def quotient(relevance: Tensor, z: Tensor, epsilon: float) -> Tensor:
    """R / (z + ε sign z), where 0 counts as positive; 0 where z is 0 and so is ε."""
    if epsilon:
        return relevance / (z + torch.where(z < 0, -epsilon, epsilon))
    return torch.where(z == 0, 0.0, relevance / torch.where(z == 0, 1.0, z))


def affine(operation: Operation, relevance: Tensor, *, epsilon: float) -> Handed:
    """Each input of a sum, a mean or another affine operation gets its part: x · ∂z/∂x · R / z, stabilised.

    Constants are biases. Two inputs of a residual sum share R in proportion to what they add.
    """
    z, back = operation.back()
    share = quotient(relevance, z, epsilon)
    parts = tuple(x * slope for x, slope in zip(operation.inputs, back(share), strict=True))
    left = operation.by_item(share * z) - sum(operation.by_item(part) for part in parts)
    return Handed(inputs=parts, bias=left)


def epsilon_rule(layer: Layer, relevance: Tensor, *, epsilon: float) -> Handed:
    """Shares x · w · R / (z + ε sign z); LRP-0 where ε is 0.

    Reference:
        Bach et al., On Pixel-Wise Explanations, 2015, eq. 58.
    """
    return _handed(layer, [_side(layer, relevance, [(layer.x, layer.weight, layer.bias)], epsilon)], [1.0])


def gamma_rule(layer: Layer, relevance: Tensor, *, gamma: float) -> Handed:
    """As LRP-0, with the contributions that have the sign of z made 1 + γ times as strong.

    Reference:
        Montavon et al., Layer-Wise Relevance Propagation: An Overview, 2019; for negative inputs too: Andéol et al.,
        Learning Domain Invariant Representations by Joint Wasserstein Distance Minimization, 2021.
    """
    x, weight, bias = layer.x, layer.weight, layer.bias
    z, _ = layer.at(x, weight, bias)
    sides = []
    for sign in (1.0, -1.0):
        strong, weak = (weight + gamma * _part(weight, way) for way in (sign, -sign))
        strong_bias = None if bias is None else bias + gamma * _part(bias, sign)
        # A bias that is kept out of the second term must not be counted twice.
        terms = [(x.clamp(min=0), strong, strong_bias), (x.clamp(max=0), weak, None)]
        sides.append(_side(layer, relevance * (z * sign > 0), terms, STABILISER))
    return _handed(layer, sides, [1.0, 1.0])


def alpha_beta_rule(layer: Layer, relevance: Tensor, *, alpha: float, beta: float) -> Handed:
    """α times the shares of what speaks for z, minus β times the shares of what speaks against it; α − β = 1.

    With α = 1 and β = 0 it is the z⁺ rule.

    Reference:
        Bach et al., On Pixel-Wise Explanations, 2015, eq. 60.
    """
    x, weight, bias = layer.x, layer.weight, layer.bias
    sides = []
    for sign in (1.0, -1.0) if beta else (1.0,):
        own = None if bias is None else _part(bias, sign)
        terms = [(x.clamp(min=0), _part(weight, sign), own), (x.clamp(max=0), _part(weight, -sign), None)]
        sides.append(_side(layer, relevance, terms, STABILISER))
    return _handed(layer, sides, [alpha, -beta][: len(sides)])


def box_rule(layer: Layer, relevance: Tensor, *, low: Tensor, high: Tensor) -> Handed:
    """zᴮ: x · w − low · w⁺ − high · w⁻, for inputs that lie between two bounds; no share for the bias.

    Reference:
        Montavon et al., Explaining Nonlinear Classification Decisions with Deep Taylor Decomposition, 2017, eq. 15.
    """
    weight = layer.weight
    terms = [(layer.x, weight), (low, _part(weight, 1.0)), (high, _part(weight, -1.0))]
    made = [layer.at(x, w, None) for x, w in terms]
    z = made[0][0] - made[1][0] - made[2][0]
    share = quotient(relevance, z, STABILISER)
    parts = [x * back(share) for (x, _), (_, back) in zip(terms, made, strict=True)]
    return layer.handed(parts[0] - parts[1] - parts[2])


def even_rule(layer: Layer, relevance: Tensor, *, weight: Tensor) -> Handed:
    """Shares that do not depend on the input: flat with weights 1, w² with squared weights; none for the bias.

    Reference:
        Lapuschkin et al., Unmasking Clever Hans Predictors, 2019 (flat); Montavon et al. 2017, eq. 13 (w²).
    """
    z, back = layer.at(torch.ones_like(layer.x), weight, None)
    return layer.handed(back(quotient(relevance, z, STABILISER)))


_Side = tuple[Tensor, Tensor]  # what the input gets, and what the bias took per item


def _side(
    layer: Layer, relevance: Tensor, terms: Sequence[tuple[Tensor, Tensor, Tensor | None]], epsilon: float
) -> _Side:
    """The shares of some terms in their sum. A term of inputs that are all 0 is left out: it adds nothing."""
    used = [(x, *layer.at(x, w, b)) for x, w, b in terms if b is not None or x is layer.x or bool((x != 0).any())]
    if not used:
        return torch.zeros_like(layer.x), layer.operation.by_item(relevance) * 0
    z = sum((made for _, made, _ in used[1:]), used[0][1])
    share = quotient(relevance, z, epsilon)
    part = sum((x * back(share) for x, _, back in used[1:]), used[0][0] * used[0][2](share))
    return part, layer.operation.by_item(share * z) - layer.operation.by_item(part)


def _handed(layer: Layer, sides: Sequence[_Side], weights: Sequence[float]) -> Handed:
    parts = [weight * part for weight, (part, _) in zip(weights, sides, strict=True)]
    taken = [weight * bias for weight, (_, bias) in zip(weights, sides, strict=True)]
    return layer.handed(sum(parts[1:], parts[0]), bias=sum(taken[1:], taken[0]))


def _part(tensor: Tensor, sign: float) -> Tensor:
    return tensor.clamp(min=0) if sign > 0 else tensor.clamp(max=0)
