import copy
import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

import pellucid
from pellucid.errors import ModelError
from pellucid.models.gcn import GCN
from pellucid.models.graph_layers import GINConvolution
from pellucid.models.untrained import untrained, untrained_model

MARK = 7.0


class Mixed(nn.Module):
    """Layers that can begin anew, parameters that belong to nobody, a tie, attention, and a scale of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.attention = nn.MultiheadAttention(4, 2)
        self.tied = nn.Linear(4, 4)
        self.tied_again = nn.Linear(4, 4)
        self.tied_again.weight = self.tied.weight
        self.token, self.scale = nn.Parameter(torch.randn(1, 5, 4)), nn.Parameter(torch.tensor(2.5))
        self.frozen = nn.Parameter(torch.randn(6), requires_grad=False)
        self.wave = nn.Parameter(torch.randn(3, dtype=torch.complex64))
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.tied(self.norm(self.conv(x)).mean((2, 3)))


class Stubborn(nn.Linear):
    """Begins its weight through `.data`, and leaves the bias out."""

    def reset_parameters(self) -> None:
        self.weight.data.uniform_(-1, 1)


class Asking(nn.Linear):
    """Wants to be told how to begin, so nobody can ask it to."""

    def reset_parameters(self, std: float | None = None) -> None:
        if std is None:
            super().reset_parameters()

    def __init__(self) -> None:
        super().__init__(3, 3)
        self.reset_parameters = lambda std: 1 / 0  # type: ignore[assignment, method-assign]


def fingerprint(module: nn.Module) -> list[bytes]:
    tensors = [*module.parameters(), *module.buffers()]
    return [tensor.detach().numpy().tobytes() for tensor in tensors]


@pytest.mark.parametrize("build", [Mixed, lambda: Stubborn(5, 3), Asking, lambda: pellucid.load("xai").module])
def test_every_single_weight_is_drawn_anew(build: type) -> None:
    module = build()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(MARK)
    twin = untrained(module, seed=0)
    for name, parameter in twin.named_parameters():
        assert not bool((parameter == MARK).any()), name
        assert bool(torch.isfinite(torch.view_as_real(parameter) if parameter.is_complex() else parameter).all()), name


def test_the_module_and_the_random_states_stay_as_they_were() -> None:
    torch.manual_seed(5)
    module = Mixed().train()
    before, states = fingerprint(module), (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())
    twin = untrained(module, seed=3)
    assert fingerprint(module) == before
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])
    assert twin.training
    assert [p.requires_grad for p in twin.parameters()] == [p.requires_grad for p in module.parameters()]


def test_the_same_seed_gives_the_same_weights_and_another_one_others() -> None:
    module = Mixed()
    assert fingerprint(untrained(module, seed=1)) == fingerprint(untrained(module, seed=1))
    assert fingerprint(untrained(module, seed=1)) != fingerprint(untrained(module, seed=2))


def test_layers_begin_as_torch_begins_them_whatever_they_held() -> None:
    conv, norm = nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32)
    with torch.no_grad():
        conv.weight.fill_(100.0)
        norm.weight.fill_(9.0)
        norm.running_mean.fill_(4.0)  # type: ignore[union-attr]
    twin = untrained(nn.Sequential(conv, norm), seed=0)
    bound = 1 / (16 * 9) ** 0.5  # kaiming_uniform with a = √5
    assert 0.9 * bound < float(twin[0].weight.detach().abs().max()) <= bound
    assert torch.equal(twin[1].weight, torch.ones(32))
    assert torch.equal(twin[1].running_mean, torch.zeros(32))


def test_what_belongs_to_nobody_keeps_its_mean_and_its_spread() -> None:
    module = nn.Module()
    module.token = nn.Parameter(3.0 + 0.5 * torch.randn(20_000, generator=torch.Generator().manual_seed(0)))
    drawn = untrained(module, seed=1).token
    assert float(drawn.detach().mean()) == pytest.approx(3.0, abs=0.02)
    assert float(drawn.detach().std()) == pytest.approx(0.5, abs=0.02)
    assert abs(float(torch.corrcoef(torch.stack([drawn, module.token]).detach())[0, 1])) < 0.05


def test_ties_stay_tied() -> None:
    twin = untrained(Mixed(), seed=0)
    assert twin.tied.weight is twin.tied_again.weight


@pytest.mark.parametrize("training", [True, False])
def test_a_spectral_norm_knows_the_weight_that_was_drawn(training: bool) -> None:
    module = spectral_norm(nn.Conv2d(3, 8, 3)).train(training)
    twin = untrained(module, seed=1)
    assert [part.training for part in twin.modules()] == [part.training for part in module.modules()]
    assert not torch.allclose(twin.eval().weight, module.eval().weight)
    assert float(torch.linalg.matrix_norm(twin.weight.flatten(1).detach(), 2)) == pytest.approx(1, abs=0.05)


def test_a_module_that_cannot_be_copied_is_told() -> None:
    module = nn.Linear(2, 2)
    module.made = module.weight * 2  # type: ignore[assignment]  # torch copies no tensor with a history
    with pytest.raises(ModelError, match="this Linear cannot be copied to re-draw its weights: Only Tensors"):
        untrained(module, seed=0)


def test_the_model_keeps_its_preparation_and_its_names_but_no_card() -> None:
    model = pellucid.load("animals")
    twin = untrained_model(model, seed=0)
    assert (twin.preprocessing, twin.class_names) == (model.preprocessing, model.class_names)
    assert (twin.name, twin.source, twin.card) == ("animals@random", "animals@random", {})
    assert twin.weights_digest != model.weights_digest
    assert twin.weights_digest == untrained_model(copy.copy(model), seed=0).weights_digest


def test_graph_convolutions_begin_as_new_ones_do() -> None:
    network = GCN(6, 3, hidden=5, layers=3)
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, MARK)
    twin = untrained(network, seed=0)
    for layer in twin.convolutions:
        assert torch.equal(layer.bias, torch.zeros_like(layer.bias))
        bound = (6 / sum(layer.linear.weight.shape)) ** 0.5  # Glorot & Bengio
        assert 0.5 * bound < layer.linear.weight.abs().max() <= bound
    assert all(bool((parameter == MARK).all()) for parameter in network.parameters())


@pytest.mark.parametrize("train_eps", [True, False])
def test_an_epsilon_begins_anew_only_where_it_is_learnt(train_eps: bool) -> None:
    layer = GINConvolution(nn.Linear(4, 4), eps=0.25, train_eps=train_eps)
    with torch.no_grad():
        layer.eps.fill_(MARK)
    assert untrained(layer, seed=0).eps.item() == (0.25 if train_eps else MARK)
