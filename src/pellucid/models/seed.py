"""The seed network by its weights: what size they are for, who has them, and how its pictures are prepared."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Size, nn

from pellucid.models.preprocessing import Preprocessing
from pellucid.models.xai_cnn import XAI

SIDE = 100
"""Pixels: the textbook's pictures are squares of this side."""


def size_of(shapes: Mapping[str, Size]) -> tuple[int, int] | None:
    """Width and classes of the seed network that some weights are for, under any prefix; None where they are not."""
    first = [shape for name, shape in shapes.items() if name.endswith("features.0.weight")]
    last = [shape for name, shape in shapes.items() if name.endswith("classifier.5.bias")]
    if first and len(first[0]) == 4 and last and len(last[0]) == 1:
        return first[0][0], last[0][0]
    return None


def is_seed(module: nn.Module) -> bool:
    """Whether a module, of whatever class, has the parameters and buffers of a seed network: its names and shapes."""
    shapes = _shapes(module)
    size = size_of(shapes)
    if size is None or min(size) < 1:
        return False
    with torch.device("meta"):  # shapes only: no memory, and no random number is drawn
        return shapes == _shapes(XAI(width=size[0], num_classes=size[1]))


def assumed_for_seed() -> Preprocessing:
    """How pictures are prepared for a seed network where nobody says it."""
    return replace(Preprocessing.assumed(), resize=SIDE, crop=SIDE)


def assumed_for(module: nn.Module) -> tuple[Preprocessing, str]:
    """How pictures are prepared for a module about which nothing is known, and the sentence that says so."""
    seed = is_seed(module)
    assumed = assumed_for_seed() if seed else Preprocessing.assumed()
    known = f" (the seed network was made for pictures of {SIDE}×{SIDE})" if seed else ""
    return assumed, (
        f"nothing says how pictures are prepared for this model{known}, so it was assumed: {assumed.describe()}"
    )


def note_on_twin(module: nn.Module) -> tuple[str, ...]:
    """What to say of a seed network of another class than ours, such as the textbook's own; nothing of others."""
    if isinstance(module, XAI) or not is_seed(module):
        return ()
    name = type(module).__name__
    return (
        f"the weights of {name} have the names and shapes of the seed network's: pellucid.models.xai_cnn.XAI loads the "
        "same weights and gives one row per picture",
    )


def _shapes(module: nn.Module) -> dict[str, Size]:
    # Not from state_dict(), which a module may have given work of its own.
    return {name: tensor.shape for name, tensor in (*module.named_parameters(), *module.named_buffers())}
