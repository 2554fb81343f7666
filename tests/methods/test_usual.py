"""The usual methods: those that apply are the ones that `explain_many` makes, the others are left out with a reason."""

import pytest
import torch
from tests.methods.nets import seeded
from torch import Tensor, nn

import pellucid
from pellucid.capture import reading
from pellucid.errors import MethodError, TargetError
from pellucid.inputs.image import Image
from pellucid.methods.usual import explain_usual
from pellucid.models.model import Model
from pellucid.models.preprocessing import Preprocessing

METHODS = ("grad-cam", "integrated-gradients", "guided-backpropagation")
SIDE = 12


class Mean(nn.Module):
    """A convolution and its mean over positions, as in a network that is global from the start."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, SIDE)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).mean((2, 3)))


class Detached(nn.Module):
    """Its answer does not depend on the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.constant = nn.Parameter(torch.tensor([[1.0, 2.0, 3.0]]))

    def forward(self, x: Tensor) -> Tensor:
        return self.constant.expand(len(x), 3) + 0 * self.conv(x.detach()).mean()


def activated(activation: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), activation, nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )


def dense() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 8), nn.ReLU(), nn.Linear(8, 3))


def model(module: nn.Module) -> Model:
    plain = Preprocessing(resize=SIDE, crop=SIDE, source="flags")
    return Model(module=module.eval(), name="net", preprocessing=plain, class_names=None, source="net")


@pytest.fixture(scope="module")
def image() -> Image:
    chance = torch.Generator().manual_seed(3)
    return pellucid.read(torch.randint(0, 256, (16, 20, 3), generator=chance, dtype=torch.uint8).numpy())


@pytest.mark.parametrize(
    ("build", "methods", "left_out"),
    [
        (lambda: activated(nn.ReLU()), METHODS, {}),
        (lambda: activated(nn.SiLU()), METHODS[:2], {"guided-backpropagation": "site '1' is silu"}),
        (lambda: activated(nn.Hardtanh()), METHODS[:2], {"guided-backpropagation": "lets negative values through"}),
        (dense, METHODS[1:], {"grad-cam": "no maps larger than 1×1 before the class layer"}),
        (Mean, METHODS[1:], {"grad-cam": "no maps larger than 1×1 before the class layer"}),
        (
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 8), nn.GELU(), nn.Linear(8, 3)),
            ("integrated-gradients", "saliency"),
            {"grad-cam": "finds no site of its own", "guided-backpropagation": "site '2' is gelu"},
        ),
    ],
    ids=["relu", "silu", "hardtanh", "dense", "mean", "dense-gelu"],
)
def test_what_applies_is_explained_as_if_it_had_been_named_and_the_rest_is_left_out_with_a_reason(
    build: type, methods: tuple[str, ...], left_out: dict[str, str], image: Image
) -> None:
    ours = model(seeded(build))
    usual = explain_usual(ours, image, methods=METHODS, target="class:1")
    named = list(pellucid.explain_many(ours, [image], methods=methods, targets=["class:1"]))
    assert [each.method for each in usual.explanations] == list(methods)
    assert all(mine.same_as(theirs) for mine, theirs in zip(usual.explanations, named, strict=True))
    assert list(usual.left_out) == list(left_out)
    for name, words in left_out.items():
        assert words in usual.left_out[name]
        assert "use saliency" not in usual.left_out[name]


def test_the_only_method_is_replaced_where_it_does_not_apply(image: Image) -> None:
    usual = explain_usual(model(seeded(dense)), image, methods=("grad-cam",))
    assert [each.method for each in usual.explanations] == ["saliency"]
    assert list(usual.left_out) == ["grad-cam"]


def test_methods_that_apply_share_their_passes(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    read = reading.read

    def counting(*args: object, **kwargs: object) -> object:
        asked.append(kwargs["spent"])
        return read(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "read", counting)
    explain_usual(model(seeded(dense)), image, methods=("grad-cam", "integrated-gradients", "saliency"))
    assert len(asked) == 1


def test_a_method_that_fails_only_on_the_way_does_not_take_the_others_with_it(image: Image) -> None:
    # The mean of the first convolution's channel cannot depend on the last one's maps, where Grad-CAM would look.
    usual = explain_usual(model(seeded(lambda: activated(nn.ReLU()))), image, methods=METHODS, target="unit:'0'/2")
    assert [each.method for each in usual.explanations] == list(METHODS[1:])
    assert usual.left_out == {"grad-cam": "the score does not depend on site '2'"}


def test_where_nothing_applies_it_is_an_error_that_says_why(image: Image) -> None:
    with pytest.raises(MethodError, match="the score does not depend on site 'input'"):
        explain_usual(model(seeded(Detached)), image, methods=METHODS)


def test_a_wrong_target_is_an_error_of_its_own(image: Image) -> None:
    with pytest.raises(TargetError, match="class:9"):
        explain_usual(model(seeded(dense)), image, methods=METHODS, target="class:9")


def test_the_model_is_left_as_it_was_after_a_refusal(image: Image) -> None:
    ours = model(seeded(lambda: activated(nn.SiLU())))
    before = ours.weights_digest
    explain_usual(ours, image, methods=METHODS)
    assert ours.weights_digest == before
    assert not ours.module.training
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in ours.module.modules())
    assert all(parameter.grad is None for parameter in ours.module.parameters())
