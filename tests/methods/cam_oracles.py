"""Maps and slopes by plain autograd, and torch-cam's own maps, for the tests of class activation maps."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import pellucid


def read(module: nn.Module, layer: str, x: Tensor, target: int) -> tuple[Tensor, Tensor]:
    """What a layer returned at its last call, and the slope of a logit there."""
    kept: list[Tensor] = []
    handle = module.get_submodule(layer).register_forward_hook(lambda _module, _given, made: kept.append(made))
    logits = module(x)
    handle.remove()
    slopes = torch.autograd.grad(logits[:, target].sum(), kept[-1])[0]
    return kept[-1].detach(), slopes


def torchcam(kind: Any, module: nn.Module, layer: str, x: Tensor, target: int, **settings: Any) -> np.ndarray:
    """torch-cam's map of one layer, before it rescales."""
    with kind(module, layer, input_shape=tuple(x.shape[1:]), **settings) as extractor:
        scores = module(x)
        [maps] = extractor(target, scores, normalized=False)
    return np.asarray(maps.detach())


def ours(module: nn.Module, x: Tensor, method: str, target: int) -> np.ndarray:
    """Our maps of a batch."""
    made = pellucid.explain_many(module, [x], methods=[method], targets=[f"class:{target}"])
    return np.stack([each.values for each in made])


def near(one: np.ndarray, other: Any, within: float = 1e-5) -> bool:
    """Equal up to a share of the largest value, which is not 0."""
    expected = np.asarray(other.detach() if isinstance(other, Tensor) else other)
    return bool(np.abs(one - expected).max() <= within * np.abs(expected).max()) and bool(expected.any())
