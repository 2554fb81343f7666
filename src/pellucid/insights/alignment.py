"""Which sites of two passes belong together, so that their values can be compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pellucid.capture.sites import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two sites that belong together.

    Attributes:
        first: The site of the first pass.
        second: Its partner in the second pass.
        by: "name" where both are called the same, else "order".
    """

    first: Site
    second: Site
    by: Literal["name", "order"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """The sites of two passes, paired as far as they can be.

    Attributes:
        pairs: Sites with a partner, in the order of the first pass.
        first_alone: Sites of the first pass without one.
        second_alone: Sites of the second pass without one.
    """

    pairs: tuple[Pair, ...]
    first_alone: tuple[Site, ...]
    second_alone: tuple[Site, ...]


def align(first: Sequence[Site], second: Sequence[Site], *, same_model: bool) -> Alignment:
    """Pair the sites of two passes; partners always have one shape.

    Sites of one model belong together by their names. In two models names come first as well; what is left is paired by
    order among sites of equal shape and of one kind, for a convolution is no partner of the ReLU behind it.

    Args:
        first: The sites of one pass.
        second: Those of the other.
        same_model: Whether both passes are of one model.
    """
    by_name = {site.name: site for site in second}
    partners: dict[int, Pair] = {}
    taken: set[int] = set()
    for site in first:
        other = by_name.get(site.name)
        if other is not None and other.shape == site.shape:
            partners[site.index] = Pair(first=site, second=other, by="name")
            taken.add(other.index)
    if not same_model:
        waiting: dict[tuple[object, ...], list[Site]] = {}
        for site in second:
            if site.index not in taken:
                waiting.setdefault((site.kind, *site.shape), []).append(site)
        for site in first:
            alike = waiting.get((site.kind, *site.shape))
            if site.index not in partners and alike:
                other = alike.pop(0)
                partners[site.index] = Pair(first=site, second=other, by="order")
                taken.add(other.index)
    return Alignment(
        pairs=tuple(partners[index] for index in sorted(partners)),
        first_alone=tuple(site for site in first if site.index not in partners),
        second_alone=tuple(site for site in second if site.index not in taken),
    )
