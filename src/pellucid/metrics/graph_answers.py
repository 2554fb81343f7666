"""What logits say about one target: its probability or value, the decision, and how far two answers are apart."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from pellucid.methods.targets import Resolved

Unit = Literal["probability", "output"]
Rows = Float[Tensor, "copies classes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the logits of a model are read for one target.

    Attributes:
        kind: `softmax` where classes exclude each other, `sigmoid` where each is a question of its own, `contrast`
            where two classes are compared, `value` where the output is no class.
        classes: The classes or the output that the target is about.
    """

    kind: Literal["softmax", "sigmoid", "contrast", "value"]
    classes: tuple[int, ...]

    @classmethod
    def of(cls, target: Resolved, *, columns: int, looked_through: str | None) -> "Reading":
        """How to read a target: an `output:`, or a single column that no sigmoid follows, is a value."""
        if target.asked.rpartition("/")[2].startswith("output:") or (columns == 1 and looked_through != "sigmoid"):
            return cls(kind="value", classes=target.classes)
        if len(target.classes) > 1:
            return cls(kind="contrast", classes=target.classes)
        return cls(kind="sigmoid" if looked_through == "sigmoid" else "softmax", classes=target.classes)

    @property
    def unit(self) -> Unit:
        """What `amount` is in."""
        return "output" if self.kind == "value" else "probability"

    def amount(self, logits: Rows) -> Float[Tensor, " copies"]:
        """The probability of the target's class, or the output's value."""
        logits = logits.double()
        if self.kind == "value":
            return logits[:, self.classes[0]]
        if self.kind == "softmax":
            return logits.softmax(1)[:, self.classes[0]]
        return self._margin(logits).sigmoid()

    def same_decision(self, logits: Rows, others: Rows) -> Bool[Tensor, " copies"]:
        """Whether two answers decide alike."""
        if self.kind == "softmax":
            return logits.argmax(1) == others.argmax(1)
        return (self._margin(logits) > 0) == (self._margin(others) > 0)

    def unfaithfulness(self, original: Rows, masked: Rows) -> Float[Tensor, " copies"]:
        """1 − exp(−KL(original ‖ masked)), from 0 (the same probabilities) to 1; NaN for values.

        PyG's `unfaithfulness` documents this direction and computes KL(masked ‖ original).

        Reference:
            Agarwal et al., Evaluating Explainability for Graph Neural Networks, Scientific Data 2023.
        """
        if self.kind == "value":
            return torch.full((len(original),), math.nan, dtype=torch.float64, device=original.device)
        p, q = (self._log_probabilities(each.double()) for each in (original, masked))
        return -torch.expm1(-F.kl_div(q, p, reduction="none", log_target=True).sum(1).clamp(min=0))

    def _margin(self, logits: Tensor) -> Tensor:
        """The logit of the class, or that of the first class minus that of the second."""
        if self.kind == "contrast":
            return logits[:, self.classes[0]] - logits[:, self.classes[1]]
        return logits[:, self.classes[0]]

    def _log_probabilities(self, logits: Tensor) -> Tensor:
        if self.kind == "softmax":
            return logits.log_softmax(1)
        margin = self._margin(logits)
        return torch.stack([F.logsigmoid(margin), F.logsigmoid(-margin)], dim=1)
