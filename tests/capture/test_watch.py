"""Watching a user's own loop: nothing changes for it, and nothing is left behind."""

import pytest
import torch
import torch.nn.functional as F
from tests.capture.networks import plain_hooks
from torch import Tensor, nn

import pellucid
from pellucid.errors import ModelError, SiteError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3), nn.ReLU(inplace=True)
        )
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(self.features(x).mean((2, 3))))


def hooks_of(module: nn.Module) -> int:
    return sum(
        len(part._forward_hooks) + len(part._forward_pre_hooks) + len(part._forward_hooks_always_called)
        for part in module.modules()
    )


@pytest.mark.parametrize("reuse", [False, True])
def test_each_pass_of_a_loop_is_seen_with_its_own_values(reuse: bool) -> None:
    module = Net().eval()
    batches = [torch.randn(2, 3, 8, 8) for _ in range(3)]
    addresses = set()
    with torch.no_grad(), pellucid.watch(module, reuse=reuse) as seen:
        for batch in batches:
            out = module(batch)
            values = {site.name: site.values.clone() for site in seen}
            addresses.add(seen["features.1"].values.data_ptr())
            kept, expected = plain_hooks_aside(module, batch)
            assert torch.equal(out, expected)
            for name, calls in kept.items():
                assert torch.equal(values[name], calls[0]), name
    if reuse:
        assert len(addresses) == 1


def plain_hooks_aside(module: nn.Module, batch: Tensor) -> tuple[dict[str, list[Tensor]], object]:
    twin = Net()
    twin.load_state_dict(module.state_dict())
    return plain_hooks(twin, batch)


def test_buffers_follow_a_batch_that_changes_its_size() -> None:
    module = Net().eval()
    with torch.no_grad(), pellucid.watch(module, "features.1", reuse=True) as seen:
        for items in (2, 5, 1):
            batch = torch.randn(items, 3, 8, 8)
            module(batch)
            assert torch.equal(seen["features.1"].values, plain_hooks_aside(module, batch)[0]["features.1"][0])


def test_training_goes_on_as_if_nobody_watched() -> None:
    torch.manual_seed(3)
    watched, alone = Net(), Net()
    alone.load_state_dict(watched.state_dict())
    batch, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 0, 1])

    def train(module: nn.Module) -> list[float]:
        torch.manual_seed(5)
        optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
        losses = []
        for _ in range(3):
            loss = F.cross_entropy(module(batch), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        return losses

    expected = train(alone)
    with pellucid.watch(watched) as seen:
        assert train(watched) == expected
        assert not seen["features.0"].values.requires_grad
    assert watched.training
    for ours, theirs in zip(watched.state_dict().values(), alone.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert hooks_of(watched) == 0


def test_under_autocast_the_values_have_the_types_that_the_layers_returned() -> None:
    module = Net().eval()
    batch = torch.randn(2, 3, 8, 8)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16), pellucid.watch(module) as seen:
        out = module(batch)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        kept, expected = plain_hooks_aside(module, batch)
    assert torch.equal(out, expected)
    assert seen["features.0"].dtype == "bfloat16"
    for name, calls in kept.items():
        assert torch.equal(seen[name].values, calls[0])
        assert seen[name].values.dtype == calls[0].dtype


@pytest.mark.parametrize("reuse", [False, True])
def test_inference_mode_works(reuse: bool) -> None:
    module = Net().eval()
    with pellucid.watch(module, reuse=reuse) as seen:
        for _ in range(2):
            batch = torch.randn(2, 3, 8, 8)
            with torch.inference_mode():
                module(batch)
            assert torch.equal(seen["features.1"].values, plain_hooks_aside(module, batch)[0]["features.1"][0])
    assert torch.equal(seen["last"].values, plain_hooks_aside(module, batch)[1])


def test_an_exception_goes_through_and_the_hooks_are_gone() -> None:
    module = Net()

    def loop() -> None:
        with pellucid.watch(module, "no such site"):
            module(torch.randn(2, 3, 8, 8))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop()
    assert hooks_of(module) == 0
    assert module(torch.randn(2, 3, 8, 8)).requires_grad


def test_a_loop_may_catch_an_exception_of_the_model_and_go_on() -> None:
    module = Net().eval()
    good, bad = torch.randn(2, 3, 8, 8), torch.randn(2, 5, 8, 8)
    with torch.no_grad(), pellucid.watch(module) as seen:
        with pytest.raises(RuntimeError, match="channels"):
            module(bad)
        unrelated = torch.ones(2) + 1  # between passes nothing is recorded
        module(good)
        assert [site.name for site in seen][:2] == ["features.0", "features.1"]
        assert len(seen) == 8
    assert unrelated.sum() == 4


def test_a_model_that_catches_the_exception_of_a_part_is_recorded_to_its_end() -> None:
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Sequential(nn.Conv2d(5, 4, 3))
            self.second = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.first(x)
            except RuntimeError:
                return self.second(x) * 2

    trace = pellucid.trace(Careful(), torch.randn(1, 3, 8, 8))
    assert {site.name: site.inputs for site in trace} == {"second": ("input",), "/mul": ("second",)}


def test_a_hook_of_the_users_that_raises_leaves_the_rest_of_the_recording_right() -> None:
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 4, 3)
            self.second = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.first(x)
            except KeyError:
                return self.second(x)

    def refuse(module: nn.Module, args: object) -> None:
        raise KeyError("no")

    module = Careful()
    handle = module.first.register_forward_pre_hook(refuse)
    trace = pellucid.trace(module, torch.randn(1, 3, 8, 8))
    assert [site.name for site in trace] == ["second"]
    handle.remove()


def test_what_a_hook_of_the_users_makes_of_a_result_is_what_is_seen() -> None:
    module = Net().eval()
    handle = module.features[0].register_forward_hook(lambda _m, _i, out: out * 2)
    batch = torch.randn(1, 3, 8, 8)
    trace = pellucid.trace(module, batch)
    assert torch.equal(trace["features.0"].values, module.features[0](batch).detach())
    assert trace["features.1"].inputs == ("features.0",)
    handle.remove()
    assert hooks_of(module) == 0


def test_statistics_keep_no_values() -> None:
    module = Net().eval()
    batch = torch.randn(2, 3, 8, 8)
    with torch.no_grad(), pellucid.watch(module, keep="full") as seen:
        module(batch)
    expected = plain_hooks_aside(module, batch)[0]["features.2"][0]
    site = seen["features.2"]
    assert site.values is None
    assert site.statistics.mean == pytest.approx(expected.double().mean().item(), rel=1e-6)
    assert sum(site.statistics.histogram) == expected.numel()


def test_watching_twice_at_once_gives_both_what_they_ask_for() -> None:
    module = Net().eval()
    batch = torch.randn(2, 3, 8, 8)
    with torch.no_grad(), pellucid.watch(module, "features.0") as outer, pellucid.watch(module, "*") as inner:
        module(batch)
        trace = pellucid.trace(module, batch)
        assert torch.equal(inner["features.0"].values, trace["features.0"].values)
    assert torch.equal(outer["features.0"].values, trace["features.0"].values)
    assert outer["features.1"].values is None
    assert hooks_of(module) == 0


def test_a_container_gives_the_values_of_the_site_that_it_stands_for_and_no_others() -> None:
    module = Net().eval()
    with torch.no_grad(), pellucid.watch(module, ["features", "features.0"]) as seen:
        module(torch.randn(2, 3, 8, 8))
    kept = [site.name for site in seen if site.values is not None]
    assert kept == ["features.0", "features.4"]
    assert seen["features"].name == "features.4"
    assert seen.aliases == {"features": "features.4"}


def test_a_container_that_turns_its_result_round_gives_the_values_of_the_site() -> None:
    class Turns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x).flip(3)

    module = nn.Sequential(nn.Sequential(Turns(), nn.ReLU(inplace=True)), nn.ReLU())
    batch = torch.randn(1, 3, 4, 4)
    with torch.no_grad(), pellucid.watch(module, ["0.0", "0"]) as seen:
        module(batch)
    with torch.no_grad():
        expected = module[0][0].conv(batch)
    assert torch.equal(seen["0.0"].values, expected)
    assert torch.equal(seen["0"].values, expected.flip(3).relu())


def test_functional_sites_and_selectors_by_kind_and_order_are_kept() -> None:
    module = Net().eval()
    with torch.no_grad(), pellucid.watch(module, ["/mean", "kind:linear", "@0"]) as seen:
        module(torch.randn(2, 3, 8, 8))
    assert [site.name for site in seen if site.values is not None] == ["features.0", "/mean", "last"]
    assert [site.name for site in seen.select("/mean", "@0")] == ["features.0", "/mean"]
    assert repr(seen) == "<Seen: 8 sites of the latest pass>"


def test_a_name_that_matched_nothing_is_told_after_the_block() -> None:
    module = Net().eval()
    with (
        pytest.raises(SiteError, match=r"no site 'feature\.0'; did you mean 'features\.0'\?"),
        pellucid.watch(module, ["features.0", "feature.0"]),
    ):
        module(torch.randn(2, 3, 8, 8))
    assert hooks_of(module) == 0


def test_a_block_without_a_pass_is_no_error_but_has_nothing() -> None:
    with pellucid.watch(Net(), "anything") as seen, pytest.raises(SiteError, match="nothing has been seen yet"):
        seen["features.0"]
    assert len(seen) == 0


def test_a_part_that_is_called_alone_is_a_pass_of_its_own() -> None:
    module = Net().eval()
    with torch.no_grad(), pellucid.watch(module) as seen:
        module.features(torch.randn(1, 3, 8, 8))
        assert seen["features.0"].inputs == ("input",)
        assert len(seen) == 5


def test_a_module_with_named_and_nested_inputs_knows_what_comes_from_them() -> None:
    class Pairs(nn.Module):
        def forward(self, x: Tensor, *, pair: tuple[Tensor, dict[str, Tensor]]) -> Tensor:
            return x + pair[0] * pair[1]["b"]

    module = Pairs()
    with pellucid.watch(module) as seen:
        module(torch.ones(1, 2), pair=(torch.ones(1, 2), {"b": torch.ones(1, 2)}))
    assert {site.name: site.inputs for site in seen} == {"/mul": ("input",), "/add": ("input", "/mul")}


def test_a_compiled_module_is_refused() -> None:
    compiled = torch.compile(Net(), backend="eager")
    with pytest.raises(ModelError, match=r"compiled by torch\.compile.*model\._orig_mod"), pellucid.watch(compiled):
        pass  # pragma: no cover
