"""What a model answered: its logits, and which site made them.

A model may end in a softmax, return one column, or mix the batch with positions; here the logits are found, or it is
said why not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pellucid.capture.operations import kind_of
from pellucid.capture.provenance import storage_of
from pellucid.capture.recorder import Recorder
from pellucid.errors import OutputError, with_article


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model answered.

    Attributes:
        logits: (batch, classes).
        looked_through: The final operation that was looked through ("log_softmax", "softmax", "sigmoid"), or None.
    """

    logits: Tensor
    looked_through: str | None


def class_site(recorder: Recorder, output: Any) -> str | None:
    """The last linear layer or convolution on the way to the output."""
    if not isinstance(output, Tensor):
        return None
    by_name = {call.name: call for call in recorder.calls}
    names, asked = list(recorder.output_sites), set()
    while names:
        name = names.pop(0)
        call = by_name.get(name)
        if call is None or name in asked:
            continue
        asked.add(name)
        if kind_of(call.op) in ("linear", "conv"):
            return call.name
        names.extend(call.inputs)
    return None


def read_answer(recorder: Recorder, output: Any, *, items: int) -> Answer:
    """Find the logits in what a model returned, behind a final softmax, log-softmax or sigmoid.

    Raises:
        OutputError: The output is no table of logits with one row per picture; says what it is and what to do.
    """
    if not isinstance(output, Tensor):
        what = with_article(type(output).__name__)
        if isinstance(output, Mapping):
            what += f" with the keys {', '.join(map(repr, list(output)[:5]))}"
        raise OutputError(
            f"the model returned {what}, expected one tensor of logits (pictures × classes); wrap it in a module "
            "whose forward returns the logits."
        )
    logits, looked_through = output, None
    seen = recorder.before_softmax
    if seen is not None:
        after, before, op = seen
        made = after()
        if made is not None and made.shape == before.shape and _is_same(made, output):
            logits, looked_through = before, op
    if logits.is_complex():
        raise OutputError(
            f"the model returned complex numbers ({str(logits.dtype).removeprefix('torch.')}), expected real logits "
            "(pictures × classes); wrap it in a module whose forward returns real numbers, e.g. their absolute values."
        )
    if logits.dim() >= 1 and logits.shape[0] != items:
        raise OutputError(_wrong_rows(recorder, tuple(logits.shape), items))
    sides = [side for side in logits.shape[1:] if side != 1]
    if logits.dim() == 0 or len(sides) > 1:
        raise OutputError(
            f"the model returned a tensor of shape {tuple(output.shape)} for {items} picture{'s' * (items > 1)}, "
            "expected logits (pictures × classes); a model with maps as output (segmentation, detection) can be "
            "traced, not explained as a classifier: reduce its output to one row of numbers per picture, e.g. their "
            "mean over positions."
        )
    if logits.dim() != 2:
        logits = logits.reshape(items, sides[0] if sides else 1)
    return Answer(logits=logits, looked_through=looked_through)


def _is_same(made: Tensor, output: Tensor) -> bool:
    # The output may be a view of what the softmax returned (squeezed, flattened), never a new computation.
    return made is output or (storage_of(made) == storage_of(output) and made.numel() == output.numel())


def _wrong_rows(recorder: Recorder, shape: tuple[int, ...], items: int) -> str:
    rows = shape[0]
    if items == 1 and len(shape) == 1:
        return (
            f"the model returned {rows} numbers without a batch dimension for 1 picture, expected logits (pictures × "
            "classes); keep the dimension, e.g. x.flatten(1) instead of x.squeeze()."
        )
    told = f"the model returned {rows} rows for {items} picture{'s' * (items > 1)}"
    if recorder.reshaped_batch is None or rows <= items or rows % items:
        return f"{told}, expected one row per picture; it mixes pictures, so no picture can be explained alone."
    op, before, after, site = recorder.reshaped_batch
    shapes = f"{'×'.join(map(str, before))} into {'×'.join(map(str, after))}"
    return (
        f"{told}: `{op}` after {site!r} turned {shapes}, so each of {rows // items} positions became a row of its own. "
        "Give a picture of the size at which one position is left, or average the positions before flattening: "
        "x = x.mean((2, 3))."
    )
