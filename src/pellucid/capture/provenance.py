"""Where tensors come from: which sites made them, and what they can see of the picture.

Kept beside the tensors, never on them. Memory that is overwritten in place, also through a view, changes the answer
for every tensor that shares it.
"""

import weakref
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from pellucid.capture.positions import Field

# A parent tensor as receptive fields need it: what it sees, and its shape.
ParentField = tuple[Field | None, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Origin:
    """The sites that made a tensor (none: it does not depend on the input), and its receptive field.

    `moved` says that its axes are no longer those of what the sites have returned.
    """

    sites: tuple[str, ...]
    field: Field | None
    moved: bool = False


@dataclass(slots=True)
class _Entry:
    ref: weakref.ref[Tensor]
    origin: Origin
    writes: int


@dataclass(slots=True)
class _Write:
    """One operation that has overwritten a piece of memory: from which byte, in which layout."""

    first: int
    layout: tuple[tuple[int, ...], tuple[int, ...]]
    count: int
    dense: bool
    origin: Origin | None = None  # None while the operation is still running


class Provenance:
    """Origins of the tensors of one pass.

    Args:
        constants: Parameters, buffers and other tensors that a model owns: they come from nowhere.
    """

    def __init__(self, constants: Iterable[Tensor]) -> None:
        # Held, so that no other tensor can take over the identity of one of them.
        self._constants = {id(tensor): tensor for tensor in constants}
        self._entries: dict[int, _Entry] = {}
        self._writes: dict[int, list[_Write]] = {}

    def forget(self) -> None:
        """Begin a new pass."""
        self._entries.clear()
        self._writes.clear()

    def remember(self, tensor: Tensor, sites: tuple[str, ...], reach: Field | None, *, moved: bool = False) -> None:
        """Note where a tensor comes from."""
        writes = len(self._writes.get(storage_of(tensor), ())) if self._writes else 0
        self._entries[id(tensor)] = _Entry(weakref.ref(tensor), Origin(sites, reach, moved), writes)

    def of(self, tensor: Tensor) -> Origin | None:
        """Where a tensor comes from, as far as anybody has seen."""
        entry = self._entries.get(id(tensor))
        if entry is None or entry.ref() is not tensor:
            return None
        if not self._writes:
            return entry.origin
        origin = entry.origin
        for write in self._writes.get(storage_of(tensor), [])[entry.writes :]:
            if write.origin is None:
                continue
            if _covers(write, tensor):
                origin = write.origin
            else:  # perhaps only a part of it was overwritten
                origin = Origin(tuple(dict.fromkeys((*origin.sites, *write.origin.sites))), None)
        return origin

    def count_write(self, tensor: Tensor) -> None:
        """Note that a tensor's memory is being overwritten."""
        layout = (tuple(tensor.shape), tensor.stride())
        write = _Write(int(tensor.storage_offset()), layout, tensor.numel(), tensor.is_contiguous())
        self._writes.setdefault(storage_of(tensor), []).append(write)

    def overwritten(self, tensor: Tensor, sites: tuple[str, ...], reach: Field | None) -> None:
        """Note which sites have made the last write to a tensor's memory."""
        writes = self._writes.get(storage_of(tensor))
        if writes:
            writes[-1].origin = Origin(sites, reach)

    def parents(self, arguments: Iterable[Tensor]) -> tuple[tuple[str, ...], tuple[ParentField, ...]]:
        """The sites that some arguments come from, each once, and what each such argument sees."""
        known = [(self.of(tensor), tuple(tensor.shape)) for tensor in arguments]
        dependent = [(origin, shape) for origin, shape in known if origin is not None and origin.sites]
        names = tuple(dict.fromkeys(name for origin, _ in dependent for name in origin.sites))
        return names, tuple((origin.field, shape) for origin, shape in dependent)

    def moved(self, arguments: Iterable[Tensor]) -> bool:
        """Whether the axes of any of some arguments are no longer those of what a site has returned."""
        return any(origin is not None and origin.moved for origin in map(self.of, arguments))

    def is_constant(self, tensor: Tensor) -> bool:
        """Whether a tensor is a weight, or made from weights and numbers alone."""
        origin = self.of(tensor)
        return not origin.sites if origin is not None else id(tensor) in self._constants


def storage_of(tensor: Tensor) -> int:
    """A number that tensors share when they share memory."""
    try:
        return tensor.untyped_storage().data_ptr() or id(tensor)
    except (RuntimeError, NotImplementedError):  # sparse and other tensors without one storage
        return id(tensor)


def _covers(write: _Write, tensor: Tensor) -> bool:
    """Whether a write has surely replaced every value of a tensor."""
    first = tensor.storage_offset()
    if write.first == first and write.layout == (tuple(tensor.shape), tensor.stride()):
        return True
    last = first + sum((side - 1) * step for side, step in zip(tensor.shape, tensor.stride(), strict=True))
    return write.dense and write.first <= first and last < write.first + write.count
