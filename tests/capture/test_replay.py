"""A replay gives what the model would have answered if it had been run anew with a site's values put in."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.capture.networks import Textbook
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes
from pellucid.capture.replay import shuffled_positions, without_channels
from pellucid.capture.tape import Player
from pellucid.errors import SettingError, SiteError


class Residual(nn.Module):
    """In-place ReLUs, one of them shared, an addition in place, a functional ReLU, a branch that joins again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        self.deep, self.side = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn(self.conv(x)))
        y = self.deep(x)
        y += self.side(x)
        y = self.relu(y)
        left, right = y.chunk(2, dim=1)
        y = torch.cat([F.relu(left - 0.1), right], 1)
        y = torch.cat([y.mean((2, 3)), y.flatten(2).max(2).values], 1)
        return self.head(self.drop(y))


class Deciding(Residual):
    """Takes another number of steps where the input says so."""

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(1 + int(self.conv(x).sum() > 0)):
            x = torch.tanh(x)
        return super().forward(x)


class WritesThroughAView(Residual):
    """Another tensor still looks at the memory that is overwritten."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        half = y[:, :4]
        half.relu_()
        return self.head(torch.cat([y.mean((2, 3)), self.bn(y).mean((2, 3))], 1))


class WritesThroughAViewOfItsInput(Residual):
    """What it was given is used again as a whole, beside what depends on a change."""

    def forward(self, x: Tensor) -> Tensor:
        x[:, :1].add_(5.0)
        y = self.conv(x)
        return self.head(torch.cat([self.deep(y).mean((2, 3)), y.mean((2, 3)) * x.sum((1, 2, 3))[:, None]], 1)) + (
            torch.cat([y[:, :2], x], 1).mean((2, 3))
        )


class Draws(Residual):
    """Dropout that a model never turns off, before and after what is changed."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.deep(F.dropout(self.conv(x), 0.3, training=True))
        return self.head(torch.cat([F.dropout(y, 0.3, training=True).mean((2, 3)), y.mean((2, 3))], 1))


class Counts(Residual):
    """A number that comes from a shape that comes from values."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.deep(self.conv(x))
        few = len(torch.nonzero(y > 0.2)) / y.numel()
        return self.head(torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1)) + x.mean((1, 2, 3))[:, None] * few


class ReadsByNumpy(Residual):
    """A number that left torch by way of NumPy."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.deep(self.conv(x))
        scale = float(np.asarray(y).mean())
        return self.head(torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1)) + x.sum((1, 2, 3))[:, None] * scale


class RemembersAndLeaves(Residual):
    """Counts its steps in a buffer, and takes as many as a shape says that comes from values."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.steps = self.steps + 1
        y = self.deep(self.conv(x))
        for _ in range(len(torch.nonzero(y > 0.5)) % 7):
            y = y + 0.1
        return self.head(torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1)) * self.steps


class AsksForShapes(Residual):
    """Reads sizes, and lays items and channels along one axis."""

    def forward(self, x: Tensor) -> Tensor:
        items, channels, height, width = x.shape
        y = self.conv(x).reshape(items * 8, 1, height, width)
        y = self.deep((y - y.mean((2, 3), keepdim=True)).view(items, 8, height, width)) + self.side(self.conv(x))
        return self.head(torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1)) / channels


class Mixes(Residual):
    """Each item depends on the others of its batch."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(0, keepdim=True) * 0.5)


def by_hook(module: nn.Module, batch: Tensor, name: str, edit: Callable[[Tensor], Tensor]) -> Tensor:
    """The reference: a plain forward hook that returns other values."""
    module = copy.deepcopy(module)
    module.get_submodule(name).register_forward_hook(lambda _m, _i, out: edit(out.clone()))
    with torch.no_grad(), torch.random.fork_rng():
        return module(batch.clone())


@pytest.fixture
def batch() -> Tensor:
    return torch.randn(3, 3, 10, 10, generator=torch.Generator().manual_seed(3))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(1)


def halved(values: Tensor) -> Tensor:
    return values * 0.5 + 0.3


@pytest.mark.parametrize("kind", [Residual, Deciding, WritesThroughAView])
@pytest.mark.parametrize("name", ["conv", "bn", "head"])
def test_a_replay_equals_a_hook_that_returns_other_values(kind: type[nn.Module], name: str, batch: Tensor) -> None:
    module = kind().eval()
    replay = passes.replay(module, batch)
    with torch.no_grad():
        assert torch.equal(replay.answer.logits, module(batch))
    if kind is Deciding and name == "conv":
        name = "deep"  # the first call only decides
    elif kind is WritesThroughAView and name == "bn":
        name = "conv"
    expected = by_hook(module, batch, name, halved)
    assert not torch.allclose(expected, replay.answer.logits)
    for _ in range(2):
        assert torch.allclose(replay.logits({name: halved}), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["conv", "deep"])
@pytest.mark.parametrize("kind", [WritesThroughAViewOfItsInput, Draws, Counts, ReadsByNumpy, RemembersAndLeaves])
def test_a_replay_is_right_where_a_tape_alone_would_not_be(kind: type[nn.Module], name: str, batch: Tensor) -> None:
    module = kind().eval()
    replay = passes.replay(module, batch)
    expected = by_hook(module, batch, name, halved)
    for _ in range(2):
        assert torch.allclose(replay.logits({name: halved}), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["deep", "side"])
def test_a_branch_that_joins_again_equals_the_hook(name: str, batch: Tensor) -> None:
    module = Residual().eval()
    expected = by_hook(module, batch, name, halved)
    assert torch.allclose(passes.replay(module, batch).logits({name: halved}), expected, rtol=1e-6, atol=1e-6)


def test_every_site_can_be_changed_and_left_as_it_is(batch: Tensor) -> None:
    module = Residual().eval()
    replay = passes.replay(module, batch)
    names = [site.name for site in replay.sites if not site.name.endswith("]")]
    assert {"relu", "relu#2", "/add", "/relu", "/sub"} <= set(names)
    for name in names:
        same = replay.logits({name: lambda values: values})
        assert torch.allclose(same, replay.answer.logits, rtol=1e-6, atol=1e-6), name
        assert not torch.allclose(replay.logits({name: halved}), replay.answer.logits), name


def test_changes_in_place_reach_everything_that_comes_after(batch: Tensor) -> None:
    module = Residual().eval()
    replay = passes.replay(module, batch)
    wiped = replay.logits({"relu": torch.zeros_like})

    class Wiped(Residual):
        def forward(self, x: Tensor) -> Tensor:
            zero = torch.zeros(len(x), 8, 10, 10)
            y = (self.deep(zero) + self.side(zero)).relu()
            left, right = y.chunk(2, dim=1)
            y = torch.cat([F.relu(left - 0.1), right], 1)
            return self.head(torch.cat([y.mean((2, 3)), y.flatten(2).max(2).values], 1))

    twin = Wiped().eval()
    twin.load_state_dict(module.state_dict())
    with torch.no_grad():
        assert torch.allclose(wiped, twin(batch), atol=1e-6)


def test_only_what_depends_on_the_change_is_run(batch: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []
    finish = Player.finish
    monkeypatch.setattr(Player, "finish", lambda self: (ran.append(self.ran), finish(self))[1])
    replay = passes.replay(Residual().eval(), batch)
    replay.logits({"head": halved})
    replay.logits({"side": halved})
    replay.logits({"conv": halved})
    assert ran[0] == 0
    assert 0 < ran[1] < ran[2]


def test_the_model_is_untouched_and_the_batch_too(batch: Tensor) -> None:
    module, before = Residual().train(), batch.clone()
    state = copy.deepcopy(module.state_dict())
    passes.replay(module, batch).logits({"conv": torch.zeros_like})
    assert module.training
    assert torch.equal(batch, before)
    assert all(torch.equal(state[name], tensor) for name, tensor in module.state_dict().items())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_the_logits_behind_a_final_log_softmax_are_given() -> None:
    module = Textbook().eval()
    module.classifier[-1] = nn.Identity()
    small = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LogSoftmax(1)).eval()
    x = torch.randn(2, 3, 6, 6)
    replay = passes.replay(small, x)
    assert replay.answer.looked_through == "log_softmax"
    assert torch.allclose(replay.logits({"0": lambda maps: maps + 1}), replay.answer.logits + 1, atol=1e-6)


def test_edits_without_channels_and_with_shuffled_positions_do_what_they_say() -> None:
    values = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert without_channels([1])(values.clone())[:, 1].abs().sum() == 0
    assert torch.equal(without_channels([1])(values.clone())[:, 0], values[:, 0])
    moved = shuffled_positions(torch.Generator().manual_seed(0))(values.clone())
    assert not torch.equal(moved, values)
    assert torch.equal(moved[:, 1] - moved[:, 0], torch.full((1, 3, 4), 12.0))
    assert torch.equal(moved.flatten().sort().values, values.flatten())


def test_an_edit_of_another_shape_or_of_no_site_is_refused(batch: Tensor) -> None:
    replay = passes.replay(Residual().eval(), batch)
    with pytest.raises(SettingError, match="the edit of 'conv'"):
        replay.logits({"conv": lambda values: values[:, :1]})
    with pytest.raises(SiteError, match="one part of a result with several"):
        replay.logits({"/max[0]": halved})
    with pytest.raises(SiteError, match="did you mean 'conv'"):
        replay.logits({"convv": halved})


def test_a_traced_values_edit_gives_the_answer_of_the_picture_it_came_from(batch: Tensor) -> None:
    module = Residual().eval()
    other = batch.flip(0)
    values = pellucid.trace(module, other)["relu"].values
    with torch.no_grad():
        assert torch.allclose(passes.replay(module, batch).logits({"relu": lambda _: values}), module(other), atol=1e-5)


KINDS = [Residual, Deciding, WritesThroughAView, Draws, Counts, ReadsByNumpy, RemembersAndLeaves, AsksForShapes, Mixes]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("copies", [1, 2, 5])
def test_copies_of_one_item_are_as_one_by_one(kind: type[nn.Module], copies: int, batch: Tensor) -> None:
    module = kind().eval()
    replay = passes.replay(module, batch[:1])
    for name in ("deep", "side") if kind is AsksForShapes else ("conv" if kind is WritesThroughAView else "deep",):

        def edit(values: Tensor) -> Tensor:
            values[range(copies), range(copies)] = 0.7
            return values

        found = replay.logits({name: edit}, copies=copies)
        for number in range(copies):

            def alone(values: Tensor, number: int = number) -> Tensor:
                values[:, number] = 0.7
                return values

            expected = by_hook(module, batch[:1], name, alone)
            assert torch.allclose(found[number : number + 1], expected, rtol=1e-5, atol=1e-5), (name, number)


@pytest.mark.parametrize("kind", [Residual, AsksForShapes])
def test_nothing_before_the_change_is_run_for_copies(
    kind: type[nn.Module], batch: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    replay = passes.replay(kind().eval(), batch[:1])
    replay.logits({"head": halved}, copies=2)
    ran: list[int] = []
    finish = Player.finish
    monkeypatch.setattr(Player, "finish", lambda self: (ran.append(self.ran), finish(self))[1])
    for site in ("head", "side"):
        replay.logits({site: halved})
        replay.logits({site: halved}, copies=7)
    assert ran[0] == ran[1]
    assert ran[2] == ran[3]
