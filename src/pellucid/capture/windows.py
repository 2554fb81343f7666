"""What a model answers to variants of a picture that differ from it in a window: only what a window can change is run.

Tiles go through the operations of one recorded pass, layer by layer; where they cover most of the map, whole maps do.
Where an operation comes that mixes all positions, the model itself goes on, with the maps put in at their sites. The
answer is that of whole pictures, up to rounding.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.capture.folding import folded, is_fixed
from pellucid.capture.operations import words
from pellucid.capture.program import Program, Step, Value
from pellucid.capture.tiles import Span, Tiles, Window, joined, moved

COVERED = 0.8
"""From this share of a map on, whole maps are faster."""
_POINTWISE = words(
    """relu relu6 hardtanh leaky_relu elu selu celu gelu silu mish hardswish hardsigmoid sigmoid tanh softplus softsign
    hardshrink softshrink threshold logsigmoid tanhshrink clamp clamp_min clamp_max neg contiguous clone exp sqrt square
    abs pow"""
)
_ARITHMETIC = words("add sub mul div maximum minimum")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """Where tiles end.

    Attributes:
        maps: The variants' values at each site from which the model goes on, (variants, channels, height, width).
        covered: The site from which on tiles were whole maps, or None.
    """

    maps: Mapping[str, Tensor]
    covered: str | None


class Incremental:
    """A recorded pass that can be run on tiles.

    Args:
        program: The pass on one item.
        output: The numbers of the values that its output consists of.
        before: A site that the model itself must come by, or None.
        half: Run tiles in bfloat16; what they end in is float32 again.
    """

    def __init__(self, program: Program, output: list[int], *, before: str | None = None, half: bool = False) -> None:
        self._program = program
        self._dtype = torch.bfloat16 if half else program.values[0].dtype
        self._makers = program.makers()
        self._last_use = {number: place for place, step in enumerate(program.steps) for number in step.inputs}
        self._last_use |= dict.fromkeys(output, len(program.steps))
        self._made_at = {number: place for place, step in enumerate(program.steps) for number in step.results}
        self._folded = _all_folded(program.steps, program.values, self._last_use, self._dtype)
        self._stops = self._possible_stops(before)
        reached = program.steps[: self._stops[-1]] if self._stops else []
        # What is known of the pass, in the type in which tiles come.
        self._bases = {number: self._typed(program.values[number]) for step in reached for number in step.results}
        self._bases[0] = self._typed(program.values[0])

    @property
    def is_possible(self) -> bool:
        """Whether at least one step can be run on tiles."""
        return bool(self._stops)

    @property
    def is_half(self) -> bool:
        """Whether tiles are run in bfloat16."""
        return self._dtype == torch.bfloat16

    @property
    def most_bytes(self) -> int:
        """The memory of the largest map on the way."""
        return max(base.nbytes for base in self._bases.values())

    def _typed(self, value: Tensor) -> Tensor:
        return value.to(self._dtype).contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def run(self, variants: Tensor, boxes: Tensor) -> Frontier:
        """Tiles of some variants, as far as they go.

        Args:
            variants: (variants, channels, height, width): whole, or at least right inside of their boxes.
            boxes: int64 (variants, 4): top, left, bottom, right of where each differs.
        """
        base = self._bases[0]
        rows, columns = (Span.around(boxes[:, axis], boxes[:, axis + 2], base.shape[2 + axis]) for axis in (0, 1))
        y, x = (span.start[:, None] + torch.arange(span.length, device=base.device) for span in (rows, columns))
        number = torch.arange(len(variants), device=base.device)[:, None, None]
        tile = variants.permute(0, 2, 3, 1)[number, y[:, :, None], x[:, None, :]].to(self._dtype)
        known = {0: Tiles(base, tile, rows, columns)}
        covered = None
        for place, step in enumerate(self._program.steps[: self._stops[-1]]):
            made = self._made(place, step, known)
            if made.share > COVERED:
                covered, made = covered or step.site, made.widened()
            known[step.results[0]] = made
            for spare in [each for each in known if self._last_use.get(each, -1) <= place]:
                del known[spare]
        ends = {self._makers[each]: tiles.maps().to(self._program.values[each].dtype) for each, tiles in known.items()}
        return Frontier(maps=ends, covered=covered)

    def _made(self, place: int, step: Step, known: dict[int, Tiles]) -> Tiles:
        # A convolution that takes over a norm returns what that does.
        last = self._program.steps[place + 1] if place in self._folded.over else step
        base = self._bases[last.results[0]]
        given = [known[number] for number in step.inputs]
        if place in self._folded.skipped:
            return given[0].each(given[0].tile, base)
        if step.op == "conv2d":
            return _convolved(given[0], step, base, self._folded.weights[place])
        if step.op in ("max_pool2d", "avg_pool2d"):
            return _pooled(given[0], step, base)
        given = joined(given) if len(given) > 1 else given
        if step.op == "cat":
            order = [given[step.inputs.index(value.number)] for value in step.argument(0, "tensors")]
            return given[0].each(torch.cat([each.tile for each in order], dim=3), base)
        tiles = {number: each.tile.permute(0, 3, 1, 2) for number, each in zip(step.inputs, given, strict=True)}
        args, kwargs = _filled(step.args, tiles), _filled(step.kwargs, tiles)
        # A constant of the model's may be of a finer type.
        made = step.function(*args, **kwargs).to(self._dtype)
        return given[0].each(made.permute(0, 2, 3, 1), base)

    def _possible_stops(self, before: str | None) -> list[int]:
        """After how many steps the model can go on: all that is used later is what a site returns."""
        if not self._program.is_whole:
            return []
        stops = []
        for place, step in enumerate(self._program.steps):
            if step.site == before or not _is_supported(step, self._program.values):
                break
            live = [
                number
                for number, used in self._last_use.items()
                if used > place and (number == 0 or self._made_at.get(number, place + 1) <= place)
            ]
            if all(number in self._makers for number in live) and place + 1 not in self._folded.skipped:
                stops.append(place + 1)
        return stops


@dataclass(slots=True)
class _Folded:
    """The weights of convolutions; some take over the batch norm behind them.

    Attributes:
        weights: By step, its weight and bias.
        over: The steps that do the next one as well.
        skipped: The steps that are done by the one before.
    """

    weights: dict[int, tuple[Tensor, Tensor | None]] = field(default_factory=dict)
    over: set[int] = field(default_factory=set)
    skipped: set[int] = field(default_factory=set)


def _all_folded(steps: list[Step], values: list[Tensor], last_use: Mapping[int, int], dtype: torch.dtype) -> _Folded:
    found = _Folded()
    for place, step in enumerate(steps):
        if step.op != "conv2d" or not _is_supported(step, values):
            continue
        after = steps[place + 1] if place + 1 < len(steps) else None
        weight, bias = step.argument(1, "weight").detach(), step.argument(2, "bias")
        follows = after is not None and after.op == "batch_norm" and after.inputs == step.results
        if after is not None and follows and last_use[step.results[0]] == place + 1 and _is_supported(after, values):
            weight, bias = folded(step, after)
            found.over.add(place)
            found.skipped.add(place + 1)
        # The layout and the type in which tiles come.
        weight = weight.to(dtype).contiguous(memory_format=torch.channels_last)
        found.weights[place] = weight, None if bias is None else bias.detach().to(dtype)
    return found


def _is_supported(step: Step, values: list[Tensor]) -> bool:
    maps = [values[number] for number in (*step.inputs, *step.results)]
    if len(step.results) != 1 or any(each.dim() != 4 or not each.is_floating_point() for each in maps):
        return False
    if step.op == "conv2d":
        weight = step.argument(1, "weight")
        return isinstance(weight, Tensor) and _window(step) is not None
    if step.op in ("max_pool2d", "avg_pool2d"):
        return _window(step) is not None
    if step.op == "batch_norm":
        return is_fixed(step)
    if step.op == "dropout" or step.op == "dropout2d":
        return step.argument(2, "training", True) is False
    if step.op == "cat":
        tensors = step.argument(0, "tensors")
        return all(isinstance(each, Value) for each in tensors) and step.argument(1, "dim", 0) in (1, -3)
    same = all(each.shape == maps[-1].shape for each in maps)
    if step.op in _ARITHMETIC:
        others = [each for each in (*step.args, *step.kwargs.values()) if isinstance(each, Tensor)]
        return same and all(each.dim() == 0 or _is_per_channel(each) for each in others)
    return step.op in _POINTWISE and same and not any(isinstance(each, Tensor) for each in step.args)


def _is_per_channel(tensor: Tensor) -> bool:
    return (
        tensor.dim() in (3, 4)
        and tensor.shape[-1] == tensor.shape[-2] == 1
        and tensor.shape[0] in (1, tensor.shape[-3])
    )


def _pair(value: Any) -> tuple[int, int]:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[-1]))


def _window(step: Step) -> Window | None:
    """How a convolution or pooling moves; None for one that is not done on tiles."""
    if step.op == "conv2d":
        weight, padding = step.argument(1, "weight"), step.argument(4, "padding", 0)
        dilation = _pair(step.argument(5, "dilation", 1))
        kernel = tuple(d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True))
        if isinstance(padding, str):
            if padding == "same" and any(k % 2 == 0 for k in kernel):
                return None
            padding = [(k - 1) // 2 for k in kernel] if padding == "same" else 0
        stride = _pair(step.argument(3, "stride", 1))
        return Window((kernel[0], kernel[1]), stride, _pair(padding))
    kernel, stride = step.argument(1, "kernel_size"), step.argument(2, "stride")
    padding = step.argument(3, "padding", 0)
    if step.op == "max_pool2d":
        plain = _pair(step.argument(4, "dilation", 1)) == (1, 1)
    else:
        counted = step.argument(5, "count_include_pad", True) or _pair(padding) == (0, 0)
        plain = counted and not step.argument(4, "ceil_mode", False) and step.argument(6, "divisor_override") is None
    if not plain:
        return None
    return Window(_pair(kernel), _pair(kernel if stride is None or stride == [] else stride), _pair(padding))


def _convolved(x: Tiles, step: Step, base: Tensor, weights: tuple[Tensor, Tensor | None]) -> Tiles:
    window = _window(step)
    assert window is not None
    weight, bias = weights
    dilation, groups = _pair(step.argument(5, "dilation", 1)), step.argument(6, "groups", 1)
    if x.is_whole:
        found = F.conv2d(x.maps(), weight, bias, window.stride, window.padding, dilation, groups)
        return _everywhere(found, base)
    region, rows, columns = moved(x, window, base, fill=0.0)
    found = F.conv2d(region, weight, bias, window.stride, 0, dilation, groups)
    return Tiles(base, found.permute(0, 2, 3, 1).contiguous(), rows, columns)


def _pooled(x: Tiles, step: Step, base: Tensor) -> Tiles:
    window = _window(step)
    assert window is not None
    most = step.op == "max_pool2d"
    if x.is_whole:
        maps = {step.inputs[0]: x.maps()}
        return _everywhere(step.function(*_filled(step.args, maps), **_filled(step.kwargs, maps)), base)
    region, rows, columns = moved(x, window, base, fill=float("-inf") if most else 0.0)
    pool: Callable[..., Tensor] = F.max_pool2d if most else F.avg_pool2d
    found = pool(region, window.kernel, window.stride)
    return Tiles(base, found.permute(0, 2, 3, 1).contiguous(), rows, columns)


def _everywhere(maps: Tensor, base: Tensor) -> Tiles:
    height, width = base.shape[2:]
    zero = torch.zeros(len(maps), dtype=torch.long, device=maps.device)
    spans = Span.around(zero, zero + height, height), Span.around(zero, zero + width, width)
    return Tiles(base, maps.permute(0, 2, 3, 1).contiguous(), *spans)


def _filled(arguments: Any, tiles: Mapping[int, Tensor]) -> Any:
    if isinstance(arguments, Value):
        return tiles[arguments.number]
    if isinstance(arguments, list | tuple):
        return type(arguments)(_filled(item, tiles) for item in arguments)
    if isinstance(arguments, dict):
        return {name: _filled(item, tiles) for name, item in arguments.items()}
    return arguments
