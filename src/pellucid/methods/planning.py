"""What an explanation will take, before it is made: passes, seconds and memory."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pellucid.capture import passes, reading
from pellucid.capture.asks import Facts, Method, Probe, Reads
from pellucid.capture.batches import as_batch
from pellucid.capture.scores import LOGITS, Score
from pellucid.errors import MethodError, SettingError
from pellucid.methods.catalogue import method_from, name_of, settings_of
from pellucid.methods.sharing import ITEMS
from pellucid.methods.targets import check, expanded
from pellucid.models.graph_arguments import takes_graphs
from pellucid.models.loading import load
from pellucid.models.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one explanation of one item will take, if it is made alone.

    Attributes:
        method: The method's name.
        settings: All its settings.
        forwards: Items that go forward. Methods that only combine what one pass reads share it with others.
        backwards: Items that go backward.
        seconds: From one pass that was timed; less where only a part of the model is run again, or many items at once
            are faster than one by one.
        bytes: Memory of the values on the way, for as many items at once as a pass takes, and of the weights.
        refused: Why the method will refuse, as far as that shows without running it; then all numbers are 0.
    """

    method: str
    settings: dict[str, Any]
    forwards: int
    backwards: int
    seconds: float
    bytes: int
    refused: str = ""


def plan(
    model: Model | nn.Module | str,
    input: Any,
    *,
    methods: Sequence[str | Method],
    targets: Sequence[str] = ("top:1",),
    batch_size: int = ITEMS,
) -> list[Plan]:
    """Say what explaining one input by some methods will take. One pass is run and timed, nothing is explained.

    Passes are those that a method asks for, and one that is shared; the engine adds at most four of its own, to record
    a pass and to compare. Searches (`sufficient-region`, `necessary-region`) and what stops by a tolerance may take
    fewer. For several targets it is the price without sharing.

    Args:
        model: As for `explain`; a model of pictures.
        input: The input, or several of one shape, of which the first is used.
        methods: Names, names with settings, or instances.
        targets: What is to be explained.
        batch_size: Most items in one pass.

    Returns:
        One plan per method, in order.

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
    item = tensor[:1]
    # A reading pass, since what depends on a site how decides what some methods ask for.
    _, seen, _ = reading.read(known.module, item, reads=lambda _: Reads(), resolve=[], spent=passes.Spent())
    facts = dataclasses.replace(seen, items=1)
    forward = _seconds(lambda: passes.answer(known.module, item))
    both = _seconds(lambda: _slope(known.module, item))
    return [_planned(method, known.module, facts, len(each), batch_size, forward, both) for method in chosen]


def _planned(
    method: Method, module: nn.Module, facts: Facts, targets: int, batch_size: int, forward: float, both: float
) -> Plan:
    name, settings = name_of(method), settings_of(method)
    try:
        asked = method.passes(facts) if isinstance(method, Probe) else None
        slopes = hasattr(method, "reads") and bool(method.reads(facts).slopes)
    except MethodError as error:
        return Plan(method=name, settings=settings, forwards=0, backwards=0, seconds=0, bytes=0, refused=str(error))
    forwards = 1 + (asked.forwards * targets if asked else 0)
    backwards = targets * ((asked.backwards if asked else 0) + int(slopes))
    seconds = max(forwards - backwards, 0) * forward + backwards * both
    weights = sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
    return Plan(
        method=name,
        settings=settings,
        forwards=forwards,
        backwards=backwards,
        seconds=seconds,
        bytes=weights + _bytes(facts, min(batch_size, forwards), slopes=backwards > 0),
    )


def _bytes(facts: Facts, items: int, *, slopes: bool) -> int:
    """Memory of the values of some items; without slopes, of one recorded pass and of the two largest sites."""
    sizes = sorted(site.nbytes for site in facts.sites)
    return sum(sizes) * items if slopes else sum(sizes) + sum(sizes[-2:]) * items


def _slope(module: nn.Module, item: Tensor) -> None:
    passes.score_of(module, item, [Score(place=LOGITS, weights={0: 1.0})], slope=True)


def _seconds(work: Callable[[], object]) -> float:
    """The shorter of two runs: the first one also sets things up."""
    taken = []
    for _ in range(2):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)
