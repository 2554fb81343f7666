"""What a user is told when a pass fails or its answer cannot be explained."""

import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
import torchvision
from tests.capture.networks import Textbook
from torch import Tensor, nn

import pellucid
from pellucid.capture import passes, reading
from pellucid.capture.asks import Reads
from pellucid.capture.scores import Score
from pellucid.errors import CapacityError, MethodError, ModelError, NotFiniteError, OutputError, TooSmallError


def runs(module: nn.Module, side: int) -> bool:
    try:
        with torch.no_grad():
            module(torch.zeros(1, 3, side, side))
    except (RuntimeError, ValueError):
        return False
    return True


class Reflects(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=9, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).mean((2, 3))


class Functional(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(F.avg_pool2d(x, 5, stride=3), 4).mean((2, 3))


@pytest.mark.parametrize(
    ("build", "side", "place"),
    [
        (Textbook, 1, "site 'features.0'"),
        (Textbook, 20, "site 'features.51'"),
        (lambda: torchvision.models.squeezenet1_1(weights=None), 3, None),
        (lambda: nn.Sequential(nn.Conv2d(3, 4, 7), nn.AvgPool2d(3), nn.Conv2d(4, 2, 5)), 9, "site '2'"),
        (Reflects, 5, "site 'conv'"),
        (Functional, 6, "the model's own forward"),
    ],
)
def test_too_small_a_picture_names_the_site_and_the_least_size_that_works(
    build: Callable[[], nn.Module], side: int, place: str | None
) -> None:
    module = build().eval()
    with pytest.raises(TooSmallError) as told:
        pellucid.trace(module, torch.zeros(1, 3, side, side))
    words = str(told.value)
    least = int(re.search(r"the least square picture that works is (\d+)×\1\.$", words).group(1))
    assert words.startswith(f"a picture of {side}×{side} is too small for {place or 'site'}")
    assert runs(module, least)
    assert not any(runs(module, smaller) for smaller in range(1, least))


def test_too_small_a_picture_for_a_model_of_one_size_is_not_promised_what_does_not_work() -> None:
    module = nn.Sequential(nn.MaxPool2d(8), nn.Flatten(), nn.Linear(3 * 4 * 4, 2))
    with pytest.raises(TooSmallError, match="windows fit from 8×8 on, but the model stops elsewhere"):
        pellucid.trace(module, torch.zeros(1, 3, 4, 4))
    with pytest.raises(ModelError, match="the model stopped at site '2' on an input of 3×16×16: mat1 and mat2 shapes"):
        pellucid.trace(module, torch.zeros(1, 3, 16, 16))


def test_a_picture_that_no_square_up_to_a_thousand_pixels_could_replace() -> None:
    module = nn.Sequential(nn.MaxPool2d(2000))
    with pytest.raises(TooSmallError, match=r"too small for site '0'; give a larger picture\.$"):
        pellucid.trace(module, torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize("channels", [1, 4])
def test_wrong_channels_are_told_with_both_numbers(channels: int) -> None:
    with pytest.raises(ModelError) as told:
        pellucid.trace(torchvision.models.resnet18(weights=None), torch.zeros(1, channels, 64, 64))
    assert str(told.value) == (
        f"the picture has {channels} channels and the model's first convolution takes 3; give the picture as the model "
        "was trained on it."
    )


def test_an_empty_message_is_replaced_by_the_kind_of_error() -> None:
    class Asserts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert x.dim() == 9
            return x

    with pytest.raises(ModelError, match=r"the model stopped in its own forward on an input of 3×4: "):
        pellucid.trace(Asserts(), torch.zeros(1, 3, 4))


# -- answers


class Head(nn.Module):
    """A linear layer, and something made of its result."""

    def __init__(self, made: Callable[[Tensor], object], classes: int = 3) -> None:
        super().__init__()
        self.fc = nn.Linear(4, classes)
        self.made = made

    def forward(self, x: Tensor) -> object:
        return self.made(self.fc(x.flatten(1)))


@pytest.mark.parametrize(
    ("made", "through"),
    [
        (lambda y: y, None),
        (lambda y: y.softmax(1), "softmax"),
        (lambda y: F.log_softmax(y, -1), "log_softmax"),
        (lambda y: nn.LogSoftmax(dim=1)(y), "log_softmax"),
        (lambda y: torch.sigmoid(y), "sigmoid"),
        (lambda y: y.log_softmax(1).view(len(y), 3, 1, 1), "log_softmax"),
        (lambda y: y[:, None, None, :], None),
        (lambda y: y[:, :, None, None], None),
        (lambda y: y[:, None], None),
        (lambda y: y.softmax(0), None),
    ],
)
@pytest.mark.parametrize("items", [1, 2])
def test_logits_are_found_behind_a_final_softmax_and_in_odd_shapes(
    made: Callable[[Tensor], object], through: str | None, items: int
) -> None:
    module, batch = Head(made), torch.randn(items, 4)
    found = passes.answer(module, batch)
    assert found.looked_through == through
    with torch.no_grad():
        expected = module.fc(batch)
        if made(expected).shape[:2] == expected.shape and through is None:
            expected = made(expected).reshape(items, 3)
    assert torch.equal(found.logits, expected)


def test_a_softmax_layer_without_a_dimension_is_looked_through_as_torch_takes_it() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Softmax())
    with pytest.warns(UserWarning, match="Implicit dimension choice"):
        assert passes.answer(module, torch.randn(2, 4)).looked_through == "softmax"


@pytest.mark.parametrize("items", [1, 3])
@pytest.mark.parametrize("made", [lambda y: y, lambda y: y.squeeze(1), lambda y: y[:, :, None, None]])
def test_one_logit_per_picture_is_one_column(made: Callable[[Tensor], object], items: int) -> None:
    module, batch = Head(made, classes=1), torch.randn(items, 4)
    assert torch.equal(passes.answer(module, batch).logits, module.fc(batch).detach())


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda y: {"out": y, "aux": y}, "the model returned a dict with the keys 'out', 'aux', expected one tensor"),
        (lambda y: (y, y), "the model returned a tuple, expected one tensor of logits"),
        (lambda y: None, "the model returned a NoneType, expected"),
        (lambda y: 3, "the model returned an int, expected"),
        (lambda y: torch.complex(y, y), r"returned complex numbers \(complex64\), expected real logits .*absolute"),
        (lambda y: torch.complex(y, y).sum(), r"returned complex numbers \(complex64\), expected real logits"),
        (lambda y: y.sum(), r"the model returned a tensor of shape \(\) for 2 pictures, expected logits"),
        (lambda y: y[:, :, None, None] * torch.ones(5, 6), r"of shape \(2, 3, 5, 6\) for 2 pictures.*segmentation"),
        (lambda y: y[:1], "the model returned 1 rows for 2 pictures, expected one row per picture; it mixes pictures"),
        (
            lambda y: y.view(-1, 1),
            "returned 6 rows for 2 pictures: `view` after 'fc' turned 2×3 into 6×1, so each",
        ),
    ],
)
def test_what_is_no_table_of_logits_is_told_with_what_to_do(made: Callable[[Tensor], object], words: str) -> None:
    with pytest.raises(OutputError, match=words):
        passes.answer(Head(made), torch.randn(2, 4))


def test_a_batch_dimension_that_was_squeezed_away_is_told() -> None:
    with pytest.raises(OutputError, match=r"3 numbers without a batch dimension for 1 picture.*instead of x\.squeeze"):
        passes.answer(Head(lambda y: y.squeeze()), torch.randn(1, 4))


def test_models_of_any_output_can_be_traced() -> None:
    trace = pellucid.trace(Head(lambda y: {"out": y * 2}), torch.randn(2, 4))
    assert trace.output is None
    assert [site.name for site in trace] == ["fc", "/mul"]


# -- what cannot be read


def first(logits: Tensor, _: object) -> list[Score]:
    return [Score(place="logits", weights={0: 1.0})] * len(logits)


def read(module: nn.Module, batch: Tensor, site: str) -> object:
    wanted = Reads(values=frozenset({site}), slopes=frozenset({site}))
    return reading.read(module, batch, reads=lambda _: wanted, resolve=[first], spent=passes.Spent())


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.aside = nn.Conv2d(3, 4, 3)
        self.constant = nn.Linear(2, 4)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.aside(x)
        mixed = self.conv(x).reshape(-1, 4) * 1
        return self.fc(mixed.view(len(x), -1, 4).mean(1) + self.constant(torch.arange(2.0)))


def test_sites_that_the_score_does_not_depend_on_and_sites_without_rows_are_refused_by_name() -> None:
    module, batch = Branches(), torch.randn(2, 3, 6, 6)
    for _ in range(2):
        with pytest.raises(MethodError, match="the score does not depend on site 'aside'"):
            read(module, batch, "aside")
        with pytest.raises(MethodError, match="site '/mul' has 32 rows for 2 pictures, so nobody can tell whose"):
            read(module, batch, "/mul")
    with pytest.raises(MethodError, match="site 'constant' has 4 rows"):
        read(module, batch, "constant")


@pytest.mark.parametrize("what", ["weight", "running_mean"])
def test_a_weight_that_is_not_finite_is_named_with_its_site(what: str) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)).eval()
    getattr(module[1], what).data[2] = torch.nan
    words = f"NaN or infinite at site '1': its weight '1.{what}' is not finite; load weights that are whole"
    with pytest.raises(NotFiniteError, match=words):
        read(module, torch.randn(1, 3, 6, 6), "input")


def test_an_overflow_and_a_picture_with_nan_are_told_apart() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Linear(4, 2))
    module[1].weight.data.fill_(1e38)
    with pytest.raises(NotFiniteError, match="at site '1': its own weights are finite, its values overflow"):
        read(module, torch.full((1, 4), 9.0), "input")
    with pytest.raises(NotFiniteError, match="the prepared picture has NaN or infinite values"):
        read(module, torch.full((1, 4), torch.nan), "input")


def test_a_batch_without_memory_says_what_one_picture_takes() -> None:
    class Greedy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(250, 250)
            self.limit = 10

        def forward(self, x: Tensor) -> Tensor:
            if len(x) > self.limit:
                raise torch.OutOfMemoryError("no memory left")
            return self.fc(x)

    module = Greedy()
    with pytest.raises(CapacityError) as told:
        pellucid.trace(module, torch.zeros(11, 250))
    assert str(told.value) == (
        "a batch of 11 pictures of 250 does not fit into memory (the values of one take 1,000 bytes); give "
        "fewer or smaller pictures or free memory. The system said: no memory left"
    )
    module.limit = 0
    words = r"one picture of 250 does not fit into memory \(.*; give a smaller picture"
    with pytest.raises(CapacityError, match=words):
        pellucid.trace(module, torch.zeros(2, 250))
