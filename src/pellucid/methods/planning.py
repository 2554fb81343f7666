"""What an explanation will take, before it is made: passes, seconds and memory."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pellucid.capture import passes, reading
from pellucid.capture.asks import INPUT, Facts, Method, Op, Probe, Reads, Rules
from pellucid.capture.batches import as_batch
from pellucid.capture.passes import Spent
from pellucid.capture.scores import Score
from pellucid.errors import MethodError, ModelError, NotFiniteError, PellucidError, SettingError
from pellucid.methods.catalogue import method_from, name_of, settings_of
from pellucid.methods.sharing import ITEMS
from pellucid.methods.targets import check, expanded, places_of, resolve
from pellucid.models.graph_arguments import takes_graphs
from pellucid.models.loading import load
from pellucid.models.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What some passes of one item take.

    Attributes:
        forwards: Items that go forward.
        backwards: Items that go backward.
        seconds: As long as passes one by one would take.
    """

    forwards: int = 0
    backwards: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one explanation of one item will take, if it is made alone.

    Attributes:
        method: The method's name.
        settings: All its settings.
        forwards: Items that go forward.
        backwards: Items that go backward.
        seconds: An estimate from one pass that was timed on this device; less where only a part of the model is run
            again, or many items at once are faster than one by one.
        bytes: Memory of the values on the way, for as many items at once as a pass takes, and of the weights; what the
            operations need for their own work comes on top.
        shared: Of these, what is taken by the pass that methods share if they are asked for together; none for a method
            with backward rules of its own.
        refused: Why the method will refuse, as far as that shows without running it; then all numbers are 0.
    """

    method: str
    settings: dict[str, Any]
    forwards: int
    backwards: int
    seconds: float
    bytes: int
    shared: Price = Price()
    refused: str = ""


def plan(
    model: Model | nn.Module | str,
    input: Any,
    *,
    methods: Sequence[str | Method],
    targets: Sequence[str] = ("top:1",),
    batch_size: int = ITEMS,
) -> list[Plan]:
    """Say what explaining one input by some methods will take. A few passes are run and timed, nothing is explained.

    Passes are those that a method asks for, and one that is shared; the engine adds at most four of its own, to record
    a pass and to compare. Searches (`sufficient-region`, `necessary-region`) and what stops by a tolerance may take
    fewer. For several targets it is the price where no variants are the same for all of them; those that are, as the
    windows of occlusion, go forward once.

    Args:
        model: As for `explain`; a model of pictures. It is left exactly as it was.
        input: The input, or several of one shape, of which the first is used.
        methods: Names, names with settings, or instances.
        targets: What is to be explained.
        batch_size: Most items in one pass.

    Returns:
        One plan per method, in order; `together` adds them up.

    Raises:
        InputError, ModelError, TargetError, SettingError: Something cannot be used; says what to do.
    """
    known = load(model)
    if takes_graphs(known.module):
        raise SettingError("model", given="a model of graphs", expected="a model of pictures")
    chosen = [method_from(method) for method in methods]
    each = expanded(targets)
    for target in each:
        check(target)
    _, tensor, _ = as_batch(known, input)
    measured = _measured(known, tensor[:1], each)
    return [_planned(method, measured, len(each), batch_size) for method in chosen]


def together(plans: Sequence[Plan]) -> Price:
    """What some plans take in one call of `explain_many`, where the shared pass is made once.

    Args:
        plans: Of one input; those of methods that refuse count nothing.
    """
    fine = [each for each in plans if not each.refused]

    def total(of: Callable[[Plan | Price], float]) -> float:
        return sum(of(each) - of(each.shared) for each in fine) + max((of(each.shared) for each in fine), default=0)

    return Price(
        forwards=int(total(lambda each: each.forwards)),
        backwards=int(total(lambda each: each.backwards)),
        seconds=total(lambda each: each.seconds),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """What a few passes of one item have shown.

    Attributes:
        facts: What is known about the model on such an item.
        weights: Memory of parameters and buffers, in bytes.
        forward: Seconds of a pass forward.
        backward: Seconds of the way back, beside those of the pass forward.
        no_slopes: Why there are no slopes at the input; empty where there are.
    """

    facts: Facts
    weights: int
    forward: float
    backward: float = 0.0
    no_slopes: str = ""

    def price(self, forwards: int, backwards: int) -> Price:
        """What some passes take."""
        seconds = forwards * self.forward + backwards * self.backward
        return Price(forwards=forwards, backwards=backwards, seconds=seconds)


def _measured(model: Model, item: Tensor, targets: Sequence[str]) -> _Measured:
    """Facts and seconds of one item; targets that mean nothing on it are refused."""
    module = model.module
    weights = sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
    try:
        # The pass that explanations begin with: besides sites it finds out what depends on what.
        facts = _read(model, item, targets, slopes=True)
    except NotFiniteError:
        raise
    except (MethodError, ModelError) as error:
        facts = _read(model, item, targets, slopes=False)
        forward = _seconds(lambda: passes.answer(module, item))
        return _Measured(facts=facts, weights=weights, forward=forward, no_slopes=str(error))
    forward = _seconds(lambda: passes.answer(module, item))
    both = _seconds(lambda: _read(model, item, targets[:1], slopes=True))
    return _Measured(facts=facts, weights=weights, forward=forward, backward=max(both - forward, 0.0))


def _read(model: Model, item: Tensor, targets: Sequence[str], *, slopes: bool) -> Facts:
    def reads(facts: Facts) -> Reads:
        places = frozenset().union(*(places_of(target, facts) for target in targets))
        return Reads(values=places, slopes=frozenset({INPUT} if slopes else ()))

    def resolving(target: str) -> reading.Resolve:
        def scores(logits: Tensor, facts: Facts) -> Sequence[Score]:
            return [each.score for each in resolve(target, logits, facts, model.class_names)]

        return scores

    _, facts, _ = reading.read(
        model.module, item, reads=reads, resolve=[resolving(target) for target in targets], spent=Spent()
    )
    return dataclasses.replace(facts, items=1)


def _planned(method: Method, measured: _Measured, targets: int, batch_size: int) -> Plan:
    name, settings = name_of(method), settings_of(method)
    try:
        asked = method.passes(measured.facts) if isinstance(method, Probe) else None
        slopes = hasattr(method, "reads") and bool(method.reads(measured.facts).slopes)
        wants_slopes = slopes or (asked is not None and asked.backwards > 0)
        if wants_slopes and measured.no_slopes:
            raise MethodError(measured.no_slopes)
        for site in measured.facts.sites if isinstance(method, Rules) else ():
            method.rule(Op(name=site.op, kind=site.kind, site=site.name))
    except PellucidError as error:
        return Plan(method=name, settings=settings, forwards=0, backwards=0, seconds=0, bytes=0, refused=str(error))
    read = measured.price(1, targets * int(slopes))
    more = measured.price(targets * asked.forwards, targets * asked.backwards) if asked else Price()
    forwards = read.forwards + more.forwards
    return Plan(
        method=name,
        settings=settings,
        forwards=forwards,
        backwards=read.backwards + more.backwards,
        seconds=read.seconds + more.seconds,
        bytes=measured.weights + _bytes(measured.facts, min(batch_size, forwards), slopes=wants_slopes),
        shared=Price() if isinstance(method, Rules) else read,
    )


def _bytes(facts: Facts, items: int, *, slopes: bool) -> int:
    """Memory of the values of some items; without slopes, of two recorded passes of one and of the two largest sites.

    Where windows are run, one pass is recorded for what they change and one for what comes after.
    """
    sizes = sorted(site.nbytes for site in facts.sites)
    return sum(sizes) * items if slopes else 2 * sum(sizes) + sum(sizes[-2:]) * items


def _seconds(work: Callable[[], object]) -> float:
    """The shorter of two runs: the first one also sets things up."""
    taken = []
    for _ in range(2):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)
