"""Variants that differ in a window are answered as whole pictures are, on networks of every kind."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.methods.nets import NETS, net
from torch import Tensor, nn

from pellucid.capture import passes
from pellucid.capture.tiles import Span, Tiles
from pellucid.capture.windows import Incremental


def variants(x: Tensor, boxes: list[tuple[int, int, int, int]]) -> Tensor:
    made = x.repeat(len(boxes), 1, 1, 1)
    for number, (top, left, bottom, right) in enumerate(boxes):
        made[number, :, top:bottom, left:right] = number - 1.0
    return made


def boxes_of(side: int, window: int, stride: int) -> list[tuple[int, int, int, int]]:
    begins = range(0, side, stride)
    return [(i, j, min(i + window, side), min(j + window, side)) for i in begins for j in begins]


def answers(module: nn.Module, x: Tensor, boxes: list[tuple[int, int, int, int]]) -> tuple[Tensor, Tensor, str | None]:
    """By tiles, by whole pictures, and where tiles became whole maps."""
    incremental = passes.incremental(module, x)
    assert incremental is not None
    made = variants(x, boxes)
    with torch.no_grad():
        frontier = incremental.run(made, torch.tensor(boxes))
    edits = {site: putting(maps) for site, maps in frontier.maps.items()}
    found = passes.replay(module, x).logits(edits, copies=len(boxes))
    return found, passes.answer(module, made).logits, frontier.covered


def putting(maps: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda _: maps


@pytest.mark.parametrize("name", NETS)
def test_hostile_networks_answer_as_for_whole_pictures(name: str) -> None:
    module, x = net(name).eval(), torch.randn(1, 3, 12, 12)
    if passes.incremental(module, x) is None:
        pytest.skip("has no operation that tiles go through")
    found, expected, _ = answers(module, x, boxes_of(12, 4, 3))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert float((expected - expected[:1]).abs().max()) > 1e-4


class Everything(nn.Module):
    """Strides, dilation, groups, ceil mode, two poolings, concatenation, a branch, arithmetic, padding by name."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 5, stride=2, padding=1, bias=False)
        self.norm, self.other = nn.BatchNorm2d(8), nn.BatchNorm2d(16)
        self.wide = nn.Conv2d(8, 8, 3, padding="same", dilation=2, groups=4)
        self.thin = nn.Conv2d(8, 8, 1, stride=1)
        self.down = nn.Conv2d(16, 16, (3, 1), stride=(2, 1), padding=(1, 0))
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.mean = nn.AvgPool2d(2, 2)
        self.head = nn.Linear(16, 5)
        for norm in (self.norm, self.other):
            norm.running_mean.normal_()  # type: ignore[union-attr]
            norm.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu_(self.norm(self.stem(x)))
        y = F.dropout(self.wide(x), 0.3, self.training) * 0.5 + self.thin(x)
        x = torch.cat([self.pool(y), -self.pool(F.silu(x))], dim=1)
        x = self.other(self.down(x))
        x = F.hardswish(self.mean(x)) - 0.1
        return self.head(x.mean((2, 3)))


@given(
    seed=st.integers(0, 99),
    side=st.integers(28, 45),
    places=st.lists(
        st.tuples(*[st.integers(0, 40), st.integers(0, 40), st.integers(1, 30), st.integers(1, 30)]),
        min_size=1,
        max_size=4,
    ),
)
@settings(deadline=None, max_examples=25)
def test_any_boxes_on_any_side_give_the_answers_of_whole_pictures(
    seed: int, side: int, places: list[tuple[int, int, int, int]]
) -> None:
    torch.manual_seed(seed)
    module, x = Everything().eval(), torch.randn(1, 3, side, side + 3)
    boxes = []
    for top, left, height, width in places:
        top, left = min(top, side - 1), min(left, side - 1)
        boxes.append((top, left, min(top + height, side), min(left + width, side + 3)))
    found, expected, _ = answers(module, x, boxes)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "vgg11_bn",
        "squeezenet1_0",
        "mobilenet_v2",
        "googlenet",
        "densenet121",
        "shufflenet_v2_x1_0",
        "alexnet",
        "convnext_tiny",
    ],
)
@pytest.mark.filterwarnings("ignore:The default weight initialization of GoogleNet")
def test_known_architectures_answer_as_for_whole_pictures(name: str) -> None:
    torch.manual_seed(0)
    module = getattr(torchvision.models, name)(num_classes=7).eval()
    x = torch.randn(1, 3, 96, 96)
    found, expected, _ = answers(module, x, [(0, 0, 16, 16), (40, 40, 56, 56), (80, 80, 96, 96)])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(1 + expected.abs().max()))


def test_tiles_become_whole_maps_where_they_cover_them_and_not_before() -> None:
    layers = [nn.Sequential(nn.Conv2d(3 if i == 0 else 4, 4, 3, padding=1), nn.ReLU()) for i in range(8)]
    module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    found, expected, covered = answers(module, torch.randn(1, 3, 16, 16), [(6, 6, 8, 8)])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    # A window of 2 grows by 2 with each convolution: 16 of 16 after seven, 14² of 16² (.77) after six.
    assert covered == "6.0"


class Deciding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.head((y if y.sum() > 0 else -y).mean((2, 3)))


class Attending(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.flatten(2).softmax(2).amax(2))


class Overwriting(Deciding):
    """Writes through a view that somebody else looks at."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y[:, :2].relu_()
        return self.head(y.mean((2, 3)))


@pytest.mark.parametrize("kind", [Deciding, Attending, Overwriting])
def test_a_model_that_cannot_be_run_in_tiles_is_none(kind: type[nn.Module]) -> None:
    assert passes.incremental(kind().eval(), torch.randn(1, 3, 8, 8)) is None


def test_a_span_holds_what_it_must_and_stays_inside() -> None:
    first, end = torch.tensor([0, 3, 9]), torch.tensor([2, 6, 10])
    span = Span.around(first, end, 10)
    assert span.length == 3
    assert span.start.tolist() == [0, 3, 7]
    after = span.through(kernel=3, stride=2, padding=1, side=5)
    assert after.first.tolist() == [0, 1, 4]
    assert after.end.tolist() == [2, 4, 5]


def test_tiles_as_whole_maps_are_the_base_with_the_tiles_put_in() -> None:
    base = torch.zeros(1, 2, 5, 5)
    span = Span.around(torch.tensor([1, 3]), torch.tensor([3, 5]), 5)
    tiles = Tiles(base, torch.ones(2, 2, 2, 2), span, span)
    assert tiles.maps().sum((1, 2, 3)).tolist() == [8.0, 8.0]
    assert bool((tiles.maps()[1, :, 3:, 3:] == 1).all())
    assert isinstance(passes.incremental(nn.Sequential(nn.Conv2d(3, 2, 1)), torch.zeros(1, 3, 4, 4)), Incremental)
