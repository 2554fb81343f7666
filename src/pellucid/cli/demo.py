"""`pellucid demo`: the bundled model looks at a drawing made on the spot; or a graph network at two graphs."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli import streams
from pellucid.cli.demo_graph import demo_graph
from pellucid.cli.explain import Language, LanguageOption
from pellucid.cli.places import writable, writable_base
from pellucid.cli.talking import Talk
from pellucid.errors import SettingError

_SEED = 7


class Shown(StrEnum):
    """What the demo is about."""

    picture = "picture"
    graph = "graph"


def demo(
    what: Annotated[
        Shown, typer.Argument(metavar="[WHAT]", help="picture, or graph: two networks trained on the spot, two pages.")
    ] = Shown.picture,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the page goes; with graph a folder.",
            show_default="pellucid-demo.html, in out/ if there is such a folder",
        ),
    ] = None,
    lang: LanguageOption = Language.en,
    bundle: Annotated[
        Path | None,
        typer.Option(metavar="BASE", help="Save all that the page needs as BASE.json and BASE.safetensors."),
    ] = None,
    talk: Talk,
) -> int:
    """Show what pellucid does: a page about a cat, drawn on the spot, in the bundled model `animals`; or on graphs."""
    if what is Shown.graph:
        return demo_graph(_folder(output, bundle), lang=lang.value, talk=talk)
    place = writable(output or _usual_place(), option="--output")
    base = None if bundle is None else writable_base(bundle, option="--bundle")

    from pellucid.inputs.picture_reading import read_picture
    from pellucid.insights.probe_pictures import drawn_pictures
    from pellucid.models.loading import load
    from pellucid.models.recipes.drawings import draw, pure
    from pellucid.pages.bundle import make_bundle
    from pellucid.pages.page import write_page

    model = load("animals")
    cat = replace(read_picture(draw(_SEED, pure("cat")).pixels), name="a drawn cat")
    with talk.progress("demo") as report:
        made = make_bundle(model, cat, probe=drawn_pictures(), command="pellucid demo", progress=report)
    write_page(made, place, lang=lang.value)
    if base is not None:
        talk.say(f"saved: {made.save(base)}")
    talk.say(f"open it in a browser: {place.resolve().as_uri()}")
    if talk.as_json:
        streams.put_json({"pellucid": "demo", "page": str(place), "bytes": place.stat().st_size})
    else:
        streams.put(str(place))
    return 0


def _folder(output: Path | None, bundle: Path | None) -> Path:
    """Where the pages about graphs go."""
    if bundle is not None:
        raise SettingError(
            "--bundle", given=str(bundle), expected="nothing with `demo graph`", hint="`pellucid explain` has it"
        )
    if output is not None and not output.is_dir():
        raise SettingError("--output", given=str(output), expected="a folder that exists, for two pages")
    return output or _usual_place().parent


def _usual_place() -> Path:
    name = "pellucid-demo.html"
    return Path("out") / name if Path("out").is_dir() else Path(name)
