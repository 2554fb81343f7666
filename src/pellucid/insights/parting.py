"""Two passes side by side: what each model answers, and the values of aligned sites, a few at a time."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from pellucid.capture import passes
from pellucid.capture.answers import Answer
from pellucid.capture.failures import not_finite
from pellucid.capture.sites import Site
from pellucid.capture.trace import trace
from pellucid.insights.alignment import Pair
from pellucid.models.model import Model

AT_ONCE = 256_000_000
"""Bytes of values of one pass that are held together; more come from several passes."""


def answer_of(model: Model, batch: Tensor) -> Answer:
    """What a model answers to a prepared picture.

    Raises:
        NotFiniteError: The answer is not finite; names the site and the weight.
        OutputError: It is no table of logits.
    """
    found = passes.answer(model.module, batch)
    if not bool(torch.isfinite(found.logits).all()):
        seen, _ = passes.record(model.module, batch, statistics="basic")
        raise not_finite(model.module, batch, seen)
    return found


def paired_values(
    models: Sequence[Model], batches: Sequence[Tensor], pairs: Sequence[Pair]
) -> Iterator[tuple[Pair, np.ndarray, np.ndarray]]:
    """The values of every pair of sites, from as few passes as memory allows.

    Args:
        models: The two models; twice the same one for two pictures.
        batches: A prepared picture for each.
        pairs: Aligned sites.

    Yields:
        A pair, and the values of its sites as float32, in the order of the pairs.
    """
    waiting: list[Pair] = []
    for place, pair in enumerate(pairs):
        waiting.append(pair)
        held = sum(each.first.nbytes for each in waiting)
        if place + 1 < len(pairs) and held + pairs[place + 1].first.nbytes <= AT_ONCE:
            continue
        names = [[each.first.name for each in waiting], [each.second.name for each in waiting]]
        traces = [trace(m, x, sites=n) for m, x, n in zip(models, batches, names, strict=True)]
        for each in waiting:
            yield each, _array(traces[0][each.first.name]), _array(traces[1][each.second.name])
        waiting = []


def _array(site: Site) -> np.ndarray:
    assert site.values is not None
    values: np.ndarray = site.values.detach().cpu().float().numpy()
    return values
