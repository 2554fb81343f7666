"""What one curve of deletion or insertion says: heights over the share of pixels, areas, and chance beside them."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pellucid.errors import SettingError
from pellucid.intervals import Estimate, mean_of
from pellucid.methods.parts import read_only
from pellucid.metrics.graph_selection import word

Floats = npt.NDArray[np.float64]
Way = Literal["deletion", "insertion"]
Of = Literal["amount", "score", "fraction"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelCurves:
    """The target's probability and score over the share of pixels, strongest first.

    Explanations of one value everywhere have no ranking: their rows are NaN, and no figure counts them.

    Attributes:
        way: `deletion`: that share of the pixels is replaced by the baseline, and a true explanation falls early;
            `insertion`: the baseline gets that share of the picture's pixels, and a true explanation rises early.
        baseline: What stands for "nothing".
        unit: Of `amount`: "probability" or "output".
        shares: (points,): from 0 to 1.
        amount: (explanations, points): the target's probability, or the value of an output.
        score: (explanations, points): the target's logit, or difference of logits.
        chance_amount: (orders, explanations, points): the same in orders that know nothing.
        chance_score: (orders, explanations, points).
        pictures: (explanations,): the digest of what was explained.
        seed: Of ties, of chance and of the bootstrap.
    """

    way: Way
    baseline: str
    unit: str
    shares: Floats
    amount: Floats
    score: Floats
    chance_amount: Floats
    chance_score: Floats
    pictures: tuple[str, ...]
    seed: int

    def __post_init__(self) -> None:
        for name in ("shares", "amount", "score", "chance_amount", "chance_score"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    @property
    def ranked(self) -> npt.NDArray[np.bool_]:
        """(explanations,): whether there was a ranking to measure."""
        return np.asarray(~np.isnan(self.amount[:, 0]))

    def areas(self, of: str = "amount") -> Floats:
        """(explanations,): the area under each curve by the trapezoidal rule, the mean height; NaN without a ranking.

        Args:
            of: `amount`; `score`, in logits; or `fraction`: the score from 0 at the baseline to 1 at the picture, so
                that confident and unsure pictures count alike; NaN where the two scores are equal.
        """
        return self._areas(self.amount, self.score, of)

    def chance_areas(self, of: str = "amount") -> Floats:
        """(orders, explanations): the same in orders that know nothing."""
        return self._areas(self.chance_amount, self.chance_score, of)

    def area(self, of: str = "amount") -> Estimate:
        """The mean area with a 95 % bootstrap interval over pictures, each of which counts once."""
        return mean_of(self._by_picture(self.areas(of)), seed=self.seed)

    def chance_area(self, of: str = "amount") -> Estimate:
        """The same in orders that know nothing.

        Raises:
            SettingError: None were drawn.
        """
        self._need_orders()
        return mean_of(self._by_picture(self.chance_areas(of).mean(axis=0)), seed=self.seed)

    def gain(self, of: str = "amount") -> Estimate:
        """How much better than chance the areas are on the same pictures: lower by deletion, higher by insertion."""
        self._need_orders()
        sign = -1.0 if self.way == "deletion" else 1.0
        return mean_of(self._by_picture(sign * (self.areas(of) - self.chance_areas(of).mean(axis=0))), seed=self.seed)

    def to_record(self) -> dict[str, Any]:
        """As JSON types; what is not known is None."""
        plain = {name: getattr(self, name) for name in ("way", "baseline", "unit", "seed")}
        names = ("shares", "amount", "score", "chance_amount", "chance_score")
        arrays = {name: _without_nan(getattr(self, name).tolist()) for name in names}
        return {**plain, "pictures": list(self.pictures), **arrays}

    def __repr__(self) -> str:
        missing = int((~self.ranked).sum())
        told = f"<{self.way.capitalize()} of {len(self.amount)} explanations, baseline {self.baseline}: "
        left_out = f", {missing} without a ranking" if missing else ""
        if missing == len(self.amount):
            return f"{told}nothing to score{left_out}>"
        area = self.area()
        chance = f", chance {self.chance_area().value:.3f}" if len(self.chance_amount) else ""
        return f"{told}area {area.value:.3f} [{area.low:.3f}, {area.high:.3f}] ({self.unit}){chance}{left_out}>"

    def _areas(self, amount: Floats, score: Floats, of: str) -> Floats:
        chosen: Of = word("of", of, Of)
        height = amount if chosen == "amount" else score
        if chosen == "fraction":
            ends = (score[..., -1:], score[..., :1]) if self.way == "deletion" else (score[..., :1], score[..., -1:])
            span = ends[1] - ends[0]
            with np.errstate(invalid="ignore", divide="ignore"):
                height = np.where(span != 0, (score - ends[0]) / span, np.nan)
        return np.asarray(np.trapezoid(height, self.shares, axis=-1))

    def _need_orders(self) -> None:
        if not len(self.chance_amount):
            raise SettingError("orders", given=0, expected="1 or more to compare with chance")

    def _by_picture(self, values: Floats) -> Floats:
        known: dict[str, list[float]] = {}
        for picture, value in zip(self.pictures, values, strict=True):
            if not np.isnan(value):
                known.setdefault(picture, []).append(float(value))
        if not known:
            hint = "use explanations whose values differ"
            raise SettingError("explanations", given="none with a ranking", expected="one or more", hint=hint)
        return np.array([np.mean(each) for each in known.values()])


def _without_nan(values: Any) -> Any:
    if isinstance(values, list):
        return [_without_nan(each) for each in values]
    return None if np.isnan(values) else values
