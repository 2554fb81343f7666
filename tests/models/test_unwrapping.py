"""Modules from the user: never changed, looked through where they are wrapped, refused where they hide their inside."""

from typing import Any

import pytest
import torch
from torch import nn

from pellucid.errors import ModelError, SettingError
from pellucid.models.loading import load

QUIET = "ignore:.*torch.jit:DeprecationWarning"


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


def test_a_module_is_neither_copied_nor_changed() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout()).train()
    before = snapshot(module)
    model = load(module)
    assert model.module is module
    assert snapshot(module) == before
    assert model.name == model.source == "Sequential"


def test_a_model_passes_through_and_takes_new_names() -> None:
    model = load(nn.Linear(2, 2))
    assert load(model) is model
    named = load(model, class_names=["cat", "dog"])
    assert named.class_names == ("cat", "dog")
    assert named.module is model.module
    with pytest.raises(SettingError, match="not yet a model"):
        load(model, num_classes=3)


def test_wrappers_of_a_module_are_looked_through_and_that_is_noted() -> None:
    inner = nn.Linear(2, 2)
    wrapped = torch.compile(nn.DataParallel(inner), backend="eager")
    model = load(wrapped)  # type: ignore[arg-type]
    assert model.module is inner
    assert "torch.compile was looked through" in model.notes[0]
    assert "DataParallel was looked through" in model.notes[1]


class Quantised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.ao.nn.quantized.dynamic.Linear(2, 2)


def exported() -> nn.Module:
    return torch.export.export(nn.Linear(2, 2), (torch.zeros(1, 2),)).module()


def compiled_in_place() -> nn.Module:
    module = nn.Sequential(nn.Linear(2, 2))
    module[0].compile(backend="eager")
    return module


def replicated() -> nn.Module:
    parallel = nn.DataParallel(nn.Linear(2, 2))
    parallel.device_ids = [0, 1]
    return nn.Sequential(parallel)


@pytest.mark.filterwarnings(QUIET)
@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: torch.jit.script(nn.Linear(2, 2)), "is a TorchScript module"),
        (lambda: nn.Sequential(torch.jit.script(nn.Linear(2, 2))), "its part '0' is a TorchScript module"),
        (lambda: nn.Linear(2, 2, device="meta"), "'weight' is on the meta device"),
        (lambda: nn.LazyLinear(2), "'weight' has no shape yet"),
        (Quantised, "its part 'fc' is quantised"),
        (exported, "comes from torch.export"),
        (compiled_in_place, "its part '0' is compiled"),
        (lambda: nn.Sequential(torch.compile(nn.Linear(2, 2), backend="eager")), "its part '0' is compiled"),
        (replicated, "its part '0' is DataParallel over several devices"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*Lazy modules:UserWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_a_module_whose_inside_is_hidden_is_refused_by_name_with_the_next_step(build: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message) as error:
        load(build())
    text = one_line(error)
    assert any(
        advice in text for advice in ("pass the", "load the weights", "run one picture", "build the model again")
    )


def test_what_is_no_module_is_refused_with_what_to_do() -> None:
    with pytest.raises(ModelError, match=r"Linear is a class, expected an instance; call it: load\(Linear\(\)\)"):
        load(nn.Linear)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="a state_dict was given"):
        load(nn.Linear(2, 2).state_dict())  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="int is no model"):
        load(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_named(value: float) -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.BatchNorm1d(2))
    assert not any("finite" in note for note in load(module).notes)
    module[2].running_var.data[0] = value
    assert "the buffer '2.running_var' is not finite: 1 of 2 values" in load(module).notes[-1]
    module[1].weight.data[0] = value
    assert "the weight '1.weight' is not finite: 2 of 4 values" in load(module).notes[-1]
