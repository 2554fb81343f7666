import numpy as np
import pytest
import torch
from tests.methods.nets import Residual, net, pictures, seeded
from torch import Tensor, nn

import pellucid
from pellucid.errors import MethodError, SettingError


def test_where_the_rest_is_linear_channels_sum_to_the_score_without_its_constant() -> None:
    module, x = net("residual"), pictures()
    made = pellucid.explain(module, x, method="gradient-x-activation", target="class:1")
    assert made.parts[0].axes == ("channels",)
    assert made.values.sum() == pytest.approx(made.score - float(module.last.bias[1].detach()), rel=1e-5)  # type: ignore[index, union-attr, arg-type]


def test_equals_the_reference_at_every_position() -> None:
    captum = pytest.importorskip("captum.attr")
    module, x = seeded(Residual), pictures(2)
    theirs = captum.LayerGradientXActivation(module, module.one).attribute(x.clone(), target=2).detach()
    ours = pellucid.explain_many(module, [x], methods=["gradient-x-activation(site=one)"], targets=["class:2"])
    for item, made in enumerate(ours):
        assert np.allclose(made.part("positions").values, theirs[item], atol=1e-7)
        assert np.allclose(made.values, theirs[item].sum((1, 2)), atol=1e-6)
        assert np.allclose(made.part("activations").values, module.one(x)[item].detach(), atol=1e-6)  # type: ignore[operator]


def test_neurons_have_no_positions_and_several_sites_have_parts_of_their_own() -> None:
    layers = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    made = pellucid.explain(layers, torch.ones(1, 3, 2, 2), method="gradient-x-activation(site=1+2)")
    assert [(part.name, part.place, part.values.shape) for part in made.parts] == [
        ("channels at 1", "1", (5,)),
        ("activations at 1", "1", (5,)),
        ("channels at 2", "2", (5,)),
        ("activations at 2", "2", (5,)),
    ]
    assert pellucid.explain(layers, torch.ones(1, 3, 2, 2), method="gradient-x-activation").parts[0].place == "2"


def test_a_site_whose_channels_nobody_knows_is_refused() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.last = nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.two(self.one(x.flatten(2).transpose(1, 2))).mean(1))

    with pytest.raises(MethodError, match=r"needs a site whose channels are known, and site 'two' \(relu\) has shape"):
        pellucid.explain(Tokens().eval(), pictures(), method="gradient-x-activation(site=two)")


@pytest.mark.parametrize("given", ["", "one+", "+"])
def test_a_selector_that_names_nothing_is_refused(given: str) -> None:
    with pytest.raises(SettingError, match="expected a selector of one site"):
        pellucid.explain(net("residual"), pictures(), method=f"gradient-x-activation(site='{given}')")


def test_a_site_named_twice_is_refused() -> None:
    with pytest.raises(SettingError, match="each site once, and 'one' is meant twice"):
        pellucid.explain(net("residual"), pictures(), method="gradient-x-activation(site=one+one)")
