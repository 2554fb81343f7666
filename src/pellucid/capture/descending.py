"""Relevance handed down through the operations of one pass, from the last to the first, by a rule per operation.

The pass is recorded as a list of steps with their values, so a rule sees what autograd would hide: weights, settings
and every input. What comes together at a value is added up.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pellucid.capture import passes
from pellucid.capture.answers import read_answer
from pellucid.capture.failures import DecidesTogetherError
from pellucid.capture.folding import folded, is_fixed
from pellucid.capture.handing import HandedDown, Handing, Operation, run_step
from pellucid.capture.operations import kind_of
from pellucid.capture.program import Program, Step
from pellucid.capture.scores import LOGITS, Score, evaluate
from pellucid.capture.sites import INPUT
from pellucid.errors import MethodError

LAYERS = frozenset({"conv", "linear"})


def hand_down(
    module: nn.Module,
    batch: Tensor,
    scores: Sequence[Score],
    handing: Handing,
    *,
    start: Literal["share", "weight"],
    places: frozenset[str],
) -> HandedDown:
    """Begin at each item's score and hand relevance down to the input.

    Args:
        module: The model.
        batch: The prepared items.
        scores: One score per item.
        handing: The rule by which each operation hands relevance down.
        start: "share": each channel begins with its part of the score; "weight": with its weight in the score.
        places: The input or sites whose relevance is wanted.

    Raises:
        DecidesTogetherError: The model decides by the values of its input, and there are several items.
        MethodError: What the model does cannot be followed, or the score does not depend on a place.
    """
    with passes.program(module, batch) as (program, recorder, output):
        if recorder.decides and len(batch) > 1:
            raise DecidesTogetherError
        answer = read_answer(recorder, output, items=len(batch))
        if answer.looked_through is not None and recorder.before_softmax is not None:
            output = recorder.before_softmax[1]
        makers = program.makers()
        numbers = {site: number for number, site in makers.items()} | {INPUT: 0}
        begun: dict[int, Tensor] = {}
        for name in sorted({score.place for score in scores}):
            number = next(iter(program.numbers_of(output)), None) if name == LOGITS else numbers.get(name)
            _check(program, known=number is not None, place=name)
            assert number is not None
            rows = [score if score.place == name else Score(place=name, weights={}) for score in scores]
            _add(begun, number, _beginning(program.values[number], rows, name, start, len(batch)))
        walk = _Walk(program, begun, handing, len(batch))
        walk.keep = {numbers[place] for place in places if place in numbers}
        walk.down()
    for place in sorted(places):
        if numbers.get(place) not in walk.kept:
            named = "the picture" if place == INPUT else f"site {place!r}"
            raise MethodError(f"no relevance comes to {named}: the score does not depend on it; choose another site.")
    return HandedDown(
        at={place: walk.kept[numbers[place]].detach() for place in places},
        sums={makers[n]: walk.sums[n] for n in sorted(walk.sums) if n in makers},
        bias=walk.bias,
    )


def _check(program: Program, *, known: bool, place: str) -> None:
    """Refuse what the list of steps does not tell wholly."""
    if program.is_whole and program.lost_at:
        raise MethodError(
            f"relevance cannot be followed through this model: site {program.lost_at!r} is given a tensor that was "
            "made where no operation can be seen, e.g. by an autograd function of its own; use integrated-gradients."
        )
    if not program.is_whole:
        where = f"at site {program.lost_at!r}" if program.lost_at else "somewhere"
        raise MethodError(
            f"relevance cannot be followed through this model: {where} it looks at memory that was overwritten through "
            "another tensor; write the result to a new tensor, or use integrated-gradients."
        )
    if not known:
        named = "the model's answer" if place == LOGITS else f"site {place!r}"
        raise MethodError(
            f"relevance cannot begin at {named}, which no single operation on the picture makes; choose another target."
        )


def _beginning(
    value: Tensor, scores: Sequence[Score], place: str, start: Literal["share", "weight"], items: int
) -> Tensor:
    def total(found: Tensor) -> Tensor:
        return evaluate(scores, {place: found.reshape(items, -1) if place == LOGITS else found}).sum()

    _, back = passes.pull(total, [value])
    [weights] = back(torch.ones((), dtype=value.dtype, device=value.device))
    return weights * value if start == "share" else weights


def _add(amounts: dict[int, Tensor], number: int, amount: Tensor) -> None:
    amounts[number] = amounts[number] + amount if number in amounts else amount


class _Walk:
    """One way down.

    Attributes:
        keep: The values whose relevance is wanted.
        kept: Their relevance.
        sums: The sum of each item's relevance, by value.
        bias: What constants took of each item's.
    """

    def __init__(self, program: Program, begun: dict[int, Tensor], handing: Handing, items: int) -> None:
        self._steps, self._values = program.steps, program.values
        self._begun = frozenset(begun)
        self._relevance = begun
        self._handing, self._items = handing, items
        self._made_at = {number: place for place, step in enumerate(self._steps) for number in step.results}
        self._users: dict[int, int] = {}
        for step in self._steps:
            for number in step.inputs:
                self._users[number] = self._users.get(number, 0) + 1
        self._merged: dict[int, tuple[Tensor, Tensor]] = {}
        self._deep = self._behind_layers()
        self.keep: set[int] = set()
        self.kept: dict[int, Tensor] = {}
        self.sums: dict[int, Tensor] = {}
        self.bias = torch.zeros(items, dtype=torch.float64, device=self._values[0].device)

    def down(self) -> None:
        """From the last step to the first."""
        for place in reversed(range(len(self._steps))):
            step = self._steps[place]
            arrived = tuple(self._take(number) for number in step.results)
            if all(each is None for each in arrived):
                continue
            operation = self._operation(place, step)
            handed = self._handing(operation, arrived)
            for number, relevance in zip(step.inputs, handed.inputs, strict=True):
                if relevance is not None:
                    _add(self._relevance, number, relevance)
            if handed.bias is not None:
                self.bias = self.bias + handed.bias
        self._take(0)

    def _take(self, number: int) -> Tensor | None:
        relevance = self._relevance.pop(number, None)
        if relevance is not None:
            self.sums[number] = relevance.double().reshape(self._items, -1).sum(1)
            if number in self.keep:
                self.kept[number] = relevance
        return relevance

    def _operation(self, place: int, step: Step) -> Operation:
        return Operation(
            step=step,
            inputs=tuple(self._values[number] for number in step.inputs),
            results=tuple(self._values[number] for number in step.results),
            items=self._items,
            merged=self._merged.pop(place, None),
            passed=self._merge(step),
            is_first=kind_of(step.op) in LAYERS and not any(number in self._deep for number in step.inputs),
            again=lambda item: self._again(step.inputs[0], item),
            pull=passes.pull,
        )

    def _merge(self, norm: Step) -> bool:
        """Let the layer before a batch norm do that as well, where nothing else takes what the layer returns."""
        if norm.op != "batch_norm" or not is_fixed(norm) or len(norm.inputs) != 1:
            return False
        number = norm.inputs[0]
        before = self._made_at.get(number)
        if before is None or self._users[number] != 1 or number in self._begun:
            return False
        layer = self._steps[before]
        mergeable = layer.op == "linear" or layer.op.startswith("conv")
        # A weight that depends on the picture is no constant; a linear layer over tokens has its channels last.
        plain = isinstance(layer.argument(1, "weight"), Tensor) and len(layer.inputs) == 1
        if not (mergeable and kind_of(layer.op) in LAYERS and plain):
            return False
        if layer.op == "linear" and self._values[number].dim() != 2:
            return False
        self._merged[before] = folded(layer, norm)
        return True

    def _behind_layers(self) -> set[int]:
        deep: set[int] = set()
        for step in self._steps:
            if kind_of(step.op) in LAYERS or any(number in deep for number in step.inputs):
                deep.update(step.results)
        return deep

    def _again(self, number: int, item: Tensor) -> Tensor:
        if number == 0:
            return item
        step = self._steps[self._made_at[number]]
        made = run_step(step, [self._again(each, item) for each in step.inputs])
        return made if isinstance(made, Tensor) else made[step.results.index(number)]
