"""`pellucid train`: make the bundled models again, from drawings that the recipe makes itself."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli import streams
from pellucid.cli.places import writable
from pellucid.cli.talking import Talk


class Recipe(StrEnum):
    """The models that can be trained here."""

    animals = "animals"
    shortcut = "animals-shortcut"


def train(
    recipe: Annotated[Recipe, typer.Argument(metavar="RECIPE", help="animals or animals-shortcut.")],
    *,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where RECIPE.safetensors and its model card RECIPE.json go.")
    ] = Path("."),
    seed: Annotated[int, typer.Option(metavar="N", help="For every random draw.")] = 0,
    talk: Talk,
) -> int:
    """Train a bundled model from nothing: cats and dogs that the recipe draws. Takes up to 20 minutes on two cores."""
    for suffix in (".safetensors", ".json"):
        writable(out / f"{recipe.value}{suffix}", option="--out")

    from pellucid.models.recipes.animals import train_animals

    with talk.progress(f"training {recipe.value}") as report:
        card = train_animals(out, shortcut=recipe is Recipe.shortcut, seed=seed, progress=report)
    if talk.as_json:
        streams.put_json(card)
    else:
        streams.put(str(out / f"{recipe.value}.safetensors"))
    return 0
