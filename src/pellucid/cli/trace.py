"""`pellucid trace`: every site of one forward pass, as a table or as one JSON document."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli import streams
from pellucid.cli.loading import ModelName, ModelOptions, PictureName, Preparation, files_of, loaded, pictured
from pellucid.cli.places import writable_base
from pellucid.cli.tables import Column, put_table
from pellucid.cli.talking import Talk
from pellucid.errors import SettingError

if TYPE_CHECKING:
    from pellucid.capture.sites import Site
    from pellucid.capture.trace import Trace
    from pellucid.models.model import Model


class Keep(StrEnum):
    """What is kept of every site."""

    statistics = "statistics"
    full = "full"
    values = "values"


def trace(
    model: ModelName,
    picture: PictureName,
    *,
    site: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SELECTOR",
            help="Only these sites: a name, a pattern as 'layer1.*', kind:conv, last:conv or @12; may be repeated.",
            show_default="all",
        ),
    ] = None,
    keep: Annotated[
        Keep,
        typer.Option(
            metavar="statistics|full|values",
            help="Of every site: mean, std and zeros; also least, largest and histogram; or all values.",
        ),
    ] = Keep.statistics,
    save: Annotated[
        Path | None, typer.Option(metavar="BASE", help="Save the trace as BASE.json and BASE.safetensors.")
    ] = None,
    limit: Annotated[float, typer.Option(metavar="GB", help="Refuse to keep more values than this.")] = 4.0,
    using: ModelOptions,
    preparation: Preparation,
    talk: Talk,
) -> int:
    """List what happens to a picture in a model: every operation, its shape, what it sees, its cost, its values."""
    if not limit > 0:
        raise SettingError("--limit", given=limit, expected="gigabytes, more than 0", hint="4 suits most machines")
    if save is not None:
        save = writable_base(save, option="--save", read=[picture, *files_of(model, using)])

    from pellucid.capture.trace import trace as traced

    known = loaded(model, using=using, preparation=preparation, talk=talk)
    image, _ = pictured(picture, known, talk=talk)
    tensor = known.tensor([image])
    talk.say(_size(known, tensor, site, keep))
    # The prepared tensor, so that the size that was told is that of the very input.
    found = traced(known, tensor, sites=site, keep=keep.value, limit=round(limit * 1e9))
    shown = found.sites if site is None else found.select(*site)
    if save is not None:
        written = found.save(save)
        talk.say(f"saved: {written}")
    if talk.as_json:
        rows = {row["index"]: row for row in found.rows()}
        streams.put_json(
            {
                "pellucid": "trace",
                "model": found.model,
                "weights_digest": found.weights_digest,
                "picture": image.name,
                "digest": image.digest,
                "input_shape": found.input_shape,
                "keep": found.keep,
                "seconds": found.seconds,
                "multiply_adds": found.multiply_adds,
                "sites": [rows[each.index] for each in shown],
            }
        )
        return 0
    # Values are kept instead of statistics, so there are none to show.
    columns = _COLUMNS[: -3 if keep is Keep.values else None]
    put_table(columns, [_row(each)[: len(columns)] for each in shown])
    talk.say(_summary(found))
    return 0


def _size(model: "Model", tensor: object, site: list[str] | None, keep: Keep) -> str:
    """What the trace will keep, said before it is made."""
    from torch import Tensor

    from pellucid.capture import passes
    from pellucid.capture.sites import select_all
    from pellucid.capture.trace import size_of

    assert isinstance(tensor, Tensor)
    facts = passes.facts(model.module, tensor)
    chosen = list(facts.sites) if site is None else select_all(site, facts.sites, facts.aliases)
    megabytes = size_of(chosen, items=len(tensor)) / 1e6
    if keep is Keep.values:
        return f"keeping the values of {_sites(len(chosen))}: {megabytes:.1f} MB"
    return f"{_sites(len(facts.sites))}; no values are kept (with --keep values: {megabytes:.1f} MB)"


def _sites(count: int) -> str:
    return f"{count} site{'s' * (count != 1)}"


_COLUMNS = (
    Column(header="@", right=True, rank=5),
    Column(header="site", wraps=True),
    Column(header="operation"),
    Column(header="shape", right=True),
    Column(header="sees, px", right=True),
    Column(header="parameters", right=True, rank=4),
    Column(header="mult-adds", right=True, rank=1),
    Column(header="ms", right=True, rank=6),
    Column(header="mean", right=True, rank=2),
    Column(header="std", right=True, rank=3),
    Column(header="zeros", right=True, rank=7),
)


def _row(site: "Site") -> list[str]:
    field, summary = site.receptive_field, site.statistics
    return [
        str(site.index),
        site.name,
        site.op,
        "×".join(map(str, site.shape[1:])) or "1",
        "all" if field is None else "×".join(map(str, dict.fromkeys(field.size))),
        f"{site.parameters:,}" if site.parameters else "",
        f"{site.multiply_adds:,}" if site.multiply_adds else "",
        f"{site.seconds * 1000:.2f}",
        "" if summary is None else f"{summary.mean:.3g}",
        "" if summary is None else f"{summary.std:.3g}",
        "" if summary is None else f"{summary.zeros:.0%}",
    ]


def _summary(found: "Trace") -> str:
    bad = found.not_finite
    warning = "" if bad is None else f"; the first site with NaN or infinity is {bad.name}"
    return f"{_sites(len(found))}, {found.multiply_adds:,} multiply-adds, {found.seconds * 1000:.0f} ms{warning}"
