"""The engine: the only file that runs a user's model or its derivatives.

It records passes, runs them again with sites changed, takes derivatives, and leaves the model exactly as it was.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pellucid.capture import knowledge
from pellucid.capture.answers import Answer, read_answer
from pellucid.capture.asks import Facts
from pellucid.capture.channel_changes import ChannelRest
from pellucid.capture.failures import DecidesTogetherError, explained, is_out_of_memory, too_large
from pellucid.capture.fused import Fused, FusedRun, LeftFusedError
from pellucid.capture.keeping import Wants
from pellucid.capture.program import Program
from pellucid.capture.recorder import Recorder
from pellucid.capture.replay import Edit, Replay, Replayed
from pellucid.capture.scores import LOGITS, Score, evaluate
from pellucid.capture.stretching import Stretch, companion
from pellucid.capture.tape import LeftTapeError, Player, Tape, constants_of
from pellucid.capture.undisturbed import same_random_states, undisturbed
from pellucid.capture.windows import Incremental
from pellucid.errors import MethodError, ModelError, PellucidError, SiteError
from pellucid.models.graph_arguments import GraphArguments


@dataclass(slots=True)
class Spent:
    """What a piece of work has cost: items that went forward and backward, and calls of the model.

    Attributes:
        forwards: Items that went forward, also where only a part of a pass was run.
        backwards: Items that went backward.
        calls: Calls of the model.
        remarks: What a reader should know about how it was done.
        precision: In what most of it was computed, where that is not the model's own type.
        report: Called with the items that went forward so far; what it raises ends the work.
    """

    forwards: int = 0
    backwards: int = 0
    calls: int = 0
    remarks: set[str] = field(default_factory=set)
    precision: str = ""
    report: Callable[[int], None] | None = None

    def ran(self, items: int) -> None:
        """Count a call of the model with some items."""
        self.calls += 1
        self.forwards += items
        if self.report is not None:
            self.report(self.forwards)


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
    with in_memory(module, batch):
        return recorded(module, batch, wants=wants, statistics=statistics)


@contextmanager
def in_memory(module: nn.Module, batch: Tensor) -> Iterator[None]:
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


def recorded(
    module: nn.Module,
    batch: Tensor,
    *,
    wants: Wants | None = None,
    statistics: Literal["none", "basic", "full"] = "none",
) -> tuple[Recorder, Any]:
    """The same, where running out of memory is left to the caller, who may try with fewer items."""
    with undisturbed(module) as weights, torch.no_grad():
        recorder = Recorder(module, wants=wants, statistics=statistics, before_write=weights.before_write)
        # The model gets a copy: some write into what they are given.
        output = forward(module, batch.clone(), recorder)
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


def forward(module: nn.Module, batch: Tensor, recorder: Recorder) -> Any:
    """One forward pass of a model that is already in our hands, recorded.

    Raises:
        TooSmallError, ModelError: As for `record`.
    """

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
        if isinstance(error, PellucidError | LeftTapeError | LeftFusedError) or is_out_of_memory(error):
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
        raise ModelError(f"the model stopped {where} on {_told(given)}: {type(error).__name__}: {words}") from error
    return output


def run_graph(module: nn.Module, given: GraphArguments) -> Any:
    """What a graph model that is already in our hands returns.

    Raises:
        ModelError: The model refuses the graph; its own words are kept.
    """
    arguments = given.for_model(module)
    try:
        return module(**arguments)
    except Exception as error:
        if isinstance(error, PellucidError) or is_out_of_memory(error):
            raise
        words = " ".join(str(error).split())[:300]
        raise ModelError(f"the model stopped on {_told(given)}: {type(error).__name__}: {words}") from error


def _told(given: GraphArguments) -> str:
    return f"a graph of {given.nodes} nodes with {given.x.shape[1]} features and {given.edge_index.shape[1]} arcs"


def values_of(module: nn.Module, batch: Tensor, names: Sequence[str]) -> tuple[dict[str, Tensor], Answer]:
    """The values of some sites, and the answer, from one pass.

    Raises:
        SiteError: This pass does not come by a site.
        OutputError: The output is no table of logits with one row per picture.
    """
    wanted = frozenset(names)
    recorder, output = record(module, batch, wants=lambda name, *_: name in wanted)
    return {name: recorder.value(name) for name in names}, read_answer(recorder, output, items=len(batch))


def settle_norms(twin: nn.Module, batches: Iterable[Tensor | GraphArguments]) -> None:
    """Give a network of our own the running statistics that some inputs have in it; its own are forgotten.

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
            twin(batch.clone()) if isinstance(batch, Tensor) else run_graph(twin, batch.clone())
    twin.eval()


# -- replay


def replay(module: nn.Module, batch: Tensor) -> Replay:
    """One pass whose sites can be changed afterwards, to see what the model would have answered.

    Raises:
        OutputError: The output is no table of logits with one row per picture.
        CapacityError: The batch, or the values of its sites, do not fit into memory.
    """
    tape, recorder, output = _taped(module, batch)
    known: list[Stretch] = []

    def run(edits: Mapping[str, Edit], copies: int, wanted: Collection[str]) -> Replayed:
        if copies == 1:
            return _replayed(module, batch, tape, edits, wanted)
        if not known:
            known.append(Stretch(tape, _taped(module, companion(batch))[0]))
        many = known[0].tape(copies)
        if many is not None:
            try:
                return _edited(module, batch.expand(copies, *batch.shape[1:]), many, edits, wanted)
            except (LeftTapeError, ModelError):
                pass
        each = [_replayed(module, batch, tape, _of_copy(edits, number, copies), wanted) for number in range(copies)]
        return torch.cat([one for one, _ in each]), {name: torch.cat([of[name] for _, of in each]) for name in wanted}

    return Replay(
        run,
        answer=read_answer(recorder, output, items=len(batch)),
        sites=recorder.sites(),
        aliases=recorder.aliases,
        decides=recorder.decides,
    )


def _taped(module: nn.Module, batch: Tensor) -> tuple[Tape, Recorder, Any]:
    with undisturbed(module) as weights, torch.no_grad(), in_memory(module, batch):
        given = batch.clone()
        tape = Tape(constants_of(module), (given,))
        recorder = Recorder(module, intercept=tape, before_write=weights.before_write)
        random = _random_state(batch)
        output = forward(module, given, recorder)
        # After a draw that is skipped, the next one would be another one.
        tape.playable &= not recorder.decides and torch.equal(random, _random_state(batch))
    return tape, recorder, output


def _of_copy(edits: Mapping[str, Edit], number: int, copies: int) -> dict[str, Edit]:
    """Edits of copies that lie side by side, for one of them alone."""

    def alone(edit: Edit) -> Edit:
        return lambda values: edit(values.repeat(copies, *[1] * (values.dim() - 1)))[number : number + 1]

    return {name: alone(edit) for name, edit in edits.items()}


def incremental(
    module: nn.Module, item: Tensor, *, before: str | None = None, half: bool = False
) -> Incremental | None:
    """One pass on one item that can be run on tiles of it, up to a site; None where that is not possible.

    Args:
        module: The model.
        item: The item.
        before: A site that the model itself must come by, or None.
        half: Run tiles in bfloat16.

    Raises:
        CapacityError: The values of its sites do not fit into memory.
    """
    stepped = _stepped(module, item)
    if stepped is None:
        return None
    steps, _, output = stepped
    found = Incremental(steps, steps.numbers_of(output), before=before, half=half)
    return found if found.is_possible else None


def channel_rest(module: nn.Module, item: Tensor) -> ChannelRest | None:
    """One pass on one item, from whose sites on single channels can be changed; None where that is not possible.

    Raises:
        CapacityError: The values of its sites do not fit into memory.
    """
    stepped = _stepped(module, item)
    if stepped is None:
        return None
    steps, recorder, output = stepped
    before = recorder.before_softmax if read_answer(recorder, output, items=len(item)).looked_through else None
    numbers = steps.numbers_of(output if before is None else before[1])
    return ChannelRest(steps, {LOGITS: numbers[0]}) if len(numbers) == 1 else None


def _stepped(module: nn.Module, item: Tensor) -> tuple[Program, Recorder, Any] | None:
    """One pass on one item as steps; None where they depend on its values, or on chance."""
    with undisturbed(module) as weights, torch.no_grad(), in_memory(module, item):
        steps, given = Program(), item.clone()
        steps.begin(given)
        recorder = Recorder(module, intercept=steps, before_write=weights.before_write)
        random = _random_state(item)
        output = forward(module, given, recorder)
        if recorder.decides or not torch.equal(random, _random_state(item)):
            return None
    return steps, recorder, output


def _random_state(batch: Tensor) -> Tensor:
    return torch.cuda.get_rng_state(batch.device) if batch.is_cuda else torch.get_rng_state()


def _replayed(
    module: nn.Module, batch: Tensor, tape: Tape, edits: Mapping[str, Edit], wanted: Collection[str]
) -> Replayed:
    try:
        return _edited(module, batch, tape, edits, wanted)
    except LeftTapeError:
        tape.playable = False
    # Only here everything is as it was before the pass that was broken off.
    return _edited(module, batch, tape, edits, wanted)


def _edited(
    module: nn.Module, batch: Tensor, tape: Tape, edits: Mapping[str, Edit], wanted: Collection[str]
) -> Replayed:
    with undisturbed(module) as weights, torch.no_grad(), in_memory(module, batch):
        given = batch.clone()
        player = Player(tape, [given]) if tape.playable else None
        wants: Wants | None = (lambda name, *_: name in wanted) if wanted else None
        recorder = Recorder(module, wants=wants, edits=edits, tape=player, before_write=weights.before_write)
        output = forward(module, given, recorder)
        if player is not None:
            player.finish()
        missing = edits.keys() - recorder.edited
        if missing:
            raise SiteError(f"this pass does not come by site {min(missing)!r}, so it cannot be changed.")
        logits = read_answer(recorder, output, items=len(batch)).logits
        return logits, {name: recorder.value(name) for name in wanted}


# -- derivatives


def derivative(total: Tensor, inputs: Sequence[Any], *, retain_graph: bool = False) -> tuple[Tensor | None, ...]:
    """The derivative of a number with respect to some tensors or edges; None for those that it does not depend on.

    Raises:
        ModelError: No derivative can be taken through the model.
    """
    try:
        return torch.autograd.grad(total, inputs, retain_graph=retain_graph, allow_unused=True)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        said = " ".join(str(error).split())[:200]
        raise ModelError(f"no derivative can be taken through this model: {said}") from error


def pull(
    function: Callable[..., Tensor], inputs: Sequence[Tensor]
) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, ...]]]:
    """What a function of tensors returns, and how slopes go back through it.

    Args:
        function: Pure: it overwrites none of them.
        inputs: What it is given.

    Returns:
        Its result; and a function from slopes at the result to slopes at each input, 0 where it does not depend on one.
    """
    with torch.enable_grad():
        leaves = [each.detach().requires_grad_(each.is_floating_point()) for each in inputs]
        made = function(*leaves)

    def back(slope: Tensor) -> tuple[Tensor, ...]:
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        found: Sequence[Tensor | None] = [None] * len(wanted)
        if made.requires_grad:
            found = torch.autograd.grad(made, wanted, slope.to(made.dtype), retain_graph=True, allow_unused=True)
        slopes = iter(found)
        each = [next(slopes) if leaf.requires_grad else None for leaf in leaves]
        return tuple(torch.zeros_like(leaf) if s is None else s for leaf, s in zip(leaves, each, strict=True))

    return made.detach(), back


@contextmanager
def program(module: nn.Module, batch: Tensor) -> Iterator[tuple[Program, Recorder, Any]]:
    """One pass as a list of steps, with the recorder and the output; the model is in our hands meanwhile.

    Raises:
        CapacityError: The values of its steps do not fit into memory.
    """
    # With derivatives on, a tensor that depends on the picture shows itself even where no step has made it.
    with undisturbed(module) as weights, torch.enable_grad(), in_memory(module, batch):
        steps, given = Program(), batch.detach().clone().requires_grad_(True).clone()
        steps.begin(given)
        recorder = Recorder(module, intercept=steps, before_write=weights.before_write)
        yield steps, recorder, forward(module, given, recorder)


# -- scores


def fused(module: nn.Module, item: Tensor, *, half: bool, keep: Collection[str] = ()) -> Fused | None:
    """What a pass on such items can be run with instead of the model's own layers; None where there is nothing to gain.

    Raises:
        CapacityError: The values of its sites do not fit into memory.
    """
    with program(module, item) as (steps, recorder, _):
        if recorder.decides or not steps.is_whole or steps.lost_at:
            return None
        return Fused.of(steps, half=half, keep=keep)


def score_of(
    module: nn.Module, x: Tensor, scores: Sequence[Score], *, slope: bool, faster: Fused | None = None
) -> tuple[Tensor, Tensor | None]:
    """The score of each item, and its slope at the input where that is wanted.

    Args:
        module: The model.
        x: The batch.
        scores: One per item.
        slope: Whether slopes are wanted.
        faster: What `fused` has found, to be run instead of the model's own layers.

    Raises:
        LeftFusedError: The pass cannot be run in the faster form.
        DecidesTogetherError: The model decides by the values of its input, and there are several items.
        MethodError: The score does not depend on the input.
    """
    sites = {score.place for score in scores} - {LOGITS}
    with undisturbed(module) as weights, torch.set_grad_enabled(slope):
        wants: Wants | None = (lambda name, *_: name in sites) if sites else None
        running = None if faster is None else FusedRun(faster)
        recorder = Recorder(module, wants=wants, live=True, before_write=weights.before_write, intercept=running)
        leaf = x.detach().clone().requires_grad_(slope)
        output = forward(module, leaf.clone() if faster is None else faster.prepared(leaf.clone()), recorder)
        if running is not None:
            running.finish()
        if recorder.decides and len(x) > 1:
            raise DecidesTogetherError
        places = {name: recorder.value(name).to(x.dtype) for name in sites}
        if any(score.place == LOGITS for score in scores):
            places[LOGITS] = read_answer(recorder, output, items=len(x)).logits.to(x.dtype)
        values = evaluate(scores, places)
        found = derivative(values.sum(), [leaf])[0] if slope and values.requires_grad else None
        if slope and found is None:
            raise MethodError("the score does not depend on the picture, so it has no slope there.")
    return values.detach(), found
