"""What every method keeps to, on every tiny network: a new method gets these tests by registering itself."""

import contextlib
import gc
import re
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.methods.nets import NETS, SHAPE, Net, image, model, net, pictures, state_of
from torch import Tensor, nn

import pellucid
from pellucid import Explanation, archive
from pellucid.errors import ArchiveError, MethodError, ModelError, NotFiniteError, SettingError
from pellucid.methods.catalogue import METHODS, build, method_from, name_of, settings_of, text_of

pytestmark = pytest.mark.parametrize("method", list(METHODS))

QUICK = {
    "integrated-gradients": "integrated-gradients(steps=4)",
    "conductance": "conductance(steps=4)",
    "occlusion": "occlusion(window=4, stride=3)",
    "smooth-grad": "smooth-grad(samples=4)",
    "expected-gradients": "expected-gradients(samples=4)",
    "gradient-shap": "gradient-shap(samples=4)",
    "feature-ablation": "feature-ablation(segments=grid:4)",
    "rise": "rise(masks=8, cells=3)",
    "lime": "lime(samples=20, segments=grid:3)",
    "kernel-shap": "kernel-shap(samples=40, segments=grid:3)",
    "shapley": "shapley(permutations=4, segments=grid:3)",
    "extremal-perturbation": "extremal-perturbation(steps=4, cells=4)",
    "sufficient-region": "sufficient-region(segments=grid:3)",
    "necessary-region": "necessary-region(segments=grid:3)",
}
"""Settings that cost less where it does not matter which are tested; methods that are not named run as they are."""

SEARCHES = {"sufficient-region", "necessary-region"}
"""They stop when they have found what they search, so that an item costs what the longest search of its batch costs."""


REFUSES = {"cam": ("shared", "functional")}
"""Networks that a method refuses by name, since it is not defined there."""

OF_ACTIVATIONS = ("eigen-cam", "score-cam")
"""Methods whose values are activations: they are 0 where all activations are, not where the score is constant."""


def refused(method: str, name: str, x: Tensor) -> bool:
    """Whether a method refuses a network; where it does, by its own name."""
    if name not in REFUSES.get(method, ()):
        return False
    with pytest.raises(MethodError, match=rf"^{re.escape(method)} .*; use "):
        pellucid.explain(net(name), x[:1], method=quick(method))
    return True


def quick(method: str) -> str:
    return QUICK.get(method, method)


def close(one: pellucid.Explanation, other: pellucid.Explanation) -> bool:
    """Whether values agree; differences of scores are no more exact than the scores themselves."""
    a, b = one.values, other.values
    atol = 1e-5 * max(float(np.abs(b).max()), 1e-6) + 1e-6 * abs(other.score)
    return bool(np.allclose(a, b, rtol=1e-4, atol=atol))


@pytest.mark.parametrize("name", NETS)
def test_the_model_is_bit_identical_afterwards(method: str, name: str) -> None:
    module, x = net(name), pictures()
    before, given = state_of(module), x.clone()
    with pytest.raises(MethodError) if refused(method, name, x) else contextlib.nullcontext():
        pellucid.explain(module, x, method=quick(method))
    assert state_of(module) == before
    assert torch.equal(x, given)


@pytest.mark.parametrize("name", NETS)
def test_a_batch_gives_what_one_by_one_gives(method: str, name: str) -> None:
    module, x = net(name), pictures(3) * torch.tensor([1.0, 100.0, 0.01])[:, None, None, None]
    if refused(method, name, x):
        return
    together = list(pellucid.explain_many(module, [x], methods=[quick(method)]))
    alone = [pellucid.explain(module, x[i : i + 1], method=quick(method)) for i in range(3)]
    assert len(together) == 3
    for one, other in zip(together, alone, strict=True):
        assert close(one, other)
        assert one.input_digest == other.input_digest
        assert one.target == other.target


class Bomb(nn.Module):
    """Raises at its k-th call."""

    def __init__(self, error: BaseException, armed: bool = True) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: Tensor) -> Tensor:
        raise self.error


@pytest.mark.parametrize("layer", range(5))
@pytest.mark.parametrize("error", [RuntimeError("boom"), ZeroDivisionError("boom"), KeyboardInterrupt()], ids=repr)
def test_the_model_is_bit_identical_after_an_exception_at_layer_k(
    method: str, layer: int, error: BaseException
) -> None:
    layers: list[nn.Module] = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5)]
    layers.insert(layer, Bomb(error))
    module = nn.Sequential(*layers).train()
    before = state_of(module)
    with pytest.raises(ModelError if isinstance(error, Exception) else KeyboardInterrupt) as caught:
        pellucid.explain(module, pictures(), method=quick(method))
    assert state_of(module) == before
    if isinstance(error, Exception):
        assert f"the model stopped at site '{layer}'" in str(caught.value)


def test_the_same_seed_gives_the_same_explanation(method: str) -> None:
    module, x = net("residual"), pictures()
    first = pellucid.explain(module, x, method=quick(method), seed=3)
    assert first.same_as(pellucid.explain(module, x, method=quick(method), seed=3))


def test_another_call_does_not_alter_the_first_result(method: str) -> None:
    module, x = net("in-place"), pictures()
    first = pellucid.explain(module, x, method=quick(method))
    kept = {name: array.copy() for name, array in first.to_record()[1].items()}
    list(pellucid.explain_many(module, [x, pictures(seed=9)], methods=[quick(method)], targets=["top:1", "class:0"]))
    assert all(np.array_equal(array, kept[name]) for name, array in first.to_record()[1].items())


def test_the_target_changes_what_is_explained(method: str) -> None:
    module, x = net("batch norm"), pictures()
    one, other = pellucid.explain_many(module, [x], methods=[quick(method)], targets=["class:0", "class:1"])
    assert one.score != other.score
    assert not one.same_as(other)


def test_a_saved_explanation_comes_back_whole(method: str, tmp_path: Path) -> None:
    made = pellucid.explain(model(net("log-softmax")), image(), method=quick(method))
    back = Explanation.load(made.save(tmp_path / "why"))
    assert back.same_as(made)
    assert np.array_equal(back.values, made.values)
    assert back.parts[0].box == made.parts[0].box
    assert (back.notes, back.settings, back.target) == (made.notes, made.settings, made.target)
    assert (back.cost, back.versions, back.seed, back.score) == (made.cost, made.versions, made.seed, made.score)
    assert back.checks == pytest.approx(made.checks, rel=0, abs=0, nan_ok=True)
    assert back.subject is not None
    assert made.subject is not None
    assert back.subject.geometry == made.subject.geometry
    assert np.array_equal(back.subject.pixels, made.subject.pixels)
    assert repr(back) == repr(made)


def test_damaged_files_are_refused(method: str, tmp_path: Path) -> None:
    made = pellucid.explain(net("batch norm"), pictures(), method=quick(method))
    record, arrays = tmp_path / "why.json", tmp_path / "why.safetensors"
    made.save(tmp_path / "why")
    whole, numbers = record.read_text(), arrays.read_bytes()
    arrays.write_bytes(numbers[:-1] + bytes([numbers[-1] ^ 1]))
    with pytest.raises(ArchiveError, match=r"does not belong to why\.json or is damaged"):
        Explanation.load(tmp_path / "why")
    arrays.write_bytes(numbers)
    for damaged in (
        whole[: len(whole) // 2],
        "",
        "[]",
        whole.replace('"pellucid": "explanation"', '"pellucid": "trace"'),
    ):
        record.write_text(damaged)
        with pytest.raises(ArchiveError):
            Explanation.load(tmp_path / "why")
    for field in ("target", "parts", "score", "cost", "checks"):
        record.write_text(whole.replace(f'"{field}":', f'"no {field}":'))
        with pytest.raises(ArchiveError, match="is no complete explanation"):
            Explanation.load(tmp_path / "why")
    record.unlink()
    with pytest.raises(ArchiveError, match="is missing"):
        Explanation.load(tmp_path / "why")


def test_nan_in_a_weight_names_the_first_site(method: str) -> None:
    module = net("in-place")
    module.two.weight.data[0, 0, 0, 0] = torch.nan  # type: ignore[union-attr, index]
    before = state_of(module)
    with pytest.raises(NotFiniteError, match=r"NaN or infinite at site 'two': its weight 'two.weight' is not finite"):
        pellucid.explain(module, pictures(), method=quick(method))
    assert state_of(module) == before


def test_nan_in_the_input_is_refused(method: str) -> None:
    with pytest.raises(NotFiniteError, match="the prepared picture has NaN"):
        pellucid.explain(net("residual"), torch.full((1, *SHAPE), torch.inf), method=quick(method))


def test_a_zero_attribution_is_flagged_flat_and_stays_zero(method: str) -> None:
    module = net("residual")
    for parameter in module.parameters() if method in OF_ACTIVATIONS else [module.last.weight]:
        parameter.data.zero_()  # type: ignore[union-attr, operator]
    made = pellucid.explain(module, pictures(), method=quick(method))
    assert not made.values.any()
    assert "flat (range 0)" in made.notes
    assert "flat (range 0)" in repr(made)
    assert any("flat (range 0)" in flag for flag in made.draw().legend["flags"])


def test_what_is_handed_out_cannot_be_written_to(method: str) -> None:
    made = pellucid.explain(model(net("frozen")), image(), method=quick(method))
    assert made.subject is not None
    for array in (made.values, made.logits, made.subject.pixels):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
        assert array.base is None  # nobody else holds a writable view of the same memory
    with pytest.raises(AttributeError):
        made.score = 1.0  # type: ignore[misc]


def test_an_explanation_holds_no_tensor_and_lets_the_model_go(method: str) -> None:
    module = net("batch norm")
    made = pellucid.explain(module, pictures(), method=quick(method))
    held = [value for value in everything(made) if isinstance(value, Tensor | nn.Module)]
    assert held == []
    gone = weakref.ref(module)
    del module
    gc.collect()
    assert gone() is None


def everything(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, dict):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        parts = list(value)
    else:
        names = getattr(type(value), "__slots__", ())
        parts = [getattr(value, name) for name in names if hasattr(value, name)]
    for part in parts:
        yield from everything(part)


def test_the_text_form_names_the_same_method(method: str) -> None:
    plain = build(method, {})
    assert text_of(plain) == method
    assert method_from(method) == plain
    assert method_from(plain) is plain
    assert name_of(plain) == method
    assert build(method, settings_of(plain)) == plain
    assert archive.dump_json(settings_of(plain))


def test_unknown_settings_are_refused_in_one_sentence(method: str) -> None:
    with pytest.raises(SettingError, match=r"^setting is 'sitee', expected .*\.$"):
        method_from(f"{method}(sitee=1)")


def test_the_cost_is_that_of_one_item(method: str) -> None:
    module = net("residual")
    if method in SEARCHES:
        x = pictures(3)
        searches = [pellucid.explain(module, x[i : i + 1], method=quick(method)).cost.forwards for i in range(3)]
        for made in pellucid.explain_many(module, [x], methods=[quick(method)]):
            assert made.cost.forwards == max(searches)
        return
    alone = pellucid.explain(module, pictures(), method=quick(method)).cost
    for made in pellucid.explain_many(module, [pictures(3)], methods=[quick(method)], targets=["class:0", "class:1"]):
        assert (made.cost.forwards, made.cost.backwards) == (alone.forwards, alone.backwards)
        assert made.cost.seconds > 0
        assert made.cost.device == "cpu"


def test_a_float64_model_is_explained_in_float64(method: str) -> None:
    made = pellucid.explain(Net().double(), pictures().double(), method=quick(method))
    assert made.precision == "float64"
    assert made.values.dtype == np.float64
