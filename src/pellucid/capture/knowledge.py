"""What is known about models on inputs of one shape, remembered while they live and stay as they are."""

import weakref
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from pellucid.capture.answers import class_site
from pellucid.capture.asks import Facts, Reads
from pellucid.capture.recorder import Recorder
from pellucid.capture.sites import INPUT, Site
from pellucid.capture.wiring import Wiring

_MOST = 8  # shapes and states remembered per model


@dataclass(frozen=True, slots=True)
class _Entry:
    facts: Facts
    parts: tuple[weakref.ref[nn.Module], ...]


_KNOWN: "weakref.WeakKeyDictionary[nn.Module, dict[Any, _Entry]]" = weakref.WeakKeyDictionary()


def recall(module: nn.Module, batch: Tensor) -> Facts | None:
    """The facts about a model on inputs of this shape, if it still is as it was when they were found."""
    entry = _KNOWN.get(module, {}).get(_key(module, batch))
    # Where a part has gone, a new one may have its identity.
    if entry is None or any(ref() is None for ref in entry.parts):
        return None
    return replace(entry.facts, items=len(batch), input_shape=tuple(batch.shape))


def remember(module: nn.Module, batch: Tensor, recorder: Recorder, output: Any, wiring: Wiring | None = None) -> Facts:
    """Note what a recorded pass has shown, per item."""
    passed = int(recorder.input.shape[0]) if recorder.input is not None else 1
    found = Facts(
        sites=tuple(_one_item(site, items=passed) for site in recorder.sites()),
        aliases=dict(recorder.aliases),
        class_site=class_site(recorder, output),
        items=len(batch),
        input_shape=tuple(batch.shape),
        wiring=wiring,
    )
    entries = _KNOWN.setdefault(module, {})
    entries[_key(module, batch)] = _Entry(found, tuple(weakref.ref(part) for part in module.modules()))
    while len(entries) > _MOST:
        del entries[next(iter(entries))]
    return found


def forget(module: nn.Module) -> None:
    """The model has turned out to be another than the one that was known."""
    _KNOWN.pop(module, None)


def agrees(facts: Facts, recorder: Recorder) -> bool:
    """Whether a pass has gone the way that is known; a model may choose its way by its input."""
    return len(facts.sites) == len(recorder.calls) and all(
        (site.name, site.op, site.inputs) == (call.name, call.op, call.inputs)
        for site, call in zip(facts.sites, recorder.calls, strict=True)
    )


def start_of(wanted: Reads, known: Facts) -> str | None:
    """The earliest site whose slope is wanted, if everything before it needs no derivatives."""
    if INPUT in wanted.slopes or not wanted.slopes:
        return None
    order = {site.name: site.index for site in known.sites}
    first = min(wanted.slopes, key=lambda name: order[name])
    # What bypasses the first site would be missing from the graph of a later one that is not downstream of it.
    downstream = {first}
    for site in known.sites:
        if any(parent in downstream for parent in site.inputs):
            downstream.add(site.name)
    # A part of a tuple cannot be cut off from the other parts.
    return first if wanted.slopes <= downstream and not first.endswith("]") else None


def _key(module: nn.Module, batch: Tensor) -> tuple[Any, ...]:
    # A model that was rebuilt in place has other parts or other settings: stride, inplace, a depth of its own.
    return (tuple(batch.shape[1:]), batch.dtype, tuple(_state(part) for part in module.modules()))


def _state(part: nn.Module) -> tuple[Any, ...]:
    settings = ((name, value) for name, value in vars(part).items() if name != "training" and _is_plain(value))
    return (id(part), type(part), *settings)


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)


def _one_item(site: Site, *, items: int) -> Site:
    shape = site.shape
    if items > 1 and shape and shape[0] % items == 0:
        shape = (shape[0] // items, *shape[1:])
    return replace(site, values=None, statistics=None, shape=shape, multiply_adds=site.multiply_adds // items)
