"""`pellucid.load`: every form of a source, what it notes, and what it refuses."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pellucid.errors import CheckpointError, ModelError, SettingError, UntrustedModelError
from pellucid.models.loading import list_models, load
from pellucid.models.preprocessing import Preprocessing
from pellucid.models.sources import parse
from pellucid.models.xai_cnn import XAI


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def snapshot(module: nn.Module) -> list[object]:
    return [
        [(name, id(part), part.training, dict(part._forward_hooks)) for name, part in module.named_modules()],
        [
            (name, id(tensor), tensor._version, tensor.requires_grad)
            for name, tensor in module.state_dict(keep_vars=True).items()
        ],
        torch.get_rng_state().tolist(),
    ]


@pytest.mark.parametrize("name", ["animals", "animals-shortcut"])
def test_a_bundled_model_brings_its_weights_preprocessing_and_names(name: str) -> None:
    model = load(name)
    assert isinstance(model.module, XAI)
    assert model.class_names == tuple(model.card["class_names"])
    described = {name: value for name, value in model.preprocessing.to_record().items() if name != "source"}
    assert described == {name: value for name, value in model.card["preprocessing"].items() if name != "source"}
    assert model.name == model.source == name
    assert not any("random" in note or "assumed" in note for note in model.notes)
    assert model.weights_digest == load(name).weights_digest


def test_the_list_names_what_load_knows_by_itself() -> None:
    listed = list_models()
    assert {"animals", "animals-shortcut", "karate", "xai"} == set(listed)
    assert all(isinstance(line, str) and line and "\n" not in line for line in listed.values())


def test_the_seed_network_says_that_its_weights_are_random_and_leaves_the_generators_alone() -> None:
    before = torch.get_rng_state(), random.getstate()
    model = load("xai", num_classes=5)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert any("weights are random" in note for note in model.notes)
    assert model.class_names is None
    assert model.module.classifier[5].out_features == 5  # type: ignore[union-attr,index]
    assert not model.module.training
    first = load("xai").weights_digest
    with torch.random.fork_rng():
        torch.manual_seed(7)
        assert load("xai@random").weights_digest == first


def test_weights_of_the_seed_network_say_its_width_and_classes(tmp_path: Path) -> None:
    file = tmp_path / "textbook.pt"
    trained = XAI(num_classes=3, width=4)
    torch.save({"model": nn.DataParallel(trained).state_dict()}, file)
    model = load(f"xai@{file}", class_names=["a", "b", "c"])
    picture = torch.rand(2, 3, 100, 100)
    assert torch.equal(model.module(picture), trained.eval()(picture))
    assert model.source == "xai@textbook.pt"
    assert any("'module.' was stripped" in note for note in model.notes)


@pytest.mark.parametrize("name", ["animasl", "resnet18", "", "timm/", "net.py", "net.py:"])
def test_an_unknown_name_says_which_forms_there_are(name: str) -> None:
    with pytest.raises(ModelError) as error:
        load(name)
    text = one_line(error)
    if name == "animasl":
        assert "did you mean 'animals'?" in text
    if name.startswith("net.py"):
        assert "net.py:build" in text
    elif name != "timm/":
        assert "torchvision/NAME" in text


def test_sources_are_taken_apart_and_shown_without_folders() -> None:
    shown = {
        "animals": "animals",
        "timm/resnet18.a1_in1k@/secret/w.pt": "timm/resnet18.a1_in1k@w.pt",
        "torchvision/vgg16@random": "torchvision/vgg16@random",
        "/secret/net.py:build": "net.py:build",
        "/secret/net.py:make.small@/secret/w.ckpt": "net.py:make.small@w.ckpt",
        "/secret/w.safetensors": "w.safetensors",
    }
    assert {text: parse(text).shown for text in shown} == shown
    assert parse(Path("animals")).kind == "file"
    assert parse(Path("a/net.py:build")).kind == "code"


def test_a_weights_file_asks_for_its_architecture(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=r"holds 1 tensor but not the network .* 'net.py:build'"):
        load(tmp_path / "w.safetensors")


def test_weights_go_into_a_copy_of_a_module(tmp_path: Path) -> None:
    saved, mine = nn.Linear(2, 2), nn.Linear(2, 2).train()
    before = snapshot(mine)
    save_file(saved.state_dict(), tmp_path / "w.safetensors")
    for model in (load(tmp_path / "w.safetensors", architecture=mine), load(mine, weights=tmp_path / "w.safetensors")):
        assert model.module is not mine
        assert torch.equal(model.module.weight, saved.weight)  # type: ignore[arg-type]
        assert any("into a copy" in note for note in model.notes)
        assert model.source == "Linear@w.safetensors"
    assert snapshot(mine) == before


def test_a_python_file_and_a_weights_file_go_together(shared_data: Path) -> None:
    folder = shared_data / "models"
    weights = folder / "squeezenet1_0/model.safetensors"
    build = f"{folder / 'architectures.py'}:SqueezeNet"
    with pytest.raises(UntrustedModelError):
        load(weights, architecture=build)
    models = [
        load(weights, architecture=build, trust=True, class_names=folder / "squeezenet1_0/labels.json"),
        load(build, weights=weights, trust=True),
        load(f"{build}@{weights}", trust=True),
    ]
    assert models[0].class_name(281) == "tabby"
    assert len({model.weights_digest for model in models}) == 1
    assert {model.source for model in models} == {"architectures.py:SqueezeNet@model.safetensors"}
    expected = load_file(weights)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in models[0].module.state_dict().items())


def test_a_file_of_a_deeper_network_is_refused(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "models"
    small = tmp_path / "net.py"
    code = (folder / "architectures.py").read_text(encoding="utf-8")
    small.write_text(f"{code}\ndef build(): return CifarResNet(3)\n", encoding="utf-8")
    load(folder / "resnet20_cifar10/model.safetensors", architecture=f"{small}:build", trust=True)
    with pytest.raises(CheckpointError, match=r"are unexpected \(layer1.3"):
        load(folder / "resnet56_cifar10/model.safetensors", architecture=f"{small}:build", trust=True)


def test_a_trusted_pickle_of_a_module_needs_no_architecture(tmp_path: Path) -> None:
    file = tmp_path / "whole.pt"
    torch.save(nn.Linear(2, 2), file)
    with pytest.raises(UntrustedModelError):
        load(file)
    model = load(str(file), trust=True)
    assert isinstance(model.module, nn.Linear)
    assert any("without restriction" in note for note in model.notes)


@pytest.mark.parametrize(
    ("source", "more", "message"),
    [
        ("xai", {"architecture": "xai"}, "architecture is 'xai', expected nothing"),
        ("xai@w.pt", {"weights": "v.pt"}, "since 'xai@w.pt' names them already"),
        ("animals@random", {}, "weights is 'random'"),
        ("w.pt", {"weights": "v.pt"}, "weights is 'v.pt', expected nothing"),
        ("animals", {"num_classes": 3}, "num_classes is 3"),
        ("xai", {"weights": 3}, "weights is 'int', expected a path"),
        (nn.Linear(2, 2), {"num_classes": 3}, "num_classes is 3"),
        (nn.Linear(2, 2), {"weights": "random"}, "weights is 'random'"),
        (nn.Linear(2, 2), {"device": "cuda:77"}, "device is 'cuda:77'"),
        (nn.Linear(2, 2), {"device": "tpu9"}, "device is 'tpu9', expected a device of torch"),
        (nn.Linear(2, 2), {"device": "meta"}, "device is 'meta'"),
    ],
)
def test_settings_that_make_no_sense_together_are_refused(source: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message) as error:
        load(source, **more)
    assert error.value.exit_code == 2
    one_line(error)


@pytest.mark.parametrize("architecture", [nn.Linear, 3, "other.pt", "torchvision/resnet18@w.pt"])
def test_an_architecture_is_a_module_or_what_builds_one(tmp_path: Path, architecture: Any) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(SettingError, match="architecture is"):
        load(tmp_path / "w.safetensors", architecture=architecture)


def test_class_names_are_counted_only_against_what_is_known() -> None:
    with pytest.raises(ModelError, match="3 class names were given, expected 2"):
        load("xai", class_names=["a", "b", "c"])
    assert load(nn.Linear(2, 2), class_names=["a", "b", "c"]).class_names == ("a", "b", "c")


def test_the_preprocessing_is_said_to_be_assumed_unless_it_is_given() -> None:
    assumed = load(nn.Linear(2, 2))
    assert assumed.preprocessing == Preprocessing.assumed()
    assert "so it was assumed" in assumed.notes[-1]
    given = load(nn.Linear(2, 2), preprocessing=Preprocessing(resize=7))
    assert given.preprocessing == Preprocessing(resize=7)
    assert given.notes == ()
    other = load("animals", preprocessing=Preprocessing(resize=7))
    assert "the preprocessing is as you said" in other.notes[-1]


def test_a_device_is_where_the_model_goes_but_never_where_a_users_module_is_moved() -> None:
    assert load("xai", device=torch.device("cpu")).device == torch.device("cpu")
    module = nn.Linear(2, 2)
    assert load(module, device="cpu").module is module
