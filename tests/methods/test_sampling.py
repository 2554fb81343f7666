"""Moments against numpy on the draws themselves; what they need not keep, they must not miss."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.methods.sampling import Moments, relative


@given(seed=st.integers(0, 99), count=st.integers(2, 40), far=st.sampled_from([0.0, 1.0, 1e4]))
@settings(deadline=None, max_examples=40)
def test_mean_and_standard_error_are_those_of_the_draws(seed: int, count: int, far: float) -> None:
    draws = torch.randn(count, 2, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + far
    moments = Moments()
    for each in draws:
        moments.add(each)
    mean, error = moments.mean()
    assert np.allclose(mean, draws.numpy().mean(0), rtol=1e-12)
    assert np.allclose(error, draws.numpy().std(0, ddof=1) / np.sqrt(count), rtol=1e-8)


@given(seed=st.integers(0, 99), count=st.integers(4, 40), far=st.sampled_from([0.0, 1.0, 1e4]))
@settings(deadline=None, max_examples=40)
def test_the_variance_is_unbiased_and_has_an_error_of_its_own(seed: int, count: int, far: float) -> None:
    draws = torch.randn(count, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + far
    moments = Moments(powers=4)
    for each in draws:
        moments.add(each)
    variance, error = moments.variance()
    array = draws.numpy()
    expected = array.var(0, ddof=1)
    fourth = ((array - array.mean(0)) ** 4).mean(0)
    assert np.allclose(variance, expected, rtol=1e-8)
    squared = np.clip((fourth - (count - 3) / (count - 1) * expected**2) / count, 0, None)
    assert np.allclose(error.square(), squared, rtol=1e-6, atol=1e-9)


def test_the_error_of_the_variance_is_the_spread_of_variances() -> None:
    generator, found = torch.Generator().manual_seed(0), []
    for _ in range(400):
        moments = Moments(powers=4)
        for each in torch.randn(50, 1, generator=generator):
            moments.add(each)
        found.append(torch.stack(moments.variance()))
    variances, errors = torch.stack(found).unbind(1)
    assert float(errors.mean()) == pytest.approx(float(variances.std()), rel=0.15)


def test_a_constant_has_no_error() -> None:
    moments = Moments(powers=4)
    for _ in range(5):
        moments.add(torch.full((2,), 0.1))
    assert not moments.mean()[1].any()
    assert not moments.variance()[0].any()


def test_the_relative_error_compares_sizes_and_is_undefined_for_nothing() -> None:
    found = relative(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[6.0, 8.0], [0.0, 0.0]]))
    assert float(found[0]) == pytest.approx(0.5)
    assert bool(found[1].isnan())
