"""Weights files: what is data is read, what could be code is refused, and what is damaged says so in one line."""

import os
import pickle
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pellucid.errors import CheckpointError, UntrustedModelError
from pellucid.models.architecture import Architecture
from pellucid.models.checkpoints import Weights, read_weights, sha256_of


class Payload:
    """Makes a folder when it is unpickled: the marker that code has run."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.marker),)


class Net(nn.Module):
    """Small, with everything that makes a state_dict interesting: BatchNorm and a last layer."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.fc = nn.Linear(4, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.features(x).mean((2, 3)))


def architecture(module: nn.Module) -> Architecture:
    return Architecture(module=module, name="net", source="net")


def weights(state: dict[str, torch.Tensor], **more: Any) -> Weights:
    return Weights(file="w.pt", state=state, **more)


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert "\x1b" not in text
    return text


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "pth", "ckpt"])
def test_tensors_are_read_as_they_were_saved(tmp_path: Path, suffix: str) -> None:
    state = Net().state_dict()
    file = tmp_path / f"w.{suffix}"
    if suffix == "safetensors":
        save_file(state, file)
    else:
        torch.save(state, file)
    assert same(read_weights(file).state, dict(state))


def test_the_old_format_of_torch_is_read(tmp_path: Path) -> None:
    file = tmp_path / "old.pth"
    state = Net().state_dict()
    torch.save(state, file, _use_new_zipfile_serialization=False)
    assert same(read_weights(file).state, dict(state))


@pytest.mark.parametrize("forced", ["0", "1"])
@pytest.mark.parametrize(
    "name", ["zip.pt", "old.pt", "model.ckpt", "plain.pt", "plain.pkl", "program.pt2", "arrays.npz", "npz.pt"]
)
def test_a_payload_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, forced: str) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", forced)
    file, marker = tmp_path / name, tmp_path / "marker"
    content = {"state_dict": {"w": torch.zeros(2)}, "epoch": Payload(marker)}
    if name.startswith("plain"):
        file.write_bytes(pickle.dumps(content))
    elif name == "program.pt2":
        torch.export.save(torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),)), file)
        sneaked = tmp_path / "sneaked.pt"
        torch.save(Payload(marker), sneaked)
        _replace_member(file, "sample_inputs", sneaked.read_bytes())
    elif "npz" in name:
        with file.open("wb") as stream:
            np.savez(stream, w=np.array([Payload(marker)], dtype=object))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=name != "old.pt")
    with pytest.raises((UntrustedModelError, CheckpointError)) as error:
        read_weights(file)
    assert not marker.exists()
    assert error.value.exit_code in (1, 4)
    one_line(error)
    if "npz" not in name:
        assert isinstance(error.value, UntrustedModelError)


def test_the_payload_would_run_if_it_were_let(tmp_path: Path) -> None:
    """The control of the test above: its marker works."""
    file, marker = tmp_path / "p.pt", tmp_path / "marker"
    torch.save({"w": torch.zeros(2), "payload": Payload(marker)}, file)
    read_weights(file, trust=True)
    assert marker.exists()


def test_the_refusal_names_tier_reason_checksum_and_flag(tmp_path: Path) -> None:
    file = tmp_path / "whole.pt"
    torch.save(nn.Linear(2, 2), file)
    with pytest.raises(UntrustedModelError) as error:
        read_weights(file)
    text = one_line(error)
    assert "tier T2" in text
    assert "torch.nn.modules.linear.Linear" in text
    assert sha256_of(file) in text
    assert "--trust" in text
    assert "trust=True" in text
    assert error.value.exit_code == 4


def test_a_trusted_pickle_of_a_module_gives_the_module_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "whole.pt"
    linear = nn.Linear(2, 2)
    torch.save(linear, file)
    read = read_weights(file, trust=True)
    assert isinstance(read.module, nn.Linear)
    assert same(read.state, dict(linear.state_dict()))
    assert "without restriction, because trust was given" in read.notes[0]


def test_a_trusted_plain_pickle_is_opened_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "w.pkl"
    state = Net().state_dict()
    file.write_bytes(pickle.dumps({"model": state}))
    with pytest.raises(UntrustedModelError, match="tier T2"):
        read_weights(file)
    read = read_weights(file, trust=True)
    assert same(read.state, dict(state))
    assert "because trust was given" in read.notes[0]


@pytest.mark.parametrize("name", ["w.pt", "w.pkl"])
def test_a_trusted_pickle_of_what_cannot_be_imported_says_so_in_one_line(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    gone = types.ModuleType("gone_with_the_wind")
    gone.Settings = type("Settings", (), {"__module__": gone.__name__})  # type: ignore[attr-defined]
    sys.modules[gone.__name__] = gone
    try:
        content = {"settings": gone.Settings()}
        torch.save(content, file) if name == "w.pt" else file.write_bytes(pickle.dumps(content))
    finally:
        del sys.modules[gone.__name__]
    with pytest.raises(
        CheckpointError, match=r"cannot be unpickled \(ModuleNotFoundError: No module named 'gone_with"
    ) as error:
        read_weights(file, trust=True)
    one_line(error)


def test_trust_is_not_used_where_it_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "w.pt"
    torch.save({"state_dict": Net().state_dict(), "epoch": 3, "loss": 0.5, "sizes": torch.Size([1, 2])}, file)
    asked: list[object] = []
    load = torch.load
    monkeypatch.setattr(
        torch, "load", lambda *args, **more: (asked.append(more["weights_only"]), load(*args, **more))[1]
    )
    read_weights(file, trust=True)
    assert asked == [True]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", ["torchscript", "exported"])
def test_a_program_is_refused_and_with_trust_gives_only_its_weights(tmp_path: Path, kind: str) -> None:
    linear = nn.Linear(2, 3)
    file = tmp_path / ("p.pt" if kind == "torchscript" else "p.pt2")
    if kind == "torchscript":
        torch.jit.script(linear).save(file)
    else:
        torch.export.save(torch.export.export(linear, (torch.zeros(1, 2),)), file)
    with pytest.raises(UntrustedModelError, match="tier T2"):
        read_weights(file)
    read = read_weights(file, trust=True)
    assert same(read.state, dict(linear.state_dict()))
    assert "its code is not used" in read.notes[0]


@pytest.mark.parametrize("name", ["state_dict", "model_state_dict", "model", "net", "ema", "my_student"])
def test_weights_are_found_inside_a_training_checkpoint_and_that_is_said(tmp_path: Path, name: str) -> None:
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.zeros(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    file = tmp_path / "last.ckpt"
    torch.save(
        {"epoch": 4, "best": torch.tensor(0.5), "optimizer": optimizer.state_dict(), name: net.state_dict()}, file
    )
    if name == "my_student":  # beside a lone tensor an unknown name cannot be told from a name of a weight
        torch.save({"epoch": 4, "optimizer": optimizer.state_dict(), name: net.state_dict()}, file)
    read = read_weights(file)
    assert same(read.state, dict(net.state_dict()))
    assert f"found in {name!r}" in read.notes[0]
    assert "optimizer" in read.notes[0]


def test_a_file_without_tensors_says_what_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "w.pt"
    torch.save({"epoch": 3, "name": "x"}, file)
    with pytest.raises(CheckpointError, match="a dict with epoch, name, expected tensors by name"):
        read_weights(file)
    torch.save({}, file)
    with pytest.raises(CheckpointError, match="holds an empty dict, expected tensors by name"):
        read_weights(file)
    torch.save([1, 2], file)
    with pytest.raises(CheckpointError, match="holds a list, expected tensors by name"):
        read_weights(file)


def _replace_member(file: Path, part: str, content: bytes) -> None:
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, old in members.items():
            archive.writestr(name, content if part in name else old)
