import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.pages.conftest import METHODS, Small, model, picture
from torch import nn

import pellucid.pages
from pellucid.errors import ArchiveError, MethodError, SettingError, SiteError
from pellucid.pages import maps
from pellucid.pages.bundle import Bundle, make_bundle
from pellucid.pages.page import render


def test_a_saved_bundle_gives_the_same_page_to_the_byte(bundle: Bundle, tmp_path: Path) -> None:
    bundle.save(tmp_path / "cat")
    assert render(Bundle.load(tmp_path / "cat")) == render(bundle)


def test_the_explanations_come_back_as_they_were_made(bundle: Bundle) -> None:
    made = list(pellucid.explain_many(model(), [picture()], methods=METHODS))
    assert all(ours.same_as(theirs) for ours, theirs in zip(bundle.explanations, made, strict=True))


def test_the_answer_equals_plain_torch(bundle: Bundle) -> None:
    ours = model()
    with torch.no_grad():
        plain = ours.module(ours.tensor([picture()]))[0].double()
    for row in bundle.record["answer"]["rows"]:
        assert row["log_probability"] == pytest.approx(float(plain[row["index"]]), abs=1e-6)
    assert bundle.record["answer"]["looked_through"] == "log_softmax"
    assert bundle.record["answer"]["difference"] < 1e-5


def test_maps_are_those_of_the_trace_on_the_stated_scale(bundle: Bundle) -> None:
    trace = pellucid.trace(model(), picture())
    for i, shown in enumerate(bundle.record["maps"]):
        values = trace[shown["site"]].maps()[shown["channels"]]
        entries = bundle.arrays[f"maps {i}"]
        step = (shown["high"] - shown["low"]) / 240
        inside = (values >= shown["low"]) & (values <= shown["high"])
        drawn = shown["low"] + (entries + 0.5) * step
        assert np.abs(drawn - values)[inside].max() <= step
        assert np.count_nonzero(~inside) == shown["beyond"]


def test_no_file_of_the_room_runs_a_model_itself() -> None:
    for file in Path(pellucid.pages.__file__).parent.glob("*.py"):
        text = file.read_text()
        assert not re.search(r"\bmodule\(|\.backward\(|autograd|capture import passes|capture\.passes", text), file.name


def test_the_model_is_left_as_it_was() -> None:
    ours = model(module=Small().train())
    before = ours.weights_digest
    make_bundle(ours, picture(), methods=("grad-cam",))
    assert ours.module.training
    assert ours.weights_digest == before
    assert all(parameter.grad is None for parameter in ours.module.parameters())


def test_progress_reaches_the_end_once() -> None:
    seen: list[tuple[int, int]] = []
    make_bundle(model(), picture(), methods=("grad-cam", "saliency"), progress=lambda *step: seen.append(step))
    assert seen == [(step, 5) for step in range(1, 6)]


def test_a_bundle_of_another_version_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    Bundle(record={**bundle.record, "bundle_version": 99}, arrays=bundle.arrays).save(tmp_path / "new")
    with pytest.raises(ArchiveError, match="version 99, expected 1"):
        Bundle.load(tmp_path / "new")


def test_a_bundle_that_lacks_a_part_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    record = {name: part for name, part in bundle.record.items() if name != "answer"}
    Bundle(record=record, arrays=bundle.arrays).save(tmp_path / "torn")
    with pytest.raises(ArchiveError, match="lacks answer"):
        Bundle.load(tmp_path / "torn")


def test_no_method_is_refused() -> None:
    with pytest.raises(SettingError, match="a list with at least one method"):
        make_bundle(model(), picture(), methods=())


def test_an_unknown_site_is_refused_with_the_nearest() -> None:
    with pytest.raises(SiteError, match="secondd"):
        make_bundle(model(), picture(), methods=("grad-cam",), sites=["secondd"])


def test_sites_and_channels_can_be_named() -> None:
    named = make_bundle(model(), picture(), methods=("grad-cam",), sites=["second"], channels="1,5")
    assert [(shown["site"], shown["channels"], shown["rule"]) for shown in named.record["maps"]] == [
        ("second", [1, 5], "named")
    ]


def test_a_large_picture_is_kept_small() -> None:
    large = make_bundle(model(), picture(1500, 900), methods=("grad-cam",))
    assert large.arrays["original"].shape == (640, 384, 3)
    assert large.record["picture"]["size"] == [1500, 900]


def test_maps_beyond_the_limit_are_left_out_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "MAP_BYTES", 9_000)
    made = make_bundle(model(), picture(), methods=("grad-cam",))
    left_out = made.record["maps_left_out"]
    assert left_out > 0
    assert all(shown["channels"] for shown in made.record["maps"])
    assert f"{left_out} maps were left out" in render(made)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("pellucid explain small /home/me/cats/cat.png", "pellucid explain small cat.png"),
        (
            "pellucid explain timm/r@/srv/w.safetensors cat.png --to=~/out.html",
            "timm/r@w.safetensors cat.png --to=out.html",
        ),
        ("pellucid explain small '/home/me/my cats/cat.png'", "pellucid explain small cat.png"),
    ],
)
def test_the_command_is_shown_without_folders(given: str, kept: str) -> None:
    made = make_bundle(model(), picture(), methods=("saliency",), command=given)
    assert made.record["command"].endswith(kept)
    assert "/home" not in json.dumps(made.record)


def test_nothing_of_the_file_but_its_pixels_and_its_name_is_kept(tmp_path: Path) -> None:
    from PIL import Image as Pillow

    exif = Pillow.Exif()
    exif[0x010E] = "SECRET-PLACE"
    folder = tmp_path / "somebody"
    folder.mkdir()
    Pillow.fromarray(picture().pixels).save(folder / "cat.jpg", exif=exif)
    made = make_bundle(model(), pellucid.read(folder / "cat.jpg"), methods=("saliency",))
    page = render(made)
    for secret in ("SECRET-PLACE", "somebody", str(tmp_path)):
        assert secret not in page
        assert secret not in json.dumps(dict(made.record))


class Smooth(Small):
    """The small network with an activation that guided backpropagation is not defined for."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.SiLU()


def dense() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 7))


def smooth_and_dense() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 8), nn.GELU(), nn.Linear(8, 7))


@pytest.mark.parametrize(
    ("build", "methods", "left_out"),
    [
        (Small, ["grad-cam", "integrated-gradients", "guided-backpropagation"], {}),
        (Smooth, ["grad-cam", "integrated-gradients"], {"guided-backpropagation": "site 'relu' is silu"}),
        (dense, ["integrated-gradients", "guided-backpropagation"], {"grad-cam": "finds no site of its own"}),
        (
            smooth_and_dense,
            ["integrated-gradients", "saliency"],
            {"grad-cam": "finds no site of its own", "guided-backpropagation": "site '2' is gelu"},
        ),
    ],
    ids=["relu", "silu", "dense", "dense-gelu"],
)
def test_by_default_what_does_not_apply_is_left_out_and_the_page_says_why(
    build: type[nn.Module], methods: list[str], left_out: dict[str, str]
) -> None:
    made = make_bundle(model(module=build().eval()), picture())
    assert [each.method for each in made.explanations] == methods
    assert [row["method"] for row in made.record["methods_left_out"]] == list(left_out)
    for lang, sentence in (("en", "does not apply to this network and was left out"), ("ko", "이 신경망에 맞지 않아")):
        page = render(made, lang=lang)
        assumed = unescape(page[page.index('<section id="assumed"') :])
        assert assumed.count(sentence) == len(left_out)
        assert all((reason in assumed) == (lang == "en") for reason in left_out.values())
        stands_in = "Gradient</bdi> stands in" if lang == "en" else "기울기</bdi> 방법이 대신합니다"
        assert (stands_in in assumed) == ("saliency" in methods)


def test_a_named_method_that_does_not_apply_is_an_error() -> None:
    with pytest.raises(MethodError, match="guided-backpropagation is defined for ReLU, and site 'relu' is silu"):
        make_bundle(model(module=Smooth().eval()), picture(), methods=("saliency", "guided-backpropagation"))
    with pytest.raises(MethodError, match="grad-cam finds no site of its own"):
        make_bundle(model(module=dense().eval()), picture(), methods=("grad-cam",))


def test_progress_reaches_the_end_also_where_something_is_left_out() -> None:
    seen: list[tuple[float, int]] = []
    make_bundle(model(module=Smooth().eval()), picture(), progress=lambda *step: seen.append(step))
    assert seen == sorted(seen)
    assert {(1, 6), (2, 6), (5, 6), (6, 6)} <= set(seen)
    assert seen[-1] == (6, 6)
    assert sum(2 < step < 5 for step, _ in seen) > 3  # within integrated gradients, too
