"""How far maps agree on which positions matter: Spearman's rank correlation of every pair, on the picture they share.

Maps of different methods have different units and sizes. Ranks need no unit. For the size, each pair is compared on a
common grid: along each axis the coarser of the two, on the part of the picture that both maps cover. The finer map is
averaged over each cell, every value by the area that it shares with the cell; nothing is interpolated, since a value
between two cells was never measured. Cells of which less than half lies in both maps and in the picture do not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.errors import SettingError
from pellucid.figures.colour import is_flat
from pellucid.methods.explanation import Explanation

FEWEST = 3
"""Common positions below which two maps are not compared: any two values are in perfect order or its reverse."""
CONSTANT = "no ranking: every value is the same"
_TIED = 2.0**-40
"""Values that differ by less than this share of the largest one are tied: averaging rounds, and equal values of a
segment would be ranked by the rounding."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlacedMap:
    """A map and where it lies in the picture that the model sees.

    Attributes:
        name: What it is called.
        values: (rows, columns), in its own unit.
        box: left, top, right, bottom in pixels of the prepared picture; cells divide it evenly.
        signed: Whether its values speak for and against, so that their sign is compared, too.
    """

    name: str
    values: np.ndarray
    box: tuple[float, float, float, float]
    signed: bool

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.size == 0:
            raise SettingError("values", given=f"shape {self.values.shape}", expected="(rows, columns), not empty")
        left, top, right, bottom = self.box
        if not (np.isfinite(self.box).all() and left < right and top < bottom):
            raise SettingError("box", given=self.box, expected="(left, top, right, bottom), left < right, top < bottom")

    @classmethod
    def of(cls, explanation: Explanation, *, name: str | None = None) -> "PlacedMap":
        """The first part of an explanation: what is drawn, summed over channels where there are any.

        Raises:
            SettingError: Its values are no map, or nobody knows where in the picture they lie.
        """
        part = explanation.parts[0]
        if not part.is_map or part.box is None:
            given = f"values over {', '.join(part.axes)} at {part.place}"
            raise SettingError("explanation", given=given, expected="a map with a place in the picture")
        return cls(name=name or explanation.method, values=part.plane(), box=part.box, signed=explanation.signed)

    @property
    def refusal(self) -> str | None:
        """Why the map has no ranking, in a sentence; None where it has one."""
        finite = np.isfinite(self.values)
        if not finite.all():
            return f"not finite: {int((~finite).sum())} of {self.values.size} values are NaN or infinite"
        return CONSTANT if bool(is_flat(float(self.values.min()), float(self.values.max()))) else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankAgreement:
    """Spearman's rank correlation between every pair of maps, −1 … 1; 1 is the same order, 0 none.

    Attributes:
        names: Of the maps.
        absolute: float64 (maps, maps), of the absolute values; NaN where there is none.
        signed: float64 (maps, maps), of the values with their sign; NaN unless both maps are signed.
        positions: int64 (maps, maps), how many cells each pair was compared on.
        refusals: Why a map has no ranking, by its place.
        pair_refusals: Why two maps that have one have no correlation, by their places, the smaller first.
    """

    names: tuple[str, ...]
    absolute: np.ndarray
    signed: np.ndarray
    positions: np.ndarray
    refusals: Mapping[int, str]
    pair_refusals: Mapping[tuple[int, int], str]

    def to_record(self) -> dict[str, Any]:
        """As JSON types: what is not known is null, and `null_because` says why."""
        because = [{"maps": [self.names[i]], "reason": reason} for i, reason in self.refusals.items()]
        for (i, j), reason in self.pair_refusals.items():
            because.append({"maps": [self.names[i], self.names[j]], "reason": reason})
        return {
            "measure": "Spearman rank correlation",
            "names": list(self.names),
            "absolute": _nulls(self.absolute),
            "signed": _nulls(self.signed),
            "positions": self.positions.tolist(),
            "null_because": because,
        }


def rank_agreement(maps: Sequence[PlacedMap], *, size: tuple[int, int]) -> RankAgreement:
    """Compare every pair of maps by Spearman's rank correlation.

    All pairs are compared by absolute value: how much matters where. A sum over positions that speak for and against
    may vanish where the single values are large, so absolute values are taken before they are averaged. Pairs of which
    both maps are signed are compared with their sign as well: where a position speaks for the target, and where against
    it. A map without negative values has no such order that could be compared.

    Args:
        maps: One or more.
        size: Height and width of the prepared picture in pixels.

    Returns:
        The correlations; a map that is constant or not finite has none, and the reason is kept.

    Raises:
        SettingError: No map, or a picture without a size.

    Reference:
        C. Spearman, The proof and measurement of association between two things, 1904.
        Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018: with and without the sign.
    """
    if not maps:
        raise SettingError("maps", given=maps, expected="one or more")
    if min(size) < 1:
        raise SettingError("size", given=size, expected="height and width of the picture, 1 or more")
    count = len(maps)
    absolute, signed = (np.full((count, count), np.nan) for _ in range(2))
    positions = np.zeros((count, count), dtype=np.int64)
    refusals = {i: reason for i, each in enumerate(maps) if (reason := each.refusal) is not None}
    pair_refusals: dict[tuple[int, int], str] = {}
    ranked = _Ranked(maps=maps)
    for i in range(count):
        for j in range(i, count):
            if i in refusals or j in refusals:
                continue
            cells = _common(maps[i], maps[j], size)
            positions[i, j] = positions[j, i] = cells.count
            if cells.count < FEWEST:
                pair_refusals[i, j] = f"the maps have {cells.count} positions in common, fewer than {FEWEST}"
                continue
            absolute[i, j] = absolute[j, i] = found = ranked.correlation(i, j, cells, sign=False)
            if np.isnan(found):
                pair_refusals[i, j] = "no ranking: every absolute value is the same on the common grid"
            if maps[i].signed and maps[j].signed:
                signed[i, j] = signed[j, i] = ranked.correlation(i, j, cells, sign=True)
    return RankAgreement(
        names=tuple(each.name for each in maps), absolute=absolute, signed=signed, positions=positions,
        refusals=refusals, pair_refusals=pair_refusals,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cells:
    """A common grid: low and high edges of its cells along each axis, in pixels."""

    rows: np.ndarray
    columns: np.ndarray

    @property
    def count(self) -> int:
        return len(self.rows) * len(self.columns)

    def key(self) -> tuple[bytes, bytes]:
        return self.rows.tobytes(), self.columns.tobytes()


def _common(a: PlacedMap, b: PlacedMap, size: tuple[int, int]) -> _Cells:
    axes = []
    for axis in (0, 1):
        spans = [(each.box[1 - axis], each.box[3 - axis], each.values.shape[axis]) for each in (a, b)]
        # The coarser one; of two equal ones the one that begins first, so that the order of a pair does not matter.
        start, stop, cells = min(spans, key=lambda span: (-(span[1] - span[0]) / span[2], span))
        low, high = max(0.0, *(span[0] for span in spans)), min(float(size[axis]), *(span[1] for span in spans))
        edges = np.linspace(start, stop, cells + 1)
        kept = np.stack([edges[:-1].clip(low, high), edges[1:].clip(low, high)], axis=1)
        axes.append(kept[kept[:, 1] - kept[:, 0] >= (stop - start) / cells / 2])
    return _Cells(rows=axes[0], columns=axes[1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ranked:
    """The ranks of maps on grids, each computed once: a few grids serve all pairs."""

    maps: Sequence[PlacedMap]
    known: dict[tuple[object, ...], np.ndarray | None] = field(default_factory=dict)

    def correlation(self, i: int, j: int, cells: _Cells, *, sign: bool) -> float:
        one, other = (self._standard(place, cells, sign) for place in (i, j))
        return float("nan") if one is None or other is None else float(np.clip(one @ other, -1.0, 1.0))

    def _standard(self, place: int, cells: _Cells, sign: bool) -> np.ndarray | None:
        """Ranks with mean 0 and length 1; None where all are tied."""
        key = (place, sign, *cells.key())
        if key not in self.known:
            each = self.maps[place]
            values = each.values.astype(np.float64)
            self.known[key] = _standard_ranks(_averaged(values if sign else np.abs(values), each.box, cells))
        return self.known[key]


def _averaged(values: np.ndarray, box: tuple[float, float, float, float], cells: _Cells) -> np.ndarray:
    """The mean of a map over each cell, every value by the area that it shares with it."""
    shares = []
    for axis, wanted in ((0, cells.rows), (1, cells.columns)):
        edges = np.linspace(box[1 - axis], box[3 - axis], values.shape[axis] + 1)
        overlap = np.minimum(wanted[:, 1:], edges[None, 1:]) - np.maximum(wanted[:, :1], edges[None, :-1])
        overlap = overlap.clip(min=0.0)
        shares.append(overlap / overlap.sum(axis=1, keepdims=True))
    averaged: np.ndarray = shares[0] @ values @ shares[1].T
    return averaged


def _standard_ranks(values: np.ndarray) -> np.ndarray | None:
    from scipy.stats import rankdata  # takes long to import, and most commands need no ranks

    flat = values.reshape(-1)
    largest = float(np.abs(flat).max())
    if largest == 0:
        return None
    ranks = rankdata(np.rint(flat / (largest * _TIED)), method="average")
    ranks -= ranks.mean()
    length = float(np.linalg.norm(ranks))
    standard: np.ndarray | None = None if length == 0 else ranks / length
    return standard


def _nulls(values: np.ndarray) -> list[list[float | None]]:
    return [[None if np.isnan(value) else float(value) for value in row] for row in values]
