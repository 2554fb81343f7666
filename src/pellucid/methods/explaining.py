"""`explain` and `explain_many`: from a model, inputs, methods and targets to explanations."""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor, nn

from pellucid.capture.asks import Method
from pellucid.capture.batches import as_batch, as_graph
from pellucid.capture.hastening import Precision, check_precision
from pellucid.errors import InputError, SettingError, TargetError
from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_set import GraphSet
from pellucid.inputs.image import Image
from pellucid.inputs.reading import read
from pellucid.methods.catalogue import GRAPH_METHODS, method_from
from pellucid.methods.digesting import WeightsDigest
from pellucid.methods.explanation import Explanation
from pellucid.methods.finishing import Batch, versions
from pellucid.methods.graph_explaining import explain_graphs
from pellucid.methods.graph_targets import check_graph_target
from pellucid.methods.progressing import Progress, Told
from pellucid.methods.sharing import ITEMS, Room, explained
from pellucid.methods.targets import check, expanded
from pellucid.models.graph_arguments import takes_graphs
from pellucid.models.loading import load
from pellucid.models.model import Model


def explain(
    model: Model | nn.Module | str,
    input: Any,
    *,
    method: str | Method = "grad-cam",
    target: str = "top:1",
    seed: int = 0,
    precision: Precision = "float32",
    progress: Progress | None = None,
) -> Explanation:
    """Say why a model gave an answer to one input.

    Args:
        model: A `Model`, an `nn.Module`, or what `pellucid.load` takes. It is left exactly as it was.
        input: An `Image`, what `pellucid.read` takes, or a prepared float tensor with one item; for a model of graphs a
            `Graph`, or what `pellucid.read` makes one of.
        method: A name (`grad-cam`), a name with settings (`integrated-gradients(steps=100)`) or an instance.
        target: What to explain: `top:1`, `class:281`, `class:tabby`, `contrast:tabby,lynx`, `output:2`,
            `unit:'features.40'/7`, `unit:'features.40'/7@3,5`; on graphs `node:17`, `node:17/class:2`, `edge:3-17`,
            `graph/class:1`.
        seed: For every random draw; the global generators are left alone.
        precision: How methods run that need many passes of pictures. `float32`: as the model is, in its own type.
            `fused`: slopes with batch norms folded and channels last, which rounds otherwise, no worse. `fast`: in
            bfloat16 where the processor has it; how far that is off is measured on a few of the passes and noted.
        progress: Called with the share of the work that is done, and 1. What it raises ends the work and comes out of
            here; the model is as it was.

    Returns:
        Exactly one explanation.

    Raises:
        InputError, ModelError, MethodError, TargetError, SiteError: Something cannot be used; says what to do.
    """
    if isinstance(input, list | tuple | GraphSet):
        raise InputError(f"explain takes one input, a list of {len(input)} was given; use explain_many for lists.")
    if isinstance(target, str) and target.endswith(":*"):
        raise TargetError(f"target {target!r} is many targets, and explain takes one; use explain_many.")
    if isinstance(target, str) and len(expanded([target])) > 1:
        raise TargetError(f"target {target!r} is several targets, and explain takes one; use explain_many.")
    if isinstance(input, Tensor) and input.dim() > 1 and len(input) != 1:
        shape = tuple(input.shape)
        raise InputError(
            f"explain takes one input, a tensor of shape {shape} was given: {len(input)} items, since the first axis "
            "is the batch. Use explain_many for several, or x[None] for one item without a batch axis."
        )
    made = explain_many(
        model, [input], methods=[method], targets=[target], seed=seed, precision=precision, progress=progress
    )
    return next(iter(made))


def explain_many(
    model: Model | nn.Module | str,
    inputs: Iterable[Any] | Image | Graph | PIL.Image.Image | os.PathLike[str],
    *,
    methods: Sequence[str | Method],
    targets: Sequence[str] = ("top:1",),
    seed: int = 0,
    batch_size: int = ITEMS,
    precision: Precision = "float32",
    progress: Progress | None = None,
) -> Iterator[Explanation]:
    """Explain every input by every method for every target; passes are shared, and results stream.

    Args:
        model: As for `explain`.
        inputs: Images, paths, arrays or prepared tensors of one or more items, in any number; they may differ in
            size. They are read when they are needed, `batch_size` items at a time. For a model of graphs: graphs.
        methods: Names or instances.
        targets: Targets; `top:1-5` is five of them. On graphs also `node:*` and `edge:*`, each of which is as many
            targets as there are.
        seed: For every random draw.
        batch_size: Most items in one pass; halved, for the rest of the inputs, when memory runs out.
        precision: As for `explain`.
        progress: Called with the number of explanations made, with the share that is done of those under way, and the
            number in all or 0 where nobody knows it. What it raises ends the work and comes out of here; the model is
            as it was.

    Yields:
        Explanations: for each input in order, for each method, for each target.

    Raises:
        InputError, ModelError, MethodError, TargetError, SiteError: Something cannot be used; says what to do.
        CapacityError: Not even one item fits into memory.
    """
    if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
        raise SettingError(
            "batch_size", given=batch_size, expected="a whole number, 1 or more", hint=f"{ITEMS} suits most machines"
        )
    for name, given in (("methods", methods), ("targets", targets)):
        if isinstance(given, str) or not isinstance(given, Sequence) or not given:
            raise SettingError(name, given=given, expected="a list with at least one entry")
    check_precision(precision)
    known = load(model)
    if takes_graphs(known.module):
        if precision != "float32":
            hint = "only many passes of one picture run faster"
            raise SettingError("precision", given=precision, expected="float32 for a model of graphs", hint=hint)
        chosen = [method_from(method, among=GRAPH_METHODS) for method in methods]
        for target in targets:
            check_graph_target(target)
        return explain_graphs(known, _graphs(known, inputs), chosen, targets, seed=seed, progress=progress)
    chosen = [method_from(method) for method in methods]
    each = expanded(targets)
    for target in each:
        check(target)
    return _stream(known, _several(inputs), chosen, each, seed, batch_size, precision, progress)


def _graphs(model: Model, inputs: Any) -> list[Graph]:
    """Graphs one by one, from whatever holds some: a list, a data set, or what `pellucid.read` takes."""
    if not isinstance(inputs, list | tuple):
        found = read(inputs)
        return [as_graph(model, each) for each in (found if isinstance(found, GraphSet) else [found])]
    if not inputs:
        raise InputError("an empty list of graphs was given; give one or more.")
    return [as_graph(model, each) for each in inputs]


def _several(inputs: Any) -> Iterable[Any]:
    """Inputs one by one, also where someone gave a single one."""
    single = isinstance(inputs, str | bytes | os.PathLike | Image | Graph | GraphSet | PIL.Image.Image | Tensor)
    if single or (isinstance(inputs, np.ndarray) and inputs.ndim < 4):
        return [inputs]
    if not isinstance(inputs, Iterable):
        raise InputError(f"{type(inputs).__name__} holds no inputs; give a list of pictures or tensors.")
    return inputs


def _stream(
    model: Model,
    inputs: Iterable[Any],
    methods: list[Method],
    targets: list[str],
    seed: int,
    batch_size: int,
    precision: Precision,
    progress: Progress | None,
) -> Iterator[Explanation]:
    begun = 0
    told = Told(progress=progress, total=_items(inputs) * len(methods) * len(targets))
    digest = WeightsDigest(model)
    room = Room(size=batch_size)
    for window in _windows(model, inputs, batch_size):
        results: dict[int, list[list[Explanation]]] = {}
        for places in _alike(window):
            batch = Batch(
                model=model,
                weights_digest=digest,
                tensor=torch.stack([window[place][0] for place in places]),
                images=tuple(window[place][1] for place in places),
                seed=seed,
                precision=precision,
            )
            ours = len(places) * len(methods) * len(targets)

            def under_way(share: float, before: int = begun, ours: int = ours) -> None:
                told.at(before + share * ours)

            results |= zip(places, explained(batch, methods, targets, room, under_way), strict=True)
            begun += ours
        for place in range(len(window)):
            yield from itertools.chain.from_iterable(results.pop(place))


def _items(inputs: Iterable[Any]) -> int:
    """How many items some inputs hold, or 0 where only reading them would tell."""
    if not isinstance(inputs, Sequence | np.ndarray):
        return 0
    return sum(len(each) if isinstance(each, Tensor | list | tuple) else 1 for each in inputs)


def _windows(model: Model, inputs: Iterable[Any], size: int) -> Iterator[list[tuple[Tensor, Image | None]]]:
    """Up to `size` prepared items at a time, in order, with their pictures where there are any."""
    window: list[tuple[Tensor, Image | None]] = []
    for each in inputs:
        _, batch, images = as_batch(model, each)
        for item in range(len(batch)):
            window.append((batch[item], images[item] if images else None))
            if len(window) == size:
                yield window
                window = []
    if window:
        yield window


def _alike(window: list[tuple[Tensor, Image | None]]) -> list[list[int]]:
    """The places of items that fit into one batch: those of one shape and type."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for place, (tensor, _) in enumerate(window):
        groups.setdefault((tuple(tensor.shape), tensor.dtype), []).append(place)
    return list(groups.values())


__all__ = ["Progress", "explain", "explain_many", "versions"]
