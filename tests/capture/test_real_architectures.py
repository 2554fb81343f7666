"""Architectures as others have written them, random weights: sites equal plain hooks, outputs equal plain calls."""

import pytest
import timm
import torch
import torchvision
from tests.capture.networks import Textbook, plain_hooks
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes
from pellucid.errors import OutputError

SMALL = {
    "mobilenet_v2": 64,
    "squeezenet1_1": 64,
    "shufflenet_v2_x0_5": 64,
    "googlenet": 64,
    "densenet121": 64,
    "inception_v3": 96,
    "efficientnet_b0": 64,
    "regnet_x_400mf": 64,
}
TIMM = {
    "resnetv2_50": 64,
    "efficientnet_lite0": 64,
    "convnext_atto": 64,
    "mobilenetv3_small_050": 64,
    "regnety_002": 64,
    "vit_tiny_patch16_224": 224,
}


def from_torchvision(name: str) -> nn.Module:
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return getattr(torchvision.models, name)(weights=None, **extra)


def agree(module: nn.Module, batch: Tensor) -> pellucid.Trace:
    """Trace, and compare with hooks that clone; every leaf call must be there."""
    trace = pellucid.trace(module, batch)
    kept, output = plain_hooks(module, batch)
    assert kept
    for name, calls in kept.items():
        for number, value in enumerate(calls, start=1):
            site = name if number == 1 else f"{name}#{number}"
            if not type(module.get_submodule(name)).__module__.startswith("torch.nn.modules."):
                # Somebody's own class: it is what it does inside, if anything, and may turn its result round.
                made = [trace[site].values] if site in trace else []
                assert all(torch.equal(v.flatten().sort()[0], value.flatten().sort()[0]) for v in made), site
                continue
            assert torch.equal(trace[site].values, value), site
        assert f"{name}#{len(calls) + 1}" not in trace
    if isinstance(output, Tensor):
        assert torch.equal(trace.output, output)
    known = {site.name for site in trace} | {"input"}
    for site in trace:
        assert site.inputs, f"{site.name} comes from nowhere"
        assert set(site.inputs) <= known
        known_before = {s.name for s in trace.sites[: site.index]} | {"input"}
        assert set(site.inputs) <= known_before
    return trace


def test_the_textbooks_class_gives_the_same_maps_as_plain_hooks_though_it_returns_nine_rows() -> None:
    module, batch = Textbook(), torch.randn(1, 3, 100, 100)
    trace = pellucid.trace(module, batch)
    kept, output = plain_hooks(module, batch)
    for name in ("features.0", "features.20", "features.40"):
        assert torch.equal(trace[name].values, kept[name][0])
    assert tuple(trace.output.shape) == (9, 2)
    assert torch.equal(trace.output, output)
    assert tuple(trace["features.0"].shape) == (1, 64, 98, 98)
    with pytest.raises(OutputError) as told:
        passes.answer(module, batch)
    assert str(told.value) == (
        "the model returned 9 rows for 1 picture: `view` after 'features.51' turned 1×512×3×3 into 9×512, so each of 9 "
        "positions became a row of its own. Give a picture of the size at which one position is left, or average the "
        "positions before flattening: x = x.mean((2, 3))."
    )


def test_the_textbooks_class_is_answered_where_one_position_is_left() -> None:
    module, batch = Textbook().eval(), torch.randn(2, 3, 40, 40)
    found = passes.answer(module, batch)
    assert found.looked_through == "log_softmax"
    assert torch.equal(found.logits.log_softmax(1), module(batch))


@pytest.mark.parametrize("name", SMALL)
def test_torchvision_models_give_the_same_as_plain_hooks(name: str) -> None:
    agree(from_torchvision(name), torch.randn(2, 3, SMALL[name], SMALL[name]))


@pytest.mark.parametrize("name", TIMM)
def test_timm_models_give_the_same_as_plain_hooks(name: str) -> None:
    module = timm.create_model(name, pretrained=False)
    agree(module, torch.randn(1, 3, TIMM[name], TIMM[name]))


def resnet18_by_hand() -> dict[str, tuple[str, ...]]:
    """Every site of resnet18 and its parents, written from the paper's figure and torchvision's names."""
    graph = {"conv1": ("input",), "bn1": ("conv1",), "relu": ("bn1",), "maxpool": ("relu",)}
    last = "maxpool"
    for layer in range(1, 5):
        for block in range(2):
            at = f"layer{layer}.{block}"
            graph[f"{at}.conv1"] = (last,)
            graph[f"{at}.bn1"] = (f"{at}.conv1",)
            graph[f"{at}.relu"] = (f"{at}.bn1",)
            graph[f"{at}.conv2"] = (f"{at}.relu",)
            graph[f"{at}.bn2"] = (f"{at}.conv2",)
            short = last
            if layer > 1 and block == 0:
                graph[f"{at}.downsample.0"] = (last,)
                graph[f"{at}.downsample.1"] = (f"{at}.downsample.0",)
                short = f"{at}.downsample.1"
            graph[f"{at}/add"] = (f"{at}.bn2", short)
            graph[f"{at}.relu#2"] = (f"{at}/add",)
            last = f"{at}.relu#2"
    return {**graph, "avgpool": (last,), "fc": ("avgpool",)}


def test_resnet18_has_every_relu_call_and_every_addition_with_the_right_parents() -> None:
    trace = agree(torchvision.models.resnet18(weights=None), torch.randn(2, 3, 64, 64))
    assert {site.name: site.inputs for site in trace} == resnet18_by_hand()
    assert len(trace.select("kind:activation")) == 17
    assert len(trace.select("kind:add")) == 8
    assert trace.aliases["layer1.0"] == "layer1.0.relu#2"
    assert trace.aliases["layer2.0.downsample"] == "layer2.0.downsample.1"
    assert trace["layer1"] is trace["layer1.1.relu#2"]


def test_multiply_adds_and_parameters_of_resnet18_are_those_of_its_paper() -> None:
    module = torchvision.models.resnet18(weights=None)
    sites = passes.facts(module, torch.randn(1, 3, 224, 224)).sites
    assert sum(site.multiply_adds for site in sites) == 1_814_073_344  # 1.8 · 10⁹ in the paper's table 1
    # A module that is called twice (a shared ReLU) has no parameters here, so the sum is that of the model.
    assert sum(site.parameters for site in sites) == sum(p.numel() for p in module.parameters())


def test_weight_standardised_convolutions_count_like_plain_ones_and_their_weights_make_no_sites() -> None:
    module = timm.create_model("resnetv2_50", pretrained=False)
    trace = pellucid.trace(module, torch.randn(1, 3, 32, 32), keep="statistics")
    stem = trace["stem.conv"]
    assert (stem.op, stem.inputs) == ("conv2d", ("input",))
    assert stem.parameters == 64 * 3 * 7 * 7
    assert stem.multiply_adds == 64 * 16 * 16 * 3 * 7 * 7
    assert not [site.name for site in trace if site.shape and site.shape[0] != 1]
