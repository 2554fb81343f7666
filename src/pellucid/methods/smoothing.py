"""Explanations averaged over noisy copies of the input."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor

from pellucid.capture.asks import Combine, Facts, Given, Parts, Passes, Piece, Probe, Probing, Rules, Seen, Variants
from pellucid.errors import MethodError, SettingError
from pellucid.methods.baselines import drawn, noise_like, range_of
from pellucid.methods.catalogue import method_from, name_of, register
from pellucid.methods.sampling import Moments, check_noise, check_samples, read_each, relative

How = Literal["mean", "squared", "variance"]


@register("smooth-grad")
@dataclass(frozen=True, slots=True, kw_only=True)
class SmoothGrad:
    """What another method says on average of pictures that differ from this one by a little noise.

    Values have the units of the method that is averaged (of saliency: score per unit of the prepared input), or the
    square of them for `squared` and `variance`, which have no sign. The standard error of each value is reported, and
    `relative standard error`: the root mean square of the errors as a share of that of the values. Two runs with other
    seeds differ by about 1.4 times that.

    Attributes:
        base: The method that is averaged, in its text form: one that reads slopes from one pass, such as `saliency`,
            `guided-backpropagation` or `grad-cam(site=layer3)`.
        combine: `mean` (SmoothGrad), `squared` (the mean of the squares, SmoothGrad²) or `variance` (the unbiased
            sample variance, VarGrad).
        samples: Noisy copies, 2 or more.
        noise: Standard deviation of the Gaussian noise as a share of the range of the prepared input, above 0 to 1.
            The paper finds 0.1 to 0.2 best.

    Reference:
        Smilkov et al., SmoothGrad: removing noise by adding noise, 2017, section 3. Hooker et al., A Benchmark for
        Interpretability Methods in Deep Neural Networks, NeurIPS 2019, section 3. Adebayo et al., Local Explanation
        Methods for Deep Neural Networks Lack Sensitivity to Parameter Values, 2018, section 2.
    """

    base: str = "saliency"
    combine: How = "mean"
    samples: int = 50
    noise: float = 0.15

    def __post_init__(self) -> None:
        if not isinstance(self.base, str) or not self.base:
            raise SettingError("base", given=self.base, expected="a method in its text form, e.g. saliency")
        if self.combine not in get_args(How):
            raise SettingError("combine", given=self.combine, expected=f"one of {', '.join(get_args(How))}")
        check_samples(self.samples)
        check_noise(self.noise, least="above 0")
        base = method_from(self.base)
        if isinstance(base, Probe) or not isinstance(base, Combine | Rules):
            raise SettingError(
                "base",
                given=self.base,
                expected="a method that reads slopes from one pass, such as saliency or grad-cam",
                hint=f"{name_of(base)} runs many passes of its own",
            )

    def passes(self, facts: Facts) -> Passes:
        """One forward and backward per copy and item."""
        return Passes(forwards=self.samples * facts.items, backwards=self.samples * facts.items)

    def probe(self, given: Given) -> Probing:
        """Let the other method explain noisy copies, and average."""
        base, x = method_from(self.base), given.x
        reads = base.reads(given.facts)
        if not reads.slopes:
            raise MethodError(
                f"smooth-grad averages methods that read slopes, and {name_of(base)} reads none; use base=saliency."
            )
        seeds = drawn(given, self.samples)
        low, high = range_of(x)
        copies = Variants(
            count=self.samples,
            make=lambda i: x + self.noise * (high - low) * noise_like(x, seeds[i], uniform=False),
        )
        pieces: list[Piece] = []
        moments: list[Moments] = []

        def use(number: int, seen: Seen) -> None:
            made = base.combine(seen, given.facts).pieces
            if not pieces:
                pieces.extend(made)
                moments.extend(Moments(powers=4 if self.combine == "variance" else 2) for _ in made)
            for each, piece in zip(moments, made, strict=True):
                each.add(piece.values.double() ** 2 if self.combine == "squared" else piece.values)

        ruling = base.rule if isinstance(base, Rules) else None
        yield from read_each(given, copies, reads, ruling=ruling, use=use)
        made = [self._piece(piece, each) for piece, each in zip(pieces, moments, strict=True)]
        first: Any = made[0]
        return Parts(
            pieces=tuple(made), checks={"relative standard error": relative(first.standard_error, first.values)}
        )

    def _piece(self, piece: Piece, moments: Moments) -> Piece:
        found: tuple[Tensor, Tensor] = moments.variance() if self.combine == "variance" else moments.mean()
        values, error = (each.to(piece.values.dtype) for each in found)
        return dataclasses.replace(piece, values=values, standard_error=error)
