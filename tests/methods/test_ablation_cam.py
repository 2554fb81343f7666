from typing import Any

import numpy as np
import pytest
import torch
from tests.methods.cam_oracles import near, ours, read
from tests.methods.nets import Unrolled, net, pictures, seeded
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes
from pellucid.methods.cam_trials import AblationCAM


def losses(module: nn.Module, layer: str, x: Tensor, target: int) -> tuple[Tensor, Tensor]:
    """By hooks: the score, and what is lost of it without each channel."""
    maps, _ = read(module, layer, x, target)
    whole, rest = module(x)[:, target].detach(), []
    for channel in range(maps.shape[1]):

        def cleared(_module: Any, _given: Any, made: Tensor, channel: int = channel) -> Tensor:
            made = made.clone()
            made[:, channel] = 0
            return made

        handle = module.get_submodule(layer).register_forward_hook(cleared)
        rest.append(module(x)[:, target].detach())
        handle.remove()
    return whole, whole[:, None] - torch.stack(rest, dim=1)


@pytest.mark.parametrize("layer", ["one", "relu1", "two", "relu2"])
def test_values_equal_the_papers_quotient(layer: str) -> None:
    module, x = seeded(Unrolled).double(), pictures(3).double()
    maps, _ = read(module, layer, x, 1)
    whole, lost = losses(module, layer, x, 1)
    plain = ours(module, x, f"ablation-cam(site={layer}, sign=both, divisor=none)", 1)
    assert near(plain, (lost[:, :, None, None] * maps).sum(1), 1e-8)
    divided = ours(module, x, f"ablation-cam(site={layer}, sign=both)", 1)
    assert near(divided, (lost[:, :, None, None] * maps).sum(1) / whole[:, None, None], 1e-8)


def test_before_a_linear_head_the_loss_is_the_maps_share_of_the_score() -> None:
    module, x = net("batch norm").double(), pictures(2).double()
    maps = torch.relu(module.two(torch.relu(module.norm(module.one(x)))))  # type: ignore[operator]
    lost = module.last.weight[2] * maps.mean((2, 3))  # type: ignore[union-attr, index, operator]
    made = ours(module, x, "ablation-cam(sign=both, divisor=none)", 2)
    assert near(made, (lost[:, :, None, None] * maps).sum(1), 1e-8)


def test_a_score_below_zero_turns_the_signs_and_is_said() -> None:
    module, x = net("residual"), pictures()
    module.last.bias.data[:] = -10  # type: ignore[union-attr, index]
    made = pellucid.explain(module, x, method="ablation-cam", target="class:0")
    assert made.score < 0
    assert "the score is below 0, and dividing by it turns every sign; divisor=none does not" in made.notes
    plain = pellucid.explain(module, x, method="ablation-cam(divisor=none)", target="class:0")
    assert not any("dividing" in note for note in plain.notes)


def test_a_score_of_zero_is_not_hidden() -> None:
    module, x = net("residual"), pictures()
    module.last.weight.data.zero_()  # type: ignore[union-attr, operator]
    module.last.bias.data.zero_()  # type: ignore[union-attr, operator]
    made = pellucid.explain(module, x, method="ablation-cam", target="class:0")
    assert np.isnan(made.values).all()
    assert "the score is 0, so nothing can be divided by it; divisor=none does not" in made.notes
    assert any(note.startswith("not finite: 144 of 144") for note in made.notes)


def test_a_map_that_changes_nothing_weighs_exactly_nothing() -> None:
    module, x = net("residual"), pictures()
    module.last.weight.data[:, 1:] = 0  # type: ignore[union-attr, index, operator]
    site, module = "/relu#2", module.double()
    made = pellucid.explain(module, x.double(), method=f"ablation-cam(site={site}, sign=both)", target="class:0")
    alone = torch.relu(module.one(x.double()))  # type: ignore[operator]
    alone = torch.relu(alone + module.two(alone))[0, 0].detach()  # type: ignore[operator]
    assert near(made.values / made.values.max(), alone / alone.max(), 1e-12)


def test_the_price_is_what_is_paid() -> None:
    module, x = seeded(Unrolled), pictures()
    made = pellucid.explain(module, x, method="ablation-cam(site=relu1)")
    # One pass for all, one to start from; then, from the site on, one as it is and one per channel.
    assert made.cost.forwards == 1 + AblationCAM(site="relu1").passes(passes.facts(module, x)).forwards
    assert made.cost.backwards == 0
