"""Another backward rule per operation: the operation runs as it is, and its derivative is replaced."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pellucid.capture.asks import BackwardRule, Barred, Op, PairRule, Ruling
from pellucid.capture.operations import floating_tensors, function_settings, kind_of, tensors_in, written_in_place
from pellucid.capture.passes import derivative
from pellucid.errors import MethodError


class Interceptor:
    """Runs each operation, with another backward rule where a method wants one.

    Args:
        ruling: The rule for each operation.
        depends: Whether a tensor comes from the picture, also where no derivative can be taken (masks, indices).
    """

    def __init__(self, ruling: Ruling, depends: Callable[[Tensor], bool] = lambda _: False) -> None:
        self._ruling = ruling
        self.depends = depends

    def __call__(
        self, function: Callable[..., Any], op: str, site: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of the operation, as if nobody had interfered."""
        arguments = tensors_in((args, kwargs))
        if not any(tensor.is_floating_point() for tensor in arguments):
            return function(*args, **kwargs)
        given = args[0] if args else kwargs.get("input")
        ruled = isinstance(given, Tensor) and given.is_floating_point()
        moving = [tensor for tensor in arguments if tensor.requires_grad or self.depends(tensor)]
        first = ruled and any(tensor is given for tensor in moving)
        rule = self._ruling(
            Op(
                name=op,
                kind=kind_of(op),
                site=site,
                settings=function_settings(function, args, kwargs),
                first=first,
                others=len(moving) - first,
            )
        )
        if isinstance(rule, Barred):
            return _barred(function(*args, **kwargs), rule)
        if rule is None or not isinstance(given, Tensor) or not ruled:
            return function(*args, **kwargs)
        rest = args[1:] if args else ()
        named = {name: value for name, value in kwargs.items() if name not in ("input", "out")}
        target = written_in_place(function, args, kwargs)
        if target is None:
            return _Ruled.apply(given, rule, lambda x: function(x, *rest, **named))  # type: ignore[no-untyped-call]
        # autograd refuses a function of ours that writes into a view; so it writes elsewhere, and torch copies.
        result = _Ruled.apply(  # type: ignore[no-untyped-call]
            given, rule, lambda x: function(x.clone(), *rest, **named)
        )
        return target.copy_(result)


def _barred(result: Any, barred: Barred) -> Any:
    def refuse(slope: Tensor) -> None:
        raise MethodError(barred.why)

    for _, tensor in floating_tensors(result):
        if tensor.requires_grad:
            tensor.register_hook(refuse)  # type: ignore[no-untyped-call]
    return result


class _Ruled(torch.autograd.Function):
    """An operation whose backward pass is a rule of a method."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rule: BackwardRule | PairRule, run: Callable[[Tensor], Tensor]) -> Tensor:
        result = run(x)
        # The model may overwrite either of them later.
        ctx.before = x.detach().clone()
        ctx.result = result.detach().clone()
        ctx.rule, ctx.run = rule, run
        return result

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        if not isinstance(ctx.rule, PairRule):
            return ctx.rule(slope, ctx.before, ctx.result), None, None

        def own(slope: Tensor) -> Tensor:
            with torch.enable_grad():
                leaf = ctx.before.clone().requires_grad_()
                [found] = derivative((ctx.run(leaf) * slope).sum(), [leaf])
            return torch.zeros_like(leaf) if found is None else found

        return ctx.rule.rule(slope, ctx.before, ctx.result, own), None, None
