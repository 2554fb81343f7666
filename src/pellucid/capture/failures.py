"""When a pass fails: the user's next step, made of torch's words and of what was seen until then."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pellucid.capture.asks import Facts
from pellucid.capture.operations import kind_of
from pellucid.capture.recorder import Recorder
from pellucid.errors import CapacityError, ModelError, NotFiniteError, PellucidError, TooSmallError

# How torch says that a picture has become too small for a window.
_TOO_SMALL = (
    "output size is too small",
    "kernel size can't be greater",
    "should be at least",
    "non-zero size",
    "too small",
    "padding size should be less than",
    "more than 1 spatial element",
)
_LARGEST = 1024  # no larger square is tried


class DecidesTogetherError(Exception):
    """A batch has been decided on as a whole: its items must be run one by one."""


def explained(
    module: nn.Module, batch: Tensor, recorder: Recorder, error: Exception, attempt: Callable[[int], Exception | None]
) -> ModelError:
    """A failed forward pass as an error that says what to do.

    Args:
        module: The model.
        batch: What it was given.
        recorder: What has been seen of the pass.
        error: What was raised.
        attempt: Runs one square picture of zeros of a given side; gives what is raised, or None.
    """
    place = recorder.where_it_failed()
    words = " ".join(str(error).split())[:300]
    said = words if words and isinstance(error, RuntimeError) else f"{type(error).__name__}: {words}".removesuffix(": ")
    shape = "×".join(map(str, batch.shape[1:]))
    before = any(kind_of(call.op) == "conv" for call in recorder.calls)
    failed = dict(module.named_modules()).get(place.split("#")[0])
    if isinstance(failed, nn.Conv2d) and not before and batch.dim() == 4 and batch.shape[1] != failed.in_channels:
        return ModelError(
            f"the picture has {batch.shape[1]} channels and the model's first convolution takes {failed.in_channels}; "
            "give the picture as the model was trained on it."
        )
    if batch.dim() == 4 and _is_too_small(error):
        least, works = _least_side(min(batch.shape[2:]), attempt)
        hint = "give a larger picture"
        if least is not None:
            hint = f"the least square picture that works is {least}×{least}"
            if not works:
                hint = (
                    f"windows fit from {least}×{least} on, but the model stops elsewhere: give the size it was made for"
                )
        where = f"site {place!r}" if place else "the model's own forward"
        return TooSmallError(f"a picture of {batch.shape[2]}×{batch.shape[3]} is too small for {where}; {hint}.")
    where = f"at site {place!r}" if place else "in its own forward"
    return ModelError(f"the model stopped {where} on an input of {shape}: {said}")


def _is_too_small(error: Exception) -> bool:
    said = str(error).lower()
    return any(phrase in said for phrase in _TOO_SMALL)


def _least_side(side: int, attempt: Callable[[int], Exception | None]) -> tuple[int | None, bool]:
    """The least side at which no window is too large, by doubling and bisection; and whether the model then runs."""

    def fits(side: int) -> bool:
        error = attempt(side)
        return error is None or not _is_too_small(error)

    low, high = 1, max(1, side)
    while not fits(high):
        low, high = high + 1, 2 * high
        if high > _LARGEST:
            return None, False
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle + 1, high)
    return low, attempt(low) is None


def not_finite(module: nn.Module, batch: Tensor, recorder: Recorder) -> NotFiniteError:
    """Why an answer is not finite, from a pass recorded with statistics."""
    if not bool(torch.isfinite(batch).all()):
        return NotFiniteError("the prepared picture has NaN or infinite values; give finite ones.")
    first = next((c.name for c in recorder.calls if c.statistics is not None and c.statistics.not_finite), "the output")
    owner = first.split("/")[0].split("#")[0].split("[")[0]
    bad = [
        name
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())
    ]
    mine = next((name for name in bad if name.rpartition(".")[0] == owner), None)
    if mine is not None:
        why = f"its weight {mine!r} is not finite; load weights that are whole"
    else:
        why = (
            "its own weights are finite, its values overflow or are not defined; give a picture (and, to methods that "
            "have one, a baseline) in the range that the model was trained on"
        )
    return NotFiniteError(f"the values become NaN or infinite at site {first!r}: {why}.")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on any device."""
    if isinstance(error, PellucidError):
        return False
    said = str(error).lower()
    return (
        isinstance(error, torch.OutOfMemoryError | MemoryError)
        or "can't allocate memory" in said
        or "out of memory" in said
    )


def too_large(
    batch: Tensor, facts: Facts | None, error: BaseException, *, beside_another: bool = False
) -> CapacityError:
    """A batch, or even one picture, does not fit into memory; perhaps it had to lie there beside its baseline."""
    shape = "×".join(map(str, batch.shape[1:]))
    what = f"one picture of {shape} does" if len(batch) == 1 else f"a batch of {len(batch)} pictures of {shape} does"
    if facts is None:  # it has never come to its end
        needs = f"one takes {batch[:1].nbytes:,} bytes, without the values that the model makes of it"
    else:
        needs = f"the values of one take {sum(site.nbytes for site in facts.sites):,} bytes"
    if beside_another:
        what = f"one picture of {shape} beside its baseline does"
    way_out = "give a smaller picture" if len(batch) == 1 else "give fewer or smaller pictures"
    said = " ".join(str(error).split())[:200]
    return CapacityError(f"{what} not fit into memory ({needs}); {way_out} or free memory. The system said: {said}")
