"""A seed network is known by its weights, of whatever class it is."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.test_xai_cnn import Textbook
from torch import nn

import pellucid
from pellucid.errors import OutputError
from pellucid.models.preprocessing import Preprocessing
from pellucid.models.seed import is_seed
from pellucid.models.xai_cnn import XAI

HINT = "pellucid.models.xai_cnn.XAI loads the same weights and gives one row per picture"
PICTURE = np.random.default_rng(0).integers(0, 256, (120, 140, 3)).astype(np.uint8)


class Taller(Textbook):
    """One weight more."""

    def __init__(self) -> None:
        super().__init__(width=2)
        self.scale = nn.Parameter(torch.ones(1))


def wider_inside() -> nn.Module:
    """The same names, one other shape."""
    made = Textbook(width=2)
    made.classifier[0] = nn.Linear(16, 17, bias=False)
    return made


@pytest.mark.parametrize(
    ("module", "seed"),
    [
        (Textbook(width=2), True),
        (Textbook(num_classes=5, width=3), True),
        (XAI(width=2), True),
        (Taller(), False),
        (wider_inside(), False),
        (nn.Sequential(nn.Conv2d(3, 2, 3)), False),
        (nn.Identity(), False),
    ],
)
def test_names_and_shapes_say_whether_it_is_one(module: nn.Module, seed: bool) -> None:
    before = torch.get_rng_state()
    assert is_seed(module) == seed
    assert torch.equal(torch.get_rng_state(), before)


def test_the_textbooks_class_is_prepared_as_the_seed_network_and_told_its_nine_rows() -> None:
    model = pellucid.load(Textbook(width=2).eval())
    assert model.preprocessing == pellucid.load("xai").preprocessing
    assert sum(HINT in note for note in model.notes) == 1
    assert sum("the seed network was made for pictures of 100×100" in note for note in model.notes) == 1
    with pytest.raises(OutputError, match=r"returned 9 rows for 1 picture: `view` after 'features\.51' .* 9 positions"):
        pellucid.explain(model, PICTURE, method="saliency")


@pytest.mark.parametrize("build", [lambda: XAI(width=2), lambda: Textbook(width=2)])
def test_its_size_is_assumed_only_where_nobody_says_another(build: type[nn.Module]) -> None:
    said = Preprocessing(resize=40, crop=40, source="flags")
    model = pellucid.load(build().eval(), preprocessing=said)
    assert model.preprocessing == said
    assert not any("100×100" in note for note in model.notes)


def test_our_own_class_needs_no_other() -> None:
    model = pellucid.load(XAI(width=2).eval())
    assert model.preprocessing == pellucid.load("xai").preprocessing
    assert not any(HINT in note for note in model.notes)
    assert pellucid.explain(model, PICTURE, method="saliency").logits.shape == (2,)


def test_other_networks_are_prepared_as_before() -> None:
    model = pellucid.load(Taller().eval())
    assert model.preprocessing == Preprocessing.assumed()
    assert not any("seed network" in note for note in model.notes)


def test_the_hint_is_true(tmp_path: Path) -> None:
    theirs = Textbook(num_classes=3, width=2).eval()
    torch.save(theirs.state_dict(), tmp_path / "textbook.pt")
    ours = pellucid.load(tmp_path / "textbook.pt", architecture="xai")
    assert ours.module.load_state_dict(theirs.state_dict()).missing_keys == []
    picture = torch.rand(1, 3, 40, 40)
    with torch.no_grad():
        assert torch.allclose(ours.module(picture), theirs(picture), atol=1e-6)
        assert ours.module(torch.rand(1, 3, 100, 100)).shape == (1, 3)


def test_a_whole_pickled_module_and_a_python_file_are_known_too(tmp_path: Path) -> None:
    torch.save(Textbook(width=2), tmp_path / "whole.pt")
    (tmp_path / "net.py").write_text(
        "from tests.models.test_xai_cnn import Textbook\ndef build():\n    return Textbook(width=2)\n"
    )
    for source in (tmp_path / "whole.pt", f"{tmp_path}/net.py:build"):
        model = pellucid.load(source, trust=True)
        assert model.preprocessing == pellucid.load("xai").preprocessing
        assert any(HINT in note for note in model.notes)
