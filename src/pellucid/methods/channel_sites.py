"""The sites of attributions to channels: which are chosen, why others are refused, and the parts that are made there.

What a channel's number is made of belongs to the methods; nothing here knows their formulas.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from pellucid.capture.asks import Facts, Given, Piece, Reads
from pellucid.capture.scores import LOGITS
from pellucid.capture.sites import Site
from pellucid.errors import MethodError, SettingError
from pellucid.methods.catalogue import name_of

_PASSIVE = ("pool", "dropout", "identity", "flatten")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfChannels:
    """What all methods have in common that give each channel of a site a number.

    Attributes:
        site: Selectors of sites with channels, joined by `+`; "default" is the last site with feature maps before the
            class layer, or the last layer before it where there are none.
    """

    site: str = "default"

    def __post_init__(self) -> None:
        if not isinstance(self.site, str) or not all(part.strip() for part in self.site.split("+")):
            raise SettingError(
                "site",
                given=self.site,
                expected="a selector of one site, e.g. features.20 or last:conv, or several joined by +",
            )

    def sites(self, facts: Facts) -> tuple[Site, ...]:
        """The sites that are meant, in the order asked for.

        Raises:
            MethodError: A site has no channels, or the model offers none of its own.
            SiteError: A selector means no site, or several.
            SettingError: A site is named twice.
        """
        name = name_of(self)
        known = facts.aliases.keys() | {site.name for site in facts.sites}
        parts = [self.site] if self.site in known else [part.strip() for part in self.site.split("+")]
        found = tuple(_default(name, facts) if part == "default" else _named(name, part, facts) for part in parts)
        twice = next((site.name for place, site in enumerate(found) if site in found[:place]), None)
        if twice is not None:
            raise SettingError("site", given=self.site, expected=f"each site once, and {twice!r} is meant twice")
        return found

    def reads(self, facts: Facts) -> Reads:
        """Values of the sites, which are drawn beside the numbers."""
        return Reads(values=frozenset(site.name for site in self.sites(facts)))


def pieces(
    sites: Sequence[Site],
    numbers: Sequence[Float[Tensor, "batch channels"]],
    activations: Mapping[str, Tensor],
    *,
    positions: Sequence[Tensor] = (),
) -> tuple[Piece, ...]:
    """For each site: a number per channel; where they are known, the terms that it sums; and what the site returned.

    Args:
        sites: The sites.
        numbers: The attribution of each.
        activations: The values of the sites, by name.
        positions: For each site the attribution at every position; they add up to the numbers.
    """
    return tuple(itertools.chain.from_iterable(_at(sites, numbers, activations, positions)))


def _at(
    sites: Sequence[Site], numbers: Sequence[Tensor], activations: Mapping[str, Tensor], positions: Sequence[Tensor]
) -> Iterator[list[Piece]]:
    for place, (site, values) in enumerate(zip(sites, numbers, strict=True)):
        suffix = f" at {site.name}" if len(sites) > 1 else ""
        shown = activations[site.name]
        axes = axes_of(shown)
        made = [Piece(place=site.name, axes=("channels",), values=values, name=f"channels{suffix}")]
        if positions and shown.dim() > 2:
            made.append(Piece(place=site.name, axes=axes, values=positions[place], name=f"positions{suffix}"))
        made.append(Piece(place=site.name, axes=axes, values=shown, name=f"activations{suffix}"))
        yield made


def axes_of(values: Tensor) -> tuple[str, ...]:
    """Names of the axes of what one item has at a site."""
    if values.dim() == 4:
        return ("channels", "height", "width")
    return ("channels", *(f"axis {number}" for number in range(2, values.dim())))


def over_positions(values: Float[Tensor, "batch channels *positions"]) -> Float[Tensor, "batch channels"]:
    """Each channel's values added up over its positions."""
    return values.flatten(2).sum(2) if values.dim() > 2 else values


def check_before(given: Given, site: Site) -> None:
    """Refuse a site that comes after the unit that is explained: nothing that is changed there can change the unit.

    Raises:
        MethodError: The score does not depend on the site.
    """
    for place in {score.place for score in given.explained} - {LOGITS}:
        if given.facts.site(place).index < site.index:
            raise MethodError(
                f"the score does not depend on site {site.name!r}; choose a site on the way from the picture to the "
                "answer."
            )


def has_channels(site: Site) -> bool:
    """Whether a site's second axis is known to hold channels."""
    return len(site.shape) == 2 or (len(site.shape) > 2 and site.channels_first)


def _named(method: str, selector: str, facts: Facts) -> Site:
    site = facts.site(selector)
    if not has_channels(site):
        shape = "×".join(map(str, site.shape))
        known = [each.name for each in facts.sites if has_channels(each)]
        hint = f"choose e.g. {known[-1]}" if known else "use saliency or integrated-gradients"
        raise MethodError(
            f"{method} needs a site whose channels are known, and site {site.name!r} ({site.op}) has shape {shape}, "
            f"whose axes nobody knows; {hint}."
        )
    return site


def _default(method: str, facts: Facts) -> Site:
    before = list(itertools.takewhile(lambda site: site.name != facts.class_site, facts.sites))
    attention = next((site for site in facts.sites if site.kind == "attention"), None)
    rows = [site for site in before if len(site.shape) == 2 and site.kind not in _PASSIVE]
    found = facts.last_maps() or (rows[-1] if rows else None)
    if attention is not None or found is None:
        why = f"{attention.name!r} is attention" if attention else "nothing with known channels before the class layer"
        raise MethodError(
            f"{method} finds no site of its own in this model ({why}); name one, e.g. {method}(site=last:conv), or use "
            "saliency or integrated-gradients."
        )
    return found
