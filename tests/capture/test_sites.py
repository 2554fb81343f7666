"""Names, parents and what counts as a site; selectors and what they say when nothing matches."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

import pellucid
from pellucid.capture import passes
from pellucid.capture.sites import select, wanted_by
from pellucid.errors import SettingError, SiteError


def parents(module: nn.Module, *inputs: Tensor) -> dict[str, tuple[str, ...]]:
    return {site.name: site.inputs for site in pellucid.trace(module, *inputs)}


class Everything(nn.Module):
    """Shared and repeated modules, containers called twice, functional calls, predicates, tuples and dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())
        self.same = self.block[1]
        self.split = Split()
        self.scale = nn.Parameter(torch.ones(4))
        self.mean = torch.zeros(1, 3, 1, 1)  # neither a parameter nor a buffer

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv((x - self.mean) / 2)
        y = self.block(self.block(x))
        y = self.same(y)
        noise = torch.zeros_like(y) + torch.ones(4, 1, 1)
        y = y * self.scale.exp().view(1, -1, 1, 1) + noise
        left, rest = self.split(y)
        kept = left.argmax(1, keepdim=True)
        return torch.gather(rest["right"], 1, kept).flatten(1).softmax(1)


class Split(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        left, right = x.chunk(2, 1)
        return left, {"right": right * 2, "shape": x.shape}


def test_each_call_is_a_site_and_each_knows_where_its_values_come_from() -> None:
    assert parents(Everything(), torch.randn(2, 3, 4, 4)) == {
        "/sub": ("input",),
        "/div": ("/sub",),
        "conv": ("/div",),
        "block.0": ("conv",),
        "block.1": ("block.0",),
        "block.0#2": ("block.1",),
        "block.1#2": ("block.0#2",),
        "block.1#3": ("block.1#2",),
        "/mul": ("block.1#3",),
        "/add": ("/mul",),
        "split/mul": ("/add",),
        "/gather": ("split/mul", "/add"),
        "/softmax": ("/gather",),
    }


def test_containers_are_aliases_of_their_last_site_call_by_call() -> None:
    trace = pellucid.trace(Everything(), torch.randn(2, 3, 4, 4))
    assert dict(trace.aliases) == {"block": "block.1", "block#2": "block.1#2", "split": "split/mul"}
    assert trace["block#2"].name == "block.1#2"
    assert "block" in trace
    assert "nothing" not in trace


def test_views_sizes_and_predicates_are_no_sites_but_lead_to_their_sources() -> None:
    class Masks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            mask = ((x > 0) & (x < 1)).float()
            places = x.flatten(1).topk(2, dim=1).indices
            ones = torch.ones(1, 3).to(x)
            return (
                ones * mask.sum((2, 3)) + x.flatten(1).gather(1, places).sum() * ones.expand_as(mask[..., 0, 0]).exp()
            )

    found = parents(Masks(), torch.randn(2, 3, 4, 4))
    assert found["/sum"] == ("input",)
    assert found["/mul"] == ("/sum",)
    assert found["/sum#2"] == ("/gather",)
    assert found["/mul#2"] == ("/sum#2",)  # only the shape of the mask counts there
    assert not [name for name in found if any(word in name for word in ("gt", "lt", "float", "flatten", "expand"))]


def test_a_spectrum_leads_to_its_source() -> None:
    class Fourier(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.irfft2(torch.fft.rfft2(x) * 0.5)

    assert list(parents(Fourier(), torch.randn(1, 1, 4, 4)).values()) == [("input",)]


def test_results_of_a_custom_autograd_function_are_followed() -> None:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: object, slope: Tensor) -> Tensor:
            return slope * 2

    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return Double.apply(x.sin()) + 1

    assert parents(Net(), torch.randn(1, 3)) == {"/sin": ("input",), "/mul": ("/sin",), "/add": ("/mul",)}


@pytest.mark.parametrize("norm", [spectral_norm, weight_norm])
def test_arithmetic_on_weights_alone_makes_no_sites(norm: object) -> None:
    module = nn.Sequential(norm(nn.Conv2d(3, 4, 3)), nn.ReLU())  # type: ignore[operator]
    trace = pellucid.trace(module, torch.randn(1, 3, 8, 8))
    assert [(site.name, site.op) for site in trace] == [("0/conv2d", "conv2d"), ("1", "relu")]
    assert trace["0/conv2d"].multiply_adds == 4 * 36 * 27
    assert trace["0/conv2d"].parameters == 4 * 27 + 4


def test_a_layer_that_is_called_on_weights_alone_is_a_site_without_parents() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Linear(2, 4)
            self.register_buffer("grid", torch.randn(3, 2))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.table(self.grid * 2)

    assert parents(Positions(), torch.randn(3, 4)) == {"table": (), "/add": ("input", "table")}


def test_recurrent_and_attention_layers_have_a_site_per_part_of_their_result() -> None:
    class Sequences(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(4, 6, batch_first=True)
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            y, (h, c) = self.lstm(x)
            z, _ = self.attention(y, y, y)
            return z.mean(1) + h[-1] * c[-1]

    module = Sequences().eval()
    batch = torch.randn(2, 5, 4)
    trace = pellucid.trace(module, batch)
    assert [site.name for site in trace][:3] == ["lstm[0]", "lstm[1][0]", "lstm[1][1]"]
    with torch.no_grad():
        y, (h, _) = module.lstm(batch)
        assert torch.allclose(trace.output, module(batch), atol=1e-6)  # torch has a faster path that nobody can watch
    assert torch.equal(trace["lstm[0]"].values, y)
    assert torch.equal(trace["lstm[1][0]"].values, h)
    assert trace["attention"].op == "multi_head_attention_forward"
    assert len(trace.select("lstm*")) == 3
    assert len(trace.select("lstm[1]*")) == 2


def test_functional_calls_have_the_settings_and_names_of_their_modules() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 3, 3, 3))
            self.head = nn.Parameter(torch.randn(4, 2))

        def forward(self, x: Tensor) -> Tensor:
            x = F.max_pool2d(F.conv2d(x, self.weight, stride=2, padding=1), 2)
            return torch.addmm(torch.zeros(2), torch.relu(x).mean((2, 3)), self.head)

    trace = pellucid.trace(Functional(), torch.randn(2, 3, 8, 8))
    conv = trace["/conv2d"]
    assert (conv.kind, conv.settings["stride"], conv.settings["kernel_size"]) == ("conv", 2, (3, 3))
    assert (conv.parameters, conv.multiply_adds) == (108, 2 * 4 * 16 * 27)
    assert trace["/max_pool2d"].settings["kernel_size"] == 2
    assert trace["/addmm"].multiply_adds == 2 * 2 * 4
    assert trace.multiply_adds == 2 * 4 * 16 * 27 + 16


def test_multiply_adds_follow_their_definitions() -> None:
    class Products(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x @ x.transpose(1, 2)
            return F.scaled_dot_product_attention(y, y, y)

    trace = pellucid.trace(Products(), torch.randn(2, 5, 4))
    assert trace["/matmul"].multiply_adds == 2 * 5 * 5 * 4
    assert trace["/scaled_dot_product_attention"].multiply_adds == 2 * (2 * 5 * 5 * 5)
    up = pellucid.trace(nn.ConvTranspose2d(3, 4, 2, stride=2), torch.randn(1, 3, 5, 5))
    assert up.multiply_adds == 5 * 5 * 3 * 4 * 4
    linear = pellucid.trace(nn.Linear(6, 7), torch.randn(3, 6))
    assert linear.multiply_adds == 3 * 6 * 7


def test_a_model_that_is_one_layer_has_one_site() -> None:
    assert parents(nn.ReLU(), torch.randn(1, 3)) == {"relu": ("input",)}


def test_a_model_without_sites_says_so() -> None:
    class Nothing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)

    trace = pellucid.trace(Nothing(), torch.randn(1, 3, 2))
    assert len(trace) == 0
    with pytest.raises(SiteError, match="no site 'conv': the model has no sites"):
        trace["conv"]


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU())
        self.classifier = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


@pytest.fixture
def small() -> pellucid.Trace:
    return pellucid.trace(Small(), torch.randn(2, 3, 8, 8))


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("features.2", ["features.2"]),
        ("features", ["features.3"]),
        ("@0", ["features.0"]),
        ("@5", ["classifier"]),
        ("kind:conv", ["features.0", "features.2"]),
        ("kind:relu", ["features.1", "features.3"]),
        ("last:conv", ["features.2"]),
        ("last:activation", ["features.3"]),
        ("features.*", ["features.0", "features.1", "features.2", "features.3"]),
        ("features.?", ["features.0", "features.1", "features.2", "features.3"]),
        ("*", ["features.0", "features.1", "features.2", "features.3", "/mean", "classifier"]),
    ],
)
def test_selectors_mean_what_they_say(small: pellucid.Trace, selector: str, names: list[str]) -> None:
    assert [site.name for site in small.select(selector)] == names
    if len(names) == 1:
        assert small[selector].name == names[0]
    else:
        with pytest.raises(SiteError) as told:
            small[selector]
        assert str(told.value) == (
            f"{selector!r} means {len(names)} sites, from {names[0]!r} to {names[-1]!r}; one is wanted here, e.g. "
            "last:conv, or use select() for all."
        )


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("feature.2", "no site 'feature.2'; did you mean 'features.2'?"),
        ("clasifier", "no site 'clasifier'; did you mean 'classifier'?"),
        ("zzz", "no site 'zzz'; the 6 sites run from 'features.0' to 'classifier'."),
        ("@6", "no site '@6': the sites of this trace are @0 to @5."),
        ("@x", "no site '@x': the sites of this trace are @0 to @5."),
        ("@²", "no site '@²': the sites of this trace are @0 to @5."),
        ("kind:conf", "no site of kind 'conf'; did you mean 'conv'?"),
        ("last:pool", "no site of kind 'pool'; there are activation, conv, linear, reduction."),
    ],
)
def test_a_selector_without_a_match_names_the_nearest(small: pellucid.Trace, selector: str, words: str) -> None:
    with pytest.raises(SiteError) as told:
        select(selector, small.sites, small.aliases)
    assert str(told.value) == words


def test_several_selectors_give_each_site_once_in_order(small: pellucid.Trace) -> None:
    found = small.select("last:conv", "features.*", "@0", "classifier")
    assert [site.index for site in found] == [0, 1, 2, 3, 5]


def test_what_is_wanted_while_a_pass_runs_contains_what_a_selector_means_afterwards(small: pellucid.Trace) -> None:
    for selector in ("features.2", "@3", "kind:conv", "last:conv", "kind:relu", "f*.?", "*"):
        wants = wanted_by([selector])
        during = {site.name for site in small if wants(site.name, site.op, site.index)}
        assert {site.name for site in small.select(selector)} <= during
    assert not wanted_by(["features.2"])("features.1", "relu", 1)


def test_maps_of_a_site_are_arrays_and_their_absence_is_explained(small: pellucid.Trace) -> None:
    site = small["features.0"]
    assert site.maps(1).shape == (4, 6, 6)
    assert (site.maps(-1) == site.values[1].numpy()).all()
    with pytest.raises(SettingError, match="item is 2, expected 0 to 1"):
        site.maps(2)
    with pytest.raises(SettingError, match=r"expected feature maps .* and it has \(2, 2\); choose a convolution"):
        small["classifier"].maps()
    facts = passes.facts(Small(), torch.randn(1, 3, 8, 8))
    with pytest.raises(SiteError, match=r"the values of 'features.0' were not kept; trace with keep='values'"):
        facts.site("features.0").maps()
    assert repr(site) == "<Site features.0 conv2d 2×4×6×6 @0>"
    assert site.nbytes == 2 * 4 * 6 * 6 * 4


def test_a_grid_of_all_channels_has_room_for_all(small: pellucid.Trace) -> None:
    assert len(small["features.0"].grid("all", rows=1, columns=3).png()) > 100
    assert len(small["features.0"].grid("0,2", rows=1, columns=2).png()) > 100


@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (4, 4), (8, 8), (1, 1)])
def test_a_grid_holds_by_default_as_many_of_the_most_active_as_it_has_places(rows: int, columns: int) -> None:
    site = pellucid.trace(nn.Sequential(nn.Conv2d(3, 64, 3)), torch.rand(1, 3, 8, 8))["0"]
    activity = site.maps().mean(axis=(1, 2), dtype=np.float64)
    order = np.argsort(-activity, kind="stable")
    assert site.grid(rows=rows, columns=columns).channels == tuple(order[: rows * columns])


def test_a_grid_with_more_places_than_channels_holds_all(small: pellucid.Trace) -> None:
    assert sorted(small["features.0"].grid(rows=8, columns=8).channels) == [0, 1, 2, 3]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("channels", ["all", "ALL", np.array([0, 2]), range(3), (2, 0)])
def test_a_grid_takes_channels_in_every_form(small: pellucid.Trace, channels: object) -> None:
    chosen = small["features.0"].grid(channels, rows=3, columns=1).channels  # type: ignore[arg-type]
    assert chosen == ((0, 1, 2, 3) if isinstance(channels, str) else tuple(channels))  # type: ignore[arg-type]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rows": 0}, "rows is 0, expected a whole number, 1 or more; 4 suits most."),
        ({"columns": 2.5}, "columns is 2.5, expected a whole number, 1 or more; 4 suits most."),
        ({"rows": True}, "rows is True, expected a whole number, 1 or more; 4 suits most."),
    ],
)
def test_a_grid_without_places_is_refused(small: pellucid.Trace, settings: dict[str, int], words: str) -> None:
    with pytest.raises(SettingError) as caught:
        small["features.0"].grid(**settings)
    assert str(caught.value) == words
