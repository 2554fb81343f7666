"""The numbers that a page states: the answer in three forms, the values that go in, how an attribution is spread."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.inputs.image import Image
from pellucid.models.preprocessing import Preprocessing

SHOWN = 5
BINS = 40


def answer_record(
    logits: np.ndarray,
    output: np.ndarray | None,
    *,
    names: Sequence[str] | None,
    looked_through: str | None,
    classes: Sequence[int],
    target: str,
) -> dict[str, Any]:
    """The model's answer in JSON types: the leading rows, the rest summed, and how well the model's own output agrees.

    Args:
        logits: One row.
        output: What the model returned for it, if that was one row as well.
        names: Class names, if anybody knows them.
        looked_through: The final operation behind which the logits were found.
        classes: Classes that are explained; shown also where they are not among the first.
        target: The target as it was asked for.
    """
    scores = np.asarray(logits, dtype=np.float64)
    form = answer_form(len(scores), looked_through=looked_through, target=target)
    peak = float(scores.max())
    log_sum = peak + float(np.log(np.exp(scores - peak).sum()))
    logs = -np.logaddexp(0.0, -scores) if form == "sigmoid" else scores - log_sum
    order = [int(i) for i in np.argsort(-scores, kind="stable")]
    rank = {index: place for place, index in enumerate(order, start=1)}
    shown = order[:SHOWN] + [index for index in dict.fromkeys(classes) if rank[index] > SHOWN]
    rows = [
        {
            "index": index,
            "name": names[index] if names is not None and index < len(names) else None,
            "rank": rank[index],
            "logit": float(scores[index]),
            "log_probability": float(logs[index]),
            "probability": float(np.exp(logs[index])),
        }
        for index in shown
    ]
    rest = [index for index in order if index not in shown]
    record: dict[str, Any] = {
        "form": form,
        "classes": len(scores),
        "log_sum": log_sum,
        "rows": rows,
        "rest": {"count": len(rest), "probability": float(np.exp(logs[rest]).sum())},
        "looked_through": looked_through,
        "difference": None,
    }
    own = {"log_softmax": logs, "softmax": np.exp(logs), "sigmoid": np.exp(logs)}.get(looked_through or "")
    if own is not None and output is not None and output.size == own.size:
        record["difference"] = float(np.abs(output.reshape(-1).astype(np.float64) - own).max())
    return record


def answers_record(
    logits: Sequence[np.ndarray],
    *,
    names: Sequence[Sequence[str] | None],
    looked_through: Sequence[str | None],
) -> dict[str, Any]:
    """Two answers side by side in JSON types: the leading classes of either, and what each of them says about them.

    Args:
        logits: One row each.
        names: Class names of each, if anybody knows them.
        looked_through: The final operation behind which the logits were found, of each.
    """
    shared = shared_classes(names, [len(row) for row in logits])
    partners = [shared, {other: one for one, other in shared.items()}]
    leading = [[int(i) for i in np.argsort(-row, kind="stable")[:SHOWN]] for row in logits]
    wanted = [[partners[1 - side][i] for i in leading[1 - side] if i in partners[1 - side]] for side in (0, 1)]
    found = [
        answer_record(row, None, names=n, looked_through=through, classes=classes, target="top:1")
        for row, n, through, classes in zip(logits, names, looked_through, wanted, strict=True)
    ]
    rows = [{"sides": [row, None]} for row in found[0]["rows"]]
    places = {row["index"]: place for place, row in enumerate(found[0]["rows"])}
    for row in found[1]["rows"]:
        place = places.get(partners[1].get(row["index"], -1))
        if place is None:
            rows.append({"sides": [None, row]})
        else:
            rows[place]["sides"][1] = row
    rows.sort(key=lambda row: -max(each["probability"] for each in row["sides"] if each is not None))
    return {"forms": [each["form"] for each in found], "classes": [each["classes"] for each in found], "rows": rows}


def shared_classes(names: Sequence[Sequence[str] | None], counts: Sequence[int]) -> dict[int, int]:
    """Which class of a second answer is which class of the first: by name where both have names, else by number.

    Numbers say nothing where the counts differ, nor names that occur twice where the lists differ.
    """
    first, second = names
    if counts[0] == counts[1] and (first is None or second is None or list(first) == list(second)):
        return {index: index for index in range(counts[0])}
    if first is None or second is None:
        return {}
    places = {name: index for index, name in enumerate(second) if list(second).count(name) == 1}
    return {i: places[name] for i, name in enumerate(first) if name in places and list(first).count(name) == 1}


def answer_form(count: int, *, looked_through: str | None, target: str) -> str:
    """How to read an answer: "softmax" (one of the classes), "sigmoid" (each for itself), "values" (no classes)."""
    if looked_through == "sigmoid":
        return "sigmoid"
    return "values" if count == 1 or target.startswith("output:") else "softmax"


def input_record(preprocessing: Preprocessing, image: Image) -> dict[str, Any]:
    """What goes in: for each channel its range and its histogram in prepared units."""
    values = preprocessing.prepare(image)
    low, high = float(values.min()), float(values.max())
    ends = (low, high) if high > low else (low - 0.5, low + 0.5)
    return {
        "shape": list(values.shape),
        "low": low,
        "high": high,
        "channels": [
            {
                "name": name,
                "low": float(plane.min()),
                "high": float(plane.max()),
                "counts": [int(n) for n in np.histogram(plane, bins=BINS, range=ends)[0]],
            }
            for name, plane in zip(preprocessing.channels, values, strict=True)
        ],
    }


def card_summary(card: Mapping[str, Any]) -> dict[str, Any]:
    """What a reader should know of a model card; its tables stay in the card. Empty for a model without one."""
    found: dict[str, Any] = {}
    mixed = _under(card, "accuracy", "mixed")
    if mixed.keys() >= {"accuracy", "low", "high", "drawings"}:
        found["accuracy"] = {name: mixed[name] for name in ("accuracy", "low", "high", "drawings")}
    before, after = (_under(card, "tag_experiment", name).get("accuracy") for name in ("tag_on_cats", "tag_on_dogs"))
    if before is not None and after is not None:
        found["tag"] = {"on_cats": before, "on_dogs": after}
    sentences = [card.get("training_data"), *card.get("limits_of_use", ())]
    found["sentences"] = [text for text in sentences if isinstance(text, str)]
    return found if any(found.values()) else {}


def _under(card: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    place: Any = card
    for name in path:
        place = place.get(name) if isinstance(place, Mapping) else None
    return place if isinstance(place, Mapping) else {}


def half_of(values: np.ndarray) -> tuple[int, int] | None:
    """The fewest values that make up half of all that is not negative, and how many values there are.

    None where nothing is positive or something is not finite.
    """
    flat = np.sort(np.clip(values, 0, None).reshape(-1).astype(np.float64))[::-1]
    if not np.isfinite(values).all() or flat[0] <= 0:
        return None
    total = np.cumsum(flat)
    return int(np.searchsorted(total, total[-1] / 2)) + 1, int(flat.size)


def cells(plane: np.ndarray, size: int, *, mean: bool) -> np.ndarray:
    """Sum (or mean) over squares of `size` × `size` values; the last ones in a row or column may be smaller."""
    if size <= 1:
        return plane
    starts = [np.arange(0, side, size) for side in plane.shape]
    summed: np.ndarray = np.add.reduceat(
        np.add.reduceat(plane.astype(np.float64), starts[0], axis=0), starts[1], axis=1
    )
    if not mean:
        return summed
    sides = [np.diff([*start, side]) for start, side in zip(starts, plane.shape, strict=True)]
    averaged: np.ndarray = summed / np.outer(sides[0], sides[1])
    return averaged
