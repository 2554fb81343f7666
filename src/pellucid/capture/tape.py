"""A tape of one pass: every operation with what it returned, so that a later pass runs only what has changed.

A replay goes through the model's own code again. An operation all of whose arguments are as they were is not run: what
it returned is handed out from the tape. Everything that depends on a change is run. That needs no graph of the model,
so it works for any control flow; where the tape cannot be sure, the whole pass is run instead.
"""

import weakref
from collections.abc import Callable, Iterable
from dataclasses import InitVar, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pellucid.capture.operations import tensors_in, written_in_place
from pellucid.capture.provenance import storage_of

Function = Callable[..., Any]
_PLAIN = (bool, int, float, complex, str, torch.dtype, torch.device, torch.layout, torch.memory_format)


class LeftTapeError(Exception):
    """A replay has gone another way than the pass on the tape."""


@dataclass(frozen=True, slots=True)
class _Argument:
    """In the place of a result that is one of the call's own tensor arguments."""

    place: int


@dataclass(slots=True)
class Entry:
    """One call: what it was given beside tensors, what it returned, and which argument it overwrote with what."""

    function: Function
    settings: list[Any]
    result: Any
    target: int | None = None
    overwritten: Tensor | None = None


@dataclass(slots=True)
class Tape:
    """The operations of one pass, in order.

    Attributes:
        constants: Tensors that the model owns.
        given: The tensors that it is given.
        entries: The calls so far.
        playable: Whether a replay may trust it.
    """

    constants: tuple[Tensor, ...]
    given: InitVar[tuple[Tensor, ...]] = ()
    entries: list[Entry] = field(default_factory=list)
    playable: bool = True
    _kept_in: dict[int, list[Entry]] = field(default_factory=dict)
    _alive: dict[int, list[weakref.ref[Tensor]]] = field(default_factory=dict)

    def __post_init__(self, given: tuple[Tensor, ...]) -> None:
        for tensor in given:
            self._alive.setdefault(storage_of(tensor), []).append(weakref.ref(tensor))

    def __call__(self, function: Function, op: str, site: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operation and note what it returned."""
        target = written_in_place(function, args, kwargs)
        if target is not None:
            self._about_to_write(target)
        arguments = tensors_in((args, kwargs))
        result = function(*args, **kwargs)
        if function is Tensor.data.__set__:  # type: ignore[attr-defined]
            self.playable = False
        entry = Entry(function, _settings((args, kwargs)), None)
        entry.result = self._noted(result, arguments)
        if target is not None:
            entry.target = next(i for i, tensor in enumerate(arguments) if tensor is target)
            entry.overwritten = target.detach()
        self.entries.append(entry)
        self._remember(entry, result, target)
        return result

    def _noted(self, result: Any, arguments: list[Tensor]) -> Any:
        if isinstance(result, Tensor):
            place = next((i for i, tensor in enumerate(arguments) if tensor is result), None)
            return result.detach() if place is None else _Argument(place)
        if isinstance(result, tuple | list | dict):
            return rebuilt(result, [self._noted(item, arguments) for item in items_of(result)])
        if tensors_in(result):
            self.playable = False
        return result

    def _remember(self, entry: Entry, result: Any, target: Tensor | None) -> None:
        for tensor in (*tensors_in(result), *(() if target is None else (target,))):
            place = storage_of(tensor)
            self._alive.setdefault(place, []).append(weakref.ref(tensor))
        kept = tensors_in(entry.result) if entry.overwritten is None else [entry.overwritten]
        for tensor in kept:
            self._kept_in.setdefault(storage_of(tensor), []).append(entry)

    def _about_to_write(self, target: Tensor) -> None:
        place = storage_of(target)
        if any(storage_of(constant) == place for constant in self.constants):
            self.playable = False  # the model changes its own weights
        others = [ref() for ref in self._alive.get(place, ())]
        if any(tensor is not None and tensor is not target for tensor in others):
            self.playable = False  # somebody may still look at this memory through another tensor
        for entry in self._kept_in.pop(place, ()):
            entry.result = mapped(
                entry.result, lambda t: t.clone() if isinstance(t, Tensor) and storage_of(t) == place else t
            )
            if entry.overwritten is not None and storage_of(entry.overwritten) == place:
                entry.overwritten = entry.overwritten.clone()


class Player:
    """Goes through a tape beside the model's own code.

    Args:
        tape: A tape that is playable.
        given: The tensors that the model is given.
    """

    def __init__(self, tape: Tape, given: Iterable[Tensor]) -> None:
        self._tape = tape
        self._next = 0
        # What is as it was on the tape. Whatever is not among it has to be run.
        self._unchanged: dict[int, weakref.ref[Tensor]] = {}
        self._constants = {id(tensor) for tensor in tape.constants}
        for tensor in given:
            self._hand_out(tensor)
        self.ran = 0

    def __call__(self, function: Function, op: str, site: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the operation returns: from the tape where its arguments are as they were, else run.

        Raises:
            LeftTapeError: It is not the operation that comes next on the tape.
        """
        if self._next >= len(self._tape.entries) or self._tape.entries[self._next].function != function:
            raise LeftTapeError
        entry = self._tape.entries[self._next]
        self._next += 1
        arguments = tensors_in((args, kwargs))
        with torch._C.DisableTorchFunction():
            # A number may come from a value or a shape that has changed.
            if _settings((args, kwargs)) == entry.settings and all(map(self._is_unchanged, arguments)):
                return self._played(entry, arguments)
            target = written_in_place(function, args, kwargs)
            if target is not None:
                self.changed(target)
            self.ran += 1
        return function(*args, **kwargs)

    def finish(self) -> None:
        """To be called after the pass.

        Raises:
            LeftTapeError: The pass has ended before the tape.
        """
        if self._next != len(self._tape.entries):
            raise LeftTapeError

    def changed(self, tensor: Tensor) -> None:
        """A tensor is about to get other values: it gets memory of its own, and counts as changed from here on."""
        if self._is_unchanged(tensor):
            tensor.data = tensor.clone()
            self._unchanged.pop(id(tensor), None)

    def _is_unchanged(self, tensor: Tensor) -> bool:
        ref = self._unchanged.get(id(tensor))
        return (ref is not None and ref() is tensor) or id(tensor) in self._constants

    def _hand_out(self, tensor: Tensor) -> Tensor:
        self._unchanged[id(tensor)] = weakref.ref(tensor)
        return tensor

    def _played(self, entry: Entry, arguments: list[Tensor]) -> Any:
        if entry.target is not None and entry.overwritten is not None:
            arguments[entry.target].data = entry.overwritten
        return mapped(
            entry.result,
            lambda noted: arguments[noted.place] if isinstance(noted, _Argument) else self._hand_out(noted.detach()),
        )


def constants_of(module: nn.Module) -> tuple[Tensor, ...]:
    """Parameters, buffers, and tensors that hang on the module without being registered."""
    plain = [tensor for part in module.modules() for tensor in tensors_in(list(vars(part).values()))]
    return (*module.parameters(), *module.buffers(), *plain)


def _settings(arguments: Any) -> list[Any]:
    """What is no tensor among arguments, in order, each with its type; something unequal to all for what may change."""
    if isinstance(arguments, list | tuple):
        return [type(arguments), len(arguments), *(each for item in arguments for each in _settings(item))]
    if isinstance(arguments, dict):
        return [list(arguments), *_settings(list(arguments.values()))]
    if isinstance(arguments, Tensor):
        return []
    if isinstance(arguments, slice):
        bounds = (arguments.start, arguments.stop, arguments.step)
        return [object()] if tensors_in(bounds) else _settings(bounds)
    known = arguments is None or arguments is Ellipsis or isinstance(arguments, _PLAIN) or callable(arguments)
    return [type(arguments), arguments] if known else [object()]


def items_of(container: Any) -> list[Any]:
    """What a list, tuple or dictionary holds."""
    return list(container.values()) if isinstance(container, dict) else list(container)


def rebuilt(container: Any, items: list[Any]) -> Any:
    """The same kind of list, tuple or dictionary with other things in it."""
    if isinstance(container, dict):
        return dict(zip(container, items, strict=True))
    if hasattr(container, "_fields"):
        return type(container)(*items)
    return type(container)(items)


def mapped(noted: Any, change: Callable[[Any], Any]) -> Any:
    """What was noted of a result, each tensor in it changed."""
    if isinstance(noted, Tensor | _Argument):
        return change(noted)
    if isinstance(noted, tuple | list | dict):
        return rebuilt(noted, [mapped(item, change) for item in items_of(noted)])
    return noted
