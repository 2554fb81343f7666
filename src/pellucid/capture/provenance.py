"""Where tensors come from: which sites made them, and what they can see of the picture.

Kept beside the tensors, never on them. Memory that is overwritten in place, also through a view, changes the answer
for every tensor that shares it.
"""

import weakref
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from pellucid.capture.receptive_field import Field

# A parent tensor as receptive fields need it: what it sees, and its shape.
ParentField = tuple[Field | None, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Origin:
    """The sites that made a tensor (none: it does not depend on the input), and its receptive field."""

    sites: tuple[str, ...]
    field: Field | None


@dataclass(slots=True)
class _Entry:
    ref: weakref.ref[Tensor]
    origin: Origin
    writes: int


class Provenance:
    """Origins of the tensors of one pass.

    Args:
        constants: Parameters and buffers: they come from nowhere.
    """

    def __init__(self, constants: Iterable[Tensor]) -> None:
        self._constants = {id(tensor) for tensor in constants}
        self._entries: dict[int, _Entry] = {}
        self._writes: dict[int, int] = {}
        self._overwritten: dict[int, tuple[Origin, int]] = {}

    def forget(self) -> None:
        """Begin a new pass."""
        self._entries.clear()
        self._writes.clear()
        self._overwritten.clear()

    def remember(self, tensor: Tensor, sites: tuple[str, ...], reach: Field | None) -> None:
        """Note where a tensor comes from."""
        writes = self._writes.get(storage_of(tensor), 0)
        self._entries[id(tensor)] = _Entry(weakref.ref(tensor), Origin(sites, reach), writes)

    def of(self, tensor: Tensor) -> Origin | None:
        """Where a tensor comes from, as far as anybody has seen."""
        entry = self._entries.get(id(tensor))
        if entry is None or entry.ref() is not tensor:
            return None
        store = storage_of(tensor)
        if self._writes.get(store, 0) == entry.writes or store not in self._overwritten:
            return entry.origin
        later, count = self._overwritten[store]
        if count < tensor.numel():  # only a part of it was overwritten
            return Origin(tuple(dict.fromkeys((*entry.origin.sites, *later.sites))), None)
        return later

    def count_write(self, tensor: Tensor) -> None:
        """Note that a tensor's memory is being overwritten."""
        store = storage_of(tensor)
        self._writes[store] = self._writes.get(store, 0) + 1

    def overwritten(self, tensor: Tensor, site: str, reach: Field | None) -> None:
        """Note which site has overwritten a tensor's memory."""
        self._overwritten[storage_of(tensor)] = (Origin((site,), reach), tensor.numel())

    def parents(self, arguments: Iterable[Tensor]) -> tuple[tuple[str, ...], tuple[ParentField, ...]]:
        """The sites that some arguments come from, each once, and what each such argument sees."""
        known = [(self.of(tensor), tuple(tensor.shape)) for tensor in arguments]
        dependent = [(origin, shape) for origin, shape in known if origin is not None and origin.sites]
        names = tuple(dict.fromkeys(name for origin, _ in dependent for name in origin.sites))
        return names, tuple((origin.field, shape) for origin, shape in dependent)

    def is_constant(self, tensor: Tensor) -> bool:
        """Whether a tensor is a weight, or made from weights and numbers alone."""
        origin = self.of(tensor)
        return (origin is not None and not origin.sites) or id(tensor) in self._constants


def storage_of(tensor: Tensor) -> int:
    """A number that tensors share when they share memory."""
    try:
        return tensor.untyped_storage().data_ptr() or id(tensor)
    except (RuntimeError, NotImplementedError):  # sparse and other tensors without one storage
        return id(tensor)
