"""A tape of one item made to fit many copies of it, so that what comes before a change is never run for each of them.

Which axis of a result holds the items, no operation says. So the tape is compared with that of the item beside another
one: where a side has doubled and its first half is what the item alone gave, the items lie one after the other there.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from pellucid.capture.tape import Entry, Tape, items_of, mapped, rebuilt

_Axes = list[int | None]


class Stretch:
    """A tape of an item that can be had for any number of copies of it.

    Args:
        one: The tape of the item.
        two: The tape of `companion` of it.
    """

    def __init__(self, one: Tape, two: Tape) -> None:
        self._one, self._two = one, two
        self._axes = _axes_of_all(one, two)

    def tape(self, copies: int) -> Tape | None:
        """The tape for some copies; None where the items cannot be told apart, or touch each other."""
        if self._axes is None:
            return None
        every = zip(self._one.entries, self._two.entries, self._axes, strict=True)
        try:
            return Tape(constants=self._one.constants, entries=[_entry(*each, copies) for each in every])
        except _MixedError:
            return None


def companion(item: Tensor) -> Tensor:
    """The item beside another one, (2, …): what a tape of the item is compared with."""
    return torch.cat([item, item.flip(-1) * 0.9])


def _axes_of_all(one: Tape, two: Tape) -> list[_Axes] | None:
    """For each entry the axis of items of each tensor in its result, and of what was overwritten."""
    if not (one.playable and two.playable) or len(one.entries) != len(two.entries):
        return None
    try:
        return [_axes(alone, beside) for alone, beside in zip(one.entries, two.entries, strict=True)]
    except _MixedError:
        return None


class _MixedError(Exception):
    """A result of the item depends on the other one, or nobody can tell where it lies."""


def _axes(alone: Entry, beside: Entry) -> _Axes:
    mine, theirs = _tensors(alone), _tensors(beside)
    same = alone.function == beside.function and len(alone.settings) == len(beside.settings)
    if not same or len(mine) != len(theirs):
        raise _MixedError
    return [_axis(*pair) for pair in zip(mine, theirs, strict=True)]


def _tensors(entry: Entry) -> list[Tensor]:
    found: list[Tensor] = []
    mapped(entry.result, lambda each: found.append(each) if isinstance(each, Tensor) else None)
    return found if entry.overwritten is None else [*found, entry.overwritten]


def _axis(alone: Tensor, beside: Tensor) -> int | None:
    """Where the items of a result lie; None for a result that is the same whatever the items are."""
    if alone.shape == beside.shape:
        if not _is_same(alone, beside):
            raise _MixedError
        return None
    if alone.dim() != beside.dim():
        raise _MixedError
    grown = [axis for axis, sides in enumerate(zip(alone.shape, beside.shape, strict=True)) if sides[0] != sides[1]]
    axis = grown[0]
    side = alone.shape[axis]
    doubled = len(grown) == 1 and beside.shape[axis] == 2 * side
    if not doubled or not _is_same(alone, beside.narrow(axis, 0, side)):
        raise _MixedError
    return axis


def _is_same(one: Tensor, other: Tensor) -> bool:
    if one.is_floating_point() and one.numel():
        # Sums are added up in another order where there are more of them at once.
        return torch.allclose(one, other, rtol=1e-3, atol=1e-5 * float(one.abs().max()), equal_nan=True)
    return torch.equal(one, other)


def _copied(alone: Tensor, axis: int | None, copies: int) -> Tensor:
    if axis is None:
        return alone
    if alone.shape[axis] == 1:
        return alone.expand(*(copies if place == axis else -1 for place in range(alone.dim())))
    return torch.cat([alone] * copies, dim=axis)


def _entry(alone: Entry, beside: Entry, axes: _Axes, copies: int) -> Entry:
    overwritten = None if alone.overwritten is None else _copied(alone.overwritten, axes[-1], copies)
    return Entry(
        function=alone.function,
        settings=[_setting(*each, copies) for each in zip(alone.settings, beside.settings, strict=True)],
        result=_result(alone.result, beside.result, iter(axes), copies),
        target=alone.target,
        overwritten=overwritten,
    )


def _setting(alone: Any, beside: Any, copies: int) -> Any:
    try:
        return _plain(alone, beside, copies)
    except _MixedError:
        return object()  # What is equal to nothing is run.


def _result(alone: Any, beside: Any, axes: Iterator[int | None], copies: int) -> Any:
    if isinstance(alone, Tensor):
        return _copied(alone, next(axes), copies)
    if isinstance(alone, list | tuple | dict) and type(alone) is type(beside) and len(alone) == len(beside):
        pairs = zip(items_of(alone), items_of(beside), strict=True)
        return rebuilt(alone, [_result(*pair, axes, copies) for pair in pairs])
    return _plain(alone, beside, copies)


def _plain(alone: Any, beside: Any, copies: int) -> Any:
    """A number, e.g. how many items there are, or anything else that is no tensor."""
    if type(alone) is type(beside) is int and alone and beside == 2 * alone:
        return copies * alone
    if type(alone) is type(beside) and alone == beside:
        return alone
    raise _MixedError
