"""The sites through which everything passes on the way from the picture to the class."""

from collections.abc import Sequence

from pellucid.capture.asks import Facts
from pellucid.capture.cuts import cuts
from pellucid.capture.sites import Site

# What comes right after another site and only reworks its values, position by position.
_REWORKS = frozenset({"norm", "activation", "dropout", "identity", "scale", "flatten"})


def cut_sites(facts: Facts, *, most: int = 10) -> list[Site]:
    """Sites that every path from the picture to the class passes, spread over the depth.

    What is measured at such a site is measured on all that the network still knows; beside a site inside a branch,
    another branch may carry the rest past it. Of a convolution with its normalisation and activation, the last is
    taken.

    Args:
        facts: What is known about the model.
        most: At most so many; the first, the last with positions and the class layer are always among them.
    """
    whole = [site for site in cuts(facts) if (site.is_map and site.channels_first) or len(site.shape) == 2]
    ends = [
        site
        for site, after in zip(whole, [*whole[1:], None], strict=True)
        if after is None or after.kind not in _REWORKS
    ]
    return _spread(ends, most)


def has_positions(site: Site) -> bool:
    """Whether a site's values lie at more than one place."""
    return site.is_map and site.shape[2] * site.shape[3] > 1


def _spread(sites: Sequence[Site], most: int) -> list[Site]:
    if len(sites) <= most:
        return list(sites)
    last_map = max((i for i, site in enumerate(sites) if has_positions(site)), default=len(sites) - 1)
    fixed = {0, last_map, len(sites) - 1}
    wanted = [round(i * last_map / (most - 2)) for i in range(most - 1)]
    return [sites[i] for i in sorted(fixed | set(wanted))]
