"""Several targets of one probe share the passes of what they ask alike, and get what each gets alone."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.methods.nets import net, pictures
from torch.utils._python_dispatch import TorchDispatchMode

import pellucid

TARGETS = ["top:1-4", "contrast:1,2"]
SHARED = [
    "occlusion(window=6, stride=6)",
    "rise(masks=20, cells=3)",
    "lime(samples=12, segments=grid:3)",
    "kernel-shap(samples=20, segments=grid:3)",
    "shapley(permutations=4, segments=grid:2)",
    "feature-ablation(segments=grid:3)",
    "score-cam",
    "ablation-cam",
    "channel-ablation",
    "integrated-gradients(steps=3)",
    "smooth-grad(samples=3)",
    "conductance(steps=3)",
]
"""Methods whose variants do not depend on what is explained."""
APART = ["extremal-perturbation(steps=3, cells=4)", "sufficient-region(segments=grid:3)"]
"""Methods that search, each target on its own way."""


class Rows(TorchDispatchMode):
    """Counts the items that go forward through a linear layer, whoever runs it."""

    forward = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.ops.aten.addmm.default:
            self.forward += len(args[1])
        return function(*args, **(kwargs or {}))


def explained(method: str, targets: list[str]) -> tuple[list[pellucid.Explanation], int]:
    with Rows() as rows:
        made = list(pellucid.explain_many(net("in-place"), [pictures(2)], methods=[method], targets=targets, seed=5))
    return made, rows.forward


@pytest.mark.parametrize("method", SHARED)
def test_five_targets_cost_the_forwards_of_one_and_get_the_same_values(method: str) -> None:
    together, rows = explained(method, TARGETS)
    each = ["top:1", "top:2", "top:3", "top:4", "contrast:1,2"]
    for number in (1, 4):
        target, (single, alone) = each[number], explained(method, [each[number]])
        assert rows == alone
        for one, other in zip(together[number::5], single, strict=True):
            assert one.target == other.target
            assert one.target.asked == target
            assert np.abs(one.values - other.values).max() <= 1e-6 * max(1.0, float(np.abs(other.values).max()))
            assert one.checks == pytest.approx(other.checks, rel=1e-4, abs=1e-6, nan_ok=True)
            assert (one.cost.forwards, one.cost.backwards) == (other.cost.forwards, other.cost.backwards)


@pytest.mark.parametrize("method", APART)
def test_what_differs_between_targets_is_run_apart(method: str) -> None:
    together, _ = explained(method, ["class:0", "class:3"])
    for number, target in enumerate(["class:0", "class:3"]):
        for one, other in zip(together[number::2], explained(method, [target])[0], strict=True):
            assert np.allclose(one.values, other.values, atol=1e-6)
            assert one.checks == pytest.approx(other.checks, rel=1e-4, abs=1e-6, nan_ok=True)


def test_a_unit_beside_a_class_gets_its_own_passes() -> None:
    method, targets = "occlusion(window=6, stride=6)", ["class:1", "unit:'one'/2"]
    together, _ = explained(method, targets)
    for number, target in enumerate(targets):
        for one, other in zip(together[number::2], explained(method, [target])[0], strict=True):
            assert np.allclose(one.values, other.values, atol=1e-6)
