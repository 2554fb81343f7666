"""The sites of class activation maps: which are chosen, why others are refused, how maps of several become one.

What a map is made of belongs to the methods; nothing here knows their formulas.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.capture.asks import INPUT, Facts, Parts, Piece, Reads, Seen
from pellucid.capture.sites import Site
from pellucid.errors import MethodError, SettingError
from pellucid.methods.catalogue import name_of

Sign = Literal["positive", "both"]
Fusion = Literal["none", "mean", "max", "mean:input", "max:input"]
PLANE = ("height", "width")

Notes = Mapping[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtSites:
    """What all methods have in common that make one map per site.

    Attributes:
        site: Selectors of sites with feature maps, joined by `+`; "default" is the last one before the class layer
            that is no pooling and has both sides above 1.
        fusion: "none" keeps one map per site, in the order asked for; the others see `fused`.
    """

    site: str = "default"
    fusion: Fusion = "none"

    def __post_init__(self) -> None:
        if not isinstance(self.site, str) or not self.site:
            raise _no_selector(self.site)
        check_word("fusion", self.fusion, Fusion)

    def sites(self, facts: Facts) -> tuple[Site, ...]:
        """The sites that are meant, in the order asked for.

        Raises:
            MethodError: A site has no feature maps, or the model offers none of its own.
            SettingError: A site is named twice.
        """
        return chosen(name_of(self), self.site, facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfSlopes(AtSites):
    """What all of them have in common that read a site's values and the score's slopes there."""

    sign: Sign = "positive"

    def __post_init__(self) -> None:
        AtSites.__post_init__(self)
        check_word("sign", self.sign, Sign)

    def reads(self, facts: Facts) -> Reads:
        """Values and slopes of the sites."""
        names = frozenset(site.name for site in self.sites(facts))
        return Reads(values=names, slopes=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlopeMaps(OfSlopes, ABC):
    """A method that makes the map of a site of nothing but what it reads there."""

    def combine(self, seen: Seen, facts: Facts) -> Parts:
        """One map per site, or the maps put together."""
        sites = self.sites(facts)
        read = [(seen.values[site.name], seen.slopes[site.name]) for site in sites]
        remarks = [self.remarks(values, slopes) for values, slopes in read]
        raw = [self.map(values, slopes) for values, slopes in read]
        return signed_parts(sites, raw, facts, sign=self.sign, fusion=self.fusion, remarks=remarks)

    @abstractmethod
    def map(self, values: Tensor, slopes: Tensor) -> Tensor:
        """The map of one site, before any cut."""

    def remarks(self, values: Tensor, slopes: Tensor) -> Notes:
        """What a reader must know about the map of an item, apart from its sign."""
        return {}


def check_word(name: str, given: object, words: object) -> None:
    """Refuse a setting that is none of the words of a `Literal`."""
    if given not in get_args(words):
        raise SettingError(name, given=given, expected=f"one of {', '.join(get_args(words))}")


# -- which sites


def chosen(method: str, selector: str, facts: Facts) -> tuple[Site, ...]:
    """The sites that a text means, each with feature maps, in the order of the text.

    Args:
        method: The name of the method, for what is said where a site cannot be used.
        selector: Selectors joined by `+`, each of one site, or "default". A site whose own name has a `+` in it is
            meant where the whole text is its name.
        facts: The model's sites.

    Raises:
        MethodError: A site has no feature maps, or the model offers none of its own.
        SiteError: A selector means no site, or several.
        SettingError: A site is named twice, or one of the selectors is empty.
    """
    known = facts.aliases.keys() | {site.name for site in facts.sites}
    parts = [selector] if selector in known else [part.strip() for part in selector.split("+")]
    if not all(parts):
        raise _no_selector(selector)
    found = tuple(_default(method, facts) if part == "default" else _named(method, part, facts) for part in parts)
    names = [site.name for site in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SettingError("site", given=selector, expected=f"each site once, and {twice!r} is meant twice")
    return found


def _no_selector(given: object) -> SettingError:
    return SettingError(
        "site", given=given, expected="a selector of one site, e.g. features.20 or last:conv, or several joined by +"
    )


def _named(method: str, selector: str, facts: Facts) -> Site:
    site = facts.site(selector)
    if site.name not in facts.channels_first():
        shape = "×".join(map(str, site.shape))
        better = facts.last_maps()
        hint = f"choose e.g. {better.name}" if better else "use saliency or integrated-gradients"
        raise MethodError(
            f"{method} needs feature maps (batch, channels, height, width), and site {site.name!r} ({site.op}) "
            f"has shape {shape}; {hint}."
        )
    return site


def _default(method: str, facts: Facts) -> Site:
    attention = next((site for site in facts.sites if site.kind == "attention"), None)
    found = facts.last_maps()
    if attention is not None or found is None:
        why = f"{attention.name!r} is attention" if attention else _missing(facts)
        maps = [site for site in facts.sites if site.name in facts.channels_first()]
        way_out = f", or name a site: {method}(site={maps[-1].name})" if maps else ""
        raise MethodError(
            f"{method} finds no site of its own in this model ({why}); use saliency or integrated-gradients{way_out}."
        )
    return found


def _missing(facts: Facts) -> str:
    """Why no site offers itself: there are no maps, or the last ones do not say which of their axes holds channels."""
    before = itertools.takewhile(lambda site: site.name != facts.class_site, facts.sites)
    unknown = [s for s in before if s.is_map and s.name not in facts.channels_first() and min(s.shape[1:3]) > 1]
    if unknown:
        return f"which axis of {unknown[-1].name!r} holds the channels is not known"
    return "no maps larger than 1×1 before the class layer"


# -- what becomes of their maps


def signed_parts(
    sites: Sequence[Site],
    raw: Sequence[Float[Tensor, "batch ..."]],
    facts: Facts,
    *,
    sign: Sign,
    fusion: Fusion = "none",
    remarks: Sequence[Notes] = (),
) -> Parts:
    """The maps of sites, cut at 0 where that is wanted, before they are put together; all-negative ones are noted."""
    cut = sign == "positive"
    notes: dict[int, list[str]] = {}
    for number, (site, maps) in enumerate(zip(sites, raw, strict=True)):
        where = f" at {site.name}" if len(sites) > 1 else ""
        for item, each in enumerate(maps):
            found = notes.setdefault(item, [])
            if bool((each <= 0).all()):
                found.append(_no_evidence(each, cut=cut, where=where))
            found += [f"{site.name}: {said}" if where else said for said in _of(remarks, number).get(item, ())]
    kept = [each.clamp(min=0) for each in raw] if cut else list(raw)
    found_notes = {item: tuple(said) for item, said in notes.items() if said}
    return Parts(pieces=pieces(sites, kept, facts, fusion=fusion), notes=found_notes)


def pieces(sites: Sequence[Site], maps: Sequence[Tensor], facts: Facts, *, fusion: Fusion) -> tuple[Piece, ...]:
    """One piece per site, in the order asked for, or one of all."""
    if fusion == "none":
        names = [f"map at {site.name}" if len(sites) > 1 else None for site in sites]
        return tuple(
            Piece(place=site.name, axes=PLANE, values=values, name=name)
            for site, values, name in zip(sites, maps, names, strict=True)
        )
    place, values = fused(sites, maps, fusion, sides=facts.input_shape[2:])
    return (Piece(place=place, axes=PLANE, values=values, name="map"),)


def fused(
    sites: Sequence[Site], maps: Sequence[Float[Tensor, "batch _ _"]], fusion: Fusion, *, sides: tuple[int, ...]
) -> tuple[str, Float[Tensor, "batch height width"]]:
    """Maps of several sites as one: each enlarged, then their mean or their largest value at each position.

    Nothing is rescaled, so a site with larger values counts for more. Enlarging takes all maps to cover the same
    square of the picture, which padding makes true only up to a cell.

    Args:
        sites: The sites.
        maps: A map of each.
        fusion: "mean" or "max" at the size of the site with most cells (of several, the last in the model); with
            ":input" at the size of the input.
        sides: Height and width of the input.

    Returns:
        The place of the fused map, and the map. It does not depend on the order of the sites.
    """
    ordered = sorted(zip(sites, maps, strict=True), key=lambda pair: pair[0].index)
    how, _, at_input = fusion.partition(":")
    largest = max((site for site, _ in ordered), key=lambda site: (site.shape[2] * site.shape[3], site.index))
    place, size = (INPUT, sides) if at_input else (largest.name, largest.shape[2:])
    stack = torch.stack([enlarged(values, size) for _, values in ordered])
    return place, stack.mean(0) if how == "mean" else stack.amax(0)


def enlarged(maps: Float[Tensor, "*any _ _"], size: tuple[int, ...]) -> Float[Tensor, "*any height width"]:
    """Bilinear interpolation between the middles of the cells; at the rim the nearest cell counts alone."""
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    flat = maps.reshape(-1, 1, *maps.shape[-2:])
    made = torch.nn.functional.interpolate(flat, size=tuple(size), mode="bilinear", align_corners=False)
    return made.reshape(*maps.shape[:-2], *size)


def _no_evidence(raw: Float[Tensor, "height width"], *, cut: bool, where: str) -> str:
    largest = f"largest value{' before the cut' if cut else ''} {float(raw.max()) + 0.0:.3g}"
    return (
        f"no positive evidence{where}: {'the map is 0 everywhere' if cut else 'every value is 0 or less'} ({largest})"
    )


def _of(remarks: Sequence[Notes], number: int) -> Notes:
    return remarks[number] if remarks else {}
