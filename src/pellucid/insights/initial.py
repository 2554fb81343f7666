"""Can a layer's weights be told from random initial ones? Seven measurements that training disturbs.

Initial weights are independent draws of one distribution. Trained ones are not: some filters and inputs become stronger
than others, neighbouring values of a kernel become alike, a few directions grow out of the spectrum. Each measurement
compares one such thing with its distribution for independent draws, and each limit is wide enough that random layers
pass: of 1632 random layers of seven torchvision networks the worst came to 0.79 of a limit. Of 125 trained layers with
at least `ENOUGH` weights (ImageNet, CIFAR-10 and the bundled networks) the least disturbed one came to 1.27.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

ENOUGH = 4096
"""Weights from which on a single layer is judged: smaller trained layers can be as random as fresh ones (the first
convolutions of the bundled networks, the class layer of a ResNet for CIFAR-10)."""
LEAST = 256
"""Weights from which on a layer is measured at all; it then counts for the model as a whole."""
_SIGMAS = 4.5
"""A normal deviate goes beyond in 7 of a million draws."""
_KOLMOGOROV = 2.5
"""Limit of √n · sup|F − G|: beyond it in 7 of a million samples of the very distribution, fewer where σ was fitted."""
_TRACY_WIDOM = (-1.2, 6.5)
"""Mean of the Tracy-Widom law of real matrices, and how far from it is too far: 5.1 of its standard deviations, since
its upper tail is longer than a normal one's."""
_DRAWN = 50_000
_MOST = 4_000_000
"""Weights of a layer that are looked at; of a larger one, filters drawn by the seed: all else stays as it is, since
independent filters are independent in any choice of them."""

Family = Literal["normal", "uniform", "orthogonal", "constant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Initial:
    """How far a layer's weights are from random initial ones.

    Attributes:
        family: The distribution that fits best.
        deviation: Standard deviation of the weights about 0.
        scores: For each measurement how far it is from what independent draws give, in units of its limit.
        weights: How many weights the layer has.
    """

    family: Family
    deviation: float
    scores: dict[str, float]
    weights: int

    @property
    def fits(self) -> bool:
        """Whether no measurement tells the weights from initial ones."""
        return max(self.scores.values(), default=0.0) < 1


def initial(filters: np.ndarray, *, seed: int) -> Initial | None:
    """Compare a layer's weights with random initial ones.

    The measurements, for weights scaled to mean square 1 in a matrix of m filters and n values each:

    - values: Kolmogorov's distance to the normal or the uniform distribution, whichever is nearer;
    - mean: of all weights, times √(mn);
    - filters, inputs: the spread of the squared norms of filters, and of what belongs to one input channel, by
      Wilson and Hilferty's normal deviate of χ² (1931), with the measured kurtosis;
    - neighbours: the sum of products of neighbouring values in a kernel (low frequencies make it large);
    - overlap: the sum of squared inner products of different filters, the second moment of the spectrum in the law of
      Marchenko and Pastur (1967);
    - edge: the largest singular value, as Johnstone scales it (Annals of Statistics 29, 2001).

    Args:
        filters: (out, in of one group, *kernel), finite.
        seed: Of the values that are drawn for Kolmogorov's distance where there are more than 50 000.

    Returns:
        The comparison, or None for a layer with fewer than `LEAST` weights.
    """
    if filters.size < LEAST:
        return None
    size, chance = filters.size, np.random.RandomState(seed)
    if size > _MOST:
        rows = max(2, _MOST * len(filters) // size)
        filters = filters[np.sort(chance.permutation(len(filters))[:rows])]
    deviation = float(np.sqrt(np.square(filters).mean()))
    if np.ptp(filters) <= 1e-6 * deviation or deviation == 0:
        return Initial(family="constant", deviation=deviation, scores={}, weights=size)
    values = filters / deviation
    flat = values.reshape(len(values), -1)
    small, large = sorted(flat.shape)
    square = _sample(flat, small)
    if _is_orthogonal(square):
        return Initial(family="orthogonal", deviation=deviation, scores={}, weights=size)
    drawn = values.ravel()
    if drawn.size > _DRAWN:
        drawn = drawn[chance.permutation(drawn.size)[:_DRAWN]]
    normal, uniform = _distances(drawn)
    excess = float((values**4).mean()) - 1
    scores = {
        "values": min(normal, uniform) / _KOLMOGOROV,
        "mean": abs(float(values.mean())) * math.sqrt(values.size) / _SIGMAS,
        "filters": _spread(flat, excess) / _SIGMAS,
        "inputs": _spread(np.moveaxis(values, 1, 0).reshape(values.shape[1], -1), excess) / _SIGMAS,
        "neighbours": _neighbours(values) / _SIGMAS,
        "overlap": _overlap(square, large) / _SIGMAS,
        "edge": _edge(square, large),
    }
    family: Family = "normal" if normal <= uniform else "uniform"
    return Initial(family=family, deviation=deviation, scores=scores, weights=size)


def _sample(flat: np.ndarray, small: int) -> np.ndarray:
    """The products of the filters, or of the columns if they are fewer; of the first 1024 where there are more."""
    rows = (flat if flat.shape[0] == small else flat.T)[:1024]
    products: np.ndarray = rows @ rows.T
    return products


def _is_orthogonal(square: np.ndarray) -> bool:
    """Whether all directions are equally strong and upright to each other: no training leaves them so."""
    scale = float(np.trace(square)) / len(square)
    return len(square) >= 8 and float(np.abs(square / scale - np.eye(len(square))).max()) < 1e-3


def _distances(drawn: np.ndarray) -> tuple[float, float]:
    """√n times Kolmogorov's distance to the normal and to the uniform distribution of mean square 1."""
    ordered = np.sort(drawn)
    count = len(ordered)
    steps = np.arange(count + 1) / count
    found = []
    for expected in (
        torch.special.ndtr(torch.from_numpy(ordered)).numpy(),
        np.clip(ordered / math.sqrt(12) + 0.5, 0, 1),
    ):
        furthest = max(float((steps[1:] - expected).max()), float((expected - steps[:-1]).max()))
        found.append(furthest * math.sqrt(count))
    return found[0], found[1]


def _spread(rows: np.ndarray, excess: float) -> float:
    """How many standard deviations the spread of the rows' squared norms is from that of independent values."""
    freedom = len(rows) - 1
    if freedom < 1:
        return 0.0
    squares = np.square(rows).sum(axis=1)
    chi = float(np.square(squares - squares.mean()).sum()) / (rows.shape[1] * excess)
    part = 2 / (9 * freedom)
    return abs(math.cbrt(chi / freedom) - (1 - part)) / math.sqrt(part)


def _neighbours(values: np.ndarray) -> float:
    total, count = 0.0, 0
    for axis in range(2, values.ndim):
        size = values.shape[axis]
        products = np.take(values, range(1, size), axis) * np.take(values, range(size - 1), axis)
        total += float(products.sum())
        count += products.size
    return abs(total) / math.sqrt(count) if count else 0.0


def _overlap(square: np.ndarray, large: int) -> float:
    pairs = len(square) * (len(square) - 1) / 2
    if not pairs:
        return 0.0
    apart = (float(np.square(square).sum()) - float(np.square(np.diag(square)).sum())) / 2
    return abs(apart / large - pairs) / math.sqrt(2 * pairs)


def _edge(square: np.ndarray, large: int) -> float:
    small = len(square)
    root = math.sqrt(large - 1) + math.sqrt(small)
    width = root * math.cbrt(1 / math.sqrt(large - 1) + 1 / math.sqrt(small))
    middle, reach = _TRACY_WIDOM
    top = float(np.linalg.eigvalsh(square)[-1])
    return abs((top - root**2) / width - middle) / reach
