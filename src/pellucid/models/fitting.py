"""Putting weights into a module: prefixes of wrappers come off, and whatever does not fit is listed."""

import itertools
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pellucid.errors import CheckpointError
from pellucid.models.architecture import Architecture, Remap
from pellucid.models.checkpoints import Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One way in which names in a file differ from those of the module.

    Attributes:
        part: What comes off, with its dot.
        inside: Whether it stands around a part of the network, as in nn.DataParallel(self.features); else in front.
    """

    part: str
    inside: bool = False

    def apply(self, name: str) -> str:
        """The name without the part."""
        return re.sub(rf"(?<=\.){re.escape(self.part)}", "", name) if self.inside else name.removeprefix(self.part)

    def __str__(self) -> str:
        return f"the {'wrapper' if self.inside else 'prefix'} {self.part!r}"


_STEPS = (
    *(Step(part=prefix) for prefix in ("module.", "model.", "_orig_mod.", "net.", "backbone.")),
    *(Step(part=wrapper, inside=True) for wrapper in ("module.", "_orig_mod.")),
)
_LONGEST = 3
# Counters that no output depends on: BatchNorm's, those that profilers leave behind, and that of averaged weights.
_COUNTERS = ("num_batches_tracked", "total_ops", "total_params", "n_averaged")


def fit(architecture: Architecture, weights: Weights) -> tuple[str, ...]:
    """Load weights into the module of an architecture, which must be one that may be changed.

    Args:
        architecture: Where they go.
        weights: What a file held.

    Returns:
        What had to be done, as sentences.

    Raises:
        CheckpointError: A weight is missing or has another shape, or the file has more than the module can take.
    """
    module = architecture.module
    expected = {name: tensor for name, tensor in module.state_dict().items() if isinstance(tensor, Tensor)}
    state, versions, notes = _renamed(weights.state, weights.versions, expected)
    if architecture.remap is not None and not _essential(state) >= _essential(expected):
        remapped = _remapped(architecture.remap, state)
        if len(remapped.keys() & expected.keys()) > len(state.keys() & expected.keys()):
            state, versions = remapped, None
            notes += ("the names are those of an older layout and were changed as the architecture's makers do",)
    ordered = OrderedDict(state)
    if versions is None and _essential(state) >= _essential(expected):
        # Without versions torch takes a file for an old one, and some modules then refuse or rename what is new.
        versions = getattr(module.state_dict(), "_metadata", None)
    if versions is not None:
        ordered._metadata = versions  # type: ignore[attr-defined]
    try:
        report = module.load_state_dict(ordered, strict=False)
    except (RuntimeError, ValueError, KeyError, AttributeError) as error:
        missing, unexpected = _essential(expected) - state.keys(), _essential(state) - expected.keys()
        raise _misfit(architecture, weights, state, expected, missing, unexpected, str(error)) from error
    missing, unexpected = _essential(report.missing_keys), _essential(report.unexpected_keys)
    foreign = [name for name in unexpected if _belongs_to(name, module)]
    if missing or foreign:
        raise _misfit(architecture, weights, state, expected, missing, unexpected, "")
    if unexpected:
        notes += (
            f"{len(unexpected)} weights of {weights.file} have no place in the model, not used: {_few(unexpected)}",
        )
    return notes + _kinds_changed(state, expected)


def _renamed(
    state: Mapping[str, Tensor], versions: dict[str, Any] | None, expected: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Any] | None, tuple[str, ...]]:
    """The renaming, of at most three steps, after which most names fit; the shortest of the best."""
    best: tuple[int, list[Step]] = (len(state.keys() & expected.keys()), [])
    everything = "\n".join(state)
    known = [step for step in _STEPS if step.part in everything]
    for length in range(1, _LONGEST + 1):
        if best[0] < len(expected):
            for steps in itertools.product(known, repeat=length):
                names = [_apply(steps, name) for name in state]
                fitting = len(expected.keys() & names)
                if fitting > best[0] and len(set(names)) == len(names):
                    best = (fitting, list(steps))
    if not best[1]:
        return dict(state), versions, ()
    notes: list[str] = []
    names = list(state)
    for step in best[1]:
        changed = [step.apply(name) for name in names]
        pairs = [(old, new) for old, new in zip(names, changed, strict=True) if old != new]
        notes.append(f"{step} was stripped from {len(pairs)} of {len(names)} names ({pairs[0][0]} → {pairs[0][1]})")
        names = changed
    if versions is not None:
        versions = {_apply(best[1], f"{name}.").removesuffix("."): version for name, version in versions.items()}
    return dict(zip(names, state.values(), strict=True)), versions, tuple(notes)


def _remapped(remap: Remap, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    try:
        return {name: tensor for name, tensor in remap(dict(state)).items() if isinstance(tensor, Tensor)}
    except Exception:  # the makers' code, on names that it may never have seen; what does not fit is listed anyway
        return {}


def _apply(steps: Iterable[Step], name: str) -> str:
    for step in steps:
        name = step.apply(name)
    return name


def _essential(names: Iterable[str]) -> set[str]:
    return {name for name in names if not name.endswith(_COUNTERS)}


def _belongs_to(name: str, module: nn.Module) -> bool:
    """Whether a spare weight says that the file is from another network, and not only that it has one more head.

    resnet56's file holds every weight of resnet20, and more: names below a child that exists, or of one more numbered
    layer, are a deeper network and must not be dropped in silence.
    """
    first = name.partition(".")[0]
    return first.isdigit() or first in dict(module.named_children())


def _misfit(
    architecture: Architecture,
    weights: Weights,
    state: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    missing: set[str],
    unexpected: set[str],
    reason: str,
) -> CheckpointError:
    reshaped = [name for name in expected if name in state and state[name].shape != expected[name].shape]
    parts = []
    if missing:
        parts.append(f"{len(missing)} are missing ({_few(missing)})")
    if unexpected:
        parts.append(f"{len(unexpected)} are unexpected ({_few(unexpected)})")
    if reshaped:
        shown = ", ".join(
            f"{name}: {_shape(state[name])} found, {_shape(expected[name])} expected" for name in reshaped[:3]
        )
        parts.append(f"{len(reshaped)} have another shape ({shown}{', …' if len(reshaped) > 3 else ''})")
    if not parts:
        parts.append(" ".join(reason.split())[:200])
    head = f"{weights.file} does not fit {architecture.name}: {len(expected)} weights expected, {len(state)} found, "
    return CheckpointError(f"{head}{'; '.join(parts)}. {_advice(state, expected, missing, reshaped)}")


def _advice(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], missing: set[str], reshaped: list[str]) -> str:
    if not state.keys() & expected.keys():
        return "No name fits: it is the file of another architecture, or its names are under a prefix."
    classes = {state[name].shape[:1] for name in reshaped}
    only_heads = all(state[name].shape[1:] == expected[name].shape[1:] for name in reshaped)
    if not missing and 0 < len(reshaped) <= 2 and only_heads and len(classes) == 1:
        count = next(iter(classes))[0]
        return f"Only the last layer differs: the file has {count} classes; give num_classes={count}."
    return "Give the architecture that the file was made with."


def _kinds_changed(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> tuple[str, ...]:
    both = state.keys() & expected.keys()
    changed = {(state[name].dtype, expected[name].dtype) for name in both if expected[name].is_floating_point()}
    changed = {(found, kept) for found, kept in changed if found != kept}
    return tuple(
        f"weights are stored as {str(found).removeprefix('torch.')} and used as {str(kept).removeprefix('torch.')}"
        for found, kept in sorted(changed, key=str)
    )


def _few(names: Iterable[str], count: int = 3) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:count]) + (f", … {len(ordered) - count} more" if len(ordered) > count else "")


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one value"
