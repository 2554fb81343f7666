"""Permutation Shapley: brute force over all sets, all orders, and a linear model."""

import itertools

import numpy as np
import pytest
import torch
from captum.attr import ShapleyValues
from tests.methods.games import all_scores, grid, shapley
from tests.methods.nets import net, pictures
from torch import nn

import pellucid
from pellucid.errors import SettingError
from pellucid.methods.shapley import Shapley, contributions, paired_orders


@pytest.mark.parametrize("name", ["residual", "shared", "batch norm", "functional"])
@pytest.mark.parametrize("cover", ["zero", "mean"])
def test_agrees_with_brute_force_within_its_standard_errors(name: str, cover: str) -> None:
    module, x = net(name).double(), pictures().double()
    if cover == "mean":
        x = x - x.mean((2, 3), keepdim=True) + 0.3
    made = pellucid.explain(
        module, x, method=f"shapley(permutations=400, segments=grid:2, baseline={cover})", target="class:1"
    )
    truth = shapley(all_scores(module, x, 2, 1, 0.3 if cover == "mean" else 0.0), 4)
    part = made.part("segments")
    assert part.standard_error is not None
    assert (np.abs(part.values - truth) <= 4.5 * part.standard_error + 1e-12).all()
    assert np.abs(part.values - truth).max() < 0.1 * np.abs(truth).max()
    assert np.array_equal(
        made.parts[0].standard_error, part.standard_error[made.part("segment map").values.astype(int)]
    )


@pytest.mark.parametrize("count", [2, 3, 4])
def test_all_orders_together_give_shapleys_formula(count: int) -> None:
    rng = np.random.default_rng(count)
    scores = {
        frozenset(each): float(rng.normal())
        for size in range(count + 1)
        for each in itertools.combinations(range(count), size)
    }
    orders = torch.tensor(list(itertools.permutations(range(count))))
    inner = [[scores[frozenset(order[:size])] for size in range(1, count)] for order in orders.tolist()]
    ends = (torch.tensor(scores[frozenset(each)], dtype=torch.float64) for each in ((), range(count)))
    found = contributions(orders, torch.tensor(inner, dtype=torch.float64), *ends).mean(0)
    np.testing.assert_allclose(found.numpy(), shapley(scores, count), atol=1e-12)


def test_brute_force_is_what_captum_calls_shapley_values() -> None:
    module, x = net("batch norm").double(), pictures().double()
    theirs = ShapleyValues(module).attribute(x, target=1, feature_mask=grid(x, 2)[None, None])[0, 0]
    truth = shapley(all_scores(module, x, 2, 1), 4)
    # Captum sums in float32.
    np.testing.assert_allclose(theirs.numpy(), truth[grid(x, 2).numpy()], atol=1e-7)


def test_values_sum_to_the_change_of_the_score() -> None:
    module, x = net("residual").double(), pictures(2).double()
    for item, made in enumerate(
        pellucid.explain_many(module, [x], methods=["shapley(permutations=4, segments=grid:3)"], targets=["class:2"])
    ):
        with torch.no_grad():
            change = float((module(x) - module(torch.zeros_like(x)))[item, 2])
        assert made.part("segments").values.sum() == pytest.approx(change, abs=1e-12)
        assert abs(made.checks["completeness gap"]) < 1e-12


def test_a_linear_model_gets_its_segments_sums_without_any_error() -> None:
    linear, x = nn.Sequential(nn.Flatten(), nn.Linear(432, 3)).double(), pictures().double()
    made = pellucid.explain(linear, x, method="shapley(permutations=4, segments=grid:3)", target="class:2")
    sums = (linear[1].weight[2].detach().view(3, 12, 12) * x[0]).sum(0).view(3, 4, 3, 4).sum((1, 3)).flatten()
    part = made.part("segments")
    np.testing.assert_allclose(part.values, sums.numpy(), atol=1e-12)
    np.testing.assert_allclose(part.standard_error, 0, atol=1e-12)


def test_a_single_segment_gets_the_whole_change() -> None:
    module, x = net("residual").double(), pictures().double()
    with torch.no_grad():
        change = float((module(x) - module(torch.zeros_like(x)))[0, 1])
    for method in ("shapley(segments=grid:1)", "kernel-shap(segments=grid:1)"):
        made = pellucid.explain(module, x, method=method, target="class:1")
        assert made.part("segments").values.tolist() == pytest.approx([change])


def test_every_order_is_followed_by_its_reverse() -> None:
    orders = paired_orders(5, 6, torch.Generator().manual_seed(0))
    assert torch.equal(orders[::2].flip(1), orders[1::2])
    assert all(sorted(order) == list(range(6)) for order in orders.tolist())
    assert len({tuple(order) for order in orders.tolist()}) > 2


def test_more_orders_have_smaller_errors_and_another_seed_other_values() -> None:
    module, x = net("shared"), pictures()
    few, many = (
        pellucid.explain(module, x, method=f"shapley(permutations={count}, segments=grid:3)").part("segments")
        for count in (8, 128)
    )
    assert few.standard_error is not None
    assert many.standard_error is not None
    assert many.standard_error.mean() < 0.5 * few.standard_error.mean()
    other = pellucid.explain(module, x, method="shapley(permutations=8, segments=grid:3)", seed=1).part("segments")
    assert not np.array_equal(few.values, other.values)


@pytest.mark.parametrize("permutations", [0, 2, 5, True])
def test_permutations_that_have_no_pairs_are_refused(permutations: int) -> None:
    with pytest.raises(SettingError, match=r"^permutations is "):
        Shapley(permutations=permutations)
