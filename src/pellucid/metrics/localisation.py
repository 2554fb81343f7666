"""Does an explanation lie on the object? The pointing game and the energy inside, beside what knows nothing.

Objects of photographs are mostly in the middle, so the middle alone scores high; it is always measured on the same
pictures. Where an object *is* says nothing about what a network *uses*: background can be evidence, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pellucid.errors import SettingError
from pellucid.intervals import Estimate, mean_of, share_of
from pellucid.methods.explanation import Explanation, Subject
from pellucid.metrics.graph_selection import word
from pellucid.metrics.map_controls import map_controls
from pellucid.metrics.objects import hit_by, mask_of, seen_area, seen_share
from pellucid.metrics.planes import Plane, pictures_only, plane_of, without_ranking

Status = Literal["scored", "cropped away", "no ranking"]
Of = Literal["pointing", "energy"]
Who = Literal["explanation", "centre", "edges", "random"]
_LEFT_OUT: tuple[Status, ...] = ("cropped away", "no ranking")
TOLERANCE = 15.0
"""Pixels of the original picture, as TorchRay has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """One explanation and one object.

    Who points: `explanation`; `centre`, a Gaussian around the middle of what the model sees, whose standard deviation
    is a quarter of each side; `edges`, the picture's own edges; `random`, exactly what is to be expected by chance.

    Attributes:
        picture: The picture's name.
        digest: The picture's digest.
        status: `scored`; `cropped away`: the model sees nothing of the object; `no ranking`: all values are equal.
        seen: How much of the object's area the model sees, 0 to 1.
        pointing: By who points, 1 where the largest value hits the object, else 0; where several are largest, the share
            of them that hits. For `random` the probability that a point of what the model sees hits. Empty unless
            scored.
        energy: By who points, the share of the positive values that lies inside of the object, 0 to 1; NaN where no
            value is positive. For `random` the object's share of what the model sees. Empty unless scored.
    """

    picture: str
    digest: str
    status: Status
    seen: float
    pointing: Mapping[str, float]
    energy: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Localisation:
    """How well some explanations lie on their objects. Each picture counts once, however many of its objects are asked.

    Attributes:
        items: One for each explanation, in order.
        tolerance: In pixels of the original picture.
        seed: Of the bootstrap.
    """

    items: tuple[Located, ...]
    tolerance: float
    seed: int

    @property
    def scored(self) -> tuple[Located, ...]:
        """Those that count."""
        return tuple(item for item in self.items if item.status == "scored")

    def count(self, status: Status) -> int:
        """How many have a status."""
        return sum(item.status == status for item in self.items)

    def pointing_game(self, who: str = "explanation") -> Estimate:
        """The share of pictures whose object is hit, with a 95 % interval over pictures.

        The interval is Wilson's; for `random`, which is an expectation and not a count, it is by bootstrap.

        Raises:
            SettingError: Nothing can be scored.
        """
        found = self._by_picture("pointing", word("who", who, Who))
        return mean_of(found, seed=self.seed) if who == "random" else share_of(float(found.sum()), len(found))

    def energy_inside(self, who: str = "explanation") -> Estimate:
        """The mean share of positive values inside of the object, with a 95 % bootstrap interval over pictures.

        Raises:
            SettingError: Nothing can be scored.
        """
        return mean_of(self._by_picture("energy", word("who", who, Who)), seed=self.seed)

    def gain(self, of: str = "pointing", *, over: str = "centre") -> Estimate:
        """How much more than a baseline, on the same pictures, with a 95 % bootstrap interval over them.

        Args:
            of: `pointing` or `energy`.
            over: `centre`, `edges` or `random`.
        """
        chosen: Of = word("of", of, Of)
        theirs = self._by_picture(chosen, word("over", over, Who))
        return mean_of(self._by_picture(chosen, "explanation") - theirs, seed=self.seed)

    def to_record(self) -> dict[str, Any]:
        """As JSON types; what is not known is None."""
        items = [
            {**asdict(item), "pointing": dict(item.pointing), "energy": _without_nan(item.energy)}
            for item in self.items
        ]
        return {"items": items, "tolerance": self.tolerance, "seed": self.seed}

    def __repr__(self) -> str:
        left_out = "".join(f", {n} {status}" for status in _LEFT_OUT if (n := self.count(status)))
        if not self.scored:
            return f"<Localisation of {len(self.items)} explanations: nothing to score{left_out}>"
        own, centre, random = (self.pointing_game(who) for who in ("explanation", "centre", "random"))
        return (
            f"<Localisation on {own.count} pictures: pointing game {own.value:.3f} [{own.low:.3f}, {own.high:.3f}], "
            f"centre {centre.value:.3f}, random {random.value:.3f}{left_out}>"
        )

    def _by_picture(self, of: Of, who: str) -> npt.NDArray[np.float64]:
        """The mean over each picture's objects, of all pictures where the explanation has a value."""
        known: dict[str, list[float]] = {}
        for item in self.scored:
            values = item.pointing if of == "pointing" else item.energy
            if not np.isnan(values["explanation"]):
                known.setdefault(item.digest, []).append(values[who])
        if not known:
            reasons = [f"{self.count('cropped away')} cropped away", f"{self.count('no ranking')} without a ranking"]
            if self.scored:
                reasons.append(f"{len(self.scored)} without a positive value")
            hint = "use pictures whose object the model sees, and a method whose values differ"
            raise SettingError("explanations", given=", ".join(reasons), expected="one or more to score", hint=hint)
        return np.array([np.mean(values) for values in known.values()])


def evaluate_localisation(
    explanations: Explanation | Sequence[Explanation],
    *,
    objects: Sequence[Any],
    tolerance: int | float = TOLERANCE,
    seed: int = 0,
) -> Localisation:
    """Measure how well explanations of pictures lie on the objects that they are about.

    The pointing game asks where the largest value lies: a hit is the pixel of the original picture that the middle of
    the largest value's pixel falls into, if it is one of the object's or less than `tolerance` pixels away from one.
    The energy inside is the share of the positive values within the object, each pixel that the model sees counted as
    far as the object covers it. Both use the first part of an explanation, enlarged as `plane_of` says.

    Args:
        explanations: One or many, of pictures (not of tensors: nobody knows where those lie in a picture).
        objects: For each explanation the object that it is about, in the original picture: a mask, bool (height,
            width), or a box (left, top, right, bottom). Several objects of one class are one mask, as in TorchRay.
        tolerance: In pixels of the original picture, 0 or more.
        seed: Of the bootstrap over pictures.

    Returns:
        What was measured; explanations of one value everywhere and objects that were cropped away are left out of all
        figures and counted.

    Raises:
        SettingError: Numbers do not match, a mask or box makes no sense, or values are not finite.

    Reference:
        Zhang et al., Top-down Neural Attention by Excitation Backprop, ECCV 2016, section 4.1 (pointing game), by the
        rules of TorchRay; Wang et al., Score-CAM, CVPR workshops 2020, section 4.3 (energy-based pointing game).
    """
    several = pictures_only(explanations)
    if not isinstance(objects, Sequence) or len(objects) != len(several):
        given = f"{len(objects)} objects" if hasattr(objects, "__len__") else objects
        hint = "one object in a list, where there is one explanation"
        raise SettingError("objects", given=given, expected=f"one for each of {len(several)} explanations", hint=hint)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < np.inf:
        raise SettingError("tolerance", given=tolerance, expected="pixels, 0 or more", hint="TorchRay uses 15")
    items = [
        _located(explanation, given, name=f"objects[{number}]", tolerance=float(tolerance))
        for number, (explanation, given) in enumerate(zip(several, objects, strict=True))
    ]
    return Localisation(items=tuple(items), tolerance=float(tolerance), seed=seed)


def pointing_at(plane: Plane, hit: npt.NDArray[np.bool_]) -> float:
    """The share of the largest values that hit; 0 or 1 where one is largest."""
    return float(hit[plane == plane.max()].mean())


def energy_in(plane: Plane, covered: Plane) -> float:
    """The share of the positive values that is covered, 0 to 1; NaN where no value is positive."""
    positive = plane.clip(min=0.0)
    largest = float(positive.max())
    if largest == 0:
        return float("nan")
    positive = positive / largest  # so that no sum overflows, nor does a square of tiny values vanish
    return float((positive * covered).sum() / positive.sum())


def _located(explanation: Explanation, given: Any, *, name: str, tolerance: float) -> Located:
    if not isinstance(explanation.subject, Subject):
        hint = "explain a picture: where a tensor lies in one, nobody knows"
        raise SettingError("explanations", given=repr(explanation), expected="explanations of pictures", hint=hint)
    subject, geometry = explanation.subject, explanation.subject.geometry
    mask = mask_of(given, geometry.original, name=name)
    plane = plane_of(explanation, geometry.prepared)
    covered = seen_share(mask, geometry)
    status: Status = "cropped away" if not covered.any() else "no ranking" if without_ranking(plane) else "scored"
    pointing: dict[str, float] = {}
    energy: dict[str, float] = {}
    if status == "scored":
        hit = hit_by(mask, geometry, tolerance=tolerance)
        centre, edges = (control.values for control in map_controls(subject.pixels))
        for who, values in (("explanation", plane), ("centre", centre), ("edges", edges)):
            pointing[who], energy[who] = pointing_at(values, hit), energy_in(values, covered)
        pointing["random"], energy["random"] = float(hit.mean()), float(covered.mean())
    return Located(
        picture=subject.name,
        digest=subject.digest,
        status=status,
        seen=seen_area(mask, geometry),
        pointing=pointing,
        energy=energy,
    )


def _without_nan(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else value for name, value in values.items()}
