import numpy as np
import pytest
import torch
from captum.attr import InputXGradient
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.methods.nets import NETS, Net, net, pictures, seeded
from torch import nn

import pellucid


@pytest.mark.parametrize("name", NETS)
def test_values_are_the_input_times_the_finite_differences_of_the_logit(name: str) -> None:
    module, x = net(name).double().eval(), pictures().double()
    made = pellucid.explain(module, x, method="input-x-gradient", target="class:0")
    if name == "log-softmax":  # what is explained are the logits of the twin without it
        module = seeded(Net).double()
    generator, step = np.random.default_rng(0), 1e-6
    for _ in range(8):
        place = tuple(int(generator.integers(side)) for side in x.shape[1:])
        ends = []
        for sign in (1, -1):
            moved = x.clone()
            moved[(0, *place)] += sign * step
            ends.append(float(module(moved).detach().flatten()[0]))
        slope = (ends[0] - ends[1]) / (2 * step)
        assert made.values[place] == pytest.approx(float(x[(0, *place)]) * slope, abs=1e-7)


def test_values_equal_captum() -> None:
    module, x = net("batch norm"), pictures(3)
    made = list(pellucid.explain_many(module, [x], methods=["input-x-gradient"], targets=["class:2"]))
    theirs = InputXGradient(module).attribute(x.clone().requires_grad_(), target=2).detach().numpy()
    assert np.allclose(np.stack([each.values for each in made]), theirs, rtol=1e-4, atol=1e-8)
    assert theirs.any()


@given(seed=st.integers(0, 99))
@settings(deadline=None, max_examples=10)
def test_a_linear_model_gets_weight_times_input_and_its_score_without_the_bias(seed: int) -> None:
    linear, x = nn.Sequential(nn.Flatten(), nn.Linear(27, 3)), pictures(1, seed=seed, shape=(3, 3, 3))
    made = pellucid.explain(linear, x, method="input-x-gradient", target="class:1")
    assert np.allclose(made.values, (linear[1].weight[1].detach().view(3, 3, 3) * x[0]).numpy(), rtol=1e-5, atol=1e-7)
    assert float(made.values.sum()) == pytest.approx(made.score - float(linear[1].bias[1].detach()), abs=1e-5)


def test_the_input_as_it_was_counts_also_where_the_model_overwrites_it() -> None:
    class Overwriting(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.mul_(2))

    x = pictures()
    ours = pellucid.explain(seeded(Overwriting), x, method="input-x-gradient", target="class:1").values
    plain = pellucid.explain(seeded(Net), 2 * x, method="input-x-gradient", target="class:1").values
    assert np.allclose(ours, plain, rtol=1e-5, atol=1e-9)
