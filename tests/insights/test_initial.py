"""Random initial weights are recognised in every usual recipe, and what training does to weights is noticed."""

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.insights.initial import ENOUGH, LEAST, initial

RECIPES = {
    "default": nn.init.kaiming_uniform_,
    "kaiming-normal": nn.init.kaiming_normal_,
    "xavier-uniform": nn.init.xavier_uniform_,
    "xavier-normal": nn.init.xavier_normal_,
    "small-normal": lambda weight: nn.init.normal_(weight, std=0.01),
    "truncated": lambda weight: nn.init.trunc_normal_(weight, std=0.02),
    "orthogonal": nn.init.orthogonal_,
}
SHAPES = ((64, 3, 7, 7), (64, 64, 3, 3), (256, 64, 1, 1), (512, 1, 3, 3), (10, 512), (1000, 128), (24, 96, 1, 1))


def random(recipe: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    torch.manual_seed(seed)
    weight = torch.empty(shape)
    RECIPES[recipe](weight)
    return weight.double().numpy()


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_initial_weights_fit(recipe: str, shape: tuple[int, ...]) -> None:
    for seed in range(3):
        found = initial(random(recipe, shape, seed), seed=0)
        assert found is not None
        assert found.fits, (recipe, shape, found.scores)


def test_the_family_and_the_deviation_are_those_that_were_drawn() -> None:
    for recipe, family in (("default", "uniform"), ("xavier-normal", "normal"), ("orthogonal", "orthogonal")):
        weights = random(recipe, (64, 64, 3, 3))
        found = initial(weights, seed=0)
        assert found is not None
        assert found.family == family
        assert found.deviation == pytest.approx(weights.std(), rel=1e-2)


def worn(what: str, weights: np.ndarray) -> np.ndarray:
    """One thing that training does, mildly."""
    chance = np.random.default_rng(1)
    weights = weights.copy()
    if what == "filters":
        weights *= chance.lognormal(sigma=0.2, size=(len(weights), 1, 1, 1))
    elif what == "inputs":
        weights *= chance.lognormal(sigma=0.2, size=(1, weights.shape[1], 1, 1))
    elif what == "neighbours":
        weights[..., 1:] += 0.2 * weights[..., :-1]
    elif what == "edge":
        flat = weights.reshape(len(weights), -1)
        flat += 1.5 * weights.std() * np.outer(chance.normal(size=flat.shape[0]), chance.normal(size=flat.shape[1])) / 4
    elif what == "mean":
        weights -= 0.1 * weights.std()
    elif what == "values":
        weights *= np.abs(weights) ** 0.5
    elif what == "overlap":
        weights[1::2] += 0.5 * weights[::2]
        weights /= np.sqrt(np.square(weights).sum(axis=(1, 2, 3), keepdims=True))
    return weights


@pytest.mark.parametrize("what", ["filters", "inputs", "neighbours", "edge", "mean", "values", "overlap"])
def test_each_measurement_sees_what_it_is_for(what: str) -> None:
    fresh = random("kaiming-normal", (64, 64, 3, 3))
    before, after = initial(fresh, seed=0), initial(worn(what, fresh), seed=0)
    assert before is not None
    assert after is not None
    assert before.scores[what] < 1 < after.scores[what]


def test_one_value_in_all_places_is_said_to_be_one() -> None:
    found = initial(np.full((64, 64, 3, 3), 0.0), seed=0)
    assert found is not None
    assert (found.family, found.fits) == ("constant", True)


def test_a_small_layer_is_not_measured() -> None:
    assert initial(np.random.default_rng(0).normal(size=(5, LEAST // 5)), seed=0) is None
    assert ENOUGH > LEAST
