import numpy as np
import pytest
import torch
from tests.methods.nets import net, pictures

import pellucid
from pellucid.errors import SettingError


def test_equals_the_reference() -> None:
    # Its trapezoid points with slopes at the beginning of each piece are the rule that is called left here.
    captum = pytest.importorskip("captum.attr")
    module, x = net("residual"), pictures(2)
    theirs = captum.LayerConductance(module, module.two).attribute(
        x.clone(), target=1, n_steps=6, method="riemann_trapezoid"
    )
    ours = pellucid.explain_many(
        module, [x], methods=["conductance(site=two, steps=6, rule=left)"], targets=["class:1"]
    )
    for item, made in enumerate(ours):
        assert np.abs(made.part("positions").values - theirs[item].detach().numpy()).max() <= 1e-6
        assert np.allclose(made.values, theirs[item].sum((1, 2)).detach(), atol=1e-5)


def test_many_steps_reach_what_the_reference_reaches_with_its_own_rule() -> None:
    captum = pytest.importorskip("captum.attr")
    module, x = net("in-place"), pictures()
    theirs = captum.LayerConductance(module, module.two).attribute(x.clone(), target=1, n_steps=300).sum((2, 3))[0]
    ours = pellucid.explain(module, x, method="conductance(site=two, steps=100)", target="class:1")
    assert np.abs(ours.values - theirs.detach().numpy()).max() <= 1e-4


@pytest.mark.parametrize("site", ["one", "/relu", "last"])
def test_at_a_cut_channels_sum_to_the_change_of_the_score(site: str) -> None:
    module, x = net("residual"), pictures()
    made = pellucid.explain(module, x, method=f"conductance(site={site}, steps=60, baseline=blur:2)", target="class:0")
    blurred = pellucid.methods.baselines.blurred(x, 2.0)
    with torch.no_grad():
        change = float(module(x)[0, 0] - module(blurred)[0, 0])
    assert made.values.sum(dtype=np.float64) == pytest.approx(change, rel=0.02)
    assert made.checks["completeness gap"] == pytest.approx(made.values.sum(dtype=np.float64) - change, abs=1e-6)
    assert not any("pass by" in note for note in made.notes)


def test_beside_another_branch_no_sum_is_promised() -> None:
    made = pellucid.explain(net("residual"), pictures(), method="conductance(site=two, steps=2)")
    assert "completeness gap" not in made.checks
    assert "other paths pass by two, so its channels need not add up to the change of the score" in made.notes


def test_a_unit_has_cuts_of_its_own() -> None:
    made = pellucid.explain(
        net("residual"), pictures(), method="conductance(site=one, steps=40)", target="unit:'two'/1"
    )
    assert made.checks["relative gap"] <= 0.02


def test_the_trapezoid_is_the_mean_of_both_ends_and_sites_share_passes() -> None:
    module, x = net("in-place"), pictures()
    text = "conductance(site=one+two, steps=5, rule={})"
    left, right, both = (
        pellucid.explain(module, x, method=text.format(rule)) for rule in ("left", "right", "trapezoid")
    )
    for part in ("channels at one", "channels at two"):
        middle = (left.part(part).values + right.part(part).values) / 2
        assert np.allclose(both.part(part).values, middle, atol=1e-7)
    assert set(both.checks) == {
        "completeness gap at one", "relative gap at one", "completeness gap at two", "relative gap at two",
    }  # fmt: skip
    assert both.cost.forwards == 1 + 6 + 1
    assert both.cost.backwards == 6


def test_a_path_in_pieces_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    module, x = net("in-place"), pictures(2)
    whole = pellucid.explain(module, x[:1], method="conductance(site=one, steps=7)")
    monkeypatch.setattr("pellucid.methods.channel_attributions._READ_BYTES", 3 * 2 * 6 * 12 * 12 * 4)
    assert np.allclose(pellucid.explain(module, x[:1], method="conductance(site=one, steps=7)").values, whole.values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("steps=0", "steps is 0, expected a whole number, 1 or more; 50 suits most models"),
        ("rule=middle", "expected one of trapezoid, left, right"),
        ("baseline=grey", "baseline is 'grey', expected zero, black"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: str, message: str) -> None:
    with pytest.raises(SettingError) as caught:
        pellucid.explain(net("residual"), pictures(), method=f"conductance({settings})")
    assert message in str(caught.value)
