"""The path of a decision, where the arithmetic is known."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pellucid
from pellucid.errors import InputError, SettingError, TargetError
from pellucid.insights.path import path_of_decision


class Plain(nn.Module):
    """Convolutions and ReLUs without biases: piecewise linear through the origin."""

    def __init__(self, *, bias: bool = False) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 6, 3, bias=bias), nn.Conv2d(6, 5, 3, bias=bias)
        self.head = nn.Linear(5, 4, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.one(x))
        return self.head(F.relu(self.two(x)).mean((2, 3)))


@pytest.fixture
def x() -> Tensor:
    return torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(2))


def net(*, bias: bool = False) -> Plain:
    torch.manual_seed(4)
    return Plain(bias=bias).eval()


def test_without_biases_the_contributions_of_every_site_add_up_to_the_score(x: Tensor) -> None:
    path = path_of_decision(pellucid.load(net()), x)
    assert [site.name for site in path.sites] == ["/relu", "/relu#2"]
    for site in path.sites:
        assert site.total == pytest.approx(path.score, rel=1e-5)


def test_with_biases_the_rest_is_there(x: Tensor) -> None:
    module = net(bias=True)
    path = path_of_decision(pellucid.load(module), x, target="class:1")
    last = path.sites[-1]
    assert path.score - last.total == pytest.approx(module.head.bias[1].item(), rel=1e-4)


def test_removal_equals_a_pass_without_the_channel(x: Tensor) -> None:
    module = net(bias=True)
    path = path_of_decision(pellucid.load(module), x, target="contrast:2,0", channels=3)
    for node in path.sites[0].nodes:
        with torch.no_grad():
            maps = F.relu(module.one(x))
            maps[:, node.channel] = 0
            logits = module.head(F.relu(module.two(maps)).mean((2, 3)))[0]
        assert node.removal == pytest.approx(path.score - (logits[2] - logits[0]).item(), abs=1e-5)
        assert np.allclose(node.map, F.relu(module.one(x))[0, node.channel].detach())


def test_what_comes_through_all_channels_of_the_site_before_is_the_contribution(x: Tensor) -> None:
    path = path_of_decision(pellucid.load(net()), x, channels=6)
    first, second = path.sites
    assert len(first.nodes) == 6
    assert np.allclose(second.edges.sum(axis=0), [node.contribution for node in second.nodes], rtol=1e-4, atol=1e-6)


def test_nodes_are_the_strongest_channels_in_order(x: Tensor) -> None:
    path = path_of_decision(pellucid.load(net()), x, channels=6)
    for site in path.sites:
        found = [node.contribution for node in site.nodes]
        assert found == sorted(found, reverse=True)
        assert site.positive == pytest.approx(sum(value for value in found if value > 0), rel=1e-5)


def test_the_last_site_of_a_linear_head_is_removed_exactly_as_it_contributes(x: Tensor) -> None:
    path = path_of_decision(pellucid.load(net(bias=True)), x, channels=5)
    for node in path.sites[-1].nodes:
        assert node.removal == pytest.approx(node.contribution, abs=1e-5)
    assert path.sites[-1].agreement == pytest.approx(1.0)


def test_the_model_is_bit_identical_afterwards(x: Tensor) -> None:
    module = net().train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    path_of_decision(pellucid.load(module), x)
    assert module.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


def test_a_unit_has_no_path(x: Tensor) -> None:
    with pytest.raises(TargetError, match="ends in a class"):
        path_of_decision(pellucid.load(net()), x, target="unit:'one'/2")


def test_where_removal_is_dear_it_is_measured_for_the_largest_contributions_only(
    x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = Wide().eval()
    whole = path_of_decision(pellucid.load(module), x).sites[0]
    monkeypatch.setattr("pellucid.insights.path._WORK", 1.0)
    few = path_of_decision(pellucid.load(module), x).sites[0]
    assert (whole.removed, few.channels) == (40, 40)
    assert 8 <= few.removed <= 12
    for one, other in zip(whole.nodes, few.nodes, strict=True):
        assert one.channel == other.channel
        assert one.removal == pytest.approx(other.removal, abs=1e-5)


@pytest.mark.parametrize(("setting", "given", "least"), [("sites", 1, 2), ("channels", 0, 1)])
def test_settings_that_mean_nothing_are_refused(setting: str, given: int, least: int, x: Tensor) -> None:
    with pytest.raises(SettingError, match=f"{setting} is {given}, expected {least} or more"):
        path_of_decision(pellucid.load(net()), x, **{setting: given})


def test_two_pictures_have_no_path_in_common(x: Tensor) -> None:
    with pytest.raises(InputError, match="2 pictures were given, expected one"):
        path_of_decision(pellucid.load(net()), torch.cat([x, x]))


class Decides(Plain):
    """Doubles what is strong."""

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.one(x))
        z = self.two(y) * 2 if y.mean() > self.limit else self.two(y)
        return self.head(F.relu(z).mean((2, 3)))


def test_each_removal_decides_for_itself(x: Tensor) -> None:
    torch.manual_seed(4)
    module = Decides().eval()
    with torch.no_grad():
        before = F.relu(module.one(x))
        # A little less than with all channels there: without a strong one it is not reached.
        module.limit = float(before.mean()) * 0.8
        name = module(x).argmax().item()
        (first, *_) = path_of_decision(pellucid.load(module), x, sites=2).sites
        for node in first.nodes:
            gone = before.clone()
            gone[:, node.channel] = 0
            doubled = module.two(gone) * 2 if gone.mean() > module.limit else module.two(gone)
            after = module.head(F.relu(doubled).mean((2, 3)))
            assert node.removal == pytest.approx(float(module(x)[0, name] - after[0, name]), abs=1e-5)


class Wide(Plain):
    """More channels than are removed where it is dear."""

    def __init__(self) -> None:
        torch.manual_seed(4)
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 40, 3), nn.Conv2d(40, 5, 3)
