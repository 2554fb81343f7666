"""Who shares which pass: all methods and targets on one batch, in as few forwards and backwards as possible."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from pellucid.capture import reading
from pellucid.capture.answers import Answer
from pellucid.capture.asks import Facts, Method, Parts, Probe, Reads, Rules, Seen
from pellucid.capture.failures import DecidesTogetherError
from pellucid.capture.lockstep import Aim, run_probe
from pellucid.capture.passes import Spent
from pellucid.capture.scores import LOGITS, Score
from pellucid.methods.explanation import Explanation
from pellucid.methods.finishing import Batch, finished
from pellucid.methods.parts import Cost
from pellucid.methods.targets import Resolved, places_of, resolve

ITEMS = 16
"""Most items in one pass, unless the user says so; suits most machines."""


@dataclass(slots=True, kw_only=True)
class Room:
    """How many items fit into one pass.

    Attributes:
        size: Most items in one pass; less after a pass that had to be made in parts, for all that comes later.
    """

    size: int

    def learn(self, items: int, calls: int) -> None:
        """Remember that a pass with some items took some calls of the model."""
        # A pass in parts calls the model twice for each: once for the answer, once for the derivatives.
        if calls > 3:
            self.size = min(self.size, max(1, -(-items // (calls // 2))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What one shared pass has found out."""

    answer: Answer
    facts: Facts
    targets: list[list[Resolved]]
    found: list[tuple[Sequence[Score], Tensor, Seen]]
    forwards: int
    backwards: int
    seconds: float


def explained(
    batch: Batch,
    methods: Sequence[Method],
    targets: Sequence[str],
    room: Room,
    report: Callable[[float], None] | None = None,
) -> list[list[list[Explanation]]]:
    """For each item of a batch, for each method, one explanation per target.

    Methods that combine what was read, and the scores of those that probe, share one forward pass and one backward
    pass per target; each method with backward rules of its own needs a pass of its own. Variants that a method asks for
    alike for several targets are run once. Where memory runs out, the engine halves the batch, and later batches are no
    larger than what did fit.

    Args:
        batch: The items.
        methods: The methods.
        targets: The targets.
        room: How many items fit into one pass.
        report: Called with the share of the work that is done, from 0 to 1; what it raises ends the work.
    """
    whole, before = len(methods) * len(batch.tensor), 0
    ruling = [i for i, method in enumerate(methods) if isinstance(method, Rules)]
    sharing = [i for i in range(len(methods)) if i not in ruling]
    results: list[dict[int, list[Explanation]]] = [{} for _ in range(len(batch.tensor))]
    for group in (sharing, *([i] for i in ruling)):
        start = 0
        while group and start < len(results):
            piece = slice(start, start + room.size)
            part = batch.part(piece)
            mine = len(group) * len(part.tensor)

            def within(share: float, before: int = before, mine: int = mine) -> None:
                if report is not None:
                    report((before + share * mine) / whole)

            try:
                made = _group(part, [methods[i] for i in group], targets, room, within)
            except DecidesTogetherError:
                room.size = 1  # so that no picture decides for another
                continue
            for item, by_method in zip(results[piece], made, strict=True):
                item.update(zip(group, by_method, strict=True))
            start = piece.stop
            before += mine
    return [[by_method[i] for i in range(len(methods))] for by_method in results]


def _group(
    batch: Batch, methods: Sequence[Method], targets: Sequence[str], room: Room, report: Callable[[float], None]
) -> list[list[list[Explanation]]]:
    """All explanations that one shared pass serves: per item, per method, per target."""
    read = _read(batch, methods, targets, room)
    share, items = read.seconds / len(methods) / len(targets), len(batch.tensor)
    results: list[list[list[Explanation]]] = [[] for _ in range(items)]
    prices = [_price(method, read.facts) for method in methods]
    # Then the first target's variants are mostly run for all of them; else each target has passes of its own.
    together = all(score.place == LOGITS for scores, _, _ in read.found for score in scores)
    for place, (method, price) in enumerate(zip(methods, prices, strict=True)):
        for by_target in results:
            by_target.append([])
        started = time.perf_counter()
        costs = [Spent() for _ in targets]
        before = sum(prices[:place])

        def within(_: int, before: int = before, price: int = price, costs: list[Spent] = costs) -> None:
            counted = [min(spent.forwards, price) for spent in costs]
            report((before + (counted[0] if together else sum(counted) / len(counted))) / sum(prices))

        for spent in costs:
            spent.report = within
        made = _parts(batch, method, read, costs, room)
        taken = (time.perf_counter() - started) / len(targets)
        for resolved, (_, values, _), parts, spent in zip(read.targets, read.found, made, costs, strict=True):
            cost = Cost(
                forwards=read.forwards + round(spent.forwards / items),
                backwards=round(spent.backwards / items) + (read.backwards if hasattr(method, "reads") else 0),
                seconds=(share + taken) / items,
                device=str(batch.tensor.device),
            )
            explanations = finished(
                batch,
                method,
                parts,
                targets=resolved,
                scores=values,
                answer=read.answer,
                facts=read.facts,
                cost=cost,
                remarks=sorted(spent.remarks),
                precision=spent.precision,
            )
            for by_target, explanation in zip(results, explanations, strict=True):
                by_target[-1].append(explanation)
        report((before + price) / sum(prices))
    return results


def _price(method: Method, facts: Facts) -> int:
    """How many items go forward for a method, at least one."""
    return max(1, method.passes(facts).forwards) if isinstance(method, Probe) else 1


def _parts(batch: Batch, method: Method, read: _Read, costs: Sequence[Spent], room: Room) -> list[Parts]:
    """What a method returns for each target; variants that it asks for alike for several of them are run once."""
    if not isinstance(method, Probe):
        return [method.combine(seen, read.facts) for _, _, seen in read.found]
    aims = [
        Aim(scores=scores, values=values, seen=seen, spent=spent)
        for (scores, values, seen), spent in zip(read.found, costs, strict=True)
    ]
    return run_probe(
        batch.model.module,
        batch.tensor,
        method,
        aims,
        seed=batch.seed,
        facts=read.facts,
        batch_size=room.size,
        preparing=batch.preparing,
        precision=batch.precision,
    )


def _read(batch: Batch, methods: Sequence[Method], targets: Sequence[str], room: Room) -> _Read:
    """One forward pass, and one backward pass per target where a method wants slopes."""
    spent, started = Spent(), time.perf_counter()
    reading_too = [method for method in methods if hasattr(method, "reads")]
    ruling = next((method.rule for method in methods if isinstance(method, Rules)), None)
    found_out: list[list[Resolved]] = []

    def reads(facts: Facts) -> Reads:
        wanted = Reads(values=frozenset().union(*(places_of(target, facts) for target in targets)))
        for method in reading_too:
            wanted = wanted | method.reads(facts)
        return wanted

    def resolving(target: str) -> reading.Resolve:
        def scores(logits: Tensor, facts: Facts) -> Sequence[Score]:
            found_out.append(resolve(target, logits, facts, batch.model.class_names))
            return [each.score for each in found_out[-1]]

        return scores

    answer, facts, found = reading.read(
        batch.model.module,
        batch.tensor,
        reads=reads,
        resolve=[resolving(target) for target in targets],
        spent=spent,
        ruling=ruling,
    )
    items = len(batch.tensor)
    room.learn(items, spent.calls)
    return _Read(
        answer=answer,
        facts=dataclasses.replace(facts, items=items),
        targets=found_out,
        found=found,
        forwards=round(spent.forwards / items),
        backwards=round(spent.backwards / items / len(targets)),
        seconds=time.perf_counter() - started,
    )
