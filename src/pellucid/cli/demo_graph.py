"""`pellucid demo graph`: a network trained on the spot on Zachary's karate club, and one on molecules."""

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.cli import streams
from pellucid.cli.places import writable
from pellucid.cli.talking import Talk
from pellucid.errors import MissingExtraError

if TYPE_CHECKING:
    from pellucid.models.model import Model

_CLUB, _MOLECULE = "pellucid-karate.html", "pellucid-caffeine.html"
_MEMBER = "member 9"
"""Has friends on both sides of the club."""


def demo_graph(folder: Path, *, lang: str, talk: Talk) -> int:
    """Write a page about a member of the karate club and, where RDKit is installed, one about caffeine."""
    places = [writable(folder / name, option="--output") for name in (_CLUB, _MOLECULE)]

    from pellucid.inputs.karate import karate_club
    from pellucid.pages.graph_bundle import make_graph_bundle
    from pellucid.pages.page import write_page

    club = karate_club()
    model = _club_network(talk)
    with talk.progress("karate club") as report:
        made = make_graph_bundle(
            model, club, target=f"node:{_MEMBER}", command="pellucid demo graph", progress=lambda a, b: report(a, b)
        )
    pages = [write_page(made, places[0], lang=lang)]
    missing = None
    try:
        pages.append(_molecule_page(places[1], lang, talk))
    except MissingExtraError as error:
        missing = str(error)
        talk.say(f"note: no page about a molecule: {missing}")
    for page in pages:
        talk.say(f"open it in a browser: {page.resolve().as_uri()}")
    if talk.as_json:
        streams.put_json({"pellucid": "demo", "pages": [str(page) for page in pages], "missing": missing})
    else:
        for page in pages:
            streams.put(str(page))
    return 0


def _club_network(talk: Talk) -> "Model":
    """The network of the recipe `karate`, trained now."""
    from pellucid.models.loading import load
    from pellucid.models.recipes.karate import train_karate

    with tempfile.TemporaryDirectory() as folder, talk.progress("training on the karate club") as report:
        started = time.perf_counter()
        card = train_karate(Path(folder), progress=report)
        seconds = time.perf_counter() - started
        right = card["accuracy"]["test"]
        talk.say(f"trained in {seconds:.1f} s: right about {right:.0%} of the members whose side it was not told")
        return load(Path(folder) / "karate.safetensors")


def _molecule_page(place: Path, lang: str, talk: Talk) -> Path:
    from pellucid.inputs.smiles import read_smiles
    from pellucid.models.model import Model
    from pellucid.models.preprocessing import Preprocessing
    from pellucid.models.recipes.carbonyl import CAFFEINE, CLASS_NAMES, carbonyl_network
    from pellucid.pages.graph_bundle import make_graph_bundle
    from pellucid.pages.page import write_page

    caffeine = read_smiles(CAFFEINE)
    with talk.progress("training on molecules") as report:
        network, accuracy = carbonyl_network(progress=lambda a, b: report(a, b))
    talk.say(f"carbonyl groups: right about {accuracy['held out']:.0%} of 10 molecules that it has not seen")
    model = Model(
        module=network,
        name="carbonyl",
        preprocessing=Preprocessing.none(),
        class_names=CLASS_NAMES,
        source="pellucid demo graph",
    )
    with talk.progress("caffeine") as report:
        made = make_graph_bundle(
            model, caffeine, target="graph", command="pellucid demo graph", progress=lambda a, b: report(a, b)
        )
    return write_page(made, place, lang=lang)
