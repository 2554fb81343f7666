"""Another backward rule per operation: the operation runs as it is, and its derivative is replaced."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pellucid.capture.asks import BackwardRule, Op, Ruling
from pellucid.capture.operations import kind_of, written_in_place


class Interceptor:
    """Runs each operation, with another backward rule where a method wants one."""

    def __init__(self, ruling: Ruling) -> None:
        self._ruling = ruling

    def __call__(
        self, function: Callable[..., Any], op: str, site: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of the operation, as if nobody had interfered."""
        given = args[0] if args else kwargs.get("input")
        if not isinstance(given, Tensor) or not given.is_floating_point():
            return function(*args, **kwargs)
        rule = self._ruling(Op(name=op, kind=kind_of(op), site=site))
        if rule is None:
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


class _Ruled(torch.autograd.Function):
    """An operation whose backward pass is a rule of a method."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rule: BackwardRule, run: Callable[[Tensor], Tensor]) -> Tensor:
        result = run(x)
        # The model may overwrite either of them later.
        ctx.before = x.detach().clone()
        ctx.result = result.detach().clone()
        ctx.rule = rule
        return result

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        return ctx.rule(slope, ctx.before, ctx.result), None, None
