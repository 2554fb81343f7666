"""What a model answers where one channel of a site has changed: only that channel goes on, while channels are apart.

Pooling, activations and fixed batch norms keep channels apart; the first linear layer mixes them, and adds to what it
returned before the weights of that channel times the change. From there on rows of variants are run.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pellucid.capture.folding import is_fixed, scale_and_shift
from pellucid.capture.operations import tensors_in, words, written_in_place
from pellucid.capture.program import Program, Step, Value
from pellucid.capture.sites import Site

_ALONE = words(
    """relu relu6 hardtanh leaky_relu elu selu celu gelu silu mish hardswish hardsigmoid sigmoid tanh softplus softsign
    hardshrink softshrink threshold logsigmoid tanhshrink clamp neg contiguous clone exp sqrt square abs
    float double half bfloat16 to type detach"""
)
"""Each number by itself."""
_DROPOUTS = words("dropout dropout2d")
_POOLS = words("max_pool2d avg_pool2d adaptive_avg_pool2d adaptive_max_pool2d")
_RESHAPES = words("flatten view reshape")
_ON_ROWS = words("add sub mul div")


def mixes_late(site: Site, sites: Sequence[Site]) -> bool:
    """Whether what depends on a site looks as if channels stayed apart up to a linear layer and rows came from there.

    A quick look at names before a pass is recorded; the pass decides.
    """
    depending, mixed = {site.name}, False
    for each in sites:
        if each.index <= site.index or depending.isdisjoint(each.inputs):
            continue
        depending.add(each.name)
        mixed |= each.op == "linear"
        known = _ALONE | _DROPOUTS | {"linear", "batch_norm", "identity"} | (_ON_ROWS if mixed else _POOLS | {"mean"})
        last = each.kind == "softmax" and each is sites[-1]
        if (each.op not in known and not last) or each.settings.get("training"):
            return False
    return mixed and len(site.shape) == 4


@dataclass(frozen=True, slots=True)
class Apart:
    """Variants of a value whose channels are still apart.

    Attributes:
        base: Each channel of the value as it is, as an item of its own: (channels, 1, positions …) or (channels, size).
        changed: The channel of each variant that has changed: (variants, 1, positions …) or (variants, size).
    """

    base: Tensor
    changed: Tensor


class UnsupportedError(Exception):
    """Channels do not stay apart up to a linear layer, or something else comes that is not known."""


class ChannelRest:
    """What comes after sites in a recorded pass on one item, for variants in which one channel differs.

    Args:
        program: The pass.
        ends: The numbers of the values that are wanted, by place.
    """

    def __init__(self, program: Program, ends: Mapping[str, int]) -> None:
        self._program, self._ends = program, ends
        self._numbers = {name: number for number, name in program.makers().items()}

    @torch.no_grad()
    def run(
        self, site: str, planes: Float[Tensor, "variants height width"], channels: Int[Tensor, " variants"]
    ) -> dict[str, Tensor] | None:
        """The values at the places that are wanted, (variants, features); None where the rest cannot be run so.

        Args:
            site: The site, whose values are feature maps.
            planes: What the channel of each variant shows.
            channels: Which channel that is.
        """
        start = self._numbers.get(site)
        if start is None or not self._program.is_whole:
            return None
        value = self._program.values[start]
        if value.dim() != 4 or len(value) != 1:
            return None
        rows: dict[int, Tensor] = {}
        apart = {start: Apart(value[0][:, None], planes[:, None])}
        try:
            for step in self._program.steps:
                if rows.keys() >= set(self._ends.values()):
                    break
                if not (apart.keys() | rows.keys()).isdisjoint(step.inputs):
                    self._take(step, apart, rows, channels)
        except UnsupportedError:
            return None
        if not rows.keys() >= set(self._ends.values()):
            return None
        return {place: rows[number] for place, number in self._ends.items()}

    def _take(self, step: Step, apart: dict[int, Apart], rows: dict[int, Tensor], channels: Tensor) -> None:
        if len(step.results) != 1:
            raise UnsupportedError
        number, base = step.results[0], self._program.values[step.results[0]]
        if apart.keys().isdisjoint(step.inputs):
            rows[number] = self._on_rows(step, rows, base)
            return
        first = step.argument(0, "input")
        if step.inputs != (first.number if isinstance(first, Value) else None,):
            raise UnsupportedError
        given = apart[first.number]
        if step.op == "linear":
            if base.dim() != 2 or given.base.dim() != 2:
                raise UnsupportedError
            rows[number] = base + _mixed(step.argument(1, "weight"), given, channels)
        else:
            apart[number] = _still_apart(step, given, channels, base)

    def _on_rows(self, step: Step, rows: Mapping[int, Tensor], base: Tensor) -> Tensor:
        """Variants as rows, through an operation on rows."""
        if base.dim() != 2 or len(base) != 1:
            raise UnsupportedError
        plain = step.op in _ALONE or (step.op == "batch_norm" and is_fixed(step)) or _is_dropout_at_rest(step)
        first = step.argument(0, "input")
        dense = step.op == "linear" and isinstance(first, Value) and step.inputs == (first.number,)
        if not (plain or dense or step.op in _ON_ROWS):
            raise UnsupportedError
        values = {number: rows.get(number, self._program.values[number]) for number in step.inputs}
        args, kwargs = _filled(step.args, values), _filled(step.kwargs, values)
        target = written_in_place(step.function, args, kwargs)
        if any(value.dim() != 2 for value in values.values()) or not (
            target is None or any(target is each for each in rows.values())
        ):
            raise UnsupportedError
        made: Tensor = step.function(*args, **kwargs)
        return made


def _still_apart(step: Step, given: Apart, channels: Tensor, base: Tensor) -> Apart:
    """An operation that keeps channels apart, on each as an item of its own."""
    if step.op in _RESHAPES:
        if base.shape != (1, given.base.numel()):
            raise UnsupportedError
        return Apart(given.base.flatten(1), given.changed.flatten(1))
    if step.op == "batch_norm" and is_fixed(step) and given.base.dim() == 4:
        scale, shift = (each[:, None, None, None] for each in scale_and_shift(step))
        return Apart(given.base * scale + shift, given.changed * scale[channels] + shift[channels])
    pools = given.base.dim() == 4 and (step.op in _POOLS or (step.op == "mean" and _is_over_positions(step)))
    if tensors_in((step.args, step.kwargs)) or not (step.op in _ALONE or _is_dropout_at_rest(step) or pools):
        raise UnsupportedError
    return Apart(_run_on(step, given.base), _run_on(step, given.changed))


def _run_on(step: Step, value: Tensor) -> Tensor:
    copy = {step.inputs[0]: value.clone()}  # Some write in place.
    made: Tensor = step.function(*_filled(step.args, copy), **_filled(step.kwargs, copy))
    return made


def _mixed(weight: Tensor, given: Apart, channels: Tensor) -> Tensor:
    """What a linear layer makes of the change: that of each variant meets the weights of its channel only."""
    size = given.base.shape[1]
    change = given.changed - given.base[channels]
    if not isinstance(weight, Tensor) or weight.shape[1] != len(given.base) * size:
        raise UnsupportedError
    blocks = weight.detach().reshape(-1, len(given.base), size).permute(1, 2, 0)
    found, done = [], 0
    for run in _runs(channels.tolist()):
        mine = change[done : done + len(run)]
        found.append(torch.bmm(mine[:, None], blocks[run.start : run.stop])[:, 0])
        done += len(run)
    return torch.cat(found)


def _runs(channels: Sequence[int]) -> list[range]:
    """Runs of channels that follow each other, so that their weights need no copy."""
    apart = itertools.groupby(enumerate(channels), key=lambda pair: pair[1] - pair[0])
    runs = []
    for _, group in apart:
        found = [channel for _, channel in group]
        runs.append(range(found[0], found[-1] + 1))
    return runs


def _is_over_positions(step: Step) -> bool:
    axes = step.argument(1, "dim")
    return isinstance(axes, list | tuple) and sorted(axis % 4 for axis in axes) == [2, 3]


def _is_dropout_at_rest(step: Step) -> bool:
    return step.op in _DROPOUTS and step.argument(2, "training", step.kwargs.get("train", True)) is False


def _filled(arguments: Any, values: Mapping[int, Tensor]) -> Any:
    if isinstance(arguments, Value):
        return values[arguments.number]
    if isinstance(arguments, list | tuple):
        return type(arguments)(_filled(item, values) for item in arguments)
    if isinstance(arguments, dict):
        return {name: _filled(item, values) for name, item in arguments.items()}
    return arguments
