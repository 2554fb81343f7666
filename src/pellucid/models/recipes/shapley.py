"""The truth about a model and a drawing: what each part is worth to it, exactly.

The game: the players are the four parts. A coalition's value is the model's margin cat − dog for the drawing in which
the parts of the coalition are as they are and every other part is of the opposite kind. Four players make 16 drawings,
so nothing is sampled. Where a tag is a player too, its opposite is to be there or not, and 32 drawings are made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from math import factorial
from typing import Any

import numpy as np

from pellucid.errors import SettingError
from pellucid.models.recipes.drawings import PARTS, Sitting, checked, with_tag

# uint8 drawings (count, 100, 100, 3) in, one margin logit(cat) − logit(dog) per drawing out.
Margins = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Exact Shapley values of one drawing's parts.

    Args:
        seed: Of the drawing.
        parts: Its own kinds.
        tag: Whether it has the tag; None where the tag is no player.
        values: For each player what it adds to the margin cat − dog, in logits; negative speaks for the dog.
        all_own: The margin of the drawing as it is.
        all_opposite: The margin with every player turned into its opposite.
    """

    seed: int
    parts: Mapping[str, str]
    tag: bool | None
    values: Mapping[str, float]
    all_own: float
    all_opposite: float

    @property
    def shares(self) -> dict[str, float]:
        """Each player's absolute value as a share of their sum; zeros where nothing counts."""
        whole = sum(abs(value) for value in self.values.values())
        return {player: abs(value) / whole if whole else 0.0 for player, value in self.values.items()}

    def to_record(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "seed": self.seed,
            "parts": dict(self.parts),
            "tag": self.tag,
            "values": dict(self.values),
            "all_own": self.all_own,
            "all_opposite": self.all_opposite,
        }


def shapley(model_fn: Margins, seed: int, parts: Mapping[str, str], *, tag: bool | None = None) -> Truth:
    """What each part of a drawing is worth to a model: exact Shapley values from 16 drawings.

    Args:
        model_fn: Takes uint8 drawings (count, 100, 100, 3), returns the margins logit(cat) − logit(dog).
        seed: Of the drawing.
        parts: "cat" or "dog" for each part.
        tag: None leaves the tag out; else the tag is a fifth player and this says whether the drawing has it.

    Returns:
        The values, in logits. They add up to `all_own - all_opposite`.

    Raises:
        SettingError: A part is covered, missing or unknown.

    Reference:
        Shapley, A value for n-person games, 1953.
    """
    own = checked(parts)
    for part, version in own.items():
        if version == "covered":
            raise SettingError(part, given=version, expected="'cat' or 'dog'", hint="a covered part has no opposite")
    sitting = Sitting(seed)
    players = (*PARTS, "tag") if tag is not None else PARTS
    coalitions = list(product((False, True), repeat=len(players)))
    pictures = []
    for coalition in coalitions:
        stays = dict(zip(players, coalition, strict=True))
        drawing = sitting.draw({part: _kept(own[part], stays[part]) for part in PARTS})
        if tag is not None and stays["tag"] == tag:
            drawing = with_tag(drawing)
        pictures.append(drawing.pixels)
    margins = np.asarray(model_fn(np.stack(pictures)), dtype=np.float64)
    worth = dict(zip(coalitions, margins.tolist(), strict=True))
    return Truth(
        seed=seed,
        parts=own,
        tag=tag,
        values=exact_values(players, worth),
        all_own=worth[(True,) * len(players)],
        all_opposite=worth[(False,) * len(players)],
    )


def exact_values(players: tuple[str, ...], worth: Mapping[tuple[bool, ...], float]) -> dict[str, float]:
    """Shapley values of any small game.

    Args:
        players: Their names.
        worth: The value of every coalition; a coalition says for each player whether it takes part.
    """
    count = len(players)
    values = dict.fromkeys(players, 0.0)
    for place, player in enumerate(players):
        for coalition in worth:
            if coalition[place]:
                continue
            size = sum(coalition)
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            joined = (*coalition[:place], True, *coalition[place + 1 :])
            values[player] += weight * (worth[joined] - worth[coalition])
    return values


def _kept(kind: str, stays: bool) -> str:
    if stays:
        return kind
    return "dog" if kind == "cat" else "cat"
