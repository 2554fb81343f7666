"""`pellucid maps`: the feature maps of a site, or of several over the depth, as one picture or as numbers."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli import streams
from pellucid.cli.loading import ModelName, ModelOptions, PictureName, Preparation, files_of, loaded, pictured
from pellucid.cli.places import for_each
from pellucid.cli.talking import Talk
from pellucid.errors import SettingError

if TYPE_CHECKING:
    from pellucid.capture.sites import Site
    from pellucid.figures.grid import Grid

_TEXTBOOK = ("features.0", "features.20", "features.40")


class Scale(StrEnum):
    """Which values share a scale of colours."""

    map = "map"
    shared = "shared"


def maps(
    model: ModelName,
    picture: PictureName,
    *,
    site: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SELECTOR",
            help="Which site: a name as features.20, last:conv, @12; with --depth several "
            "or a pattern; see `pellucid trace MODEL PICTURE`.",
            show_default="the first convolution",
        ),
    ] = None,
    depth: Annotated[
        bool,
        typer.Option(
            "--depth",
            help="Several sites below each other: features.0, .20 and .40 of the seed network, "
            "else the first, middle and last convolution, unless --site says which.",
        ),
    ] = False,
    channels: Annotated[
        str | None,
        typer.Option(
            metavar="WORDS",
            help="0-15, 3,7,12, top:16 (the most active), textbook (0-3, 10-13, 20-23, 30-33) or all.",
            show_default="as many of the most active as the grid has places",
        ),
    ] = None,
    rows: Annotated[
        int | None, typer.Option(metavar="N", help="Rows of maps.", show_default="4, or as many as it takes")
    ] = None,
    columns: Annotated[int, typer.Option(metavar="N", help="Maps in a row.")] = 4,
    scale: Annotated[
        Scale,
        typer.Option(
            metavar="map|shared", help="Each map from its own least to its own largest value, or all on one scale."
        ),
    ] = Scale.map,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .png (the picture) or .npz (the numbers).",
            show_default="PICTURE-maps.png here",
        ),
    ] = None,
    using: ModelOptions,
    preparation: Preparation,
    talk: Talk,
) -> int:
    """Draw the feature maps of a site: what each channel found, and where."""
    if output is not None and output.suffix.lower() not in (".png", ".npz"):
        raise SettingError(
            "--output", given=str(output), expected="a name that ends in .png (picture) or .npz (numbers)"
        )
    for name, given in (("--rows", rows), ("--columns", columns)):
        if given is not None and given < 1:
            raise SettingError(name, given=given, expected="1 or more", hint="4 suits most")
    read = files_of(model, using)
    (place,) = for_each([picture], output, option="--output", suffix=".png", default="-maps", read=read) or []

    from pellucid.capture.trace import trace
    from pellucid.figures.mosaic import depth_sheet

    known = loaded(model, using=using, preparation=preparation, talk=talk)
    image, _ = pictured(picture, known, talk=talk)
    # Once without values, to know the sites: of all of them only the chosen ones are kept.
    overview = trace(known, image, keep="statistics")
    chosen = _chosen(overview.sites, depth=depth) if site is None else list(overview.select(*site))
    if not depth and len(chosen) > 1:
        hint = "choose one, or add --depth to see several"
        raise SettingError(
            "--site", given=", ".join(site or ()), expected=f"one site, and it means {len(chosen)}", hint=hint
        )
    detailed = trace(known, image, sites=[each.name for each in chosen])
    words = channels if channels is not None else f"top:{(rows or 4) * columns}"
    grids = [
        # On a sheet each site has a heading of its own.
        _grid(each, words, rows=rows, columns=columns, scale=scale, title="" if depth else each.name)
        for each in detailed.select(*(each.name for each in chosen))
    ]
    labels = [each.name for each in chosen]
    written = (depth_sheet(list(zip(labels, grids, strict=True))) if depth else grids[0]).save(place)
    if talk.as_json:
        rows_of_sites = [
            {
                "site": label,
                "channels": list(grid.channels),
                "shape": list(grid.maps.shape[1:]),
                "of": grid.total,
                "scale": grid.scale,
                "low": grid.low,
                "high": grid.high,
            }
            for label, grid in zip(labels, grids, strict=True)
        ]
        streams.put_json(
            {
                "pellucid": "maps",
                "model": known.name,
                "picture": image.name,
                "file": str(written),
                "sites": rows_of_sites,
            }
        )
    else:
        for label, grid in zip(labels, grids, strict=True):
            talk.say(f"{label}: {grid!r}")
        streams.put(str(written))
    return 0


def _chosen(sites: "Sequence[Site]", *, depth: bool) -> "list[Site]":
    """The sites that are shown where the user leaves it open."""
    drawable = [site for site in sites if site.is_map]
    convolutions = [site for site in drawable if site.kind == "conv"] or drawable
    if not convolutions:
        shapes = "none of its sites gives (batch, channels, height, width)"
        raise SettingError("MODEL", given="this network", expected=f"one with feature maps; {shapes}")
    if not depth:
        return convolutions[:1]
    by_name = {site.name: site for site in convolutions}
    if all(name in by_name for name in _TEXTBOOK):
        return [by_name[name] for name in _TEXTBOOK]
    last = len(convolutions) - 1
    return [convolutions[place] for place in sorted({0, last // 2, last})]


def _grid(site: "Site", words: str, *, rows: int | None, columns: int, scale: Scale, title: str) -> "Grid":
    from pellucid.capture.channels import select_channels
    from pellucid.figures.mosaic import feature_map_grid

    maps = site.maps()
    chosen = select_channels(words, maps)
    return feature_map_grid(
        maps[list(chosen)],
        channels=chosen,
        rows=rows or -(-len(chosen) // columns),
        columns=columns,
        scale=scale.value,
        title=title,
        total=len(maps),
    )
