"""Which pixels a position of a site can see, as exact arithmetic along the dataflow graph.

Along one axis, position `i` sees the pixels from `low + stride · i` to `high + stride · i`, both included. A
convolution or a pooling with kernel k, stride s, padding p and dilation d turns (stride, low, high) into (stride · s,
low − stride · p, high + stride · (d · (k − 1) − p)); where branches meet, the union is taken. After an operation that
looks at every position (global pooling, a linear layer over positions, group norm) or at unknown ones, there is no
field.

Reference:
    Araujo et al., Computing Receptive Fields of Convolutional Neural Networks, Distill 2019.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.capture.operations import KINDS, MOVES
from pellucid.capture.positions import Axis, Field, moved

# They work on each position alone, whatever the other settings are.
_POINTWISE = frozenset(
    {op for op, kind in KINDS.items() if kind in ("activation", "dropout")} - {"glu"}
    | {
        "batch_norm",
        "local_response_norm",
        "identity",
        "add",
        "sub",
        "mul",
        "div",
        "neg",
        "abs",
        "exp",
        "log",
        "sqrt",
        "rsqrt",
        "pow",
        "square",
        "maximum",
        "minimum",
        "clone",
        "sin",
        "cos",
        "erf",
        "floor",
        "ceil",
        "round",
        "sign",
        "where",
        "clamp_min",
        "clamp_max",
        "lerp",
        "addcmul",
        "addcdiv",
        "reciprocal",
        "copy",
        "masked_fill",
        *("gt", "lt", "ge", "le", "eq", "ne", "isnan", "isfinite", "logical_and", "logical_or", "logical_not"),
        "setitem",
        "rsub",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptiveField:
    """Which pixels a position of a site can see, per axis (height, width), in pixels of the prepared picture.

    Attributes:
        size: How many pixels one position sees.
        stride: How many pixels lie between two neighbouring positions.
        offset: The first pixel that position 0 sees; negative where it reaches into the padding.
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: tuple[int, ...]

    def at(self, *position: int) -> tuple[tuple[int, int], ...]:
        """The pixels [first, end) that a position sees along each axis, also outside the picture."""
        return tuple(
            (offset + stride * i, offset + stride * i + size)
            for i, size, stride, offset in zip(position, self.size, self.stride, self.offset, strict=True)
        )

    def clipped(self, *position: int, picture: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """The same, cut at a picture of the given sides."""
        return tuple(
            (min(max(first, 0), side), min(max(end, 0), side))
            for (first, end), side in zip(self.at(*position), picture, strict=True)
        )


def of_input(dimensions: int) -> Field | None:
    """The field of a prepared input (batch, channels, positions …): each position sees itself."""
    if dimensions < 3:
        return None
    return Field((Axis(1, 0, 0),) * (dimensions - 2), tuple(range(2, dimensions)))


def public(field: Field | None) -> ReceptiveField | None:
    """A field as users see it; None also where height and width have changed places."""
    if field is None or list(field.dims) != sorted(field.dims):
        return None
    return ReceptiveField(
        size=tuple(a.high - a.low + 1 for a in field.axes),
        stride=tuple(a.stride for a in field.axes),
        offset=tuple(a.low for a in field.axes),
    )


def after(
    op: str,
    settings: Mapping[str, Any],
    parents: Sequence[tuple[Field | None, tuple[int, ...]]],
    shape: tuple[int, ...],
) -> Field | None:
    """The field after an operation, or None where there is none.

    Args:
        op: The operation's name.
        settings: Its settings by name.
        parents: Field and shape of each tensor that comes from the input.
        shape: The shape of the result.
    """
    fields = [field for field, _ in parents]
    if not fields or any(field is None for field in fields):
        return None
    first, before = fields[0], parents[0][1]
    assert first is not None
    if op in MOVES:
        return moved(op, settings, first, before, shape)
    if op == "batch_norm" and (settings.get("training") is True or settings.get("track_running_stats") is False):
        return None  # normalised by the mean over all positions
    if op == "setitem" and "index" not in settings:
        return None  # a mask or a list of indices may put anything anywhere
    if op in _POINTWISE or KINDS.get(op) == "concat":
        return _united([f for f in fields if f is not None], [s for _, s in parents], shape, op, settings)
    if op in ("conv1d", "conv2d", "conv3d") or (
        KINDS.get(op) == "pool" and not op.startswith(("adaptive", "fractional"))
    ):
        in_order = first.dims == tuple(range(len(shape) - len(first.dims), len(shape)))
        return _windowed(first, settings, pooling=not op.startswith("conv")) if in_order else None
    if op.startswith("adaptive"):
        return _adaptive(first, before, shape)
    if op == "pad":
        return _padded(first, settings, len(before))
    if op in ("softmax", "log_softmax"):
        dim = settings.get("dim")
        return first if isinstance(dim, int) and dim % len(shape) not in first.dims else None
    if op in ("layer_norm", "rms_norm"):
        depth = settings.get("normalized_shape", ())
        depth = 1 if isinstance(depth, int) else len(depth)
        return first if depth and all(dim < len(shape) - depth for dim in first.dims) else None
    if op in ("mean", "sum", "amax", "amin", "max", "min"):
        return _reduced(first, settings, before, shape)
    if op == "linear":
        return first if len(shape) - 1 not in first.dims else None
    return None


def _united(
    fields: list[Field], shapes: list[tuple[int, ...]], shape: tuple[int, ...], op: str, settings: Mapping[str, Any]
) -> Field | None:
    if KINDS.get(op) == "concat" and (
        op == "stack"
        or not isinstance(settings.get("dim", 0), int)
        or settings.get("dim", 0) % len(shape) in fields[0].dims
    ):
        return None
    united = fields[0]
    for field, other in zip(fields, shapes, strict=True):
        spread = [dim for dim in field.dims if dim >= len(other) or other[dim] != shape[dim]]
        if (
            field.dims != united.dims
            or spread
            or any(a.stride != b.stride for a, b in zip(field.axes, united.axes, strict=True))
        ):
            return None
        axes = zip(united.axes, field.axes, strict=True)
        united = Field(tuple(Axis(a.stride, min(a.low, b.low), max(a.high, b.high)) for a, b in axes), united.dims)
    return united


def _windowed(field: Field, settings: Mapping[str, Any], *, pooling: bool) -> Field | None:
    if "kernel_size" not in settings:
        return None
    count = len(field.axes)
    kernel = _per_axis(settings["kernel_size"], count)
    stride = _per_axis(settings.get("stride") or (kernel if pooling else 1), count)
    dilation = _per_axis(settings.get("dilation", 1), count)
    padding = settings.get("padding", 0)
    if settings.get("padding_mode", "zeros") != "zeros" and padding not in (0, "valid", (0,) * count):
        return None  # reflected or repeated borders let a position see pixels elsewhere
    if padding == "same":
        padding = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
    padding = (0,) * count if padding == "valid" else _per_axis(padding, count)
    axes = tuple(
        Axis(a.stride * s, a.low - a.stride * p, a.high + a.stride * (d * (k - 1) - p))
        for a, k, s, d, p in zip(field.axes, kernel, stride, dilation, padding, strict=True)
    )
    return Field(axes, field.dims)


def _adaptive(field: Field, before: tuple[int, ...], shape: tuple[int, ...]) -> Field | None:
    axes = []
    for axis, dim in zip(field.axes, field.dims, strict=True):
        if before[dim] % shape[dim] or (shape[dim] == 1 and before[dim] > 1):
            return None  # windows of uneven size, or one window over everything
        window = before[dim] // shape[dim]
        axes.append(Axis(axis.stride * window, axis.low, axis.high + axis.stride * (window - 1)))
    return Field(tuple(axes), field.dims)


def _reduced(
    field: Field, settings: Mapping[str, Any], before: tuple[int, ...], shape: tuple[int, ...]
) -> Field | None:
    """A mean or a maximum over dimensions that are no positions, such as the channels."""
    dims = settings.get("dim")
    dims = (dims,) if isinstance(dims, int) and not isinstance(dims, bool) else dims
    if not isinstance(dims, list | tuple) or not dims:
        return None
    gone = {dim % len(before) for dim in dims}
    if gone & set(field.dims):
        return None
    kept = len(shape) == len(before)
    return Field(field.axes, tuple(dim if kept else dim - sum(g < dim for g in gone) for dim in field.dims))


def _padded(field: Field, settings: Mapping[str, Any], dimensions: int) -> Field | None:
    widths = settings.get("pad", settings.get("padding"))
    if not isinstance(widths, list | tuple) or settings.get("mode", "constant") != "constant":
        return None  # reflected or repeated borders let a position see pixels elsewhere
    axes = list(field.axes)
    for pair in range(len(widths) // 2):
        dim, left = dimensions - 1 - pair, int(widths[2 * pair])
        if dim in field.dims:
            place = field.dims.index(dim)
            axis = axes[place]
            axes[place] = Axis(axis.stride, axis.low - axis.stride * left, axis.high - axis.stride * left)
    return Field(tuple(axes), field.dims)


def _per_axis(value: object, count: int) -> tuple[int, ...]:
    if isinstance(value, list | tuple):
        return tuple(int(v) for v in value) if len(value) == count else (int(value[0]),) * count
    return (int(value),) * count  # type: ignore[call-overload]
