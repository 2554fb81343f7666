"""Where the positions of a tensor are, and where they go when a tensor is viewed, permuted or sliced.

Only the bookkeeping of dimensions; what a window sees is `receptive_field.py`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pellucid.capture.operations import RESHAPES, words

# Equal sizes mean equal places under these.
_KEEPS_ORDER = RESHAPES | words(
    """contiguous clone detach to type type_as float double half bfloat16 cpu cuda chunk split tensor_split narrow data
    requires_grad alias channel_shuffle native_channel_shuffle real expand expand_as broadcast_to"""
)


@dataclass(frozen=True, slots=True)
class Axis:
    """One spatial axis: position i sees pixels low + stride·i … high + stride·i."""

    stride: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Field:
    """The receptive field of a tensor, with the tensor's dimensions that are positions."""

    axes: tuple[Axis, ...]
    dims: tuple[int, ...]


def moved(
    op: str, settings: Mapping[str, Any], field: Field, before: tuple[int, ...], shape: tuple[int, ...]
) -> Field | None:
    """The field after an operation that only moves numbers; None where places get lost."""
    if op == "getitem":
        return _sliced(field, settings.get("index"), before, shape)
    if op in ("permute", "transpose", "movedim", "swapaxes"):
        order = _order(op, settings, len(before))
        return Field(field.axes, tuple(order.index(dim) for dim in field.dims)) if order else None
    if op not in _KEEPS_ORDER:
        return None
    if len(shape) == len(before) and all(before[dim] == shape[dim] for dim in field.dims):
        return field if op not in RESHAPES or before[0] == shape[0] else None
    # A split of the channels (channel shuffle) keeps the last dimensions as they are.
    trailing = tuple(range(len(before) - len(field.dims), len(before)))
    kept = tuple(range(len(shape) - len(field.dims), len(shape)))
    if (
        op in RESHAPES
        and field.dims == trailing
        and len(shape) > len(kept)
        and [before[d] for d in trailing] == [shape[d] for d in kept]
    ):
        return Field(field.axes, kept)
    return None


def _sliced(field: Field, index: object, before: tuple[int, ...], shape: tuple[int, ...]) -> Field | None:
    entries = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in entries:
        place = entries.index(Ellipsis)
        entries[place : place + 1] = [slice(None)] * (len(before) - len(entries) + 1)
    entries += [slice(None)] * (len(before) - len(entries))
    if len(shape) != len(before) or not all(isinstance(entry, slice) for entry in entries):
        return None
    axes = []
    for axis, dim in zip(field.axes, field.dims, strict=True):
        entry = entries[dim]
        assert isinstance(entry, slice)
        start, _, step = entry.indices(before[dim])
        axes.append(Axis(axis.stride * step, axis.low + axis.stride * start, axis.high + axis.stride * start))
    return Field(tuple(axes), field.dims)


def _order(op: str, settings: Mapping[str, Any], dimensions: int) -> list[int] | None:
    numbers = [value for value in settings.values() if isinstance(value, int) and not isinstance(value, bool)]
    listed = next((list(v) for v in settings.values() if isinstance(v, list | tuple)), numbers)
    if op == "permute" and len(listed) == dimensions:
        return [dim % dimensions for dim in listed]
    if op in ("transpose", "swapaxes") and len(numbers) == 2:
        order = list(range(dimensions))
        one, other = numbers[0] % dimensions, numbers[1] % dimensions
        order[one], order[other] = order[other], order[one]
        return order
    return None
