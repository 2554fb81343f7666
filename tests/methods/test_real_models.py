"""The methods on real architectures: the trained models of the shared data, and torchvision's with random weights."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from captum.attr import GuidedBackprop, IntegratedGradients, LayerGradCam, LayerGradientXActivation, Saliency
from tests.methods.nets import seeded
from torch import Tensor, nn
from torchcam import methods as torchcam

import pellucid
from pellucid.capture import passes
from pellucid.errors import MethodError
from pellucid.methods.cams import GradCAM
from real_models import module as real


def small(side: int = 64, count: int = 1) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def near(ours: np.ndarray, theirs: Tensor) -> bool:
    expected = theirs.detach().numpy()
    return bool(np.abs(ours - expected).max() <= 1e-4 * np.abs(expected).max()) and bool(expected.any())


REAL = [
    ("squeezenet1_0", "features.12", 64),
    ("mobilenet_v2", "features.18", 64),
    ("resnet20_cifar10", "layer3", 32),
    ("resnet56_cifar10", "layer3", 32),
]


@pytest.mark.parametrize(("name", "layer", "side"), REAL)
def test_trained_models_get_what_captum_gives(shared_data: Path, name: str, layer: str, side: int) -> None:
    module, x = real(name, shared_data), small(side, 2)
    methods = ["saliency", f"grad-cam(site={layer}, sign=both)", "integrated-gradients(steps=4)"]
    made = list(pellucid.explain_many(module, [x], methods=methods, targets=["class:3"]))
    ours = [np.stack([each.values for each in made[number::3]]) for number in range(3)]
    leaf = x.clone().requires_grad_()
    assert near(ours[0], Saliency(module).attribute(leaf, target=3, abs=False))
    there = module.get_submodule(layer)
    raw = LayerGradCam(module, there).attribute(x, target=3)[:, 0]
    assert near(ours[1], raw)
    cut = pellucid.explain(module, x[:1], method=f"grad-cam(site={layer})", target="class:3").values
    theirs = LayerGradCam(module, there).attribute(x[:1], target=3, relu_attributions=True)[0, 0]
    assert np.allclose(cut, theirs.detach().numpy(), rtol=1e-4, atol=1e-4 * float(raw.detach().abs().max()))
    theirs = IntegratedGradients(module).attribute(x, target=3, n_steps=4, method="gausslegendre")
    assert near(ours[2], theirs)


@pytest.mark.parametrize(("name", "layer", "side"), REAL[:3])
def test_trained_models_get_what_torchcam_and_captum_give_for_the_other_maps(
    shared_data: Path, name: str, layer: str, side: int
) -> None:
    module, x = real(name, shared_data), small(side, 2)
    for kind, method in ((torchcam.XGradCAM, "xgrad-cam"), (torchcam.LayerCAM, "layer-cam")):
        with kind(module, layer, input_shape=(3, side, side)) as extractor:
            [theirs] = extractor(3, module(x), normalized=False)
        made = list(
            pellucid.explain_many(module, [x], methods=[f"{method}(site={layer}, sign=both)"], targets=["class:3"])
        )
        ours = np.stack([each.values for each in made])
        # torch-cam cuts, and the largest size before the cut is the scale of rounding.
        assert np.abs(ours.clip(min=0) - theirs.detach().numpy()).max() <= 1e-4 * np.abs(ours).max()
    there = module.get_submodule(layer)
    made = list(pellucid.explain_many(module, [x], methods=[f"hirescam(site={layer})"], targets=["class:3"]))
    product = LayerGradientXActivation(module, there).attribute(x, target=3).sum(1)
    assert near(np.stack([each.values for each in made]), product)


@pytest.mark.parametrize(("name", "side"), [(name, side) for name, _, side in REAL[:3]])
def test_on_trained_models_the_exact_maps_add_up_to_the_score(shared_data: Path, name: str, side: int) -> None:
    module, x = real(name, shared_data), small(side)
    cam, full = pellucid.explain_many(module, [x], methods=["cam", "fullgrad"], targets=["class:3"])
    bias = 0.0 if name == "squeezenet1_0" else float(list(module.parameters())[-1][3].detach())
    assert float(cam.values.mean(dtype=np.float64)) + bias == pytest.approx(cam.score, rel=1e-4)
    assert abs(full.checks["gap to the score"]) < 1e-4 * abs(full.score)
    together = full.values.sum(dtype=np.float64) + full.checks["bias without a place"]
    assert together == pytest.approx(full.score, rel=1e-4)
    assert full.notes == ()


def test_the_trials_on_a_trained_model_equal_passes_with_hooks(shared_data: Path) -> None:
    module, x = real("resnet20_cifar10", shared_data), small(32)
    scored, ablated = pellucid.explain_many(
        module, [x], methods=["score-cam(site=layer3)", "ablation-cam(site=layer3, sign=both)"], targets=["class:3"]
    )
    there, kept = module.get_submodule("layer3"), list[Tensor]()
    handle = there.register_forward_hook(lambda _module, _given, made: kept.append(made.detach()))
    with torch.no_grad():
        whole = float(module(x)[0, 3])
    handle.remove()
    [maps], seen, without = kept[0], [], []
    for channel, each in enumerate(maps):
        mask = torch.nn.functional.interpolate(each[None, None], size=32, mode="bilinear", align_corners=False)
        mask = (mask - mask.min()) / (mask.max() - mask.min()) if mask.max() > mask.min() else mask * 0

        def cleared(_module: Any, _given: Any, made: Tensor, channel: int = channel) -> Tensor:
            made = made.clone()
            made[:, channel] = 0
            return made

        with torch.no_grad():
            seen.append(module(x * mask)[0, 3])
            handle = there.register_forward_hook(cleared)
            without.append(module(x)[0, 3])
            handle.remove()
    assert near(scored.values, (torch.stack(seen).softmax(0)[:, None, None] * maps).sum(0))
    lost = (whole - torch.stack(without)) / whole
    assert near(ablated.values, (lost[:, None, None] * maps).sum(0))


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
@pytest.mark.parametrize(("name", "side"), [("squeezenet1_0", 64), ("resnet20_cifar10", 32)])
def test_trained_models_get_captums_guided_backpropagation(shared_data: Path, name: str, side: int) -> None:
    module, x = real(name, shared_data), small(side)
    made = pellucid.explain(module, x, method="guided-backpropagation", target="class:3")
    twin = copy.deepcopy(module)
    for part in twin.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False  # Captum's hooks need it
    theirs = GuidedBackprop(twin).attribute(x.clone().requires_grad_(), target=3)
    assert near(made.values, theirs[0])


@pytest.fixture(scope="module")
def resnet18() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=10).eval()


def test_resnet18_gets_what_captum_gives(resnet18: nn.Module) -> None:
    x = small(64)
    methods = ["saliency", "grad-cam", "integrated-gradients(steps=3)"]
    saliency, cam, integrated = pellucid.explain_many(resnet18, [x], methods=methods, targets=["class:3"])
    assert near(saliency.values, Saliency(resnet18).attribute(x.clone().requires_grad_(), target=3, abs=False)[0])
    assert cam.parts[0].place == "layer4.1.relu#2"
    layer = LayerGradCam(resnet18, resnet18.layer4)
    assert near(cam.values, layer.attribute(x, target=3, relu_attributions=True)[0, 0])
    theirs = IntegratedGradients(resnet18).attribute(x, target=3, n_steps=3, method="gausslegendre")
    assert near(integrated.values, theirs[0])


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
def test_resnet18_with_shared_relus_equals_its_unrolled_twin(resnet18: nn.Module) -> None:
    x, twin = small(64), copy.deepcopy(resnet18)
    twin.relu = nn.ReLU()
    for block in (part for part in twin.modules() if isinstance(part, torchvision.models.resnet.BasicBlock)):
        block.relu, block.second = nn.ReLU(), nn.ReLU()

        def forward(x: Tensor, block: Any = block) -> Tensor:
            same = x if block.downsample is None else block.downsample(x)
            return block.second(block.bn2(block.conv2(block.relu(block.bn1(block.conv1(x))))) + same)

        block.forward = forward
    made = pellucid.explain(resnet18, x, method="guided-backpropagation", target="class:3")
    assert near(made.values, GuidedBackprop(twin).attribute(x.clone().requires_grad_(), target=3)[0])


def without_weights(build: Callable[[], nn.Module]) -> nn.Module:
    """The architecture alone: making up a hundred million weights takes longer than everything else here."""
    with torch.device("meta"):
        module = build()
    module = module.to_empty(device="cpu").eval()
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data.zero_()
    return module


@pytest.mark.parametrize(
    ("build", "side", "site"),
    [
        (torchvision.models.squeezenet1_0, 64, "features.12/cat"),
        (torchvision.models.mobilenet_v2, 64, "features.18.2"),
        (torchvision.models.vgg11_bn, 64, "features.27"),
        (torchvision.models.densenet121, 64, "/relu"),
        (torchvision.models.resnet18, 64, "layer4.1.relu#2"),
    ],
)
def test_the_default_site_is_the_last_one_with_maps(build: Callable[[], nn.Module], side: int, site: str) -> None:
    facts = passes.facts(without_weights(build), torch.zeros(1, 3, side, side))
    assert GradCAM().reads(facts).values == GradCAM().reads(facts).slopes == {site}


def transformer() -> nn.Module:
    made = torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=16, num_classes=5
    )
    nn.init.normal_(made.heads.head.weight)  # zeros otherwise
    return made


def windows() -> nn.Module:
    return torchvision.models.SwinTransformer(
        patch_size=[4, 4], embed_dim=12, depths=[1, 1], num_heads=[1, 2], window_size=[4, 4], num_classes=5
    )


@pytest.mark.parametrize(
    ("build", "why"), [(transformer, "is attention"), (windows, "holds the channels is not known")]
)
def test_transformers_are_refused_by_grad_cam_by_name(build: Callable[[], nn.Module], why: str) -> None:
    module = build().eval()
    with pytest.raises(
        MethodError, match=rf"grad-cam finds no site of its own in this model \(.*{why}.*\); use saliency"
    ):
        pellucid.explain(module, small(32), method="grad-cam")
    with pytest.raises(MethodError, match="is gelu; use saliency"):
        pellucid.explain(module, small(32), method="guided-backpropagation")
    made = pellucid.explain(module, small(32), method="saliency", target="class:1")
    leaf = small(32).requires_grad_()
    assert near(made.values, torch.autograd.grad(module(leaf)[0, 1], leaf)[0][0])


def test_transformers_work_with_what_follows_the_gradient_and_deeplift_refuses_them_by_name() -> None:
    module, x = seeded(transformer), small(32)
    noisy, given = "smooth-grad(samples=40, noise=0.05)", "input-x-gradient"
    methods = [noisy, given, "integrated-gradients(steps=200)", "expected-gradients(baselines=zero, samples=400)"]
    smooth, times, integrated, expected = pellucid.explain_many(module, [x], methods=methods, targets=["class:1"])
    leaf = x.clone().requires_grad_()
    slope = torch.autograd.grad(module(leaf)[0, 1], leaf)[0]
    assert near(times.values, (x * slope)[0])
    assert integrated.checks["relative gap"] < 0.01
    assert near(integrated.values, IntegratedGradients(module).attribute(x, target=1, n_steps=200)[0])
    away = (expected.values - integrated.values) / expected.parts[0].standard_error
    assert np.sqrt(np.mean(away**2)) < 1.5
    assert np.isfinite(smooth.values).all()
    assert 0 < smooth.checks["relative standard error"] < 1
    with pytest.raises(MethodError, match=r"deeplift has no rule for site 'encoder\.ln', which is layer_norm; use "):
        pellucid.explain(module, x, method="deeplift")


@pytest.mark.parametrize(("name", "side"), [("squeezenet1_0", 64), ("mobilenet_v2", 64), ("resnet20_cifar10", 32)])
def test_trained_models_get_the_difference_of_their_score_by_deeplift(shared_data: Path, name: str, side: int) -> None:
    module, x = real(name, shared_data), small(side, 2)
    for made in pellucid.explain_many(module, [x], methods=["deeplift", "deeplift(baseline=blur:4)"]):
        assert made.checks["relative gap"] < 1e-4
        assert made.notes == ()


def test_resnet18_with_shared_relus_gets_the_difference_of_its_score_by_deeplift(resnet18: nn.Module) -> None:
    made = pellucid.explain(resnet18, small(64), method="deeplift", target="class:3")
    assert abs(made.checks["completeness gap"]) < 1e-5
    twin = copy.deepcopy(resnet18).double()
    twin.relu = nn.ReLU()
    for block in (part for part in twin.modules() if isinstance(part, torchvision.models.resnet.BasicBlock)):
        block.relu, block.second = nn.ReLU(), nn.ReLU()

        def forward(x: Tensor, block: Any = block) -> Tensor:
            same = x if block.downsample is None else block.downsample(x)
            return block.second(block.bn2(block.conv2(block.relu(block.bn1(block.conv1(x))))) + same)

        block.forward = forward
    unrolled = pellucid.explain(twin, small(64).double(), method="deeplift", target="class:3")
    assert np.allclose(made.values, unrolled.values, rtol=1e-2, atol=1e-4 * np.abs(unrolled.values).max())


@pytest.mark.parametrize(
    ("build", "site"),
    [
        (torchvision.models.mobilenet_v3_small, r"features\.11\.block\.2/mul', which multiplies two activations"),
        (torchvision.models.efficientnet_b0, r"features\.7\.0\.block\.2/mul', which multiplies two activations"),
        (torchvision.models.convnext_tiny, r"classifier\.0/layer_norm', which is layer_norm"),
    ],
)
def test_networks_that_multiply_activations_are_refused_by_deeplift(build: Callable[[], nn.Module], site: str) -> None:
    with pytest.raises(MethodError, match=f"deeplift has no rule for site '{site}"):
        pellucid.explain(without_weights(build), small(64), method="deeplift")


def test_a_real_photograph_is_explained_and_drawn(shared_data: Path) -> None:
    folder = shared_data / "images" / "imagenet_samples"
    path = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))[0]
    model = pellucid.load(real("squeezenet1_0", shared_data))
    for made in pellucid.explain_many(model, [path], methods=["grad-cam", "guided-backpropagation"]):
        assert made.subject is not None
        assert made.subject.name == path.name
        original = pellucid.read(path)
        drawn = made.overlay(original=original)
        assert drawn.pixels.shape[0] / drawn.pixels.shape[1] == pytest.approx(
            original.height / original.width, rel=0.01
        )
        assert np.isfinite(made.values).all()
        assert made.values.any()
