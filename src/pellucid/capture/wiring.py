"""Which operation takes which values, without the values: is a score an affine function of what a site returns?

Where it is, a derivative says exactly what any change of the site does, and nothing has to be run again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pellucid.capture.folding import is_fixed
from pellucid.capture.operations import KINDS, SHAPED_LIKE, words
from pellucid.capture.program import Program, Step, Value
from pellucid.capture.recorder import Interceptor, Recorder
from pellucid.capture.scores import LOGITS

_MOVES = words(
    """view reshape flatten unflatten permute transpose movedim moveaxis swapaxes swapdims squeeze unsqueeze contiguous
    clone view_as reshape_as getitem chunk split narrow select pad pixel_shuffle interpolate upsample neg"""
)
"""Affine in their first argument whatever their settings are. Not `detach`, which has no derivative."""
_AVERAGES = words("avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d")
_DROPOUTS = words("dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What is known of a value: its shape, its type, and whether a derivative goes through it."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    differentiable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One operation.

    Attributes:
        inputs: The numbers of the values that it takes.
        results: The numbers of those that it returns.
        affine: Sets of inputs; in those of one set together, the others held, the results are affine.
    """

    inputs: tuple[int, ...]
    results: tuple[int, ...]
    affine: tuple[frozenset[int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """The operations of a pass in order; none where not all of them are known.

    Attributes:
        links: The operations.
        places: The numbers of the values that sites return, and of the logits.
    """

    links: tuple[Link, ...] = ()
    places: Mapping[str, int] = field(default_factory=dict)

    def is_affine(self, site: str, place: str = LOGITS) -> bool:
        """Whether the values at a place are an affine function of those of a site, and known to be.

        Args:
            site: The name of a site.
            place: The name of another, or `logits`.
        """
        start, end = self.places.get(site), self.places.get(place)
        if start is None or end is None:
            return False
        depending, bent = {start}, set[int]()
        for link in self.links:
            mine = depending.intersection(link.inputs)
            if not mine:
                continue
            depending.update(link.results)
            if mine & bent or not any(mine <= each for each in link.affine):
                bent.update(link.results)
        return end in depending and end not in bent


@dataclass(slots=True)
class Wired(Program):
    """A program that keeps no values, only what they look like.

    Attributes:
        inner: An interceptor by which the operations are run.
        forms: What the values look like.
        is_hooked: Whether the model has put in a function of its own that may alter derivatives.
    """

    inner: Interceptor | None = None
    forms: list[Form] = field(default_factory=list)
    is_hooked: bool = False

    def wiring(self, recorder: Recorder, logits: Tensor) -> Wiring:
        """What this pass has shown.

        Args:
            recorder: Recorder of the pass.
            logits: The very tensor that the model's answer was read from.
        """
        numbers = self.numbers_of(logits)
        if recorder.decides or self.is_hooked or not self.is_whole or self.lost_at or len(numbers) != 1:
            return Wiring()
        shapes = {call.name: call.shape for call in recorder.calls}
        last = {step.site: step for step in self.steps}
        places = {
            site: step.results[0]
            for site, step in last.items()
            if len(step.results) == 1 and self.forms[step.results[0]].shape == shapes.get(site)
        }
        links = (Link(inputs=s.inputs, results=s.results, affine=self._affine(s)) for s in self.steps)
        return Wiring(links=tuple(links), places={**places, LOGITS: numbers[0]})

    def _affine(self, step: Step) -> tuple[frozenset[int], ...]:
        """In which of its inputs an operation is affine, item by item, and has the derivative that it should have."""
        return tuple(each for each in affine_inputs(step, self.forms) if all(self._goes_on(n, step) for n in each))

    def _goes_on(self, number: int, step: Step) -> bool:
        given = self.forms[number]
        made = [self.forms[result] for result in step.results]
        # Another type rounds; another first axis holds something else than items.
        return all(m.differentiable and m.dtype == given.dtype and m.shape[:1] == given.shape[:1] for m in made)

    def _keep(self, tensor: Tensor) -> int:
        self.forms.append(Form(shape=tuple(tensor.shape), dtype=tensor.dtype, differentiable=tensor.requires_grad))
        return len(self.forms) - 1

    def _run(
        self, function: Callable[..., Any], op: str, site: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        self.is_hooked |= op == "register_hook"
        return function(*args, **kwargs) if self.inner is None else self.inner(function, op, site, args, kwargs)


def affine_inputs(step: Step, forms: list[Form]) -> list[frozenset[int]]:
    """Sets of inputs in which an operation is affine together, by what is known about the operation alone.

    Args:
        step: The operation.
        forms: What the values look like, by number.
    """
    name = getattr(step.function, "__name__", "")
    if step.kwargs.get("out") is not None:
        return []
    if step.op in ("add", "sub") and not isinstance(step.kwargs.get("alpha"), Value):
        return [frozenset(step.inputs)]
    if KINDS.get(step.op) == "concat":
        return [frozenset(step.inputs)]
    first, second = step.argument(0, "input"), step.argument(1, "other")
    one = _alone(first, step)
    if step.op == "mul":
        return one + _alone(second, step)
    if step.op == "div":
        return [] if name.startswith("__r") or step.kwargs.get("rounding_mode") is not None else one
    if step.op in ("matmul", "mm"):
        same = one and len(forms[step.results[0]].shape) == len(forms[first.number].shape) > 1
        return one if same and not name.startswith("__r") else []
    if step.op in ("mean", "sum"):
        return one if one and _spares_items(step, len(forms[first.number].shape)) else []
    if step.op == "batch_norm":
        return one if is_fixed(step) else []
    if step.op in _DROPOUTS:
        running = step.argument(2, "training", step.kwargs.get("train", True))
        return one if running is False else []
    plain = step.op in _MOVES or step.op in _AVERAGES or step.op == "linear" or KINDS.get(step.op) == "conv"
    return one if plain else []


def _alone(argument: Any, step: Step) -> list[frozenset[int]]:
    """An argument as the only one that changes, unless the same value is given a second time."""
    if not isinstance(argument, Value):
        return []
    times = _times(argument, (step.args, step.kwargs))
    return [frozenset({argument.number})] if times == 1 or step.op in SHAPED_LIKE else []


def _times(value: Value, arguments: Any) -> int:
    if isinstance(arguments, list | tuple):
        return sum(_times(value, item) for item in arguments)
    if isinstance(arguments, dict):
        return _times(value, list(arguments.values()))
    return int(arguments == value) if isinstance(arguments, Value) else 0


def _spares_items(step: Step, dims: int) -> bool:
    """Whether a mean or sum names the axes that it takes, and the first is none of them."""
    axes = step.argument(1, "dim", step.kwargs.get("axis"))
    named = [axes] if isinstance(axes, int) and not isinstance(axes, bool) else axes
    if not isinstance(named, list | tuple) or not named:
        return False
    return all(isinstance(axis, int) and axis % dims != 0 for axis in named)
