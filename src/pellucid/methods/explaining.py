"""`explain` and `explain_many`: from a model, inputs, methods and targets to explanations."""

import dataclasses
import functools
import itertools
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pellucid import __version__, archive
from pellucid.capture import passes
from pellucid.capture.answers import Answer
from pellucid.capture.asks import Combine, Facts, Method, Parts, Probe, Reads, Rules
from pellucid.capture.batches import as_batch
from pellucid.capture.passes import Spent
from pellucid.capture.scores import Score
from pellucid.capture.sites import INPUT, Site
from pellucid.errors import InputError, SettingError
from pellucid.inputs.image import Image
from pellucid.methods.catalogue import method_from, name_of, settings_of
from pellucid.methods.explanation import Cost, Explanation, Part, Subject
from pellucid.methods.targets import Resolved, check, places_of, resolve
from pellucid.models.model import Model

Progress = Callable[[int, int], None]


def explain(
    model: Model | nn.Module | str,
    input: Any,
    *,
    method: str | Method = "grad-cam",
    target: str = "top:1",
    seed: int = 0,
) -> Explanation:
    """Say why a model gave an answer to one input.

    Args:
        model: A `Model`, an `nn.Module`, or what `pellucid.load` takes. It is left exactly as it was.
        input: An `Image`, what `pellucid.read` takes, or a prepared float tensor with one item.
        method: A name (`grad-cam`), a name with settings (`integrated-gradients(steps=100)`) or an instance.
        target: What to explain: `top:1`, `class:281`, `class:tabby`, `contrast:tabby,lynx`, `output:2`,
            `unit:'features.40'/7`.
        seed: For every random draw; the global generators are left alone.

    Returns:
        Exactly one explanation.

    Raises:
        InputError, ModelError, MethodError, TargetError, SiteError: Something cannot be used; says what to do.
    """
    if isinstance(input, list | tuple) or (isinstance(input, Tensor) and input.dim() > 1 and len(input) != 1):
        raise InputError(f"explain takes one input, {len(input)} were given; use explain_many for several.")
    return next(iter(explain_many(model, [input], methods=[method], targets=[target], seed=seed)))


def explain_many(
    model: Model | nn.Module | str,
    inputs: Iterable[Any],
    *,
    methods: Sequence[str | Method],
    targets: Sequence[str] = ("top:1",),
    seed: int = 0,
    batch_size: int = 16,
    progress: Progress | None = None,
) -> Iterator[Explanation]:
    """Explain every input by every method for every target; passes are shared, and results stream.

    Args:
        model: As for `explain`.
        inputs: Images, paths, arrays or prepared tensors of one or more items, in any number.
        methods: Names or instances.
        targets: Targets.
        seed: For every random draw.
        batch_size: Most items in one pass.
        progress: Called with the number of explanations made, and the number in all or 0 where nobody knows it.

    Yields:
        Explanations: for each input in order, for each method, for each target.

    Raises:
        InputError, ModelError, MethodError, TargetError, SiteError: Something cannot be used; says what to do.
    """
    if batch_size < 1:
        raise SettingError("batch_size", given=batch_size, expected="1 or more", hint="16 suits most machines")
    for name, given in (("methods", methods), ("targets", targets)):
        if isinstance(given, str) or not given:
            raise SettingError(name, given=given, expected="a list with at least one entry")
    chosen = [method_from(method) for method in methods]
    for target in targets:
        check(target)
    return _stream(as_batch(model, _NOTHING)[0], inputs, chosen, list(targets), seed, batch_size, progress)


_NOTHING = torch.zeros(1, 1)


def _stream(
    model: Model,
    inputs: Iterable[Any],
    methods: list[Method],
    targets: list[str],
    seed: int,
    batch_size: int,
    progress: Progress | None,
) -> Iterator[Explanation]:
    made = 0
    known = len(inputs) if isinstance(inputs, Sequence) else 0
    total = known * len(methods) * len(targets)
    digest = model.weights_digest
    for batch, images in _batches(model, inputs, batch_size):
        work = _Work(model=model, digest=digest, batch=batch, images=images, targets=targets, seed=seed)
        by_method = work.run(methods)
        for item, method, target in itertools.product(range(len(batch)), range(len(methods)), range(len(targets))):
            made += 1
            yield by_method[method][target][item]
            if progress is not None:
                progress(made, max(total, made) if known else 0)


def _batches(model: Model, inputs: Iterable[Any], size: int) -> Iterator[tuple[Tensor, tuple[Image | None, ...]]]:
    """Prepared batches of items of one shape, with their pictures where there are any."""
    waiting: list[tuple[Tensor, Image | None]] = []
    for each in inputs:
        _, batch, images = as_batch(model, each)
        for item in range(len(batch)):
            if waiting and (len(waiting) == size or waiting[0][0].shape != batch[item].shape):
                yield torch.stack([tensor for tensor, _ in waiting]), tuple(image for _, image in waiting)
                waiting = []
            waiting.append((batch[item], images[item] if images else None))
    if waiting:
        yield torch.stack([tensor for tensor, _ in waiting]), tuple(image for _, image in waiting)


@dataclass(kw_only=True)
class _Work:
    """One batch: who shares which pass, and what becomes of the results."""

    model: Model
    digest: str
    batch: Tensor
    images: tuple[Image | None, ...]
    targets: list[str]
    seed: int

    def run(self, methods: list[Method]) -> list[list[list[Explanation]]]:
        """For each method, for each target, one explanation per item."""
        results: dict[int, list[list[Explanation]]] = {}
        combining = [
            i for i, method in enumerate(methods) if isinstance(method, Combine) and not isinstance(method, Rules)
        ]
        if combining:
            results |= self._combined(methods, combining)
        for i, method in enumerate(methods):
            if isinstance(method, Rules):
                results |= self._combined(methods, [i])
            elif isinstance(method, Probe):
                results[i] = self._probed(method)
            elif i not in results:
                raise TypeError(f"{name_of(method)} follows none of the protocols Combine, Probe, Rules")
        return [results[i] for i in range(len(methods))]

    def _combined(self, methods: list[Method], chosen: list[int]) -> dict[int, list[list[Explanation]]]:
        """All methods that can share one forward pass, and one backward pass per target."""
        spent, started = Spent(), time.perf_counter()
        ruling = methods[chosen[0]].rule if isinstance(methods[chosen[0]], Rules) else None

        def reads(facts: Facts) -> Reads:
            wanted = Reads(values=frozenset().union(*(places_of(target, facts) for target in self.targets)))
            for i in chosen:
                wanted = wanted | methods[i].reads(facts)
            return wanted

        resolved: list[list[Resolved]] = []

        def resolving(target: str) -> passes.Resolve:
            def scores(logits: Tensor, facts: Facts) -> Sequence[Score]:
                resolved.append(resolve(target, logits, facts, self.model.class_names))
                return [each.score for each in resolved[-1]]

            return scores

        answer, facts, found = passes.read(
            self.model.module,
            self.batch,
            reads=reads,
            resolve=[resolving(target) for target in self.targets],
            spent=spent,
            ruling=ruling,
        )
        facts = dataclasses.replace(facts, items=len(self.batch))
        results: dict[int, list[list[Explanation]]] = {}
        for i in chosen:
            results[i] = []
            for (_, score, seen), targets in zip(found, resolved, strict=True):
                parts = methods[i].combine(seen, facts)
                cost = self._cost(spent, started, share=len(chosen) * len(self.targets))
                results[i].append(self._finished(methods[i], parts, targets, score, answer, facts, cost))
        return results

    def _probed(self, method: Method) -> list[list[Explanation]]:
        results = []
        for target in self.targets:
            spent, started = Spent(), time.perf_counter()
            resolved: list[Resolved] = []

            def scores(
                logits: Tensor, facts: Facts, target: str = target, into: list[Resolved] = resolved
            ) -> Sequence[Score]:
                into.extend(resolve(target, logits, facts, self.model.class_names))
                return [each.score for each in into]

            answer, facts, found = passes.read(
                self.model.module,
                self.batch,
                reads=functools.partial(_places, target),
                resolve=[scores],
                spent=spent,
            )
            facts = dataclasses.replace(facts, items=len(self.batch))
            used, score, _ = found[0]
            parts = passes.run_probe(self.model.module, self.batch, method, used, seed=self.seed, spent=spent)
            cost = self._cost(spent, started, share=1)
            results.append(self._finished(method, parts, resolved, score, answer, facts, cost))
        return results

    def _cost(self, spent: Spent, started: float, *, share: int) -> Cost:
        items = len(self.batch)
        return Cost(
            forwards=round(spent.forwards / items),
            backwards=round(spent.backwards / items),
            seconds=(time.perf_counter() - started) / items / share,
            device=str(self.batch.device),
        )

    def _finished(
        self,
        method: Method,
        parts: Parts,
        targets: Sequence[Resolved],
        scores: Tensor,
        answer: Answer,
        facts: Facts,
        cost: Cost,
    ) -> list[Explanation]:
        return [
            self._one(item, method, parts, targets[item], float(scores[item]), answer, facts, cost)
            for item in range(len(self.batch))
        ]

    def _one(
        self,
        item: int,
        method: Method,
        parts: Parts,
        target: Resolved,
        score: float,
        answer: Answer,
        facts: Facts,
        cost: Cost,
    ) -> Explanation:
        values = _array(parts.values[item])
        site = None if parts.place == INPUT else facts.site(parts.place)
        sides = tuple(self.batch.shape[2:])
        box = _box(site, sides) if parts.axes[-2:] == ("height", "width") else None
        notes = [*parts.notes.get(item, ()), *_remarks(values)]
        if answer.looked_through is not None and target.classes:
            notes.append(
                f"the model ends in {answer.looked_through.replace('_', '-')}; its input, the logits, was explained"
            )
        return Explanation(
            method=name_of(method),
            settings=settings_of(method),
            target=target,
            score=score,
            logits=_array(answer.logits[item]),
            looked_through=answer.looked_through,
            parts=(
                Part(
                    name="pixels" if site is None else "map", place=parts.place, axes=parts.axes, values=values, box=box
                ),
            ),
            checks={name: float(numbers[item]) for name, numbers in parts.checks.items()},
            notes=tuple(notes),
            subject=self._subject(item),
            model=self.model.name,
            weights_digest=self.digest,
            input_digest=archive.digest(_array(self.batch[item]).tobytes()),
            seed=self.seed,
            precision=str(self.batch.dtype).removeprefix("torch."),
            cost=cost,
            versions=versions(),
        )

    def _subject(self, item: int) -> Subject | None:
        image = self.images[item]
        if image is None:
            return None
        preparation = self.model.preprocessing
        return Subject(
            name=image.name,
            digest=image.digest,
            pixels=preparation.pixels(image),
            geometry=preparation.geometry(image),
        )


def _places(target: str, facts: Facts) -> Reads:
    return Reads(values=places_of(target, facts))


def versions() -> dict[str, str]:
    """Versions of what makes a result."""
    return {
        "pellucid": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to(device="cpu", dtype=torch.float32).contiguous().numpy().copy()


def _remarks(values: np.ndarray) -> Iterator[str]:
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        yield f"not finite: {bad} of {values.size} values are NaN or infinite"
    elif values.size and float(values.min()) == float(values.max()):
        yield "flat (range 0)"


def _box(site: Site | None, sides: tuple[int, ...]) -> tuple[float, float, float, float] | None:
    """Where a map lies in the prepared picture: each cell around the middle of what it sees, one stride wide."""
    if len(sides) != 2:
        return None
    whole = (0.0, 0.0, float(sides[1]), float(sides[0]))
    field = None if site is None else site.receptive_field
    if site is None or field is None or len(site.shape) != 4:
        return whole
    edges = []
    for axis in (0, 1):
        middle = field.offset[axis] + field.size[axis] / 2
        first = middle - field.stride[axis] / 2
        edges.append((first, first + field.stride[axis] * site.shape[2 + axis]))
    (top, bottom), (left, right) = edges
    return (left, top, right, bottom)
