import re

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from tests.methods.nets import net, pictures, seeded
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes
from pellucid.capture.fused import has_bfloat16
from pellucid.capture.scores import LOGITS, Score
from pellucid.capture.trials import Trials
from pellucid.errors import SettingError

MANY = "integrated-gradients(steps=16)"
needs_bfloat16 = pytest.mark.skipif(not has_bfloat16(torch.device("cpu")), reason="this processor has no bfloat16")


class Fickle(nn.Module):
    """Norms one item, and no more than one."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm, self.last = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.one(x)
        return self.last((self.norm(maps) if len(x) == 1 else maps).relu().mean((2, 3)))


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize("name", ["batch norm", "residual", "in-place"])
def test_a_fused_pass_gives_the_score_and_its_slope(name: str) -> None:
    module, x = net(name), pictures(3)
    scores = [Score(place=LOGITS, weights={2: 1.0})] * 3
    faster = passes.fused(module, x[:1], half=False)
    before = state_of(module)
    values, slopes = passes.score_of(module, x, scores, slope=True, faster=faster)
    expected, exact = passes.score_of(module, x, scores, slope=True)
    assert torch.allclose(values, expected, rtol=1e-5, atol=1e-6)
    assert slopes is not None
    assert exact is not None
    assert torch.allclose(slopes, exact, atol=1e-5)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert not module.training


@pytest.mark.parametrize("name", ["batch norm", "residual"])
def test_fused_explanations_are_the_same_and_say_so(name: str) -> None:
    plain, fused = (
        pellucid.explain(net(name), pictures(), method=MANY, precision=precision) for precision in ("float32", "fused")
    )
    assert np.abs(plain.values - fused.values).max() <= 1e-5 * np.abs(plain.values).max()
    assert (plain.precision, fused.precision) == ("float32", "float32, fused")


def test_what_goes_another_way_than_the_recorded_pass_is_run_as_it_is() -> None:
    plain, fused = (
        pellucid.explain(seeded(Fickle), pictures(), method=MANY, precision=precision)
        for precision in ("float32", "fused")
    )
    assert np.array_equal(plain.values, fused.values)
    assert fused.precision == "float32"
    assert "precision=fused: this model cannot be run in a faster form, so it was not" in fused.notes


def test_a_unit_whose_norm_would_be_folded_keeps_its_values() -> None:
    plain, fused = (
        pellucid.explain(net("batch norm"), pictures(), method=MANY, target="unit:'one'/3", precision=precision)
        for precision in ("float32", "fused")
    )
    assert np.allclose(plain.values, fused.values, atol=1e-6)
    assert plain.score == fused.score


@needs_bfloat16
@pytest.mark.parametrize("method", [MANY, "occlusion(window=4, stride=2)"])
def test_bfloat16_ranks_nearly_alike_and_says_how_far_it_is_off(method: str) -> None:
    plain, fast = (
        pellucid.explain(net("batch norm"), pictures(), method=method, precision=precision)
        for precision in ("float32", "fast")
    )
    assert fast.precision == "bfloat16"
    assert not np.array_equal(plain.values, fast.values)
    assert spearmanr(plain.values.ravel(), fast.values.ravel()).statistic >= 0.97
    assert any(note.startswith("computed in bfloat16: ") for note in fast.notes)


def test_a_processor_without_bfloat16_runs_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.capture.hastening.has_bfloat16", lambda device: False)
    made = pellucid.explain(net("batch norm"), pictures(), method=MANY, precision="fast")
    assert made.precision == "float32, fused"
    assert "precision=fast: this processor has no bfloat16, so passes were run in float32" in made.notes


@needs_bfloat16
def test_another_score_in_bfloat16_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.capture.hastening._NEAR", 0.0)
    made = pellucid.explain(net("batch norm"), pictures(), method=MANY, precision="fast")
    assert made.precision == "float32, fused"
    assert any(note.startswith("precision=fast: bfloat16 gave the score ") for note in made.notes)


@needs_bfloat16
def test_variants_that_bfloat16_cannot_tell_apart_are_run_in_float32() -> None:
    x = 1 + 1e-4 * pictures()
    method = "occlusion(window=4, stride=2, baseline=mean)"
    plain, fast = (
        pellucid.explain(net("batch norm"), x, method=method, precision=precision) for precision in ("float32", "fast")
    )
    assert np.allclose(plain.values, fast.values, atol=1e-6)
    assert fast.precision == "float32"
    assert "precision=fast: bfloat16 could not tell these variants apart, so they were run in float32" in fast.notes


def test_few_passes_and_finer_types_are_run_as_they_are() -> None:
    assert pellucid.explain(net("batch norm"), pictures(), method="saliency", precision="fast").precision == "float32"
    made = pellucid.explain(net("batch norm").double(), pictures().double(), method=MANY, precision="fast")
    assert "precision=fast is for models in float32; this one was run in its own type" in made.notes


def test_what_is_no_precision_is_refused() -> None:
    with pytest.raises(SettingError, match="precision is 'half', expected one of float32, fused, fast"):
        pellucid.explain(net("residual"), pictures(), precision="half")  # type: ignore[arg-type]


@needs_bfloat16
def test_slopes_unlike_those_in_float32_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.capture.hastening._ALIKE", 1.0)
    made = pellucid.explain(net("batch norm"), pictures(), method=MANY, precision="fast")
    assert made.precision == "float32, fused"
    assert any(re.match(r"precision=fast: slopes in bfloat16 correlate by [\d.]+ with float32", n) for n in made.notes)


@needs_bfloat16
def test_tiles_with_another_answer_in_bfloat16_are_run_in_float32_and_still_in_tiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def agrees(self: Trials, variant: Tensor, logits: Tensor, *, half: bool) -> bool:
        return not half

    monkeypatch.setattr(Trials, "_agrees", agrees)
    method = "occlusion(window=4, stride=2)"
    plain, fast = (
        pellucid.explain(net("batch norm"), pictures(), method=method, precision=precision)
        for precision in ("float32", "fast")
    )
    assert np.array_equal(plain.values, fast.values)
    assert fast.precision == "float32"
    said = "precision=fast: bfloat16 gave another answer to the first variant, so they were run in float32"
    assert said in fast.notes
    assert not any("whole pictures" in note for note in fast.notes)


@needs_bfloat16
def test_every_target_of_shared_windows_says_what_they_were_run_in() -> None:
    made = list(
        pellucid.explain_many(
            net("batch norm"),
            [pictures()],
            methods=["occlusion(window=4, stride=2)"],
            targets=["top:1-3"],
            precision="fast",
        )
    )
    assert [each.precision for each in made] == ["bfloat16"] * 3
    assert all(any(note.startswith("computed in bfloat16") for note in each.notes) for each in made)


def test_several_targets_that_share_slopes_say_that_they_are_run_as_the_model_is() -> None:
    made = list(
        pellucid.explain_many(net("batch norm"), [pictures()], methods=[MANY], targets=["top:1-2"], precision="fused")
    )
    for each in made:
        assert each.precision == "float32"
        assert "precision=fused: several targets share passes, which are run as the model is" in each.notes
