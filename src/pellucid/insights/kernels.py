"""Numbers of one layer's filters: norms, spectrum, ranks, zeros, which are dead and which are nearly the same."""

from dataclasses import dataclass

import numpy as np

MOST_ROWS = 1024
"""Of a larger matrix the spectrum is that of so many rows or columns, drawn by the seed: the work grows with the cube
of the smaller side, and the classifier of a VGG would take minutes."""
DEAD = 1e-3
"""Of the layer's median norm. Weight decay takes filters that no gradient reaches below any bound (to exactly 0 in all
that were looked at), and no living filter of the networks that were looked at lies below a hundredth."""
SAME = 0.99
"""The absolute cosine from which on two filters count as nearly the same."""
_BY_CHANCE = 0.01
"""So many pairs may be expected to be that similar by chance, else a layer's filters are too short to be compared."""
_BLOCK = 2048
_SCREEN = 4096
"""Values of a filter from which on a first look at every so many of them tells which pairs to compare in full."""
_LIKELY = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """The singular values of a layer's filters, reshaped to (out, in · kernel height · kernel width).

    Attributes:
        values: The singular values, the largest first.
        effective_rank: exp(−Σ pᵢ ln pᵢ) with pᵢ = σᵢ / Σσ (Roy and Vetterli, The effective rank: a measure of effective
            dimensionality, EUSIPCO 2007): the number of equal singular values that would have the same entropy.
        stable_rank: Σσ² / σ₁² (Rudelson and Vershynin, Sampling from large matrices, JACM 2007, section 1).
        of: How many rows and columns were taken.
    """

    values: np.ndarray
    effective_rank: float
    stable_rank: float
    of: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two filters that are nearly the same, up to a factor.

    Attributes:
        channel: The filter with the higher number.
        twin: The one that is most similar to it, with a lower number.
        cosine: Of the angle between them; negative where one is the other's negative.
    """

    channel: int
    twin: int
    cosine: float


def norms_of(flat: np.ndarray) -> np.ndarray:
    """The Euclidean norm of each filter, (out,)."""
    found: np.ndarray = np.linalg.norm(flat, axis=1)
    return found


def spectrum_of(flat: np.ndarray, *, seed: int) -> Spectrum:
    """The singular values of filters as rows, and both ranks; 0 for a layer whose weights are all 0."""
    chance = np.random.RandomState(seed)
    for axis in (0, 1) if flat.shape[0] <= flat.shape[1] else (1, 0):
        if min(flat.shape) > MOST_ROWS and flat.shape[axis] > MOST_ROWS:
            flat = np.take(flat, np.sort(chance.permutation(flat.shape[axis])[:MOST_ROWS]), axis=axis)
    # The eigenvalues of the smaller product: many times faster than a decomposition, and exact to 1e-8 of the largest.
    square = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    powers = np.linalg.eigvalsh(square)[::-1].clip(min=0)
    values = np.sqrt(powers)
    total = values.sum()
    if total == 0:
        return Spectrum(values=values, effective_rank=0.0, stable_rank=0.0, of=(flat.shape[0], flat.shape[1]))
    share = values[values > 0] / total
    return Spectrum(
        values=values,
        effective_rank=float(np.exp(-(share * np.log(share)).sum())),
        stable_rank=float(powers.sum() / powers[0]),
        of=(flat.shape[0], flat.shape[1]),
    )


def dead_of(norms: np.ndarray) -> np.ndarray:
    """The numbers of the filters whose norm is at most `DEAD` of the layer's median; none where all weights are 0."""
    # At most, since the median is 0 where most filters are.
    found: np.ndarray = np.flatnonzero((norms <= DEAD * np.median(norms)) & bool(norms.any()))
    return found


def comparable(count: int, length: int) -> bool:
    """Whether filters are long enough that near equality of two of them is no chance.

    Of two random directions in n dimensions, |cos| ≥ t has at most the probability (1 − t²)^((n−1)/2).
    """
    return bool(count * (count - 1) / 2 * (1 - SAME**2) ** ((length - 1) / 2) < _BY_CHANCE)


def pairs_of(flat: np.ndarray, *, groups: int, leave_out: np.ndarray) -> tuple[Pair, ...]:
    """The filters that are nearly the same as one with a lower number.

    Filters of different groups look at different channels and are never the same.

    Args:
        flat: The filters as rows.
        groups: Of the convolution.
        leave_out: Numbers of filters that have no direction: the dead ones.
    """
    count, length = flat.shape
    members = count // groups
    if members < 2 or not comparable(count, length):
        return ()
    norms = norms_of(flat)
    usable = norms > 0
    usable[leave_out] = False
    look = flat[:, :: -(-length // 1024)] if length > _SCREEN else flat
    seen = norms_of(look)
    directions = look / np.where(usable & (seen > 0), seen, 1)[:, None]
    directions[~usable] = 0
    found: list[Pair] = []
    for first in range(0, count, members):
        group = directions[first : first + members]
        for start in range(0, members, _BLOCK):
            cosines = group[start : start + _BLOCK] @ group[: start + _BLOCK].T
            # Only lower numbers: each pair once, and no filter with itself.
            cosines = np.tril(cosines, k=start - 1)
            best = np.abs(cosines).argmax(axis=1)
            for row, twin in enumerate(best):
                cosine, channel = float(cosines[row, twin]), first + start + row
                if look is not flat and abs(cosine) >= _LIKELY:
                    cosine = float(
                        flat[channel] @ flat[first + int(twin)] / (norms[channel] * norms[first + int(twin)])
                    )
                if abs(cosine) >= SAME:
                    found.append(Pair(channel=channel, twin=first + int(twin), cosine=cosine))
    return tuple(found)


def grouped(pairs: tuple[Pair, ...]) -> tuple[tuple[int, ...], ...]:
    """The groups of filters that are nearly the same, each sorted, by their first number."""
    root: dict[int, int] = {}

    def top(channel: int) -> int:
        while root.setdefault(channel, channel) != channel:
            channel = root[channel]
        return channel

    for pair in pairs:
        first, second = sorted((top(pair.channel), top(pair.twin)))
        root[second] = first
    groups: dict[int, list[int]] = {}
    for channel in sorted(root):
        groups.setdefault(top(channel), []).append(channel)
    return tuple(tuple(members) for _, members in sorted(groups.items()))
