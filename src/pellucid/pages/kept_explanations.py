"""Explanations inside of what a page is made from: their records, and their arrays under names of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.methods.explanation import Explanation


def kept_explanations(explanations: Sequence[Explanation]) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """The records in their order, and the arrays of all; the picture is left out, since it is the same for all."""
    records: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for i, explanation in enumerate(explanations):
        record, own = explanation.to_record()
        records.append(record)
        arrays |= {f"explanation {i} {name}": array for name, array in own.items() if name != "subject"}
    return records, arrays


def restored_explanations(
    records: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray]
) -> tuple[Explanation, ...]:
    """The explanations, as they were made; `arrays` hold the `prepared` picture, too."""
    found = []
    for i, record in enumerate(records):
        start = f"explanation {i} "
        own = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
        found.append(Explanation.from_record(record, {**own, "subject": arrays["prepared"]}))
    return tuple(found)
