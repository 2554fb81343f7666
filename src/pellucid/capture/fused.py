"""A pass of the model's own code in a faster form: batch norms folded, channels last, and where wanted in bfloat16.

The model is not touched. Its convolutions are intercepted and run with other weights, copies that hold the batch norm
behind them; that one then hands on what it is given. Which belong together, one recorded pass says. In bfloat16
convolutions and what lies between them are computed; everything else, pooling over all positions and the head above
all, in float32.
"""

import weakref
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.capture.folding import folded, is_fixed
from pellucid.capture.operations import MOVES, READS_VALUES, tensors_in, words, written_in_place
from pellucid.capture.program import Program
from pellucid.capture.tape import mapped

_HALVED = words(
    """conv2d relu relu_ relu6 hardtanh leaky_relu elu selu celu gelu silu hardswish hardsigmoid sigmoid tanh softplus
    clamp max_pool2d avg_pool2d dropout dropout2d feature_dropout cat add sub mul contiguous clone pad"""
)
"""Operations that stay in bfloat16 where they are given it."""


class LeftFusedError(Exception):
    """A pass has gone another way than the recorded one, and what was computed is of no use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A convolution as it is run instead.

    Attributes:
        own: The model's weight, by which the call is known.
        weight: What is taken in its place.
        bias: The same.
        norm: The site of the batch norm that it does as well; nothing where there is none.
    """

    own: weakref.ref[Tensor]
    weight: Tensor
    bias: Tensor | None
    norm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """What can be run in a faster form.

    Attributes:
        layers: The convolutions by site.
        half: Whether they are run in bfloat16.
        most_bytes: The memory of the largest map of one item on the way.
    """

    layers: dict[str, _Layer]
    half: bool
    most_bytes: int

    @classmethod
    def of(cls, program: Program, *, half: bool, keep: Collection[str] = ()) -> "Fused | None":
        """From a recorded pass; None where it holds no convolution of pictures.

        Args:
            program: The pass on one item.
            half: Whether to run in bfloat16.
            keep: Sites whose values somebody looks at: they stay what they are.
        """
        uses: dict[int, int] = {}
        for step in program.steps:
            for number in step.inputs:
                uses[number] = uses.get(number, 0) + 1
        layers = {}
        for place, step in enumerate(program.steps):
            own = step.argument(1, "weight")
            if step.op != "conv2d" or not isinstance(own, Tensor) or not own.is_floating_point():
                continue
            after = program.steps[place + 1] if place + 1 < len(program.steps) else None
            weight, bias, norm = own.detach(), step.argument(2, "bias"), ""
            if (
                after is not None
                and after.op == "batch_norm"
                and after.inputs == step.results
                and is_fixed(after)
                and uses[step.results[0]] == 1
                and step.site not in keep
            ):
                weight, bias = folded(step, after)
                norm = after.site
            dtype = torch.bfloat16 if half else weight.dtype
            layers[step.site] = _Layer(
                own=weakref.ref(own),
                weight=weight.to(dtype).contiguous(memory_format=torch.channels_last),
                bias=None if bias is None else bias.detach().to(dtype),
                norm=norm,
            )
        maps = [value.nbytes for value in program.values if value.dim() == 4]
        return cls(layers=layers, half=half, most_bytes=max(maps)) if layers else None

    def prepared(self, x: Tensor) -> Tensor:
        """The batch in the layout, and the type, in which convolutions take it."""
        x = x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
        return x.to(torch.bfloat16) if self.half else x


@dataclass(slots=True)
class FusedRun:
    """An interceptor of one pass in the faster form.

    Attributes:
        fused: What can be run so.
    """

    fused: Fused
    _pending: tuple[weakref.ref[Tensor], str] | None = field(default=None)

    def __call__(
        self, function: Callable[..., Any], op: str, site: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run an operation.

        Raises:
            LeftFusedError: What a convolution returned with its batch norm in it goes somewhere else.
        """
        given = tensors_in((args, kwargs))
        if self._pending is not None:
            made, norm = self._pending[0](), self._pending[1]
            if made is not None and any(each is made for each in given):
                if site == norm and op == "batch_norm":
                    self._pending = None
                    return made
                if not self._only_looks(function, args, kwargs):
                    raise LeftFusedError
        layer = self.fused.layers.get(site) if op == "conv2d" else None
        if layer is not None and len(args) == 7 and args[1] is layer.own():
            self.finish()
            made = F.conv2d(args[0].to(layer.weight.dtype), layer.weight, layer.bias, *args[3:])
            self._pending = (weakref.ref(made), layer.norm) if layer.norm else None
            return made
        stays = op in _HALVED or op in MOVES or written_in_place(function, args, kwargs) is not None
        if self.fused.half and not stays:
            args, kwargs = mapped(args, _widened), mapped(kwargs, _widened)
        if op == "view" and isinstance(args[0], Tensor) and not args[0].is_contiguous():
            # With channels last there is no view over positions; the model's own layout has one.
            args = (args[0].contiguous(), *args[1:])
        return function(*args, **kwargs)

    @staticmethod
    def _only_looks(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether a call asks for a shape or a type."""
        if function in READS_VALUES or written_in_place(function, args, kwargs) is not None:
            return False
        return not tensors_in(function(*args, **kwargs))

    def finish(self) -> None:
        """To be called after the pass.

        Raises:
            LeftFusedError: A batch norm that was taken over has not come.
        """
        if self._pending is not None:
            raise LeftFusedError


def _widened(tensor: Any) -> Any:
    return tensor.float() if isinstance(tensor, Tensor) and tensor.dtype == torch.bfloat16 else tensor


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16, rather than imitating it slowly."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capable = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return device.type == "cpu" and capable is not None and bool(capable())
