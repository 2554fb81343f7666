"""What is known about operations: their names, their kinds, which ones only move numbers, which ones write in place.

One operation has one name, however it is called: `nn.ReLU`, `F.relu`, `x.relu()` and `x.relu_()` are all "relu". A new
operation is added here and nowhere else.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

_FAMILIES = {
    "conv": "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    "linear": "linear bilinear matmul mm bmm addmm baddbmm einsum",
    "norm": "batch_norm layer_norm group_norm instance_norm local_response_norm rms_norm normalize",
    "activation": """relu relu6 hardtanh leaky_relu prelu rrelu elu selu celu gelu silu mish hardswish hardsigmoid
        sigmoid tanh softplus softsign hardshrink softshrink threshold logsigmoid tanhshrink glu clamp""",
    "pool": """max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
        adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d lp_pool2d
        fractional_max_pool2d""",
    "dropout": "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout",
    "softmax": "softmax log_softmax softmin",
    "add": "add sub",
    "scale": "mul div",
    "concat": "cat stack concat concatenate",
    "attention": "scaled_dot_product_attention multi_head_attention_forward",
    "resample": "interpolate upsample pixel_shuffle",
    "reduction": "mean sum amax amin max min std var",
}
KINDS: Mapping[str, str] = {op: kind for kind, ops in _FAMILIES.items() for op in ops.split()}


def words(text: str) -> frozenset[str]:
    """A set of names, written as a text."""
    return frozenset(text.split())


# What makes a number or a truth of a tensor's values, so that Python can decide by it.
READS_VALUES = frozenset(
    {Tensor.__bool__, Tensor.__int__, Tensor.__float__, Tensor.__index__, Tensor.item, Tensor.tolist, Tensor.numpy}
    | {Tensor.__array__, Tensor.__complex__, Tensor.__contains__, Tensor.__format__}
    | {Tensor.is_nonzero, Tensor.equal, Tensor.allclose, torch.is_nonzero, torch.equal, torch.allclose}
)
# They hand on the numbers they get, whether or not torch had to copy them: edges of the dataflow graph, never sites.
MOVES = words(
    """view reshape flatten unflatten ravel permute transpose t movedim moveaxis swapaxes swapdims squeeze unsqueeze
    expand expand_as view_as reshape_as contiguous clone detach to type type_as float double half bfloat16 cpu cuda
    getitem chunk split tensor_split unbind narrow select index_select flip roll repeat tile as_strided data T mT real
    requires_grad broadcast_to channel_shuffle native_channel_shuffle alias"""
)
# Moves that give the axes another order, and those that may.
REORDERS = words("permute transpose t movedim moveaxis swapaxes swapdims T mT as_strided")
RESHAPES = words("view reshape flatten unflatten ravel squeeze unsqueeze view_as reshape_as")
# Normalisation of (batch, channels, positions …).
CHANNEL_NORMS = words("batch_norm group_norm instance_norm local_response_norm")
# They take only the shape or the type of their other arguments.
SHAPED_LIKE = words("expand_as view_as reshape_as type_as to")
# New tensors that have an argument's shape and none of its values.
MADE_FROM_SHAPES = words(
    """zeros_like ones_like empty_like full_like rand_like randn_like randint_like new_zeros new_ones new_empty new_full
    new_tensor"""
)

SOFTMAXES = frozenset({"softmax", "log_softmax", "sigmoid"})

# Module classes whose operation has another name than the class in snake case.
_MODULE_OPS = {
    "Softmax2d": "softmax",
    "Upsample": "interpolate",
    "UpsamplingNearest2d": "interpolate",
    "UpsamplingBilinear2d": "interpolate",
    "SiLU": "silu",
    "PReLU": "prelu",
    "RReLU": "rrelu",
    "CELU": "celu",
    "GELU": "gelu",
    "SELU": "selu",
    "ELU": "elu",
    "GLU": "glu",
    "ReLU": "relu",
    "ReLU6": "relu6",
    "LeakyReLU": "leaky_relu",
    "LogSigmoid": "logsigmoid",
    "LPPool2d": "lp_pool2d",
    "RMSNorm": "rms_norm",
    "LocalResponseNorm": "local_response_norm",
    "Identity": "identity",
    "SyncBatchNorm": "batch_norm",
    **{f"{kind}Pad{dims}d": "pad" for kind in ("Zero", "Constant") for dims in (1, 2, 3)},
    "NonDynamicallyQuantizableLinear": "linear",
}

# Built-in functions have no signature to ask.
_BUILTIN_PARAMETERS = {
    **dict.fromkeys(
        ("conv1d", "conv2d", "conv3d"), ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    ),
    **dict.fromkeys(
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
        ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
    ),
    **dict.fromkeys(
        ("avg_pool1d", "avg_pool2d", "avg_pool3d"), ("input", "kernel_size", "stride", "padding", "ceil_mode")
    ),
    "linear": ("input", "weight", "bias"),
    **dict.fromkeys(
        ("max_pool1d", "max_pool2d", "max_pool3d"),
        ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    ),
    "clamp": ("input", "min", "max"),
    "cat": ("tensors", "dim"),
    "permute": ("input", "dims"),
    "transpose": ("input", "dim0", "dim1"),
    "flatten": ("input", "start_dim", "end_dim"),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min"), ("input", "dim", "keepdim")),
    "softmax": ("input", "dim"),
    "log_softmax": ("input", "dim"),
    "chunk": ("input", "chunks", "dim"),
    "stack": ("tensors", "dim"),
    "add": ("input", "other"),
}

_DUNDER = re.compile(r"^__(i|r)?(\w+?)__$")
_PLAIN = {
    "truediv": "div",
    "matmul": "matmul",
    "concat": "cat",
    "concatenate": "cat",
    "subtract": "sub",
    "multiply": "mul",
}


def module_op(module: nn.Module) -> str:
    """The operation that a `torch.nn` leaf performs, e.g. "conv2d" for `nn.Conv2d`."""
    name = type(module).__name__
    if name in _MODULE_OPS:
        return _MODULE_OPS[name]
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    for dims in ("1d", "2d", "3d"):
        snake = snake.replace(f"batch_norm{dims}", "batch_norm").replace(f"instance_norm{dims}", "instance_norm")
    return snake


@lru_cache(maxsize=4096)
def function_op(function: Callable[..., Any]) -> str:
    """The operation that a torch function or tensor method performs: `Tensor.__iadd__` → "add", `relu_` → "relu"."""
    name = getattr(function, "__name__", type(function).__name__)
    if name == "__get__":  # a property of a tensor: .T, .data, .shape
        return str(getattr(getattr(function, "__self__", None), "__name__", "property"))
    match = _DUNDER.match(name)
    if match:
        prefix, stem = match.groups()
        stem = (prefix or "") + stem if (prefix or "") + stem in ("index", "invert", "int") else stem
        return _PLAIN.get(stem, stem)
    name = name.strip("_")
    return _PLAIN.get(name, name)


@lru_cache(maxsize=4096)
def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    if function_op(function) in ("getitem", "setitem"):
        return ("input", "index", "value")
    try:
        names = tuple(inspect.signature(function).parameters)
        if names and names not in {("args", "kwargs")}:
            return names
    except (TypeError, ValueError):
        pass
    return _BUILTIN_PARAMETERS.get(function_op(function), ())


@lru_cache(maxsize=4096)
def _always_in_place(function: Callable[..., Any]) -> bool:
    name = getattr(function, "__name__", "")
    if name.startswith("__i") and name.endswith("__"):
        return name not in ("__index__", "__invert__", "__int__", "__init__")
    return name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))


@lru_cache(maxsize=4096)
def _place_of_inplace(function: Callable[..., Any]) -> int:
    names = _parameters(function)
    return names.index("inplace") if "inplace" in names else -1


def written_in_place(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """The tensor that a call is about to overwrite, or None."""
    if isinstance(kwargs.get("out"), Tensor):
        return kwargs["out"]  # type: ignore[no-any-return]
    in_place = _always_in_place(function) or kwargs.get("inplace") is True
    if not in_place:
        place = _place_of_inplace(function)
        in_place = 0 <= place < len(args) and args[place] is True
    if not in_place:
        return None
    target = args[0] if args else kwargs.get("input")
    return target if isinstance(target, Tensor) else None


def function_settings(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a functional call by name: numbers, words and tuples, no tensors."""
    names = _parameters(function)
    named = {names[i] if i < len(names) else f"argument {i}": value for i, value in enumerate(args)} | dict(kwargs)
    settings = {name: value for name, value in named.items() if _is_setting(value)}
    weight = weight_of(function, args, kwargs)
    if function_op(function).startswith("conv") and isinstance(weight, Tensor):
        settings["kernel_size"] = tuple(weight.shape[2:])
    return settings


def weight_of(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """The argument of a functional call that is called its weight, whether it is a parameter or was made from some."""
    names = _parameters(function)
    place = names.index("weight") if "weight" in names else len(args)
    weight = kwargs.get("weight", args[place] if place < len(args) else None)
    return weight if isinstance(weight, Tensor) else None


def module_settings(module: nn.Module) -> dict[str, Any]:
    """The settings of a `torch.nn` leaf by name, as its class lists them."""
    names = list(getattr(module, "__constants__", ()))
    settings = {name: getattr(module, name) for name in names if hasattr(module, name)}
    if module.training and module_op(module) == "batch_norm":
        settings["training"] = True  # then it mixes all positions
    return {name: value for name, value in settings.items() if _is_setting(value)}


def multiply_adds(op: str, weight: Tensor | None, inputs: list[Tensor], output: Tensor) -> int:
    """Multiply-adds of a convolution or a matrix product over the whole batch; 0 for everything else (as is usual)."""
    if op.startswith("conv_transpose") and weight is not None and inputs:
        return inputs[0].numel() * weight[0].numel()
    if KINDS.get(op) == "conv" and weight is not None:
        return output.numel() * weight[0].numel()
    if op == "linear" and weight is not None:
        return output.numel() * weight.shape[-1]
    if op in ("matmul", "mm", "bmm") and inputs:
        return output.numel() * inputs[0].shape[-1]
    if op in ("addmm", "baddbmm") and len(inputs) == 3:
        return output.numel() * inputs[1].shape[-1]
    if op == "scaled_dot_product_attention" and len(inputs) >= 2:
        return 2 * inputs[0].numel() * inputs[1].shape[-2]
    return 0


def kind_of(op: str) -> str:
    """The family of an operation ("conv", "pool", …); the operation itself where it has none."""
    return KINDS.get(op, op)


def is_leaf(module: nn.Module) -> bool:
    """Whether a module is one operation of `torch.nn`: its own class, no children."""
    return type(module).__module__.startswith("torch.nn.modules.") and not module._modules and not is_container(module)


def is_container(module: nn.Module) -> bool:
    """Whether a module only holds others, also when it is empty."""
    return isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)


def floating_tensors(result: object) -> list[tuple[str, Tensor]]:
    """The floating tensors in a result, each with its part name: nothing for a plain tensor, else [0] or ['key']."""
    if isinstance(result, Tensor):
        return [("", result)] if result.is_floating_point() else []
    if isinstance(result, list | tuple):
        return [(f"[{i}]{part}", tensor) for i, item in enumerate(result) for part, tensor in floating_tensors(item)]
    if isinstance(result, Mapping):
        return [(f"[{k!r}]{part}", tensor) for k, item in result.items() for part, tensor in floating_tensors(item)]
    return []


def other_tensors(result: object) -> list[Tensor]:
    """The tensors in a result that are no floating ones: masks, indices, spectra."""
    return [tensor for tensor in tensors_in(result) if not tensor.is_floating_point()]


def tensors_in(arguments: object) -> list[Tensor]:
    """Every tensor among arguments, nested ones too, in order."""
    if isinstance(arguments, Tensor):
        return [arguments]
    if isinstance(arguments, list | tuple):
        return [tensor for item in arguments for tensor in tensors_in(item)]
    if isinstance(arguments, Mapping):
        return [tensor for item in arguments.values() for tensor in tensors_in(item)]
    return []


def _is_setting(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_setting(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str | slice | torch.dtype) or value is Ellipsis
