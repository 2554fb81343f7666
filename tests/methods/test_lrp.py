"""LRP, against closed forms, Zennit, Captum, gradient × input and conservation."""

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from tests.methods.nets import Functional, InPlace, Net, Normed, Shared, Unrolled, image, model, net, pictures, seeded
from torch import Tensor, nn

import pellucid
from pellucid.errors import MethodError, SettingError
from pellucid.methods.relevance import COMPOSITES
from real_models import loaded, photographs
from real_models import module as real

EXACT = "lrp(composite=epsilon, epsilon=1e-12)"


def values(module: nn.Module, x: Tensor, method: str, target: str = "class:1") -> Tensor:
    return torch.from_numpy(np.array(pellucid.explain(module, x, method=method, target=target).values))


def near(one: Tensor, other: Tensor, share: float = 1e-9) -> bool:
    return bool((one - other).abs().max() <= share * other.abs().max())


# -- rules


class OneLayer(nn.Module):
    """A convolution as large as the picture: a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).flatten(1)


def shares(rule: str, x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """The closed form: the score times each input's share of it; one weight per input of the explained output."""
    z = (x * w).sum() + b
    each, plus, minus = x * w, (x * w).clamp(min=0), (x * w).clamp(max=0)
    positive, negative = plus.sum() + b.clamp(min=0), minus.sum() + b.clamp(max=0)
    if rule == "gamma":
        strong = (each + 0.25 * plus, positive) if z > 0 else (each + 0.25 * minus, negative)
        return z * strong[0] / (z + 0.25 * strong[1])
    if rule == "box":
        each = each + 3 * w.clamp(min=0) - 4 * w.clamp(max=0)
        return z * each / each.sum()
    closed = {
        "lrp-0": each / z,
        "epsilon": each / (z + 0.5 * z.sign()),
        "z-plus": plus / positive,
        "alpha1beta0": plus / positive,
        "alpha2beta1": 2 * plus / positive - minus / negative,
        "flat": torch.ones_like(x) / x.numel(),
        "w-square": w**2 / (w**2).sum(),
    }
    return z * closed[rule]


@pytest.mark.parametrize("target", range(4))
@pytest.mark.parametrize(
    ("rule", "method"),
    [
        *((name, f"lrp(composite={name})") for name in ("lrp-0", "gamma", "z-plus", "alpha1beta0", "alpha2beta1")),
        ("epsilon", "lrp(composite=epsilon, epsilon=0.5)"),
        ("flat", "lrp(composite=epsilon-plus-flat)"),
        ("w-square", "lrp(first=w-square)"),
        ("box", "lrp(composite=epsilon-gamma-box, low=-3, high=4)"),
    ],
)
def test_each_rule_equals_its_closed_form(rule: str, method: str, target: int) -> None:
    module, x = seeded(OneLayer).double(), pictures(shape=(3, 4, 4)).double().clamp(-2.9, 3.9)
    conv = module.conv
    expected = shares(rule, x[0], conv.weight[target].detach(), conv.bias[target].detach())  # type: ignore[index, union-attr]
    assert near(values(module, x, method, f"class:{target}"), expected, 2e-5)


# -- networks


def vgg() -> nn.Module:
    features = torchvision.models.vgg.make_layers([8, "M", 16, "M", 16], batch_norm=True)
    made = torchvision.models.VGG(features, num_classes=5, init_weights=False)
    made.avgpool = nn.AdaptiveAvgPool2d(3)
    made.classifier = nn.Sequential(nn.Linear(144, 20), nn.ReLU(True), nn.Dropout(), nn.Linear(20, 5))
    return made


def resnet() -> nn.Module:
    return torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=5)


def bottleneck() -> nn.Module:
    return torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1], num_classes=5)


def lively(build: Callable[[], nn.Module]) -> nn.Module:
    """In float64, with batch norms that do something.

    Zennit divides once more by √(1 + eps) after it has merged a batch norm; so eps is next to nothing here.
    """
    made = seeded(build).double()
    rng = torch.Generator().manual_seed(3)
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eps = 1e-30
            for name, low, high in (("running_mean", -0.2, 0.2), ("running_var", 0.5, 1.5), ("bias", -0.1, 0.1)):
                tensor = getattr(part, name).data
                tensor.copy_(torch.rand(tensor.shape, generator=rng) * (high - low) + low)
    return made


@pytest.mark.parametrize("build", [vgg, resnet, bottleneck])
@pytest.mark.parametrize("name", [name for name in COMPOSITES if name.startswith("epsilon-")])
def test_composites_equal_those_of_zennit(build: Callable[[], nn.Module], name: str) -> None:
    zennit = pytest.importorskip("zennit.composites")
    canonizers = pytest.importorskip("zennit.torchvision")
    attribution = pytest.importorskip("zennit.attribution")
    canonizer = canonizers.VGGCanonizer() if build is vgg else canonizers.ResNetCanonizer()
    bounds: dict[str, Any] = {"low": -3.0, "high": 4.0} if name.endswith("box") else {}
    classes = {
        "epsilon-plus": zennit.EpsilonPlus,
        "epsilon-plus-flat": zennit.EpsilonPlusFlat,
        "epsilon-alpha2beta1": zennit.EpsilonAlpha2Beta1,
        "epsilon-alpha2beta1-flat": zennit.EpsilonAlpha2Beta1Flat,
        "epsilon-gamma-box": zennit.EpsilonGammaBox,
    }
    composite = classes[name](canonizers=[canonizer], **bounds)
    module, x = lively(build), pictures(2, shape=(3, 64, 64)).double().clamp(-2.9, 3.9)
    scores = module(x).detach() * torch.eye(5, dtype=x.dtype)[[1, 1]]
    with warnings.catch_warnings(), attribution.Gradient(model=module, composite=composite) as attributor:
        warnings.simplefilter("ignore")
        _, expected = attributor(x, scores)
    written = "".join(f", {key}={value}" for key, value in bounds.items())
    for item in range(2):
        assert near(values(module, x[item : item + 1], f"lrp(composite={name}{written})"), expected[item], 1e-9)


def test_epsilon_equals_captum_where_there_is_no_batch_norm() -> None:
    captum = pytest.importorskip("captum.attr")

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.last = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.Linear(54, 4)
            self.relu, self.pool, self.other = nn.ReLU(), nn.MaxPool2d(2), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.other(self.two(self.pool(self.relu(self.one(x))))).flatten(1))

    module = seeded(Plain).double()
    x = pictures().double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = captum.LRP(module).attribute(x.clone().requires_grad_(), target=1)[0].detach()
    assert near(values(module, x, "lrp(composite=epsilon, epsilon=1e-9)"), expected, 1e-6)


@pytest.mark.parametrize("name", ["residual", "in-place", "shared", "functional", "batch norm", "one logit"])
def test_lrp_0_is_gradient_times_input_where_relu_is_all_that_bends(name: str) -> None:
    module, leaf = net(name).double(), pictures().double().requires_grad_()
    slope = torch.autograd.grad(module(leaf)[0, 0], leaf)[0]
    assert near(values(module, leaf.detach(), "lrp(composite=lrp-0)", "class:0"), (slope * leaf)[0].detach())


@pytest.mark.parametrize("composite", [name for name in COMPOSITES if name != "epsilon-gamma-box"])
def test_however_a_relu_is_called_the_map_is_that_of_modules(composite: str) -> None:
    expected = values(seeded(Unrolled), pictures(), f"lrp(composite={composite})")
    for build in (Shared, Functional):
        assert torch.equal(values(seeded(build), pictures(), f"lrp(composite={composite})"), expected)


class Branches(nn.Module):
    """Residual sums in place and not, concatenation, views, permutations, pooling, GELU; no biases."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.three, self.last = nn.Conv2d(12, 8, 3, bias=False), nn.Linear(32, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.one(x))
        y = self.two(x)
        y += x
        y = torch.cat([y, F.dropout(F.silu(x), 0.5, self.training)], dim=1)
        z = F.avg_pool2d(self.three(y), 2).relu_()
        left, right = z.chunk(2, dim=1)
        x = (left + right + left).permute(0, 2, 3, 1).transpose(1, 3)
        return self.last(F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 2)[:, :, :, :].flatten(1)[:, :32].reshape(len(x), -1))


def without_biases(module: nn.Module) -> nn.Module:
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.bias = None
    return module


@pytest.mark.parametrize("build", [Branches, lambda: without_biases(resnet()), lambda: without_biases(Net())])
@pytest.mark.parametrize("method", ["lrp(composite=lrp-0)", EXACT])
def test_without_biases_the_map_sums_to_the_score(build: Callable[[], nn.Module], method: str) -> None:
    module, x = seeded(build), pictures(shape=(3, 32, 32)) if build is not Branches else pictures()
    made = pellucid.explain(module, x, method=method)
    assert made.score != 0
    assert made.checks["relevance at the input"] == pytest.approx(made.score, rel=1e-5)
    assert made.checks["share that biases took"] == pytest.approx(0, abs=1e-5)
    assert float(made.values.sum(dtype=np.float64)) == pytest.approx(made.score, rel=1e-5)


@pytest.mark.parametrize("composite", [name for name in COMPOSITES if name != "epsilon-gamma-box"])
@pytest.mark.parametrize("build", [Net, Normed, InPlace])
def test_the_checks_account_for_all_of_the_score(build: Callable[[], nn.Module], composite: str) -> None:
    made = pellucid.explain(seeded(build).double(), pictures().double(), method=f"lrp(composite={composite})")
    checks = made.checks
    account = checks["relevance at the input"] / made.score + checks["share that biases took"]
    assert account + checks["share that was lost"] == pytest.approx(1, abs=1e-9)
    assert abs(checks["share that was lost"]) < 1e-3


def test_relevance_per_site_is_the_sum_of_what_comes_by() -> None:
    module, x = seeded(Branches), pictures()
    made = pellucid.explain(module, x, method=EXACT)
    pixels, sums = made.parts
    sites = [site.name for site in pellucid.trace(module, x).sites]
    assert (sums.name, sums.axes, sums.values.shape) == ("relevance per site", ("sites",), (len(sites),))
    by_site = dict(zip(sites, sums.values, strict=True))
    for name in ("/cat", "three", "/relu", "last"):
        assert by_site[name] == pytest.approx(made.score, rel=1e-5)
    assert by_site["two"] + by_site["/gelu"] != pytest.approx(made.score, rel=1e-3)  # some of it goes by silu
    assert pixels.values.sum() == pytest.approx(made.score, rel=1e-4)


# -- batch norm


class Scrambled(Net):
    """Batch norm by order of execution: the modules stand in another order, one convolution is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.after_two, self.after_one, self.again = nn.BatchNorm2d(6), nn.BatchNorm2d(6), nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.after_one(self.one(x)))
        x = F.relu(self.after_two(self.two(x)))
        x = F.relu(self.again(self.two(x)))
        return self.last(x.mean((2, 3)))


class Merged(Net):
    """`Scrambled` with convolutions of their own that do the batch norms."""

    def __init__(self, twin: Scrambled) -> None:
        super().__init__()
        pairs = ((twin.one, twin.after_one), (twin.two, twin.after_two), (twin.two, twin.again))
        self.convs = nn.ModuleList(torch.nn.utils.fuse_conv_bn_eval(conv.eval(), norm.eval()) for conv, norm in pairs)
        self.last = twin.last

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = F.relu(conv(x))
        return self.last(x.mean((2, 3)))


@pytest.mark.parametrize("composite", ["epsilon", "gamma", "epsilon-alpha2beta1-flat"])
def test_batch_norm_is_folded_by_the_order_of_execution(composite: str) -> None:
    module = lively(Scrambled)
    twin = Merged(module).double().eval()  # type: ignore[arg-type]
    x = pictures().double()
    assert near(twin(x), module(x), 1e-12)
    assert near(values(module, x, f"lrp(composite={composite})"), values(twin, x, f"lrp(composite={composite})"))


class PreActivation(Net):
    """A batch norm that no layer can take over, as in DenseNet: what it gets goes by it as well."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        return self.last((x + self.two(F.relu(self.norm(x)))).mean((2, 3)))


def test_a_batch_norm_that_cannot_be_folded_is_a_layer_under_the_epsilon_rule() -> None:
    module, leaf = lively(PreActivation), pictures().double().requires_grad_()
    slope = torch.autograd.grad(module(leaf)[0, 1], leaf)[0]
    made = pellucid.explain(module, leaf.detach(), method="lrp(composite=lrp-0)", target="class:1")
    assert near(torch.from_numpy(np.array(made.values)), (slope * leaf)[0].detach())
    whole = made.checks["relevance at the input"] / made.score + made.checks["share that biases took"]
    assert whole == pytest.approx(1, abs=1e-9)


# -- targets and batches


def test_a_contrast_begins_with_both_logits() -> None:
    module, x = seeded(Branches).double(), pictures().double()
    one, other = (values(module, x, EXACT, f"class:{i}") for i in (0, 2))
    assert near(values(module, x, EXACT, "contrast:0,2"), one - other)


def test_a_unit_begins_with_the_mean_of_its_channel() -> None:
    made = pellucid.explain(seeded(Branches), pictures(), method=EXACT, target="unit:three/5")
    assert made.checks["relevance at the input"] == pytest.approx(made.score, rel=1e-5)


# -- the box


class Normalises(nn.Module):
    """A network that normalises by itself, given pixels from 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net("residual")

    def forward(self, x: Tensor) -> Tensor:
        return self.net((x - 0.5) / 0.25)


def test_the_box_of_a_picture_is_that_of_its_preprocessing() -> None:
    prepared = model(net("residual"), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    box = "lrp(composite=epsilon-gamma-box)"
    made = pellucid.explain(prepared, image(), method=box, target="class:1")
    by_hand = pellucid.explain(
        prepared, image(), method="lrp(composite=epsilon-gamma-box, low=-2, high=2)", target="class:1"
    )
    assert np.allclose(made.values, by_hand.values, rtol=1e-4, atol=1e-7)
    # Where the model normalises, the box of the first layer is found behind that.
    itself = pellucid.explain(model(Normalises().eval()), image(), method=box, target="class:1")
    sites = [site.name for site in pellucid.trace(Normalises().eval(), pictures()).sites]
    assert itself.parts[1].values[sites.index("/div")] == pytest.approx(made.checks["relevance at the input"], rel=1e-4)


def test_a_tensor_does_not_say_what_its_box_is() -> None:
    with pytest.raises(MethodError, match=r"needs the lowest and the highest possible input.*give both, e.g. lrp\("):
        pellucid.explain(net("residual"), pictures(), method="lrp(composite=epsilon-gamma-box)")


def test_inputs_outside_of_the_box_are_refused() -> None:
    with pytest.raises(MethodError, match=r"between low and high, and values from -\d"):
        pellucid.explain(net("residual"), pictures(), method="lrp(first=box, low=0, high=1)")


# -- trained networks


@pytest.mark.parametrize(("name", "side"), [("squeezenet1_0", 64), ("resnet20_cifar10", 32), ("resnet56_cifar10", 32)])
def test_lrp_0_is_gradient_times_input_on_trained_networks(shared_data: Path, name: str, side: int) -> None:
    module, leaf = (
        copy.deepcopy(real(name, shared_data)).double(),
        pictures(shape=(3, side, side)).double().requires_grad_(),
    )
    slope = torch.autograd.grad(module(leaf)[0, 3], leaf)[0]
    assert near(values(module, leaf.detach(), "lrp(composite=lrp-0)", "class:3"), (slope * leaf)[0].detach(), 1e-7)


@pytest.mark.parametrize("composite", ["epsilon-plus-flat", "epsilon-gamma-box", "z-plus", "epsilon-alpha2beta1"])
def test_a_photograph_in_a_trained_network_is_accounted_for(shared_data: Path, composite: str) -> None:
    trained = loaded("mobilenet_v2", shared_data)
    [path], _ = photographs("mobilenet_v2", shared_data, count=1)
    made = pellucid.explain(trained, path, method=f"lrp(composite={composite})")
    account = made.checks["relevance at the input"] / made.score + made.checks["share that biases took"]
    assert account + made.checks["share that was lost"] == pytest.approx(1, abs=1e-6)
    # α2β1 gives twice as much, or nothing, where contributions have one sign: depthwise convolutions have few of them.
    assert abs(made.checks["share that was lost"]) < 1e-3 or composite == "epsilon-alpha2beta1"
    assert np.isfinite(made.values).all()


# -- what is refused


class Excited(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.one(x))
        return self.last((x * torch.sigmoid(self.two(x))).mean((2, 3)))


class SoftInside(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.two(self.one(x).softmax(1))).mean((2, 3)))


class AlwaysDropping(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.dropout(F.relu(self.one(x))).mean((2, 3)))


class Squared(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        return self.last((x * x).mean((2, 3)))


class Reciprocal(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.last((1 / (3 + F.relu(self.one(x)))).mean((2, 3)))


class Attends(Net):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x).flatten(2).transpose(1, 2)
        return self.last(self.attention(x, x, x)[0].mean(1))


class _Hidden(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.from_numpy(np.tanh(x.detach().numpy()))

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:  # type: ignore[override]
        return slope


class HidesAnOperation(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.two(_Hidden.apply(self.one(x)))).mean((2, 3)))  # type: ignore[no-untyped-call]


class Overwrites(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        x[:, :3].relu_()
        return self.last(self.two(x).mean((2, 3)))


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (Excited, r"no rule for `mul`, a product of two activations, at site '/mul'"),
        (SoftInside, r"no rule for `softmax` in the middle of the model at site '/softmax'"),
        (AlwaysDropping, r"no rule for `dropout` that drops at random at site '/dropout'"),
        (Squared, r"no rule for `mul`, a product of two activations, at site '/mul'"),
        (Reciprocal, r"no rule for `r?div` at site|no rule for `reciprocal` at site"),
        (Attends, r"no rule for `multi_head_attention_forward` at site 'attention"),
        (HidesAnOperation, r"site 'two' is given a tensor that was made where no operation can be seen"),
        (Overwrites, r"at site 'two' it looks at memory that was overwritten through another tensor"),
    ],
)
@pytest.mark.parametrize("method", ["lrp", "excitation-backprop"])
def test_what_has_no_rule_is_refused_by_name(build: Callable[[], nn.Module], why: str, method: str) -> None:
    with pytest.raises(MethodError, match=why):
        pellucid.explain(seeded(build), pictures(), method=method)


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (
            lambda: torchvision.models.mobilenet_v3_small(weights=None),
            r"`mul`, a product of two activations, at site 'feat",
        ),
        (
            lambda: torchvision.models.efficientnet_b0(weights=None),
            r"`mul`, a product of two activations, at site 'feat",
        ),
        (
            lambda: torchvision.models.VisionTransformer(32, 16, 1, 2, 16, 16, num_classes=3),
            r"no rule for `layer_norm` at site 'encoder.ln'",
        ),
    ],
)
def test_squeeze_and_excitation_and_transformers_are_refused_by_name(build: Callable[[], nn.Module], why: str) -> None:
    module = seeded(build)
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight)  # the transformer's last layer is 0
    with pytest.raises(MethodError, match=why):
        pellucid.explain(module, pictures(shape=(3, 32, 32)), method="lrp")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("composite=epsilon_plus", "composite is 'epsilon_plus', expected one of .*did you mean"),
        ("first=zbox", "first is 'zbox', expected one of composite, flat, w-square, box"),
        ("epsilon=-1", "epsilon is -1.0, expected a number, 0 or more"),
        ("gamma=-0.5", "gamma is -0.5, expected a number, 0 or more"),
        ("low=1", "low is 1.0, expected a number below high, or None for both"),
        ("high=1", "high is 1.0, expected a number above low, or None for both"),
        ("low=1, high=0", "low is 1.0, expected a number below high"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: str, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        pellucid.explain(net("residual"), pictures(), method=f"lrp({settings})")
