"""How a gallery is made: every method on one picture, then the rank agreement of their maps."""

from collections.abc import Sequence

import numpy as np

from pellucid.capture.asks import Method
from pellucid.inputs.image import Image
from pellucid.methods.applying import ALL, explain_by_each, settings_that_differ
from pellucid.methods.explaining import versions
from pellucid.methods.explanation import Explanation
from pellucid.metrics.map_controls import map_controls
from pellucid.metrics.rank_agreement import PlacedMap, rank_agreement
from pellucid.models.model import Model
from pellucid.pages.bundle import Progress
from pellucid.pages.bundle_record import as_record, without_folders
from pellucid.pages.gallery import VERSION, Gallery
from pellucid.pages.kept_explanations import kept_explanations
from pellucid.pages.measuring import answer_record, card_summary


def make_gallery(
    model: Model,
    image: Image,
    *,
    methods: Sequence[str | Method],
    target: str = "top:1",
    seed: int = 0,
    remark: str | None = None,
    command: str | None = None,
    progress: Progress | None = None,
) -> Gallery:
    """Explain one picture by several methods and compare what they say.

    Args:
        model: The model; it is left exactly as it was.
        image: The picture.
        methods: Methods by name, in text form or as instances; `all` stands for every method that applies to the model
            and is not named, with its usual settings. The gallery says which of all do not apply, and why.
        target: What to explain, the same for all.
        seed: For every random draw.
        remark: What a reader should know about this picture before anything else.
        command: The command that made the gallery, for the foot of its page; folders are left out.
        progress: As for `explain_by_each`.

    Raises:
        InputError, ModelError, MethodError, TargetError, SiteError: Something cannot be used; says what to do.
        SettingError: No method, a method twice, or one whose values are no map.
    """
    applied = explain_by_each(model, image, methods=methods, target=target, seed=seed, progress=progress)
    explanations = applied.explanations
    prepared = np.ascontiguousarray(model.preprocessing.pixels(image))
    own = [PlacedMap.of(each, name=name) for each, name in zip(explanations, names_of(explanations), strict=True)]
    controls = map_controls(prepared)
    agreement = rank_agreement([*own, *controls], size=prepared.shape[:2])
    records, arrays = kept_explanations(explanations)
    first = explanations[0]
    record = {
        "gallery_version": VERSION,
        "model": {
            "name": model.name,
            "source": model.source,
            "notes": list(model.notes),
            "weights_digest": first.weights_digest,
            "card": card_summary(model.card),
        },
        "picture": {
            "name": image.name,
            "digest": image.digest,
            "notes": list(image.notes),
            "size": [image.height, image.width],
        },
        "preprocessing": model.preprocessing.to_record(),
        "input": {"size": list(prepared.shape[:2]), "digest": first.input_digest},
        "answer": answer_record(
            first.logits,
            None,
            names=model.class_names,
            looked_through=first.looked_through,
            classes=first.target.classes,
            target=target,
        ),
        "explanations": records,
        "left_out": [{"method": name, "reason": reason} for name, reason in applied.left_out.items()],
        "agreement": {**agreement.to_record(), "controls": [each.name for each in controls]},
        "assumed": {
            "target": target,
            "seed": seed,
            "precision": first.precision,
            "device": str(model.device),
            "class_names": model.class_names is not None,
            "methods": "all" if ALL in methods else "named",
        },
        "remark": remark,
        "command": None if command is None else without_folders(command),
        "versions": versions(),
    }
    return Gallery(record=as_record(record), arrays={**arrays, "prepared": prepared})


def names_of(explanations: Sequence[Explanation]) -> list[str]:
    """What tells the explanations apart: the method, and the settings that are not its usual ones."""
    found = []
    for each in explanations:
        settings = ", ".join(f"{name}={value}" for name, value in settings_that_differ(each).items())
        found.append(f"{each.method}({settings})" if settings else each.method)
    return found
