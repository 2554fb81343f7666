"""What a name stands for before its weights are in: the untrained module and what is known about it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pellucid.models.preprocessing import Preprocessing

Remap = Callable[[dict[str, Tensor]], Mapping[str, Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A module, and what its makers say about it.

    Attributes:
        module: The network.
        name: What to call it.
        source: Where it came from, without folders.
        preprocessing: What the weights' metadata say; None where there are none.
        class_names: The same for its outputs.
        outputs: How many outputs it has, where that is known.
        notes: What had to be done or assumed.
        card: The model card of a bundled model.
        ours: Whether pellucid built it; a module that the user passed is never changed.
        remap: The makers' own renaming of old checkpoints, used where the names do not fit.
    """

    module: nn.Module
    name: str
    source: str
    preprocessing: Preprocessing | None = None
    class_names: tuple[str, ...] | None = None
    outputs: int | None = None
    notes: tuple[str, ...] = ()
    card: dict[str, Any] = field(default_factory=dict)
    ours: bool = True
    remap: Remap | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """Where the weights of a library's model lie on this machine, or would.

    Attributes:
        file: The file that is there; None where there is none.
        expected: What was looked for and where, as a phrase for an error.
    """

    file: Path | None
    expected: str


def rgb(values: Iterable[float]) -> tuple[float, float, float]:
    """Three numbers, one for each colour."""
    red, green, blue = (float(value) for value in values)
    return red, green, blue


@contextmanager
def kept_random_state(seed: int | None = 0) -> Iterator[None]:
    """Leave torch's generator for the CPU as it was: weights are drawn wherever a network is built.

    Args:
        seed: What to draw from meanwhile; None goes on from the present state.
    """
    before = torch.default_generator.get_state()
    try:
        if seed is not None:
            torch.default_generator.manual_seed(seed)
        yield
    finally:
        torch.default_generator.set_state(before)
