import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.methods.nets import model, net

from pellucid.errors import MethodError, PellucidError, SettingError
from pellucid.methods.cams import GradCAM
from pellucid.methods.catalogue import METHODS, method_from, name_of, text_of
from pellucid.methods.integrated import IntegratedGradients


def test_settings_are_read_by_their_types() -> None:
    method = method_from(" integrated-gradients( steps = 7, baseline=blur:11, rule='middle' ) ")
    assert method == IntegratedGradients(steps=7, baseline="blur:11", rule="middle")
    assert text_of(method) == "integrated-gradients(steps=7, baseline=blur:11, rule=middle)"


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("grad-cam(site=features.20)", "features.20"),
        ("grad-cam(site='layer1.0/add#2')", "layer1.0/add#2"),
        ("grad-cam(site=@12)", "@12"),
        ("grad-cam(site=last:conv,)", "last:conv"),
        ("grad-cam(site=lstm[0])", "lstm[0]"),
        ("grad-cam(site=\"out['a, b']\")", "out['a, b']"),
        ("grad-cam(site=20)", "20"),
    ],
)
def test_site_names_of_every_kind_are_read(text: str, site: str) -> None:
    assert method_from(text) == GradCAM(site=site)


@given(site=st.text(min_size=1), sign=st.sampled_from(["positive", "both"]))
@settings(deadline=None, max_examples=200)
def test_whatever_is_written_is_read_back(site: str, sign: str) -> None:
    method = GradCAM(site=site, sign=sign)  # type: ignore[arg-type]
    assert method_from(text_of(method)) == method


@given(steps=st.integers(2, 10**6), baseline=st.sampled_from(["zero", "mean", "blur:0.5"]), rule=st.just("trapezoid"))
@settings(deadline=None, max_examples=25)
def test_numbers_and_words_are_read_back(steps: int, baseline: str, rule: str) -> None:
    method = IntegratedGradients(steps=steps, baseline=baseline, rule=rule)  # type: ignore[arg-type]
    assert method_from(text_of(method)) == method


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grad_cam", "no method 'grad_cam'; did you mean 'grad-cam'?"),
        ("xyz", "no method 'xyz'; known are "),
        ("", "'' cannot be read as a method; write it as name or name(setting=value, …)."),
        ("grad-cam(site=a", "cannot be read as a method"),
        ("grad-cam(site=[a)", "a bracket has no partner"),
        ("grad-cam(site='a)", "a quote ' has no partner"),
        (
            "grad-cam(features.20)",
            "'features.20' in 'grad-cam(features.20)' cannot be read; settings are written as name=",
        ),
        ("grad-cam(site=)", "settings are written as name=value."),
        ("grad-cam(site=a, site=b)", "gives site twice"),
        ("saliency(steps=3)", "setting is 'steps', expected no settings: saliency has none."),
        (
            "integrated-gradients(step=3)",
            "expected a setting of integrated-gradients: steps, baseline, rule, tolerance, most_steps; did you mean",
        ),
        ("integrated-gradients(steps=0)", "steps is 0, expected a whole number, 1 or more; 50 suits most models."),
        ("integrated-gradients(rule=trapezoid, steps=1)", "steps is 1, expected 2 or more for the trapezoid rule."),
        ("integrated-gradients(baseline=blur:0)", "baseline is 'blur:0', expected blur:SIGMA"),
        (
            "integrated-gradients(baseline=grey)",
            "baseline is 'grey', expected zero, black, white, mean, noise, blur:SIGMA or the path of a picture.",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_way_out(text: str, message: str) -> None:
    with pytest.raises((MethodError, SettingError)) as caught:
        method_from(text)
    assert message in str(caught.value)


def test_objects_that_are_no_methods_are_refused_before_any_work() -> None:
    @dataclasses.dataclass(frozen=True)
    class Mine:
        pass

    for wrong, message in (
        (GradCAM, "GradCAM is a class, expected an instance; write GradCAM()."),
        (3, "3 is no method; give a name such as 'grad-cam'"),
        (Mine(), "Mine is no registered method; put @register(name) above the class."),
        (model(net("residual")), "Model is no registered method"),
    ):
        with pytest.raises(PellucidError, match=r"method|class") as caught:
            method_from(wrong)
        assert message in str(caught.value)


def test_every_registered_class_is_frozen_slotted_and_keyword_only() -> None:
    for name in METHODS:
        cls = METHODS[name]
        assert dataclasses.is_dataclass(cls)
        assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
        assert all(field.kw_only for field in dataclasses.fields(cls))
        assert not hasattr(cls(), "__dict__")
        assert name_of(cls()) == name
        assert torch.nn.Module not in cls.__mro__
