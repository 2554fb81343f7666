"""What a rule that hands relevance down sees of an operation, what it returns, and what comes of it.

Relevance is a number per value of a pass. It begins at the score and is handed down, from the last operation to the
first, by a rule per operation; `descending.py` does the walking.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pellucid.capture.operations import kind_of, written_in_place
from pellucid.capture.program import Step, Value

# Slopes at the results of an operation → slopes at its inputs.
Back = Callable[[Tensor], tuple[Tensor, ...]]
# A function of tensors, and those tensors → what it returns, and how slopes go back through it.
Pull = Callable[[Callable[..., Tensor], Sequence[Tensor]], tuple[Tensor, Back]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of a pass on some items, as a rule sees it.

    Attributes:
        step: Its function and arguments; in the place of what depends on the items there is a `Value`.
        inputs: The tensors that depend on the items, each once, in the order of `step.inputs`.
        results: What it returned.
        items: How many items the batch has.
        merged: Weight and bias with which this layer does the batch norm behind it as well; None for its own.
        passed: Whether this is a batch norm that the layer before it does as well.
        is_first: Whether no convolution and no linear layer lies between the picture and this one.
        again: What its first input would be for other items, found by running what lies before it again.
        pull: Runs a function and takes its derivative.
    """

    step: Step
    inputs: tuple[Tensor, ...]
    results: tuple[Tensor, ...]
    items: int
    merged: tuple[Tensor, Tensor] | None
    passed: bool
    is_first: bool
    again: Callable[[Tensor], Tensor]
    pull: Pull

    @property
    def name(self) -> str:
        """The operation's name, e.g. "conv2d"."""
        return self.step.op

    @property
    def kind(self) -> str:
        """Its family, e.g. "conv"."""
        return kind_of(self.step.op)

    @property
    def site(self) -> str:
        """The site that it belongs to."""
        return self.step.site

    @property
    def uses(self) -> int:
        """How many of its arguments depend on the items; one that is given twice counts twice."""
        return len(_values_in((self.step.args, self.step.kwargs)))

    def run(self, *inputs: Tensor) -> Any:
        """What it returns for other inputs; nothing is overwritten."""
        return run_step(self.step, inputs)

    def back(self, result: int = 0) -> tuple[Tensor, Back]:
        """One of its results once more, and how slopes at that go back to its inputs."""

        def one(*inputs: Tensor) -> Tensor:
            made = self.run(*inputs)
            return made if isinstance(made, Tensor) else made[result]

        return self.pull(one, self.inputs)

    def by_item(self, amounts: Tensor) -> Tensor:
        """The sum of each item's amounts, (items,), in double precision."""
        return amounts.double().reshape(self.items, -1).sum(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What an operation hands down.

    Attributes:
        inputs: The relevance of each input, of its shape; None for one that gets none.
        bias: How much of it constants took, per item.
    """

    inputs: tuple[Tensor | None, ...]
    bias: Tensor | None = None


# The operation, the relevance of each result (None: has none) → what is handed down.
Handing = Callable[[Operation, tuple[Tensor | None, ...]], Handed]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedDown:
    """What became of the relevance of some items.

    Attributes:
        at: By place, the relevance of its values.
        sums: By site that it came by, in order of execution: the sum of its values' relevance, (items,).
        bias: How much of it constants took, (items,).
    """

    at: Mapping[str, Tensor]
    sums: Mapping[str, Tensor]
    bias: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> "HandedDown":
        """Every tensor changed alike."""
        return HandedDown(
            at={name: change(tensor) for name, tensor in self.at.items()},
            sums={name: change(tensor) for name, tensor in self.sums.items()},
            bias=change(self.bias),
        )

    @classmethod
    def joined(cls, parts: "Sequence[HandedDown]") -> "HandedDown":
        """What became of several batches, as if they had been one."""
        names = list(dict.fromkeys(name for part in parts for name in part.sums))
        nothing = [torch.zeros_like(part.bias) for part in parts]
        return cls(
            at={name: torch.cat([part.at[name] for part in parts]) for name in parts[0].at},
            sums={
                name: torch.cat([part.sums.get(name, none) for part, none in zip(parts, nothing, strict=True)])
                for name in names
            },
            bias=torch.cat([part.bias for part in parts]),
        )


def run_step(step: Step, inputs: Sequence[Tensor]) -> Any:
    """What a step returns for other inputs; where it writes in place, it writes into a copy."""
    tensors = dict(zip(step.inputs, inputs, strict=True))
    args, kwargs = _filled(step.args, tensors), _filled(step.kwargs, tensors)
    kwargs.pop("out", None)
    if written_in_place(step.function, args, kwargs) is not None:
        if args:
            args = (args[0].clone(), *args[1:])
        else:
            kwargs["input"] = kwargs["input"].clone()
    return step.function(*args, **kwargs)


def _filled(arguments: Any, tensors: Mapping[int, Tensor]) -> Any:
    if isinstance(arguments, Value):
        return tensors[arguments.number]
    if isinstance(arguments, Tensor):
        return arguments.detach()
    if isinstance(arguments, list | tuple) and not hasattr(arguments, "_fields"):
        return type(arguments)(_filled(item, tensors) for item in arguments)
    if isinstance(arguments, dict):
        return {name: _filled(item, tensors) for name, item in arguments.items()}
    return arguments


def _values_in(arguments: Any) -> list[Value]:
    if isinstance(arguments, Value):
        return [arguments]
    if isinstance(arguments, list | tuple):
        return [value for item in arguments for value in _values_in(item)]
    if isinstance(arguments, dict):
        return [value for item in arguments.values() for value in _values_in(item)]
    return []
