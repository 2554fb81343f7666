"""The operations of one pass on one item as a list of steps, with what each returned.

Steps can be run again piece by piece, without the model's own code.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from pellucid.capture.operations import MOVES, tensors_in, written_in_place
from pellucid.capture.provenance import storage_of


@dataclass(frozen=True, slots=True)
class Value:
    """In the place of a tensor that depends on the item: which of the program's values it is."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operation.

    Attributes:
        function: What was called.
        op: Its name.
        site: The site it belongs to, where it makes one.
        args: What it was given, values in the place of tensors that depend on the item.
        kwargs: The same by name.
        inputs: The numbers of those values.
        results: The numbers of the values that it returned.
    """

    function: Callable[..., Any]
    op: str
    site: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[int, ...]
    results: tuple[int, ...]

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """An argument by place or by name."""
        return self.args[place] if place < len(self.args) else self.kwargs.get(name, default)


@dataclass(slots=True)
class Program:
    """Notes every operation on what depends on the item; an interceptor of one pass.

    Attributes:
        values: What the item was, and what the steps returned, each as it was before anybody overwrote it.
        steps: The operations, in order.
        is_whole: Whether the steps are all that has happened. False where memory was overwritten and then looked at
            through another tensor.
        lost_at: The first site that looked at overwritten memory, or was given a tensor which depends on the item and
            which no step has made; the latter is known only of a pass on an item that requires a gradient.
    """

    values: list[Tensor] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    is_whole: bool = True
    lost_at: str = ""
    _numbers: dict[int, tuple[weakref.ref[Tensor], int]] = field(default_factory=dict)
    _stale: dict[int, weakref.ref[Tensor]] = field(default_factory=dict)

    def begin(self, item: Tensor) -> None:
        """Note the tensor that the model is given."""
        self._note(item)

    def __call__(
        self, function: Callable[..., Any], op: str, site: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run an operation and note what it returned."""
        given = tensors_in((args, kwargs))
        known = list(map(self._number, given))
        numbers = [number for number in known if number is not None]
        stale = any(map(self._is_stale, given))
        stray = any(n is None and t.requires_grad for n, t in zip(known, given, strict=True))
        target = written_in_place(function, args, kwargs)
        if target is not None:
            self._about_to_write(target)
        noted = _noted(args, self._number), _noted(kwargs, self._number)
        result = self._run(function, op, site, args, kwargs)
        made = tensors_in(result) if target is None else [target]
        if made and (stale or stray):  # to look at a shape is no harm
            self.is_whole, self.lost_at = self.is_whole and not stale, self.lost_at or site
        if not numbers or not made:
            return result
        if target is None and len(made) == 1 and any(made[0] is each for each in given):
            return result  # handed through
        results = tuple(self._note(tensor) for tensor in made)
        self.steps.append(
            Step(
                function=function,
                op=op,
                site=site,
                args=noted[0],
                kwargs=noted[1],
                inputs=tuple(dict.fromkeys(numbers)),
                results=results,
            )
        )
        return result

    def hand_on(self, given: Tensor, view: Tensor, site: str) -> None:
        """Note that somebody else than the model has put a view of a tensor in its place, as what a site returns."""
        number = self._number(given)
        if number is not None:
            self.steps.append(
                Step(
                    function=Tensor.view_as,
                    op="view_as",
                    site=site,
                    args=(Value(number),),
                    kwargs={},
                    inputs=(number,),
                    results=(self._note(view),),
                )
            )

    def numbers_of(self, output: Any) -> list[int]:
        """Which values an output consists of."""
        return [number for number in map(self._number, tensors_in(output)) if number is not None]

    def makers(self) -> dict[int, str]:
        """The values that are what a site returns, with its name: those of its last step."""
        last = {step.site: place for place, step in enumerate(self.steps)}
        return {
            step.results[0]: step.site
            for place, step in enumerate(self.steps)
            if last[step.site] == place and len(step.results) == 1 and step.op not in MOVES
        }

    def _number(self, tensor: Tensor) -> int | None:
        known = self._numbers.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else None

    def _is_stale(self, tensor: Tensor) -> bool:
        known = self._stale.get(id(tensor))
        return known is not None and known() is tensor

    def _note(self, tensor: Tensor) -> int:
        number = self._keep(tensor)
        self._numbers[id(tensor)] = weakref.ref(tensor), number
        return number

    def _keep(self, tensor: Tensor) -> int:
        self.values.append(tensor.detach())
        return len(self.values) - 1

    def _run(
        self, function: Callable[..., Any], op: str, site: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        return function(*args, **kwargs)

    def _about_to_write(self, target: Tensor) -> None:
        place, mine = storage_of(target), self._number(target)
        for ref, _ in list(self._numbers.values()):
            tensor = ref()
            if tensor is not None and tensor is not target and storage_of(tensor) == place:
                # It shows something else from now on. A view keeps its base alive, so this alone is no harm.
                self._stale[id(tensor)] = ref
                del self._numbers[id(tensor)]
        if mine is None:
            # What did not depend on the item may do so from now on.
            self.is_whole = False
        for number, value in enumerate(self.values):
            if storage_of(value) == place:
                self.values[number] = value.clone()


def _noted(arguments: Any, number: Callable[[Tensor], int | None]) -> Any:
    if isinstance(arguments, Tensor):
        found = number(arguments)
        return arguments if found is None else Value(found)
    if isinstance(arguments, list | tuple) and not hasattr(arguments, "_fields"):
        return type(arguments)(_noted(item, number) for item in arguments)
    if isinstance(arguments, dict):
        return {name: _noted(item, number) for name, item in arguments.items()}
    return arguments
