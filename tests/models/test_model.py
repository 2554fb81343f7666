"""A `Model`: what it says about itself, and how pictures become its input."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.errors import InputError
from pellucid.inputs.reading import read
from pellucid.models.model import Model
from pellucid.models.preprocessing import Preprocessing


def model(module: nn.Module | None = None, **more: object) -> Model:
    settings = {
        "preprocessing": Preprocessing(resize=8, crop=8),
        "class_names": ("cat", "dog"),
        "source": "test",
    } | more
    return Model(module=module or nn.Linear(2, 2), name="test", **settings)  # type: ignore[arg-type]


def picture(height: int, width: int) -> object:
    return read(np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_the_module_is_the_very_object_and_cannot_be_exchanged() -> None:
    module = nn.Linear(2, 2)
    wrapped = model(module)
    assert wrapped.module is module
    with pytest.raises(dataclasses.FrozenInstanceError):
        wrapped.module = nn.Linear(2, 2)  # type: ignore[misc]


def test_pictures_of_different_sizes_are_stacked_as_each_is_prepared_alone() -> None:
    wrapped = model()
    pictures = [picture(10, 20), picture(30, 9), picture(8, 8)]
    batch = wrapped.tensor(pictures)  # type: ignore[arg-type]
    assert batch.shape == (3, 3, 8, 8)
    assert batch.dtype == torch.float32
    for row, one in zip(batch, pictures, strict=True):
        assert np.array_equal(row.numpy(), wrapped.preprocessing.prepare(one))  # type: ignore[arg-type]


def test_pictures_that_do_not_come_out_at_one_size_are_refused_by_name() -> None:
    wrapped = model(preprocessing=Preprocessing(resize=8, crop=None))
    with pytest.raises(InputError, match=r"is 16×8 after preprocessing and .* is 8×8, expected one size in a batch"):
        wrapped.tensor([picture(8, 8), picture(10, 20)])  # type: ignore[list-item]
    with pytest.raises(InputError, match="no picture"):
        wrapped.tensor([])


def test_a_class_without_a_name_is_called_by_its_number() -> None:
    assert model().class_name(1) == "dog"
    assert model().class_name(2) == "class 2"
    assert model().class_name(-1) == "class -1"
    assert model(class_names=None).class_name(7) == "class 7"


def test_the_digest_depends_on_every_name_value_shape_and_type() -> None:
    def digest(change: object = None) -> str:
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        if callable(change):
            module = change(module) or module
        return model(module).weights_digest

    def renamed(module: nn.Module) -> nn.Module:
        return nn.Sequential(nn.Identity(), *module)

    def nudged(module: nn.Module) -> None:
        module[0].bias.data[1] += 1e-6  # type: ignore[index]

    def counted(module: nn.Module) -> None:
        module[1].num_batches_tracked += 1  # type: ignore[index]

    def reshaped(module: nn.Module) -> None:
        module[0].weight.data = module[0].weight.data.reshape(1, 4)  # type: ignore[index]

    digests = [
        digest(),
        digest(renamed),
        digest(nudged),
        digest(counted),
        digest(reshaped),
        digest(lambda m: m.double()),
    ]
    assert len(set(digests)) == len(digests)
    assert digest() == digests[0]
    assert len(digests[0]) == 64


def test_the_digest_sees_values_and_not_how_they_lie_in_memory() -> None:
    torch.manual_seed(0)
    module = nn.Conv2d(3, 4, 3)
    before = model(module).weights_digest
    assert model(module.to(memory_format=torch.channels_last)).weights_digest == before


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.complex64, torch.bool, torch.int8])
def test_every_type_of_tensor_has_a_digest(dtype: torch.dtype) -> None:
    module = nn.Module()
    module.register_buffer("table", torch.ones(3, 2).to(dtype))
    module.register_buffer("empty", torch.ones(0).to(dtype))
    module.register_buffer("hidden", torch.tensor(1).to(dtype), persistent=False)
    first = model(module).weights_digest
    module.hidden = torch.tensor(0).to(dtype)
    assert model(module).weights_digest != first


def test_a_model_without_weights_is_on_the_cpu_and_has_a_digest() -> None:
    wrapped = model(nn.ReLU())
    assert wrapped.device == torch.device("cpu")
    assert len(wrapped.weights_digest) == 64


def test_the_device_is_that_of_the_weights() -> None:
    assert model(nn.Linear(2, 2, device="meta")).device == torch.device("meta")


def test_the_repr_says_what_it_is() -> None:
    assert repr(model()) == "Model('test', Linear, 6 parameters, 2 classes, cpu)"
    assert repr(model(class_names=None, notes=("a", "b"))) == (
        "Model('test', Linear, 6 parameters, classes unnamed, cpu, 2 notes)"
    )
