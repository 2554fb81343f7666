"""torchvision and timm: their metadata, their caches, and never a download."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pellucid.errors import CheckpointError, MissingExtraError, ModelError
from pellucid.models.loading import load
from pellucid.models.model import Model
from pellucid.models.preprocessing import Preprocessing


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_torchvision_gives_metadata_and_the_real_file_fits(shared_data: Path) -> None:
    weights = shared_data / "models/squeezenet1_0/model.safetensors"
    model = load(f"torchvision/squeezenet1_0@{weights}")
    assert model.preprocessing == Preprocessing(
        resize=256,
        crop=224,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        source="the default weights' metadata",
    )
    assert model.class_name(281) == "tabby"
    assert any("default weights' metadata, and it is assumed that they fit" in note for note in model.notes)
    plain = load(f"{shared_data}/models/architectures.py:SqueezeNet", weights=weights, trust=True)
    picture = torch.rand(1, 3, 224, 224)
    assert torch.equal(model.module(picture), plain.module(picture))


def test_the_number_of_classes_is_that_of_the_file(shared_data: Path) -> None:
    weights = shared_data / "models/squeezenet1_0/model.safetensors"
    with pytest.raises(CheckpointError, match="give num_classes=1000"):
        load(f"torchvision/squeezenet1_0@{weights}", num_classes=10)
    with pytest.raises(CheckpointError, match="does not fit resnet18"):
        load(weights, architecture="torchvision/resnet18")


@pytest.mark.parametrize("name", ["torchvision/resnet18", "timm/resnet18"])
def test_random_weights_are_said_and_have_no_class_names(name: str) -> None:
    before = torch.get_rng_state()
    model = load(f"{name}@random")
    assert torch.equal(torch.get_rng_state(), before)
    assert any("weights are random" in note for note in model.notes)
    assert model.class_names is None
    assert model.source == f"{name}@random"
    assert load(f"{name}@random").weights_digest == model.weights_digest


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of torch.hub and of the Hugging Face hub without a file, and a network that fails the test."""
    from huggingface_hub import constants

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("pellucid must never use the network"))
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    return tmp_path


def test_weights_that_are_not_on_the_machine_are_named_and_never_fetched(empty_cache: Path) -> None:
    with pytest.raises(ModelError, match=r"resnet18-f37072fd\.pth in ") as error:
        load("torchvision/resnet18")
    assert str(empty_cache / "hub/checkpoints") in one_line(error)
    assert "torchvision/resnet18@FILE" in str(error.value)
    assert "torchvision/resnet18@random" in str(error.value)
    with pytest.raises(ModelError, match=r"model.safetensors of the hub's 'timm/resnet18.a1_in1k' in ") as error:
        load("timm/resnet18")
    assert str(empty_cache / "hf") in one_line(error)


def test_weights_in_torchs_cache_are_used_with_their_metadata(empty_cache: Path) -> None:
    made = load("torchvision/squeezenet1_1@random")
    torch.save(made.module.state_dict(), empty_cache / "hub/checkpoints/squeezenet1_1-b8a52dc0.pth")
    model = load("torchvision/squeezenet1_1")
    assert model.weights_digest == made.weights_digest
    assert model.preprocessing.source == "the weights' metadata"
    assert model.class_name(0) == "tench"
    assert model.source == "torchvision/squeezenet1_1"
    assert model.notes == ()


def test_weights_in_the_hubs_cache_are_used_with_their_metadata(empty_cache: Path) -> None:
    made = load("timm/test_resnet.r160_in1k@random")
    folder = empty_cache / "hf/models--timm--test_resnet.r160_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text("abc", encoding="utf-8")
    (folder / "snapshots/abc").mkdir(parents=True)
    save_file(made.module.state_dict(), folder / "snapshots/abc/model.safetensors")
    model = load("timm/test_resnet.r160_in1k")
    assert model.weights_digest == made.weights_digest
    assert (model.preprocessing.crop, model.preprocessing.resize) == (160, 168)
    assert model.preprocessing.source == "the weights' metadata"
    assert model.class_name(281) == "tabby"
    assert (model.class_name(638), model.class_name(639)) == ("maillot", "maillot, tank suit")


def test_old_names_of_a_published_densenet_are_understood(tmp_path: Path) -> None:
    made = load("torchvision/densenet121@random")
    old = {
        name.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): t
        for name, t in made.module.state_dict().items()
    }
    torch.save(old, tmp_path / "densenet121-a639ec97.pth")
    model = load(f"torchvision/densenet121@{tmp_path}/densenet121-a639ec97.pth")
    assert model.weights_digest == made.weights_digest
    assert any("older layout" in note for note in model.notes)


def test_timms_resize_is_the_share_of_the_crop_rounded_down() -> None:
    """The oracle is timm's own transform."""
    import timm
    from timm.data import create_transform, resolve_model_data_config

    module = timm.create_model("resnet18")
    steps = create_transform(**resolve_model_data_config(module)).transforms
    ours = load("timm/resnet18@random").preprocessing
    assert ours.resize == steps[0].size
    assert ours.crop == steps[1].size[0]
    assert ours.filter == steps[0].interpolation.value
    assert torch.allclose(torch.tensor(ours.mean), steps[3].mean)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision/resnet19", "no classifier 'resnet19'; did you mean 'resnet18'"),
        ("torchvision/zzz", "no classifier 'zzz'; it has alexnet"),
        ("torchvision/fasterrcnn_resnet50_fpn", "is no plain classifier"),
        ("timm/resnet19", "no model 'resnet19'; did you mean"),
        ("timm/resnet18.a1_in2k", "no weights 'a1_in2k'; did you mean 'a1_in1k'"),
    ],
)
def test_an_unknown_name_in_a_library_gets_the_nearest(name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as error:
        load(f"{name}@random")
    one_line(error)


def test_a_torchvision_that_does_not_go_with_torch_says_what_to_install() -> None:
    """In a process of its own: here torchvision was helped to load."""
    code = (
        "import sys\nfrom pellucid.models.loading import load\n"
        "for name in ('torchvision/resnet18@random', 'timm/resnet18@random'):\n"
        "    try: load(name); print('loaded')\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ})
    assert made.returncode == 0, made.stderr
    for line in made.stdout.splitlines():
        assert line == "loaded" or ("ModelError" in line and "pip install --force-reinstall" in line)
    assert len(made.stdout.splitlines()) == 2


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_missing_library_is_named_with_the_install_line(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    from pellucid.models import timm_models, torchvision_models

    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setitem(sys.modules, f"{library}.models", None)
    timm_models._timm.cache_clear()
    torchvision_models._torchvision_models.cache_clear()
    with pytest.raises(MissingExtraError, match=rf"needs {library}.* pip install 'pellucid\[models\]'"):
        load(f"{library}/resnet18@random")


def test_what_is_loaded_is_a_model() -> None:
    assert isinstance(load("xai"), Model)
