"""The engine: the only file that runs a user's model or its derivatives.

It merges what methods ask for into shared passes, runs variants in batches and halves them when memory runs out,
counts what it spends, and leaves the model exactly as it was.
"""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pellucid.capture.answers import Answer, class_site, read_answer
from pellucid.capture.asks import Ask, Facts, Parts, Probe, Reads, Seen
from pellucid.capture.recorder import Recorder, Wants
from pellucid.capture.rules import Interceptor, Ruling
from pellucid.capture.scores import LOGITS, Score, evaluate
from pellucid.capture.sites import INPUT, Site
from pellucid.capture.undisturbed import undisturbed
from pellucid.errors import CapacityError, MethodError, ModelError, NotFiniteError, PellucidError, TooSmallError

Resolve = Callable[[Tensor, Facts], Sequence[Score]]


@dataclass(slots=True)
class Spent:
    """What a piece of work has cost: items that went forward and backward, and calls of the model."""

    forwards: int = 0
    backwards: int = 0
    calls: int = 0


# -- forward
# ------------------------------------------------------------------------------------------------------------


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
    """
    recorder = Recorder(module, wants=wants, statistics=statistics)
    with undisturbed(module), torch.no_grad(), recorder:
        output = _call(module, batch, recorder)
    return recorder, output


def answer(module: nn.Module, batch: Tensor) -> Answer:
    """The model's logits for a batch, without gradients.

    Raises:
        OutputError: The output is no table of logits with one row per picture.
    """
    recorder, output = record(module, batch)
    return read_answer(recorder, output, items=len(batch))


def facts(module: nn.Module, batch: Tensor) -> Facts:
    """What is known about the model on inputs of this shape.

    Found with one picture, then remembered while the model lives.
    """
    known = _known_facts(module, batch)
    if known is None:
        recorder, output = record(module, batch[:1])
        known = _remember_facts(module, batch, recorder, output)
    return known


_FACTS: "weakref.WeakKeyDictionary[nn.Module, dict[Any, Facts]]" = weakref.WeakKeyDictionary()


def _known_facts(module: nn.Module, batch: Tensor) -> Facts | None:
    return _FACTS.get(module, {}).get(_key(module, batch))


def _key(module: nn.Module, batch: Tensor) -> tuple[Any, ...]:
    # A model that was rebuilt in place has other parts; their identities tell.
    return (tuple(batch.shape[1:]), batch.dtype, tuple(id(part) for part in module.modules()))


def _remember_facts(module: nn.Module, batch: Tensor, recorder: Recorder, output: Any) -> Facts:
    one = tuple(
        _one_item(site, items=int(recorder.input.shape[0]) if recorder.input is not None else 1)
        for site in recorder.sites()
    )
    found = Facts(
        sites=one,
        aliases=dict(recorder.aliases),
        class_site=class_site(recorder, output),
        items=len(batch),
        input_shape=tuple(batch.shape),
    )
    _FACTS.setdefault(module, {})[_key(module, batch)] = found
    return found


def _one_item(site: Site, *, items: int) -> Site:
    shape = site.shape
    if items > 1 and shape and shape[0] % items == 0:
        shape = (shape[0] // items, *shape[1:])
    return replace(site, values=None, statistics=None, shape=shape, multiply_adds=site.multiply_adds // items)


def _call(module: nn.Module, batch: Tensor, recorder: Recorder) -> Any:
    try:
        output = module(batch)
    except (torch.OutOfMemoryError, PellucidError):
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        if _is_out_of_memory(error):
            raise
        raise _explained(module, batch, recorder, error) from error
    recorder.note_output(output)
    return output


def _explained(module: nn.Module, batch: Tensor, recorder: Recorder, error: Exception) -> ModelError:
    """The user's next step from torch's words."""
    place = recorder.where_it_failed()
    words = " ".join(str(error).split())
    shape = "×".join(map(str, batch.shape[1:]))
    first = next((p for p in module.modules() if isinstance(p, nn.Conv2d)), None)
    if first is not None and batch.dim() == 4 and batch.shape[1] != first.in_channels and not recorder.calls:
        return ModelError(
            f"the picture has {batch.shape[1]} channels and the model's first convolution takes "
            f"{first.in_channels}; give the "
            "picture as the model was trained on it."
        )
    small = (
        "output size is too small",
        "kernel size can't be greater",
        "should be at least",
        "non-zero size",
        "too small",
    )
    if batch.dim() == 4 and any(phrase in words.lower() for phrase in small):
        least = _least_size(module, batch)
        hint = f"the least square picture that works is {least}×{least}" if least else "give a larger picture"
        return TooSmallError(f"a picture of {batch.shape[2]}×{batch.shape[3]} is too small for site {place!r}; {hint}.")
    return ModelError(f"the model stopped at site {place!r} on an input of {shape}: {words[:300]}")


def _least_size(module: nn.Module, batch: Tensor) -> int | None:
    """The least square side that goes through, by bisection with one picture of zeros."""

    def works(side: int) -> bool:
        try:
            module(batch.new_zeros((1, batch.shape[1], side, side)))
        except (RuntimeError, ValueError):
            return False
        return True

    low, high = max(1, min(batch.shape[2:])), 1024
    with torch.no_grad():
        if not works(high):
            return None
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if works(middle) else (middle + 1, high)
    return low


# -- backward
# -----------------------------------------------------------------------------------------------------------


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

    Args:
        module: The model.
        batch: The prepared batch.
        reads: What is wanted, once the sites are known.
        resolve: For each target, from logits to one score per item.
        spent: Where the cost is counted.
        ruling: Another backward rule per operation; None for derivatives as they are.

    Returns:
        The answer, the facts, and for each target its scores, their values and what was read.
    """
    known = _known_facts(module, batch)
    wanted = None if known is None else reads(known)
    start = None if known is None or wanted is None or ruling is not None else _start(wanted, known)
    leaf = batch.detach().clone().requires_grad_(start is None)

    def wants(name: str, op: str, index: int) -> bool:
        return wanted is None or name in wanted.values

    recorder = Recorder(
        module,
        wants=None if wanted is not None and not wanted.values else wants,
        edges=True,
        start=start,
        intercept=None if ruling is None else Interceptor(ruling),
        live=True,
    )
    with undisturbed(module), torch.enable_grad(), recorder:
        # The model gets a copy: a leaf that wants a gradient must not be overwritten, and models may write in place.
        output = _call(module, leaf.clone() if start is None else leaf, recorder)
        spent.calls += 1
        spent.forwards += len(batch)
        found = read_answer(recorder, output, items=len(batch))
        if known is None:
            known = _remember_facts(module, batch, recorder, output)
            wanted = reads(known)
        assert wanted is not None
        _check_finite(module, batch, found.logits)
        results = []
        for number, resolving in enumerate(resolve):
            scores = resolving(found.logits.detach(), known)
            places = {LOGITS: found.logits, **_unit_places(recorder, scores)}
            total = evaluate(scores, places)
            slopes = _slopes(total.sum(), leaf, recorder, wanted.slopes, last=number == len(resolve) - 1)
            if wanted.slopes:
                spent.backwards += len(batch)
            values = {name: leaf.detach() if name == INPUT else recorder.value(name).detach() for name in wanted.values}
            results.append((scores, total.detach(), Seen(values=values, slopes=slopes)))
    return Answer(logits=found.logits.detach(), looked_through=found.looked_through), known, results


def _start(wanted: Reads, known: Facts) -> str | None:
    """The earliest site whose slope is wanted, if everything before it needs no derivatives."""
    if INPUT in wanted.slopes or not wanted.slopes:
        return None
    order = {site.name: site.index for site in known.sites}
    first = min(wanted.slopes, key=lambda name: order[name])
    # A value that bypasses the first site would be missing from the graph of a later one only if that one is not
    # downstream.
    downstream = {first}
    for site in known.sites:
        if any(parent in downstream for parent in site.inputs):
            downstream.add(site.name)
    return first if wanted.slopes <= downstream else None


def _unit_places(recorder: Recorder, scores: Sequence[Score]) -> dict[str, Tensor]:
    names = {score.place for score in scores} - {LOGITS}
    return {name: recorder.value(name) for name in names}


def _slopes(total: Tensor, leaf: Tensor, recorder: Recorder, names: frozenset[str], *, last: bool) -> dict[str, Tensor]:
    if not names:
        return {}
    ordered = sorted(names)
    edges = {call.name: call.edge for call in recorder.calls}
    inputs: list[Any] = [leaf if name == INPUT else edges[name] for name in ordered]
    missing = [name for name, edge in zip(ordered, inputs, strict=True) if edge is None]
    if missing:
        raise MethodError(
            f"site {missing[0]!r} does not depend on the picture, so the score has no slope there; choose a later site."
        )
    if not total.requires_grad:
        raise MethodError(
            f"the score does not depend on site {ordered[0]!r}; choose a site on the way from the picture to it."
        )
    found = torch.autograd.grad(total, inputs, retain_graph=not last, allow_unused=True)
    slopes = {}
    for name, slope in zip(ordered, found, strict=True):
        if slope is None:
            raise MethodError(
                f"the score does not depend on site {name!r}; choose a site on the way from the picture to the answer."
            )
        slopes[name] = slope.detach()
    return slopes


def _check_finite(module: nn.Module, batch: Tensor, logits: Tensor) -> None:
    if bool(torch.isfinite(logits).all()):
        return
    if not bool(torch.isfinite(batch).all()):
        raise NotFiniteError("the prepared picture has NaN or infinite values; give finite ones.")
    recorder, _ = record(module, batch, statistics="basic")
    first = next((c.name for c in recorder.calls if c.statistics is not None and c.statistics.not_finite), "the output")
    bad = next((n for n, p in module.named_parameters() if not bool(torch.isfinite(p).all())), None)
    why = (
        f"its weight {bad!r} is not finite"
        if bad is not None and bad.rpartition(".")[0] == first.split("#")[0]
        else "its values overflow"
    )
    raise NotFiniteError(f"the values become NaN or infinite at site {first!r}: {why}; load weights that are whole.")


# -- probes
# -------------------------------------------------------------------------------------------------------------


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
    rng = torch.Generator(device="cpu").manual_seed(seed)
    probing = method.probe(batch, rng)
    size = [batch_size]
    try:
        ask = next(probing)
        while True:
            ask = probing.send(_run_ask(module, batch, ask, scores, spent, size))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def _run_ask(
    module: nn.Module, batch: Tensor, ask: Ask, scores: Sequence[Score], spent: Spent, size: list[int]
) -> Tensor:
    items, count = len(batch), ask.variants.count
    weights = ask.weights or (1.0,) * count
    total = torch.zeros_like(batch, dtype=torch.float64 if batch.dtype == torch.float64 else torch.float32)
    values = batch.new_zeros((count, items))
    done = 0
    work = [(variant, item) for variant in range(count) for item in range(items)]
    made: dict[int, Tensor] = {}
    while done < len(work):
        chunk = work[done : done + size[0]]
        for variant in {variant for variant, _ in chunk} - made.keys():
            made[variant] = ask.variants.make(variant)
        x = torch.stack([made[variant][item] for variant, item in chunk])
        try:
            score, slope = _score(module, x, [scores[item] for _, item in chunk], slope=ask.want == "slope")
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            if size[0] == 1 or len(chunk) == 1:
                raise CapacityError(
                    f"one picture of {'×'.join(map(str, batch.shape[1:]))} does not fit into memory ({error}); use "
                    "a smaller "
                    "picture or free memory."
                ) from error
            size[0] = max(1, min(size[0], len(chunk)) // 2)
            continue
        spent.calls += 1
        spent.forwards += len(chunk)
        spent.backwards += len(chunk) if slope is not None else 0
        for place, (variant, item) in enumerate(chunk):
            values[variant, item] = score[place]
            if slope is not None:
                total[item] += weights[variant] * slope[place]
        done += len(chunk)
        oldest = work[done][0] if done < len(work) else count
        made = {variant: tensor for variant, tensor in made.items() if variant >= oldest}
    return total.to(batch.dtype) if ask.want == "slope" else values


def _score(module: nn.Module, x: Tensor, scores: Sequence[Score], *, slope: bool) -> tuple[Tensor, Tensor | None]:
    leaf = x.detach().clone().requires_grad_(slope)
    sites = {score.place for score in scores} - {LOGITS}

    def wants(name: str, op: str, index: int) -> bool:
        return name in sites

    recorder = Recorder(module, wants=wants if sites else None, live=True)
    with undisturbed(module), torch.set_grad_enabled(slope), recorder:
        output = _call(module, leaf.clone() if slope else leaf, recorder)
        places = {name: recorder.value(name) for name in sites}
        if any(score.place == LOGITS for score in scores):
            places[LOGITS] = read_answer(recorder, output, items=len(x)).logits
        values = evaluate(scores, places)
        found = torch.autograd.grad(values.sum(), leaf)[0] if slope else None
    return values.detach(), found


def _is_out_of_memory(error: BaseException) -> bool:
    words = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "can't allocate memory" in words
        or "out of memory" in words
    )
