import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.methods.nets import SHAPE, LogSoftmax, Net, net, pictures, seeded
from tests.methods.nets import model as as_model
from torch import Tensor, nn

import pellucid
from pellucid.capture.asks import Facts
from pellucid.capture.scores import LOGITS, Score
from pellucid.errors import TargetError
from pellucid.methods.targets import Resolved, check, expanded, find_class, resolve

NAMES = ("tabby, tabby cat", "lynx, catamount", "crane", "crane", "hen-of-the-woods")
FACTS = Facts(sites=(), aliases={}, class_site=None, items=2, input_shape=(2, 3, 8, 8))
LOGITS_OF_TWO = torch.tensor([[0.1, 3.0, -1.0, 2.0, 0.0], [5.0, 1.0, 2.0, 5.0, -3.0]])


def one(target: str, item: int = 0) -> Resolved:
    return resolve(target, LOGITS_OF_TWO, FACTS, NAMES)[item]


@pytest.mark.parametrize(
    ("target", "weights", "text"),
    [
        ("top:1", {1: 1.0}, "lynx, catamount (class 1)"),
        ("top:2", {3: 1.0}, "crane (class 3)"),
        ("top:5", {2: 1.0}, "crane (class 2)"),
        ("class:4", {4: 1.0}, "hen-of-the-woods (class 4)"),
        ("class:tabby cat", {0: 1.0}, "tabby, tabby cat (class 0)"),
        ("class: LYNX ", {1: 1.0}, "lynx, catamount (class 1)"),
        ("class:woods", {4: 1.0}, "hen-of-the-woods (class 4)"),
        ("contrast:tabby,lynx", {0: 1.0, 1: -1.0}, "tabby, tabby cat rather than lynx, catamount"),
        ("contrast:3, 2", {3: 1.0, 2: -1.0}, "crane rather than crane"),
        ("output:2", {2: 1.0}, "output 2"),
    ],
)
def test_every_form_means_its_weighted_sum(target: str, weights: dict[int, float], text: str) -> None:
    resolved = one(target)
    assert resolved.score == Score(place=LOGITS, weights=weights)
    assert resolved.text == text
    assert resolved.asked == target
    assert resolved.classes == tuple(weights)
    assert Resolved.from_record(resolved.to_record()) == resolved


def test_ranks_are_counted_per_picture_and_the_first_of_equals_comes_first() -> None:
    assert [each.classes for each in resolve("top:1", LOGITS_OF_TWO, FACTS, None)] == [(1,), (0,)]
    assert one("top:2", item=1).classes == (3,)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("class:crane", "class 'crane' is ambiguous: 2 (crane), 3 (crane); give a number, e.g. class:2."),
        ("class:a", "is ambiguous: 0 (tabby, tabby cat), 1 (lynx, catamount), 2 (crane), 3 (crane)"),
        ("class:linx", "no class 'linx'; there are 5 classes, such as 'tabby, tabby cat', 'lynx, catamount', 'crane'."),
        ("class:cranes", "no class 'cranes'; did you mean 'crane'?"),
        ("class:5", "target 'class:5' is out of range: the model has 5 outputs, 0 to 4."),
        ("class:-1", "no class '-1'"),
        ("class:²", "no class '²'"),
        ("output:5", "target 'output:5' is out of range: the model has 5 outputs, 0 to 4."),
        ("output:first", "target 'output:first' needs a whole number after the colon"),
        ("top:0", "target 'top:0' asks for rank 0 of 5 classes; ranks are 1 to 5."),
        ("top:6", "asks for rank 6 of 5 classes"),
        ("top:١", "needs a whole number"),
        ("contrast:tabby", "target 'contrast:tabby' names 1 classes, expected two: contrast:tabby,lynx."),
        ("contrast:tabby,lynx,crane", "names 3 classes"),
        ("contrast:0,tabby", "compares class 0 with itself; name two different classes."),
        ("tabby", "target 'tabby' cannot be read; write it as top:1, top:1-5, class:281"),
        ("clas:1", "cannot be read; did you mean 'class'? Write it as"),
        ("class:", "cannot be read"),
        ("class:  ", "cannot be read"),
        ("unit:features.40", "a unit is written as unit:'features.40'/7, at one position as"),
    ],
)
def test_what_is_no_target_is_refused_with_the_way_out(target: str, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        one(target)
    assert message in str(caught.value)
    assert str(caught.value)[-1] in ".?"


def test_what_can_be_refused_before_any_work_is() -> None:
    for target in ("tops:1", "top:x", "output:", "contrast:a", "unit:a", "unit:a/b"):
        with pytest.raises(TargetError):
            check(target)


def test_a_model_without_names_asks_for_a_number() -> None:
    with pytest.raises(TargetError, match=r"no class 'cat': this model has no class names .*a number from 0 to 4\."):
        find_class("cat", 5, None)


def test_one_logit_for_two_classes_bears_the_name_of_neither() -> None:
    made = pellucid.explain(as_model(net("one logit"), class_names=("cat", "dog")), pictures())
    assert made.target.text == "class 0"
    assert made.score == pytest.approx(float(made.logits[0]))
    with pytest.raises(TargetError, match=r"no class names for its 1 output; give class:0\."):
        pellucid.explain(as_model(net("one logit"), class_names=("cat", "dog")), pictures(), target="class:dog")


def test_the_score_is_the_logit_and_a_contrast_the_difference() -> None:
    module, x = net("residual"), pictures()
    logits = module(x)[0].detach()
    plain, other, contrast, ranked = pellucid.explain_many(
        module, [x], methods=["saliency"], targets=["class:2", "class:0", "contrast:2,0", "top:2"]
    )
    assert plain.score == pytest.approx(float(logits[2]), rel=1e-6)
    assert contrast.score == pytest.approx(float(logits[2] - logits[0]), rel=1e-5)
    assert np.allclose(contrast.values, plain.values - other.values, atol=1e-6)
    assert ranked.target.classes == (int(logits.argsort(descending=True)[1]),)


def test_the_first_class_is_that_of_each_picture_of_a_batch() -> None:
    module, x = net("residual"), pictures(6, seed=5) * 3
    module.last.bias.data -= module(x).mean(0)  # type: ignore[union-attr, operator]
    made = list(pellucid.explain_many(module, [x], methods=["saliency"]))
    tops = module(x).argmax(1).tolist()
    assert [each.target.classes[0] for each in made] == tops
    assert len(set(tops)) > 1


def test_a_unit_is_the_mean_over_the_positions_of_one_channel() -> None:
    module, x = net("in-place"), pictures(2)
    made = list(pellucid.explain_many(module, [x], methods=["saliency"], targets=["unit:'two'/3", "unit:relu/1"]))
    leaf = x.clone().requires_grad_()
    first = module.relu(module.one(leaf))  # type: ignore[operator]
    unit = module.two(first)[:, 3].mean((1, 2))  # type: ignore[operator]
    slopes = torch.autograd.grad(unit.sum(), leaf)[0]
    for item in (0, 1):
        assert made[2 * item].score == pytest.approx(float(unit[item].detach()), rel=1e-5)
        assert np.allclose(made[2 * item].values, slopes[item].numpy(), atol=1e-7)
        assert made[2 * item].target.text == "channel 3 of two, mean over positions"
        assert made[2 * item + 1].target.score == Score(place="relu", weights={1: 1.0})


def test_a_unit_of_a_vector_is_its_value() -> None:
    module, x = net("shared"), pictures()
    made = pellucid.explain(module, x, method="integrated-gradients(steps=64)", target="unit:relu#3/2")
    assert made.target.text == "channel 2 of relu#3"
    assert abs(made.checks["completeness gap"]) < 1e-3


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("unit:'two'/6", "asks for channel 6; site 'two' has channels 0 to 5."),
        ("unit:'twoo'/1", "no site 'twoo'; did you mean 'two'?"),
        ("unit:'kind:conv'/1", "means 2 sites"),
    ],
)
def test_a_unit_that_is_not_there_is_refused(target: str, message: str) -> None:
    with pytest.raises((TargetError, pellucid.errors.SiteError)) as caught:  # type: ignore[attr-defined]
        pellucid.explain(net("residual"), pictures(), method="saliency", target=target)
    assert message in str(caught.value)


class Words(nn.Module):
    """Positions before channels, as transformers have them."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.mix, self.last = nn.Conv2d(3, 5, 4, stride=4), nn.Linear(5, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        words = self.patches(x).flatten(2).transpose(1, 2)
        return self.last(self.mix(words).mean(1))


def test_a_unit_where_nobody_knows_the_channels_is_refused() -> None:
    with pytest.raises(TargetError, match=r"site 'mix' \(linear\) has shape 1×9×5, and which axis holds its channels"):
        pellucid.explain(Words(), pictures(), method="saliency", target="unit:mix/1")


def test_channels_of_signals_and_volumes_are_known() -> None:
    signal = nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(3, 2))
    made = pellucid.explain(signal, torch.rand(1, 2, 9), method="saliency", target="unit:'1'/2")
    assert made.values.shape == (2, 9)
    assert made.parts[0].axes == ("axis 1", "axis 2")


class Softmax(Net):
    def __init__(self, last: nn.Module | None) -> None:
        super().__init__()
        self.final = last

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return F.softmax(x, dim=-1) if self.final is None else self.final(x)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (LogSoftmax, "log-softmax"),
        (lambda: Softmax(nn.LogSoftmax(dim=1)), "log-softmax"),
        (lambda: Softmax(nn.Softmax(dim=1)), "softmax"),
        (lambda: Softmax(None), "softmax"),
        (lambda: Softmax(nn.Sigmoid()), "sigmoid"),
    ],
)
@pytest.mark.parametrize("method", ["saliency", "grad-cam", "integrated-gradients(steps=3)", "guided-backpropagation"])
def test_logits_behind_a_final_softmax_are_explained_and_that_is_said(build: type, said: str, method: str) -> None:
    twin, x = seeded(Net), pictures()
    made = pellucid.explain(seeded(build), x, method=method, target="top:1")
    plain = pellucid.explain(twin, x, method=method, target="top:1")
    assert made.looked_through == said.replace("-", "_")
    assert f"the model ends in {said}; its input, the logits, was explained" in made.notes
    assert not any("ends in" in note for note in plain.notes)
    assert made.score == pytest.approx(plain.score, rel=1e-6)
    assert np.allclose(made.values, plain.values, atol=1e-7)
    assert np.allclose(made.logits, twin(x)[0].detach().numpy(), atol=1e-6)


def test_a_softmax_in_the_middle_is_not_looked_through() -> None:
    class Gate(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).softmax(1) * 2

    module, x = seeded(Gate), torch.randn(1, *SHAPE)
    made = pellucid.explain(module, x, method="saliency", target="class:1")
    assert made.looked_through is None
    assert made.score == pytest.approx(float(module(x)[0, 1].detach()), rel=1e-6)


def test_a_range_of_ranks_is_a_target_for_each() -> None:
    assert expanded(["top:2-4", "class:1", "top:1-1"]) == ["top:2", "top:3", "top:4", "class:1", "top:1"]
    found = list(pellucid.explain_many(net("residual"), [pictures()], methods=["saliency"], targets=["top:1-3"]))
    assert [each.target.asked for each in found] == ["top:1", "top:2", "top:3"]
    assert [each.score for each in found] == sorted(found[0].logits.tolist(), reverse=True)[:3]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("top:0-3", "target 'top:0-3' is no range of ranks; the five best classes are written as top:1-5."),
        ("top:3-2", "is no range of ranks"),
        ("top:1-1000", "is 1000 targets; ask for 100 at most at once."),
        ("top:1-5", "asks for rank 5 of 4 classes"),
    ],
)
def test_a_range_that_cannot_be_meant_is_refused(target: str, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        list(pellucid.explain_many(net("residual"), [pictures()], methods=["saliency"], targets=[target]))
    assert message in str(caught.value)


def test_one_explanation_is_not_of_several_targets() -> None:
    with pytest.raises(TargetError, match="'top:1-3' is several targets, and explain takes one; use explain_many"):
        pellucid.explain(net("residual"), pictures(), target="top:1-3")
    with pytest.raises(TargetError, match=r"is several targets, and one is wanted here, e\.g\. top:1"):
        check("top:1-3")


# -- one position of a unit


def test_a_unit_at_a_position_is_the_value_there() -> None:
    module, x = net("in-place"), pictures(2)
    there = module.two(module.relu(module.one(x)))[:, 3, 4, 7]  # type: ignore[operator]
    found = list(pellucid.explain_many(module, [x], methods=["saliency"], targets=["unit:'two'/3@4,7"]))
    assert [each.score for each in found] == pytest.approx(there.tolist(), rel=1e-6)
    assert found[0].target.text == "channel 3 of two at position 4, 7"
    assert Resolved.from_record(found[0].target.to_record()) == found[0].target


@pytest.mark.parametrize("position", [None, (4, 7)])
def test_neuron_attributions_equal_the_reference(position: tuple[int, int] | None) -> None:
    captum = pytest.importorskip("captum.attr")
    module, x = net("residual"), pictures()

    def neuron(maps: Tensor) -> Tensor:
        return maps[:, 3].mean((1, 2)) if position is None else maps[:, 3, position[0], position[1]]

    target = "unit:'two'/3" + ("@4,7" if position else "")
    slope = captum.NeuronGradient(module, module.two).attribute(x.clone().requires_grad_(), neuron)
    assert torch.allclose(torch.tensor(pellucid.explain(module, x, method="saliency", target=target).values), slope[0])
    theirs = (
        captum.NeuronIntegratedGradients(module, module.two)
        .attribute(x.clone().requires_grad_(), neuron, n_steps=8)[0]
        .detach()
    )
    ours = pellucid.explain(module, x, method="integrated-gradients(steps=8)", target=target)
    assert float((torch.tensor(ours.values) - theirs).abs().max()) <= 1e-5 * float(theirs.abs().max())


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("unit:'two'/3@12,0", "asks for position 12,0; site 'two' has 12×12 positions; the last is @11,11."),
        ("unit:'two'/3@4", "asks for position 4; site 'two' has 12×12 positions"),
        ("unit:'last'/1@0,0", "site 'last' has no positions; leave out what follows the @."),
        ("unit:'two'/3@", "cannot be read; a unit is written as"),
        ("unit:'two'/3@-1,2", "cannot be read; a unit is written as"),
    ],
)
def test_a_position_that_is_none_is_refused(target: str, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        pellucid.explain(net("residual"), pictures(), method="saliency", target=target)
    assert message in str(caught.value)
