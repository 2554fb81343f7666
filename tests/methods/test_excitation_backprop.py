"""Excitation backprop, against the paper's formula written out, and as a probability."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.methods.nets import InPlace, Net, Normed, Residual, net, pictures, seeded
from torch import Tensor, nn

import pellucid
from pellucid.errors import MethodError, SettingError


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Linear(12, 7), nn.Linear(7, 6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.two(F.relu(self.one(x.flatten(1))))))


def won(x: Tensor, weight: Tensor, above: list[float]) -> list[float]:
    """Equations 2 and 3, neuron by neuron: P(j) = sum over i of Z_i · x_j · w_ij · P(i), over positive weights."""
    below = [0.0] * len(x)
    for i, probability in enumerate(above):
        excites = [max(float(x[j]), 0) * max(float(weight[i, j]), 0) for j in range(len(x))]
        for j, each in enumerate(excites):
            below[j] += probability * each / sum(excites) if sum(excites) else 0.0
    return below


def by_hand(module: Dense, x: Tensor, target: list[float], sign: float = 1.0) -> Tensor:
    module.requires_grad_(False)
    one = F.relu(module.one(x.flatten()))
    two = F.relu(module.two(one))
    probability = won(two, sign * module.last.weight, target)
    probability = won(one, module.two.weight, probability)
    return torch.tensor(won(x.flatten(), module.one.weight, probability), dtype=x.dtype).view_as(x)


def of(module: nn.Module, x: Tensor, method: str, target: str = "class:1") -> np.ndarray:
    return pellucid.explain(module, x, method=method, target=target).values


def test_every_probability_is_that_of_the_paper() -> None:
    module, x = seeded(Dense).double(), pictures(shape=(3, 2, 2)).double()
    expected = by_hand(module, x[0], [0, 1, 0, 0])  # type: ignore[arg-type]
    assert expected.sum() == pytest.approx(1)
    assert np.allclose(of(module, x, "excitation-backprop"), expected, atol=1e-12)


def test_the_contrast_subtracts_the_map_of_the_negated_class_weights() -> None:
    module, x = seeded(Dense).double(), pictures(shape=(3, 2, 2)).double()
    expected = by_hand(module, x[0], [0, 1, 0, 0]) - by_hand(module, x[0], [0, 1, 0, 0], -1.0)  # type: ignore[arg-type]
    assert np.allclose(of(module, x, "excitation-backprop(contrast=dual)"), expected, atol=1e-12)


def test_a_contrast_of_classes_begins_with_one_and_minus_one() -> None:
    module, x = seeded(Dense).double(), pictures(shape=(3, 2, 2)).double()
    expected = by_hand(module, x[0], [1, 0, -1, 0])  # type: ignore[arg-type]
    assert np.allclose(of(module, x, "excitation-backprop", "contrast:0,2"), expected, atol=1e-12)


def test_a_residual_sum_shares_by_what_each_term_adds() -> None:
    module, x = seeded(Residual).double(), pictures().double()
    with torch.no_grad():
        one = F.relu(module.one(x))  # type: ignore[operator]
        two = module.two(one)  # type: ignore[operator]
        top = F.relu(one + two)
        weight = module.last.weight[1].clamp(min=0)  # type: ignore[index, union-attr]
        excites = top * weight.view(1, -1, 1, 1)
        here = excites / excites.sum()
        total = one.clamp(min=0) + two.clamp(min=0)
        to_two = torch.where(total > 0, here * two.clamp(min=0) / total, 0)
        to_one = torch.where(total > 0, here * one.clamp(min=0) / total, 0)

        def down(given: Tensor, conv: nn.Conv2d, probability: Tensor) -> Tensor:
            given, weight = given.clamp(min=0), conv.weight.clamp(min=0)
            z = F.conv2d(given, weight, padding=1)
            return given * F.conv_transpose2d(torch.where(z > 0, probability / z, 0), weight, padding=1)

        expected = down(x, module.one, to_one + down(one, module.two, to_two))[0]  # type: ignore[arg-type]
    assert np.allclose(of(module, x, "excitation-backprop"), expected, atol=1e-12)


@pytest.mark.parametrize("build", [Net, Residual, InPlace, Normed])
@pytest.mark.parametrize("site", ["input", "two", "one"])
def test_the_map_is_a_probability(build: Callable[[], nn.Module], site: str) -> None:
    made = pellucid.explain(seeded(build), pictures(), method=f"excitation-backprop(site={site})")
    if site == "two" and build is Residual:
        assert 0 < made.checks["probability that arrived"] < 1  # some of it goes by the shortcut
    else:
        assert made.checks["probability that arrived"] == pytest.approx(1, abs=1e-6)
    assert made.values.min() >= 0
    assert made.values.shape == ((3, 12, 12) if site == "input" else (12, 12))
    assert made.parts[0].place == site


def test_a_contrast_needs_a_class() -> None:
    with pytest.raises(
        MethodError, match=r"negates the weights of the class layer.*explain a class, or use contrast=none"
    ):
        of(net("residual"), pictures(), "excitation-backprop(contrast=dual)", "unit:two/1")


def test_a_site_after_the_score_is_refused() -> None:
    with pytest.raises(MethodError, match=r"no relevance comes to site 'last'"):
        of(net("residual"), pictures(), "excitation-backprop(site=last)", "unit:two/1")


def test_an_unknown_contrast_is_refused() -> None:
    with pytest.raises(SettingError, match="contrast is 'both', expected one of none, dual"):
        of(net("residual"), pictures(), "excitation-backprop(contrast=both)")
