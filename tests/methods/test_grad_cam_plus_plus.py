import numpy as np
import pytest
import torch
from tests.methods.cam_oracles import near, ours, read
from tests.methods.nets import Unrolled, net, pictures, seeded
from torch import Tensor

import pellucid
from pellucid.errors import SettingError
from pellucid.methods.cam_sites import check_word
from pellucid.methods.cams import Exponent, GradCAMPlusPlus


def by_paper(maps: Tensor, slopes: Tensor, tau: float = 1.0) -> Tensor:
    """Equations 5 and 10 for exp(S / τ), its derivatives written out where S is linear in the maps."""
    second, third = slopes**2 / tau**2, slopes**3 / tau**3
    mass = maps.sum((2, 3), keepdim=True)
    alpha = torch.where(slopes == 0, 0.0, second / torch.where(slopes == 0, 1.0, 2 * second + mass * third))
    return ((alpha * slopes.clamp(min=0)).sum((2, 3), keepdim=True) * maps).sum(1)


@pytest.mark.parametrize("layer", ["relu1", "relu2"])
def test_values_equal_the_papers_equations(layer: str) -> None:
    module, x = seeded(Unrolled).double(), pictures(2).double()
    maps, slopes = read(module, layer, x, 1)
    paper = ours(module, x, f"grad-cam++(site={layer}, exponent=score, sign=both)", 1)
    assert near(paper, by_paper(maps, slopes), 1e-10)
    tau = [float((maps[i] * slopes[i]).abs().sum()) for i in (0, 1)]
    expected = torch.cat([by_paper(maps[i : i + 1], slopes[i : i + 1], tau[i]) for i in (0, 1)])
    assert near(ours(module, x, f"grad-cam++(site={layer}, sign=both)", 1), expected, 1e-10)


@pytest.mark.parametrize("scale", [1e-6, 0.01, 100.0])
def test_the_map_does_not_depend_on_the_scale_of_the_logits(scale: float) -> None:
    x = pictures()
    plain, scaled = seeded(Unrolled), seeded(Unrolled)
    scaled.last.weight.data *= scale
    scaled.last.bias.data *= scale
    for layer in ("relu1", "relu2"):
        one, other = (ours(module, x, f"grad-cam++(site={layer})", 1) for module in (plain, scaled))
        assert near(other / scale, one)


def test_with_the_papers_exponent_it_does() -> None:
    x = pictures()
    plain, scaled = seeded(Unrolled), seeded(Unrolled)
    scaled.last.weight.data *= 100
    one, other = (ours(module, x, "grad-cam++(site=relu2, exponent=score)", 1) for module in (plain, scaled))
    assert not near(other / 100, one, 0.01)


def test_slopes_that_vanish_when_squared_still_count() -> None:
    maps = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    slopes = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    for exponent in ("relative", "score"):
        method = GradCAMPlusPlus(exponent=exponent)  # type: ignore[arg-type]
        tiny = method.map(maps, slopes * 1e-30) * 1e30
        assert torch.isfinite(tiny).all()
        assert tiny.any()


def test_a_site_that_is_zero_everywhere_gives_zero_and_no_nan() -> None:
    zero, slopes = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    assert torch.equal(GradCAMPlusPlus().map(zero, slopes), torch.zeros(1, 4, 4))
    assert torch.equal(GradCAMPlusPlus(exponent="score").map(slopes, zero), torch.zeros(1, 4, 4))


def test_denominators_below_zero_are_counted_and_said() -> None:
    maps, slopes = -torch.ones(1, 1, 2, 2), torch.tensor([[[[1.0, 0.1], [-1.0, 0.0]]]])
    said = GradCAMPlusPlus(exponent="score").remarks(maps, slopes)
    assert said == {0: ("1 of the weights' terms divide by a number that is not positive, since maps here go below 0",)}
    assert GradCAMPlusPlus(exponent="score").remarks(-maps, slopes) == {}


def test_an_unknown_exponent_is_refused() -> None:
    with pytest.raises(SettingError, match=r"exponent is 'softmax', expected one of relative, score\."):
        check_word("exponent", "softmax", Exponent)


def test_its_name_is_read_with_its_signs() -> None:
    made = pellucid.explain(net("residual"), pictures(), method=" grad-cam++ ( sign = both ) ")
    assert made.method == "grad-cam++"
    assert made.settings["sign"] == "both"
    assert np.isfinite(made.values).all()
