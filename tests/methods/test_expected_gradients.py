import weakref
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.methods.nets import Net, given_of, image, model, net, pictures, seeded
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes
from pellucid.errors import SettingError
from pellucid.methods import expected
from pellucid.methods.baselines import baseline_of
from pellucid.methods.expected import ExpectedGradients


class Keeping(nn.Module):
    """Keeps what it was given: the batches of a probe, without the passes that come before it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.seen = inner, []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append((x.detach().clone(), torch.is_grad_enabled()))
        return self.inner(x)


def test_one_baseline_gives_what_integrated_gradients_give_within_standard_errors() -> None:
    module, x = net("batch norm").double(), pictures().double()
    made = pellucid.explain(module, x, method="expected-gradients(baselines=zero, samples=600)", target="class:1")
    exact = pellucid.explain(module, x, method="integrated-gradients(steps=300)", target="class:1")
    away = (made.values - exact.values) / made.parts[0].standard_error
    assert np.sqrt(np.mean(away**2)) < 1.5
    assert np.abs(away).max() < 6
    assert made.checks["relative standard error"] < 0.1


def test_several_baselines_give_the_mean_of_integrated_gradients_from_each() -> None:
    module, x = net("batch norm").double(), pictures().double()
    method = "expected-gradients(baselines=zero+mean+blur:2, samples=900)"
    made = pellucid.explain(module, x, method=method, target="class:1")
    each = [
        pellucid.explain(module, x, method=f"integrated-gradients(steps=200, baseline={name})", target="class:1").values
        for name in ("zero", "mean", "blur:2")
    ]
    away = (made.values - np.mean(each, axis=0)) / made.parts[0].standard_error
    assert np.sqrt(np.mean(away**2)) < 1.5


def test_values_and_errors_are_those_of_the_draws_one_by_one() -> None:
    module, x, samples = net("batch norm").double(), pictures().double(), 12
    watched = Keeping(module)
    method = f"expected-gradients(baselines=mean, samples={samples})"
    made = pellucid.explain(watched, x, method=method, target="class:1")
    start = baseline_of(given_of(x), "mean")
    points = [point for batch, slopes in watched.seen if slopes for point in batch[:, None]][1:]
    assert len(points) == samples
    draws = []
    for point in points:
        place = (point - start) / (x - start)
        assert float(place.max() - place.min()) < 1e-6
        assert 0 <= float(place.mean()) <= 1
        leaf = point.requires_grad_()
        draws.append(((x - start) * torch.autograd.grad(module(leaf)[0, 1], leaf)[0])[0].numpy())
    assert np.allclose(made.values, np.mean(draws, axis=0), rtol=1e-9, atol=1e-16)
    error = np.std(draws, axis=0, ddof=1) / np.sqrt(samples)
    assert np.allclose(made.parts[0].standard_error, error, rtol=1e-6, atol=1e-16)
    with torch.no_grad():
        changes = float(module(x)[0, 1] - module(start)[0, 1])
    sums = np.sum(draws, axis=(1, 2, 3))
    assert made.checks["completeness gap"] == pytest.approx(sums.mean() - changes, abs=1e-9)
    assert made.checks["standard error of the gap"] == pytest.approx(sums.std(ddof=1) / np.sqrt(samples), rel=1e-6)


def test_the_gap_lies_within_its_standard_error_over_many_runs() -> None:
    module, x = net("batch norm"), pictures()
    runs = [
        pellucid.explain(module, x, method="expected-gradients(samples=60)", target="class:1", seed=seed).checks
        for seed in range(30)
    ]
    away = np.array([each["completeness gap"] / each["standard error of the gap"] for each in runs])
    assert abs(away.mean()) < 0.6
    assert 0.6 < away.std() < 1.5


@given(samples=st.integers(2, 20), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=15)
def test_a_linear_model_gets_weight_times_distance_from_the_drawn_baselines(samples: int, seed: int) -> None:
    linear, x = nn.Sequential(nn.Flatten(), nn.Linear(27, 3)), pictures(1, seed=seed, shape=(3, 3, 3))
    weight = linear[1].weight[1].detach().view(3, 3, 3)
    made = pellucid.explain(
        linear, x, method=ExpectedGradients(baselines="mean", samples=samples), target="class:1", seed=seed
    )
    expected = (weight * (x - x.mean((2, 3), keepdim=True))[0]).numpy()
    assert np.allclose(made.values, expected, rtol=1e-4, atol=1e-6)
    drawn = pellucid.explain(linear, x, method=ExpectedGradients(samples=samples), target="class:1", seed=seed)
    assert abs(drawn.checks["completeness gap"]) < 1e-5
    assert drawn.checks["standard error of the gap"] < 1e-5


def test_the_pictures_of_a_folder_are_as_likely_as_each_other(tmp_path: Path) -> None:
    shades = (0, 100, 200)
    for shade in shades:
        PIL.Image.fromarray(np.full((12, 12, 3), shade, dtype=np.uint8)).save(tmp_path / f"{shade}.png")
    watched = Keeping(seeded(Net))
    method = f"expected-gradients(baselines='{tmp_path}+white', samples=300)"
    made = pellucid.explain(model(watched), image(), method=method, target="class:0")
    last = torch.cat([batch for batch, _ in watched.seen])[-300:]
    assert float((last - last[:, :1, :1, :1]).abs().max()) == 0
    drawn = np.rint(last[:, 0, 0, 0].numpy() * 255).astype(int)
    counts = {shade: int((drawn == shade).sum()) for shade in (*shades, 255)}
    assert sum(counts.values()) == 300
    assert counts[255] == pytest.approx(150, abs=30)
    assert all(counts[shade] == pytest.approx(50, abs=25) for shade in shades)
    assert np.isfinite(made.values).all()


def test_memory_does_not_grow_with_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    made_with, alive, counts = expected.Variants, list[weakref.ref[Tensor]](), list[int]()

    def counting(*, count: int, make: Any) -> Any:
        def counted(i: int) -> Tensor:
            made = make(i)
            alive[:] = [ref for ref in alive if ref() is not None] + [weakref.ref(made)]
            counts.append(len({id(ref()) for ref in alive}))  # some baselines are made once
            return made

        return made_with(count=count, make=counted)

    monkeypatch.setattr(expected, "Variants", counting)
    list(pellucid.explain_many(net("residual"), [pictures()], methods=[ExpectedGradients(samples=200)], batch_size=8))
    assert len(counts) == 400
    assert max(counts) <= 20


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 1}, "samples is 1, expected a whole number, 2 or more; 50 suits most models."),
        ({"baselines": ""}, "baselines is '', expected baselines joined by +, e.g. zero+noise+blur:8."),
        (
            {"baselines": "zero+grey"},
            "baseline is 'grey', expected zero, black, white, mean, noise, blur:SIGMA or the path of a picture.",
        ),
        (
            {"baselines": "zero+"},
            "baseline is '', expected zero, black, white, mean, noise, blur:SIGMA or the path of a picture.",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        ExpectedGradients(**settings)
    assert str(caught.value) == message


def test_the_price_is_what_is_paid() -> None:
    module, x = net("residual"), pictures(2)
    method = ExpectedGradients(samples=7)
    (cost, _) = (each.cost for each in pellucid.explain_many(module, [x], methods=[method]))
    facts = passes.facts(module, x)
    price = method.passes(facts)
    # And one more forward, which finds out what the target means.
    assert (cost.forwards, cost.backwards) == (price.forwards / facts.items + 1, price.backwards / facts.items)
