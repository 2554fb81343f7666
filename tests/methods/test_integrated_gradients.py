import weakref
from typing import Any, get_args

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients as Theirs
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.methods.nets import Net, given_of, net, pictures, seeded
from torch import Tensor, nn

import pellucid
from pellucid.errors import SettingError
from pellucid.methods import integrated
from pellucid.methods.baselines import baseline_of
from pellucid.methods.integrated import IntegratedGradients, Quadrature, quadrature

RULES = get_args(Quadrature)


@given(rule=st.sampled_from(RULES), steps=st.integers(2, 40), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_a_linear_model_gets_weight_times_distance_by_every_rule(rule: Any, steps: int, seed: int) -> None:
    linear, x = nn.Sequential(nn.Flatten(), nn.Linear(27, 3)), pictures(1, seed=seed, shape=(3, 3, 3))
    made = pellucid.explain(linear, x, method=IntegratedGradients(steps=steps, rule=rule), target="class:1")
    expected = (linear[1].weight[1].detach().view(3, 3, 3) * x[0]).numpy()
    assert np.allclose(made.values, expected, rtol=1e-5, atol=1e-6)
    assert abs(made.checks["completeness gap"]) < 1e-5


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("steps", [2, 3, 10, 50])
def test_the_weights_of_every_rule_sum_to_one_and_its_points_lie_on_the_path(rule: Any, steps: int) -> None:
    points, weights = quadrature(rule, steps)
    assert len(points) == len(weights) == steps
    assert sum(weights) == pytest.approx(1, abs=1e-12)
    assert min(points) >= 0
    assert max(points) <= 1
    assert list(points) == sorted(points)


def test_gauss_legendre_integrates_polynomials_exactly() -> None:
    points, weights = quadrature("gauss-legendre", 5)
    for power in range(10):
        assert sum(w * p**power for p, w in zip(points, weights, strict=True)) == pytest.approx(1 / (power + 1))


def test_one_step_is_enough_for_every_rule_but_the_trapezoid() -> None:
    for rule in RULES:
        if rule != "trapezoid":
            assert IntegratedGradients(steps=1, rule=rule).steps == 1
    with pytest.raises(SettingError, match=r"steps is 1, expected 2 or more for the trapezoid rule\."):
        IntegratedGradients(steps=1, rule="trapezoid")


@pytest.mark.parametrize("baseline", ["zero", "mean", "blur:2", "noise"])
def test_values_add_up_to_the_change_in_logit_and_the_gap_is_reported(baseline: str) -> None:
    module, x = net("batch norm"), pictures(2)
    made = list(
        pellucid.explain_many(
            module, [x], methods=[IntegratedGradients(steps=300, baseline=baseline)], targets=["class:1"]
        )
    )
    with torch.no_grad():
        change = (module(x) - module(baseline_of(given_of(x), baseline)))[:, 1]  # noise: of the same seed
    for each, difference in zip(made, change.tolist(), strict=True):
        gap = float(each.values.sum(dtype=np.float64)) - difference
        assert abs(gap) < 0.01 * abs(difference)
        assert each.checks["completeness gap"] == pytest.approx(gap, abs=1e-6)
        assert each.checks["relative gap"] == pytest.approx(abs(gap / difference), abs=1e-4)


def test_few_steps_have_a_larger_gap_and_say_so() -> None:
    module, x = net("shared"), pictures()
    coarse, fine = (
        pellucid.explain(module, x, method=f"integrated-gradients(steps={n}, rule=right)") for n in (2, 400)
    )
    assert abs(coarse.checks["completeness gap"]) > 5 * abs(fine.checks["completeness gap"])


def test_where_the_score_does_not_change_the_relative_gap_is_undefined_and_that_is_said() -> None:
    made = pellucid.explain(net("shared"), torch.zeros(1, 3, 12, 12), method="integrated-gradients(steps=2)")
    assert made.checks["completeness gap"] == 0
    assert np.isnan(made.checks["relative gap"])
    assert any("the score is the same at the baseline as at the input" in note for note in made.notes)


@pytest.mark.parametrize(
    ("rule", "theirs"),
    [
        ("gauss-legendre", "gausslegendre"),
        ("middle", "riemann_middle"),
        ("left", "riemann_left"),
        ("right", "riemann_right"),
    ],
)
def test_values_equal_captum(rule: str, theirs: str) -> None:
    module, x = net("batch norm").double(), pictures(2).double()
    method = f"integrated-gradients(steps=20, rule={rule})"
    made = list(pellucid.explain_many(module, [x], methods=[method], targets=["class:3"]))
    expected = Theirs(module).attribute(x, target=3, n_steps=20, method=theirs).detach().numpy()
    assert np.allclose(np.stack([each.values for each in made]), expected, rtol=1e-4, atol=1e-10)


def test_the_trapezoid_equals_its_own_sum() -> None:
    module, x, steps = net("batch norm").double(), pictures().double(), 9
    made = pellucid.explain(module, x, method=f"integrated-gradients(steps={steps}, rule=trapezoid)", target="class:0")
    total = torch.zeros_like(x)
    for i in range(steps):
        leaf = (x * i / (steps - 1)).requires_grad_()
        share = (0.5 if i in (0, steps - 1) else 1) / (steps - 1)
        total += share * torch.autograd.grad(module(leaf)[0, 0], leaf)[0]
    assert np.allclose(made.values, (total * x)[0].numpy(), rtol=1e-10, atol=1e-14)


def test_memory_does_not_grow_with_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    made_with = integrated.Variants
    alive: list[weakref.ref] = []
    counts: list[int] = []

    def counting(*, count: int, make: Any) -> Any:
        def counted(i: int) -> torch.Tensor:
            made = make(i)
            alive[:] = [ref for ref in alive if ref() is not None] + [weakref.ref(made)]
            counts.append(len(alive))
            return made

        return made_with(count=count, make=counted)

    monkeypatch.setattr(integrated, "Variants", counting)
    peaks = []
    for steps in (40, 400):
        alive.clear()
        counts.clear()
        method = IntegratedGradients(steps=steps)
        list(pellucid.explain_many(net("residual"), [pictures()], methods=[method], batch_size=8))
        assert len(counts) >= steps
        peaks.append(max(counts))
    # Those of one pass, and perhaps the last one of the pass before.
    assert max(peaks) <= 9


def test_the_price_is_what_is_paid() -> None:
    module, x = seeded(Net), pictures(2)
    method = IntegratedGradients(steps=7)
    (cost, _) = (each.cost for each in pellucid.explain_many(module, [x], methods=[method]))
    facts = pellucid.capture.passes.facts(module, x)  # type: ignore[attr-defined]
    price = method.passes(facts)
    # And one more forward, which finds out what the target means.
    assert (cost.forwards, cost.backwards) == (price.forwards / facts.items + 1, price.backwards / facts.items)


# -- tolerance


class Balanced(nn.Module):
    """Two sharp steps of opposite sign and a slow rise: errors at the steps cancel in the sum, not in the map."""

    def forward(self, x: Tensor) -> Tensor:
        one, other, rise = x[:, 0], x[:, 1], x[:, 2]
        return torch.stack([torch.sigmoid(40 * (one - 0.55)) - torch.sigmoid(40 * (other - 0.55)) + rise, rise], dim=1)


def test_a_gap_that_is_small_by_luck_does_not_end_the_doubling() -> None:
    x = torch.tensor([[1.0, 1.0, 0.5]])
    coarse = pellucid.explain(Balanced(), x, method="integrated-gradients(steps=4)", target="class:0")
    exact = [1 / (1 + np.exp(-18)) - 1 / (1 + np.exp(22)), 0, 0.5]
    exact[1] = -exact[0]
    off = np.linalg.norm(coarse.values - exact) / np.linalg.norm(exact)
    assert coarse.checks["relative gap"] < 1e-5
    assert off > 0.6
    method = "integrated-gradients(steps=4, tolerance=0.01)"
    made = pellucid.explain(Balanced(), x, method=method, target="class:0")
    assert made.checks["steps"] > 16
    assert made.checks["change of the map"] <= 0.01
    assert np.linalg.norm(made.values - exact) / np.linalg.norm(exact) < 0.01
    assert made.notes == ()


def test_where_the_maximum_comes_first_a_note_says_so() -> None:
    x = torch.tensor([[1.0, 1.0, 0.5]])
    method = "integrated-gradients(steps=2, tolerance=0.01, most_steps=4)"
    made = pellucid.explain(Balanced(), x, method=method, target="class:0")
    assert made.checks["steps"] == 4
    assert made.checks["relative gap"] < 1e-5
    assert made.checks["change of the map"] > 0.01
    assert made.notes == (
        "the relative gap and the change of the map were not both below 0.01 at the maximum of 4 steps",
    )


def test_each_item_of_a_batch_stops_where_it_would_alone() -> None:
    x = torch.tensor([[1.0, 1.0, 0.5], [0.2, 0.1, 0.5], [0.0, 0.0, 0.0]])
    method = "integrated-gradients(steps=4, tolerance=0.01)"
    together = list(pellucid.explain_many(Balanced(), [x], methods=[method], targets=["class:0"]))
    steps = [each.checks["steps"] for each in together]
    assert steps[0] > steps[1] == steps[2] == 8
    for i, each in enumerate(together):
        alone = pellucid.explain(Balanced(), x[i : i + 1], method=method, target="class:0")
        assert np.allclose(each.values, alone.values, rtol=1e-5, atol=1e-7)
        assert each.checks["steps"] == alone.checks["steps"]


def test_what_is_kept_is_the_finest_rule_that_was_run() -> None:
    module, x = net("batch norm"), pictures()
    made = pellucid.explain(module, x, method="integrated-gradients(steps=4, tolerance=0.02)", target="class:0")
    steps = int(made.checks["steps"])
    same = pellucid.explain(module, x, method=f"integrated-gradients(steps={steps})", target="class:0")
    before = pellucid.explain(module, x, method=f"integrated-gradients(steps={steps // 2})", target="class:0")
    assert np.array_equal(made.values, same.values)
    change = np.linalg.norm(same.values - before.values) / np.linalg.norm(same.values)
    assert made.checks["change of the map"] == pytest.approx(change, rel=1e-4)
    assert made.checks["completeness gap"] == same.checks["completeness gap"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tolerance": -0.1}, "tolerance is -0.1, expected 0, or a share below 1; 0.01 suits most models."),
        ({"tolerance": float("nan")}, "tolerance is nan, expected 0, or a share below 1; 0.01 suits most models."),
        (
            {"tolerance": 0.1, "most_steps": 60},
            "most_steps is 60, expected a whole number, at least twice the 50 steps.",
        ),
        ({"most_steps": 0}, "most_steps is 0, expected 1 or more."),
    ],
)
def test_a_tolerance_that_makes_no_sense_is_refused(settings: Any, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        IntegratedGradients(**settings)
    assert str(caught.value) == message
