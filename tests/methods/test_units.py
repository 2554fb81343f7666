"""Every method on a unit: what explains a channel, or one position of it, explains a network that ends there."""

import dataclasses

import numpy as np
import pytest
from tests.methods.nets import InPlace, net, pictures
from tests.methods.test_contracts import QUICK
from torch import Tensor

import pellucid
from pellucid.errors import MethodError
from pellucid.methods.catalogue import METHODS

OF_CLASSES = {
    "cam": "the score does not depend on site",
    "sufficient-region": "sufficient-region asks which class is the answer, and a unit is no class; choose a class",
    "necessary-region": "necessary-region asks which class is the answer, and a unit is no class; choose a class",
}
"""Methods that are about classes only, and what they say."""


class EndsThere(InPlace):
    """The first layers of `InPlace`; its answer is the channels of `two`, as means or at one position."""

    position: tuple[int, int] | None = None

    def forward(self, x: Tensor) -> Tensor:
        maps = self.two(self.relu(self.one(x)))
        return maps.mean((2, 3)) if self.position is None else maps[:, :, self.position[0], self.position[1]]


@pytest.mark.parametrize("position", [None, (4, 7)])
@pytest.mark.parametrize("method", list(METHODS))
def test_a_unit_is_explained_as_the_answer_of_a_network_that_ends_there(
    method: str, position: tuple[int, int] | None
) -> None:
    module, x = net("in-place"), pictures()
    ends = EndsThere().eval()
    ends.load_state_dict(module.state_dict())
    ends.position = position
    text = QUICK.get(method, method)
    if "site" in [field.name for field in dataclasses.fields(METHODS[method])]:
        text = f"{method}(site=one)"
    target = "unit:'two'/3" + ("@4,7" if position else "")
    if method == "excitation-backprop" and position is None:
        # Every position begins with the same probability there; a mean that is an operation shares by activation.
        assert pellucid.explain(module, x, method=text, target=target).values.sum() == pytest.approx(1)
        return
    if method in OF_CLASSES:
        with pytest.raises(MethodError, match=OF_CLASSES[method]):
            pellucid.explain(module, x, method=text, target=target)
        return
    unit = pellucid.explain(module, x, method=text, target=target)
    whole = pellucid.explain(ends, x, method=text, target="class:3")
    assert unit.score == pytest.approx(whole.score, rel=1e-5)
    assert np.allclose(unit.values, whole.values, rtol=1e-4, atol=1e-6 * (1 + float(np.abs(whole.values).max())))
    assert unit.values.any() or whole.score == 0


@pytest.mark.parametrize("method", ["grad-cam", "ablation-cam", "channel-ablation", "conductance"])
def test_a_site_behind_the_unit_is_refused(method: str) -> None:
    with pytest.raises(MethodError, match="the score does not depend on site 'other'; choose a site on the way"):
        pellucid.explain(net("in-place"), pictures(), method=f"{method}(site=other)", target="unit:'two'/3")
