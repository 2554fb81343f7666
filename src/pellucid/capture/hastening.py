"""In which form the many passes of a probe are run: as the model is, in a faster form, or in bfloat16."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from pellucid.capture import passes
from pellucid.capture.fused import Fused, LeftFusedError, has_bfloat16
from pellucid.capture.passes import Spent
from pellucid.capture.scores import LOGITS, Score
from pellucid.errors import SettingError

Precision = Literal["float32", "fused", "fast"]
"""`float32` runs the model's own operations in its own type; `fused` folds batch norms and puts channels last, which
rounds otherwise; `fast` does so in bfloat16, with the head in float32."""
_CLOSE = 1e-4
_NEAR = 0.1
_ALIKE = 0.9
"""With less correlation slopes in bfloat16 are no use."""


def check_precision(precision: str) -> None:
    """Refuse what is no precision.

    Raises:
        SettingError: It is none.
    """
    if precision not in get_args(Precision):
        raise SettingError("precision", given=precision, expected="one of " + ", ".join(get_args(Precision)))


def is_half(precision: Precision, batch: Tensor, spent: Spent) -> bool:
    """Whether passes run in bfloat16; where that is wanted and cannot be, it is remarked."""
    if precision != "fast":
        return False
    if batch.dtype != torch.float32:
        spent.remarks.add("precision=fast is for models in float32; this one was run in its own type")
        return False
    if not has_bfloat16(batch.device):
        spent.remarks.add("precision=fast: this processor has no bfloat16, so passes were run in float32")
        return False
    return True


@dataclass(slots=True, kw_only=True)
class Hastening:
    """Slopes of scores at variants of one batch, in the form that is wanted.

    The faster form is compared with the model's own on the first variant; where it cannot be run, or gives another
    score, everything is run in the model's own form, and a remark says so.

    Attributes:
        module: The model.
        batch: The prepared batch.
        precision: The form that is wanted.
        spent: Where remarks go.
    """

    module: nn.Module
    batch: Tensor
    precision: Precision
    spent: Spent
    _forms: dict[frozenset[str], Fused | None] = field(default_factory=dict)
    _compared: set[frozenset[str]] = field(default_factory=set)

    def form(self, scores: Sequence[Score]) -> Fused | None:
        """What passes can be run with; None for the model's own form."""
        keep = frozenset(score.place for score in scores) - {LOGITS}
        if self.precision == "float32" or self.batch.dim() != 4:
            return None
        if keep not in self._forms:
            half = is_half(self.precision, self.batch, self.spent)
            self._forms[keep] = passes.fused(self.module, self.batch[:1], half=half, keep=keep)
            self.spent.ran(1)
            if self._forms[keep] is None:
                self._give_up(keep)
        return self._forms[keep]

    def slopes(self, x: Tensor, scores: Sequence[Score]) -> Tensor:
        """The slope of each item's score at the input.

        Args:
            x: The items.
            scores: One per item.
        """
        keep = frozenset(score.place for score in scores) - {LOGITS}
        form = self._forms.get(keep)
        if form is not None:
            try:
                values, slopes = passes.score_of(self.module, x, scores, slope=True, faster=form)
            except LeftFusedError:
                self._give_up(keep)
            else:
                assert slopes is not None
                if keep in self._compared or self._agrees(form, x, scores, values, slopes):
                    self._compared.add(keep)
                    self.spent.precision = "bfloat16" if form.half else "float32, fused"
                    return slopes
                if form.half:  # what float32 gives may do
                    self._forms[keep] = passes.fused(self.module, self.batch[:1], half=False, keep=keep)
                    self.spent.ran(1)
                    return self.slopes(x, scores)
                self._give_up(keep)
        slopes = passes.score_of(self.module, x, scores, slope=True)[1]
        assert slopes is not None
        return slopes

    def _give_up(self, keep: frozenset[str]) -> None:
        self._forms[keep] = None
        some = "from some pass on " if keep in self._compared else ""
        self.spent.remarks.add(
            f"precision={self.precision}: {some}this model cannot be run in a faster form, so it was not"
        )

    def _agrees(self, form: Fused, x: Tensor, scores: Sequence[Score], values: Tensor, slopes: Tensor) -> bool:
        """Whether the first item has nearly the same score in the model's own form; says how near its slopes are."""
        [value], slope = passes.score_of(self.module, x[:1], scores[:1], slope=True)
        assert slope is not None
        self.spent.ran(1)
        self.spent.backwards += 1
        size = 1 + float(value.abs())
        if not float((values[0] - value).abs()) <= (_NEAR if form.half else _CLOSE) * size:
            if form.half:
                self.spent.remarks.add(
                    f"precision=fast: bfloat16 gave the score {float(values[0]):.3g} for {float(value):.3g}, so passes "
                    "were run in float32"
                )
            return False
        if form.half:
            off = alike(slopes[0], slope[0])
            if off < _ALIKE:
                self.spent.remarks.add(
                    f"precision=fast: slopes in bfloat16 correlate by {off:.3f} with float32, so passes were run in "
                    "float32"
                )
                return False
            self.spent.remarks.add(f"computed in bfloat16: slopes at one input correlate by {off:.3f} with float32")
        return True


def alike(one: Tensor, other: Tensor) -> float:
    """The correlation of two tensors' values; 1 where both are constant."""
    a, b = (each.double().flatten() - each.double().mean() for each in (one, other))
    size = float(a.norm() * b.norm())
    return float(a @ b) / size if size else 1.0
