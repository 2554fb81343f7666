"""Watching one forward pass: module hooks and a torch function mode, and nothing left behind.

The hooks know which module is being called; the mode sees every functional call. Together they give each call its
name, its parents and its result. A result that is kept is copied just before an in-place operation overwrites it, so
that it stays what that call returned.
"""

import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.overrides import TorchFunctionMode

from pellucid.capture import receptive_field
from pellucid.capture.operations import (
    MOVES,
    SOFTMAXES,
    floating_tensors,
    function_op,
    function_settings,
    is_leaf,
    kind_of,
    module_op,
    module_settings,
    multiply_adds,
    tensors_in,
    written_in_place,
)
from pellucid.capture.provenance import ParentField, Provenance, storage_of
from pellucid.capture.receptive_field import Field
from pellucid.capture.sites import INPUT, Site
from pellucid.capture.statistics import Statistics, summarise

Wants = Callable[[str, str, int], bool]
Interceptor = Callable[[Callable[..., Any], str, str, tuple[Any, ...], dict[str, Any]], Any]


@dataclass(slots=True)
class Call:
    """One site while it is being recorded."""

    name: str
    op: str
    inputs: tuple[str, ...]
    settings: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: str
    parameters: int
    multiply_adds: int
    seconds: float
    field: Field | None
    value: Tensor | None = None
    edge: GradientEdge | None = None
    statistics: Statistics | None = None


@dataclass(slots=True)
class _Scope:
    """A module that is being called."""

    module: nn.Module
    path: str
    name: str
    leaf: bool
    started: float
    arguments: list[Tensor] = field(default_factory=list)
    parents: tuple[str, ...] = ()
    parent_fields: tuple[ParentField, ...] = ()
    first_call: int = 0
    written: Tensor | None = None


class Recorder(TorchFunctionMode):
    """Records the sites of forward passes of one module.

    Args:
        module: The model.
        wants: Whether the values of a site are to be kept, by name, operation and order; None keeps none.
        statistics: Whether to summarise every site, and how fully.
        edges: Keep, for every site, the gradient edge at which a later backward pass can be read.
        intercept: Called instead of every functional operation; for backward rules.
        buffers: Where copies that protect values from in-place operations are written, by site; reused between passes.
        live: Keep values as parts of the autograd graph, so that a score can be made of them.
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
    ) -> None:
        super().__init__()
        self.module = module
        self.calls: list[Call] = []
        self.aliases: dict[str, str] = {}
        self.input: Tensor | None = None
        self.before_softmax: tuple[weakref.ref[Tensor], Tensor, str] | None = None
        self.reshaped_batch: tuple[str, tuple[int, ...], tuple[int, ...], str] | None = None
        self.output_sites: tuple[str, ...] = ()
        self._wants = wants
        self._statistics = statistics
        self._edges = edges
        self._intercept = intercept
        self._buffers = buffers
        self._live = live
        self._start = start
        self._stack: list[_Scope] = []
        self._times_called: dict[str, int] = {}
        self._kept_in: dict[int, list[Call]] = {}
        self._names = {part: name for name, part in module.named_modules()}
        self._leaves = {part for part in self._names if is_leaf(part)}
        self._origins = Provenance((*module.parameters(), *module.buffers()))
        self._handles: list[Any] = []

    # -- entering and leaving
    # -------------------------------------------------------------------------------------------

    def __enter__(self) -> "Recorder":
        for part in self._names:
            self._handles.append(part.register_forward_pre_hook(self._before_module, with_kwargs=True))
            self._handles.append(part.register_forward_hook(self._after_module))
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
            self._origins.forget()

    def begin(self) -> None:
        """Forget the sites of the pass before, and begin with the next call of the module."""
        self.calls = []
        self.aliases = {}
        self._times_called.clear()
        self._origins.forget()
        self._kept_in.clear()
        self.before_softmax = None
        self.reshaped_batch = None

    # -- modules
    # --------------------------------------------------------------------------------------------------------

    def _before_module(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        with torch._C.DisableTorchFunction():
            if not self._stack:
                self.begin()
                given = [tensor for tensor in (*args, *kwargs.values()) if isinstance(tensor, Tensor)]
                for tensor in given:
                    if tensor.is_floating_point():
                        self._origins.remember(tensor, (INPUT,), receptive_field.of_input(tensor.dim()))
                self.input = given[0] if given else None
            leaf, path = module in self._leaves, self._names.get(module, "?")
            name = self._call_name(path or (module_op(module) if leaf else ""))
            scope = _Scope(module, path, name, leaf, 0.0)
            scope.first_call = len(self.calls)
            if scope.leaf:
                scope.arguments = tensors_in((args, kwargs))
                scope.parents, scope.parent_fields = self._origins.parents(scope.arguments)
            self._stack.append(scope)
            scope.started = time.perf_counter()

    def _after_module(self, module: nn.Module, args: tuple[Any, ...], result: Any) -> Any:
        ended = time.perf_counter()
        # A model may catch an exception of a part and go on; scopes that never ended are dropped.
        while self._stack and self._stack[-1].module is not module:
            self._stack.pop()
        if not self._stack:
            return None
        scope = self._stack.pop()
        with torch._C.DisableTorchFunction():
            if not scope.leaf:
                self._name_container(scope, result)
                return None
            op = module_op(module)
            if op in SOFTMAXES and isinstance(result, Tensor) and len(scope.arguments) == 1:
                self._see_softmax(op, scope.arguments[0], result, {"dim": getattr(module, "dim", None)})
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
                result=result,
                seconds=ended - scope.started,
            )
            if scope.written is not None and self.calls:
                self._origins.overwritten(scope.written, self.calls[-1].name, self.calls[-1].field)
            return replaced

    def _name_container(self, scope: _Scope, result: Any) -> None:
        inside = [call.name for call in self.calls[scope.first_call :]]
        if not inside or scope.module is self.module:
            return
        made_by = [
            name
            for _, tensor in floating_tensors(result)[:1]
            for origin in [self._origins.of(tensor)]
            for name in (() if origin is None else origin.sites)
            if name in inside
        ]
        last = made_by[0] if len(made_by) == 1 else inside[-1]
        self.aliases[scope.name] = last
        call = next(call for call in self.calls[scope.first_call :] if call.name == last)
        returned = [tensor for _, tensor in floating_tensors(result) if tuple(tensor.shape) == call.shape]
        if self._wants is not None and call.value is None and returned and self._wants(scope.name, "", -1):
            # A container was asked for by name; only now is it known which site it stands for.
            call.value = returned[0]
            self._kept_in.setdefault(storage_of(returned[0]), []).append(call)

    # -- functional calls
    # -----------------------------------------------------------------------------------------------

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if not self._stack:
            return function(*args, **kwargs)
        scope = self._stack[-1]
        target = written_in_place(function, args, kwargs)
        if target is not None:
            self._protect(target)
        if scope.leaf:
            if target is not None:
                self._origins.count_write(target)
                scope.written = target
            if self._intercept is not None:
                return self._intercept(function, function_op(function), scope.name, args, kwargs)
            return function(*args, **kwargs)
        return self._functional(scope, function, args, kwargs, target)

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
        floating = [tensor for tensor in arguments if tensor.is_floating_point()]
        parents, fields = self._origins.parents(arguments)
        stores = {storage_of(tensor) for tensor in floating}
        started = time.perf_counter()
        if self._intercept is not None:
            place = self._peek_name(f"{scope.path}/{op}")
            result = self._intercept(function, op, place, args, kwargs)
        else:
            result = function(*args, **kwargs)
        seconds = time.perf_counter() - started
        if target is not None:
            self._origins.count_write(target)
        made = target if op == "setitem" else result
        parts = floating_tensors(made)
        if not parts:
            return result
        if not parents and all(self._origins.is_constant(tensor) for tensor in arguments):
            # Made from weights and numbers alone: it does not depend on the picture.
            for _, tensor in parts:
                self._origins.remember(tensor, (), None)
            return result
        made_new = target is not None or any(storage_of(tensor) not in stores for _, tensor in parts)
        if op in MOVES or not made_new:
            self._hand_on(op, function, args, kwargs, arguments, parts, parents, fields)
            return result
        if op in SOFTMAXES and isinstance(result, Tensor) and floating:
            self._see_softmax(op, floating[0], result, function_settings(function, args, kwargs))
        named = {id(parameter) for parameter in scope.module._parameters.values() if parameter is not None}
        owned = [tensor for tensor in arguments if isinstance(tensor, nn.Parameter) or id(tensor) in named]
        replaced = self._record(
            name=self._call_name(f"{scope.path}/{op}"),
            op=op,
            settings=function_settings(function, args, kwargs),
            arguments=[tensor for tensor in floating if not any(tensor is own for own in owned)],
            parents=parents,
            fields=fields,
            weight=next((tensor for tensor in owned if tensor.dim() > 1), None),
            parameters=sum(tensor.numel() for tensor in owned),
            result=made,
            seconds=seconds,
        )
        if target is not None:
            self._origins.overwritten(target, self.calls[-1].name, self.calls[-1].field)
        return result if replaced is None else replaced

    def _hand_on(
        self,
        op: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        arguments: list[Tensor],
        results: list[tuple[str, Tensor]],
        parents: tuple[str, ...],
        fields: tuple[ParentField, ...],
    ) -> None:
        """An edge: the results come from where the arguments come from."""
        if not parents:
            return
        settings = function_settings(function, args, kwargs)
        before = tuple(arguments[0].shape)
        for _, tensor in results:
            shape = tuple(tensor.shape)
            if self.input is not None and before[:1] == self.input.shape[:1] and shape[:1] != before[:1] and shape:
                self.reshaped_batch = (op, before, shape, parents[-1])
            known = self._origins.of(tensor)
            if known is not None and any(tensor is argument for argument in arguments):
                continue
            self._origins.remember(
                tensor, parents, receptive_field.after(op if op in MOVES else "getitem", settings, fields[:1], shape)
            )

    # -- recording
    # ------------------------------------------------------------------------------------------------------

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
        result: Any,
        seconds: float,
    ) -> Any:
        """Note the parts of a result as sites. Returns what to hand on instead, or None for the result itself."""
        parts = floating_tensors(result)
        for part, tensor in parts:
            shape = tuple(tensor.shape)
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
                field=receptive_field.after(op, settings, fields, shape),
            )
            self.calls.append(call)
            if self._start == call.name and not part:
                # What comes before is not differentiated; what comes after gets a copy, since a leaf must not be
                # overwritten.
                tensor = tensor.detach().requires_grad_(True)
                result = tensor.clone()
                self._origins.remember(result, (call.name,), call.field)
                self._keep(call, tensor)
                return result
            self._origins.remember(tensor, (call.name,), call.field)
            self._keep(call, tensor)
        return None

    def _keep(self, call: Call, tensor: Tensor) -> None:
        if self._edges and tensor.requires_grad:
            call.edge = get_gradient_edge(tensor)
        if self._statistics != "none":
            call.statistics = summarise(tensor, full=self._statistics == "full")
        if self._wants is not None and self._wants(call.name, call.op, len(self.calls) - 1):
            call.value = tensor
            self._kept_in.setdefault(storage_of(tensor), []).append(call)

    def _protect(self, target: Tensor) -> None:
        """Copy kept values that share memory with a tensor which is about to be overwritten."""
        calls = self._kept_in.pop(storage_of(target), None)
        if not calls:
            return
        with torch._C.DisableTorchFunction(), torch.set_grad_enabled(self._live and torch.is_grad_enabled()):
            copies: dict[int, Tensor] = {}
            for call in calls:
                if call.value is None:
                    continue
                # Several sites may have returned the very same tensor (dropout in eval mode): one copy serves them all.
                copy = copies.get(id(call.value))
                if copy is None:
                    copy = copies[id(call.value)] = self._copied(call.name, call.value)
                call.value = copy

    def _copied(self, name: str, value: Tensor) -> Tensor:
        if self._live:
            return value.clone()
        value = value.detach()
        if self._buffers is None:
            return value.clone()
        buffer = self._buffers.get(name)
        if (
            buffer is None
            or buffer.shape != value.shape
            or buffer.dtype != value.dtype
            or buffer.device != value.device
        ):
            buffer = self._buffers[name] = torch.empty_like(value)
        return buffer.copy_(value)

    def _see_softmax(self, op: str, before: Tensor, after: Tensor, settings: Mapping[str, Any]) -> None:
        dim = settings.get("dim")
        if op == "sigmoid" or (isinstance(dim, int) and dim % max(before.dim(), 1) == min(1, before.dim() - 1)):
            self.before_softmax = (weakref.ref(after), before, op)

    # -- names
    # ----------------------------------------------------------------------------------------------------------

    def _call_name(self, name: str) -> str:
        times = self._times_called[name] = self._times_called.get(name, 0) + 1
        return name if times == 1 else f"{name}#{times}"

    def _peek_name(self, name: str) -> str:
        times = self._times_called.get(name, 0) + 1
        return name if times == 1 else f"{name}#{times}"

    # -- what was seen
    # --------------------------------------------------------------------------------------------------

    def note_output(self, output: Any) -> None:
        """Note where the model's output comes from; to be called right after the pass."""
        self.output_sites, _ = self._origins.parents([tensor for _, tensor in floating_tensors(output)])

    def where_it_failed(self) -> str:
        """The innermost module that had begun and not ended when an exception came; forgets the interrupted pass."""
        place = self._stack[-1].name if self._stack else ""
        self._stack.clear()
        return place or "the model's own forward"

    def value(self, name: str) -> Tensor:
        """The kept value of a site, attached to the autograd graph where `live` asks for it."""
        return next(call.value for call in self.calls if call.name == name and call.value is not None)

    def sites(self) -> tuple[Site, ...]:
        """The recorded calls as sites, with the values as they were when each call returned."""
        return tuple(
            Site(
                name=call.name,
                index=index,
                op=call.op,
                kind=kind_of(call.op),
                inputs=call.inputs,
                settings=call.settings,
                shape=call.shape,
                dtype=call.dtype,
                parameters=call.parameters,
                multiply_adds=call.multiply_adds,
                seconds=call.seconds,
                receptive_field=receptive_field.public(call.field),
                values=None if call.value is None else call.value.detach(),
                statistics=call.statistics,
            )
            for index, call in enumerate(self.calls)
        )
