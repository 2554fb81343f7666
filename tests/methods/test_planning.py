from typing import Any

import pytest
import torch
from tests.methods.nets import net, pictures
from tests.methods.test_contracts import QUICK
from torch import Tensor, nn

import pellucid
from pellucid.capture import reading
from pellucid.errors import SettingError, TargetError
from pellucid.methods.catalogue import METHODS
from pellucid.methods.planning import plan, together

SEARCHES = {"sufficient-region", "necessary-region"}


@pytest.mark.parametrize("method", list(METHODS))
def test_what_is_planned_is_what_it_costs(method: str) -> None:
    text = QUICK.get(method, method)
    module, x = net("batch norm"), pictures()
    [planned] = plan(module, x, methods=[text])
    cost = pellucid.explain(module, x, method=text).cost
    assert planned.method == method
    if method in SEARCHES:  # they stop when they have found it
        assert cost.forwards <= planned.forwards
        return
    # The engine may record passes and compare answers.
    assert planned.forwards <= cost.forwards <= planned.forwards + 4
    assert planned.backwards == cost.backwards


def test_together_methods_share_one_forward_and_one_backward_per_target(monkeypatch: pytest.MonkeyPatch) -> None:
    methods, targets = ["grad-cam", "saliency", "smooth-grad(samples=4)", "guided-backpropagation"], ["top:1", "top:2"]
    module, x = net("shared"), pictures()
    plans = plan(module, x, methods=methods, targets=targets)
    whole = together(plans)
    forwards, backwards, derivative = 0, 0, reading.derivative

    def forward(_: nn.Module, given: tuple[Tensor], __: Tensor) -> None:
        nonlocal forwards
        forwards += len(given[0])

    def counted(*given: Any, **how: Any) -> tuple[Tensor | None, ...]:
        nonlocal backwards
        backwards += 1
        return derivative(*given, **how)

    monkeypatch.setattr(reading, "derivative", counted)
    module.register_forward_hook(forward)
    list(pellucid.explain_many(module, x, methods=[*methods[:2], methods[3]], targets=targets))
    combining = together([*plans[:2], plans[3]])
    assert (forwards, backwards) == (combining.forwards, combining.backwards) == (2, 4)
    # Copies are the same for both targets, so that they go forward once: the price is that without sharing.
    assert (whole.forwards, whole.backwards) == (2 + 2 * 4, 4 + 2 * 4)
    assert whole.seconds < sum(each.seconds for each in plans)


def test_where_nothing_can_be_derived_methods_of_slopes_refuse_and_others_have_a_price() -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net("shared")

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x.detach()).detach()

    saliency, gradients, rise = plan(
        Detached().eval(), pictures(), methods=["saliency", "integrated-gradients", "rise(masks=8, cells=3)"]
    )
    assert saliency.refused
    assert gradients.refused
    assert (rise.refused, rise.forwards, rise.backwards) == ("", 9, 0)


def test_a_target_that_means_nothing_here_is_refused() -> None:
    with pytest.raises(TargetError, match="0 to 3"):
        plan(net("shared"), pictures(), methods=["saliency"], targets=["class:9"])


def test_several_targets_cost_as_often_and_memory_grows_with_the_batch() -> None:
    module, x = net("residual"), pictures()
    [one] = plan(module, x, methods=["smooth-grad(samples=8)"], batch_size=1)
    [three] = plan(module, x, methods=["smooth-grad(samples=8)"], targets=["top:1-3"], batch_size=8)
    assert (one.backwards, three.backwards) == (8, 24)
    weights = sum(tensor.nbytes for tensor in module.parameters())
    assert three.bytes - weights == pytest.approx(8 * (one.bytes - weights))
    assert three.seconds > 0


def test_the_memory_of_a_pass_with_slopes_is_that_of_its_sites() -> None:
    module, x = net("residual"), pictures()
    [planned] = plan(module, x, methods=["saliency"])
    traced = pellucid.trace(module, x)
    assert planned.bytes == sum(p.nbytes for p in module.parameters()) + sum(site.nbytes for site in traced.sites)


def test_a_refusal_that_shows_before_is_told() -> None:
    layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 4)).eval()
    cam, saliency = plan(layers, pictures(), methods=["grad-cam", "saliency"])
    assert "grad-cam" in cam.refused
    assert (cam.forwards, cam.seconds, cam.bytes) == (0, 0, 0)
    assert saliency.refused == ""


def test_a_method_of_rules_names_the_operation_that_it_has_no_rule_for() -> None:
    smooth = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    guided, saliency = plan(smooth, pictures(), methods=["guided-backpropagation", "saliency"])
    assert "silu" in guided.refused
    assert saliency.refused == ""


def test_the_model_and_the_random_state_stay_as_they_are() -> None:
    module, x = net("dropout in train mode"), pictures()
    before, state = {k: v.clone() for k, v in module.state_dict().items()}, torch.get_rng_state()
    plan(module, x, methods=["saliency", "occlusion"])
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert module.training


def test_a_model_of_graphs_has_no_plan() -> None:
    with pytest.raises(SettingError, match="a model of pictures"):
        plan("karate", pictures(), methods=["saliency"])
