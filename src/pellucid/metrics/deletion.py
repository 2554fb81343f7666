"""Deletion and insertion: what the model answers while pixels go, or come, in the order of an explanation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pellucid.capture import passes
from pellucid.capture.asks import INPUT, Ask, Facts, Given, Parts, Passes, Piece, Probing, Seen, Variants
from pellucid.capture.batches import as_batch
from pellucid.capture.lockstep import Aim, run_probe
from pellucid.capture.passes import Spent
from pellucid.capture.scores import LOGITS, Score
from pellucid.errors import NotFiniteError, SettingError
from pellucid.methods.baselines import baseline_of, check_baseline
from pellucid.methods.explanation import Explanation
from pellucid.methods.finishing import input_digest
from pellucid.metrics.graph_answers import Reading
from pellucid.metrics.graph_selection import word
from pellucid.metrics.ordering import ordered
from pellucid.metrics.pixel_curves import PixelCurves, Way
from pellucid.metrics.planes import Plane, pictures_only, plane_of, without_ranking
from pellucid.metrics.provenance import check_model
from pellucid.models.loading import load
from pellucid.models.model import Model

Chance = Literal["shifted", "pixels"]
Order = npt.NDArray[np.int64]
Curve = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionInsertion:
    """Both curves of the same explanations.

    Attributes:
        deletion: Pixels go, strongest first; a low area is good.
        insertion: Pixels come, strongest first; a high area is good.
    """

    deletion: PixelCurves
    insertion: PixelCurves

    def to_record(self) -> dict[str, Any]:
        """As JSON types."""
        return {"deletion": self.deletion.to_record(), "insertion": self.insertion.to_record()}

    def __repr__(self) -> str:
        return f"{self.deletion!r}\n{self.insertion!r}"


def deletion_insertion(
    explanations: Explanation | Sequence[Explanation],
    *,
    model: Model | nn.Module | str,
    input: Any,
    steps: int = 50,
    deletion_baseline: str = "zero",
    insertion_baseline: str = "blur:5",
    orders: int = 1,
    chance: str = "shifted",
    seed: int = 0,
    batch_size: int = 32,
) -> DeletionInsertion:
    """Measure the target's probability while the strongest pixels are deleted, and while they are inserted.

    At step k of `steps` exactly the nearest whole number of pixels to k/steps of them is changed, all colours of a
    pixel at once, in the order of the first part of an explanation, enlarged as `plane_of` says. Equal values are
    ordered by a seeded draw. A map of one value has no ranking and is not measured. Explanations of
    one picture share its passes.

    Args:
        explanations: One or many, of pictures or of tensors of pictures, about classes or outputs.
        model: The model that was explained; it is left exactly as it was.
        input: The picture that was explained, or several in a list; or the prepared tensor.
        steps: How many times pixels are changed; the curves have a point more.
        deletion_baseline: What deleted pixels become, as for `baseline_of`, in the units that the model sees: `zero` is
            the mean colour of the training pictures where these were normalised, `black` is black.
        insertion_baseline: What pixels are inserted into.
        orders: How many orders that know nothing are measured beside each explanation, 0 or more; each costs as much.
        chance: `shifted`: the explanation's own map, moved by a draw and wrapped around, so that it is as coarse as
            before and only its place is wrong; `pixels`: pixels one by one at random, which destroys texture
            everywhere and is hard to beat for coarse maps.
        seed: For ties, for chance and for a baseline of noise; the same whatever else is measured in the same call.
        batch_size: Most variants in one pass; the answer does not depend on it, up to rounding.

    Raises:
        SettingError: An explanation is about another model or picture, a unit or a graph, or is not finite; or a
            setting makes no sense.

    Reference:
        Petsiuk et al., RISE, BMVC 2018, section 4.2; the baselines are those of its published code.
    """
    several = pictures_only(explanations)
    for name, given, least in (
        ("steps", steps, 1),
        ("orders", orders, 0),
        ("batch_size", batch_size, 1),
        ("seed", seed, 0),
    ):
        if isinstance(given, bool) or not isinstance(given, int) or given < least:
            raise SettingError(name, given=given, expected=f"a whole number, {least} or more")
    for baseline in (deletion_baseline, insertion_baseline):
        check_baseline(baseline)
    word("chance", chance, Chance)
    known = load(model)
    check_model(several, known)
    inputs = _inputs(known, input)
    units = _units(several)
    amount, score = np.full((2, 1 + orders, len(several), 2, steps + 1), np.nan)
    for digest, numbers in _by_picture(several, inputs).items():
        x = inputs[digest]
        planes = {number: plane_of(several[number], (x.shape[2], x.shape[3])) for number in numbers}
        ranked = [number for number in numbers if not without_ranking(planes[number])]
        if not ranked:
            continue
        lines = [
            order
            for number in ranked
            for order in _orders(planes[number], several[number], orders=orders, chance=chance, seed=seed)
        ]
        curves = _Curves(orders=tuple(lines), steps=steps, baselines=(deletion_baseline, insertion_baseline))
        drawn = several[numbers[0]].subject is not None
        answers = _answers(known, x, curves, drawn=drawn, seed=seed, batch_size=batch_size)
        for number, rows in zip(ranked, answers.reshape(len(ranked), 1 + orders, 2, steps + 1, -1), strict=True):
            amount[:, number], score[:, number] = _read(several[number], rows)
    ways: tuple[tuple[Way, str], ...] = (("deletion", deletion_baseline), ("insertion", insertion_baseline))
    deletion, insertion = (
        PixelCurves(
            way=way,
            baseline=baseline,
            unit=units,
            shares=np.arange(steps + 1) / steps,
            amount=amount[0, :, place],
            score=score[0, :, place],
            chance_amount=amount[1:, :, place],
            chance_score=score[1:, :, place],
            pictures=tuple(each.input_digest for each in several),
            seed=seed,
        )
        for place, (way, baseline) in enumerate(ways)
    )
    return DeletionInsertion(deletion=deletion, insertion=insertion)


def counts(pixels: int, steps: int) -> list[int]:
    """How many pixels are changed after each step, from 0 to all of them: the nearest whole numbers, halves up."""
    return [(2 * step * pixels + steps) // (2 * steps) for step in range(steps + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curves:
    """Asks the engine what the model answers along some orders of one picture's pixels.

    Attributes:
        orders: The numbers of the pixels, first those that change first.
        steps: How many times pixels are changed.
        baselines: What deleted pixels become, and what pixels are inserted into.
    """

    orders: tuple[Order, ...]
    steps: int
    baselines: tuple[str, str]

    def passes(self, facts: Facts) -> Passes:
        """All that lies between the ends, for both ways and each order; the three ends once."""
        return Passes(forwards=(3 + len(self.orders) * 2 * (self.steps - 1)) * facts.items)

    def probe(self, given: Given) -> Probing:
        """One piece, the logits: (1, orders, 2, steps + 1, classes)."""
        x = given.x
        without, into = (baseline_of(given, name) for name in self.baselines)
        many = counts(x.shape[2] * x.shape[3], self.steps)
        ranks = [_ranks(order, x) for order in self.orders]
        inner = self.steps - 1

        def variant(number: int) -> Tensor:
            if number < 3:
                return (x, without, into)[number]
            line, step = divmod(number - 3, inner)
            first = ranks[line // 2] < many[step + 1]
            return torch.where(first, without, x) if line % 2 == 0 else torch.where(first, x, into)

        count = 3 + 2 * len(ranks) * inner
        logits = yield Ask(variants=Variants(count=count, make=variant), want="logits")
        ends, between = logits[:3, 0], logits[3:, 0].reshape(len(ranks), 2, inner, logits.shape[-1])
        ends = ends[torch.tensor([[0, 1], [2, 0]])].expand(len(ranks), -1, -1, -1)  # where both curves start and stop
        values = torch.cat([ends[:, :, :1], between, ends[:, :, 1:]], dim=2)
        axes = ("orders", "ways", "points", "classes")
        return Parts(pieces=(Piece(place=INPUT, axes=axes, values=values[None], name="logits"),))


def _answers(model: Model, x: Tensor, curves: _Curves, *, drawn: bool, seed: int, batch_size: int) -> Tensor:
    """The logits along some orders, (orders, 2, steps + 1, classes)."""
    preparing = model.preprocessing if drawn or model.preprocessing.source != "assumed" else None
    # Logits are asked for, whatever the score.
    score, seen = Score(place=LOGITS, weights={0: 1.0}), Seen(values={}, slopes={})
    [parts] = run_probe(
        model.module,
        x,
        curves,
        [Aim(scores=[score], values=x.new_zeros(1), seen=seen, spent=Spent())],
        seed=seed,
        facts=passes.facts(model.module, x),
        batch_size=batch_size,
        preparing=preparing,
    )
    logits: Tensor = parts.pieces[0].values[0]
    if not bool(torch.isfinite(logits).all()):
        raise NotFiniteError(
            "the model answered NaN or infinity to a picture with deleted or inserted pixels; use another baseline, or "
            "look for what is not finite with pellucid.trace."
        )
    return logits


def _read(explanation: Explanation, logits: Tensor) -> tuple[Curve, Curve]:
    """The probability or output, and the score, of what was explained; (orders, 2, steps + 1) each."""
    flat, shape = logits.flatten(0, -2).double(), logits.shape[:-1]
    reading = Reading.of(explanation.target, columns=flat.shape[1], looked_through=explanation.looked_through)
    weights = explanation.target.score.weights
    score = sum(weight * flat[:, index] for index, weight in weights.items())
    return reading.amount(flat).reshape(shape).cpu().numpy(), torch.as_tensor(score).reshape(shape).cpu().numpy()


def _orders(plane: Plane, explanation: Explanation, *, orders: int, chance: str, seed: int) -> Iterator[Order]:
    """The order of the explanation, then those of chance."""
    # Drawn for each by itself, so that it does not matter in whose company it is measured.
    own = [seed, int(explanation.input_digest[:15], 16), *explanation.target.classes]
    yield ordered(plane.ravel(), seed=own)
    rng = np.random.default_rng([*own, 1])
    for number in range(orders):
        if chance == "pixels":
            yield rng.permutation(plane.size)
        else:
            moved = np.roll(plane, [int(rng.integers(side)) for side in plane.shape], axis=(0, 1))
            yield ordered(moved.ravel(), seed=[*own, 2, number])


def _ranks(order: Order, x: Tensor) -> Tensor:
    """The place of each pixel in an order, (height, width)."""
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return torch.from_numpy(ranks).reshape(x.shape[2:]).to(x.device)


def _units(explanations: Sequence[Explanation]) -> str:
    """Whether all are about classes ("probability") or all about outputs ("output")."""
    units = set()
    for each in explanations:
        if each.target.score.place != LOGITS:
            given = f"{each!r}: {each.target.text}"
            raise SettingError("explanations", given=given, expected="explanations of a class or an output")
        reading = Reading.of(each.target, columns=len(each.logits), looked_through=each.looked_through)
        units.add(str(reading.unit))
    if len(units) > 1:
        raise SettingError("explanations", given="classes and outputs", expected="one of the two", hint="split them")
    return units.pop()


def _inputs(model: Model, given: Any) -> dict[str, Tensor]:
    """Prepared pictures by digest, each as a batch of one."""
    found: dict[str, Tensor] = {}
    for each in given if isinstance(given, list | tuple) else [given]:
        _, batch, _ = as_batch(model, each)
        for item in batch:
            if item.dim() != 3:
                shape = tuple(item.shape)
                raise SettingError("input", given=f"an item of shape {shape}", expected="(channels, height, width)")
            found[input_digest(item)] = item[None]
    return found


def _by_picture(explanations: Sequence[Explanation], inputs: Mapping[str, Tensor]) -> dict[str, list[int]]:
    """The numbers of the explanations of each picture."""
    found: dict[str, list[int]] = {}
    for number, each in enumerate(explanations):
        if each.input_digest not in inputs:
            given = f"{len(inputs)} pictures ({', '.join(digest[:12] for digest in list(inputs)[:3])})"
            name = "a tensor" if each.subject is None else each.subject.name
            raise SettingError("input", given=given, expected=f"the explained {name} ({each.input_digest[:12]}) too")
        found.setdefault(each.input_digest, []).append(number)
    return found
