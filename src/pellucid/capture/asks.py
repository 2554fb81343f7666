"""What a method may ask of the engine, and what it gets. Methods declare; `passes.py` plans and runs.

Three ways to ask, by protocol:

- `Combine`: read values and slopes at sites from one shared forward and backward pass (Grad-CAM, saliency).
- `Probe`: run variants of the input, as many as it takes (integrated gradients, occlusion).
- `Rules`: one backward pass with another rule per operation (guided backpropagation).
"""

import itertools
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from pellucid.capture.handing import Handing
from pellucid.capture.scores import LOGITS, Score
from pellucid.capture.sites import INPUT, Site, select_one
from pellucid.capture.wiring import Wiring
from pellucid.models.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about a model on inputs of one shape, before a method asks for anything.

    Attributes:
        sites: All sites in order of execution, without values.
        aliases: Containers and the sites that they stand for.
        class_site: The site that makes the logits.
        items: How many inputs are explained.
        input_shape: Shape of the prepared batch.
        wiring: Which operation takes which values; None where no reading pass has been made yet.
    """

    sites: tuple[Site, ...]
    aliases: Mapping[str, str]
    class_site: str | None
    items: int
    input_shape: tuple[int, ...]
    wiring: Wiring | None = field(default=None, repr=False, compare=False)

    def site(self, selector: str) -> Site:
        """The one site that a selector means; raises `SiteError` naming the nearest."""
        return select_one(selector, self.sites, self.aliases)

    def last_maps(self) -> Site | None:
        """The last site before the class layer that still has positions; None if there is none.

        No pooling, both sides above 1. A class layer that is a convolution (SqueezeNet) comes after it, so its own maps
        do not count.
        """
        before = list(itertools.takewhile(lambda site: site.name != self.class_site, self.sites))
        first = self.channels_first()
        passive = ("pool", "dropout", "identity", "flatten")
        fitting = [s for s in before if s.name in first and min(s.shape[2:]) > 1 and s.kind not in passive]
        # Later maps whose axes nobody knows (windows of attention) mean that the last known ones are far from the
        # answer.
        unknown = [s for s in before if s.is_map and s.name not in first and min(s.shape[1:3]) > 1]
        return fitting[-1] if fitting and (not unknown or unknown[-1].index < fitting[-1].index) else None

    def is_affine_after(self, site: Site, place: str = LOGITS) -> bool:
        """Whether the values at a place are known to be an affine function of a site's, all else held.

        Then the slopes at the site say exactly what any change of its values does to a score at that place: pooling by
        mean, flattening, linear layers and convolutions, dropout and batch norm in eval mode, sums, and products with
        what does not depend on the site. False where nobody knows, e.g. where the model decides by values.

        Args:
            site: A site of these facts.
            place: `logits`, or the name of a site.
        """
        return self.wiring is not None and self.wiring.is_affine(site.name, place)

    def channels_first(self) -> frozenset[str]:
        """The sites that are known to be feature maps (batch, channels, height, width)."""
        return frozenset(site.name for site in self.sites if site.is_map and site.channels_first)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """Which values, and which slopes of the score, a method reads; by site name or `input`.

    Attributes:
        values: Where values are read.
        slopes: Where slopes are read.
        bias_gradients: Whether the bias-gradients of all operations are read.
    """

    values: frozenset[str] = frozenset()
    slopes: frozenset[str] = frozenset()
    bias_gradients: bool = False

    def __or__(self, other: "Reads") -> "Reads":
        return Reads(
            values=self.values | other.values,
            slopes=self.slopes | other.slopes,
            bias_gradients=self.bias_gradients or other.bias_gradients,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was read: for each site a tensor of the whole batch, in the order of the items.

    Attributes:
        values: What the site returned, by site name; the prepared batch under `input`.
        slopes: Derivative of each item's score with respect to those values.
        bias_gradients: By site what its operation adds of its own (`capture/biases.py`), times the slope of the score
            there, in the shape of its result; only of sites on which the score depends.
    """

    values: Mapping[str, Tensor]
    slopes: Mapping[str, Tensor]
    bias_gradients: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def joined(cls, parts: "Sequence[Seen]") -> "Seen":
        """What was read of several batches, as if they had been one."""
        return cls(
            values={name: torch.cat([part.values[name] for part in parts]) for name in parts[0].values},
            slopes={name: torch.cat([part.slopes[name] for part in parts]) for name in parts[0].slopes},
            bias_gradients={
                name: torch.cat([part.bias_gradients[name] for part in parts]) for name in parts[0].bias_gradients
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """A price: how many items go forward and backward."""

    forwards: int = 0
    backwards: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Variants:
    """Variants of a batch, made when they are needed, so that memory does not grow with their number.

    Attributes:
        count: How many variants of the whole batch there are.
        make: Makes variant i: a tensor of the batch's shape.
        boxes: int64 (count, 4): top, left, bottom, right of the window in which each variant of a picture differs from
            it; then only what the window can change is run. None where they differ everywhere.
        one: Makes variant i of item j alone, without the batch axis; for variants of a site, which run item by item.
        channels: int64 (count,): the one channel in which each variant of a site differs, where that is so.
        planes: What those channels show in an item: (count, positions …).
    """

    count: int
    make: Callable[[int], Tensor]
    boxes: Tensor | None = None
    one: Callable[[int, int], Tensor] | None = None
    channels: Tensor | None = None
    planes: Callable[[int], Tensor] | None = None

    @classmethod
    def of_channels(cls, values: Tensor, channels: Tensor, planes: Callable[[int], Tensor]) -> "Variants":
        """Variants of a site's values in which one channel differs.

        Args:
            values: (batch, channels, positions …).
            channels: int64 (count,): the channel of each variant.
            planes: What it shows in an item, (count, positions …).
        """
        shown: dict[int, Tensor] = {}

        def one(number: int, item: int) -> Tensor:
            if item not in shown:
                shown.clear()
                shown[item] = planes(item)
            changed = values[item].clone()
            changed[int(channels[number])] = shown[item][number]
            return changed

        made = cls.of_items(len(channels), len(values), one)
        return replace(made, channels=channels, planes=planes)

    @classmethod
    def of_items(cls, count: int, items: int, one: Callable[[int, int], Tensor]) -> "Variants":
        """Variants that are made item by item."""
        return cls(count=count, make=lambda i: torch.stack([one(i, item) for item in range(items)]), one=one)

    def of_item(self, number: int, item: int) -> Tensor:
        """A variant of one item, as a batch of one."""
        return self.make(number)[item : item + 1] if self.one is None else self.one(number, item)[None]


Ruling = Callable[["Op"], "BackwardRule | PairRule | Barred | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question of a probe.

    Attributes:
        variants: The inputs to run; or, where `site` is one, what the site returns instead.
        want: What is answered. "score": the scores of all variants, (count, batch). "logits": their answers,
            (count, batch, classes). "slope": derivatives at the input, weighted and summed over the variants, of the
            batch's shape. "read": a `Seen` whose tensors are (count, batch, ...). "relevance": a `HandedDown` likewise.
        weights: For slopes, the weight of each variant; all 1 if not given.
        site: Where the variants are put: at the input, or at a site, for scores and logits; then only what depends on
            it is run.
        reads: For "read", what is read of each variant; for "relevance", its values are the places whose relevance is
            read.
        ruling: For "read", another backward rule per operation.
        handing: For "relevance", the rule by which each operation hands it down.
        start: For "relevance", what each channel of the score begins with: "share", its part of the score; or "weight",
            its weight in the score.
        partners: For "read", an input that goes through the same pass beside each variant, so that a rule sees the
            values of both: the rows of the variants come first, then those of their partners in the same order. Only
            the variants have a score and are answered.
    """

    variants: Variants
    want: Literal["score", "logits", "slope", "read", "relevance"]
    weights: tuple[float, ...] | None = None
    site: str = INPUT
    reads: Reads = field(default_factory=Reads)
    ruling: Ruling | None = None
    handing: Handing | None = None
    start: Literal["share", "weight"] = "share"
    partners: Variants | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One operation of the pass, as a backward rule sees it.

    Attributes:
        name: The operation, e.g. "relu".
        kind: Its family, e.g. "activation".
        site: The site that it belongs to.
        settings: Its arguments that are no tensors, by name.
        first: Whether the first argument is a floating tensor that depends on the picture; only then a rule is used.
        others: How many other arguments depend on the picture.
    """

    name: str
    kind: str
    site: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    first: bool = True
    others: int = 0


# Gradient that arrives, values that went in, values that came out → gradient that goes on.
BackwardRule = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRule:
    """A backward rule that is also given the operation's own derivative, as a function of the gradient that arrives.

    Attributes:
        rule: Gradient that arrives, values that went in, values that came out, own derivative → gradient that goes on.
    """

    rule: Callable[[Tensor, Tensor, Tensor, Callable[[Tensor], Tensor]], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Barred:
    """No gradient may come by this operation: where one does, the explanation is refused.

    Attributes:
        why: The message of the `MethodError`.
    """

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One named array of a batch's attribution.

    Attributes:
        place: `input` or the site at which the values lie.
        axes: Names of the axes of one item's values, e.g. ("channels", "height", "width").
        values: (batch, *axes).
        name: What it is; None for "pixels" at the input and "map" at a site.
        standard_error: Of each value, where it was sampled.
        lengths: How many entries along the first axis each item has, where they differ; what follows them is filling.
    """

    place: str
    axes: tuple[str, ...]
    values: Tensor
    name: str | None = None
    standard_error: Tensor | None = None
    lengths: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a method returns for a batch: arrays with the batch first, and measured checks per item.

    Attributes:
        pieces: One or more; the first is what is drawn.
        checks: Named numbers per item, each (batch,), e.g. the completeness gap.
        notes: Sentences per item that a reader must know, e.g. "no positive evidence".
    """

    pieces: tuple[Piece, ...]
    checks: Mapping[str, Tensor] = field(default_factory=dict)
    notes: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a probe begins with.

    Attributes:
        x: The prepared batch.
        rng: Where it draws random numbers, on the processor.
        facts: What is known about the model.
        seen: What it wanted to read, of the batch as it is.
        scores: The score of each item as it is, (batch,).
        explained: What the score of each item is made of; for methods that ask which class answers.
        preparing: How pictures become such a batch; None for tensors that were prepared nobody knows how.
    """

    x: Tensor
    rng: torch.Generator
    facts: Facts
    seen: Seen
    scores: Tensor
    explained: tuple[Score, ...] = ()
    preparing: Preprocessing | None = None


# Answers are a `Seen` or `HandedDown` where that was wanted, else a tensor.
Probing = Generator[Ask, Any, Parts]


@runtime_checkable
class Combine(Protocol):
    """A method that is pure arithmetic on values and slopes of one shared pass."""

    def reads(self, facts: Facts) -> Reads:
        """Which values and slopes, at which sites."""
        ...

    def combine(self, seen: Seen, facts: Facts) -> Parts:
        """The attribution from what was read."""
        ...


@runtime_checkable
class Probe(Protocol):
    """A method that runs variants of the input, or of a site.

    One that also needs values or slopes of the batch as it is says so by `reads`, as a method that combines does.
    """

    def passes(self, facts: Facts) -> Passes:
        """The price, before any work."""
        ...

    def probe(self, given: Given) -> Probing:
        """Yields questions, receives answers, returns the attribution."""
        ...


@runtime_checkable
class Rules(Protocol):
    """A method that reads slopes made by other backward rules."""

    def rule(self, op: Op) -> BackwardRule | PairRule | Barred | None:
        """The rule for an operation; None keeps its own derivative.

        Raises:
            MethodError: It cannot treat the operation.
        """
        ...

    def reads(self, facts: Facts) -> Reads:
        """Which values and slopes, at which sites."""
        ...

    def combine(self, seen: Seen, facts: Facts) -> Parts:
        """The attribution from what was read."""
        ...


Method = Any  # a frozen dataclass that follows one of the three protocols

__all__ = [
    "INPUT", "Ask", "BackwardRule", "Barred", "Combine", "Facts", "Given", "Method", "Op", "PairRule", "Parts",
    "Passes", "Piece", "Probe", "Probing", "Reads", "Rules", "Ruling", "Seen", "Variants",
]  # fmt: skip
