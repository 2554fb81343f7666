"""Filters as pictures: the kernels of a convolution in colour or on a signed scale, and 1 x 1 kernels as a matrix."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from pellucid.errors import SettingError
from pellucid.figures.colour import NOT_FINITE, ZERO, palette, signed
from pellucid.figures.grid import Box
from pellucid.figures.legend import strip
from pellucid.figures.lettering import line_height, text_width
from pellucid.figures.numbers import number
from pellucid.figures.tiles import GAP, LARGEST, SMALL, KernelFigure, Section, figure, frame, grid_of, paper, put

Scaling = Literal["filter", "shared"]

_BAR, _WIDE = 240, 640
_SECTIONS, _KERNELS, _KERNELS_OF_CHOSEN = 8, 16, 256
"""Output channels that are drawn where nobody chose any, kernels of each, and kernels of channels that were chosen."""
GREY = 128
"""What 0 is drawn as in colour."""


def colour_kernels(
    kernels: np.ndarray,
    *,
    labels: Sequence[str],
    scale: Scaling = "filter",
    columns: int = 8,
    cell: int = 64,
    title: str = "",
    lines: Sequence[str] = (),
) -> KernelFigure:
    """Draw filters on three colours as pictures: mid-grey is 0, and each channel of colour is one of the inputs.

    Args:
        kernels: (filters, 3, height, width); the inputs are red, green and blue.
        labels: What stands below each.
        scale: "filter": each from minus to plus its own largest absolute weight, which stands below it; "shared": all
            on one scale.
        columns: Filters in a row.
        cell: A filter is drawn at least this many pixels wide or high.
        title: A line above.
        lines: Sentences below the legend.
    """
    kernels = np.asarray(kernels, dtype=np.float64)
    if kernels.ndim != 4 or kernels.shape[1] != 3 or kernels.size == 0:
        raise SettingError("kernels", given=kernels.shape, expected="the shape (filters, 3, height, width)")
    _checked(len(kernels), labels, scale)
    limits = _limits(kernels, scale)
    safe = np.where(limits > 0, limits, 1)[:, None, None, None]
    finite = np.isfinite(kernels)
    # Symmetric about 0: minus the weight gives the complementary colour.
    levels = np.rint(GREY + 127 * np.clip(np.where(finite, kernels, 0) / safe, -1, 1)).astype(np.uint8)
    tiles = np.moveaxis(levels, 1, 3)
    tiles[~finite.all(axis=1)] = palette("signed")[NOT_FINITE]
    body, boxes, factor = grid_of([Section("", tiles, _below(labels, limits, scale))], columns=columns, cell=cell)
    said = [
        "Mid-grey is 0. Red, green and blue show the weights on the three colours of the prepared picture; a negative "
        "weight darkens its colour.",
        *_scale_lines(limits, scale, "filter"),
        *_not_finite(kernels),
        *lines,
    ]
    return figure(body, boxes, _ramps(_ends(limits, scale)), said, limits=limits, factor=factor, title=title)


def signed_kernels(
    sections: Sequence[Section],
    *,
    scale: Scaling = "shared",
    columns: int = 16,
    cell: int = 28,
    title: str = "",
    lines: Sequence[str] = (),
) -> KernelFigure:
    """Draw kernels on single inputs: blue is negative, white is 0, red is positive.

    Args:
        sections: Kernels (count, height, width), each group with its heading.
        scale: "filter": each kernel from minus to plus its own largest absolute weight, which stands below it;
            "shared": all on one scale.
        columns: Kernels in a row.
        cell: A kernel is drawn at least this many pixels wide or high.
        title: A line above.
        lines: Sentences below the legend.
    """
    if not sections or any(part.kernels.ndim != 3 or part.kernels.size == 0 for part in sections):
        given = [part.kernels.shape for part in sections]
        raise SettingError("sections", given=given, expected="one or more, with kernels (count, height, width)")
    for part in sections:
        _checked(len(part.kernels), part.labels, scale)
    kernels = np.concatenate([part.kernels for part in sections]).astype(np.float64)
    limits = _limits(kernels, scale)
    drawn, first = [], 0
    for part in sections:
        own = limits[first : first + len(part.kernels)]
        entries = np.stack(
            [
                signed(np.asarray(each, dtype=np.float64), float(end))
                for each, end in zip(part.kernels, own, strict=True)
            ]
        )
        tiles = palette("signed")[entries]
        drawn.append(Section(part.heading, tiles, _below(part.labels, own, scale)))
        first += len(part.kernels)
    body, boxes, factor = grid_of(drawn, columns=columns, cell=cell)
    said = [*_scale_lines(limits, scale, "kernel"), *_not_finite(kernels), *lines]
    return figure(body, boxes, _signed_bar(_ends(limits, scale)), said, limits=limits, factor=factor, title=title)


def matrix(
    values: np.ndarray, *, numbers: Sequence[int] | None = None, title: str = "", lines: Sequence[str] = ()
) -> KernelFigure:
    """Draw a matrix of weights, one square for each: outputs below each other, inputs side by side.

    Args:
        values: (outputs, inputs).
        numbers: Of the outputs; from 0 on unless given.
        title: A line above.
        lines: Sentences below the legend.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.size == 0:
        raise SettingError("values", given=values.shape, expected="the shape (outputs, inputs), not empty")
    height, width = values.shape
    names = list(range(height)) if numbers is None else list(numbers)
    _checked(height, [str(name) for name in names], "shared")
    limits = _limits(values[None], "shared")
    skip = 1
    while values.size > LARGEST * skip * skip:
        skip += 1
    grow = 1 if skip > 1 else max(1, min(_WIDE // max(height, width), 24))
    tile = palette("signed")[signed(values, float(limits[0]))][::skip, ::skip].repeat(grow, axis=0).repeat(grow, axis=1)
    tall, wide = tile.shape[:2]
    line = line_height(SMALL)
    first, last = f"output {names[0]}", f"{names[-1]}"
    left = text_width(first, size=SMALL) + GAP
    body = paper(line + max(tall, line) + 1, left + max(wide, 120) + 1)
    body[line : line + tall, left : left + wide] = tile
    box = Box(left, line, wide, tall)
    frame(body, box)
    put(body, "input 0", left=left, top=0, size=SMALL)
    end = left + wide - text_width(str(width - 1), size=SMALL)
    if end > left + text_width("input 0", size=SMALL) + GAP:
        put(body, str(width - 1), left=end, top=0, size=SMALL)
    put(body, first, left=0, top=line, size=SMALL)
    if tall > 2 * line:
        put(body, last, left=left - GAP - text_width(last, size=SMALL), top=line + tall - line, size=SMALL)
    drawn = f"each weight drawn {grow} x {grow}" if skip == 1 else f"too large to draw whole: every {skip}th each way"
    said = [f"{height} outputs x {width} inputs, {drawn}.", *_not_finite(values), *lines]
    return figure(body, (box,), _signed_bar(float(limits[0])), said, limits=limits, factor=grow, title=title)


def _checked(count: int, labels: Sequence[str], scale: str) -> None:
    if len(labels) != count:
        raise SettingError("labels", given=len(labels), expected=f"{count}, one for each kernel")
    if scale not in ("filter", "shared"):
        raise SettingError("scale", given=scale, expected="'filter' (each its own) or 'shared' (one for all)")


def _limits(kernels: np.ndarray, scale: Scaling) -> np.ndarray:
    """The largest absolute finite weight of each kernel, or of all."""
    sizes = np.where(np.isfinite(kernels), np.abs(kernels), 0).reshape(len(kernels), -1).max(axis=1)
    # What is a thousandth of the usual is no filter any more: its own scale would show noise in full colour.
    faint = sizes < 1e-3 * np.median(sizes)
    if scale == "shared":
        return np.full(len(kernels), sizes.max())
    limits: np.ndarray = np.where(faint, sizes.max(), sizes)
    return limits


def _below(labels: Sequence[str], limits: np.ndarray, scale: Scaling) -> tuple[str, ...]:
    if scale == "shared":
        return tuple(labels)
    return tuple(f"{label}\nscale {number(limit, digits=2)}" for label, limit in zip(labels, limits, strict=True))


def _ends(limits: np.ndarray, scale: Scaling) -> float | None:
    return float(limits[0]) if scale == "shared" else None


def _scale_lines(limits: np.ndarray, scale: Scaling, what: str) -> list[str]:
    low, high = float(limits.min()), float(limits.max())
    if scale == "shared":
        return [f"One scale for all, up to the largest absolute weight, {number(high)}."]
    return [f"Each {what} on its own scale, up to the number below it: {number(low)} to {number(high)} over all."]


def _not_finite(kernels: np.ndarray) -> list[str]:
    bad = int(np.count_nonzero(~np.isfinite(kernels)))
    return [f"Not finite (magenta): {number(bad)} {'weight' if bad == 1 else 'weights'}."] if bad else []


def _ramps(limit: float | None) -> np.ndarray:
    """Three bars, from minus to plus the limit in one colour while the others stay at 0."""
    step = np.rint(GREY + 127 * np.linspace(-1, 1, _BAR)).astype(np.uint8)
    bars = np.full((30, _BAR, 3), GREY, dtype=np.uint8)
    for colour in range(3):
        bars[colour * 10 : colour * 10 + 10, :, colour] = step
    return np.concatenate([bars, _ticks(limit)])


def _signed_bar(limit: float | None) -> np.ndarray:
    ends = ("minus scale", "plus scale") if limit is None else (number(-limit), number(limit, sign=True))
    bar: np.ndarray = palette("signed")[strip("signed", width=_BAR, ends=ends, zero=0.5, bar=_BAR)]
    if limit == 0:
        bar[:10] = palette("signed")[ZERO]
    return bar


def _ticks(limit: float | None) -> np.ndarray:
    ends = ("minus scale", "plus scale") if limit is None else (number(-limit), number(limit, sign=True))
    # Everything of a strip but its bar of colours.
    below: np.ndarray = palette("signed")[strip("signed", width=_BAR, ends=ends, zero=0.5, bar=_BAR)][10:]
    return below


def filter_figure(
    filters: np.ndarray,
    *,
    groups: int = 1,
    channels: Sequence[int] | None = None,
    colours: Literal["RGB", "BGR"] | None = None,
    scale: Scaling | None = None,
    order: Literal["norm", "number"] = "norm",
    title: str = "",
) -> KernelFigure:
    """Draw the filters of a layer in the way that suits them.

    Filters on three colours become colour pictures; filters on one input become signed maps, one each; of other filters
    each output channel gets a section with its kernels by input channel; and where a kernel has one weight, all of them
    become a matrix.

    Args:
        filters: (out, in of one group, *kernel), with no, one or two axes of the kernel.
        groups: How many groups the channels are in.
        channels: Numbers of output channels; all, or of deeper filters the strongest eight, unless given.
        colours: The order of the three inputs if they are colours.
        scale: "filter": each kernel on its own scale; "shared": one for all. Colours have their own unless given, and
            the rest share one.
        order: "norm": the strongest first; "number".
        title: A line above; what is drawn is written behind it.

    Raises:
        SettingError: Kernels with three axes, or a channel that the layer does not have.
    """
    filters = np.asarray(filters, dtype=np.float64)
    count, inputs, *kernel = filters.shape
    if len(kernel) > 2:
        raise SettingError("filters", given=filters.shape, expected="kernels with two axes at most")
    for channel in channels or ():
        if not 0 <= channel < count:
            raise SettingError("channel", given=channel, expected=f"0 to {count - 1}, as the layer has them")
    size = " x ".join(map(str, filters.shape[1:]))
    named = f"{title}: {count} filters of {size}" if title else f"{count} filters of {size}"
    chosen = list(range(count) if channels is None else channels)
    if int(np.prod(kernel, dtype=int)) == 1:
        grouped = [f"Inputs are numbered within each of {groups} groups."] if groups > 1 else []
        return matrix(filters.reshape(count, inputs)[chosen], numbers=chosen, title=named, lines=grouped)
    kernels = filters.reshape(count, inputs, -1, kernel[-1])
    norms = np.sqrt(np.square(kernels).sum(axis=(2, 3)))
    whole = np.sqrt(np.square(norms).sum(axis=1))
    if order == "norm":
        chosen.sort(key=lambda channel: -np.nan_to_num(whole[channel]))
    sorting = "strongest first" if order == "norm" else "by number"
    weights = f"The norms of the filters are {number(float(whole.min()))} to {number(float(whole.max()))}; {sorting}."
    if inputs == 3 and colours is not None:
        red_first = kernels if colours == "RGB" else kernels[:, ::-1]
        labels = [str(channel) for channel in chosen]
        return colour_kernels(red_first[chosen], labels=labels, scale=scale or "filter", title=named, lines=[weights])
    if inputs == 1:
        alone = Section("", kernels[chosen, 0], tuple(str(channel) for channel in chosen))
        return signed_kernels([alone], scale=scale or "shared", title=named, lines=[weights])
    cut = chosen if channels is not None else chosen[:_SECTIONS]
    most = _KERNELS if channels is None else _KERNELS_OF_CHOSEN
    sections = [
        _section(kernels[channel], norms[channel], channel, count=count, groups=groups, most=most, order=order)
        for channel in cut
    ]
    left_out = [] if len(cut) == len(chosen) else [f"Drawn are {len(cut)} of the {count} filters."]
    return signed_kernels(sections, scale=scale or "shared", title=named, lines=[weights, *left_out])


def _section(
    kernels: np.ndarray, norms: np.ndarray, channel: int, *, count: int, groups: int, most: int, order: str
) -> Section:
    """The kernels of one output channel, by input."""
    first = channel // (count // groups) * len(kernels)
    strongest = np.argsort(-np.nan_to_num(norms), kind="stable")[:most]
    shown = strongest if order == "norm" else np.sort(strongest)
    some = "" if len(shown) == len(kernels) else f", the {len(shown)} strongest of {len(kernels)} inputs"
    norm = number(float(np.sqrt(np.square(norms).sum())))
    labels = tuple(str(first + int(place)) for place in shown)
    return Section(f"output {channel}, norm {norm}{some}", kernels[shown], labels)
