"""Receptive fields equal the support of the gradient, found by autograd."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.capture.networks import positive
from torch import Tensor, nn

import pellucid
from pellucid.capture.receptive_field import ReceptiveField, of_input

Box = tuple[tuple[int, int], ...]


class Calls(nn.Module):
    """A forward that is given, with some parts to call."""

    def __init__(self, forward: Callable[..., Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(x, **self.parts)


def supports(module: nn.Module, batch: Tensor, site: str, *position: int) -> Box:
    """The box around the pixels with a gradient, from one position of one site, by autograd alone."""
    kept: dict[str, Tensor] = {}
    x = batch.clone().requires_grad_(True)
    handle = module.get_submodule(site).register_forward_hook(lambda _m, _i, out: kept.__setitem__(site, out.clone()))
    module(x)
    handle.remove()
    values = kept[site]
    (slope,) = torch.autograd.grad(values[(0, slice(None), *position)].sum(), x)
    touched = slope[0].abs().sum(0) > 0
    return tuple(
        (int(where.min()), int(where.max()) + 1)
        for where in (touched.any(1 - axis).nonzero() for axis in range(touched.dim()))
    )


def check(module: nn.Module, batch: Tensor, names: list[str] | None = None) -> None:
    """At the first, a middle and the last position of every leaf site with a field."""
    positive(module)
    trace = pellucid.trace(module, batch, keep="statistics")
    checked = 0
    for site in trace:
        if "/" in site.name or "#" in site.name or (names is not None and site.name not in names):
            continue
        if site.receptive_field is None:
            continue
        _, _, height, width = site.shape
        for place in {(0, 0), (height // 2, width // 2), (height - 1, width - 1)}:
            ours = site.receptive_field.clipped(*place, picture=tuple(batch.shape[2:]))
            if any(first == end for first, end in ours):
                continue  # it sees nothing but padding
            assert ours == supports(module, batch, site.name, *place), (site.name, place)
            checked += 1
    assert checked


def ones(*sides: int) -> Tensor:
    return torch.rand(1, 2, *sides) + 0.5


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(2, 2, 3)],
        [nn.Conv2d(2, 2, (1, 5), stride=(2, 1), padding=(0, 2), dilation=(1, 2))],
        [nn.Conv2d(2, 2, 3, padding="same", dilation=2), nn.Conv2d(2, 2, 4, padding="same"), nn.Conv2d(2, 2, 2)],
        [nn.Conv2d(2, 2, 3, padding="valid"), nn.AvgPool2d(3, 2, 1, ceil_mode=True), nn.Conv2d(2, 2, 2)],
        [nn.AvgPool2d((2, 3)), nn.ReLU(), nn.BatchNorm2d(2), nn.Dropout(), nn.Conv2d(2, 2, 3, groups=2)],
        [nn.ZeroPad2d((1, 2, 3, 0)), nn.Conv2d(2, 2, 3), nn.ConstantPad2d(-1, 0.0), nn.Conv2d(2, 2, 2)],
        [nn.Conv2d(2, 2, 3, stride=2), nn.LPPool2d(1, 2), nn.Identity(), nn.Conv2d(2, 2, 1)],
        [nn.AdaptiveAvgPool2d((8, 4)), nn.Conv2d(2, 2, 3)],
        [nn.PixelUnshuffle(2), nn.Conv2d(8, 2, 3)],
        [nn.Conv2d(2, 4, 3), nn.ChannelShuffle(2), nn.LocalResponseNorm(2), nn.Conv2d(4, 2, 3)],
    ],
    ids=lambda layers: "-".join(type(layer).__name__ for layer in layers),
)
def test_a_stack_of_layers_sees_what_the_gradient_reaches(layers: list[nn.Module]) -> None:
    known = not any(isinstance(layer, nn.PixelUnshuffle) for layer in layers)
    module = nn.Sequential(nn.Conv2d(2, 2, 1), *layers)
    check(module, ones(16, 20), None if known else ["0"])
    last = pellucid.trace(module, ones(16, 20))[str(len(layers))]
    assert (last.receptive_field is not None) == known


WINDOWS = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.integers(1, 3), st.booleans())


@settings(max_examples=25, deadline=None)
@given(st.lists(WINDOWS, min_size=1, max_size=3), st.lists(WINDOWS, min_size=1, max_size=3))
def test_any_stack_of_convolutions_and_poolings_sees_what_the_gradient_reaches(rows: Any, columns: Any) -> None:
    layers: list[nn.Module] = []
    for (k, s, p, d, pool), (k2, s2, p2, d2, _) in zip(rows, columns, strict=False):
        if pool:
            layers.append(nn.AvgPool2d((k, k2), (s, s2), (min(p, k // 2), min(p2, k2 // 2)), ceil_mode=d > 1))
        else:
            layers.append(nn.Conv2d(2, 2, (k, k2), (s, s2), (min(p, k), min(p2, k2)), (d, d2)))
    module = nn.Sequential(*layers)
    try:
        module(ones(37, 41))
    except RuntimeError:
        return  # a window larger than what is left
    positive(module)
    trace = pellucid.trace(module, ones(37, 41), keep="statistics")
    for site in trace:
        height, width = site.shape[2:]
        place = (height // 2, width // 2)
        ours = site.receptive_field.clipped(*place, picture=(37, 41))
        if all(end > first for first, end in ours):
            theirs = supports(module, ones(37, 41), site.name, *place)
            # Steps larger than a window leave holes; at the picture's edge the outermost pixels may lie in one.
            dense = all(r[1] <= 1 and r[3] <= 1 for r in (*rows, *columns))
            inner = site.receptive_field.at(*place) == ours
            assert (
                ours == theirs
                if dense or inner
                else all(o[0] <= t[0] and t[1] <= o[1] for o, t in zip(ours, theirs, strict=True))
            )


def test_resnet18_sees_what_the_gradient_reaches() -> None:
    module = torchvision.models.resnet18(weights=None)
    module.maxpool = nn.AvgPool2d(3, 2, 1)  # a maximum has a gradient at one value only
    positive(module)
    sizes = {
        site.name: site.receptive_field.size[0]
        for site in pellucid.trace(module, torch.rand(1, 3, 64, 64), keep="statistics")
        if site.receptive_field is not None
    }
    # Computed by hand along the longest path: 7, +4, +2·4 per 3×3 convolution at stride 4, and so on.
    assert sizes["conv1"] == 7
    assert sizes["maxpool"] == 11
    assert sizes["layer1.1.relu#2"] == 43
    assert sizes["layer2.1.relu#2"] == 99
    assert sizes["layer3.1.relu#2"] == 211
    assert sizes["layer4.1.relu#2"] == 435
    assert "avgpool" not in sizes
    assert "fc" not in sizes
    with torch.no_grad():
        for part in module.modules():
            for parameter in part._parameters.values():
                if parameter is not None and parameter.dim() == 4:
                    parameter /= parameter[0].numel()
    batch = torch.rand(1, 3, 160, 160) + 0.5
    for name in ("layer1.1.conv2", "layer2.0.downsample.0", "layer2.1.bn2", "layer3.0.conv1"):
        site = pellucid.trace(module, batch, keep="statistics")[name]
        place = tuple(side // 2 for side in site.shape[2:])
        assert site.receptive_field.clipped(*place, picture=(160, 160)) == supports(module, batch, name, *place), name


def sliced(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
    return b(a(x)[:, :, 1:, ::2])


def sliced_with_an_ellipsis(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
    return b(a(x)[..., 2:-1])


def added(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
    return b(a(x) + x[:, :, 1:-1, 1:-1])


def concatenated(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
    y = a(x)
    return b(torch.cat([y[:, :1], F.pad(y[:, :1, 1:], (0, 0, 1, 0))], 1))


def permuted(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
    y = F.layer_norm(a(x).permute(0, 2, 3, 1), (2,)).transpose(1, 3).transpose(2, 3)
    return b(y.relu() + a(x))


def functional_windows(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
    return b(F.avg_pool2d(F.avg_pool2d(a(x), 2, 2), (1, 2), stride=1))


def gated_by_its_channels(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
    y = a(x)
    return b(y * y.mean(1, keepdim=True) * (y > 0).float())


def summed_over_channels(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
    y = a(x).sum(1)
    return b(torch.cat([y.unsqueeze(1), y.unsqueeze(1)], 1))


def shuffled_by_views(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
    y = a(x)
    n, c, h, w = y.shape
    return b(y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w))


def assigned(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
    y = a(x).clone()
    y[:, :1] = 2 * y[:, :1]
    return b(y)


FORWARDS = (sliced, sliced_with_an_ellipsis, added, concatenated, permuted, functional_windows, gated_by_its_channels)
MORE = (summed_over_channels, shuffled_by_views, assigned)


@pytest.mark.parametrize("forward", [*FORWARDS, *MORE], ids=lambda f: f.__name__)
def test_what_functions_do_between_layers_is_followed(forward: Callable[..., Tensor]) -> None:
    module = Calls(forward, a=nn.Conv2d(2, 2, 3), b=nn.Conv2d(2, 2, 3, stride=2))
    assert pellucid.trace(module, ones(12, 14))["parts.b"].receptive_field is not None
    check(module, ones(12, 14), ["parts.a", "parts.b"])


def squeezed(x: Tensor, a: nn.Module) -> Tensor:
    y = a(x)
    return y * y.mean((2, 3), keepdim=True).sigmoid()


def flipped(x: Tensor, a: nn.Module) -> Tensor:
    return a(x).flip(3) * 1


def shifted(x: Tensor, a: nn.Module) -> Tensor:
    y = a(x)
    y[:, :, 1:] = y[:, :, :-1].clone()
    return y * 1


def chosen_by_a_mask(x: Tensor, a: nn.Module) -> Tensor:
    y = a(x)
    y[y > 0] = 1.0
    return y * 1


def reflected(x: Tensor, a: nn.Module) -> Tensor:
    return F.pad(a(x), (1, 1, 1, 1), mode="reflect") * 1


def positions_mixed_with_channels(x: Tensor, a: nn.Module) -> Tensor:
    return a(x).moveaxis(1, -1) * 1


def stacked(x: Tensor, a: nn.Module) -> Tensor:
    return torch.stack([a(x), a(x)], 2) * 1


def softmax_over_positions(x: Tensor, a: nn.Module) -> Tensor:
    return a(x).softmax(-1) * 1


def two_strides(x: Tensor, a: nn.Module) -> Tensor:
    return F.avg_pool2d(a(x), 2)[:, :, :3, :3] + a(x)[:, :, :3, :3]


def normalised_by_the_batch(x: Tensor, a: nn.Module) -> Tensor:
    return F.batch_norm(a(x), None, None, training=True) * 1


UNKNOWN = (
    squeezed, flipped, shifted, chosen_by_a_mask, reflected, positions_mixed_with_channels, stacked,
    softmax_over_positions, two_strides, normalised_by_the_batch,
)  # fmt: skip


@pytest.mark.parametrize("forward", UNKNOWN, ids=lambda f: f.__name__)
def test_there_is_no_field_where_a_position_sees_others_than_its_window(forward: Callable[..., Tensor]) -> None:
    trace = pellucid.trace(Calls(forward, a=nn.Conv2d(2, 2, 3, padding=1)), ones(8, 8))
    assert trace["parts.a"].receptive_field is not None
    assert trace.sites[-1].receptive_field is None


@pytest.mark.parametrize(
    "layer",
    [
        nn.AdaptiveAvgPool2d(1), nn.GroupNorm(1, 2), nn.ConvTranspose2d(2, 2, 3), nn.Upsample(scale_factor=2),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), nn.AdaptiveMaxPool2d(5), nn.Flatten(),
        nn.BatchNorm2d(2, track_running_stats=False), nn.Linear(8, 3), nn.ReflectionPad2d(1),
    ],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_there_is_no_field_after_a_layer_that_sees_all_or_unknown_positions(layer: nn.Module) -> None:
    trace = pellucid.trace(nn.Sequential(nn.Conv2d(2, 2, 1), layer), ones(8, 8))
    assert trace["0"].receptive_field is not None
    assert trace["1"].receptive_field is None


def test_a_batch_norm_in_train_mode_sees_the_whole_batch() -> None:
    module = nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2)).train()
    with pellucid.watch(module) as seen:
        module(ones(8, 8))
    assert seen["1"].receptive_field is None


def test_a_field_is_given_in_pixels_and_cut_at_the_picture_where_it_is_shown() -> None:
    field = ReceptiveField(size=(7, 5), stride=(2, 4), offset=(-3, 0))
    assert field.at(0, 1) == ((-3, 4), (4, 9))
    assert field.clipped(0, 1, picture=(10, 6)) == ((0, 4), (4, 6))
    assert of_input(2) is None


def test_a_signal_has_a_field_along_its_one_axis() -> None:
    module = nn.Sequential(nn.Conv1d(1, 2, 5, stride=2, padding=1), nn.MaxPool1d(3))
    trace = pellucid.trace(module, torch.randn(1, 1, 50))
    assert trace["1"].receptive_field == ReceptiveField(size=(9,), stride=(6,), offset=(-1,))
