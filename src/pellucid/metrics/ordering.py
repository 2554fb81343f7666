"""What comes first: places by their values, without any order that nobody asked for."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def ordered(values: npt.NDArray[np.float64], *, seed: int | Sequence[int]) -> npt.NDArray[np.int64]:
    """The places of values from the largest to the smallest; equal values in an order that is drawn.

    The number of a node, an edge or a pixel often has a meaning (motifs come last, what is above comes first), so it
    must not decide.
    """
    draw = np.random.default_rng(seed).permutation(len(values))
    return np.lexsort((draw, -values))
