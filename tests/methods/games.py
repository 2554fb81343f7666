"""Brute force over all sets of segments, for methods that show only some of them."""

import itertools
import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

Scores = Mapping[frozenset[int], float]


def grid(x: Tensor, parts: int) -> Tensor:
    """The segment of each pixel in a grid whose sides divide the picture's."""
    rows = torch.arange(x.shape[-2]) // (x.shape[-2] // parts)
    columns = torch.arange(x.shape[-1]) // (x.shape[-1] // parts)
    return rows[:, None] * parts + columns


def showing(x: Tensor, labels: Tensor, kept: frozenset[int], cover: float = 0.0) -> Tensor:
    shown = torch.isin(labels, torch.tensor(sorted(kept), dtype=torch.int64))
    return torch.where(shown, x, torch.full_like(x, cover))


def all_sets(count: int) -> list[frozenset[int]]:
    return [frozenset(each) for size in range(count + 1) for each in itertools.combinations(range(count), size)]


def all_logits(module: nn.Module, x: Tensor, parts: int, cover: float = 0.0) -> dict[frozenset[int], Tensor]:
    labels, sets = grid(x, parts), all_sets(parts * parts)
    with torch.no_grad():
        return {each: module(showing(x, labels, each, cover))[0] for each in sets}


def all_scores(module: nn.Module, x: Tensor, parts: int, target: int, cover: float = 0.0) -> Scores:
    return {each: float(found[target]) for each, found in all_logits(module, x, parts, cover).items()}


def shapley(scores: Scores, count: int) -> np.ndarray:
    """Shapley's formula: the weighted mean over all sets of what a segment adds to them."""
    values = np.zeros(count)
    for each in all_sets(count):
        for player in set(range(count)) - each:
            weight = math.factorial(len(each)) * math.factorial(count - len(each) - 1) / math.factorial(count)
            values[player] += weight * (scores[each | {player}] - scores[each])
    return values


def smallest(count: int, does: Callable[[frozenset[int]], bool]) -> list[frozenset[int]]:
    """All smallest sets that do something."""
    fitting = [each for each in all_sets(count) if does(each)]
    return [each for each in fitting if len(each) == min(map(len, fitting))]
