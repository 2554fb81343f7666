"""Watching one forward pass: module hooks and a torch function mode, and nothing left behind.

The hooks know which module is being called; the mode sees every functional call. Together they give each call its
name, its parents and its result. A result that is kept is copied just before an in-place operation overwrites it, so
that it stays what that call returned.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pellucid.capture import receptive_field
from pellucid.capture.keeping import Keeper, Wants
from pellucid.capture.operations import (
    MADE_FROM_SHAPES,
    MOVES,
    READS_VALUES,
    SHAPED_LIKE,
    SOFTMAXES,
    floating_tensors,
    function_op,
    function_settings,
    is_leaf,
    module_op,
    module_settings,
    other_tensors,
    tensors_in,
    weight_of,
    written_in_place,
)
from pellucid.capture.program import Program
from pellucid.capture.provenance import ParentField, storage_of
from pellucid.capture.recording import Recording
from pellucid.capture.tape import Player

# The recorder of a pass that pellucid runs itself, so that a user's watch does not take that pass for the user's.
_RUNNING: ContextVar["Recorder | None"] = ContextVar("running", default=None)

Interceptor = Callable[[Callable[..., Any], str, str, tuple[Any, ...], dict[str, Any]], Any]


@dataclass(slots=True)
class _Scope:
    """A module that is being called."""

    module: nn.Module
    path: str
    name: str
    leaf: bool
    wanted: bool
    first_call: int
    started: float = 0.0
    arguments: list[Tensor] = field(default_factory=list)
    parents: tuple[str, ...] = ()
    parent_fields: tuple[ParentField, ...] = ()
    written: Tensor | None = None


class Recorder(Recording, TorchFunctionMode):
    """Records the sites of forward passes of one module.

    Args:
        module: The model.
        wants: Whether the values of a site are to be kept, by name, operation and order; None keeps none.
        statistics: Whether to summarise every site, and how fully.
        edges: Keep, for every site, the gradient edge at which a later backward pass can be read.
        intercept: Called instead of every functional operation; for backward rules.
        buffers: Where copies that protect values from in-place operations are written, by site; reused between passes.
        live: Keep values as parts of the autograd graph, so that a score can be made of them.
        edits: By site name, what is put in the place of its values.
        tape: Goes through a tape in the place of `intercept`, and is told of what the edits change.
        before_write: Called with a tensor that is about to be overwritten in place.
        start: A site whose output becomes the first of the autograd graph: nothing before it is differentiated.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        wants: Wants | None = None,
        statistics: Literal["none", "basic", "full"] = "none",
        edges: bool = False,
        intercept: Interceptor | None = None,
        buffers: dict[str, Tensor] | None = None,
        live: bool = False,
        start: str | None = None,
        edits: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
        tape: Player | None = None,
        before_write: Callable[[Tensor], None] | None = None,
    ) -> None:
        TorchFunctionMode.__init__(self)
        keeper = Keeper(wants, buffers=buffers, live=live)
        Recording.__init__(self, module, keeper=keeper, statistics=statistics, edges=edges, start=start)
        self.module = module
        self._edits = edits or {}
        self._tape = tape
        self._intercept = intercept if tape is None else tape
        self._stack: list[_Scope] = []
        self._before_write = before_write
        self._failed_at = ""
        self._names = {part: name for name, part in module.named_modules()}
        self._leaves = {part for part in self._names if is_leaf(part)}
        self._handles: list[Any] = []

    # -- entering and leaving --

    def __enter__(self) -> "Recorder":
        for part in self._names:
            self._handles.append(part.register_forward_pre_hook(self._before_module, with_kwargs=True))
            # Called also after an exception, so that a model or a user who catches it can go on.
            self._handles.append(part.register_forward_hook(self._after_module, always_call=True))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            super().__exit__(*exception)  # type: ignore[no-untyped-call]
        finally:
            for handle in self._handles:
                handle.remove()
            self._handles.clear()
            self._stack.clear()
            self._end()

    @contextmanager
    def alone(self) -> Iterator["Recorder"]:
        """Record a pass of pellucid's own; what the user watches with stays as it is meanwhile."""
        token = _RUNNING.set(self)
        try:
            with self:
                yield self
        finally:
            _RUNNING.reset(token)

    def _is_idle(self) -> bool:
        return _RUNNING.get() not in (None, self)

    # -- modules --

    def _before_module(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._is_idle():
            return
        with torch._C.DisableTorchFunction():
            if not self._stack:
                self._failed_at = ""
                self._begin(tensors_in((args, kwargs)))
            leaf, path = module in self._leaves, self._names.get(module, "?")
            name = self._call_name(path or (module_op(module) if leaf else ""))
            wanted = not leaf and self._keeper.wants_container(name)
            scope = _Scope(module, path, name, leaf, wanted, len(self.calls))
            if leaf:
                scope.arguments = tensors_in((args, kwargs))
                scope.parents, scope.parent_fields = self._origins.parents(scope.arguments)
            self._stack.append(scope)
            scope.started = time.perf_counter()

    def _after_module(self, module: nn.Module, args: tuple[Any, ...], result: Any) -> Any:
        ended = time.perf_counter()
        if self._is_idle() or not any(scope.module is module for scope in self._stack):
            return None  # a hook of the user's raised before this call had begun
        while self._stack[-1].module is not module:
            self._stack.pop()
        scope = self._stack.pop()
        if result is None:  # an exception is on its way, or nothing was returned
            self._failed_at = self._failed_at or scope.name
            return None
        self._failed_at = ""
        with torch._C.DisableTorchFunction():
            replaced = None
            if scope.leaf:
                replaced = self._record_leaf(scope, result, ended)
            else:
                self._name_container(scope, result)
            if not self._stack:
                self._users_memory |= {storage_of(tensor) for tensor in tensors_in(result)}
            return replaced

    def _record_leaf(self, scope: _Scope, result: Any, ended: float) -> Any:
        module, op = scope.module, module_op(scope.module)
        parts = floating_tensors(result)
        if op in SOFTMAXES and isinstance(result, Tensor) and len(scope.arguments) == 1:
            self._see_softmax(op, scope.arguments[0], result, {"dim": getattr(module, "dim", None)})
        for tensor in other_tensors(result):
            self._origins.remember(tensor, scope.parents, None)
        handed_through = any(result is tensor for tensor in scope.arguments) and scope.written is None
        if self._edges and handed_through and isinstance(result, Tensor) and result.requires_grad:
            # The very tensor that came in: only a view has a slope of its own, without what bypasses this call.
            given, result = result, result.view_as(result)
            if isinstance(self._intercept, Program):
                self._intercept.hand_on(given, result, scope.name)
            parts = [("", result)]
        else:
            handed_through = False
        weight = getattr(module, "weight", None)
        replaced = self._record(
            name=scope.name,
            op=op,
            settings=module_settings(module),
            arguments=scope.arguments,
            parents=scope.parents,
            fields=scope.parent_fields,
            weight=weight if isinstance(weight, Tensor) else None,
            parameters=sum(p.numel() for p in module._parameters.values() if p is not None),
            parts=parts,
            seconds=ended - scope.started,
            written=scope.written,
            inside_wanted=self._inside_wanted(),
        )
        return result if replaced is None and handed_through else replaced

    def _name_container(self, scope: _Scope, result: Any) -> None:
        inside = self.calls[scope.first_call :]
        if not inside or scope.module is self.module:
            return
        names = {call.name for call in inside}
        first = next((tensor for _, tensor in floating_tensors(result)), None)
        origin = None if first is None else self._origins.of(first)
        made_by = [name for name in (() if origin is None else origin.sites) if name in names]
        last = made_by[0] if len(made_by) == 1 else inside[-1].name
        self.aliases[scope.name] = last
        if scope.wanted:
            self._keeper.settle(inside, last=last, drop=not self._inside_wanted())

    def _inside_wanted(self) -> bool:
        return any(scope.wanted for scope in self._stack)

    # -- functional calls --

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if self._is_idle():
            return function(*args, **kwargs)
        target = written_in_place(function, args, kwargs)
        if target is not None:
            for tensor in (target, *tensors_in(kwargs.get("out"))):
                self._keeper.protect(tensor)
                if self._before_write is not None:
                    self._before_write(tensor)
        if not self._stack:
            return function(*args, **kwargs)
        if function in READS_VALUES and not self.decides:
            self.decides = bool(self._origins.parents(tensors_in((args, kwargs)))[0])
        scope = self._stack[-1]
        if not scope.leaf:
            return self._functional(scope, function, args, kwargs, target)
        if target is not None:
            self._note_write(target)
            scope.written = target
        if self._intercept is not None:
            return self._intercept(function, function_op(function), scope.name, args, kwargs)
        return function(*args, **kwargs)

    def _functional(
        self,
        scope: _Scope,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        target: Tensor | None,
    ) -> Any:
        op = function_op(function)
        arguments = tensors_in((args, kwargs))
        parents, fields = self._origins.parents(arguments[:1] if op in SHAPED_LIKE else arguments)
        stores = {storage_of(tensor) for tensor in arguments}
        started = time.perf_counter()
        if self._intercept is not None:
            result = self._intercept(function, op, self._next_name(f"{scope.path}/{op}"), args, kwargs)
        else:
            result = function(*args, **kwargs)
        seconds = time.perf_counter() - started
        if target is not None:
            self._note_write(target)
        made = target if op == "setitem" else result
        parts, others = floating_tensors(made), other_tensors(made)
        if not parts and not others:
            return result
        relevant = arguments[:1] if op in SHAPED_LIKE else arguments
        if op in MADE_FROM_SHAPES or (not parents and all(map(self._origins.is_constant, relevant))):
            # Made from weights and numbers alone: it does not depend on the picture.
            for tensor in tensors_in(made):
                self._origins.remember(tensor, (), None)
            if target is not None:
                self._origins.overwritten(target, (), None)
            return result
        if others and parents:  # masks, indices, spectra: no sites, but they tell where the next site comes from
            settings = function_settings(function, args, kwargs)
            for tensor in others:
                reach = receptive_field.after(op, settings, fields, tuple(tensor.shape))
                self._origins.remember(tensor, parents, reach)
        made_new = target is not None or any(storage_of(tensor) not in stores for _, tensor in parts)
        if not parts or op in MOVES or not made_new:
            self._hand_on(op, function_settings(function, args, kwargs), arguments, parts, parents, fields, target)
            return result
        settings = function_settings(function, args, kwargs)
        if op in SOFTMAXES and isinstance(result, Tensor) and arguments:
            self._see_softmax(op, arguments[0], result, settings)
        registered = {id(parameter) for parameter in scope.module._parameters.values() if parameter is not None}
        owned = [tensor for tensor in arguments if isinstance(tensor, nn.Parameter) or id(tensor) in registered]
        weight = weight_of(function, args, kwargs)
        if weight is not None and self._origins.is_constant(weight) and not any(weight is own for own in owned):
            owned.append(weight)  # made from parameters a moment ago: a standardised or parametrised weight
        replaced = self._record(
            name=self._call_name(f"{scope.path}/{op}"),
            op=op,
            settings=settings,
            arguments=[tensor for tensor in arguments if tensor.is_floating_point()],
            parents=parents,
            fields=fields,
            weight=weight,
            parameters=sum(tensor.numel() for tensor in owned),
            parts=parts,
            seconds=seconds,
            written=target,
            inside_wanted=self._inside_wanted(),
        )
        return result if replaced is None else replaced

    def depends(self, tensor: Tensor) -> bool:
        """Whether a tensor comes from what the model was given, as far as anybody has seen."""
        return bool(self._origins.parents([tensor])[0])

    def where_it_failed(self) -> str:
        """The innermost module that had begun and not ended when an exception came; nothing for the model itself."""
        return self._failed_at
