"""Every method beside a reference: the largest relative difference on each network.

    python benchmarks/conformance.py [--json] [--models M …] [--methods N …] [--precision double] [--write FILE]

References are the peers' implementations, and the papers' formulas where no peer has the method. A difference above
1e-4 counts as explained only if the reference, with what is named mended by the formula, gives our answer; any other
ends with exit code 1.
"""

import argparse
import importlib.util
import json
import sys
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from conformance_draws import DRAWN
from conformance_networks import NETWORKS, Subject
from conformance_peers import AGAINST, Against, Answer
from peers import torchvision_beside_any_torch

import pellucid
from pellucid.errors import MethodError
from pellucid.methods.catalogue import METHODS

LIMIT = 1e-4
REFERENCES: dict[str, Against] = {**AGAINST, **DRAWN}
PEERS = ("captum", "torchcam", "pytorch_grad_cam", "zennit", "sklearn")
PRECISIONS = {"single": torch.float32, "double": torch.float64}
BEGIN, END = "<!-- table: benchmarks/conformance.py --write -->\n", "<!-- end -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison.

    Attributes:
        row: Method and model.
        reference: What the method is compared with.
        difference: The largest difference as a share of the reference's largest value; None where the model has no
            answer to compare.
        mended: The same after the reference was mended; None where that was not needed.
        limit: How large a difference may be.
        explained: Why the difference is larger, or why there is none, or that there was nothing to compare.
    """

    row: str
    model: str
    method: str
    reference: str
    difference: float | None
    mended: float | None = None
    limit: float = LIMIT
    explained: str = ""


def compared(method: str, model: str, subject: Subject) -> Row:
    """One method on one network."""
    against = REFERENCES[method]
    used = subject.as_probabilities_need() if against.positive else subject
    named = Row(row=f"{method} / {model}", model=model, method=method, reference=against.peer, difference=None)
    text = against.text.format(layer=used.layer)
    try:
        ours = pellucid.explain(used.module, used.x, method=text, target=f"class:{used.target}").values
    except MethodError as error:
        if not against.undefined:
            raise
        return _with(named, explained=f"not defined here: {error}")
    difference = _difference(ours, against.run, used, sign=against.sign)
    if difference <= LIMIT or against.mended is None:
        empty = difference == 0 and not ours.any()
        return _with(named, difference=difference, explained="both are 0 everywhere" if empty else "")
    mended = _difference(ours, against.mended, used, sign=against.sign)
    return _with(named, difference=difference, mended=mended, explained=against.because if mended <= LIMIT else "")


def _with(row: Row, **values: object) -> Row:
    return Row(**{**asdict(row), **values})


def _difference(ours: np.ndarray, answer: Answer, subject: Subject, *, sign: bool) -> float:
    theirs = np.squeeze(torch.as_tensor(np.asarray(torch.as_tensor(answer(subject)).detach())).double().numpy())
    mine = np.squeeze(ours.astype(np.float64))
    if mine.shape != theirs.shape:
        raise ValueError(f"ours has shape {mine.shape}, and the reference {theirs.shape}")
    if sign:
        theirs = theirs * np.sign(np.sum(mine * theirs))
    largest, apart = float(np.abs(theirs).max()), float(np.abs(mine - theirs).max())
    return apart / largest if largest else apart


def rows_of(models: list[str], methods: list[str], precision: str = "double") -> list[Row]:
    """One row for each method and network."""
    rows = []
    for model in models:
        subject = NETWORKS[model](PRECISIONS[precision])
        for method in methods:
            rows.append(compared(method, model, subject))
            print(f"{rows[-1].row}: {rows[-1].difference} → {rows[-1].mended}", file=sys.stderr, flush=True)
    return rows


def fails(row: Row) -> bool:
    """Whether a difference is too large, or missing, and nothing explains it."""
    return not row.explained and (row.difference is None or not row.difference <= row.limit)


def table(rows: list[Row]) -> str:
    """Markdown: methods down, networks across; then what is explained."""
    models = list(dict.fromkeys(row.model for row in rows))
    lines = ["| method | compared with | " + " | ".join(models) + " |", "|---|---|" + "---|" * len(models)]
    said: dict[str, int] = {}
    for method in dict.fromkeys(row.method for row in rows):
        mine = [row for row in rows if row.method == method]
        cells = []
        for row in mine:
            cell = "–" if row.difference is None else f"{row.difference:.0e}"
            cell += "" if row.mended is None else f" → {row.mended:.0e}"
            cells.append(f"{cell} [{said.setdefault(row.explained, len(said) + 1)}]" if row.explained else cell)
        lines.append(f"| `{method}` | {mine[0].reference} | " + " | ".join(cells) + " |")
    lines += ["", *(f"[{number}] {text.rstrip('.')}.\n" for text, number in said.items())]
    return "\n".join(lines)


def main() -> int:
    """Compare, print or write, and fail where something differs that is not explained."""
    parser = argparse.ArgumentParser(description="Every method beside a reference.")
    parser.add_argument("--json", action="store_true", help="print one JSON list of rows")
    parser.add_argument("--models", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--precision", choices=list(PRECISIONS), default="double", help="of both sides")
    parser.add_argument("--write", type=Path, help="put the table between the markers of this document")
    options = parser.parse_args()
    missing = [name for name in PEERS if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}; `make conformance` installs these peers beside pellucid.")
    torchvision_beside_any_torch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peers': about hooks, in-place copies and gradients of leaves
        rows = rows_of(options.models, options.methods, options.precision)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    elif options.write is None:
        print(table(rows))
    if options.write is not None:
        before, rest = options.write.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        options.write.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}", encoding="utf-8")
    for row in filter(fails, rows):
        print(f"not explained: {row.row} differs by {row.difference}", file=sys.stderr)
    return int(any(map(fails, rows)))


if __name__ == "__main__":
    sys.exit(main())
