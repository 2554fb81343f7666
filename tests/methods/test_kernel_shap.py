"""KernelSHAP: all sets give exact Shapley values, some sets a constrained regression."""

import math

import numpy as np
import pytest
import torch
from captum.attr import KernelShap as Peer
from tests.methods.games import all_scores, all_sets, grid, shapley
from tests.methods.nets import net, pictures
from torch import nn

import pellucid
from pellucid.errors import MethodError, SettingError
from pellucid.methods.shapley import KernelShap, kernel, kernel_sets, paired_regression


@pytest.mark.parametrize("name", ["residual", "shared", "batch norm", "functional"])
@pytest.mark.parametrize("parts", [2, 3])
def test_all_sets_give_exact_shapley_values(name: str, parts: int) -> None:
    module, x = net(name).double(), pictures().double()
    made = pellucid.explain(module, x, method=f"kernel-shap(segments=grid:{parts})", target="class:1")
    truth = shapley(all_scores(module, x, parts, 1), parts**2)
    part = made.part("segments")
    np.testing.assert_allclose(part.values, truth, atol=1e-11)
    assert part.standard_error is not None
    assert not part.standard_error.any()
    assert f"exact: all {2**parts**2} sets of {parts**2} segments were scored" in made.notes


def test_agrees_with_brute_force_within_its_standard_errors() -> None:
    module, x = net("batch norm").double(), pictures().double()
    truth = shapley(all_scores(module, x, 3, 1), 9)
    for seed in range(3):
        made = pellucid.explain(
            module, x, method="kernel-shap(samples=200, segments=grid:3)", target="class:1", seed=seed
        )
        part = made.part("segments")
        assert part.standard_error is not None
        assert (part.standard_error > 0).all()
        assert (np.abs(part.values - truth) <= 4.5 * part.standard_error).all()
        assert abs(made.checks["completeness gap"]) < 1e-12


def test_approaches_captum_with_many_samples() -> None:
    pytest.importorskip("sklearn", reason="Captum's KernelShap needs scikit-learn")
    module, x = net("batch norm").double(), pictures().double()
    torch.manual_seed(0)
    theirs = Peer(module).attribute(x, target=1, feature_mask=grid(x, 2)[None, None], n_samples=4000)[0, 0]
    ours = pellucid.explain(module, x, method="kernel-shap(segments=grid:2)", target="class:1").values
    np.testing.assert_allclose(ours, theirs.numpy(), atol=0.02 * np.abs(ours).max())


def test_the_regression_equals_least_squares_with_a_lagrange_multiplier() -> None:
    rng = torch.Generator().manual_seed(0)
    sets = kernel_sets(40, 6, rng)
    scores = torch.randn(80, generator=rng, dtype=torch.float64)
    change = torch.tensor(1.7, dtype=torch.float64)
    found, _ = paired_regression(sets, (scores[:40] - scores[40:]) / 2, change)
    design = torch.cat([sets, ~sets]).double()
    ones = torch.ones(6, 1, dtype=torch.float64)
    top = torch.cat([design.T @ design, ones], dim=1)
    system = torch.cat([top, torch.cat([ones.T, torch.zeros(1, 1, dtype=torch.float64)], dim=1)])
    solved = torch.linalg.solve(system, torch.cat([design.T @ scores, change[None]]))[:6]
    np.testing.assert_allclose(found.numpy(), solved.numpy(), atol=1e-12)


def test_sets_are_drawn_by_the_shapley_kernel() -> None:
    sets = kernel_sets(40_000, 5, torch.Generator().manual_seed(0))
    mass = np.array([float(kernel(5)[size - 1]) * math.comb(5, size) for size in range(1, 5)])
    seen = np.array([float((sets.sum(1) == size).double().mean()) for size in range(1, 5)])
    np.testing.assert_allclose(seen, mass / mass.sum(), atol=0.01)
    twos = [tuple(row.nonzero().flatten().tolist()) for row in sets[sets.sum(1) == 2]]
    shares = [twos.count(tuple(sorted(each))) / len(twos) for each in all_sets(5) if len(each) == 2]
    np.testing.assert_allclose(shares, 0.1, atol=0.015)


def test_a_linear_model_gets_its_segments_sums_without_any_error() -> None:
    linear, x = nn.Sequential(nn.Flatten(), nn.Linear(432, 3)).double(), pictures().double()
    made = pellucid.explain(linear, x, method="kernel-shap(samples=100, segments=grid:4)", target="class:2")
    sums = (linear[1].weight[2].detach().view(3, 12, 12) * x[0]).sum(0).view(4, 3, 4, 3).sum((1, 3)).flatten()
    np.testing.assert_allclose(made.part("segments").values, sums.numpy(), atol=1e-12)
    np.testing.assert_allclose(made.part("segments").standard_error, 0, atol=1e-12)


def test_too_few_samples_are_refused_by_name() -> None:
    with pytest.raises(
        MethodError, match=r"^kernel-shap cannot tell 16 segments apart by 20 samples; take at least 64\.$"
    ):
        pellucid.explain(net("residual"), pictures(), method="kernel-shap(samples=20, segments=grid:4)")
    for samples in (0, 1, 7, True):
        with pytest.raises(SettingError, match=r"^samples is "):
            KernelShap(samples=samples)
