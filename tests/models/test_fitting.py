"""Weights go in where they fit; prefixes come off, and whatever does not fit is listed."""

import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pellucid.errors import CheckpointError
from pellucid.models.architecture import Architecture
from pellucid.models.checkpoints import Weights, read_weights
from pellucid.models.fitting import fit


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


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "model.", "_orig_mod.", "net.", "backbone.", "module._orig_mod.", "model.net.backbone."],
)
def test_prefixes_of_wrappers_come_off_and_the_mapping_is_noted(prefix: str) -> None:
    saved, fresh = Net(), Net()
    notes = fit(architecture(fresh), weights({prefix + name: tensor for name, tensor in saved.state_dict().items()}))
    assert same(dict(fresh.state_dict()), dict(saved.state_dict()))
    assert len(notes) == prefix.count(".")
    if prefix:
        assert f"{prefix}features.0.weight → " in notes[0]
        assert notes[-1].endswith("→ features.0.weight)")


@pytest.mark.parametrize("wrap", ["data parallel", "compiled"])
def test_wrappers_around_a_part_come_off(wrap: str) -> None:
    saved, fresh = Net(), Net()
    plain = dict(saved.state_dict())
    saved.features = (
        nn.DataParallel(saved.features) if wrap == "data parallel" else torch.compile(saved.features, backend="eager")
    )
    notes = fit(architecture(fresh), weights(dict(saved.state_dict())))
    assert same(dict(fresh.state_dict()), plain)
    assert "was stripped from 7 of 9 names" in notes[0]


def test_a_prefix_that_belongs_to_the_architecture_stays() -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = Net()

    saved, fresh = Wrapper(), Wrapper()
    assert fit(architecture(fresh), weights(dict(saved.state_dict()))) == ()
    assert same(dict(fresh.state_dict()), dict(saved.state_dict()))


def test_a_missing_weight_is_an_error_that_lists_it() -> None:
    state = dict(Net().state_dict())
    del state["features.0.weight"]
    with pytest.raises(
        CheckpointError, match=r"9 weights expected, 8 found, 1 are missing \(features.0.weight\)"
    ) as error:
        fit(architecture(Net()), weights(state))
    one_line(error)


def test_a_missing_counter_is_no_error() -> None:
    state = {name: tensor for name, tensor in Net().state_dict().items() if "num_batches" not in name}
    assert fit(architecture(Net()), weights(state)) == ()


def test_a_spare_head_is_listed_and_a_deeper_network_is_an_error() -> None:
    state = dict(Net().state_dict())
    notes = fit(architecture(Net()), weights({**state, "auxiliary.weight": torch.zeros(2)}))
    assert notes == ("1 weights of w.pt have no place in the model, not used: auxiliary.weight",)
    with pytest.raises(CheckpointError, match=r"1 are unexpected \(features.3.weight\)"):
        fit(architecture(Net()), weights({**state, "features.3.weight": torch.zeros(4, 4, 3, 3)}))
    deeper = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    with pytest.raises(CheckpointError, match="2 are unexpected"):
        fit(architecture(nn.Sequential(nn.Linear(2, 2))), weights(dict(deeper.state_dict())))


def test_another_number_of_classes_is_named_with_both_shapes_and_what_to_do() -> None:
    with pytest.raises(CheckpointError) as error:
        fit(architecture(Net(classes=3)), weights(dict(Net(classes=10).state_dict())))
    text = one_line(error)
    assert "fc.weight: 10×4 found, 3×4 expected" in text
    assert "give num_classes=10" in text


def test_another_architecture_is_named() -> None:
    with pytest.raises(CheckpointError, match="No name fits: it is the file of another architecture"):
        fit(architecture(Net()), weights(dict(nn.LSTM(2, 2).state_dict())))


def test_half_precision_is_said() -> None:
    saved, fresh = Net().half(), Net()
    notes = fit(architecture(fresh), weights(dict(saved.state_dict())))
    assert notes == ("weights are stored as float16 and used as float32",)
    assert torch.equal(fresh.fc.weight, saved.fc.weight.float())


def test_versions_of_modules_travel_with_their_names(tmp_path: Path) -> None:
    """Some modules rename old weights by the version in the file; a prefix must not lose it."""

    class Versioned(nn.Linear):
        _version = 2

        def _load_from_state_dict(self, state: Any, prefix: str, metadata: Any, *rest: Any) -> None:
            if metadata.get("version", 1) < 2:
                state[prefix + "weight"] = state.pop(prefix + "kernel")
            super()._load_from_state_dict(state, prefix, metadata, *rest)

    current, fresh = nn.Sequential(Versioned(2, 2)), nn.Sequential(Versioned(2, 2))
    file = tmp_path / "w.pt"
    wrapped = nn.DataParallel(current)
    torch.save(wrapped.state_dict(), file)
    fit(architecture(fresh), read_weights(file))
    assert same(dict(fresh.state_dict()), dict(current.state_dict()))
    old = OrderedDict([("0.kernel", torch.ones(2, 2)), ("0.bias", torch.zeros(2))])
    fit(architecture(fresh), weights(dict(old)))
    assert torch.equal(fresh.state_dict()["0.weight"], torch.ones(2, 2))


def test_real_files_fit_only_their_own_architecture(shared_data: Path) -> None:
    vision = pytest.importorskip("torchvision.models")
    squeeze = read_weights(shared_data / "models/squeezenet1_0/model.safetensors")
    assert fit(architecture(vision.squeezenet1_0()), squeeze) == ()
    with pytest.raises(CheckpointError, match="does not fit"):
        fit(architecture(vision.squeezenet1_1()), squeeze)
