import re
from pathlib import Path

import pytest
import torch
from tests.pages.conftest import model, picture

import pellucid
from pellucid.errors import SettingError
from pellucid.models.model import Model
from pellucid.models.preprocessing import Preprocessing
from pellucid.pages.report import report


def test_one_call_writes_a_page(tmp_path: Path) -> None:
    path = report(model(), picture(), to=tmp_path / "cat.html", methods=("grad-cam",), lang="ko")
    assert path == tmp_path / "cat.html"
    assert "왜 이 신경망의 답은" in path.read_text(encoding="utf-8")


def test_a_module_and_a_file_will_do(tmp_path: Path) -> None:
    picture().pil().save(tmp_path / "cat.png")
    path = report(model().module, tmp_path / "cat.png", to=tmp_path / "cat.html", methods=("saliency",))
    page = path.read_text(encoding="utf-8")
    assert "cat.png" in page
    assert str(tmp_path) not in page


@pytest.mark.parametrize("wrong", [{"lang": "fr"}, {"to": "nowhere/cat.html"}])
def test_what_cannot_work_is_refused_before_any_work(wrong: dict[str, str], tmp_path: Path) -> None:
    settings = {"to": tmp_path / "cat.html", **wrong}
    with pytest.raises(SettingError):
        report(model(), "no such file.png", **settings)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def library_model(name: str, side: int) -> Model:
    """A network of torchvision with random weights, for small pictures."""
    torchvision = pytest.importorskip("torchvision", reason="needs torchvision to build its networks")
    torch.manual_seed(0)
    settings = {"image_size": side} if name.startswith("vit") else {}
    module = getattr(torchvision.models, name)(weights=None, **settings)
    plain = Preprocessing(resize=side, crop=side, source="flags")
    return pellucid.load(module.eval(), preprocessing=plain)


@pytest.mark.parametrize(
    ("name", "side", "shown", "left_out"),
    [
        ("mobilenet_v3_small", 64, ["Grad-CAM", "Integrated gradients"], ["is hardswish"]),
        ("vit_b_16", 32, ["Integrated gradients", "Gradient"], ["is attention", "is gelu"]),
    ],
)
def test_the_default_page_of_a_network_without_relus_or_maps_shows_what_applies(
    name: str, side: int, shown: list[str], left_out: list[str], tmp_path: Path
) -> None:
    page = report(library_model(name, side), picture(), to=tmp_path / "page.html").read_text(encoding="utf-8")
    why = page[page.index('<section id="why"') : page.index('<section id="assumed"')]
    assert re.findall(r"<h3>([^<]+)</h3>", why) == shown
    assumed = page[page.index('<section id="assumed"') :]
    assert assumed.count("was left out") == len(left_out)
    assert all(reason in assumed for reason in left_out)
