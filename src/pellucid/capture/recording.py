"""What is noted about the calls of one pass: their sites, where they come from, what they stand for.

How calls are noticed is the business of `recorder.py`.
"""

import math
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pellucid.capture import receptive_field
from pellucid.capture.calls import Call
from pellucid.capture.edges import Edge, memory_edge, own_edge
from pellucid.capture.keeping import Keeper
from pellucid.capture.operations import (
    CHANNEL_NORMS,
    MOVES,
    REORDERS,
    RESHAPES,
    floating_tensors,
    kind_of,
    multiply_adds,
    tensors_in,
)
from pellucid.capture.positions import Field
from pellucid.capture.provenance import ParentField, Provenance, storage_of
from pellucid.capture.sites import INPUT, Site
from pellucid.capture.statistics import summarise
from pellucid.capture.tape import Player
from pellucid.errors import SettingError, SiteError


class Recording:
    """The sites of the latest pass of one module.

    Attributes:
        calls: The sites, in order of execution.
        aliases: Containers and the sites that they stand for.
        input: The first tensor that the model was given.
        before_softmax: The last softmax over the classes: what it returned, what it was given, and its name.
        reshaped_batch: The last operation that changed the first dimension: its name, both shapes, and the site before.
        output_sites: The sites that the model's output comes from.
        edited: The sites whose values were replaced by an edit.
        decides: Whether the model has made Python's decisions by values that depend on the input.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        keeper: Keeper,
        statistics: Literal["none", "basic", "full"],
        edges: bool,
        start: str | None,
    ) -> None:
        self.calls: list[Call] = []
        self.aliases: dict[str, str] = {}
        self.input: Tensor | None = None
        self.before_softmax: tuple[weakref.ref[Tensor], Tensor, str] | None = None
        self.reshaped_batch: tuple[str, tuple[int, ...], tuple[int, ...], str] | None = None
        self.output_sites: tuple[str, ...] = ()
        self.edited: set[str] = set()
        self._edits: Mapping[str, Callable[[Tensor], Tensor]] = {}
        self._tape: Player | None = None
        self.decides = False
        self._keeper = keeper
        self._statistics = statistics
        self._edges = edges
        self._start = start
        self._views: dict[int, list[tuple[Call, Edge]]] = {}
        self._times_called: dict[str, int] = {}
        self._users_memory: set[int] = set()
        self._channels_first: set[str] = set()
        # A tensor that hangs on a module without being registered is a constant, too.
        plain = [tensor for part in module.modules() for tensor in tensors_in(list(vars(part).values()))]
        self._origins = Provenance((*module.parameters(), *module.buffers(), *plain))

    def _begin(self, given: list[Tensor]) -> None:
        """Forget the sites of the pass before, and begin with this input."""
        self.calls = []
        self.aliases = {}
        self.before_softmax = None
        self.decides = False
        self.reshaped_batch = None
        self._times_called.clear()
        self._origins.forget()
        self._keeper.forget()
        self._views.clear()
        self._channels_first.clear()
        for tensor in given:
            self._origins.remember(tensor, (INPUT,), receptive_field.of_input(tensor.dim()))
        self._users_memory = {storage_of(tensor) for tensor in given}
        self.input = given[0] if given else None

    def _end(self) -> None:
        """Let go of the pass; kept values stay, in memory of their own."""
        self._origins.forget()
        self._keeper.own(self._users_memory)
        self._keeper.forget()

    def _record(
        self,
        *,
        name: str,
        op: str,
        settings: Mapping[str, Any],
        arguments: list[Tensor],
        parents: tuple[str, ...],
        fields: tuple[ParentField, ...],
        weight: Tensor | None,
        parameters: int,
        parts: list[tuple[str, Tensor]],
        seconds: float,
        written: Tensor | None,
        inside_wanted: bool,
    ) -> Tensor | None:
        """Note the parts of a result as sites. Returns what to hand on instead, or None for the result itself."""
        replaced = None
        for part, tensor in parts:
            shape = tuple(tensor.shape)
            reach = receptive_field.after(op, settings, fields, shape)
            call = Call(
                name=name + part,
                op=op,
                inputs=parents,
                settings=settings,
                shape=shape,
                dtype=str(tensor.dtype).removeprefix("torch."),
                parameters=parameters,
                multiply_adds=multiply_adds(op, weight, arguments, tensor),
                seconds=seconds,
                field=reach,
                channels_first=self._has_channels_first(op, reach, arguments, parents, shape),
            )
            if call.channels_first:
                self._channels_first.add(call.name)
            self.calls.append(call)
            self._origins.remember(tensor, (call.name,), call.field)
            if self._start == call.name:
                tensor, replaced = self._start_here(tensor, written)
                if replaced is not None:
                    self._origins.remember(replaced, (call.name,), call.field)
            if call.name in self._edits:
                replaced = self._edit(call.name, tensor, written)
                if replaced is not None:
                    self._origins.remember(replaced, (call.name,), call.field)
            if self._edges and tensor.requires_grad:
                self._mark_edge(call, tensor, written=written is not None)
            if self._statistics != "none":
                call.statistics = summarise(tensor, full=self._statistics == "full")
            self._keeper.keep(call, tensor, index=len(self.calls) - 1, inside_wanted=inside_wanted)
        if written is not None and parts:
            self._origins.overwritten(written, (self.calls[-1].name,), self.calls[-1].field)
        return replaced

    def _has_channels_first(
        self, op: str, reach: Field | None, arguments: list[Tensor], parents: tuple[str, ...], shape: tuple[int, ...]
    ) -> bool:
        kind = kind_of(op)
        if len(shape) < 3:
            return False
        if kind in ("conv", "pool", "resample") or op in CHANNEL_NORMS:
            return True
        if reach is not None:
            return reach.dims == tuple(range(2, len(shape)))
        inherits = kind in ("activation", "dropout", "identity", "add", "scale", "concat", "pad", "softmax")
        known = any(parent in self._channels_first for parent in parents)
        return inherits and known and not self._origins.moved(arguments)

    def _edit(self, name: str, tensor: Tensor, written: Tensor | None) -> Tensor | None:
        """Put an edit's values in the place of a site's. Returns what to hand on instead, or None for itself."""
        with torch._C.DisableTorchFunction():
            new = self._edits[name](tensor.detach().clone())
            if new.shape != tensor.shape or new.dtype != tensor.dtype:
                given = f"{str(new.dtype).removeprefix('torch.')} {tuple(new.shape)}"
                expected = f"the site's own {str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
                raise SettingError(f"the edit of {name!r}", given=given, expected=expected)
            self.edited.add(name)
            if written is None or storage_of(written) != storage_of(tensor):
                return new
            # The model may go on with any tensor that shares the memory.
            if self._tape is not None:
                self._tape.changed(tensor)
            tensor.copy_(new)
        return None

    def _mark_edge(self, call: Call, tensor: Tensor, *, written: bool) -> None:
        behind = None if call.name == self._start else memory_edge(tensor)
        call.edge = behind if behind is not None and written else own_edge(tensor)
        if behind is not None and not written:
            self._views.setdefault(storage_of(tensor), []).append((call, behind))

    def _note_write(self, target: Tensor) -> None:
        """A tensor's memory has been overwritten: from here on, views of it are no places in the autograd graph."""
        self._origins.count_write(target)
        for call, behind in self._views.pop(storage_of(target), ()):
            call.edge = behind

    @staticmethod
    def _start_here(tensor: Tensor, written: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """A leaf of the autograd graph with a tensor's values, and what the model gets instead of that tensor.

        The model gets a copy, since a leaf must not be overwritten. Where the operation has written in place, the model
        may go on with any tensor that shares the memory; so the leaf's values are copied into that.
        """
        if written is not None and storage_of(written) == storage_of(tensor):
            leaf = tensor.detach().clone().requires_grad_(True)
            tensor.copy_(leaf)
            return leaf, None
        leaf = tensor.detach().requires_grad_(True)
        return leaf, leaf.clone()

    def _see_softmax(self, op: str, before: Tensor, after: Tensor, settings: Mapping[str, Any]) -> None:
        dim = settings.get("dim")
        if dim is None:  # torch's rule where a model does not say
            dim = 0 if before.dim() in (0, 1, 3) else 1
        if op == "sigmoid" or (isinstance(dim, int) and _is_over_classes(dim % max(before.dim(), 1), before)):
            self.before_softmax = (weakref.ref(after), before, op)

    def _hand_on(
        self,
        op: str,
        settings: Mapping[str, Any],
        arguments: list[Tensor],
        parts: list[tuple[str, Tensor]],
        parents: tuple[str, ...],
        fields: tuple[ParentField, ...],
        target: Tensor | None,
    ) -> None:
        """An edge: the results come from where the arguments come from."""
        if not parents:
            return
        before = fields[0][1]
        for _, tensor in parts:
            shape = tuple(tensor.shape)
            if self.input is not None and before[:1] == self.input.shape[:1] and shape[:1] != before[:1] and shape:
                self.reshaped_batch = (op, before, shape, parents[-1])
            moved = op in REORDERS or len(shape) != len(before) or (op in RESHAPES and shape != before)
            moved = moved or self._origins.moved(arguments)
            if target is not None:  # `x.unsqueeze_(1)`: the same object with other dimensions
                self._origins.remember(tensor, parents, None, moved=moved)
            elif not any(tensor is argument for argument in arguments):
                reach = receptive_field.after(op if op in MOVES else "getitem", settings, fields[:1], shape)
                self._origins.remember(tensor, parents, reach, moved=moved)

    def _next_name(self, name: str) -> str:
        times = self._times_called.get(name, 0) + 1
        return name if times == 1 else f"{name}#{times}"

    def _call_name(self, name: str) -> str:
        full = self._next_name(name)
        self._times_called[name] = self._times_called.get(name, 0) + 1
        return full

    def note_output(self, output: Any) -> None:
        """Note where the model's output comes from; to be called right after the pass."""
        self.output_sites, _ = self._origins.parents([tensor for _, tensor in floating_tensors(output)])

    def value(self, name: str) -> Tensor:
        """The kept value of a site, attached to the autograd graph where `live` asks for it.

        Raises:
            SiteError: This pass has not come by the site, or its value was not kept.
        """
        for call in self.calls:
            if call.name == name and call.value is not None:
                return call.value
        raise SiteError(f"this pass has no value of site {name!r}: the model took another way than before.")

    def sites(self) -> tuple[Site, ...]:
        """The recorded calls as sites, with the values as they were when each call returned."""
        return tuple(call.site(index) for index, call in enumerate(self.calls))


def _is_over_classes(dim: int, before: Tensor) -> bool:
    """Whether an axis holds the classes: the second, or the only one with more than one entry per picture."""
    return dim == min(1, before.dim() - 1) or (dim > 0 and before.shape[dim] == math.prod(before.shape[1:]))
