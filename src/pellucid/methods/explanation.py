"""An explanation: the values, what they are about, how they were made, and what is known to be wrong with them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid import archive
from pellucid.errors import ArchiveError, SettingError
from pellucid.inputs.image import Image
from pellucid.methods.graph_subject import GraphSubject
from pellucid.methods.parts import Cost, Part, Subject, read_only
from pellucid.methods.targets import Resolved
from pellucid.models.preprocessing import Geometry

if TYPE_CHECKING:
    from pellucid.figures.channels import ChannelsFigure
    from pellucid.figures.colour import Kind
    from pellucid.figures.graph import GraphFigure
    from pellucid.figures.mesh import MeshFigure
    from pellucid.figures.molecule import MoleculeFigure
    from pellucid.figures.overlay import Overlay


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """Why a model gave an answer, according to one method. Immutable; holds no live model.

    Attributes:
        method: The method's name.
        settings: All its settings, defaults too.
        target: What was explained.
        score: The value of what was explained, in logits unless it is a unit.
        logits: The model's answer.
        looked_through: The final operation behind which the logits were found, or None.
        parts: The attribution.
        checks: Measured numbers about it by name, e.g. "completeness gap".
        notes: What a reader must know, e.g. "no positive evidence".
        subject: The picture, or the part of a graph that the target can see; None for what was given as a tensor.
        model: The model's name.
        weights_digest: SHA-256 over the model's weights.
        input_digest: SHA-256 over the prepared input.
        seed: The seed of every random draw.
        precision: What it was computed in: the type of the model, "float32, fused" or "bfloat16".
        cost: What it took.
        versions: Versions of what made it.
    """

    method: str
    settings: Mapping[str, Any]
    target: Resolved
    score: float
    logits: np.ndarray
    looked_through: str | None
    parts: tuple[Part, ...]
    checks: Mapping[str, float]
    notes: tuple[str, ...]
    subject: Subject | GraphSubject | None
    model: str
    weights_digest: str
    input_digest: str
    seed: int
    precision: str
    cost: Cost
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.parts:
            raise SettingError("parts", given=self.parts, expected="one or more")
        object.__setattr__(self, "logits", read_only(self.logits))
        for name in ("settings", "checks", "versions"):
            # A copy: whoever made it may go on writing into theirs.
            object.__setattr__(self, name, dict(getattr(self, name)))

    @property
    def values(self) -> np.ndarray:
        """The values of the first part; most methods have just one."""
        return self.parts[0].values

    def part(self, name: str) -> Part:
        """The part of a name.

        Of a picture "pixels" or "map"; of a graph "nodes", "edges", "features", "edge_types" or "edge_features".

        Raises:
            SettingError: There is none of that name.
        """
        for each in self.parts:
            if each.name == name:
                return each
        raise SettingError("part", given=name, expected=" or ".join(repr(each.name) for each in self.parts))

    def has(self, name: str) -> bool:
        """Whether there is a part of that name."""
        return any(each.name == name for each in self.parts)

    @property
    def signed(self) -> bool:
        """Whether the values speak for and against, rather than only for."""
        return bool((self.values < 0).any())

    @property
    def kind(self) -> "Kind":
        """The rule of its colours: around zero where any value is below 0, else upwards from 0."""
        return "signed" if self.signed else "sequential"

    def same_as(self, other: object) -> bool:
        """Whether two explanations say the same: everything but time, device and versions, values to the bit."""
        if not isinstance(other, Explanation):
            return False
        records = [self._record(), other._record()]
        for record in records:
            for name in ("cost", "versions"):
                record.pop(name)
        mine, theirs = self._arrays(), other._arrays()
        return (
            archive.dump_json(records[0]) == archive.dump_json(records[1])
            and mine.keys() == theirs.keys()
            and all(_bits(array) == _bits(theirs[name]) for name, array in mine.items())
        )

    def draw(self) -> "Overlay | ChannelsFigure | GraphFigure | MoleculeFigure | MeshFigure":
        """Draw the explanation: over the picture, or on the graph, the molecule or the mesh; with a numeric legend.

        Values of channels are drawn as bars, the strongest first, with their feature maps.

        Raises:
            SettingError: The values of a picture are no map.
        """
        if not isinstance(self.subject, GraphSubject):
            return self.bars() if self.parts[0].axes == ("channels",) else self.overlay()
        from pellucid.methods.graph_drawing import draw_on_graph

        return draw_on_graph(self, title=f"{self.method}: {self.target.text}")

    def bars(self, *, top: int = 10) -> "ChannelsFigure":
        """Draw values of channels as signed bars, the strongest first, with their feature maps on one scale.

        Args:
            top: How many channels are drawn.

        Raises:
            SettingError: The values are not of channels.
        """
        from pellucid.figures.channels import draw_channels

        part = self.parts[0]
        if part.axes != ("channels",):
            raise SettingError("part", given=", ".join(part.axes), expected="one value per channel", hint="use draw()")
        maps = self.feature_maps()
        return draw_channels(part.values, None if maps is None else maps.values, top=top, unit=self.unit)

    def feature_maps(self) -> Part | None:
        """What the channels that were explained returned, (channels, height, width); None without positions."""
        place = self.parts[0].place
        maps = (part for part in self.parts if part.name.startswith("activations") and part.place == place)
        return next((part for part in maps if part.is_map), None)

    def overlay(self, *, original: Image | None = None, side: int = 480) -> "Overlay":
        """Draw the first part over the picture, with a numeric legend; the values themselves are never rescaled.

        Args:
            original: The picture as it was read, to draw there instead of on the prepared one.
            side: A small picture is enlarged to no more than this many pixels on its longer side.

        Raises:
            SettingError: The picture is not the explained one, or the values are no map.
        """
        from pellucid.figures.overlay import overlay

        part = self.parts[0]
        if not part.is_map:
            hint = "use draw()" if part.axes == ("channels",) else ""
            raise SettingError("part", given=", ".join(part.axes), expected="values with height and width", hint=hint)
        plane = part.plane()
        box, seen = part.box, None
        if isinstance(self.subject, GraphSubject):
            raise SettingError(
                "part", given="an explanation of a graph", expected="one of a picture", hint="use draw()"
            )
        if self.subject is None and original is not None:
            raise SettingError(
                "original",
                given=original.name,
                expected="nothing: a tensor was explained, and where it lay is not known",
            )
        if self.subject is None:
            picture = np.full((*plane.shape, 3), 255, dtype=np.uint8)
            box = None
        elif original is None:
            picture = self.subject.pixels
            seen = (0.0, 0.0, float(picture.shape[1]), float(picture.shape[0]))
        else:
            if original.digest != self.subject.digest:
                raise SettingError(
                    "original",
                    given=f"{original.name} ({original.digest[:12]})",
                    expected=f"the explained picture, {self.subject.name} ({self.subject.digest[:12]})",
                )
            picture, geometry = original.pixels, self.subject.geometry
            box, seen = _in_original(box, geometry), geometry.frame
        return overlay(plane, picture, kind=self.kind, box=box, seen=seen, unit=self.unit, side=side)

    @property
    def unit(self) -> str:
        """What one value is, for a legend."""
        if self.parts[0].place == "input":
            return "per pixel, summed over the colours" if self.values.ndim == 3 else "per pixel"
        each = "channel" if self.parts[0].axes == ("channels",) else "cell"
        return f"per {each} of {self.parts[0].place}"

    def save(self, path: str | Path) -> Path:
        """Save as `path`.json and `path`.safetensors; `Explanation.load` reads it back.

        Returns:
            The path of the JSON file.
        """
        return archive.write(path, kind="explanation", record=self._record(), arrays=self._arrays())

    @classmethod
    def load(cls, path: str | Path) -> "Explanation":
        """Read a saved explanation.

        Raises:
            ArchiveError: The files are missing, damaged or no explanation.
        """
        record, arrays = archive.read(path, kind="explanation")
        try:
            return cls.from_record(record, arrays)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArchiveError(f"{path} is no complete explanation ({error!r}); make and save it again.") from error

    @classmethod
    def from_record(cls, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> "Explanation":
        """From what `to_record` gave."""
        parts = tuple(
            Part(
                name=row["name"],
                place=row["place"],
                axes=tuple(row["axes"]),
                values=arrays[f"part {i}"],
                box=None if row["box"] is None else tuple(row["box"]),
                standard_error=arrays.get(f"part {i} standard error"),
            )
            for i, row in enumerate(record["parts"])
        )
        known = record["subject"]
        subject: Subject | GraphSubject | None = None
        if known is not None and "graph" in known:
            subject = GraphSubject.from_record(known, arrays)
        elif known is not None:
            geometry = Geometry.from_record(known["geometry"])
            subject = Subject(name=known["name"], digest=known["digest"], pixels=arrays["subject"], geometry=geometry)
        plain = ("method", "settings", "looked_through", "model", "weights_digest", "input_digest", "seed", "precision")
        return cls(
            **{name: record[name] for name in plain},
            score=_number(record["score"]),
            target=Resolved.from_record(record["target"]),
            logits=arrays["logits"],
            parts=parts,
            checks={name: _number(value) for name, value in record["checks"].items()},
            notes=tuple(record["notes"]),
            subject=subject,
            cost=Cost(**record["cost"]),
            versions=record["versions"],
        )

    def to_record(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """As JSON types, and the arrays that belong to them."""
        return self._record(), self._arrays()

    def _record(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "settings": dict(self.settings),
            "target": self.target.to_record(),
            "score": self.score,
            "looked_through": self.looked_through,
            "parts": [
                {"name": p.name, "place": p.place, "axes": list(p.axes), "box": None if p.box is None else list(p.box)}
                for p in self.parts
            ],
            "checks": dict(self.checks),
            "notes": list(self.notes),
            "subject": _subject_record(self.subject),
            "model": self.model,
            "weights_digest": self.weights_digest,
            "input_digest": self.input_digest,
            "seed": self.seed,
            "precision": self.precision,
            "cost": asdict(self.cost),
            "versions": dict(self.versions),
        }

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = {f"part {i}": part.values for i, part in enumerate(self.parts)}
        arrays |= {
            f"part {i} standard error": p.standard_error
            for i, p in enumerate(self.parts)
            if p.standard_error is not None
        }
        arrays["logits"] = self.logits
        if isinstance(self.subject, GraphSubject):
            arrays |= self.subject.to_record()[1]
        elif self.subject is not None:
            arrays["subject"] = self.subject.pixels
        return arrays

    def __repr__(self) -> str:
        what = f"{self.method} of {self.target.text} in {self.model}"
        shape = "×".join(map(str, self.values.shape))
        notes = f"; {'; '.join(self.notes)}" if self.notes else ""
        return f"<Explanation: {what}, {shape} at {self.parts[0].place}{notes}>"

    def _repr_svg_(self) -> str | None:
        if not isinstance(self.subject, GraphSubject):
            return None
        return getattr(self.draw(), "alone", lambda: None)()

    def _repr_png_(self) -> bytes | None:
        if isinstance(self.subject, GraphSubject):
            return getattr(self.draw(), "png", lambda: None)()
        if self.parts[0].axes == ("channels",):
            return self.bars().figure_png(title=f"{self.method}: {self.target.text}", lines=self.notes)
        if not self.parts[0].is_map:
            return None
        return self.overlay().figure_png(title=f"{self.method}: {self.target.text}", lines=self.notes)


def _subject_record(subject: Subject | GraphSubject | None) -> dict[str, Any] | None:
    if subject is None:
        return None
    if isinstance(subject, GraphSubject):
        return subject.to_record()[0]
    return {"name": subject.name, "digest": subject.digest, "geometry": subject.geometry.to_record()}


def _in_original(
    box: tuple[float, float, float, float] | None, geometry: Geometry
) -> tuple[float, float, float, float]:
    if box is None:
        return geometry.frame
    top, left = geometry.to_original(box[1], box[0])
    bottom, right = geometry.to_original(box[3], box[2])
    return float(left), float(top), float(right), float(bottom)


def _bits(array: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    return str(array.dtype), array.shape, array.tobytes()


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


__all__ = ["Cost", "Explanation", "Part", "Subject"]
