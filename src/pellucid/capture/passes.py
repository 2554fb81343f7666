"""The engine: the only file that runs a user's model or its derivatives.

It merges what methods ask for into shared passes, runs variants in batches and halves them when memory runs out,
counts what it spends, and leaves the model exactly as it was.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pellucid.capture import knowledge
from pellucid.capture.answers import Answer, read_answer
from pellucid.capture.asks import Facts, Parts, Probe, Reads, Seen
from pellucid.capture.failures import DecidesTogetherError, explained, is_out_of_memory, not_finite, too_large
from pellucid.capture.keeping import Wants
from pellucid.capture.probing import Questions
from pellucid.capture.recorder import Recorder
from pellucid.capture.replay import Edit, Replay
from pellucid.capture.rules import Interceptor, Ruling
from pellucid.capture.scores import LOGITS, Score, evaluate
from pellucid.capture.sites import INPUT
from pellucid.capture.tape import LeftTapeError, Player, Tape, constants_of
from pellucid.capture.undisturbed import same_random_states, undisturbed
from pellucid.errors import MethodError, ModelError, PellucidError, SiteError
from pellucid.models.graph_arguments import GraphArguments

Resolve = Callable[[Tensor, Facts], Sequence[Score]]
Found = list[tuple[Sequence[Score], Tensor, Seen]]


@dataclass(slots=True)
class Spent:
    """What a piece of work has cost: items that went forward and backward, and calls of the model."""

    forwards: int = 0
    backwards: int = 0
    calls: int = 0


# -- forward


def record(
    module: nn.Module,
    batch: Tensor,
    *,
    wants: Wants | None = None,
    statistics: Literal["none", "basic", "full"] = "none",
) -> tuple[Recorder, Any]:
    """One forward pass without gradients, recorded.

    Raises:
        TooSmallError: The picture is too small for a site, which is named with the least size that works.
        ModelError: The model refuses the batch; its own words are kept.
        CapacityError: The batch does not fit into memory.
    """
    with _in_memory(module, batch):
        return _record(module, batch, wants=wants, statistics=statistics)


@contextmanager
def _in_memory(module: nn.Module, batch: Tensor) -> Iterator[None]:
    """Say it clearly where a batch does not fit into memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise too_large(batch, knowledge.recall(module, batch), error) from error
        raise


def answer(module: nn.Module, batch: Tensor) -> Answer:
    """The model's logits for a batch, without gradients.

    Raises:
        OutputError: The output is no table of logits with one row per picture.
    """
    recorder, output = record(module, batch)
    return read_answer(recorder, output, items=len(batch))


def _record(
    module: nn.Module,
    batch: Tensor,
    *,
    wants: Wants | None = None,
    statistics: Literal["none", "basic", "full"] = "none",
) -> tuple[Recorder, Any]:
    with undisturbed(module) as weights, torch.no_grad():
        recorder = Recorder(module, wants=wants, statistics=statistics, before_write=weights.before_write)
        # The model gets a copy: some write into what they are given.
        output = _forward(module, batch.clone(), recorder)
    return recorder, output


def facts(module: nn.Module, batch: Tensor) -> Facts:
    """What is known about the model on inputs of this shape.

    Found with one picture, then remembered while the model lives and stays as it is.
    """
    known = knowledge.recall(module, batch)
    if known is None:
        recorder, output = record(module, batch[:1])
        known = knowledge.remember(module, batch, recorder, output)
    return known


def _forward(module: nn.Module, batch: Tensor, recorder: Recorder) -> Any:
    def attempt(side: int) -> Exception | None:
        try:
            with torch.no_grad():
                module(batch.new_zeros((1, batch.shape[1], side, side)))
        except Exception as error:
            return error
        return None

    try:
        with recorder.alone():
            output = module(batch)
            recorder.note_output(output)
    except Exception as error:
        if isinstance(error, PellucidError | LeftTapeError) or is_out_of_memory(error):
            raise
        raise explained(module, batch, recorder, error, attempt) from error
    return output


def forward_graph(module: nn.Module, given: GraphArguments, recorder: Recorder) -> Any:
    """One pass of a graph model that is already in our hands, recorded.

    Raises:
        ModelError: The model refuses the graph; its own words are kept.
    """
    arguments = given.for_model(module)
    try:
        with recorder.alone():
            output = module(**arguments)
            recorder.note_output(output)
    except Exception as error:
        if isinstance(error, PellucidError) or is_out_of_memory(error):
            raise
        place, words = recorder.where_it_failed(), " ".join(str(error).split())[:300]
        where = f"at site {place!r}" if place else "in its own forward"
        shape = f"{given.nodes} nodes with {given.x.shape[1]} features and {given.edge_index.shape[1]} arcs"
        raise ModelError(f"the model stopped {where} on a graph of {shape}: {type(error).__name__}: {words}") from error
    return output


def run_graph(module: nn.Module, given: GraphArguments) -> Any:
    """What a graph model that is already in our hands returns."""
    return module(**given.for_model(module))


def gradient(total: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    """The derivative of a number with respect to some tensors; None for those that it does not depend on."""
    return _derivative(total, list(inputs))


def values_of(module: nn.Module, batch: Tensor, names: Sequence[str]) -> tuple[dict[str, Tensor], Answer]:
    """The values of some sites, and the answer, from one pass.

    Raises:
        SiteError: This pass does not come by a site.
        OutputError: The output is no table of logits with one row per picture.
    """
    wanted = frozenset(names)
    recorder, output = record(module, batch, wants=lambda name, *_: name in wanted)
    return {name: recorder.value(name) for name in names}, read_answer(recorder, output, items=len(batch))


def settle_norms(twin: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give a network of our own the running statistics that some pictures have in it; its own are forgotten.

    For the untrained twin of a model, never for the model itself: this changes it.
    """
    norms = [part for part in twin.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    norms = [part for part in norms if part.track_running_stats]
    twin.eval()
    for part in norms:
        part.reset_running_stats()
        part.momentum = None  # the mean over all batches
        part.train()
    with same_random_states(twin), torch.no_grad():
        for batch in batches if norms else ():
            twin(batch.clone())
    twin.eval()


# -- replay


def replay(module: nn.Module, batch: Tensor) -> Replay:
    """One pass whose sites can be changed afterwards, to see what the model would have answered.

    Raises:
        OutputError: The output is no table of logits with one row per picture.
        CapacityError: The batch, or the values of its sites, do not fit into memory.
    """
    with undisturbed(module) as weights, torch.no_grad(), _in_memory(module, batch):
        given = batch.clone()
        tape = Tape(constants_of(module), (given,))
        recorder = Recorder(module, intercept=tape, before_write=weights.before_write)
        random = _random_state(batch)
        output = _forward(module, given, recorder)
        # After a draw that is skipped, the next one would be another one.
        tape.playable &= not recorder.decides and torch.equal(random, _random_state(batch))
    return Replay(
        lambda edits: _replayed(module, batch, tape, edits),
        answer=read_answer(recorder, output, items=len(batch)),
        sites=recorder.sites(),
        aliases=recorder.aliases,
        decides=recorder.decides,
    )


def _random_state(batch: Tensor) -> Tensor:
    return torch.cuda.get_rng_state(batch.device) if batch.is_cuda else torch.get_rng_state()


def _replayed(module: nn.Module, batch: Tensor, tape: Tape, edits: Mapping[str, Edit]) -> Answer:
    try:
        return _edited(module, batch, tape, edits)
    except LeftTapeError:
        tape.playable = False
    # Only here everything is as it was before the pass that was broken off.
    return _edited(module, batch, tape, edits)


def _edited(module: nn.Module, batch: Tensor, tape: Tape, edits: Mapping[str, Edit]) -> Answer:
    with undisturbed(module) as weights, torch.no_grad(), _in_memory(module, batch):
        given = batch.clone()
        player = Player(tape, [given]) if tape.playable else None
        recorder = Recorder(module, edits=edits, tape=player, before_write=weights.before_write)
        output = _forward(module, given, recorder)
        if player is not None:
            player.finish()
        missing = edits.keys() - recorder.edited
        if missing:
            raise SiteError(f"this pass does not come by site {min(missing)!r}, so it cannot be changed.")
        return read_answer(recorder, output, items=len(batch))


# -- backward


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
                return _read(module, batch, reads, resolving, spent, ruling)
            return _read_parts(module, batch, size, reads, resolving, spent, ruling)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise too_large(batch[:1], knowledge.recall(module, batch), error) from error
            size = -(-size // 2)


def _read(
    module: nn.Module,
    batch: Tensor,
    reads: Callable[[Facts], Reads],
    resolve: Sequence[Resolve],
    spent: Spent,
    ruling: Ruling | None,
) -> tuple[Answer, Facts, Found]:
    known = knowledge.recall(module, batch)
    while True:
        wanted = None if known is None else reads(known)
        start = None if known is None or wanted is None or ruling is not None else knowledge.start_of(wanted, known)
        with undisturbed(module) as weights, torch.enable_grad():
            recorder = Recorder(
                module,
                wants=_wanting(wanted),
                edges=True,
                start=start,
                intercept=None if ruling is None else Interceptor(ruling),
                live=True,
                before_write=weights.before_write,
            )
            leaf = batch.detach().clone().requires_grad_(start is None)
            # The model gets a copy: a leaf that wants a gradient must not be overwritten, and models write in place.
            output = _forward(module, leaf.clone(), recorder)
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
                known = knowledge.remember(module, batch, recorder, output)
                wanted = reads(known)
            assert wanted is not None
            if not bool(torch.isfinite(found.logits).all()):
                seen, _ = record(module, batch, statistics="basic")
                raise not_finite(module, batch, seen)
            results = _backward(recorder, found.logits, leaf, known, wanted, resolve, spent)
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
        total = evaluate(scores, places)
        slopes = _slopes(total.sum(), leaf, recorder, wanted.slopes, last=number == len(resolve) - 1)
        if wanted.slopes:
            spent.backwards += items
        results.append((scores, total.detach(), Seen(values=values, slopes=slopes)))
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
    answers = [read_answer(*_record(module, part), items=len(part)) for part in parts]
    spent.calls += len(parts)
    spent.forwards += len(batch)
    known = facts(module, batch)
    logits = torch.cat([each.logits for each in answers])
    scores = [resolving(logits, known) for resolving in resolve]
    found: list[Found] = []
    for number, part in enumerate(parts):
        rows = slice(number * size, number * size + len(part))
        mine = [_already(each[rows]) for each in scores]
        found.append(_read(module, part, reads, mine, spent, ruling)[2])
    results: Found = []
    for target, whole in enumerate(scores):
        merged = Seen.joined([each[target][2] for each in found])
        results.append((whole, torch.cat([each[target][1] for each in found]), merged))
    return Answer(logits=logits, looked_through=answers[0].looked_through), known, results


def _already(scores: Sequence[Score]) -> Resolve:
    return lambda _logits, _known: scores


def _slopes(total: Tensor, leaf: Tensor, recorder: Recorder, names: frozenset[str], *, last: bool) -> dict[str, Tensor]:
    if not names:
        return {}
    ordered = sorted(names)
    edges = {call.name: call.edge for call in recorder.calls}
    missing = [name for name in ordered if name != INPUT and edges[name] is None]
    if missing:
        raise MethodError(
            f"site {missing[0]!r} does not depend on the picture, so the score has no slope there; choose a later site."
        )
    places = {name: edge for name, edge in edges.items() if edge is not None}
    inputs: list[Any] = [leaf if name == INPUT else places[name].at for name in ordered]
    found: Sequence[Tensor | None] = [None] * len(ordered)
    if total.requires_grad:
        found = _derivative(total, inputs, retain_graph=not last)
    slopes = {}
    for name, slope in zip(ordered, found, strict=True):
        if slope is None:
            raise MethodError(
                f"the score does not depend on site {name!r}; choose a site on the way from the picture to the answer."
            )
        slopes[name] = (slope if name == INPUT else places[name].slope(slope)).detach()
    return slopes


def _derivative(total: Tensor, inputs: list[Any], *, retain_graph: bool = False) -> tuple[Tensor | None, ...]:
    try:
        return torch.autograd.grad(total, inputs, retain_graph=retain_graph, allow_unused=True)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        said = " ".join(str(error).split())[:200]
        raise ModelError(f"no derivative can be taken through this model: {said}") from error


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
    with undisturbed(module) as untouched, torch.enable_grad(), _in_memory(module, batch):
        recorder = Recorder(
            module,
            wants=lambda name, *_: name in names,
            edges=True,
            start=earlier,
            live=True,
            before_write=untouched.before_write,
        )
        _forward(module, batch.clone(), recorder)
        value, reached = recorder.value(earlier).detach(), recorder.value(later)
        found = []
        for number, weight in enumerate(weights):
            total = (reached * weight.to(reached.dtype)).sum()
            slope = _slopes(total, batch, recorder, frozenset({earlier}), last=number == len(weights) - 1)[earlier]
            found.append((slope * value)[0].flatten(1).sum(1))
    return torch.stack(found)


# -- probes


def run_probe(
    module: nn.Module,
    batch: Tensor,
    method: Probe,
    scores: Sequence[Score],
    *,
    seed: int,
    spent: Spent,
    batch_size: int = 32,
) -> Parts:
    """Let a probe ask until it has its answer.

    Variants run in batches of at most `batch_size` items, halved when memory runs out; the answer is the same, up to
    rounding.
    """

    def run(x: Tensor, chosen: Sequence[Score], slope: bool) -> tuple[Tensor, Tensor | None]:
        found = _score(module, x, chosen, slope=slope)
        spent.calls += 1
        spent.forwards += len(x)
        spent.backwards += len(x) * slope
        return found

    known = knowledge.recall(module, batch)
    questions = Questions(run=run, batch=batch, scores=scores, size=batch_size, facts=known)
    probing = method.probe(batch, torch.Generator(device="cpu").manual_seed(seed))
    try:
        ask = next(probing)
        while True:
            ask = probing.send(questions.answer(ask))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def _score(module: nn.Module, x: Tensor, scores: Sequence[Score], *, slope: bool) -> tuple[Tensor, Tensor | None]:
    sites = {score.place for score in scores} - {LOGITS}
    with undisturbed(module) as weights, torch.set_grad_enabled(slope):
        wants: Wants | None = (lambda name, *_: name in sites) if sites else None
        recorder = Recorder(module, wants=wants, live=True, before_write=weights.before_write)
        leaf = x.detach().clone().requires_grad_(slope)
        output = _forward(module, leaf.clone(), recorder)
        if recorder.decides and len(x) > 1:
            raise DecidesTogetherError
        places = {name: recorder.value(name) for name in sites}
        if any(score.place == LOGITS for score in scores):
            places[LOGITS] = read_answer(recorder, output, items=len(x)).logits
        values = evaluate(scores, places)
        found = _derivative(values.sum(), [leaf])[0] if slope and values.requires_grad else None
        if slope and found is None:
            raise MethodError("the score does not depend on the picture, so it has no slope there.")
    return values.detach(), found
