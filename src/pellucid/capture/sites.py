"""What a trace consists of: sites, and how they are named and chosen.

A site is one *call* of one operation: of a `torch.nn` leaf (`features.20`) or a functional call outside such leaves
(`layer1.0/add`). A further call of the same name is `layer1.0.relu#2`; a part of a tuple result is `name[0]`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from pellucid.capture.operations import kind_of
from pellucid.capture.receptive_field import ReceptiveField
from pellucid.capture.statistics import Statistics
from pellucid.errors import SettingError, SiteError, did_you_mean
from pellucid.models.geometry import is_whole

if TYPE_CHECKING:
    from pellucid.figures.mosaic import Grid

INPUT = "input"  # stands for the prepared input wherever a site is meant


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Site:
    """One call of one operation, and what came out of it.

    Attributes:
        name: The site's name, e.g. `features.20`, `layer1.0/add`, `layer1.0.relu#2`.
        index: Its place in the order of execution, from 0 (`@0`).
        op: The operation ("conv2d", "relu", "add").
        kind: The operation's family ("conv", "activation", "add").
        inputs: Names of the sites whose values it takes; `input` is the prepared picture.
        settings: The operation's settings by name.
        shape: The shape of the result: (batch, channels, height, width) for feature maps.
        dtype: The result's type, e.g. "float32".
        parameters: How many parameters the operation has.
        multiply_adds: Multiply-adds over the whole batch; counted for convolutions and matrix products.
        seconds: How long this call took, measured in this pass; the first pass is slower than later ones.
        receptive_field: The pixels that one position sees; None after an operation that sees all positions.
        channels_first: Whether the axes are known to be (batch, channels, positions …). Convolutions, pooling and batch
            norm have them so, and what works on each value alone keeps them; of tokens and windows it is not known.
        values: What the call returned, detached and safe from later in-place operations; None if not kept.
        statistics: Summary of the values; None if not asked for.
    """

    name: str
    index: int
    op: str
    kind: str
    inputs: tuple[str, ...]
    settings: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: str
    parameters: int
    multiply_adds: int
    seconds: float
    receptive_field: ReceptiveField | None
    channels_first: bool = False
    values: Tensor | None = field(default=None, repr=False)
    statistics: Statistics | None = field(default=None, repr=False)

    @property
    def is_map(self) -> bool:
        """Whether the values are feature maps: (batch, channels, height, width)."""
        return len(self.shape) == 4

    @property
    def nbytes(self) -> int:
        """The size of the values in bytes, kept or not."""
        count = 1
        for side in self.shape:
            count *= side
        return count * getattr(torch, self.dtype).itemsize  # type: ignore[no-any-return]

    def grid(
        self,
        channels: str | Sequence[int] | None = None,
        *,
        rows: int = 4,
        columns: int = 4,
        scale: Literal["map", "shared"] = "map",
        item: int = 0,
    ) -> "Grid":
        """Draw feature maps of this site as one picture.

        Args:
            channels: `0-15`, `3,7,12`, `top:16` (by mean activation), `textbook`, `all`, or numbers; unless given, as
                many of the most active ones as the grid has places.
            rows: Rows of the grid.
            columns: Columns of the grid.
            scale: "map": each map from its own lowest to its own highest value; "shared": all maps on one scale.
            item: Which picture of the batch.

        Returns:
            A `Grid`; shows itself in a notebook, `.png()` gives bytes, `.save(path)` a file.

        Raises:
            SettingError: The site has no feature maps or no such channels, the grid has too few places or none, or the
                item is out of range.
            SiteError: The values were not kept.
        """
        from pellucid.capture.channels import select_channels
        from pellucid.figures.mosaic import feature_map_grid

        for name, given in (("rows", rows), ("columns", columns)):
            if not is_whole(given) or given < 1:
                raise SettingError(name, given=given, expected="a whole number, 1 or more", hint="4 suits most")
        maps = self.maps(item)
        chosen = select_channels(f"top:{rows * columns}" if channels is None else channels, maps)
        if isinstance(channels, str) and channels.strip().lower() == "all":
            rows = max(rows, -(-len(chosen) // columns))
        return feature_map_grid(
            maps[list(chosen)],
            channels=chosen,
            rows=rows,
            columns=columns,
            scale=scale,
            title=self.name,
            total=len(maps),
        )

    def maps(self, item: int = 0) -> Any:
        """The feature maps of one picture as a float32 array (channels, height, width)."""
        if not self.is_map:
            raise SettingError(
                "site",
                given=self.name,
                expected=f"feature maps of shape (batch, channels, height, width), and it has {self.shape}",
                hint="choose a convolution, e.g. last:conv",
            )
        if self.values is None:
            raise SiteError(f"the values of {self.name!r} were not kept; trace with keep='values'.")
        if not -self.shape[0] <= item < self.shape[0]:
            raise SettingError("item", given=item, expected=f"0 to {self.shape[0] - 1}")
        return self.values[item].float().cpu().numpy()

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.shape))
        return f"<Site {self.name} {self.op} {shape} @{self.index}>"


def select(selector: str, sites: Sequence[Site], aliases: Mapping[str, str]) -> list[Site]:
    """The sites that a selector means, in order of execution.

    Args:
        selector: An exact name, a container's name (its last site), a glob (`layer1.*`), `kind:conv`, `last:conv` or
            `@12`.
        sites: The sites of a trace.
        aliases: Names of containers and the sites that they stand for.

    Raises:
        SiteError: Nothing matches; names the nearest.
    """
    if not isinstance(selector, str):
        raise SiteError(f"{selector!r} is no selector; write a name, or '@12' for the site at place 12.")
    if not sites:
        raise SiteError(f"no site {selector!r}: the model has no sites, it makes no new tensor.")
    named = {site.name: site for site in sites}
    if selector in named:
        return [named[selector]]
    if selector in aliases:
        return [named[aliases[selector]]]
    if selector.startswith("@"):
        return [_by_order(selector, sites)]
    word, colon, kind = selector.partition(":")
    if colon and word in ("kind", "last"):
        of_kind = [site for site in sites if kind in (site.kind, site.op)]
        if not of_kind:
            kinds = sorted({site.kind for site in sites})
            near = did_you_mean(kind, kinds) or f"; there are {', '.join(kinds)}."
            raise SiteError(f"no site of kind {kind!r}{near}")
        return of_kind if word == "kind" else of_kind[-1:]
    matching = [site for site in sites if _matches(site.name, selector)]
    if matching:
        return matching
    known = [*named, *aliases]
    near = (
        did_you_mean(selector, known) or f"; the {len(sites)} sites run from {sites[0].name!r} to {sites[-1].name!r}."
    )
    raise SiteError(f"no site {selector!r}{near}")


def wanted_by(selectors: Iterable[str]) -> Callable[[str, str, int], bool]:
    """Whether a call is meant by any of the selectors, decided while it happens: by name, operation and order.

    `last:conv` cannot be known before the pass has ended, so every convolution counts.
    """
    chosen = list(selectors)

    def wants(name: str, op: str, index: int) -> bool:
        for selector in chosen:
            word, _, kind = selector.partition(":")
            if selector in (name, f"@{index}"):
                return True
            if word in ("kind", "last") and op and kind in (op, kind_of(op)):
                return True
            if op and _matches(name, selector):
                return True
        return False

    return wants


def select_one(selector: str, sites: Sequence[Site], aliases: Mapping[str, str]) -> Site:
    """The one site that a selector means.

    Raises:
        SiteError: Nothing or more than one site matches.
    """
    found = select(selector, sites, aliases)
    if len(found) > 1:
        raise SiteError(
            f"{selector!r} means {len(found)} sites, from {found[0].name!r} to {found[-1].name!r}; "
            "one is wanted here, e.g. last:conv, or use select() for all."
        )
    return found[0]


def select_all(selectors: str | Iterable[str], sites: Sequence[Site], aliases: Mapping[str, str]) -> list[Site]:
    """The sites that any of the selectors means, each once, in order of execution."""
    chosen = [selectors] if isinstance(selectors, str) else list(selectors)
    found = {site.index: site for selector in chosen for site in select(selector, sites, aliases)}
    return [found[index] for index in sorted(found)]


def _matches(name: str, pattern: str) -> bool:
    # Only * and ? are letters of a glob here: brackets belong to the names of tuple parts.
    return any(letter in pattern for letter in "*?") and fnmatchcase(name, pattern.replace("[", "[[]"))


def _by_order(selector: str, sites: Sequence[Site]) -> Site:
    number = selector[1:]
    if not (number.isascii() and number.isdigit()) or int(number) >= len(sites):
        raise SiteError(f"no site {selector!r}: the sites of this trace are @0 to @{len(sites) - 1}.")
    return sites[int(number)]
