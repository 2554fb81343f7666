import numpy as np
import pytest
import torch
from captum.attr import GradientShap
from tests.methods.nets import given_of, net, pictures
from torch import nn

import pellucid
from pellucid.errors import SettingError
from pellucid.methods.baselines import baseline_of
from pellucid.methods.expected import GradientSHAP


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_values_equal_captum_within_standard_errors(noise: float) -> None:
    module, x, samples = net("batch norm").double(), pictures().double(), 1500
    method = GradientSHAP(baselines="zero+mean+blur:2", samples=samples, noise=noise)
    made = pellucid.explain(module, x, method=method, target="class:1")
    baselines = torch.cat([baseline_of(given_of(x), name) for name in ("zero", "mean", "blur:2")])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        np.random.seed(0)
        theirs = GradientShap(module).attribute(
            x, baselines, n_samples=samples, stdevs=noise * float(x.max() - x.min()), target=1
        )
    # Theirs has errors of the same size, which nobody has reported.
    away = (made.values - theirs[0].numpy()) / (np.sqrt(2) * made.parts[0].standard_error)
    assert np.sqrt(np.mean(away**2)) < 1.4
    assert np.abs(away).max() < 6
    assert made.checks["relative standard error"] < 0.1


def test_without_noise_it_is_expected_gradients() -> None:
    module, x = net("batch norm"), pictures()
    ours = pellucid.explain(module, x, method="gradient-shap(samples=9, noise=0)", target="class:1")
    plain = pellucid.explain(module, x, method="expected-gradients(samples=9)", target="class:1")
    assert np.array_equal(ours.values, plain.values)
    assert ours.checks == plain.checks


def test_on_a_linear_model_the_noise_is_all_that_is_left_of_the_gap() -> None:
    linear, x = nn.Sequential(nn.Flatten(), nn.Linear(27, 3)), pictures(1, shape=(3, 3, 3))
    weight = linear[1].weight[1].detach().view(3, 3, 3).numpy()
    made = pellucid.explain(linear, x, method="gradient-shap(baselines=zero, samples=400)", target="class:1")
    spread = 0.1 * float(x.max() - x.min())
    away = (made.values - weight * x[0].numpy()) / (np.abs(weight) * spread / np.sqrt(400))
    assert np.sqrt(np.mean(away**2)) == pytest.approx(1, abs=0.35)
    said = spread * np.linalg.norm(weight) / np.sqrt(400)
    assert made.checks["standard error of the gap"] == pytest.approx(said, rel=0.15)
    assert abs(made.checks["completeness gap"]) < 4 * said


@pytest.mark.parametrize("noise", [-0.1, 1.1, float("nan")])
def test_a_noise_that_is_no_share_is_refused(noise: float) -> None:
    with pytest.raises(
        SettingError, match=r"^noise is .*, expected a share of the input's range, 0, to 1; 0\.15 suits"
    ):
        GradientSHAP(noise=noise)
