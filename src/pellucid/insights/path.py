"""The path of a decision: through which channels, at a few sites, the picture reaches the class.

Two numbers tell how much a channel matters for the target on this picture:

- contribution: slope of the score times the value, added up over positions (gradient × activation). At a cut, a site
  that every path passes, the contributions of all channels and a rest make the score; the rest is what biases and bends
  after the site add, and it is reported, not shared out;
- removal: how far the score falls when the channel is set to 0, measured by replay: for every channel where that is
  cheap, else for those with the largest contributions, as many as a fixed amount of work allows.

An edge between two channels of neighbouring sites is the same product one step earlier: how much of the later channel's
contribution comes through the earlier channel, the later site's slopes held fast.

Reference:
    Ancona et al., Towards better understanding of gradient-based attribution methods, ICLR 2018 (gradient × input).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pellucid.capture import passes, reading
from pellucid.capture.asks import Facts, Reads
from pellucid.capture.batches import as_batch
from pellucid.capture.replay import Replay, without_one_channel_each
from pellucid.capture.scores import LOGITS, Score, evaluate
from pellucid.capture.sites import Site
from pellucid.errors import InputError, SettingError, TargetError
from pellucid.inputs.image import Image
from pellucid.insights.cuts import cut_sites, has_positions
from pellucid.methods.targets import resolve
from pellucid.models.model import Model

_AT_ONCE = 32
_MOST_BYTES = 1.0e9
_WORK = 4e10
"""Multiply-adds that removing channels may take at one site."""
_LEAST = 8

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PathNode:
    """One channel on the path.

    Attributes:
        channel: Its number.
        contribution: Gradient × activation, in units of the score.
        removal: How far the score falls without it.
        map: Its feature map, (height, width).
    """

    channel: int
    contribution: float
    removal: float
    map: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PathSite:
    """One site on the path.

    Attributes:
        name: The site.
        nodes: Its strongest channels for the target, by contribution.
        channels: How many channels it has.
        total: The contributions of all its channels.
        positive: The positive ones of them.
        removed: For how many channels removal was measured.
        agreement: Spearman's rank correlation of contribution and removal over these; None if one is constant.
        edges: (nodes of the site before, nodes): what comes through which channel; empty at the first site.
    """

    name: str
    nodes: tuple[PathNode, ...]
    channels: int
    total: float
    positive: float
    removed: int
    agreement: float | None
    edges: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecisionPath:
    """The path of a decision about one picture.

    Attributes:
        target: What was explained, in words.
        score: Its score.
        sites: From the picture to the class.
    """

    target: str
    score: float
    sites: tuple[PathSite, ...]

    def to_record(self) -> dict[str, Any]:
        """Everything but the maps, as JSON types."""
        return {
            "target": self.target,
            "score": self.score,
            "sites": [
                {
                    "name": site.name,
                    "channels": site.channels,
                    "total": site.total,
                    "positive": site.positive,
                    "removed": site.removed,
                    "agreement": site.agreement,
                    "edges": [[float(value) for value in row] for row in site.edges],
                    "nodes": [
                        {"channel": n.channel, "contribution": n.contribution, "removal": n.removal} for n in site.nodes
                    ],
                }
                for site in self.sites
            ],
        }

    def __repr__(self) -> str:
        chain = " → ".join(f"{site.name} {[node.channel for node in site.nodes]}" for site in self.sites)
        return f"<DecisionPath of {self.target!r}, score {self.score:.3g}: {chain}>"


def path_of_decision(
    model: Model,
    picture: Image | Tensor,
    *,
    target: str = "top:1",
    sites: int = 4,
    channels: int = 4,
    progress: Progress | None = None,
) -> DecisionPath:
    """Follow a decision through the strongest channels of a few sites.

    Args:
        model: The network; it is left exactly as it was.
        picture: One picture, or one prepared item.
        target: A class or a contrast of classes.
        sites: At most so many sites, 2 or more, all of them cuts with positions.
        channels: Channels of each site to follow, 1 or more.
        progress: Called with the sites done and the sites in all.

    Raises:
        InputError: There is more than one picture.
        SettingError: Fewer than two sites, or no channel.
        TargetError: No such class, or the target is about a site.
        MethodError: The score does not depend on a site.
    """
    if target.startswith("unit:"):
        raise TargetError(f"target {target!r} is a unit; the path of a decision ends in a class, e.g. top:1.")
    for name, given, least in (("sites", sites, 2), ("channels", channels, 1)):
        if given < least:
            raise SettingError(name, given=given, expected=f"{least} or more")
    _, batch, _ = as_batch(model, picture)
    if len(batch) > 1:
        raise InputError(f"{len(batch)} pictures were given, expected one: each decision has a path of its own.")
    known = passes.facts(model.module, batch)
    places = _places(known, sites)
    found: list[Score] = []
    text: list[str] = []

    def scores(logits: Tensor, facts: Facts) -> Sequence[Score]:
        resolved = resolve(target, logits, facts, model.class_names)
        text.append(resolved[0].text)
        found.append(resolved[0].score)
        return [resolved[0].score]

    names = frozenset(site.name for site in places)
    wanted = Reads(values=names, slopes=names)
    _, _, results = reading.read(model.module, batch, reads=lambda _: wanted, resolve=[scores], spent=passes.Spent())
    _, values, seen = results[0]
    score, whole = found[0], float(values[0])
    whole_work = sum(site.multiply_adds for site in known.sites)
    fits = max(1, int(_MOST_BYTES / max(1, sum(site.nbytes for site in known.sites))))
    # A batch that holds more copies than channels are removed would run them for nothing.
    size = min(_AT_ONCE if whole_work < _WORK / _AT_ONCE else _LEAST, fits)
    replay = passes.replay(model.module, batch.expand(size, *batch.shape[1:]))
    if replay.decides:  # what one copy lacks would decide for all of them
        replay = passes.replay(model.module, batch)
    made: list[PathSite] = []
    for number, site in enumerate(places):
        value, slope = seen.values[site.name][0].float(), seen.slopes[site.name][0].float()
        contributions = (value * slope).flatten(1).sum(1).cpu().numpy()
        order = np.argsort(-contributions, kind="stable")[:channels]
        measured = _worth_removing(contributions, order, _work_after(known, site))
        removals = np.full(len(contributions), np.nan)
        removals[measured] = whole - _without(replay, site, score, measured)
        edges = np.zeros((0, len(order)))
        if made:
            before = [node.channel for node in made[-1].nodes]
            edges = _edges(model, batch, places[number - 1], site, slope, order)[before]
        nodes = tuple(
            PathNode(
                channel=int(channel),
                contribution=float(contributions[channel]),
                removal=float(removals[channel]),
                map=value[channel].cpu().numpy(),
            )
            for channel in order
        )
        made.append(
            PathSite(
                name=site.name,
                nodes=nodes,
                channels=len(contributions),
                total=float(contributions.sum()),
                positive=float(contributions[contributions > 0].sum()),
                removed=len(measured),
                agreement=_rank_agreement(contributions[measured], removals[measured]),
                edges=edges,
            )
        )
        if progress is not None:
            progress(number + 1, len(places))
    return DecisionPath(target=text[0], score=whole, sites=tuple(made))


def _places(known: Facts, most: int) -> list[Site]:
    maps = [site for site in cut_sites(known, most=64) if has_positions(site) and site.name != known.class_site]
    if len(maps) <= most:
        return maps
    return [maps[i] for i in sorted({round(i * (len(maps) - 1) / (most - 1)) for i in range(most)})]


def _work_after(known: Facts, site: Site) -> int:
    """Multiply-adds of one pass after a site."""
    return sum(each.multiply_adds for each in known.sites[site.index + 1 :])


def _worth_removing(contributions: np.ndarray, followed: np.ndarray, work: int) -> np.ndarray:
    """The channels whose removal is measured: those that are followed, and the largest of the rest within the work."""
    most = max(_LEAST, int(_WORK / max(1, work)))
    largest = np.argsort(-np.abs(contributions), kind="stable")[:most]
    found: np.ndarray = np.unique(np.concatenate([followed, largest]))
    return found


def _without(replay: Replay, site: Site, score: Score, channels: np.ndarray) -> np.ndarray:
    """The score without each of some channels in turn, many at once."""
    size = len(replay.answer.logits)
    found: list[float] = []
    for first in range(0, len(channels), size):
        logits = replay.logits({site.name: without_one_channel_each(channels[first : first + size].tolist())})
        found += evaluate([score] * size, {LOGITS: logits}).tolist()
    return np.array(found[: len(channels)])


def _edges(model: Model, batch: Tensor, before: Site, site: Site, slope: Tensor, channels: np.ndarray) -> np.ndarray:
    weights = torch.zeros(len(channels), *slope.shape, dtype=slope.dtype, device=slope.device)
    for row, channel in enumerate(channels):
        weights[row, channel] = slope[channel]
    found = reading.flow(model.module, batch, earlier=before.name, later=site.name, weights=weights)
    result: np.ndarray = found.float().cpu().numpy().T
    return result


def _rank_agreement(one: np.ndarray, other: np.ndarray) -> float | None:
    """Spearman's rank correlation, ties sharing their mean rank."""
    ranks = [_ranks(values) for values in (one, other)]
    if any(rank.std() == 0 for rank in ranks):
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    found: np.ndarray = (last - (counts - 1) / 2)[inverse]
    return found
