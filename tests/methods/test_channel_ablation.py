import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.methods.nets import net, pictures
from torch import Tensor, nn

import pellucid
from pellucid.errors import MethodError, SettingError


def brute_force(module: nn.Module, x: Tensor, channel: int, replacement: str) -> float:
    """The score of class 2 of `Residual` with one channel of `two` replaced, by its own formula."""
    with torch.no_grad():
        begin = F.relu(module.one(x))  # type: ignore[operator]
        maps = module.two(begin)  # type: ignore[operator]
        maps[:, channel] = maps[:, channel].mean() if replacement == "mean" else 0
        return float(module.last(F.relu(begin + maps).mean((2, 3)))[0, 2])  # type: ignore[operator]


@pytest.mark.parametrize("replacement", ["zero", "mean"])
def test_equals_brute_force(replacement: str) -> None:
    module, x = net("residual"), pictures(2)
    method = f"channel-ablation(site=two, replacement={replacement})"
    for item, made in enumerate(pellucid.explain_many(module, [x], methods=[method], targets=["class:2"])):
        expected = [made.score - brute_force(module, x[item : item + 1], c, replacement) for c in range(6)]
        assert np.allclose(made.values, expected, atol=1e-6)
        assert [part.name for part in made.parts] == ["channels", "activations"]


def test_where_the_rest_is_linear_it_equals_gradient_x_activation() -> None:
    module, x = net("in-place"), pictures()
    one, other = pellucid.explain_many(module, [x], methods=["channel-ablation", "gradient-x-activation"])
    assert np.allclose(one.values, other.values, atol=1e-6)


def test_neurons_are_ablated_too_and_have_no_mean() -> None:
    module, x = net("in-place"), pictures()
    made = pellucid.explain(module, x, method="channel-ablation(site=/mean)", target="class:1")
    weights = module.last.weight[1].detach().numpy()  # type: ignore[index, union-attr, operator]
    assert np.allclose(made.values, weights * made.part("activations").values, atol=1e-6)
    with pytest.raises(MethodError, match="by its mean over positions: it has none; use replacement=zero"):
        pellucid.explain(module, x, method="channel-ablation(site=/mean, replacement=mean)")


def test_another_replacement_is_refused() -> None:
    with pytest.raises(SettingError, match="replacement is 'blur', expected one of zero, mean"):
        pellucid.explain(net("residual"), pictures(), method="channel-ablation(replacement=blur)")
