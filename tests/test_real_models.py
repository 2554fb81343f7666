"""Real networks on real photographs: the whole chain against plain PyTorch."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

import pellucid
from pellucid.models.preprocessing import Preprocessing

NAMES = ("squeezenet1_0", "mobilenet_v2", "resnet20_cifar10", "resnet56_cifar10")


@pytest.fixture(scope="module")
def architectures(shared_data: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("shared_architectures", shared_data / "models" / "architectures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


def loaded(name: str, shared_data: Path, architectures: ModuleType) -> pellucid.Model:
    build, prep, _ = architectures.MODELS[name]
    preprocessing = Preprocessing(resize=prep.resize, crop=prep.crop, mean=prep.mean, std=prep.std, source="flags")
    folder = shared_data / "models" / name
    return pellucid.load(
        folder / "model.safetensors",
        architecture=build(),
        preprocessing=preprocessing,
        class_names=folder / "labels.json",
    )


def photographs(name: str, shared_data: Path, architectures: ModuleType) -> tuple[list[Path], dict[str, dict]]:
    folder = shared_data / "images" / architectures.MODELS[name][2]
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    step = max(1, len(labels) // 10)
    return [folder / file for file in list(labels)[::step][:10]], labels


def plain_hooks(module: nn.Module, batch: Tensor) -> dict[str, Tensor]:
    """What every leaf returned at its last call, copied at once."""
    kept: dict[str, Tensor] = {}
    handles = [
        part.register_forward_hook(lambda _m, _i, out, name=path: kept.__setitem__(name, out.clone()))
        for path, part in module.named_modules()
        if not list(part.children())
    ]
    with torch.no_grad():
        module(batch)
    for handle in handles:
        handle.remove()
    return kept


@pytest.mark.parametrize("name", NAMES)
def test_predictions_on_ten_photographs_equal_plain_pytorch(
    name: str, shared_data: Path, architectures: ModuleType
) -> None:
    model = loaded(name, shared_data, architectures)
    files, labels = photographs(name, shared_data, architectures)
    assert len(files) == 10
    for file in files:
        why = pellucid.explain(model, file, method="saliency")
        with torch.no_grad():
            logits = model.module.eval()(model.tensor([pellucid.read(file)]))[0]
        assert torch.allclose(torch.tensor(why.logits), logits, rtol=1e-5, atol=1e-5)
        assert why.target.classes == (int(logits.argmax()),)
        if name in labels[file.name]:
            assert why.target.classes[0] == labels[file.name][name]["class_index"]


@pytest.mark.parametrize("name", NAMES)
def test_all_leaf_sites_equal_plain_hooks_to_the_bit(name: str, shared_data: Path, architectures: ModuleType) -> None:
    model = loaded(name, shared_data, architectures)
    model.module.eval()
    files, _ = photographs(name, shared_data, architectures)
    for file in files[:3]:
        batch = model.tensor([pellucid.read(file)])
        expected = plain_hooks(model.module, batch)
        trace = pellucid.trace(model, file)
        assert all(path in trace for path in expected)
        assert all(torch.equal(trace[path].values, values) for path, values in expected.items())
        with torch.no_grad():
            assert torch.equal(trace.output, model.module(batch))
