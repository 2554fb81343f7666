"""`pellucid train`: make the bundled models again, or train small models of graphs, each by its recipe."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from pellucid.cli import streams
from pellucid.cli.places import writable
from pellucid.cli.talking import Report, Talk


class Recipe(StrEnum):
    """The models that can be trained here."""

    animals = "animals"
    shortcut = "animals-shortcut"
    karate = "karate"
    planetoid = "planetoid"
    tudataset = "tudataset"
    mesh_parts = "mesh-parts"
    facebook = "facebook"


_DATA = {
    Recipe.planetoid: "a folder with ind.NAME.x, ind.NAME.graph and so on",
    Recipe.tudataset: "a folder with NAME_A.txt, NAME_graph_indicator.txt and so on",
    Recipe.facebook: "a folder with NAME_edges.csv, NAME_target.csv and NAME.json",
}
Card = dict[str, Any]


def train(
    recipe: Annotated[
        Recipe,
        typer.Argument(
            metavar="RECIPE",
            help="animals or animals-shortcut: pictures; karate, planetoid, tudataset, mesh-parts or facebook: graphs.",
        ),
    ],
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="What to train on, for planetoid (ind.NAME.*), tudataset (NAME_A.txt) and facebook (NAME_edges.csv).",
            show_default="what the recipe makes itself",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where RECIPE.safetensors and its model card RECIPE.json go.")
    ] = Path("."),
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="For every random draw.")] = 0,
    talk: Talk,
) -> int:
    """Train a small model from nothing, write its weights and its model card, and say how accurate it is.

    The recipes animals take up to 20 minutes on two cores, tudataset some minutes, the others two minutes at most.
    """
    _check_data(recipe, data)
    for suffix in (".safetensors", ".json"):
        writable(out / f"{recipe.value}{suffix}", option="--out")
    with talk.progress(f"training {recipe.value}") as report:
        card = _trainer(recipe, data)(out, seed, report)
    if talk.as_json:
        streams.put_json(card)
    else:
        streams.put(str(out / f"{recipe.value}.safetensors"))
        for line in _measured(card) if recipe in _OF_GRAPHS else []:
            talk.say(line)
    return 0


_OF_GRAPHS = (Recipe.karate, Recipe.planetoid, Recipe.tudataset, Recipe.mesh_parts, Recipe.facebook)


def _check_data(recipe: Recipe, data: Path | None) -> None:
    from pellucid.errors import SettingError

    expected = _DATA.get(recipe)
    if expected is None and data is not None:
        raise SettingError("--data", given=streams.plain(str(data)), expected=f"nothing: {recipe.value} makes its own")
    if expected is not None and data is None:
        raise typer.BadParameter(f"{recipe.value} trains on a data set; name it: --data FOLDER, {expected}")


def _trainer(recipe: Recipe, data: Path | None) -> Callable[[Path, int, Report], Card]:
    """What a recipe does, its module loaded."""
    if recipe in (Recipe.animals, Recipe.shortcut):
        from pellucid.models.recipes.animals import train_animals

        shortcut = recipe is Recipe.shortcut
        return lambda out, seed, report: train_animals(out, shortcut=shortcut, seed=seed, progress=report)
    if recipe is Recipe.karate:
        from pellucid.models.recipes.karate import train_karate

        return lambda out, seed, report: train_karate(out, seed=seed, progress=report)
    if recipe is Recipe.mesh_parts:
        from pellucid.models.recipes.mesh_parts import train_mesh_parts

        return lambda out, seed, report: train_mesh_parts(out, seed=seed, progress=report)
    from pellucid.models.recipes.facebook import train_facebook
    from pellucid.models.recipes.planetoid import train_planetoid
    from pellucid.models.recipes.tudataset import train_tudataset

    place = data or Path(".")
    of_data: dict[Recipe, Callable[..., Card]] = {
        Recipe.planetoid: train_planetoid,
        Recipe.tudataset: train_tudataset,
        Recipe.facebook: train_facebook,
    }
    return lambda out, seed, report: of_data[recipe](out, data=place, seed=seed, progress=report)


def _measured(card: Card) -> list[str]:
    """The accuracies of a model card as lines, with what was published beside them."""
    found = []
    for name, value in card["accuracy"].items():
        known = card.get("published", {}).get(name)
        beside = "" if known is None else f"; published {_share(known)}"
        if isinstance(value, float) or "mean" in value:
            found.append(f"accuracy, {name.replace('_', ' ')}: {_share(value)}{beside}")
        else:
            found += [f"accuracy, {part}: {_share(share)}" for part, share in value.items()]
    return found


def _share(value: Any) -> str:
    if isinstance(value, dict):
        return f"{100 * value['mean']:.1f} ± {100 * value['deviation']:.1f} %"
    return f"{100 * value:.1f} %"
