"""`pellucid.trace`: what is kept, what it weighs, and that it comes back from disk as it was."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes
from pellucid.capture.batches import as_batch
from pellucid.capture.trace import size_of
from pellucid.errors import ArchiveError, CapacityError, InputError, SiteError


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2))


class Counted(nn.Module):
    """Counts the items that go through it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = net()
        self.items: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.items.append(len(x))
        return self.body(x)


def test_only_the_chosen_sites_keep_their_values_but_all_are_listed() -> None:
    trace = pellucid.trace(net(), torch.randn(2, 3, 8, 8), sites=["kind:conv", "@4"])
    assert [site.name for site in trace if site.values is not None] == ["0", "4"]
    assert len(trace) == 5
    assert trace.nbytes == (2 * 4 * 36 + 2 * 2) * 4
    with pytest.raises(SiteError, match="no site 'conv'"):
        pellucid.trace(net(), torch.randn(2, 3, 8, 8), sites="conv")


def test_statistics_keep_no_values_and_the_full_ones_have_a_histogram() -> None:
    batch = torch.randn(2, 3, 8, 8)
    module = net()
    values = pellucid.trace(module, batch)
    for keep in ("statistics", "full"):
        trace = pellucid.trace(module, batch, keep=keep)
        assert trace.nbytes == 0
        assert trace["1"].statistics.mean == pytest.approx(values["1"].values.mean().item(), rel=1e-6)
        assert (trace["1"].statistics.histogram is not None) == (keep == "full")


def test_too_large_a_trace_is_refused_before_the_whole_batch_is_run() -> None:
    module = Counted()
    with pytest.raises(CapacityError) as told:
        pellucid.trace(module, torch.randn(40, 3, 8, 8), limit=50_000)
    assert str(told.value) == (
        "the values of 5 sites for 40 pictures take 57.9 kB, more than the limit of 50.0 kB; choose sites "
        "(sites='kind:conv'), trace fewer pictures, use keep='statistics', or raise limit."
    )
    with pytest.raises(CapacityError) as told:
        pellucid.trace(module, torch.randn(1, 3, 8, 8), sites="@0", limit=10)
    assert str(told.value).endswith(
        "more than the limit of 10 bytes; choose sites (sites='kind:conv'), use keep='statistics', or raise limit."
    )
    assert str(told.value).startswith("the values of 1 site for 1 picture take ")
    assert module.items == [1]
    assert len(pellucid.trace(module, torch.randn(40, 3, 8, 8), limit=50_000, keep="statistics")) == 5
    assert len(pellucid.trace(module, torch.randn(40, 3, 8, 8), limit=50_000, sites="@0")) == 5


def test_the_size_said_beforehand_is_the_size_of_the_trace() -> None:
    batch = torch.randn(7, 3, 8, 8)
    module = net()
    assert size_of(passes.facts(module, batch).sites, items=7) == pellucid.trace(module, batch).nbytes


def test_a_second_trace_runs_the_model_once() -> None:
    module = Counted()
    for _ in range(2):
        pellucid.trace(module, torch.randn(3, 3, 8, 8))
    assert module.items == [1, 3, 3]


def test_facts_are_found_anew_when_the_model_has_changed() -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.act: nn.Module = nn.ReLU()
            self.depth = 1

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(self.depth):
                x = self.act(self.conv(x))
            return x

    module, batch = Deep(), torch.randn(1, 3, 8, 8)

    def names() -> list[str]:
        return [f"{site.name} {site.op} {site.shape[-1]}" for site in passes.facts(module, batch).sites]

    assert names() == ["conv conv2d 8", "act relu 8"]
    module.act = nn.Tanh()
    assert names() == ["conv conv2d 8", "act tanh 8"]
    module.conv.stride = (2, 2)
    assert names() == ["conv conv2d 4", "act tanh 4"]
    module.depth = 2
    assert len(names()) == 4
    for _ in range(20):  # a part may get the identity of one that has gone
        module.act = nn.Tanh()
        assert names()[1] == "act tanh 4"
        module.act = nn.ReLU()
        assert names()[1] == "act relu 4"


class ByInput(nn.Module):
    """Takes another way for pictures whose mean is positive."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y = y.relu() if x.mean() > 0 else y.tanh().abs()
        return self.last(y.mean((2, 3)))


def test_a_model_that_chooses_its_way_by_its_input_is_traced_on_the_way_that_it_takes() -> None:
    module = ByInput()
    for sign in (1, -1, 1, -1):
        batch = sign * torch.rand(2, 3, 6, 6)
        trace = pellucid.trace(module, batch)
        assert ("/relu" in trace) == (sign > 0)
        assert all(site.values is not None for site in trace)
        assert torch.equal(trace.output, module(batch).detach())
    # The first picture says another way than the batch as a whole.
    mixed = torch.cat([torch.rand(1, 3, 6, 6), -5 * torch.rand(3, 3, 6, 6)])
    assert all(site.values is not None for site in pellucid.trace(module, mixed))


def test_a_trace_describes_itself() -> None:
    trace = pellucid.trace(net(), torch.randn(1, 3, 8, 8))
    assert repr(trace) == f"<Trace of {trace.model}: 5 sites, 0 … 4, keep='values', 0.0 MB>"
    assert trace._repr_html_().count("<tr>") == 6
    assert trace.not_finite is None
    assert [row["name"] for row in trace.rows()] == ["0", "1", "2", "3", "4"]
    json.dumps(trace.rows(), allow_nan=False)


def test_the_first_site_that_is_not_finite_is_named() -> None:
    module = net()
    module[4].weight.data[0, 0] = torch.nan
    batch = torch.randn(1, 3, 8, 8)
    assert pellucid.trace(module, batch).not_finite.name == "4"
    assert pellucid.trace(module, batch, keep="statistics").not_finite.name == "4"
    batch[0, 0, 0, 0] = torch.inf
    assert pellucid.trace(module, batch).not_finite.name == "0"


class Odd(nn.Module):
    """Settings that are no JSON, a number as a site, several types."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.clamp(-1.0, float("inf"))
        y = torch.cat([y, y * 2], 1)
        y[:, 1:2] = 0.5
        (y.double() * 3).sum()
        (y.bfloat16() + 1).half() * 2
        return y.sum() * 0 + y.mean()


@pytest.mark.parametrize("keep", ["values", "statistics", "full"])
@pytest.mark.parametrize("module", [net(), Odd()], ids=["net", "odd"])
def test_a_trace_comes_back_from_disk_as_it_was(module: nn.Module, keep: str, tmp_path: Path) -> None:
    trace = pellucid.trace(module, torch.randn(2, 3, 8, 8), keep=keep)
    assert trace.save(tmp_path / "trace") == tmp_path / "trace.json"
    back = pellucid.Trace.load(tmp_path / "trace.json")
    for name in ("aliases", "model", "weights_digest", "input_shape", "keep", "seconds"):
        assert getattr(back, name) == getattr(trace, name), name
    assert torch.equal(back.output, trace.output)
    assert back.output.shape == trace.output.shape
    for ours, theirs in zip(back, trace, strict=True):
        for name in (
            "name", "index", "op", "kind", "inputs", "shape", "dtype", "parameters", "multiply_adds", "seconds",
            "receptive_field", "statistics",
        ):  # fmt: skip
            assert getattr(ours, name) == getattr(theirs, name), name
        for name, setting in theirs.settings.items():
            assert ours.settings[name] in (setting, str(setting))
        assert (ours.values is None) == (theirs.values is None)
        if theirs.values is not None:
            assert ours.values.dtype == theirs.values.dtype
            assert ours.values.shape == theirs.values.shape
            assert torch.equal(ours.values, theirs.values)


def test_statistics_that_are_not_finite_come_back_too(tmp_path: Path) -> None:
    batch = torch.full((1, 3, 8, 8), torch.nan)
    trace = pellucid.trace(net(), batch, keep="full")
    trace.save(tmp_path / "t")
    site = pellucid.Trace.load(tmp_path / "t")["0"]
    assert np.isnan([site.statistics.mean, site.statistics.std]).all()
    assert (site.statistics.not_finite, site.statistics.low) == (4 * 36, None)


def damaged(kind: str, tmp_path: Path) -> Path:
    trace = pellucid.trace(net(), torch.randn(1, 3, 8, 8))
    path = trace.save(tmp_path / "t")
    record = json.loads(path.read_text())
    if kind == "cut":
        path.write_text(path.read_text()[:200])
    elif kind == "another kind":
        path.write_text(json.dumps({**record, "pellucid": "explanation"}))
    elif kind == "a field missing":
        del record["sites"][0]["shape"]
        path.write_text(json.dumps(record))
    elif kind == "a wrong shape":
        record["sites"][0]["shape"] = [1, 2, 3]
        path.write_text(json.dumps(record))
    elif kind == "no arrays":
        path.with_suffix(".safetensors").unlink()
    else:
        arrays = path.with_suffix(".safetensors")
        arrays.write_bytes(arrays.read_bytes()[:-8] + b"12345678")
    return path


@pytest.mark.parametrize(
    "kind", ["cut", "another kind", "a field missing", "a wrong shape", "no arrays", "a flipped bit"]
)
def test_damaged_files_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    path = damaged(kind, tmp_path)
    with pytest.raises(ArchiveError, match=r"t\.(json|safetensors) "):
        pellucid.Trace.load(path)


def test_a_batch_is_a_float_tensor_with_a_batch_dimension_or_pictures() -> None:
    for given, words in (
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), r"a tensor of uint8 was given.*expected prepared floats"),
        (torch.zeros(3, 8, 8), r"a tensor of shape \(3, 8, 8\).*add the batch dimension with x\[None\]\."),
        (torch.zeros(8), r"a tensor of shape \(8,\)"),
        (torch.zeros(0, 3, 8, 8), r"a tensor of shape \(0, 3, 8, 8\)"),
        ([], r"an empty list of pictures was given"),
    ):
        with pytest.raises(InputError, match=words):
            pellucid.trace(net(), given)
    assert len(pellucid.trace(nn.Conv1d(3, 4, 2), torch.zeros(1, 3, 8))) == 1


def test_a_picture_is_prepared_in_the_type_of_the_weights() -> None:
    picture = np.zeros((40, 40, 3), dtype=np.uint8)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).double()
    _, batch, images = as_batch(module, [picture, picture])
    assert (batch.dtype, len(batch), len(images)) == (torch.float64, 2, 2)
    assert pellucid.trace(module, picture)["0"].dtype == "float64"
    assert as_batch(nn.ReLU(), picture)[1].dtype == torch.float32
