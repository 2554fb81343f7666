import weakref
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import GuidedBackprop, LayerGradCam, NoiseTunnel, Saliency
from tests.methods.nets import Unrolled, net, pictures, seeded
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes
from pellucid.errors import MethodError, SettingError
from pellucid.methods import smoothing
from pellucid.methods.baselines import noise_like
from pellucid.methods.catalogue import method_from, text_of
from pellucid.methods.smoothing import SmoothGrad


def noises(x: Tensor, samples: int, share: float, seed: int = 0) -> list[Tensor]:
    """The noise that is drawn for one item, made outside of the method."""
    generator = torch.Generator().manual_seed(seed)
    seeds = torch.randint(2**62, (samples,), generator=generator).tolist()
    return [share * (x.max() - x.min()) * noise_like(x, each, uniform=False) for each in seeds]


def slopes(module: nn.Module, x: Tensor, noise: list[Tensor]) -> np.ndarray:
    found = []
    for each in noise:
        leaf = (x + each).requires_grad_()
        found.append(torch.autograd.grad(module(leaf)[0, 1], leaf)[0][0].numpy())
    return np.stack(found)


@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        ("mean", lambda draws: draws.mean(0)),
        ("squared", lambda draws: (draws**2).mean(0)),
        ("variance", lambda draws: draws.var(0, ddof=1)),
    ],
)
def test_values_are_those_of_the_noisy_copies_one_by_one(combine: str, expected: Any) -> None:
    module, x = net("batch norm").double(), pictures().double()
    made = pellucid.explain(module, x, method=f"smooth-grad(samples=7, combine={combine})", target="class:1")
    draws = slopes(module, x, noises(x, 7, 0.15))
    assert np.allclose(made.values, expected(draws), rtol=1e-9, atol=1e-16)
    if combine != "variance":
        each = draws if combine == "mean" else draws**2
        assert np.allclose(made.parts[0].standard_error, each.std(0, ddof=1) / np.sqrt(7), rtol=1e-6, atol=1e-16)


@pytest.mark.parametrize(
    ("combine", "theirs"), [("mean", "smoothgrad"), ("squared", "smoothgrad_sq"), ("variance", "vargrad")]
)
def test_values_equal_captums_noise_tunnel_with_the_same_noise(
    combine: str, theirs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, x, samples = net("batch norm").double(), pictures().double(), 6
    made = pellucid.explain(module, x, method=f"smooth-grad(samples={samples}, combine={combine})", target="class:1")
    drawn = torch.cat(noises(x, samples, 0.15))
    monkeypatch.setattr(torch, "normal", lambda mean, std: mean + drawn)
    tunnel = NoiseTunnel(Saliency(module))
    expected = tunnel.attribute(x, nt_type=theirs, nt_samples=samples, stdevs=1.0, target=1, abs=False)[0]
    # Captum divides by the number of samples, without the correction for the mean that was estimated as well.
    factor = samples / (samples - 1) if combine == "variance" else 1
    assert np.allclose(made.values, factor * expected.detach().numpy(), rtol=1e-8, atol=1e-16)
    assert made.values.any()


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
def test_a_method_with_rules_of_its_own_is_averaged_with_them() -> None:
    module, x = seeded(Unrolled).double(), pictures().double()
    made = pellucid.explain(module, x, method="smooth-grad(base=guided-backpropagation, samples=5)", target="class:1")
    theirs = GuidedBackprop(module)
    copies = [(x + each).requires_grad_() for each in noises(x, 5, 0.15)]
    expected = torch.stack([theirs.attribute(copy, target=1)[0] for copy in copies]).mean(0)
    assert np.allclose(made.values, expected.detach().numpy(), rtol=1e-7, atol=1e-14)


def test_a_method_at_a_site_is_averaged_with_its_settings_where_it_lies() -> None:
    module, x = net("batch norm").double(), pictures().double()
    method = "smooth-grad(base='grad-cam(site=norm, sign=both)', samples=5)"
    made = pellucid.explain(module, x, method=method, target="class:1")
    layer = LayerGradCam(module, module.norm)  # type: ignore[arg-type]
    expected = torch.stack([layer.attribute(x + each, target=1)[0, 0] for each in noises(x, 5, 0.15)]).mean(0)
    assert np.allclose(made.values, expected.detach().numpy(), rtol=1e-7, atol=1e-14)
    assert (made.parts[0].place, made.parts[0].axes) == ("norm", ("height", "width"))
    assert made.parts[0].standard_error is not None


def test_a_unit_of_a_layer_is_explained_as_well() -> None:
    module, x = net("batch norm").double(), pictures().double()
    made = pellucid.explain(module, x, method="smooth-grad(samples=5)", target="unit:norm/2")
    total = torch.zeros_like(x)
    for each in noises(x, 5, 0.15):
        leaf = (x + each).requires_grad_()
        total += torch.autograd.grad(module.norm(module.one(leaf))[0, 2].mean(), leaf)[0]  # type: ignore[operator]
    assert np.allclose(made.values, (total / 5)[0].numpy(), rtol=1e-9, atol=1e-16)


def test_a_linear_model_gets_its_weight_exactly_and_no_error() -> None:
    linear, x = nn.Sequential(nn.Flatten(), nn.Linear(27, 3)), pictures(1, shape=(3, 3, 3))
    weight = linear[1].weight[1].detach().view(3, 3, 3).numpy()
    made = pellucid.explain(linear, x, method="smooth-grad(samples=5)", target="class:1")
    assert np.allclose(made.values, weight, rtol=1e-6)
    assert made.checks["relative standard error"] < 1e-6
    squared = pellucid.explain(linear, x, method="smooth-grad(samples=5, combine=squared)", target="class:1")
    assert np.allclose(squared.values, weight**2, rtol=1e-6)
    variance = pellucid.explain(linear, x, method="smooth-grad(samples=5, combine=variance)", target="class:1")
    assert not variance.values.any()
    assert np.isnan(variance.checks["relative standard error"])


@pytest.mark.parametrize("combine", ["mean", "squared", "variance"])
def test_runs_differ_by_what_the_reported_errors_say(combine: str) -> None:
    module, x = net("batch norm"), pictures()
    method = f"smooth-grad(samples=40, combine={combine})"
    runs = [pellucid.explain(module, x, method=method, target="class:1", seed=seed) for seed in range(8)]
    spread = np.stack([each.values for each in runs]).std(0, ddof=1)
    said = np.sqrt(np.mean([np.square(each.parts[0].standard_error) for each in runs], axis=0))
    assert np.sqrt(np.mean(spread**2)) == pytest.approx(np.sqrt(np.mean(said**2)), rel=0.2)
    apart = np.linalg.norm(runs[0].values - runs[1].values) / np.linalg.norm(runs[0].values)
    assert apart == pytest.approx(np.sqrt(2) * runs[0].checks["relative standard error"], rel=0.3)


def test_the_noise_is_a_share_of_the_range_of_each_input() -> None:
    x = pictures(2) * torch.tensor([1.0, 100.0])[:, None, None, None]
    seen: list[Tensor] = []

    class Keeping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(432, 2)

        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.detach().clone())
            return self.last(x.flatten(1))

    list(pellucid.explain_many(Keeping(), [x], methods=["smooth-grad(samples=60, noise=0.2)"]))
    copies = torch.cat([each for each in seen if len(each) > 2]).unflatten(0, (-1, 2))
    for item in range(2):
        noise = copies[:, item] - x[item]
        assert float(noise.std()) == pytest.approx(0.2 * float(x[item].max() - x[item].min()), rel=0.02)


def test_memory_does_not_grow_with_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    made_with, alive, counts = smoothing.Variants, list[weakref.ref[Tensor]](), list[int]()

    def counting(*, count: int, make: Any) -> Any:
        def counted(i: int) -> Tensor:
            made = make(i)
            alive[:] = [ref for ref in alive if ref() is not None] + [weakref.ref(made)]
            counts.append(len(alive))
            return made

        return made_with(count=count, make=counted)

    monkeypatch.setattr(smoothing, "Variants", counting)
    list(pellucid.explain_many(net("residual"), [pictures()], methods=[SmoothGrad(samples=200)], batch_size=8))
    assert len(counts) == 200
    assert max(counts) <= 16


def test_the_text_of_the_other_method_may_have_settings_of_its_own() -> None:
    method = method_from("smooth-grad(base='grad-cam(site=layer3, sign=both)', samples=9)")
    assert (method.base, method.samples) == ("grad-cam(site=layer3, sign=both)", 9)
    assert method_from("smooth-grad(base=grad-cam(site=layer3))").base == "grad-cam(site=layer3)"
    assert method_from(text_of(method)) == method


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 1}, "samples is 1, expected a whole number, 2 or more; 50 suits most models."),
        ({"noise": 0.0}, "noise is 0.0, expected a share of the input's range, above 0, to 1; 0.15 suits most models."),
        ({"noise": 1.5}, "noise is 1.5, expected a share of the input's range, above 0, to 1; 0.15 suits most models."),
        (
            {"base": "integrated-gradients(steps=3)"},
            "base is 'integrated-gradients(steps=3)', expected a method that reads slopes from one pass, such as "
            "saliency or grad-cam; integrated-gradients runs many passes of its own.",
        ),
        (
            {"base": "smooth-grad"},
            "base is 'smooth-grad', expected a method that reads slopes from one pass, such as saliency or grad-cam; "
            "smooth-grad runs many passes of its own.",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        SmoothGrad(**settings)
    assert str(caught.value) == message


def test_an_unknown_method_inside_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(MethodError, match="no method 'salience'; did you mean 'saliency'"):
        SmoothGrad(base="salience")


def test_the_price_is_what_is_paid() -> None:
    module, x = net("residual"), pictures(2)
    method = SmoothGrad(samples=7)
    (cost, _) = (each.cost for each in pellucid.explain_many(module, [x], methods=[method]))
    facts = passes.facts(module, x)
    price = method.passes(facts)
    # And one more forward, which finds out what the target means.
    assert (cost.forwards, cost.backwards) == (price.forwards / facts.items + 1, price.backwards / facts.items)
