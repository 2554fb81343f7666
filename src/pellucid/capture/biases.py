"""What each operation adds of its own: its result minus the part that is linear in what depends on the picture.

Of an affine operation it is the bias, that of batch norm too (β − γμ/σ), and any constant that is added. Of an
activation it is what its tangent adds (0 for ReLU): f(x) − x·f′(x). With x·slope at the input, all of them times the
slope of the score at their sites make the score, up to rounding; that is how FullGrad takes a score apart.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from pellucid.capture.operations import MADE_FROM_SHAPES, MOVES, floating_tensors, tensors_in, words, written_in_place
from pellucid.capture.passes import derivative
from pellucid.errors import MethodError

# Multiplied by a positive number, what goes in comes out multiplied by it: nothing is added.
_HOMOGENEOUS = words(
    """relu leaky_relu prelu max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices
    max_pool3d_with_indices adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d avg_pool1d avg_pool2d avg_pool3d
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d mean sum amax amin max min dropout dropout1d dropout2d
    dropout3d feature_dropout alpha_dropout feature_alpha_dropout interpolate upsample pixel_shuffle pixel_unshuffle
    identity neg"""
)
# Affine in the arguments that depend on the picture, as long as these are not multiplied with each other.
_AFFINE = words(
    """conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d linear matmul mm bmm addmm batch_norm add
    sub rsub mul div cat stack pad"""
)
_PRODUCTS = words(
    """conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d linear matmul mm bmm addmm batch_norm
    mul div"""
)
# They work on each value alone; what their tangent adds is counted.
_ELEMENTWISE = words(
    """relu6 hardtanh clamp clamp_min clip threshold elu selu celu gelu silu mish hardswish hardsigmoid sigmoid tanh
    softplus softsign hardshrink softshrink tanhshrink logsigmoid"""
)
# They ask about values or copy them and make none that a score could depend on otherwise.
_HARMLESS = (
    MOVES | MADE_FROM_SHAPES | words("size dim numel shape ndim dtype device is_floating_point empty setdefault")
)


class BiasReader:
    """Runs each operation of a pass as it is, and notes what it adds of its own.

    Attributes:
        found: By site, what its operation adds, in the shape of its result.
        untreated: By site, an operation of which that cannot be said.
    """

    def __init__(self) -> None:
        self.found: dict[str, Tensor] = {}
        self.untreated: dict[str, str] = {}

    def __call__(
        self, function: Callable[..., Any], op: str, site: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of the operation."""
        depending = [tensor for tensor in tensors_in((args, kwargs)) if tensor.requires_grad]
        if not depending or op in _HARMLESS or (op in _HOMOGENEOUS and not _has_rival(op, args, kwargs)):
            return function(*args, **kwargs)
        added = None
        if op in _AFFINE and _is_affine(op, args, kwargs, depending):
            added = _at_zero(function, args, kwargs)
        elif op in _ELEMENTWISE and len(depending) == 1 and depending[0] is (args[0] if args else kwargs.get("input")):
            added = _of_tangent(function, args, kwargs)
        result = function(*args, **kwargs)
        for part, _ in floating_tensors(result):
            # A leaf of several such operations adds more than one thing, and not all of it at its end.
            if added is None or part or site in self.found:
                self.untreated[site + part] = op
            else:
                self.found[site] = added
        return result

    def gradients(self, slopes: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """What each operation adds times the slope at its site, for sites on which the score depends.

        Raises:
            MethodError: The score depends on an operation of which nobody can say what it adds.
        """
        for site, op in self.untreated.items():
            if slopes.get(site) is not None:
                raise MethodError(
                    f"site {site!r} ({op}) is not affine and no activation, so what it adds of its own is not defined; "
                    "use integrated-gradients."
                )
        made = {site: (added, slopes.get(site)) for site, added in self.found.items()}
        return {site: added * slope for site, (added, slope) in made.items() if slope is not None}


def _has_rival(op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the larger of two tensors is taken, one of which may be a constant."""
    return op in ("max", "min") and len(tensors_in((args, kwargs))) > 1


def _is_affine(op: str, args: tuple[Any, ...], kwargs: dict[str, Any], depending: list[Tensor]) -> bool:
    if op not in _PRODUCTS:
        return True
    if len(depending) > 1:
        return False
    if op == "div":
        return depending[0] is args[0]
    if op == "batch_norm":  # by the statistics of the batch it is not affine
        means = args[1] if len(args) > 1 else kwargs.get("running_mean")
        training = args[5] if len(args) > 5 else kwargs.get("training", False)
        return means is not None and not training
    return True


def _at_zero(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    target = written_in_place(function, args, kwargs)

    def zeroed(argument: Any) -> Any:
        if isinstance(argument, Tensor):
            if argument.requires_grad:
                return torch.zeros_like(argument)
            return argument.clone() if argument is target else argument
        if isinstance(argument, list | tuple):
            return type(argument)(zeroed(each) for each in argument)
        return argument

    with torch.no_grad():
        made: Tensor = function(*map(zeroed, args), **{name: zeroed(value) for name, value in kwargs.items()})
    return made


def _of_tangent(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    given = args[0] if args else kwargs["input"]
    rest = {name: value for name, value in kwargs.items() if name != "input"}
    with torch.enable_grad():
        leaf: Tensor = given.detach().clone().requires_grad_()
        value: Tensor = function(leaf.clone(), *args[1:], **rest)
        slope = derivative(value.sum(), [leaf])[0]
    assert slope is not None
    return (value - leaf * slope).detach()
