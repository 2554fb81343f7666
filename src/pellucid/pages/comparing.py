"""How a comparison is made: two passes, their sites aligned, every aligned site measured, some of them drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from pellucid.capture.answers import Answer
from pellucid.capture.sites import select_all
from pellucid.capture.trace import Trace, trace
from pellucid.errors import SiteError
from pellucid.figures.colour import measure
from pellucid.inputs.image import Image
from pellucid.insights.alignment import Alignment, Pair, align
from pellucid.insights.likeness import Likeness, likeness
from pellucid.insights.parting import answer_of, paired_values
from pellucid.methods.explaining import versions
from pellucid.models.model import Model
from pellucid.pages.bundle import Progress
from pellucid.pages.bundle_record import without_folders
from pellucid.pages.choosing import sites_to_show
from pellucid.pages.comparison import VERSION, Comparison
from pellucid.pages.maps import scale_ends
from pellucid.pages.measuring import answers_record
from pellucid.pages.words import cleaned

CHANNELS = 3
_LONGEST_MAP = 192
_CUT = 1.0
"""Percent of the drawn differences that may lie beyond their scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two passes: a picture in a model, and what a reader should know about it before anything else."""

    model: Model
    image: Image
    remark: str | None = None

    @property
    def batch(self) -> Tensor:
        """The prepared picture."""
        return self.model.tensor([self.image])


def make_comparison(
    first: Side,
    second: Side,
    *,
    sites: Sequence[str] | None = None,
    seed: int | None = None,
    command: str | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Run two passes and keep what a page needs to show where they part.

    Args:
        first: One picture in one model.
        second: Another picture in the same model, or the same picture in another.
        sites: Selectors of the sites of the first model whose maps are drawn; up to five over the depth unless given.
        seed: What the weights of the second model were drawn from, if they were.
        command: The command that made the page, for its foot; folders are left out.
        progress: Called with the steps done and the steps in all.

    Raises:
        InputError, ModelError: A picture or a model cannot be used.
        SiteError: A selector means nothing, or only sites without a partner.
    """
    both = (first, second)
    same_model = first.model.module is second.model.module
    models, batches = [side.model for side in both], [side.batch for side in both]
    answers = [answer_of(side.model, batch) for side, batch in zip(both, batches, strict=True)]
    overviews = [trace(side.model, batch, keep="statistics") for side, batch in zip(both, batches, strict=True)]
    aligned = align(overviews[0].sites, overviews[1].sites, same_model=same_model)
    shown = _to_draw(aligned, overviews[0], sites)

    found: list[Likeness] = []
    arrays: dict[str, np.ndarray] = {}
    maps: list[dict[str, Any]] = []
    for place, (pair, a, b) in enumerate(paired_values(models, batches, aligned.pairs)):
        if progress is not None:
            progress(place + 1, len(aligned.pairs))
        is_map = pair.first.is_map and pair.first.channels_first and pair.first.shape[0] == 1
        found.append(likeness(a, b, maps=is_map))
        if pair.first.name in shown:
            record, entries = _drawn(pair, a[0], b[0])
            arrays[f"maps {len(maps)}"] = entries
            maps.append({"pair": place, **record})

    for number, side in enumerate(both):
        arrays[f"prepared {number}"] = np.ascontiguousarray(side.model.preprocessing.pixels(side.image))
    inputs = [batch.cpu().numpy() for batch in batches]
    alike = inputs[0].shape == inputs[1].shape
    record = {
        "comparison_version": VERSION,
        "mode": "pictures" if same_model else "models",
        "sides": [
            _side(side, overview, answer, batch)
            for side, overview, answer, batch in zip(both, overviews, answers, batches, strict=True)
        ],
        "answer": answers_record(
            [answer.logits[0].cpu().double().numpy() for answer in answers],
            names=[side.model.class_names for side in both],
            looked_through=[answer.looked_through for answer in answers],
        ),
        "input": _measured(likeness(*inputs, maps=True)) if alike else None,
        "pairs": [_pair(pair, alike) for pair, alike in zip(aligned.pairs, found, strict=True)],
        "alone": [[site.name for site in alone] for alone in (aligned.first_alone, aligned.second_alone)],
        "maps": maps,
        "assumed": {
            "seed": seed,
            "precision": str(batches[0].dtype).removeprefix("torch."),
            "device": str(first.model.device),
            "sites": "chosen" if sites is None else "named",
        },
        "command": None if command is None else without_folders(command),
        "versions": versions(),
    }
    kept = cleaned(record)
    assert isinstance(kept, dict)
    return Comparison(record=kept, arrays=arrays)


def _to_draw(aligned: Alignment, overview: Trace, selectors: Sequence[str] | None) -> set[str]:
    """Names of the first model's sites whose maps are drawn; those that the user names must have a partner."""
    with_partner = [pair.first for pair in aligned.pairs]
    if selectors is None:
        return set(sites_to_show(with_partner))
    named = select_all(selectors, overview.sites, overview.aliases)
    fit = {site.name for site in with_partner if site.is_map and site.shape[0] == 1}
    found = {site.name for site in named if site.name in fit}
    if not found:
        raise SiteError(
            f"{named[0].name!r} has no feature maps with a partner of equal shape on the other side; "
            "leave the sites out to see some that do."
        )
    return found


def _drawn(pair: Pair, a: np.ndarray, b: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """The channels that changed most: both maps on one scale from 0, their difference on one around 0."""
    with np.errstate(invalid="ignore", over="ignore"):
        moved = b.astype(np.float64) - a
        squares = [(values.astype(np.float64) ** 2).mean(axis=(1, 2)) for values in (a, b, moved)]
    change = squares[2]
    order = np.lexsort((np.arange(len(a)), -np.nan_to_num(change), ~np.isfinite(change)))
    chosen = [int(channel) for channel in order[:CHANNELS]]
    finite = change[np.isfinite(change)]
    total = float(finite.sum())
    kept = float(np.nan_to_num(change[chosen], posinf=0.0).sum())
    values = np.stack([a[chosen], b[chosen]], axis=1)
    difference = moved[chosen].astype(np.float32)
    low, high = scale_ends(values)
    scale = measure(values, kind="sequential", low=low, high=high)
    around = measure(difference, kind="signed", cut=_CUT)
    entries = np.concatenate([scale.entries(values), around.entries(difference)[:, None]], axis=1)
    skip = -(-max(a.shape[1:]) // _LONGEST_MAP)
    record = {
        "channels": [
            {
                "channel": c,
                **{name: float(np.sqrt(s[c])) for name, s in zip(("a", "b", "change"), squares, strict=True)},
            }
            for c in chosen
        ],
        "total": len(a),
        "share": kept / total if total > 0 else None,
        "skip": skip,
        "scales": [
            {
                name: getattr(each, name)
                for name in ("low", "high", "least", "most", "beyond", "values", "not_finite", "flat")
            }
            for each in (scale, around)
        ],
    }
    return record, np.ascontiguousarray(entries[..., ::skip, ::skip])


def _measured(found: Likeness) -> dict[str, Any]:
    return {
        "distance": found.distance,
        "cosine": found.cosine,
        "cka": found.cka,
        "norms": None if found.norms is None else list(found.norms),
    }


def _pair(pair: Pair, found: Likeness) -> dict[str, Any]:
    return {
        "first": pair.first.name,
        "second": pair.second.name,
        "by": pair.by,
        "op": pair.first.op,
        "kind": pair.first.kind,
        "shape": list(pair.first.shape),
        **_measured(found),
    }


def _side(side: Side, overview: Trace, answer: Answer, batch: Tensor) -> dict[str, Any]:
    model, image = side.model, side.image
    return {
        "model": {
            "name": model.name,
            "source": model.source,
            "notes": list(model.notes),
            "parameters": sum(parameter.numel() for parameter in model.module.parameters()),
            "weights_digest": overview.weights_digest,
        },
        "picture": {
            "name": image.name,
            "digest": image.digest,
            "notes": list(image.notes),
            "size": [image.height, image.width],
        },
        "preprocessing": model.preprocessing.to_record(),
        "input": {"shape": list(batch.shape[1:])},
        "sites": len(overview.sites),
        "not_finite": None if overview.not_finite is None else overview.not_finite.name,
        "looked_through": answer.looked_through,
        "remark": side.remark,
    }
