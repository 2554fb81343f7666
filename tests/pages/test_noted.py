"""Every note that pellucid really makes is said again in Korean: made here by its makers, not written down."""

import io
import json
import pickle
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from tests.inputs.test_colour_profiles import ADOBE, rgb_profile
from tests.inputs.test_decoding import chunk
from tests.pages.conftest import Small, model, picture
from torch import nn

import pellucid
from pellucid.capture.kinship import unlike_training
from pellucid.cli.loading import _changed
from pellucid.errors import ArchiveError, CapacityError, MethodError
from pellucid.inputs.reading import read
from pellucid.methods.catalogue import METHODS, method_from, settings_of
from pellucid.methods.relevance import COMPOSITES, FIRSTS
from pellucid.methods.usual import explain_usual
from pellucid.models.checkpoints import read_weights
from pellucid.models.model import Model
from pellucid.models.preprocessing import FILTERS, Preprocessing
from pellucid.models.untrained import untrained_model
from pellucid.models.xai_cnn import XAI
from pellucid.pages import page
from pellucid.pages.bundle import Bundle
from pellucid.pages.measuring import card_summary
from pellucid.pages.notes import noted, noted_by_sentence, noted_text
from pellucid.pages.page import write_page
from pellucid.pages.saved import write_saved
from pellucid.pages.words import Catalogue

KO, EN = Catalogue("ko"), Catalogue("en")
Noted = tuple[str, str]


def english_in(kind: str, text: str) -> list[str]:
    """What of a note stays English on a Korean page."""
    say = noted_by_sentence if kind == "card" else noted
    return [segment.text for segment in say(text, kind, KO) if segment.tag == "en"]


class Net(nn.Module):
    """What checkpoints are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.features(x).mean((2, 3)))


class Textbook(nn.Module):
    """The seed network's weights in a class of somebody else's."""

    def __init__(self) -> None:
        super().__init__()
        inner = XAI(width=2)
        self.features, self.classifier = inner.features, inner.classifier

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).flatten(1))


def of_model(found: Model) -> list[Noted]:
    card = [("card", text) for text in card_summary(found.card).get("sentences", [])]
    return [("loading", note) for note in found.notes] + card + [("source", found.preprocessing.source)]


def checkpoint(folder: Path, content: Any, name: str = "w.pt") -> Path:
    torch.save(content, folder / name)
    return folder / name


def loaded(folder: Path) -> Iterator[Model]:
    torch.manual_seed(0)
    plain = Preprocessing.none()
    state = Net().state_dict()
    yield pellucid.load("animals")
    yield pellucid.load("animals-shortcut")
    yield pellucid.load("animals", preprocessing=plain)
    yield pellucid.load("xai@random")
    yield pellucid.load(Textbook())
    yield pellucid.load(torch.compile(nn.DataParallel(Net()), backend="eager"))  # type: ignore[arg-type]
    yield untrained_model(model(), seed=3)
    prefixed = {f"module.model.{name}": value for name, value in state.items()}
    yield pellucid.load(Net(), weights=checkpoint(folder, {"epoch": 3, "net": {"state_dict": prefixed}}))
    wrapped = {name.replace("features.", "features.module."): value for name, value in state.items()}
    yield pellucid.load(Net(), weights=checkpoint(folder, {"state_dict": wrapped}))
    heads = {f"aux{i}.weight": torch.zeros(1) for i in range(5)}
    yield pellucid.load(Net(), weights=checkpoint(folder, {**state, **heads}))
    yield pellucid.load(Net(), weights=checkpoint(folder, {**state, "aux.weight": torch.zeros(1), "epoch": 3}))
    yield pellucid.load(Net(), weights=checkpoint(folder, {name: v.half() for name, v in state.items()}))
    broken = {**state, "fc.bias": torch.full((3,), torch.nan)}
    yield pellucid.load(Net(), weights=checkpoint(folder, broken))
    broken = {**state, "features.1.running_var": torch.full((4,), torch.inf)}
    yield pellucid.load(Net(), weights=checkpoint(folder, broken))
    yield pellucid.load(checkpoint(folder, XAI(width=2).state_dict(), "seed.pt"), architecture="xai")
    yield pellucid.load(checkpoint(folder, nn.Sequential(nn.Conv2d(3, 2, 1)), "whole.pt"), trust=True)


def test_every_note_of_loading_has_a_translation(tmp_path: Path) -> None:
    said = [each for found in loaded(tmp_path) for each in of_model(found)]
    assert len({note for _, note in said}) >= 25
    assert [each for each in said if english_in(*each)] == []


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_every_note_about_trusted_code_has_a_translation(tmp_path: Path) -> None:
    linear = nn.Linear(2, 3)
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"model": linear.state_dict()}))
    torch.jit.script(linear).save(tmp_path / "script.pt")
    torch.export.save(torch.export.export(linear, (torch.zeros(1, 2),)), tmp_path / "program.pt2")
    notes = [
        note
        for name in ("w.pkl", "script.pt", "program.pt2")
        for note in read_weights(tmp_path / name, trust=True).notes
    ]
    assert len(notes) == 4
    assert [note for note in notes if english_in("loading", note)] == []


@pytest.mark.parametrize("name", ["resnet18@random", "googlenet", "densenet121"])
def test_every_note_of_torchvision_has_a_translation(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torchvision", reason="needs torchvision to build its networks")
    from pellucid.models.torchvision_models import build_torchvision

    if name == "googlenet":
        notes = build_torchvision(name, num_classes=None, trained=True).notes
        assert notes
    elif name == "densenet121":
        old = {
            re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value
            for key, value in build_torchvision(name, num_classes=None, trained=True).module.state_dict().items()
        }
        notes = pellucid.load(f"torchvision/{name}@{checkpoint(tmp_path, old)}").notes
        assert any("older layout" in note for note in notes)
    else:
        notes = pellucid.load(f"torchvision/{name}").notes
    assert [note for note in notes if english_in("loading", note)] == []


def test_every_note_of_timm_has_a_translation() -> None:
    pytest.importorskip("timm", reason="needs timm to read its metadata")
    from pellucid.models.timm_models import _preprocessing

    usual = {"input_size": (3, 24, 24), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    notes = [_preprocessing({**usual, **more})[1] for more in ({"crop_mode": "border"}, {"input_size": (3, 24, 32)})]
    assert [len(found) for found in notes] == [1, 1]
    assert [note for found in notes for note in found if english_in("loading", note)] == []


def described() -> Iterator[Preprocessing]:
    for name in FILTERS:
        yield Preprocessing(resize=40, crop=32, filter=name, mean=(0.485, 0.456, 0.406), source="assumed")
    yield Preprocessing(resize=(40, 60), crop=(32, 30), channels="BGR", scale=1.0, std=(2.0, 3.0, 4.0))
    yield Preprocessing.none()
    yield Preprocessing(scale=1.0)
    yield Preprocessing(scale=2.0, source="the weights' metadata")
    yield Preprocessing(scale=2.0, mean=(0.5,) * 3, source="the default weights' metadata")
    yield _changed(_changed(Preprocessing.none(), {"resize": 40, "filter": "box"}), {"scale": 1.0})


@pytest.mark.parametrize("given", list(described()), ids=Preprocessing.describe)
def test_every_description_of_preprocessing_and_its_source_have_a_translation(given: Preprocessing) -> None:
    assert english_in("preparation", given.describe()) == []
    assert english_in("source", given.source) == []
    note = f"nothing says how pictures are prepared for this model, so it was assumed: {given.describe()}"
    assert english_in("loading", note) == []
    assert english_in("loading", f"prepared so: {given.describe()}") == []


def test_a_description_keeps_its_numbers() -> None:
    said = noted_text(Preprocessing.assumed().describe(), "preparation", KO, longest=400).replace("\u00a0", " ")
    assert said == (
        "짧은 변 256(쌍선형 보간), 가운데 224×224 자르기, RGB, ÷ 255, 평균 (0.485, 0.456, 0.406), "
        "표준편차 (0.229, 0.224, 0.225) (출처: 가정)"
    )


def saved(made: PIL.Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    made.save(buffer, kind, **options)
    return buffer.getvalue()


def pictures() -> Iterator[object]:
    pixels = picture().pixels
    plain, grey = PIL.Image.fromarray(pixels), PIL.Image.fromarray(pixels[..., 0])
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    deep = pixels[..., 0].astype(np.uint16) * 257
    yield saved(plain, "JPEG", exif=exif)
    yield saved(plain.convert("CMYK"), "JPEG")
    yield saved(PIL.Image.fromarray(deep))
    yield saved(PIL.Image.fromarray(np.dstack([pixels, pixels[..., :1]])))
    transparent = plain.quantize(8)
    transparent.info["transparency"] = 0
    yield saved(transparent)
    yield saved(plain, "GIF", save_all=True, append_images=[plain.rotate(90)])
    yield saved(plain, icc_profile=rgb_profile("Wide", gamma=2.2, columns=ADOBE))
    yield saved(grey, icc_profile=rgb_profile("Wide", gamma=2.2, columns=ADOBE))
    yield saved(plain, icc_profile=b"no profile")
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(7))) + chunk(b"IEND", b"")
    yield b"\x89PNG\r\n\x1a\n" + content
    yield (pixels / 255).astype(np.float32)
    yield deep
    frames = PIL.Image.open(io.BytesIO(saved(plain, "GIF", save_all=True, append_images=[plain.rotate(90)])))
    frames.seek(1)
    yield frames


def test_every_note_of_reading_a_picture_has_a_translation() -> None:
    notes = {note for source in pictures() for note in read(source).notes}  # type: ignore[arg-type]
    assert len(notes) >= 12
    assert [note for note in notes if english_in("picture", note)] == []


def test_the_words_of_a_decoder_stay_its_own() -> None:
    assert english_in("picture", "the decoder says: Truncated File Read") == ["Truncated File Read"]


def reasons(build: Callable[[], nn.Module]) -> list[str]:
    return list(explain_usual(model(module=build().eval()), picture(), methods=list(METHODS)).left_out.values())


def activated(activation: nn.Module) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        made = Small()
        made.relu = activation  # type: ignore[assignment]
        return made

    return build


class Patches(nn.Module):
    """Attention over patches."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, 8, 8, stride=8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.last = nn.Linear(8, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.cut(x).flatten(2).transpose(1, 2)
        return self.last(self.attention(tokens, tokens, tokens)[0].mean(1))


class ChannelsLast(nn.Module):
    """Maps whose channels stand behind, mixed by a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.last = nn.Linear(3, 8), nn.Linear(8, 7)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.mix(x.permute(0, 2, 3, 1))).mean((1, 2)))


@pytest.mark.parametrize(
    "build",
    [
        activated(nn.SiLU()),
        activated(nn.LeakyReLU()),
        activated(nn.Hardtanh()),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 8), nn.GELU(), nn.Linear(8, 7)),
        Patches,
        ChannelsLast,
    ],
    ids=["silu", "leaky", "hardtanh", "dense", "attention", "channels last"],
)
def test_every_reason_why_a_method_was_left_out_has_a_translation(build: Callable[[], nn.Module]) -> None:
    found = reasons(build)
    assert found
    assert [reason for reason in found if english_in("reason", reason)] == []


class Branching(Small):
    """One convolution that the answer does not use, and one that does not look at the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.aside, self.blind = nn.Conv2d(3, 2, 3), nn.Conv2d(3, 7, 3)
        self.seen = nn.Parameter(torch.ones(1, 3, 8, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.aside(x)
        return super().forward(x) + self.blind(self.seen).mean((2, 3))


class Detached(Small):
    """Its answer does not depend on the picture."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.detach())


class Gated(Small):
    """Its answer is multiplied with itself."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = super().forward(x)
        return made * made


@pytest.mark.parametrize(
    ("module", "method", "reason"),
    [
        (Small, "grad-cam(site=last)", "has shape"),
        (Small, "layer-cam(site=last)", "has shape"),
        (Gated, "fullgrad", "is not affine"),
        (Gated, "cam", "after class layer"),
        (Gated, "lrp", "a product of two activations"),
        (Small, "lrp(first=box, low=0.0, high=0.1)", "between low and high"),
        (Gated, "excitation-backprop", "a product of two activations"),
        (Small, "kernel-shap(samples=20, segments=grid:4)", "apart by 20 samples"),
        (Small, "lime(samples=10, segments=grid:4)", "by 10 samples"),
        (Small, "lime(segments=grid:3, width=0.001, ridge=0)", "by these samples"),
        (Branching, "grad-cam(site=aside)", "does not depend on site"),
        (Branching, "grad-cam(site=blind)", "site 'blind'"),
        (Detached, "saliency", "site 'input'"),
        (Detached, "integrated-gradients", "does not depend on the picture"),
    ],
)
def test_every_other_refusal_of_a_method_would_have_a_translation(
    module: type[nn.Module], method: str, reason: str
) -> None:
    with pytest.raises(MethodError) as caught:
        pellucid.explain(model(module=module().eval()), picture(), method=method)
    found = str(caught.value).split("; ")[0].removesuffix(".")
    assert reason in found
    assert english_in("reason", found) == []


@pytest.mark.parametrize("method", list(METHODS))
def test_every_setting_of_every_method_has_a_translation(method: str) -> None:
    settings = [f"{k} {v}" for k, v in settings_of(method_from(method)).items() if v is not None and k != "site"]
    assert [setting for setting in settings if english_in("setting", setting)] == []


@pytest.mark.parametrize(
    "text",
    ["grad-cam(sign=both)", "grad-cam++(exponent=score)", "ablation-cam(divisor=none)", "fullgrad(terms=absolute)"]
    + ["lime(segments=slic:50)"]
    + [f"hirescam(fusion={fusion})" for fusion in ("mean", "max", "mean:input", "max:input")]
    + [f"lrp(composite={name})" for name in COMPOSITES]
    + [f"lrp(first={first}, low=-2.1, high=2.6)" for first in FIRSTS]
    + ["excitation-backprop(contrast=dual)", "lrp(epsilon=0.25, gamma=0.1)"]
    + [f"integrated-gradients(baseline={b})" for b in ("mean", "black", "white", "noise", "blur:0.5")]
    + [f"smooth-grad(combine={combine})" for combine in ("squared", "variance")]
    + [f"integrated-gradients(rule={rule})" for rule in ("middle", "left", "right", "trapezoid")],
)
def test_every_other_setting_has_a_translation_too(text: str) -> None:
    settings = {k: v for k, v in settings_of(method_from(text)).items() if v is not None and k != "site"}
    assert [f"{k} {v}" for k, v in settings.items() if english_in("setting", f"{k} {v}")] == []


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("top:1", r"\w+\(클래스 \d\)"),
        ("contrast:owl,fox", "fox 대신 owl"),
        ("unit:'second'/3", "second의 채널 3, 위치에 대한 평균"),
        ("unit:'last'/3", "last의 채널 3"),
        ("output:2", "출력 2"),
    ],
)
def test_a_target_is_named_in_korean(target: str, said: str) -> None:
    [found] = pellucid.explain_many(model(), [picture()], methods=["saliency"], targets=[target])
    assert re.fullmatch(said, noted_text(found.target.text, "target", KO))
    assert noted_text(found.target.text, "target", EN) == found.target.text


def test_classes_without_names_are_named_in_korean() -> None:
    unnamed = model(class_names=None)
    [found] = pellucid.explain_many(unnamed, [picture()], methods=["saliency"], targets=["contrast:1,2"])
    assert noted_text(found.target.text, "target", KO) == "클래스 2 대신 클래스 1"


class Rooted(Small):
    """Its answer is finite, and its slope at the input is not: a square root at 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + torch.sqrt(x * 0).mean()


def explained() -> Iterator[str]:
    against = model()
    against.module.last.weight.data.fill_(-1.0)  # type: ignore[union-attr, operator]
    broken = model(module=Rooted().eval())
    constant = model()
    constant.module.last.weight.data.zero_()  # type: ignore[union-attr, operator]
    for ours in (against, broken, constant):
        methods = ["grad-cam", "grad-cam(sign=both)", "integrated-gradients(steps=2)", "saliency"]
        for found in pellucid.explain_many(ours, [picture()], methods=methods):
            yield from found.notes


def test_every_note_of_an_explanation_has_a_translation() -> None:
    notes = set(explained())
    for word in ("0 everywhere", "every value", "not finite", "flat", "log-softmax", "the same at the baseline"):
        assert any(word in note for note in notes), word
    assert [note for note in notes if english_in("explanation", note)] == []


def test_on_an_english_page_a_note_is_the_sentence_that_was_written() -> None:
    for note in explained():
        assert "".join(segment.text for segment in noted(note, "explanation", EN)) == note


def test_the_remark_on_a_picture_unlike_the_training_pictures_has_a_translation() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    remark = unlike_training(pellucid.load("animals"), read(noise))
    assert remark is not None
    assert english_in("remark", remark) == []
    numbers = re.findall(r"\d+\.\d", remark)
    assert re.findall(r"\d+\.\d", noted_text(remark, "remark", KO, longest=600)) == [numbers[0], "99.5", numbers[2]]


def test_the_cards_of_both_recipes_have_a_translation_sentence_by_sentence() -> None:
    from pellucid.models.recipes.animals import _LIMITS, _described

    texts = [_described(shortcut, 3000) for shortcut in (False, True)] + list(_LIMITS)
    assert [text for text in texts if english_in("card", text)] == []
    unknown = f"{_LIMITS[1]} A sentence that nobody knows."
    assert english_in("card", unknown) == ["A sentence that nobody knows."]


def test_every_refusal_of_a_saved_bundle_has_a_translation(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def refusal(change: Callable[[dict[str, Any]], object]) -> None:
        bundle.save(tmp_path / "b")
        text = tmp_path / "b.json"
        record = json.loads(text.read_text(encoding="utf-8"))
        change(record)
        text.write_text(json.dumps(record), encoding="utf-8")
        with pytest.raises(ArchiveError) as caught:
            Bundle.load(text)
        found.append(str(caught.value))

    refusal(lambda record: record.update(bundle_version=99))
    refusal(lambda record: record.pop("answer"))
    refusal(lambda record: record.update(pellucid="explanation"))
    refusal(lambda record: record.pop("pellucid"))
    refusal(lambda record: record.update(arrays_sha256=""))
    with pytest.raises(ArchiveError) as incomplete:
        write_saved(Bundle(record={**bundle.record, "sites": 3}, arrays=bundle.arrays), tmp_path / "page.html")
    found.append(str(incomplete.value))
    (tmp_path / "b.json").write_text("{", encoding="utf-8")
    with pytest.raises(ArchiveError) as damaged:
        Bundle.load(tmp_path / "b.json")
    found.append(str(damaged.value))
    monkeypatch.setattr(page, "LIMIT", 1000)
    with pytest.raises(CapacityError) as caught:
        write_page(bundle, tmp_path / "page.html")
    found.append(str(caught.value))
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(ArchiveError) as gone:
        Bundle.load(tmp_path / "b.json")
    found.append(str(gone.value))
    assert len(set(found)) == 9
    assert all(noted(text, "refusal", KO)[-1].tag == "" for text in found)
    # Only the words of Python and of its JSON reader stay English.
    stays = [words for text in found for words in english_in("refusal", text)]
    assert [re.sub(r"[^A-Za-z]+.*", "", words) for words in stays] == ["TypeError", "Expecting"]
