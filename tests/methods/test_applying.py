"""Several methods for a comparison: what is named must apply, what `all` adds may be left out with a reason."""

import pytest
from tests.methods.test_usual import activated, dense, image, model
from torch import nn

import pellucid
from pellucid.errors import MethodError, SettingError, TargetError
from pellucid.inputs.image import Image
from pellucid.methods.applying import chosen_methods, explain_by_each, settings_that_differ
from pellucid.methods.catalogue import METHODS, name_of, text_of
from pellucid.methods.gradients import Saliency

__all__ = ["image"]


def test_all_stands_for_every_method_that_is_not_named() -> None:
    chosen = chosen_methods(["occlusion(window=4, stride=4)", "all", Saliency()])
    assert [text_of(each.method) for each in chosen if each.named] == ["occlusion(window=4, stride=4)", "saliency"]
    assert sorted(name_of(each.method) for each in chosen) == sorted(METHODS)


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ([], "methods is \\[\\], expected a list"),
        ("saliency", "methods is 'saliency', expected a list"),
        (["saliency", Saliency()], "methods is 'saliency twice', expected each method once"),
    ],
)
def test_no_method_or_one_twice_is_refused(methods: list[str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        chosen_methods(methods)


def test_each_explanation_is_the_one_that_explain_makes(image: Image) -> None:
    ours = model(activated(nn.ReLU()))
    methods = ["occlusion(window=4, stride=4)", "grad-cam", "guided-backpropagation", "smooth-grad(samples=3)"]
    steps: list[tuple[float, int]] = []
    applied = explain_by_each(ours, image, methods=methods, seed=5, progress=lambda *step: steps.append(step))
    for method, found in zip(methods, applied.explanations, strict=True):
        assert found.same_as(pellucid.explain(ours, image, method=method, seed=5))
    assert not applied.left_out
    assert steps == sorted(steps)
    assert steps[-1] == (4, 4)
    assert len(steps) > 8  # within occlusion, which is most of the work, too


def test_what_progress_raises_ends_a_comparison_within_a_method(image: Image) -> None:
    class CancelledError(Exception):
        pass

    def stop(done: float, total: int) -> None:
        if done > 0.3 * total:
            raise CancelledError(done / total)

    with pytest.raises(CancelledError) as ended:
        explain_by_each(model(activated(nn.ReLU())), image, methods=["saliency", "rise(masks=200)"], progress=stop)
    assert ended.value.args[0] < 0.9


def test_a_named_method_that_does_not_apply_is_an_error_also_beside_others(image: Image) -> None:
    with pytest.raises(MethodError, match="is silu"):
        explain_by_each(model(activated(nn.SiLU())), image, methods=["saliency", "guided-backpropagation"])


def test_of_all_methods_those_that_refuse_are_left_out_with_their_reason(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"grad-cam": None, "saliency": None, "guided-backpropagation": None, "layer-cam": None}
    monkeypatch.setattr("pellucid.methods.applying.METHODS", few)
    applied = explain_by_each(model(dense()), image, methods=["all"])
    assert [each.method for each in applied.explanations] == ["saliency", "guided-backpropagation"]
    assert list(applied.left_out) == ["grad-cam", "layer-cam"]
    assert all(reason and "; " not in reason for reason in applied.left_out.values())


def test_what_is_wrong_for_every_method_is_an_error(image: Image) -> None:
    with pytest.raises(TargetError, match="class:9"):
        explain_by_each(model(activated(nn.ReLU())), image, methods=["all"], target="class:9")


def test_settings_that_differ_are_those_that_are_not_the_usual_ones(image: Image) -> None:
    ours = model(activated(nn.ReLU()))
    assert settings_that_differ(pellucid.explain(ours, image, method="saliency")) == {}
    found = pellucid.explain(ours, image, method="integrated-gradients(steps=3)")
    assert settings_that_differ(found) == {"steps": 3}


def test_methods_of_channels_lie_nowhere_in_the_picture(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"saliency": None, "conductance": None}
    monkeypatch.setattr("pellucid.methods.applying.METHODS", few)
    applied = explain_by_each(model(activated(nn.ReLU())), image, methods=["all"])
    assert [each.method for each in applied.explanations] == ["saliency"]
    reason = "conductance gives values of channels, which lie nowhere in the picture"
    assert applied.left_out == {"conductance": reason}
    with pytest.raises(MethodError, match=reason):
        explain_by_each(model(activated(nn.ReLU())), image, methods=["conductance", "saliency"])
