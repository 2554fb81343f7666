"""`pellucid explain --dry-run`: what an explanation will take, before it is made."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pellucid.cli import streams
from pellucid.cli.tables import Column, put_table
from pellucid.cli.talking import Talk

if TYPE_CHECKING:
    from pellucid.inputs.image import Image
    from pellucid.models.model import Model


def dry_run(
    model: "Model", image: "Image", methods: Sequence[str], target: str, *, pictures: int, talk: Talk
) -> dict[str, Any]:
    """Passes, seconds and memory of each method on one picture, as a table and as a record.

    Args:
        model: The model.
        image: A picture; one pass of it is timed.
        methods: The methods.
        target: What would be explained.
        pictures: How many there are, for the sum.
        talk: How to speak.
    """
    from pellucid.methods.planning import plan, together

    plans = plan(model, image, methods=methods, targets=[target])
    rows = [{**asdict(each), "refused": each.refused or None} for each in plans]
    fine = [row for row in rows if not row["refused"]]
    total = {name: pictures * number for name, number in asdict(together(plans)).items()}
    total["bytes"] = max((row["bytes"] for row in fine), default=0)
    if not talk.as_json:
        whole = "together" if pictures == 1 else f"together, {pictures} pictures"
        numbers = (Column(header=name, right=True) for name in ("forwards", "backwards", "seconds", "MB"))
        cells = [[row["method"], *(_cells(row) if row in fine else ["–"] * 4)] for row in rows]
        put_table([Column(header="method"), *numbers], [*cells, [whole, *_cells(total)]])
        for each in plans:
            if each.refused:
                streams.put(f"{each.method} will refuse: {each.refused}")
        streams.put(
            f"Seconds are estimated from one pass on {model.device}; running parts of passes again, or many items at "
            "once, takes less. Together, methods share a pass. Nothing was explained."
        )
    return {"methods": rows, "pictures": pictures, "total": total, "device": str(model.device)}


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        f"{row['forwards']:,}",
        f"{row['backwards']:,}",
        f"{row['seconds']:.2g}" if row["seconds"] < 100 else f"{row['seconds']:,.0f}",
        f"{row['bytes'] / 1e6:,.0f}",
    ]
