import numpy as np
import pytest
import torch
from captum.attr import Saliency
from tests.methods.nets import NETS, Net, net, pictures, seeded

import pellucid


@pytest.mark.parametrize("name", NETS)
def test_values_are_the_finite_differences_of_the_logit(name: str) -> None:
    module, x = net(name).double().eval(), pictures().double()
    made = pellucid.explain(module, x, method="saliency", target="class:0")
    if name == "log-softmax":  # what is explained are the logits of the twin without it
        module = seeded(Net).double()
    generator, step = np.random.default_rng(0), 1e-6
    for _ in range(12):
        place = tuple(int(generator.integers(side)) for side in x.shape[1:])
        ends = []
        for sign in (1, -1):
            moved = x.clone()
            moved[(0, *place)] += sign * step
            ends.append(float(module(moved).detach().flatten()[0]))
        assert made.values[place] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-7)


def test_values_equal_captum_with_their_sign() -> None:
    module, x = net("batch norm"), pictures(3)
    made = list(pellucid.explain_many(module, [x], methods=["saliency"], targets=["class:2"]))
    theirs = Saliency(module).attribute(x.clone().requires_grad_(), target=2, abs=False).detach().numpy()
    assert np.allclose(np.stack([each.values for each in made]), theirs, rtol=1e-4, atol=1e-8)
    assert (theirs < 0).any()


def test_values_lie_at_the_input_one_per_number() -> None:
    (part,) = pellucid.explain(net("shared"), pictures(), method="saliency").parts
    assert (part.name, part.place, part.axes) == ("pixels", "input", ("channels", "height", "width"))
    assert part.values.shape == (3, 12, 12)
    assert part.box == (0.0, 0.0, 12.0, 12.0)
    assert np.array_equal(part.plane(), part.values.sum(0))


def test_an_input_that_is_no_picture_has_numbered_axes() -> None:
    weights = torch.nn.Linear(4, 2)
    made = pellucid.explain(weights, torch.rand(1, 4), method="saliency", target="class:1")
    assert made.parts[0].axes == ("axis 1",)
    assert made.parts[0].box is None
    assert np.allclose(made.values, weights.weight[1].detach().numpy())
