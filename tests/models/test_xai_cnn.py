"""The seed network against the textbook's own class, written out here from its listing."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.errors import SettingError
from pellucid.models.xai_cnn import XAI


class Textbook(nn.Module):
    """The listing as it is, at any width: flattens with `view(-1, 8 * width)` (512 in the book)."""

    def __init__(self, num_classes: int = 2, width: int = 64) -> None:
        super().__init__()
        w = width

        def norm_relu(channels: int) -> list[nn.Module]:
            return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]

        def conv(before: int, after: int, padding: int = 1) -> nn.Module:
            return nn.Conv2d(before, after, kernel_size=3, padding=padding, bias=False)

        self.features = nn.Sequential(
            *(conv(3, w, 0), *norm_relu(w), nn.Dropout(0.3)),
            *(conv(w, w), *norm_relu(w), nn.MaxPool2d(2, 2)),
            *(conv(w, 2 * w), *norm_relu(2 * w), nn.Dropout(0.4)),
            *(conv(2 * w, 2 * w), *norm_relu(2 * w), nn.MaxPool2d(2, 2)),
            *(conv(2 * w, 4 * w), *norm_relu(4 * w), nn.Dropout(0.4)),
            *(conv(4 * w, 4 * w), *norm_relu(4 * w), nn.Dropout(0.4)),
            *(conv(4 * w, 4 * w), *norm_relu(4 * w), nn.MaxPool2d(2, 2)),
            *(conv(4 * w, 8 * w), *norm_relu(8 * w), nn.Dropout(0.4)),
            *(conv(8 * w, 8 * w), *norm_relu(8 * w), nn.Dropout(0.4)),
            *(conv(8 * w, 8 * w), *norm_relu(8 * w), nn.MaxPool2d(2, 2)),
            *(conv(8 * w, 8 * w), *norm_relu(8 * w), nn.Dropout(0.4)),
            *(conv(8 * w, 8 * w), *norm_relu(8 * w), nn.Dropout(0.4)),
            *(conv(8 * w, 8 * w), *norm_relu(8 * w), nn.MaxPool2d(2, 2)),
        )
        self.classifier = nn.Sequential(
            nn.Linear(8 * w, 8 * w, bias=False),
            nn.Dropout(0.5),
            nn.BatchNorm1d(8 * w),
            nn.ReLU(inplace=True),
            nn.Dropout(0.5),
            nn.Linear(8 * w, num_classes),
        )
        self.flat = 8 * w

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = x.view(-1, self.flat)
        x = self.classifier(x)
        return F.log_softmax(x, dim=1)


def lively(network: nn.Module, seed: int) -> nn.Module:
    """Running statistics and scales that are not 0 and 1, so that mixing them up would show."""
    chance = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if "running" in name or name.endswith(("1.weight", "2.weight", "5.weight")):
            tensor.copy_(torch.rand(tensor.shape, generator=chance) + 0.5)
    return network.eval()


@pytest.fixture(scope="module")
def pair() -> tuple[Textbook, XAI]:
    theirs, ours = lively(Textbook(), 1), XAI().eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert isinstance(theirs, Textbook)
    return theirs, ours


def test_names_and_shapes_are_those_of_the_textbook() -> None:
    theirs = {name: tuple(tensor.shape) for name, tensor in Textbook().state_dict().items()}
    ours = {name: tuple(tensor.shape) for name, tensor in XAI().state_dict().items()}
    assert list(ours.items()) == list(theirs.items())


def test_every_layer_has_the_settings_of_the_textbook() -> None:
    theirs, ours = Textbook(num_classes=5, width=4), XAI(num_classes=5, width=4)
    assert repr(ours.features) == repr(theirs.features)
    assert repr(ours.classifier) == repr(theirs.classifier)


def test_features_have_52_places_and_the_classifier_6() -> None:
    network = XAI(width=1)
    assert [name for name, _ in network.features.named_children()] == [str(place) for place in range(52)]
    assert [name for name, _ in network.classifier.named_children()] == [str(place) for place in range(6)]


def test_thirteen_convolutions_stand_at_every_fourth_place() -> None:
    places = [place for place, layer in enumerate(XAI(width=1).features) if isinstance(layer, nn.Conv2d)]
    assert places == list(range(0, 52, 4))


def test_only_the_first_convolution_has_no_padding() -> None:
    paddings = [layer.padding for layer in XAI(width=1).features if isinstance(layer, nn.Conv2d)]
    assert paddings == [(0, 0)] + [(1, 1)] * 12


def test_weights_go_both_ways(pair: tuple[Textbook, XAI]) -> None:
    theirs, ours = pair
    theirs.load_state_dict(ours.state_dict(), strict=True)


def test_a_40_by_40_picture_gives_the_textbooks_numbers(pair: tuple[Textbook, XAI]) -> None:
    theirs, ours = pair
    pictures = torch.randn(3, 3, 40, 40, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.allclose(ours(pictures), theirs(pictures), atol=1e-5, rtol=0)


def test_a_100_by_100_picture_gives_one_row_here_and_nine_there(pair: tuple[Textbook, XAI]) -> None:
    theirs, ours = pair
    picture = torch.randn(1, 3, 100, 100, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        assert ours(picture).shape == (1, 2)
        assert theirs(picture).shape == (9, 2)


@pytest.mark.parametrize(("height", "width"), [(34, 34), (100, 60), (131, 131)])
def test_any_size_from_34_on_gives_one_row_per_picture(height: int, width: int) -> None:
    with torch.no_grad():
        assert XAI(width=2).eval()(torch.zeros(2, 3, height, width)).shape == (2, 2)


def test_rows_are_logarithms_of_probabilities() -> None:
    with torch.no_grad():
        rows = XAI(num_classes=7, width=2).eval()(torch.randn(4, 3, 50, 50))
    assert torch.allclose(rows.exp().sum(dim=1), torch.ones(4))


@pytest.mark.parametrize("setting", ["num_classes", "width"])
def test_less_than_one_is_refused_and_named(setting: str) -> None:
    with pytest.raises(SettingError, match=f"{setting} is 0, expected 1 or more"):
        XAI(**{setting: 0})
