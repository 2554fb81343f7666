"""Fidelity over the share of edges or nodes, in the order of an explanation and in orders of chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import nn

from pellucid.capture.graph_remains import Of, Remains, Removal, logits_of_remains
from pellucid.errors import SettingError
from pellucid.methods.explanation import Explanation
from pellucid.methods.parts import read_only
from pellucid.metrics.graph_answers import Reading
from pellucid.metrics.graph_matching import Matched, as_list, matched
from pellucid.metrics.graph_selection import Selection, values_of, word
from pellucid.metrics.ordering import ordered
from pellucid.models.model import Model

Direction = Literal["keep", "remove"]
Floats = npt.NDArray[np.float64]
SHARES = tuple(number / 10 for number in range(11))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphCurves:
    """What is left of the target's probability, or output, over the share of edges or nodes, strongest first.

    Attributes:
        of: `edges` or `nodes`.
        removal: `delete` or `silence`.
        direction: `keep`: only that share is left, and a true explanation stays high; `remove`: that share is gone, and
            a true explanation falls early.
        unit: "probability" or "output".
        shares: (shares,): ascending, 0 to 1.
        explained: (explanations, shares): in the order of the explanation.
        chance: (orders, explanations, shares): in orders drawn at random.
    """

    of: str
    removal: str
    direction: str
    unit: str
    shares: Floats
    explained: Floats
    chance: Floats

    def __post_init__(self) -> None:
        for name in ("shares", "explained", "chance"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    @property
    def mean(self) -> Floats:
        """(shares,): the mean over explanations."""
        return np.asarray(self.explained.mean(axis=0))

    @property
    def chance_mean(self) -> Floats:
        """(shares,): the mean over explanations and orders of chance."""
        return np.asarray(self.chance.mean(axis=(0, 1)))

    @property
    def chance_interval(self) -> Floats:
        """(2, shares): where 95 % of the orders of chance lie, each as a mean over explanations."""
        return np.asarray(np.quantile(self.chance.mean(axis=1), (0.025, 0.975), axis=0))

    @property
    def area(self) -> float:
        """The area under the mean curve, over shares from the first to the last."""
        return float(np.trapezoid(self.mean, self.shares))

    @property
    def chance_areas(self) -> Floats:
        """(orders,): the same area for each order of chance."""
        return np.asarray(np.trapezoid(self.chance.mean(axis=1), self.shares, axis=1))

    @property
    def beats_chance(self) -> float:
        """The share of orders of chance that the explanation is better than, 0 to 1; equal ones count half."""
        better = self.chance_areas < self.area if self.direction == "keep" else self.chance_areas > self.area
        return float((better + 0.5 * (self.chance_areas == self.area)).mean())

    def to_record(self) -> dict[str, Any]:
        """As JSON types."""
        plain = {name: getattr(self, name) for name in ("of", "removal", "direction", "unit")}
        arrays = {name: getattr(self, name).tolist() for name in ("shares", "explained", "chance")}
        return {**plain, **arrays}

    def __repr__(self) -> str:
        low, high = np.quantile(self.chance_areas, (0.025, 0.975))
        verb = {"keep": "kept", "remove": "taken away"}[self.direction]
        return (
            f"<GraphCurves of {len(self.explained)} explanations, {self.of} {verb} by {self.removal}: area "
            f"{self.area:.3f} ({self.unit}), chance {self.chance_areas.mean():.3f} [{low:.3f}, {high:.3f}]>"
        )


def graph_curves(
    explanations: Explanation | Sequence[Explanation],
    *,
    model: Model | nn.Module | str,
    input: Any,
    of: str = "edges",
    removal: str = "delete",
    direction: str = "keep",
    shares: Sequence[float] = SHARES,
    by: str = "value",
    orders: int = 20,
    seed: int = 0,
) -> GraphCurves:
    """Measure the target's probability over the share of edges or nodes that is kept or taken away.

    Args:
        explanations: One or many, of nodes, edges or graphs.
        model: The model that was explained; it is left exactly as it was.
        input: The graph that was explained, or several.
        of: What is kept or taken away.
        removal: As for `evaluate_graph`.
        direction: `keep` or `remove`.
        shares: Ascending, each from 0 to 1, two or more.
        by: Whether values are ordered by `value` or by `magnitude`.
        orders: How many orders are drawn at random for each explanation, 1 or more.
        seed: For those, and for the order of equal values.

    Raises:
        SettingError: An explanation is about another model or graph, has no values for this, or a setting is wrong.
    """
    points = np.asarray(shares, dtype=np.float64)
    if points.ndim != 1 or len(points) < 2 or not (points[0] >= 0 and points[-1] <= 1 and (np.diff(points) > 0).all()):
        raise SettingError("shares", given=shares, expected="two or more ascending numbers from 0 to 1")
    if isinstance(orders, bool) or not isinstance(orders, int) or orders < 1:
        raise SettingError("orders", given=orders, expected="a whole number, 1 or more", hint="20 is usual")
    places: Of = word("of", of, Of)
    how: Removal = word("removal", removal, Removal)
    way: Direction = word("direction", direction, Direction)
    choices = [Selection(share=float(share), by=by) for share in points]
    several = as_list(explanations)
    table = np.zeros((1 + orders, len(several), len(points)))
    units = set()
    for batch in matched(several, model=model, input=input):
        wanted: list[Remains] = []
        for mine in batch:
            for order in _orders(mine, places, by, orders, seed):
                wanted += _along(mine, places, order, choices, way)
        answers = logits_of_remains(batch[0].whole, wanted, of=places, removal=how)
        answers = answers.reshape(len(batch), -1, answers.shape[1])
        for mine, logits in zip(batch, answers, strict=True):
            through = mine.whole.answer.looked_through
            reading = Reading.of(mine.explanation.target, columns=logits.shape[1], looked_through=through)
            units.add(reading.unit)
            table[:, mine.number] = reading.amount(logits).cpu().numpy().reshape(1 + orders, len(points))
    if len(units) > 1:
        raise SettingError("explanations", given="classes and outputs", expected="one of the two", hint="split them")
    return GraphCurves(
        of=of,
        removal=removal,
        direction=direction,
        unit=units.pop(),
        shares=points,
        explained=table[0],
        chance=table[1:],
    )


def _orders(mine: Matched, of: Of, by: str, orders: int, seed: int) -> list[npt.NDArray[np.int64]]:
    """The order of the explanation, then those of chance."""
    values = values_of(mine.explanation, of=of, by=by)
    values = values if of == "edges" else values[mine.free]
    # Drawn for each target by itself, so that it does not matter in whose company it is measured.
    target = [int(mine.graph.digest[:15], 16), *mine.explanation.target.nodes]
    rng = np.random.default_rng([seed, *target])
    return [ordered(values, seed=seed), *(rng.permutation(len(values)) for _ in range(orders))]


def _along(
    mine: Matched, of: Of, order: npt.NDArray[np.int64], choices: Sequence[Selection], direction: Direction
) -> list[Remains]:
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    keep = direction == "keep"
    return [
        mine.remains(
            of,
            ((rank < choice.count(len(order))) == keep).astype(np.float64),
            elsewhere=0.0 if keep else 1.0,
        )
        for choice in choices
    ]
