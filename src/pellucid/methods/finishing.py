"""From what a method returned for a batch to one explanation per item."""

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pellucid import __version__, archive
from pellucid.capture.answers import Answer
from pellucid.capture.asks import Facts, Method, Parts, Piece
from pellucid.capture.hastening import Precision
from pellucid.capture.sites import INPUT, Site
from pellucid.inputs.image import Image
from pellucid.methods.catalogue import name_of, settings_of
from pellucid.methods.digesting import WeightsDigest
from pellucid.methods.explanation import Explanation
from pellucid.methods.parts import Cost, Part, Subject
from pellucid.methods.targets import Resolved
from pellucid.models.model import Model
from pellucid.models.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some items of one shape, and what every explanation of them has in common.

    Attributes:
        model: The model.
        weights_digest: That of its weights, under way.
        tensor: The prepared items.
        images: The pictures that they were made of; None for those that were given as tensors.
        seed: For every random draw.
        precision: In which form many passes are run.
        subjects: What was found out about the pictures already, by place.
    """

    model: Model
    weights_digest: WeightsDigest
    tensor: Tensor
    images: tuple[Image | None, ...]
    seed: int
    precision: Precision = "float32"
    subjects: dict[int, tuple[Subject | None, str]] = field(default_factory=dict)

    def part(self, piece: slice) -> "Batch":
        """Some of the items."""
        return Batch(
            model=self.model,
            weights_digest=self.weights_digest,
            tensor=self.tensor[piece],
            images=self.images[piece],
            seed=self.seed,
            precision=self.precision,
        )

    @property
    def preparing(self) -> Preprocessing | None:
        """How pictures become such items; None where that is assumed only, and some items came as tensors."""
        known = self.model.preprocessing
        return None if known.source == "assumed" and any(image is None for image in self.images) else known

    def subject(self, item: int) -> tuple[Subject | None, str]:
        """The picture as it is drawn later, and the digest of what the model got."""
        if item not in self.subjects:
            image, preparation = self.images[item], self.model.preprocessing
            subject = None
            if image is not None:
                subject = Subject(
                    name=image.name,
                    digest=image.digest,
                    pixels=preparation.pixels(image),
                    geometry=preparation.geometry(image),
                )
            self.subjects[item] = subject, input_digest(self.tensor[item])
        return self.subjects[item]


def finished(
    batch: Batch,
    method: Method,
    parts: Parts,
    *,
    targets: Sequence[Resolved],
    scores: Tensor,
    answer: Answer,
    facts: Facts,
    cost: Cost,
    remarks: Sequence[str] = (),
    precision: str = "",
) -> list[Explanation]:
    """One explanation per item of a batch.

    Args:
        batch: The items.
        method: What explained them.
        parts: What it returned.
        targets: What was explained, per item.
        scores: The value of that, per item.
        answer: The model's answer to the batch.
        facts: The model's sites.
        cost: What one explanation took.
        remarks: What a reader should know about how all of them were made.
        precision: In what they were computed, where that is not the model's own type.
    """
    return [
        _one(batch, item, method, parts, targets[item], float(scores[item]), answer, facts, cost, remarks, precision)
        for item in range(len(batch.tensor))
    ]


def _one(
    batch: Batch,
    item: int,
    method: Method,
    parts: Parts,
    target: Resolved,
    score: float,
    answer: Answer,
    facts: Facts,
    cost: Cost,
    remarks: Sequence[str],
    precision: str,
) -> Explanation:
    made = tuple(_part(piece, item, facts, sides=tuple(batch.tensor.shape[2:])) for piece in parts.pieces)
    notes = [*parts.notes.get(item, ()), *_remarks(made[0].values)]
    notes += [f"{part.name}: {said}" for part in made[1:] for said in _remarks(part.values)]
    notes += remarks
    if answer.looked_through is not None and target.classes:
        through = answer.looked_through.replace("_", "-")
        notes.append(f"the model ends in {through}; its input, the logits, was explained")
    subject, digest = batch.subject(item)
    return Explanation(
        method=name_of(method),
        settings=settings_of(method),
        target=target,
        score=score,
        logits=_array(answer.logits[item]),
        looked_through=answer.looked_through,
        parts=made,
        checks={name: float(numbers[item]) for name, numbers in parts.checks.items()},
        notes=tuple(notes),
        subject=subject,
        model=batch.model.name,
        weights_digest=batch.weights_digest.value(),
        input_digest=digest,
        seed=batch.seed,
        precision=precision or str(batch.tensor.dtype).removeprefix("torch."),
        cost=cost,
        versions=versions(),
    )


def _part(piece: Piece, item: int, facts: Facts, *, sides: tuple[int, ...]) -> Part:
    site = None if piece.place == INPUT else facts.site(piece.place)
    length = slice(None) if piece.lengths is None else slice(piece.lengths[item])
    return Part(
        name=piece.name or ("pixels" if site is None else "map"),
        place=piece.place,
        axes=piece.axes,
        values=_array(piece.values[item][length]),
        box=_box(site, sides) if piece.axes[-2:] == ("height", "width") else None,
        standard_error=None if piece.standard_error is None else _array(piece.standard_error[item][length]),
    )


def versions() -> dict[str, str]:
    """Versions of what makes a result."""
    return {
        "pellucid": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def input_digest(item: Tensor) -> str:
    """SHA-256 over type, shape and values of one prepared item."""
    array = _array(item)
    return archive.digest(f"{array.dtype}\0{array.shape}\0".encode() + array.tobytes())


def _array(tensor: Tensor) -> np.ndarray:
    # What numpy has no type for (bfloat16) becomes float32; what was computed in float64 stays so.
    kept = tensor.dtype if tensor.dtype == torch.float64 else torch.float32
    return tensor.detach().to(device="cpu", dtype=kept).contiguous().numpy().copy()


def _remarks(values: np.ndarray) -> Iterator[str]:
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        yield f"not finite: {bad} of {values.size} values are NaN or infinite"
    elif values.size and float(values.min()) == float(values.max()):
        yield "flat (range 0)"


def _box(site: Site | None, sides: tuple[int, ...]) -> tuple[float, float, float, float] | None:
    """Where a map lies in the prepared picture: each cell around the middle of what it sees, one stride wide."""
    if len(sides) != 2:
        return None
    whole = (0.0, 0.0, float(sides[1]), float(sides[0]))
    field = None if site is None else site.receptive_field
    if site is None or field is None or len(site.shape) != 4:
        return whole
    edges = []
    for axis in (0, 1):
        middle = field.offset[axis] + field.size[axis] / 2
        first = middle - field.stride[axis] / 2
        edges.append((first, first + field.stride[axis] * site.shape[2 + axis]))
    (top, bottom), (left, right) = edges
    return (left, top, right, bottom)
