"""A probe for several targets at once: as long as it asks the same for all of them, it is answered by the same passes.

Perturbed inputs seldom depend on what is explained: occlusion covers the same windows for every class, and RISE draws
the same masks from the same seed. So the probe runs once per target, step by step side by side, and where some of them
ask for the same variants these are run once: scores of several classes are read from one answer, and slopes need one
forward pass and a backward pass per target. Nothing is taken on trust: every variant is compared before it is shared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from pellucid.capture.asks import INPUT, Ask, Facts, Given, Parts, Probe, Probing, Seen, Variants
from pellucid.capture.hastening import Hastening, Precision
from pellucid.capture.passes import Spent
from pellucid.capture.probing import Questions
from pellucid.capture.scores import LOGITS, Score, evaluate_logits
from pellucid.capture.trials import Trials
from pellucid.models.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A target of a probe, and where its cost is counted.

    Attributes:
        scores: One score per item.
        values: Their values for the batch as it is.
        seen: What the probe wanted to read, for these scores.
        spent: The cost; a pass that is shared counts for every target.
    """

    scores: Sequence[Score]
    values: Tensor
    seen: Seen
    spent: Spent


def run_probe(
    module: nn.Module,
    batch: Tensor,
    method: Probe,
    aims: Sequence[Aim],
    *,
    seed: int,
    facts: Facts,
    batch_size: int = 32,
    preparing: Preprocessing | None = None,
    precision: Precision = "float32",
) -> list[Parts]:
    """Let a probe ask until it has its answer, for each of some targets.

    Variants run in batches of at most `batch_size` items, halved when memory runs out; the answer is the same, up to
    rounding.

    Args:
        module: The model.
        batch: The prepared batch.
        method: The probe.
        aims: The targets.
        seed: For its random draws, the same for every target.
        facts: What is known about the model.
        batch_size: Most items in one pass.
        preparing: How pictures become such a batch, where that is known.
        precision: In which form many passes are run.

    Raises:
        CapacityError: Not even one item fits into memory.
    """
    runs = []
    for aim in aims:
        scores, spent = aim.scores, aim.spent
        trials = Trials(module=module, batch=batch, scores=scores, size=batch_size, spent=spent, precision=precision)
        hastening = Hastening(module=module, batch=batch, precision=precision, spent=spent)
        given = Given(
            x=batch,
            rng=torch.Generator(device="cpu").manual_seed(seed),
            facts=facts,
            seen=aim.seen,
            scores=aim.values,
            explained=tuple(scores),
            preparing=preparing,
        )
        runs.append(
            _Run(
                probing=method.probe(given),
                questions=Questions(
                    module=module,
                    batch=batch,
                    scores=scores,
                    size=batch_size,
                    spent=spent,
                    trials=trials,
                    hastening=hastening,
                ),
            )
        )
    for run in runs:
        run.send(None)
    while waiting := [run for run in runs if run.ask is not None]:
        for group in _groups(waiting):
            for run, answer in zip(group, _answers(group), strict=True):
                run.send(answer)
    return [run.parts[0] for run in runs]


@dataclass(slots=True, kw_only=True, eq=False)
class _Run:
    """A probe on its way for one target.

    Attributes:
        probing: The probe.
        questions: Who answers it.
        ask: What it is waiting for; None when it is done.
        parts: Its result, when it is done.
    """

    probing: Probing
    questions: Questions
    ask: Ask | None = None
    parts: list[Parts] = field(default_factory=list)

    def send(self, answer: Any) -> None:
        """Give an answer, and wait for the next ask."""
        try:
            self.ask = self.probing.send(answer)
        except StopIteration as stop:
            self.ask = None
            self.parts.append(stop.value)


class _DifferError(Exception):
    """Two targets ask for different variants."""


def _groups(waiting: Sequence[_Run]) -> list[list[_Run]]:
    """The runs that seem to ask for the same: all but the values of the variants has been compared."""
    groups: list[list[_Run]] = []
    for run in waiting:
        fitting = (group for group in groups if _alike(group[0], run))
        group = next(fitting, None)
        if group is None:
            groups.append([run])
        else:
            group.append(run)
    return groups


def _alike(one: _Run, other: _Run) -> bool:
    a, b = one.ask, other.ask
    assert a is not None
    assert b is not None
    same = (a.site, a.weights, a.reads, a.variants.count) == (b.site, b.weights, b.reads, b.variants.count)
    plain = a.partners is None and b.partners is None and a.ruling is b.ruling
    if not same or not plain or not _equal(a.variants.boxes, b.variants.boxes):
        return False
    scores = ("score", "logits")
    if a.want in scores and b.want in scores:
        return all(score.place == LOGITS for run in (one, other) for score in run.questions.scores)
    return a.want == b.want and a.want in ("slope", "read") and a.site == INPUT


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.equal(one, other)


def _answers(group: Sequence[_Run]) -> list[Any]:
    asks = [run.ask for run in group if run.ask is not None]
    if len(group) > 1:
        try:
            return _shared(group, asks)
        except _DifferError:
            pass
    return [run.questions.answer(ask) for run, ask in zip(group, asks, strict=True)]


def _shared(group: Sequence[_Run], asks: Sequence[Ask]) -> list[Any]:
    """The answers to several targets' asks from one set of passes, which count for each of them."""
    first, questions = asks[0], group[0].questions
    before = replace(questions.spent)  # what is spent in vain, where variants differ, counts for the first alone
    ask = replace(first, variants=_compared([each.variants for each in asks]))
    several = [run.questions.scores for run in group]
    found: list[Any]
    if first.want == "slope":
        found = list(questions.slopes_for(ask, several))
    elif first.want == "read":
        found = list(questions.seen_for(ask, several))
    else:
        logits = questions.answer(replace(ask, want="logits"))
        assert isinstance(logits, Tensor)
        found = [
            logits if each.want == "logits" else evaluate_logits(scores, logits)
            for each, scores in zip(asks, several, strict=True)
        ]
    spent = questions.spent
    for run in group[1:]:
        mine = run.questions.spent
        mine.forwards += spent.forwards - before.forwards
        mine.backwards += spent.backwards - before.backwards
        mine.calls += spent.calls - before.calls
        mine.remarks |= spent.remarks
        mine.precision = spent.precision
    return found


def _compared(several: Sequence[Variants]) -> Variants:
    """The variants of the first, each compared with those of the others when it is made.

    Raises:
        _DifferError: On making one that differs.
    """
    first, *others = several

    def make(number: int) -> Tensor:
        made = first.make(number)
        if not all(torch.equal(made, other.make(number)) for other in others):
            raise _DifferError
        return made

    def of_item(number: int, item: int) -> Tensor:
        made = first.of_item(number, item)
        if not all(torch.equal(made, other.of_item(number, item)) for other in others):
            raise _DifferError
        return made[0]

    def planes(item: int) -> Tensor:
        made, *rest = [each.planes(item) for each in several if each.planes is not None]
        if not all(torch.equal(made, other) for other in rest):
            raise _DifferError
        return made

    same = all(_equal(first.channels, other.channels) for other in others)
    alone = first.one is not None and all(other.one is not None for other in others)
    return replace(
        first,
        make=make,
        one=of_item if alone else None,
        channels=first.channels if same else None,
        planes=planes if same and first.planes is not None else None,
    )
