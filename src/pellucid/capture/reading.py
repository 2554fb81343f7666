"""Reading values and slopes: one forward pass for several methods, sites and targets, and one backward pass per target.

Where memory runs out, the batch is halved until it fits.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pellucid.capture import knowledge
from pellucid.capture.answers import Answer, read_answer
from pellucid.capture.asks import Facts, Reads, Ruling, Seen
from pellucid.capture.biases import BiasReader
from pellucid.capture.failures import DecidesTogetherError, is_out_of_memory, not_finite, too_large
from pellucid.capture.keeping import Wants
from pellucid.capture.passes import Spent, derivative, facts, forward, in_memory, record, recorded
from pellucid.capture.recorder import Recorder
from pellucid.capture.rules import Interceptor
from pellucid.capture.scores import LOGITS, Score, evaluate
from pellucid.capture.sites import INPUT
from pellucid.capture.undisturbed import undisturbed
from pellucid.capture.wiring import Wired
from pellucid.errors import MethodError

Resolve = Callable[[Tensor, Facts], Sequence[Score]]
Found = list[tuple[Sequence[Score], Tensor, Seen]]


def read(
    module: nn.Module,
    batch: Tensor,
    *,
    reads: Callable[[Facts], Reads],
    resolve: Sequence[Resolve],
    spent: Spent,
    ruling: Ruling | None = None,
) -> tuple[Answer, Facts, list[tuple[Sequence[Score], Tensor, Seen]]]:
    """One forward pass, and one backward pass per target, for everything that methods want to read.

    Where memory runs out, the batch is halved until it fits; the answer is the same, up to rounding.

    Args:
        module: The model.
        batch: The prepared batch.
        reads: What is wanted, once the sites are known.
        resolve: For each target, from logits to one score per item; each is called once, with the whole batch.
        spent: Where the cost is counted.
        ruling: Another backward rule per operation; None for derivatives as they are.

    Returns:
        The answer, the facts, and for each target its scores, their values and what was read.

    Raises:
        CapacityError: Not even one item fits into memory.
        OutputError, NotFiniteError, MethodError: The model's answer or a site cannot be explained.
        DecidesTogetherError: The model decides by the values of its input, and there are several items.
    """
    agreed: dict[int, Sequence[Score]] = {}

    def once(number: int) -> Resolve:
        def scores(logits: Tensor, known: Facts) -> Sequence[Score]:
            if number not in agreed:
                agreed[number] = resolve[number](logits, known)
            return agreed[number]

        return scores

    resolving = [once(number) for number in range(len(resolve))]
    size = len(batch)
    while True:
        try:
            if size == len(batch):
                return read_once(module, batch, reads, resolving, spent, ruling)
            return _read_parts(module, batch, size, reads, resolving, spent, ruling)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise too_large(batch[:1], knowledge.recall(module, batch), error) from error
            size = -(-size // 2)


def read_once(
    module: nn.Module,
    batch: Tensor,
    reads: Callable[[Facts], Reads],
    resolve: Sequence[Resolve],
    spent: Spent,
    ruling: Ruling | None,
) -> tuple[Answer, Facts, Found]:
    """The same in one pass, whose rows stay together; running out of memory is left to the caller."""
    known = knowledge.recall(module, batch)
    if known is not None and known.wiring is None:
        known = None  # Found without derivatives, which show whether all has been seen.
    while True:
        wanted = None if known is None else reads(known)
        start = None if known is None or wanted is None or ruling is not None else knowledge.start_of(wanted, known)
        with undisturbed(module) as weights, torch.enable_grad():
            biases = BiasReader() if wanted is not None and wanted.bias_gradients else None
            if biases is not None and ruling is not None:
                raise AssertionError("bias-gradients are those of the derivatives as they are")
            interceptor = None if ruling is None else Interceptor(ruling)
            wired = Wired(inner=interceptor) if known is None else None
            recorder = Recorder(
                module,
                wants=_wanting(wanted),
                edges=True,
                start=start,
                intercept=wired or biases or interceptor,
                live=True,
                before_write=weights.before_write,
            )
            if interceptor is not None:
                interceptor.depends = recorder.depends
            leaf = batch.detach().clone().requires_grad_(start is None)
            # The model gets a copy: a leaf that wants a gradient must not be overwritten, and models write in place.
            copy = leaf.clone()
            if wired is not None:
                wired.begin(copy)
            output = forward(module, copy, recorder)
            spent.calls += 1
            spent.forwards += len(batch)
            if recorder.decides and len(batch) > 1:
                raise DecidesTogetherError
            if known is not None and not knowledge.agrees(known, recorder):
                # The model went another way than the known one, so what is wanted, and where to start, may be wrong.
                knowledge.forget(module)
                known = None
                continue
            found = read_answer(recorder, output, items=len(batch))
            if known is None:
                assert wired is not None
                seen_through = recorder.before_softmax if found.looked_through else None
                wiring = wired.wiring(recorder, output if seen_through is None else seen_through[1])
                known = knowledge.remember(module, batch, recorder, output, wiring)
                wanted = reads(known)
                if wanted.bias_gradients:
                    # They are found on the way, so it is gone once more; as for all facts, the first is not counted.
                    spent.calls -= 1
                    spent.forwards -= len(batch)
                    continue
            assert wanted is not None
            if not bool(torch.isfinite(found.logits).all()):
                seen, _ = record(module, batch, statistics="basic")
                raise not_finite(module, batch, seen)
            results = _backward(recorder, found.logits, leaf, known, wanted, resolve, spent, biases)
        return Answer(logits=found.logits.detach(), looked_through=found.looked_through), known, results


def _wanting(wanted: Reads | None) -> Wants | None:
    if wanted is None:
        return lambda *_: True
    names = wanted.values
    return (lambda name, *_: name in names) if names else None


def _backward(
    recorder: Recorder,
    logits: Tensor,
    leaf: Tensor,
    known: Facts,
    wanted: Reads,
    resolve: Sequence[Resolve],
    spent: Spent,
    biases: BiasReader | None,
) -> Found:
    items = len(leaf)
    values = {name: leaf.detach() if name == INPUT else recorder.value(name).detach() for name in wanted.values}
    rows = {call.name: call.shape[:1] for call in recorder.calls}
    for name in sorted((wanted.values | wanted.slopes) - {INPUT}):
        if rows[name] != (items,):
            raise MethodError(
                f"site {name!r} has {rows[name][0] if rows[name] else 'no'} rows for {items} "
                f"picture{'s' * (items > 1)}, so nobody can tell whose they are; choose another site."
            )
    results: Found = []
    for number, resolving in enumerate(resolve):
        scores = resolving(logits.detach(), known)
        places = {LOGITS: logits, **{name: recorder.value(name) for name in {s.place for s in scores} - {LOGITS}}}
        # Rows beyond the scores are partners, which are in the pass only for a backward rule to see.
        total = evaluate(scores, {name: values[: len(scores)] for name, values in places.items()})
        adding = frozenset() if biases is None else frozenset(biases.found) | frozenset(biases.untreated)
        last = number == len(resolve) - 1
        slopes = _slopes(total.sum(), leaf, recorder, wanted.slopes, last=last, also=adding)
        if wanted.slopes or adding:
            spent.backwards += items
        own = {} if biases is None else biases.gradients(slopes)
        kept = {name: slopes[name] for name in wanted.slopes}
        results.append((scores, total.detach(), Seen(values=values, slopes=kept, bias_gradients=own)))
    return results


def _read_parts(
    module: nn.Module,
    batch: Tensor,
    size: int,
    reads: Callable[[Facts], Reads],
    resolve: Sequence[Resolve],
    spent: Spent,
    ruling: Ruling | None,
) -> tuple[Answer, Facts, Found]:
    """The same, some items at a time: first all logits, since a target is resolved on the whole batch."""
    parts = torch.split(batch, size)
    answers = [read_answer(*recorded(module, part), items=len(part)) for part in parts]
    spent.calls += len(parts)
    spent.forwards += len(batch)
    known = facts(module, batch)
    logits = torch.cat([each.logits for each in answers])
    scores = [resolving(logits, known) for resolving in resolve]
    found: list[Found] = []
    for number, part in enumerate(parts):
        rows = slice(number * size, number * size + len(part))
        mine = [already(each[rows]) for each in scores]
        found.append(read_once(module, part, reads, mine, spent, ruling)[2])
    known = facts(module, batch)  # The parts may have found out more.
    results: Found = []
    for target, whole in enumerate(scores):
        merged = Seen.joined([each[target][2] for each in found])
        results.append((whole, torch.cat([each[target][1] for each in found]), merged))
    return Answer(logits=logits, looked_through=answers[0].looked_through), known, results


def already(scores: Sequence[Score]) -> Resolve:
    """Scores that were resolved before."""
    return lambda _logits, _known: scores


def _slopes(
    total: Tensor,
    leaf: Tensor,
    recorder: Recorder,
    names: frozenset[str],
    *,
    last: bool,
    also: frozenset[str] = frozenset(),
) -> dict[str, Tensor]:
    """The slopes at some sites, and at others where the score depends on them."""
    edges = {call.name: call.edge for call in recorder.calls}
    ordered = sorted(names | {name for name in also if edges.get(name) is not None})
    if not ordered:
        return {}
    missing = [name for name in ordered if name != INPUT and edges[name] is None]
    if missing:
        raise MethodError(
            f"site {missing[0]!r} does not depend on the picture, so the score has no slope there; choose a later site."
        )
    places = {name: edge for name, edge in edges.items() if edge is not None}
    inputs: list[Any] = [leaf if name == INPUT else places[name].at for name in ordered]
    found: Sequence[Tensor | None] = [None] * len(ordered)
    if total.requires_grad:
        found = derivative(total, inputs, retain_graph=not last)
    slopes = {}
    for name, slope in zip(ordered, found, strict=True):
        if slope is None and name not in names:
            continue
        if slope is None:
            raise MethodError(
                f"the score does not depend on site {name!r}; choose a site on the way from the picture to the answer."
            )
        slopes[name] = (slope if name == INPUT else places[name].slope(slope)).detach()
    return slopes


def flow(module: nn.Module, batch: Tensor, *, earlier: str, later: str, weights: Tensor) -> Tensor:
    """How the channels of one site feed weighted sums over a later one: gradient times activation between two sites.

    Args:
        module: The model.
        batch: One prepared item.
        earlier: A site.
        later: A site that depends on it.
        weights: (sums, channels, height, width): the weights of each sum over the later site's values.

    Returns:
        (sums, channels of the earlier site): slope of the sum times the value, added up over positions.

    Raises:
        MethodError: The later site does not depend on the earlier one.
    """
    names = (earlier, later)
    with undisturbed(module) as untouched, torch.enable_grad(), in_memory(module, batch):
        recorder = Recorder(
            module,
            wants=lambda name, *_: name in names,
            edges=True,
            start=earlier,
            live=True,
            before_write=untouched.before_write,
        )
        forward(module, batch.clone(), recorder)
        value, reached = recorder.value(earlier).detach(), recorder.value(later)
        found = []
        for number, weight in enumerate(weights):
            total = (reached * weight.to(reached.dtype)).sum()
            slope = _slopes(total, batch, recorder, frozenset({earlier}), last=number == len(weights) - 1)[earlier]
            found.append((slope * value)[0].flatten(1).sum(1))
    return torch.stack(found)
