"""Regions: the fewest segments that are enough for the answer, or that the answer cannot do without."""

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pellucid.capture.asks import Ask, Facts, Given, Parts, Passes, Probing
from pellucid.capture.scores import LOGITS, Score
from pellucid.errors import MethodError
from pellucid.methods.catalogue import register
from pellucid.methods.segments import (
    Game,
    check_segments,
    count_of,
    game_of,
    pieces_of,
    subsets,
    table_of,
    whole_number,
)

Kind = Literal["sufficient-region", "necessary-region"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Region:
    """What both have in common: settings, price, and the search for what their own names say."""

    _kind: ClassVar[Kind]

    segments: str = "grid:7"
    baseline: str = "zero"
    budget: int = 50

    def __post_init__(self) -> None:
        whole_number("budget", self.budget, least=1)
        check_segments(self.segments, self.baseline)

    def passes(self, facts: Facts) -> Passes:
        """The most that the search can cost."""
        return _most(facts, self.segments, self.budget)

    def probe(self, given: Given) -> Probing:
        """Search sets of segments."""
        asked = _probe(given, self._kind, segments=self.segments, baseline=self.baseline, budget=self.budget)
        return (yield from asked)


@register("sufficient-region")
@dataclass(frozen=True, slots=True, kw_only=True)
class SufficientRegion(_Region):
    """The fewest segments that are enough: alone on the baseline, they make the model answer the explained class.

    Values are 1 on segments of the region and 0 elsewhere, no score. A class is the answer when its logit is strictly
    above all others; with a single logit, when it is above 0; a contrast when its first class is above its second. The
    class need not be the answer to the whole picture.

    The search: all sets of 0, 1, 2 … segments, size by size, as long as a size fits into `budget`; what that finds is
    a smallest region. Else greedily: the segment is added that leaves the class furthest ahead, until it is the answer;
    then each segment, in the order in which they were added, is left out if the answer stays. What that finds is an
    upper bound: reported are `segments`, and `at least`, the smallest size that was not ruled out.

    Attributes:
        segments: `grid:N` for N×N rectangles, or `slic:N` for about N superpixels (by scikit-image).
        baseline: What shows in place of a segment, as for integrated gradients: `zero`, `black`, `white`, `mean`,
            `noise`, `blur:SIGMA` or a picture's path.
        budget: How many sets may be tried in the exhaustive search, 1 or more.

    Reference:
        Carter et al., What made you do this? Understanding black-box decisions with sufficient input subsets, AISTATS
        2019, section 3 (the question; the search is another).
    """

    _kind: ClassVar[Kind] = "sufficient-region"
    segments: str = "grid:7"
    baseline: str = "zero"
    budget: int = 50


@register("necessary-region")
@dataclass(frozen=True, slots=True, kw_only=True)
class NecessaryRegion(_Region):
    """The fewest segments that the answer cannot do without: under the baseline they take it away.

    Values are 1 on segments of the region and 0 elsewhere, no score. When a class is the answer, how the search goes,
    and what its bounds mean, is as for `sufficient-region`: here the greedy step covers the segment that leaves the
    class least ahead, until it is the answer no more. If it is not the answer to begin with, the region is empty.

    Attributes:
        segments: `grid:N` for N×N rectangles, or `slic:N` for about N superpixels (by scikit-image).
        baseline: What shows in place of a segment, as for integrated gradients: `zero`, `black`, `white`, `mean`,
            `noise`, `blur:SIGMA` or a picture's path.
        budget: How many sets may be tried in the exhaustive search, 1 or more.

    Reference:
        Dabkowski & Gal, Real Time Image Saliency for Black Box Classifiers, NeurIPS 2017, section 3 (smallest
        destroying region; the search is another).
    """

    _kind: ClassVar[Kind] = "necessary-region"
    segments: str = "grid:7"
    baseline: str = "zero"
    budget: int = 50


def lead(logits: Float[Tensor, "*variants classes"], score: Score) -> Float[Tensor, "*variants"]:
    """How far what is explained is ahead, in logits: of all other classes, of 0 where there is but one logit."""
    if len(score.weights) > 1:
        weights = torch.zeros(logits.shape[-1], dtype=logits.dtype, device=logits.device)
        weights[list(score.weights)] = torch.tensor(list(score.weights.values()), dtype=logits.dtype).to(logits.device)
        return logits @ weights
    [index] = score.weights
    if logits.shape[-1] == 1:
        return logits[..., 0]
    others = torch.cat([logits[..., :index], logits[..., index + 1 :]], dim=-1)
    return logits[..., index] - others.amax(-1)


@dataclass(slots=True, kw_only=True)
class _Search:
    """The search on one picture.

    Attributes:
        count: How many segments there are.
        region: What was found; in the greedy search, what was chosen so far.
        found: Whether the region does what was asked for.
        ruled_out: All sets smaller than this were tried in vain.
        odd: How many sets gave an answer that is no number.
    """

    count: int
    region: list[int] = field(default_factory=list)
    found: bool = False
    ruled_out: int = 0
    odd: int = 0

    def fits(self, size: int, budget: int) -> bool:
        """Whether all sets up to a size may be tried. The set of none is free."""
        return size <= self.count and sum(math.comb(self.count, each) for each in range(1, size + 1)) <= budget


Sets = list[list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trials:
    """What is asked of the model.

    Attributes:
        game: The pictures.
        explained: What is explained of each.
        kind: Whether a region is kept or covered.
    """

    game: Game
    explained: tuple[Score, ...]
    kind: Kind

    def leads(self, sets: Sequence[Sets]) -> Generator[Ask, Any, list[Tensor]]:
        """How far the class is ahead with each set of each picture, kept or covered."""
        tables = [table_of(each, count) for each, count in zip(sets, self.game.segments.counts, strict=True)]
        kept = tables if self.kind == "sufficient-region" else [~table for table in tables]
        logits = (yield Ask(variants=self.game.coalitions(kept), want="logits")).double()
        rows = zip(tables, self.explained, strict=True)
        return [lead(logits[: len(table), item], score).cpu() for item, (table, score) in enumerate(rows)]

    def does(self, leads: Tensor) -> Tensor:
        """Which sets do what is asked for; one whose answer is no number does not."""
        return leads > 0 if self.kind == "sufficient-region" else leads <= 0

    def best(self, leads: Tensor) -> int:
        """The set that comes nearest to it."""
        return int((leads if self.kind == "sufficient-region" else -leads).nan_to_num(nan=-math.inf).argmax())


def _probe(given: Given, kind: Kind, *, segments: str, baseline: str, budget: int) -> Probing:
    if any(score.place != LOGITS for score in given.explained):
        raise MethodError(f"{kind} asks which class is the answer, and a unit is no class; choose a class as target.")
    game = game_of(given, method=kind, segments=segments, baseline=baseline)
    trials = _Trials(game=game, explained=given.explained, kind=kind)
    searches = [_Search(count=count) for count in game.segments.counts]
    yield from _exhaustive(searches, trials, budget)
    greedy = [not search.found for search in searches]
    yield from _grow(searches, trials)
    yield from _prune(searches, trials, greedy)
    leads = yield from trials.leads([[search.region if search.found else []] for search in searches])
    chosen = [
        table_of([search.region if search.found else []], search.count)[0].to(given.x.dtype) for search in searches
    ]
    sizes = [float(len(search.region)) if search.found else math.nan for search in searches]
    return Parts(
        pieces=pieces_of(game, chosen),
        checks={
            "segments": torch.tensor(sizes),
            "at least": torch.tensor([float(search.ruled_out) for search in searches]),
            "lead of the class": torch.cat(leads),
        },
        notes={item: tuple(_notes(search)) for item, search in enumerate(searches)},
    )


def _exhaustive(searches: Sequence[_Search], trials: _Trials, budget: int) -> Generator[Ask, Any, None]:
    """All sets of a size, size by size, until one does or a size costs too much."""
    for size in range(max(search.count for search in searches) + 1):
        going = [not search.found and search.fits(size, budget) for search in searches]
        if not any(going):
            return
        sets = [
            [list(each) for each in subsets(search.count, size)] if goes else []
            for search, goes in zip(searches, going, strict=True)
        ]
        leads = yield from trials.leads(sets)
        for search, goes, tried, ahead in zip(searches, going, sets, leads, strict=True):
            if not goes:
                continue
            search.odd += int((~ahead.isfinite()).sum())
            if bool(trials.does(ahead).any()):
                search.region, search.found = tried[trials.best(ahead)], True
            else:
                search.ruled_out = size + 1


def _grow(searches: Sequence[_Search], trials: _Trials) -> Generator[Ask, Any, None]:
    """The segment that brings most is added, until the region does what is asked for or is the whole picture."""
    while any(not search.found and len(search.region) < search.count for search in searches):
        sets: list[Sets] = [
            []
            if search.found
            else [[*search.region, number] for number in range(search.count) if number not in search.region]
            for search in searches
        ]
        leads = yield from trials.leads(sets)
        for search, tried, ahead in zip(searches, sets, leads, strict=True):
            if tried:
                search.odd += int((~ahead.isfinite()).sum())
                best = trials.best(ahead)
                search.region, search.found = tried[best], bool(trials.does(ahead)[best])


def _prune(searches: Sequence[_Search], trials: _Trials, greedy: Sequence[bool]) -> Generator[Ask, Any, None]:
    """Segments without which the region still does are left out again."""
    orders = [list(s.region) if s.found and grown else [] for s, grown in zip(searches, greedy, strict=True)]
    for place in range(max(map(len, orders))):
        sets: list[Sets] = [
            [[number for number in search.region if number != order[place]]] if place < len(order) else []
            for search, order in zip(searches, orders, strict=True)
        ]
        leads = yield from trials.leads(sets)
        for search, tried, ahead in zip(searches, sets, leads, strict=True):
            if tried and bool(trials.does(ahead)[0]):
                [search.region] = tried


def _notes(search: _Search) -> Iterator[str]:
    if not search.found:
        yield "no region was found, not even the whole picture"
    elif len(search.region) == search.ruled_out:
        yield "no smaller region: all smaller sets of segments were tried"
    else:
        yield f"a smaller region may exist: only sets of fewer than {search.ruled_out} segments were all tried"
    if search.odd:
        yield f"{search.odd} sets of segments gave an answer that is not finite, and were not counted as a region"


def _most(facts: Facts, segments: str, budget: int) -> Passes:
    count = count_of(segments)
    return Passes(forwards=facts.items * (budget + 2 + count * (count + 1) // 2 + count))
