"""What relevance does at each kind of operation: which are layers, which only pass it on, which are refused."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from pellucid.capture.folding import is_fixed, scale_and_shift
from pellucid.capture.handing import Handed, Operation
from pellucid.capture.operations import MOVES, words
from pellucid.capture.program import Value
from pellucid.errors import MethodError
from pellucid.methods.relevance_rules import Layer

# One value in, one value out: all of the relevance goes on, whatever the slope. glu is none of them: it multiplies.
_ACTIVATIONS = words(
    """relu relu6 hardtanh leaky_relu prelu rrelu elu selu celu gelu silu mish hardswish hardsigmoid sigmoid tanh
    softplus softsign hardshrink softshrink threshold logsigmoid tanhshrink clamp clamp_min clamp_max clip"""
)
_DETACHED = words("detach data")  # they hand numbers on and have no slope
_JOINED = words("cat stack concat concatenate pad pixel_shuffle pixel_unshuffle")
_LARGEST = words(
    """max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    fractional_max_pool2d amax max"""
)
_AVERAGES = words(
    """avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d mean sum interpolate
    upsample neg"""
)
_DROPPING = words("dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout")


def passed_on(operation: Operation, arrived: tuple[Tensor | None, ...]) -> Handed | None:
    """What an operation without weights hands down where that is the same for every rule; None for all others.

    Moves (views, permutations, slices, concatenation, zero padding) hand each value's relevance to where the value came
    from, max pooling to the largest, and functions of single values all of it.
    """
    name, uses = operation.name, operation.uses
    if operation.passed or name in _DETACHED or (name in _ACTIVATIONS and uses == 1) or _drops_nothing(operation):
        [relevance] = arrived
        assert relevance is not None
        return Handed(inputs=(relevance.reshape(operation.inputs[0].shape),))
    if name in MOVES | _JOINED or (name in _LARGEST and uses == 1):
        return _moved(operation, arrived)
    return None


def is_affine(operation: Operation) -> bool:
    """Whether an operation is a sum, an average, or a product with constants, of floating tensors."""
    if not all(each.is_floating_point() for each in operation.inputs):
        return False
    if operation.name in ("add", "sub", "rsub"):
        return True
    return (operation.name in _AVERAGES or is_scale(operation)) and operation.uses == 1


def is_scale(operation: Operation) -> bool:
    """Whether an operation multiplies what depends on the picture by a constant, or divides it by one."""
    if operation.name not in ("mul", "div") or operation.uses != 1:
        return False
    reversed_name = getattr(operation.step.function, "__name__", "").startswith("__r")
    numerator = isinstance(operation.step.argument(0, "input"), Value) and not reversed_name
    return operation.name == "mul" or numerator


def layer_of(operation: Operation) -> Layer | None:
    """The operation as a linear layer with constant weights, batch norm folded into it; None where it is none."""
    if operation.name == "batch_norm":
        return _norm(operation)
    if operation.kind not in ("conv", "linear") or operation.uses != 1 or len(operation.inputs) != 1:
        return None
    step, [x] = operation.step, operation.inputs
    if operation.kind == "conv" or operation.name == "linear":
        weight, bias = operation.merged or (step.argument(1, "weight"), step.argument(2, "bias"))
        rest, named = step.args[3:], {n: v for n, v in step.kwargs.items() if n not in ("input", "weight", "bias")}
        if not isinstance(step.argument(0, "input"), Value):
            return None
        return _layer(operation, x, weight, bias, lambda x, w, b: step.function(x, w, b, *rest, **named))
    if operation.name in ("matmul", "mm"):
        first, second = step.argument(0, "input"), step.argument(1, "other", step.kwargs.get("mat2"))
        if getattr(step.function, "__name__", "") == "__rmatmul__":
            first, second = second, first
        if isinstance(first, Value) and isinstance(second, Tensor):
            return _layer(operation, x, second, None, lambda x, w, _: x @ w)
        if isinstance(first, Tensor):
            return _layer(operation, x, first, None, lambda x, w, _: w @ x)
    if operation.name == "addmm" and not {"alpha", "beta"} & step.kwargs.keys():
        bias, given, weight = step.argument(0, "input"), step.argument(1, "mat1"), step.argument(2, "mat2")
        if isinstance(given, Value) and isinstance(bias, Tensor):
            return _layer(operation, x, weight, bias, lambda x, w, b: x @ w if b is None else x @ w + b)
    return None


def refused(method: str, operation: Operation) -> MethodError:
    """Why a method cannot go on, with the operation and its site."""
    return MethodError(
        f"{method} has no rule for {_told(operation)} at site {operation.site!r}, so its map would be wrong there; use "
        "integrated-gradients or grad-cam."
    )


def _layer(
    operation: Operation,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    apply: Callable[[Tensor, Tensor, Tensor | None], Any],
) -> Layer:
    fixed = None if bias is None else bias.detach()
    return Layer(x=x, weight=weight.detach(), bias=fixed, apply=apply, operation=operation)


def _norm(operation: Operation) -> Layer | None:
    """A batch norm that no layer could take over: a scale and a shift per channel."""
    if not is_fixed(operation.step) or operation.uses != 1:
        return None
    [x] = operation.inputs
    shape = (1, -1, *[1] * (x.dim() - 2))
    scale, shift = scale_and_shift(operation.step)

    def apply(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        made = x * weight.reshape(shape)
        return made if bias is None else made + bias.reshape(shape)

    return _layer(operation, x, scale, shift, apply)


def _moved(operation: Operation, arrived: tuple[Tensor | None, ...]) -> Handed:
    total: list[Tensor | None] = [None] * len(operation.inputs)
    for place, relevance in enumerate(arrived):
        if relevance is None:
            continue
        _, back = operation.back(place)
        for i, (given, slope) in enumerate(zip(operation.inputs, back(relevance), strict=True)):
            if given.is_floating_point():
                before = total[i]
                total[i] = slope if before is None else before + slope
    return Handed(inputs=tuple(total))


def _drops_nothing(operation: Operation) -> bool:
    # F.dropout drops unless it is told not to; the others only where they are told to.
    default = operation.name.startswith("dropout")
    return operation.name in _DROPPING and operation.step.argument(2, "training", default) is False


def _told(operation: Operation) -> str:
    name = operation.name
    if name in ("mul", "matmul", "bmm", "einsum") and operation.uses > 1:
        return f"`{name}`, a product of two activations,"
    if name == "batch_norm":
        return "`batch_norm` with the statistics of the batch"
    if operation.kind == "softmax":
        return f"`{name}` in the middle of the model"
    if operation.kind == "dropout":
        return f"`{name}` that drops at random"
    return f"`{name}`"
