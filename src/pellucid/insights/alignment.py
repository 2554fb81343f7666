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
    """Pair the sites of two passes; partners always have one shape and are of one kind.

    A convolution is no partner of the ReLU behind it, even if both are called "1" in two networks. Sites of one model
    belong together by their names. In two models names come first as well; what is left is paired by order.

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
        if other is not None and _alike(other) == _alike(site):
            partners[site.index] = Pair(first=site, second=other, by="name")
            taken.add(other.index)
    if not same_model:
        waiting: dict[tuple[object, ...], list[Site]] = {}
        for site in second:
            if site.index not in taken:
                waiting.setdefault(_alike(site), []).append(site)
        for site in first:
            left = waiting.get(_alike(site))
            if site.index not in partners and left:
                other = left.pop(0)
                partners[site.index] = Pair(first=site, second=other, by="order")
                taken.add(other.index)
    return Alignment(
        pairs=tuple(partners[index] for index in sorted(partners)),
        first_alone=tuple(site for site in first if site.index not in partners),
        second_alone=tuple(site for site in second if site.index not in taken),
    )


def _alike(site: Site) -> tuple[object, ...]:
    return site.kind, *site.shape
