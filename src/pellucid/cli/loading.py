"""The options that name a model and say how it wants its pictures."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli.streams import say
from pellucid.cli.talking import Talk
from pellucid.errors import ModelError, SettingError

if TYPE_CHECKING:
    from pellucid.inputs.image import Image
    from pellucid.insights.probe_pictures import ProbePictures
    from pellucid.models.model import Model
    from pellucid.models.preprocessing import Preprocessing

_MODEL = "Model"
_PREPARATION = "Preparing the picture (where the model does not say it itself)"

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A bundled name (see `pellucid list models`), torchvision/NAME or timm/NAME (also with @WEIGHTS-FILE or "
        "@random), net.py:build, or a weights file together with --architecture.",
    ),
]
PictureName = Annotated[str, typer.Argument(metavar="PICTURE", help="A picture: PNG, JPEG, WebP, BMP, TIFF or GIF.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """What belongs to a model besides its name."""

    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Weights to put into the model: .safetensors, .pt, .pth or .ckpt.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What a weights file belongs to: xai, torchvision/NAME, timm/NAME or net.py:build.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Let the model's own code run: a Python file, a full pickle, TorchScript.",
            rich_help_panel=_MODEL,
        ),
    ] = False
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Names of the outputs: .json, or .txt with one name a line.", rich_help_panel=_MODEL
        ),
    ] = None
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where to run: cpu, cuda, cuda:1.", rich_help_panel=_MODEL)
    ] = None
    num_classes: Annotated[
        int | None,
        typer.Option(
            "--num-classes",
            metavar="N",
            help="Outputs of an architecture, where its weights differ from the usual.",
            rich_help_panel=_MODEL,
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How a picture becomes the model's input. What is not said stays as the model has it."""

    resize: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Shorter side (256), height x width (256x256), or none.", rich_help_panel=_PREPARATION
        ),
    ] = None
    crop: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="What is cut from the centre: 224, 224x160, or none.", rich_help_panel=_PREPARATION
        ),
    ] = None
    filter: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="nearest, box, bilinear, hamming, bicubic or lanczos.", rich_help_panel=_PREPARATION
        ),
    ] = None
    mean: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help="Subtracted from each channel.", rich_help_panel=_PREPARATION),
    ] = None
    std: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help="What each channel is divided by.", rich_help_panel=_PREPARATION),
    ] = None
    channels_order: Annotated[
        str | None,
        typer.Option(
            "--channels-order",
            metavar="RGB|BGR",
            help="The order in which the model takes the colours.",
            rich_help_panel=_PREPARATION,
        ),
    ] = None
    value_scale: Annotated[
        str | None,
        typer.Option(
            "--value-scale",
            metavar="NUMBER",
            help="What 8-bit values are multiplied by: 1/255, or 1.",
            rich_help_panel=_PREPARATION,
        ),
    ] = None

    def settings(self) -> dict[str, Any]:
        """What was said, as fields of `Preprocessing`.

        Raises:
            SettingError: Something cannot be read.
        """
        said: dict[str, Any] = {}
        for name in ("resize", "crop"):
            text = getattr(self, name)
            if text is not None:
                said[name] = _size(name, text)
        for name in ("mean", "std"):
            text = getattr(self, name)
            if text is not None:
                said[name] = _three(name, text)
        if self.filter is not None:
            said["filter"] = self.filter.lower()
        if self.channels_order is not None:
            said["channels"] = self.channels_order.upper()
        if self.value_scale is not None:
            said["scale"] = _number("--value-scale", self.value_scale)
        return said


def files_of(name: str, using: ModelOptions) -> list[Path]:
    """What a model may be read from: the files that its name and the options mean, where there are such files."""
    model, _, weights = name.partition("@")
    parts = [model, model.rpartition(":")[0], weights, using.weights, using.classes, using.architecture]
    return [Path(part) for part in parts if part]


def loaded(name: str, *, using: ModelOptions, preparation: Preparation, talk: Talk) -> "Model":
    """The model that the options mean; what loading had to do or to assume is told.

    Raises:
        PellucidError: As `pellucid.load`, and for a preparation that cannot be read.
    """
    said = preparation.settings()
    from pellucid.models.loading import load

    model = load(
        name,
        weights=using.weights,
        architecture=using.architecture,
        trust=using.trust,
        class_names=using.classes,
        device=using.device,
        num_classes=using.num_classes,
    )
    if said:
        preprocessing = _changed(model.preprocessing, said)
        # What was assumed about the preparation is no longer true, so it is not said either.
        notes = [note for note in model.notes if model.preprocessing.describe() not in note]
        model = replace(model, preprocessing=preprocessing, notes=(*notes, f"prepared so: {preprocessing.describe()}"))
    for note in model.notes:
        talk.say(f"note: {note}")
    return model


def pictured(name: str, model: "Model", *, talk: Talk) -> tuple["Image", str | None]:
    """A picture, and what a reader should know about it before anything else: that the model was trained on others.

    Raises:
        InputError: There is no such picture, or it cannot be read.
        ModelError: The model takes graphs.
    """
    from pellucid.inputs.picture_reading import read_picture
    from pellucid.models.graph_arguments import takes_graphs

    if takes_graphs(model.module):
        raise ModelError(
            f"{model.name} takes graphs, expected a model that takes pictures; for graphs there are pellucid graph and "
            "pellucid explain."
        )
    image = read_picture(name)
    for note in image.notes:
        talk.say(f"note: {image.name}: {note}")
    remark = None
    if model.card:
        from pellucid.capture.kinship import unlike_training

        remark = unlike_training(model, image)
        if remark is not None:
            talk.say(f"note: {image.name}: {remark}")
    return image, remark


def probed(given: str, *, talk: Talk) -> "ProbePictures":
    """The pictures on which a network is measured along its depth; what could not be read is told, and passed over.

    Raises:
        InputError: There is no such folder, or no picture in it can be read.
    """
    from pellucid.insights.probe_pictures import probe_from

    found = probe_from(given)
    for reason in found.skipped:
        say(f"skipped: {reason}")
    total = len(found.images) + len(found.skipped)
    talk.say(f"probe set: {len(found.images)} of {total} pictures of {found.name}")
    return found


def _changed(known: "Preprocessing", said: dict[str, Any]) -> "Preprocessing":
    flags = ", ".join("value-scale" if name == "scale" else name for name in said)
    return replace(known, **said, source=f"flags for {flags}; the rest: {known.source}")


def _size(name: str, text: str) -> int | tuple[int, int] | None:
    words = text.strip().lower()
    if words == "none":
        return None
    found = re.fullmatch(r"([0-9]{1,6})(?:[x×]([0-9]{1,6}))?", words)
    if found is None or not all(int(side) for side in found.groups() if side is not None):
        raise SettingError(f"--{name}", given=text, expected="a side as 256, height x width as 256x256, or none")
    return int(found[1]) if found[2] is None else (int(found[1]), int(found[2]))


def _three(name: str, text: str) -> tuple[float, ...]:
    parts = text.split(",")
    if len(parts) != 3:
        raise SettingError(f"--{name}", given=text, expected="three numbers with commas between, as 0.485,0.456,0.406")
    return tuple(_number(f"--{name}", part) for part in parts)


def _number(option: str, text: str) -> float:
    above, slash, below = text.partition("/")
    try:
        return float(above) / float(below) if slash else float(above)
    except (ValueError, ZeroDivisionError):
        raise SettingError(option, given=text, expected="a number, as 0.5 or 1/255") from None
