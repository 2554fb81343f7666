"""`pellucid filters`: what a network's filters are like, whether they were trained, and a picture of them."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli import streams
from pellucid.cli.explain import SeedOption
from pellucid.cli.loading import ModelName, ModelOptions, Preparation, files_of, loaded, pictured
from pellucid.cli.places import writable
from pellucid.cli.tables import Column, put_table
from pellucid.cli.talking import Talk
from pellucid.errors import InputError, SettingError

if TYPE_CHECKING:
    from pellucid.figures.tiles import KernelFigure
    from pellucid.inputs.image import Image
    from pellucid.insights.filter_report import FilterReport, LayerReport
    from pellucid.insights.layers import Layer
    from pellucid.models.model import Model


class Scale(StrEnum):
    """Which weights share a scale of colours."""

    filter = "filter"
    shared = "shared"


class Order(StrEnum):
    """What comes first."""

    norm = "norm"
    number = "number"


def filters(
    model: ModelName,
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PICTURE...]",
            help="Pictures, or folders of them, of the kind that the model was trained on: with some, the effect of "
            "removing filters is measured; with eight or more, BatchNorm's statistics are compared with theirs.",
            show_default="none",
        ),
    ] = None,
    *,
    site: Annotated[
        str | None,
        typer.Option(
            metavar="SELECTOR",
            help="Which layer to draw: its name, or a pattern for one, as last:conv.",
            show_default="the first convolution",
        ),
    ] = None,
    channel: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            help="Draw the kernels of this output channel; may be repeated.",
            show_default="all of the first layer, or the eight strongest of a deeper one",
        ),
    ] = None,
    scale: Annotated[
        Scale | None,
        typer.Option(
            metavar="filter|shared",
            help="Each kernel on its own scale, or all on one.",
            show_default="filter for colours, else shared",
        ),
    ] = None,
    order: Annotated[
        Order, typer.Option(metavar="norm|number", help="The strongest filters first, or by number.")
    ] = Order.norm,
    most: Annotated[int, typer.Option("--most", metavar="N", help="Take no more pictures than this.")] = 64,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The picture, a .png.", show_default="MODEL-filters.png here"
        ),
    ] = None,
    seed: SeedOption = 0,
    using: ModelOptions,
    preparation: Preparation,
    talk: Talk,
) -> int:
    """Look at a network's filters: numbers of every layer, what is wrong with them if anything is, and a picture."""
    if output is not None and output.suffix.lower() != ".png":
        raise SettingError("--output", given=str(output), expected="a name that ends in .png")
    if most < 1:
        raise SettingError("--most", given=most, expected="1 or more", hint="64 suits most")
    files, cut = _files(pictures or [], most=most)
    read: list[str | Path] = [*files, *files_of(model, using)]
    place = writable(output or Path(f"{_stem(model)}-filters.png"), option="--output", read=read)

    from pellucid.insights.filters import inspect_filters, layers_in_order

    known = loaded(model, using=using, preparation=preparation, talk=talk)
    images, errors = _read(files, known, talk)
    if files and not images:
        if len(files) > 1:
            streams.say(f"all {len(files)} pictures failed")
        return 1
    if cut:
        talk.say(f"note: {most} of {most + cut} pictures are taken; --most takes more")
    # Drawn first: what was asked for may not exist, and inspecting may take minutes.
    layers = layers_in_order(known, images or None)
    name, figure = _figure(known, layers, site=site, channels=channel, scale=scale, order=order)
    with talk.progress("removing filters") as progress:
        report = inspect_filters(known, images or None, seed=seed, progress=progress)
    figure.save(place)
    for note in report.notes:
        talk.say(f"note: {note}")
    if talk.as_json:
        record = {"pellucid": "filters", **report.to_record(), "drawn": name, "file": str(place), "skipped": errors}
        streams.put_json(record)
    else:
        put_table(_COLUMNS, [_row(layer) for layer in report.layers])
        for sentence in _sentences(report):
            streams.put(sentence)
        streams.put(str(place))
    if errors:
        streams.say(f"{len(errors)} of {len(files)} pictures were skipped, {len(images)} taken")
    return 3 if errors else 0


def _stem(model: str) -> str:
    """A file's name from what was given as MODEL: `torchvision/vgg16@w.pt` → `vgg16`."""
    return Path(streams.plain(model).split("@")[0].split(":")[0]).stem or "model"


def _files(pictures: Sequence[str], *, most: int) -> tuple[list[str], int]:
    """The pictures that are meant, with those of folders in their place, and how many are beyond the most."""
    from pellucid.inputs.folders import pictures_in

    files: list[str] = []
    for given in pictures:
        files += [str(found.path) for found in pictures_in(given)] if Path(given).is_dir() else [given]
    if len(files) <= most:
        return files, 0
    # Spread over the whole: a folder is often sorted by class.
    return [files[place * len(files) // most] for place in range(most)], len(files) - most


def _read(files: Sequence[str], model: "Model", talk: Talk) -> tuple[list["Image"], list[dict[str, str]]]:
    """The pictures that can be read, and for each other one its name and why not."""
    images, errors = [], []
    for file in files:
        try:
            image, _ = pictured(file, model, talk=talk)
            model.preprocessing.prepare(image)
        except InputError as error:
            streams.say(f"error: {error}")
            errors.append({"picture": streams.plain(Path(file).name), "error": streams.plain(str(error))})
        else:
            images.append(image)
    return images, errors


def _figure(
    model: "Model",
    layers: "Sequence[Layer]",
    *,
    site: str | None,
    channels: Sequence[int] | None,
    scale: Scale | None,
    order: Order,
) -> tuple[str, "KernelFigure"]:
    """The name of the layer that is drawn, and the drawing."""
    from pellucid.figures.kernels import filter_figure

    if not layers:
        raise SettingError("MODEL", given=model.name, expected="a network with a convolution or a linear layer")
    layer = _chosen(layers, site)
    return layer.name, filter_figure(
        layer.filters,
        groups=layer.groups,
        channels=channels or None,
        colours=model.preprocessing.channels if layer is layers[0] else None,
        scale=None if scale is None else scale.value,
        order=order.value,
        title=layer.name,
    )


def _chosen(layers: "Sequence[Layer]", selector: str | None) -> "Layer":
    """The layer that a selector means: a name, a pattern, kind:conv, last:linear, or @N among the layers."""
    from pellucid.capture.sites import Site, select_one

    if selector is None:
        return next((each for each in layers if each.filters.ndim > 2), layers[0])
    # The layers stand for their sites: what has no filters cannot be meant.
    stand_ins = [
        Site(
            name=layer.name, index=place, op="conv" if layer.filters.ndim > 2 else "linear",
            kind="conv" if layer.filters.ndim > 2 else "linear", inputs=(), settings={}, shape=layer.filters.shape,
            dtype="float32", parameters=0, multiply_adds=0, seconds=0.0, receptive_field=None,
        )
        for place, layer in enumerate(layers)
    ]  # fmt: skip
    return layers[select_one(selector, stand_ins, {}).index]


_COLUMNS = (
    Column(header="layer", wraps=True),
    Column(header="filters", right=True),
    Column(header="of", right=True, rank=2),
    Column(header="norms", right=True),
    Column(header="effective rank", right=True),
    Column(header="stable rank", right=True, rank=3),
    Column(header="zeros", right=True, rank=4),
    Column(header="dead", right=True),
    Column(header="silent", right=True, rank=1),
    Column(header="duplicate", right=True),
)


def _row(layer: "LayerReport") -> list[str]:
    from pellucid.figures.numbers import number

    spectrum = layer.spectrum
    low, high = (float(bound) for bound in (layer.norms.min(), layer.norms.max()))
    return [
        layer.name,
        str(layer.shape[0]),
        "×".join(map(str, layer.shape[1:])),
        f"{number(low)} … {number(high)}" if not layer.not_finite else "not finite",
        "" if spectrum is None else f"{spectrum.effective_rank:.1f} of {min(spectrum.of)}",
        "" if spectrum is None else f"{spectrum.stable_rank:.1f}",
        f"{layer.zeros:.0%}" if layer.zeros else "0",
        str(len(layer.dead)),
        str(len(layer.silent)),
        str(len(layer.twins)),
    ]


def _sentences(report: "FilterReport") -> list[str]:
    """The findings, and that there are none."""
    damage = [f"DAMAGE: {finding.sentence}" for finding in report.damage]
    if not damage:
        damage = ["No damage was found: nothing that could not come from training."]
    return [*damage, *(finding.sentence for finding in report.findings if not finding.damage)]
