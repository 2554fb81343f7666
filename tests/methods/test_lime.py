"""LIME: scikit-learn's weighted ridge regression, Captum's samples, and models that are linear in the segments."""

import numpy as np
import pytest
import torch
from tests.methods.games import all_scores, all_sets
from tests.methods.nets import net, pictures
from torch import nn

import pellucid
from pellucid.errors import MethodError, SettingError
from pellucid.methods.lime import Lime, nearness, weighted_ridge


def some_samples(seed: int = 0, count: int = 60) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    shown = torch.rand(count, 5, generator=rng) < 0.5
    return shown, torch.randn(count, generator=rng, dtype=torch.float64), nearness(shown, 0.25)


@pytest.mark.parametrize("penalty", [0.0, 1.0, 30.0])
def test_the_fit_is_scikit_learns_ridge_regression(penalty: float) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    shown, scores, weights = some_samples()
    theirs = linear.Ridge(alpha=penalty).fit(shown.numpy(), scores.numpy(), sample_weight=weights.numpy())
    values, _, share = weighted_ridge(shown, scores, weights, penalty)
    np.testing.assert_allclose(values.numpy(), theirs.coef_, atol=1e-10)
    assert float(share) == pytest.approx(theirs.score(shown.numpy(), scores.numpy(), sample_weight=weights.numpy()))


def test_the_distance_is_one_minus_the_cosine_to_the_whole_picture() -> None:
    shown, *_ = some_samples()
    ones = torch.ones(5, dtype=torch.float64)
    cosine = nn.functional.cosine_similarity(shown.double(), ones[None], dim=1)
    np.testing.assert_allclose(nearness(shown, 0.3), torch.exp(-((1 - cosine) ** 2) / 0.3**2), atol=1e-12)
    assert float(nearness(torch.ones(1, 5, dtype=torch.bool), 0.3)) == 1


def test_a_linear_model_gets_its_segments_sums_and_a_perfect_fidelity() -> None:
    linear, x = nn.Sequential(nn.Flatten(), nn.Linear(432, 3)).double(), pictures().double()
    made = pellucid.explain(linear, x, method="lime(samples=60, segments=grid:3, ridge=0)", target="class:2")
    sums = (linear[1].weight[2].detach().view(3, 12, 12) * x[0]).sum(0).view(3, 4, 3, 4).sum((1, 3)).flatten()
    np.testing.assert_allclose(made.part("segments").values, sums.numpy(), atol=1e-12)
    np.testing.assert_allclose(made.part("segments").standard_error, 0, atol=1e-12)
    assert made.checks["fidelity R²"] == pytest.approx(1)
    assert 1 < made.checks["effective samples"] < 60


def test_many_samples_approach_the_fit_of_all_sets_within_the_standard_errors() -> None:
    module, x = net("batch norm").double(), pictures().double()
    scores = all_scores(module, x, 2, 1)
    sets = all_sets(4)
    shown = np.array([[number in each for number in range(4)] for each in sets], dtype=float)
    weights = np.exp(-((1 - np.sqrt(shown.mean(1))) ** 2) / 0.25**2)
    design = np.c_[np.ones(16), shown] * np.sqrt(weights)[:, None]
    wanted = np.array([scores[each] for each in sets]) * np.sqrt(weights)
    truth = np.linalg.lstsq(design, wanted, rcond=None)[0][1:]
    made = pellucid.explain(module, x, method="lime(samples=2000, segments=grid:2, ridge=0)", target="class:1")
    part = made.part("segments")
    assert part.standard_error is not None
    assert (np.abs(part.values - truth) <= 4.5 * part.standard_error).all()
    assert np.abs(part.values - truth).max() < 0.1 * np.abs(truth).max()
    assert 0 < made.checks["fidelity R²"] < 1


def test_where_the_score_does_not_vary_the_fidelity_is_undefined_and_that_is_said() -> None:
    module, x = net("residual"), torch.zeros(1, 3, 12, 12)
    made = pellucid.explain(module, x, method="lime(samples=30, segments=grid:2)")
    assert np.abs(made.values).max() < 1e-6 * abs(made.score)
    assert np.isnan(made.checks["fidelity R²"])
    assert any("the score is the same for every sample" in note for note in made.notes)


def test_settings_that_make_no_sense_and_too_few_samples_are_refused() -> None:
    for setting in ({"samples": 2}, {"width": 0.0}, {"ridge": -1.0}):
        with pytest.raises(SettingError):
            Lime(**setting)  # type: ignore[arg-type]
    with pytest.raises(MethodError, match=r"^lime cannot weigh 16 segments by 10 samples; take 18 or more\.$"):
        pellucid.explain(net("residual"), pictures(), method="lime(samples=10, segments=grid:4)")
    with pytest.raises(MethodError, match=r"^lime cannot tell 9 segments apart by these samples; "):
        pellucid.explain(net("residual"), pictures(), method="lime(segments=grid:3, width=0.001, ridge=0)")
