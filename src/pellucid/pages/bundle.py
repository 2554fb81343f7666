"""A bundle: all that a page needs about one picture in one model, and nothing else. JSON and arrays, no live model.

The same bundle feeds the page, the app and the notebook. It is made by a trace and by explanations; nothing here runs
a model itself.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from pellucid import archive
from pellucid.capture.hastening import Precision
from pellucid.capture.trace import trace
from pellucid.errors import MethodError, SettingError
from pellucid.inputs.image import Image
from pellucid.insights.depth import along_depth
from pellucid.insights.filter_report import FilterReport
from pellucid.insights.filters import inspect_filters
from pellucid.insights.layers import filters_of
from pellucid.insights.path import path_of_decision
from pellucid.insights.probe_pictures import ProbePictures
from pellucid.methods.explaining import explain_many, versions
from pellucid.methods.explanation import Explanation
from pellucid.methods.usual import explain_usual
from pellucid.models.geometry import Geometry
from pellucid.models.model import Model
from pellucid.pages.bundle_record import VERSION, as_record, read_record, require, without_folders
from pellucid.pages.choosing import sites_to_show
from pellucid.pages.findings import depth_part, filters_part, path_part
from pellucid.pages.kept_explanations import kept_explanations, restored_explanations
from pellucid.pages.maps import drawn_maps
from pellucid.pages.measuring import answer_record, card_summary, input_record

if TYPE_CHECKING:
    from pellucid.pages.graph_bundle import GraphBundle

METHODS = ("grad-cam", "integrated-gradients", "guided-backpropagation")
_LONGEST_PICTURE = 640
_FILTER_PICTURES = 16
_PROBE_STEPS = 20
"""Of the progress, how many steps a probe set takes."""

_PARTS = (
    "model", "picture", "input", "answer", "sites", "maps", "explanations", "methods_left_out", "assumed", "versions",
)  # fmt: skip

Progress = Callable[[float, int], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """What is known about one picture in one model, ready to be shown.

    Attributes:
        record: Everything but the arrays, in JSON types.
        arrays: `original` and `prepared` pictures, `maps 0` … as palette entries, and the explanations' arrays.
    """

    record: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    @property
    def explanations(self) -> tuple[Explanation, ...]:
        """The explanations, as they were made."""
        return restored_explanations(self.record["explanations"], self.arrays)

    @property
    def shown_geometry(self) -> Geometry:
        """How the prepared picture lies in the original as it is kept here, which may be smaller than the file."""
        geometry = Geometry.from_record(self.record["picture"]["geometry"])
        height, width = self.arrays["original"].shape[:2]
        return replace(geometry, original=(int(height), int(width)))

    @property
    def same_view(self) -> bool:
        """Whether the model saw the picture as it was read: all of it, at its own size."""
        geometry = Geometry.from_record(self.record["picture"]["geometry"])
        return geometry.original == geometry.resized == geometry.prepared

    @property
    def seen_share(self) -> float:
        """The share of the picture's area that the model saw, 0 … 1."""
        left, top, right, bottom = self.shown_geometry.frame
        height, width = self.arrays["original"].shape[:2]
        return float((right - left) * (bottom - top) / (height * width))

    def save(self, path: str | Path) -> Path:
        """Save as `path`.json and `path`.safetensors; `Bundle.load` reads it back.

        Returns:
            The path of the JSON file.
        """
        return archive.write(path, kind="bundle", record=self.record, arrays=self.arrays)

    @classmethod
    def load(cls, path: str | Path) -> "Bundle | GraphBundle":
        """Read a saved bundle, of a picture or of a graph.

        Raises:
            ArchiveError: The files are missing, damaged, no bundle, or of a version that this pellucid does not know.
        """
        record, arrays = read_record(path)
        if record.get("about") == "graph":
            # Imported here: a bundle of a graph is made of what this file has for both.
            from pellucid.pages.graph_bundle import GraphBundle

            return GraphBundle.from_saved(record, arrays, name=PurePath(path).name)
        require(_PARTS, record, ("original", "prepared"), arrays, name=PurePath(path).name)
        return cls(record=record, arrays=arrays)

    def __repr__(self) -> str:
        megabytes = sum(array.nbytes for array in self.arrays.values()) / 1e6
        methods = ", ".join(record["method"] for record in self.record["explanations"])
        name, model = self.record["picture"]["name"], self.record["model"]["name"]
        count = len(self.record["sites"])
        return f"<Bundle of {name!r} in {model!r}: {count} site{'s' * (count != 1)}, {methods}, {megabytes:.1f} MB>"


def make_bundle(
    model: Model,
    image: Image,
    *,
    methods: Sequence[str] | None = None,
    target: str = "top:1",
    sites: Sequence[str] | None = None,
    channels: str | Sequence[int] = "top:8",
    seed: int = 0,
    probe: ProbePictures | None = None,
    precision: Precision = "float32",
    remark: str | None = None,
    command: str | None = None,
    progress: Progress | None = None,
) -> Bundle:
    """Ask a model about a picture and keep what a page needs.

    Args:
        model: The model; it is left exactly as it was.
        image: The picture.
        methods: Methods by name or in text form, one or more; a method that does not apply to the model is an error.
            None takes those of `METHODS` that apply, with `saliency` where too few do; the bundle says what was left
            out and why.
        target: What to explain.
        sites: Selectors of the sites whose feature maps are shown; up to five over the whole depth unless given.
        channels: Which of their channels; `top:8` means the eight that vary most away from the border.
        seed: For every random draw.
        probe: Pictures on which form and class along the depth are measured; None leaves that out.
        precision: In which form methods of many passes run, as for `explain`.
        remark: What a reader should know about this picture before anything else, e.g. that it is unlike the
            training pictures.
        command: The command that made the page, for its foot; folders are left out.
        progress: Called with the steps done and the steps in all.

    Raises:
        InputError, ModelError, MethodError, TargetError, SiteError: Something cannot be used; says what to do.
        SettingError: No method, or channels that a site does not have.
    """
    if methods is not None and (isinstance(methods, str) or not methods):
        raise SettingError("methods", given=methods, expected="a list with at least one method", hint=f"e.g. {METHODS}")
    before = len(METHODS if methods is None else methods) + 2
    steps = before + 1 + (0 if probe is None else _PROBE_STEPS)

    def done(step: float) -> None:
        if progress is not None:
            progress(step, steps)

    whole = trace(model, image, keep="statistics")
    done(1)
    chosen = sites_to_show(whole.sites) if sites is None else [site.name for site in whole.select(*sites)]
    detailed = trace(model, image, sites=chosen)
    done(2)
    explanations: list[Explanation] = []
    left_out: Mapping[str, str] = {}
    if methods is None:
        usual = explain_usual(
            model,
            image,
            methods=METHODS,
            target=target,
            seed=seed,
            precision=precision,
            progress=lambda made, _: done(2 + made),
        )
        explanations, left_out = list(usual.explanations), usual.left_out
    else:
        explanations += explain_many(
            model,
            [image],
            methods=list(methods),
            targets=[target],
            seed=seed,
            precision=precision,
            progress=lambda made, _: done(2 + made),
        )

    maps, arrays, fewer = drawn_maps(detailed, chosen, channels)
    found = _findings(model, image, target=target, probe=probe, seed=seed, done=lambda step: done(before + step))
    for _, more in found.values():
        arrays |= more
    arrays["original"] = _reduced(image)
    arrays["prepared"] = np.ascontiguousarray(model.preprocessing.pixels(image))
    records, own = kept_explanations(explanations)
    arrays |= own
    first = explanations[0]
    output = None if detailed.output is None else detailed.output.cpu().float().numpy()
    statistics = {site.name: site.statistics for site in whole.sites}
    record = {
        "bundle_version": VERSION,
        "model": {
            "name": model.name,
            "source": model.source,
            "notes": list(model.notes),
            "class": type(model.module).__name__,
            "parameters": sum(parameter.numel() for parameter in model.module.parameters()),
            "weights_digest": whole.weights_digest,
            "card": card_summary(model.card),
        },
        "picture": {
            "name": image.name,
            "digest": image.digest,
            "notes": list(image.notes),
            "size": [image.height, image.width],
            "geometry": model.preprocessing.geometry(image).to_record(),
        },
        "preprocessing": model.preprocessing.to_record(),
        "input": {**input_record(model.preprocessing, image), "digest": first.input_digest},
        "answer": answer_record(
            first.logits,
            output,
            names=model.class_names,
            looked_through=first.looked_through,
            classes=first.target.classes,
            target=target,
        ),
        "sites": [
            {**row, "zeros": _zeros(statistics.get(row["name"]))} | {"statistics": None} for row in detailed.rows()
        ],
        "seconds": detailed.seconds,
        "not_finite": None if whole.not_finite is None else whole.not_finite.name,
        "maps": maps,
        "maps_left_out": fewer,
        "explanations": records,
        **{name: kept for name, (kept, _) in found.items()},
        "methods_left_out": [{"method": name, "reason": reason} for name, reason in left_out.items()],
        "assumed": {
            "target": target,
            "seed": seed,
            "precision": " + ".join(dict.fromkeys(each.precision for each in explanations)),
            "device": str(model.device),
            "class_names": model.class_names is not None,
            "sites": "chosen" if sites is None else "named",
        },
        "remark": remark,
        "command": None if command is None else without_folders(command),
        "versions": versions(),
    }
    return Bundle(record=as_record(record), arrays=arrays)


def _findings(
    model: Model,
    image: Image,
    *,
    target: str,
    probe: ProbePictures | None,
    seed: int,
    done: Callable[[int], None],
) -> dict[str, tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """What insights find out, by name; what does not apply to the model or the target is left out."""
    found = {}
    if not target.startswith("unit:"):
        # A model without positions, such as one that reads patches, has no path through feature maps.
        with contextlib.suppress(MethodError):
            path = path_of_decision(model, image, target=target)
            if path.sites:
                found["path"] = path_part(path)
    pictures = [image] if probe is None else list(probe.images)[:_FILTER_PICTURES]
    report = inspect_filters(model, pictures, seed=seed)
    found["filters"] = filters_part(report, _colour_kernels(model, report))
    done(1)
    if probe is not None:
        depth = along_depth(
            model,
            probe.images,
            labels=probe.labels,
            shown=image,
            source=probe.source,
            seed=seed,
            progress=lambda step, steps: done(1 + step * _PROBE_STEPS // steps),
        )
        found["depth"] = depth_part(depth)
    return found


def _colour_kernels(model: Model, report: FilterReport) -> np.ndarray | None:
    """The first layer's kernels by R, G and B, where it looks at colours."""
    first = report.layers[0] if report.layers else None
    if first is None or len(first.shape) != 4 or first.shape[1] != 3 or min(first.shape[2:]) < 2:
        return None
    weight = np.asarray(filters_of(model.module.get_submodule(first.name)), dtype=np.float64)
    if not np.isfinite(weight).all():
        return None
    kernels = weight.reshape(first.shape)
    return kernels[:, ::-1] if model.preprocessing.channels == "BGR" else kernels


def _reduced(image: Image) -> np.ndarray:
    share = _LONGEST_PICTURE / max(image.height, image.width)
    if share >= 1:
        return np.array(image.pixels)
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    return np.array(image.pil().resize(size, PIL.Image.Resampling.LANCZOS))


def _zeros(statistics: Any) -> float | None:
    return None if statistics is None else float(statistics.zeros)
