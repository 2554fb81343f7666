"""Sufficient and necessary regions: brute force over all sets of segments."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.methods.games import all_logits, smallest
from tests.methods.nets import net, pictures
from torch import Tensor, nn

import pellucid
from pellucid.capture.scores import LOGITS, Score
from pellucid.errors import MethodError, SettingError
from pellucid.methods.regions import NecessaryRegion, lead

CASES = [(name, seed, target) for name in ("residual", "batch norm") for seed in (0, 1, 2) for target in (0, 1, 2)]


def larger(name: str, seed: int) -> tuple[nn.Module, Tensor]:
    """Logits that depend on the picture rather than on the bias."""
    module = net(name, seed).double()
    module.last.weight.data *= 30  # type: ignore[union-attr, operator]
    return module, pictures(seed=seed).double()


def answers(logits: Tensor, target: int) -> bool:
    return bool((logits[target] > torch.cat([logits[:target], logits[target + 1 :]])).all())


def region_of(made: pellucid.Explanation) -> frozenset[int]:
    values = made.part("segments").values
    assert set(values.tolist()) <= {0.0, 1.0}
    return frozenset(np.flatnonzero(values).tolist())


@pytest.mark.parametrize("kind", ["sufficient-region", "necessary-region"])
@pytest.mark.parametrize(("name", "seed", "target"), CASES)
def test_bounds_hold_against_brute_force(kind: str, name: str, seed: int, target: int) -> None:
    module, x = larger(name, seed)
    logits = all_logits(module, x, 3)
    everything = frozenset(range(9))

    def does(each: frozenset[int]) -> bool:
        if kind == "sufficient-region":
            return answers(logits[each], target)
        return not answers(logits[everything - each], target)

    found = any(does(each) for each in logits)
    best = smallest(9, does) if found else []
    for budget in (1, 9, 60, 600):
        made = pellucid.explain(module, x, method=f"{kind}(segments=grid:3, budget={budget})", target=f"class:{target}")
        region, size, least = region_of(made), made.checks["segments"], made.checks["at least"]
        if np.isnan(size):
            assert not region
            assert not does(everything)
            assert "no region was found, not even the whole picture" in made.notes
            continue
        assert does(region)
        assert len(region) == size >= len(best[0]) >= least
        assert not any(does(region - {each}) for each in region) or size == least
        if budget == 600 or size == least:
            assert region in best
        proven = "no smaller region: all smaller sets of segments were tried" in made.notes
        assert proven == (size == least)
        if kind == "sufficient-region":
            assert made.checks["lead of the class"] > 0
        else:
            assert made.checks["lead of the class"] <= 0


def test_the_value_of_a_pixel_is_whether_its_segment_belongs() -> None:
    module, x = larger("residual", 0)
    made = pellucid.explain(module, x, method="necessary-region(segments=grid:4)")
    labels = made.part("segment map").values.astype(int)
    assert np.array_equal(made.values, made.part("segments").values[labels])


def test_a_model_that_looks_at_two_segments_needs_both() -> None:
    class Both(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            one, other = x[:, 0, 0, 0], x[:, 0, 11, 11]
            both = torch.minimum(one, other) - 0.5
            return torch.stack([both, -both], dim=1)

    x = torch.ones(1, 3, 12, 12)
    enough = pellucid.explain(Both(), x, method="sufficient-region(segments=grid:3)")
    assert region_of(enough) == {0, 8}
    needed = pellucid.explain(Both(), x, method="necessary-region(segments=grid:3)")
    assert region_of(needed) in ({0}, {8})
    # Alone, neither brings anything: only the exhaustive search sees that two are enough before all nine are added.
    greedy = pellucid.explain(Both(), x, method="sufficient-region(segments=grid:3, budget=1)")
    assert region_of(greedy) == {0, 8}
    assert greedy.checks["at least"] == 1


@pytest.mark.parametrize(
    ("logits", "weights", "expected"),
    [
        ([1.0, 3.0, 2.0], {1: 1.0}, 1.0),
        ([1.0, 3.0, 2.0], {0: 1.0}, -2.0),
        ([1.0, 3.0, 2.0], {2: 1.0, 0: -1.0}, 1.0),
        ([-0.5], {0: 1.0}, -0.5),
    ],
)
def test_the_lead_is_over_the_best_of_the_others(logits: list[float], weights: Any, expected: float) -> None:
    assert float(lead(torch.tensor(logits), Score(place=LOGITS, weights=weights))) == expected


def test_a_unit_is_no_class_and_is_refused() -> None:
    with pytest.raises(MethodError, match="asks which class is the answer, and a unit is no class; choose a class"):
        pellucid.explain(net("residual"), pictures(), method="sufficient-region", target="unit:'two'/1")
    with pytest.raises(SettingError, match=r"^budget is 0"):
        NecessaryRegion(budget=0)
