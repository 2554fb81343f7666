"""A captured value is what its call returned, whatever is written into its memory later."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes, reading
from pellucid.capture.asks import Reads
from pellucid.capture.scores import Score

Forward = Callable[["Net", Tensor], Tensor]


class Net(nn.Module):
    """Two convolutions and a class layer; what happens between them is given."""

    def __init__(self, between: Forward) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(4, 3)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(self.between(self, self.first(x))).mean((2, 3)))


def leaf_relu(net: Net, x: Tensor) -> Tensor:
    return net.relu(x)


def leaf_relu_whose_result_is_ignored(net: Net, x: Tensor) -> Tensor:
    net.relu(x)
    return x


def added(net: Net, x: Tensor) -> Tensor:
    y = net.second(x)
    y += x
    return y


def method(net: Net, x: Tensor) -> Tensor:
    x.relu_()
    return x


def functional(net: Net, x: Tensor) -> Tensor:
    F.relu(x, True)
    return x


def functional_by_name(net: Net, x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2, inplace=True)


def assigned(net: Net, x: Tensor) -> Tensor:
    x[:, :2] = 0
    return x


def a_view_of_it(net: Net, x: Tensor) -> Tensor:
    x[:, 1:].mul_(2)
    x.flatten(1).add_(1)
    return x


def through_dropout(net: Net, x: Tensor) -> Tensor:
    y = net.drop(x)
    return y.relu_()


def an_out_argument(net: Net, x: Tensor) -> Tensor:
    y = net.second(x)
    torch.add(y, x, out=y)
    return y


def twice(net: Net, x: Tensor) -> Tensor:
    return net.relu(net.second(net.relu(x)))


# Each with the same arithmetic where nothing is overwritten.
TWINS: dict[Forward, Forward] = {
    leaf_relu: lambda net, x: F.relu(x),
    leaf_relu_whose_result_is_ignored: lambda net, x: F.relu(x),
    added: lambda net, x: net.second(x) + x,
    method: lambda net, x: F.relu(x),
    functional: lambda net, x: F.relu(x),
    functional_by_name: lambda net, x: F.leaky_relu(x, 0.2),
    assigned: lambda net, x: torch.cat([torch.zeros_like(x[:, :2]), x[:, 2:]], 1),
    a_view_of_it: lambda net, x: torch.cat([x[:, :1], 2 * x[:, 1:]], 1) + 1,
    through_dropout: lambda net, x: F.relu(x),
    an_out_argument: lambda net, x: net.second(x) + x,
    twice: lambda net, x: F.relu(net.second(F.relu(x))),
}
WITH_SLOPES = [each for each in TWINS if each is not an_out_argument]  # torch itself refuses out= with gradients


def pair(between: Forward) -> tuple[Net, Net]:
    net, twin = Net(between).eval(), Net(TWINS[between]).eval()
    twin.load_state_dict(net.state_dict())
    return net, twin


@pytest.mark.parametrize("between", TWINS, ids=lambda f: f.__name__)
def test_values_equal_those_of_the_twin_that_overwrites_nothing(between: Forward) -> None:
    net, twin = pair(between)
    batch = torch.randn(2, 3, 6, 6)
    given = batch.clone()
    ours, theirs = pellucid.trace(net, batch), pellucid.trace(twin, batch)
    for name in ("first", "second", "last"):
        assert torch.equal(ours[name].values, theirs[name].values), name
    assert torch.equal(ours.output, theirs.output)
    assert torch.equal(batch, given)


def score_of_first_class(logits: Tensor, _: object) -> list[Score]:
    return [Score(place="logits", weights={0: 1.0})] * len(logits)


def read(module: nn.Module, batch: Tensor, *sites: str) -> reading.Seen:
    wanted = Reads(values=frozenset(sites), slopes=frozenset(sites))
    spent = passes.Spent()
    return reading.read(module, batch, reads=lambda _: wanted, resolve=[score_of_first_class], spent=spent)[2][0][2]


@pytest.mark.parametrize("between", WITH_SLOPES, ids=lambda f: f.__name__)
def test_values_and_slopes_equal_those_of_the_twin_on_the_first_pass_and_on_later_ones(between: Forward) -> None:
    net, twin = pair(between)
    batch = torch.randn(2, 3, 6, 6)
    theirs = read(twin, batch, "input", "first", "second")
    for _ in range(2):  # the first pass keeps everything, a later one only what is wanted
        ours = read(net, batch, "input", "first", "second")
        for name in ("input", "first", "second"):
            assert torch.equal(ours.values[name], theirs.values[name]), name
            assert torch.allclose(ours.slopes[name], theirs.slopes[name], rtol=1e-5, atol=1e-7), name


@pytest.mark.parametrize("between", WITH_SLOPES, ids=lambda f: f.__name__)
def test_a_graph_that_starts_at_a_site_gives_the_slopes_of_the_whole_graph_exactly(between: Forward) -> None:
    net, _ = pair(between)
    batch = torch.randn(2, 3, 6, 6)
    for site in passes.facts(net, batch).sites:
        whole = read(net, batch, "input", site.name)
        alone = read(net, batch, site.name)
        assert torch.equal(alone.slopes[site.name], whole.slopes[site.name]), site.name
        assert torch.equal(alone.values[site.name], whole.values[site.name]), site.name


def test_the_slope_of_a_part_that_was_overwritten_is_that_of_the_twin() -> None:
    net, twin = pair(a_view_of_it)
    batch = torch.randn(2, 3, 6, 6)
    theirs = read(twin, batch, "input", "/mul")
    for _ in range(2):
        ours = read(net, batch, "input", "/mul")
        assert torch.equal(ours.values["/mul"], theirs.values["/mul"])
        assert torch.allclose(ours.slopes["/mul"], theirs.slopes["/mul"], rtol=1e-5, atol=1e-7)


def test_a_flatten_has_its_slope_though_its_memory_is_overwritten_afterwards() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.ReLU(inplace=True), nn.Linear(64, 2))
    twin = nn.Sequential(net[0], net[1], nn.ReLU(), net[3])
    batch = torch.randn(2, 3, 6, 6)
    for _ in range(2):
        assert torch.equal(read(net, batch, "0", "1").slopes["1"], read(twin, batch, "0", "1").slopes["1"])
        assert torch.equal(read(net, batch, "1").slopes["1"], read(twin, batch, "0", "1").slopes["1"])


def test_a_dropout_that_hands_its_input_on_has_only_the_slope_of_what_goes_through_it() -> None:
    def skip(net: Net, x: Tensor) -> Tensor:
        return 3 * net.drop(x) + x

    net = Net(skip).eval()
    batch = torch.randn(1, 3, 6, 6)
    read(net, batch, "first")
    for _ in range(2):
        seen = read(net, batch, "first", "drop")
        assert torch.allclose(seen.slopes["first"], seen.slopes["drop"] * 4 / 3, rtol=1e-5)
        assert torch.equal(read(net, batch, "drop").slopes["drop"], seen.slopes["drop"])


def test_what_the_user_overwrites_after_the_pass_does_not_alter_the_trace() -> None:
    module = nn.Sequential(nn.Identity(), nn.Conv2d(3, 4, 3), nn.Dropout(0.5)).eval()
    batch = torch.randn(1, 3, 6, 6)
    expected = batch.clone()
    trace = pellucid.trace(module, batch)
    batch.zero_()
    assert torch.equal(trace["0"].values, expected)
    values = trace["1"].values.clone()
    trace.output.zero_()
    assert torch.equal(trace["1"].values, values)
    assert torch.equal(trace["2"].values, values)


def test_what_the_user_overwrites_in_a_watch_block_does_not_alter_what_was_seen() -> None:
    module = nn.Sequential(nn.Identity(), nn.Conv2d(3, 4, 3)).eval()
    batch = torch.randn(1, 3, 6, 6)
    given = batch.clone()
    with torch.no_grad(), pellucid.watch(module) as seen:
        out = module(batch)
        expected = out.clone()
        batch.zero_()
        out.mul_(0)
        assert torch.equal(seen["0"].values, given)
        assert torch.equal(seen["1"].values, expected)
        out = module(given)
    out.zero_()
    assert torch.equal(seen["1"].values, expected)


def test_parents_follow_what_was_written_in_place_also_through_views() -> None:
    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            whole = x.view(1, 4, -1)  # taken before the write, read after it
            x.relu_()
            half = x[:, :2]
            half.mul_(2)
            x[:, 3:].add_(1)
            y = whole + 1
            z = whole.clone()
            z[:, :1] = 5
            return y * z

    trace = pellucid.trace(Views(), torch.randn(1, 3, 2, 2))
    parents = {site.name: site.inputs for site in trace}
    assert parents["/relu"] == ("conv",)
    assert parents["/mul"] == ("/relu",)
    assert parents["/add"] == ("/relu", "/mul")
    assert parents["/add#2"] == ("/relu", "/mul", "/add")
    assert parents["/setitem"] == ("/relu", "/mul", "/add")
    assert parents["/mul#2"] == ("/add#2", "/setitem")


def test_a_tensor_that_gets_another_shape_in_place_keeps_its_shape_in_the_trace() -> None:
    class Reshapes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            x.unsqueeze_(0)
            return x * 2

    trace = pellucid.trace(Reshapes(), torch.randn(1, 3, 2, 2))
    assert tuple(trace["conv"].values.shape) == trace["conv"].shape == (1, 4, 2, 2)
    assert trace["/mul"].inputs == ("conv",)
