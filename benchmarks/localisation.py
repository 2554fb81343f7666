"""Do explanations lie on what counts? Every method on real networks with photographs, and where the truth is known.

    python benchmarks/localisation.py [--model NAME …] [--methods a,b] [--pictures N] [--rows FILE]
        [--json | --write PAGE]

Beside each method stand what knows nothing of the network (the middle of the picture, its edges, chance) on the same
pictures, and for a few methods the same network with random weights. Methods that need hundreds of passes have the
settings of `SETTINGS`; all others their defaults. What cannot be measured is a row that says why.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from located import NETWORKS, PHOTOGRAPHED, Trial, trial

import pellucid
from pellucid.errors import MethodError, PellucidError, SettingError
from pellucid.intervals import Estimate
from pellucid.methods.catalogue import METHODS, method_from, name_of
from pellucid.methods.explanation import Explanation
from pellucid.metrics.localisation import Localisation, evaluate_localisation
from pellucid.models.untrained import untrained_model

SETTINGS = {
    "integrated-gradients": "integrated-gradients(steps=16)",
    "smooth-grad": "smooth-grad(samples=10)",
    "expected-gradients": "expected-gradients(samples=10)",
    "gradient-shap": "gradient-shap(samples=10)",
    "occlusion": "occlusion(window=48, stride=24)",
    "rise": "rise(masks=64)",
    "lime": "lime(samples=64, segments=grid:4)",
    "kernel-shap": "kernel-shap(samples=64, segments=grid:4)",
    "shapley": "shapley(permutations=4, segments=grid:4)",
    "extremal-perturbation": "extremal-perturbation(steps=20)",
    "necessary-region": "necessary-region(segments=grid:4, budget=10)",
    "sufficient-region": "sufficient-region(segments=grid:4, budget=10)",
}
"""Of methods whose defaults take hundreds of passes of a photograph."""
DRAWN = SETTINGS | {
    "occlusion": "occlusion",
    "rise": "rise(masks=400)",
    "lime": "lime(samples=200)",
    "kernel-shap": "kernel-shap(samples=200)",
    "shapley": "shapley(permutations=4)",
}
"""The same for the bundled networks, whose pictures are small."""
TOO_DEAR = {"score-cam": "a pass for each of hundreds of feature maps"}
CONTROLS = ("saliency", "guided-backpropagation", "grad-cam", "layer-cam", "lrp")
BASELINES = ("centre", "edges", "random")
START, END = "<!-- tables: benchmarks/localisation.py --write -->", "<!-- end of tables -->"


def method_texts(network: str, names: Sequence[str]) -> list[str]:
    """The methods of some names, with the settings that they have here."""
    settings = SETTINGS if network in PHOTOGRAPHED else DRAWN
    return [settings.get(name, name) for name in names]


def rows_of(known: Trial, method: str, *, weights: str = "trained") -> Iterator[dict[str, Any]]:
    """The rows of one method: one for each question about the objects, or one that says why there is none.

    Args:
        known: The network and its pictures.
        method: The method's text.
        weights: `trained`, or `random` for the same network before any training.
    """
    model = known.model if weights == "trained" else untrained_model(known.model, seed=0)
    plain = {"row": known.name, "weights": weights, "method": method}
    try:
        found = list(explanations(replace(known, model=model), method))
    except PellucidError as error:
        yield {**plain, "left_out": str(error)}
        return
    if not found[0].parts[0].is_map:
        yield {**plain, "left_out": f"its values are one for each of the {' and '.join(found[0].parts[0].axes)}"}
        return
    for question in known.cases[0].objects:
        yield {**plain, "question": question, **measured(known, found, question)}


def explanations(known: Trial, method: str) -> Iterator[Explanation]:
    """One explanation for each picture; where the first one is no map, none of the others is made."""
    for case in known.cases:
        made = pellucid.explain(known.model, case.picture, method=method, target=case.target)
        yield made
        if not made.parts[0].is_map:
            return


def measured(known: Trial, found: Sequence[Explanation], question: str) -> dict[str, Any]:
    """All figures of one method and one question."""

    def localisation(numbers: Sequence[int]) -> Localisation:
        return evaluate_localisation(
            [found[number] for number in numbers],
            objects=[known.cases[number].objects[question] for number in numbers],
            tolerance=known.tolerance,
        )

    everything = localisation(range(len(found)))
    record: dict[str, Any] = {
        "pictures": len(found),
        "scored": everything.count("scored"),
        "cropped_away": everything.count("cropped away"),
        "no_ranking": everything.count("no ranking"),
        "tolerance": known.tolerance,
    }
    record |= figures(everything)
    difficult = [number for number, case in enumerate(known.cases) if case.difficult]
    if difficult:
        record["difficult"] = figures(localisation(difficult))
    return record


def figures(found: Localisation) -> dict[str, Any]:
    """The pointing game and the energy inside, beside the baselines; without what nothing can be scored for."""
    record: dict[str, Any] = {"baselines": {who: {} for who in BASELINES}}
    asked = {"pointing": found.pointing_game, "energy": found.energy_inside}
    for name, estimate in asked.items():
        try:
            record |= {name: rounded(estimate()), f"gain_of_{name}": rounded(found.gain(name))}
        except SettingError as error:
            record[f"{name}_not_scored"] = str(error)
            continue
        for who in BASELINES:
            record["baselines"][who][name] = rounded(estimate(who))
    return record


def rounded(estimate: Estimate) -> dict[str, Any]:
    """As JSON types, to four digits."""
    return {name: round(value, 4) for name, value in estimate.to_record().items()}


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """A table for each network and question, and what was left out of it."""
    texts = []
    for network in dict.fromkeys(row["row"] for row in rows):
        mine = [row for row in rows if row["row"] == network]
        questions = dict.fromkeys(row["question"] for row in mine if "question" in row)
        texts += [table(network, each, [row for row in mine if row.get("question") == each]) for each in questions]
        left_out = [f"- `{row['method']}`: {row['left_out']}" for row in mine if "left_out" in row]
        texts += [f"Left out of `{network}`:\n\n" + "\n".join(left_out)] if left_out else []
    return "\n\n".join(texts)


def table(network: str, question: str, rows: Sequence[dict[str, Any]]) -> str:
    """One table, the baselines first; the pointing game of difficult pictures where there are any."""
    scored = [row for row in rows if "pointing" in row]
    with_difficult = any("pointing" in row.get("difficult", {}) for row in scored)
    # Where a method leaves a picture out, its baselines leave it out, too; shown are those of the most pictures.
    most = max(scored, key=lambda row: ("energy" in row, int(row["scored"])))
    heads = ["who points", "pictures", "pointing game", *(["… difficult"] if with_difficult else [])]
    heads += ["energy inside", "pointing − centre", "energy − centre"]
    lines = [f"### `{network}`: {question}", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for who in BASELINES:
        hard = most.get("difficult", {}).get("baselines", {}).get(who, {})
        cells = [f"*{who}*", str(most["scored"]), cell(most["baselines"][who]["pointing"])]
        cells += [cell(hard.get("pointing"))] if with_difficult else []
        lines.append(f"| {' | '.join([*cells, cell(most['baselines'][who].get('energy')), '', ''])} |")
    for row in rows:
        control = ", random weights" if row["weights"] == "random" else ""
        cells = [f"`{row['method']}`{control}", str(row["scored"]), cell(row.get("pointing"))]
        cells += [cell(row.get("difficult", {}).get("pointing"))] if with_difficult else []
        cells += [cell(row.get(name)) for name in ("energy", "gain_of_pointing", "gain_of_energy")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(estimate: dict[str, Any] | None) -> str:
    """A number and its interval."""
    if estimate is None:
        return "nothing to score"
    value, low, high = (round(estimate[name], 2) + 0.0 for name in ("value", "low", "high"))  # no "-0.00"
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def write_between(page: Path, text: str) -> None:
    """Put text between the two marks of a page.

    Raises:
        SystemExit: The page has no such marks.
    """
    before, start, rest = page.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        sys.exit(f"{page.name} has no lines {START!r} and {END!r} to write between; add them where the tables belong.")
    page.write_text(f"{before}{start}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def gathered(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All rows of the file and those that were asked for; what is in the file is not measured again."""
    rows: list[dict[str, Any]] = []
    if options.rows is not None and options.rows.is_file():
        rows = json.loads(options.rows.read_text(encoding="utf-8"))
    known = {(row["row"], row["weights"], row["method"]) for row in rows}
    for network in options.model:
        asked: Trial | None = None
        for name, method in zip(options.methods, method_texts(network, options.methods), strict=True):
            for weights in ("trained", "random") if name in CONTROLS else ("trained",):
                if (network, weights, method) in known:
                    continue
                if name in TOO_DEAR and network in PHOTOGRAPHED:
                    new = [{"row": network, "weights": weights, "method": method, "left_out": TOO_DEAR[name]}]
                else:
                    asked = asked or trial(network, pictures=options.pictures)
                    new = list(rows_of(asked, method, weights=weights))
                for row in new:
                    if "left_out" in row:
                        print(f"{network}: {method} is left out: {row['left_out']}", file=sys.stderr)
                rows += new
                if options.rows is not None:
                    options.rows.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    order = {name: number for number, name in enumerate(METHODS)}

    def place(row: dict[str, Any]) -> tuple[int, int, bool]:
        return NETWORKS.index(row["row"]), order[name_of(method_from(row["method"]))], row["weights"] == "random"

    return sorted(rows, key=place)


def main() -> int:
    """Explain, measure, and print or write."""
    parser = argparse.ArgumentParser(description="Explanations of pictures against the place of what counts.")
    parser.add_argument("--model", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--methods", type=lambda text: text.split(","), default=list(METHODS), help="names: a,b")
    parser.add_argument("--pictures", type=int, default=40, help="most pictures of each network")
    parser.add_argument(
        "--rows", type=Path, help="add the rows to this file after every method; none of its rows is measured again"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON list of rows")
    parser.add_argument("--write", type=Path, help="write the tables into this page, between its two marks")
    options = parser.parse_args()
    if options.pictures < 1:
        parser.error(f"--pictures is {options.pictures}, expected 1 or more")
    try:
        for name in options.methods:
            METHODS[name]
    except MethodError as error:
        parser.error(str(error))
    torch.set_num_threads(1)
    rows = gathered(options)
    if options.write is not None:
        write_between(options.write, markdown(rows))
    if options.json:
        print(json.dumps(rows, indent=1))
    elif options.write is None:
        print(markdown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
