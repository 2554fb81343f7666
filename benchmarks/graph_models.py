"""The graph models of `pellucid train` beside what was published for them.

    python benchmarks/graph_models.py --data FOLDER [--json] [--only cora,mutag] [--seeds 10]

FOLDER holds the data sets as folders `planetoid_cora`, `tud_mutag`, `tud_proteins`, `musae_facebook`, `meshes_common`;
a row whose folder is missing is left out, and standard error says so. Each row states its protocol, and how many runs
or folds its spread is over. All of it takes about 20 minutes on one core, nearly all for PROTEINS.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pellucid
from pellucid.inputs.graph_features import prepared
from pellucid.inputs.karate import karate_club
from pellucid.models.gcn import GCN
from pellucid.models.recipes.facebook import pages_task
from pellucid.models.recipes.graph_fitting import Folds, GraphTask, by_inner_validation, by_mean_curve
from pellucid.models.recipes.mesh_parts import (
    PREPARATION,
    UNSEEN_SEEDS,
    MeshTraining,
    fit_parts,
    made,
    part_accuracies,
    parts_of,
)
from pellucid.models.recipes.node_fitting import NodeTask, NodeTraining, fit_nodes, spread
from pellucid.models.recipes.planetoid import PUBLISHED, citation_task
from pellucid.models.recipes.shapes import PARTS
from pellucid.models.recipes.tudataset import published, settings_for

Row = dict[str, Any]


def nodes_row(name: str, task: NodeTask, settings: Callable[[int], NodeTraining], seeds: int) -> Row:
    """Test accuracy of several trainings that differ in their seed only."""
    started = time.perf_counter()
    values = [fit_nodes(task, settings(seed)).accuracy["test"] for seed in range(seeds)]
    measured = spread(values)
    deviation = measured["deviation"]
    return {
        "row": name,
        "ours": round(100 * measured["mean"], 2),
        "ours_deviation": None if deviation is None else round(100 * deviation, 2),
        "runs": seeds,
        "values": [round(100 * value, 2) for value in values],
        "seconds_per_run": round((time.perf_counter() - started) / seeds, 2),
    }


def karate(folder: Path, seeds: int) -> list[Row]:
    row = nodes_row(
        "karate club, 2 labels known, 32 asked",
        NodeTask.of(karate_club()),
        lambda seed: NodeTraining(seed=seed, window=0),
        seeds,
    )
    return [row | {"published": None, "goal": None}]


def cora(folder: Path, seeds: int) -> list[Row]:
    row = nodes_row(
        "Cora, split of planetoid, GCN",
        citation_task(folder / "planetoid_cora"),
        lambda seed: NodeTraining(seed=seed),
        seeds,
    )
    return [row | {"published": 100 * PUBLISHED["cora"], "goal": 81.0}]


def facebook(folder: Path, seeds: int) -> list[Row]:
    row = nodes_row(
        "Facebook pages, a fifth of each class known, GCN",
        pages_task(folder / "musae_facebook"),
        lambda seed: NodeTraining(seed=seed, hidden=32, epochs=100),
        min(seeds, 3),
    )
    return [row | {"published": None, "goal": None}]


def mutag(folder: Path, seeds: int) -> list[Row]:
    return data_set(folder / "tud_mutag")


def proteins(folder: Path, seeds: int) -> list[Row]:
    return data_set(folder / "tud_proteins")


def data_set(place: Path) -> list[Row]:
    graphs = pellucid.read(place)
    if not isinstance(graphs, pellucid.GraphSet):
        raise SystemExit(f"{place.name} holds no data set of graphs")
    task, settings = GraphTask.of(graphs), settings_for(graphs)
    return [
        fold_row(
            f"{graphs.name}, GIN, epoch by the mean curve", "mean_curve", graphs.name, task, by_mean_curve, settings
        ),
        fold_row(
            f"{graphs.name}, GIN, inner validation",
            "inner_validation",
            graphs.name,
            task,
            by_inner_validation,
            settings,
        ),
    ]


def fold_row(row: str, protocol: str, name: str, task: GraphTask, measure: Callable[..., Folds], settings: Any) -> Row:
    started = time.perf_counter()
    found = measure(task, settings)
    known = published(name, protocol)
    return {
        "row": row,
        "ours": round(100 * found.mean, 2),
        "ours_deviation": round(100 * found.deviation, 2),
        "folds": len(found.values),
        "values": [round(100 * value, 2) for value in found.values],
        "epochs": list(found.epochs),
        "published": None if known is None else round(100 * known["mean"], 2),
        "published_deviation": None if known is None else round(100 * known["deviation"], 2),
        "seconds": round(time.perf_counter() - started, 1),
    }


def meshes(folder: Path, seeds: int) -> list[Row]:
    settings = MeshTraining()
    started = time.perf_counter()
    network = fit_parts(made(range(settings.shapes)), settings)
    seconds = time.perf_counter() - started
    measured = part_accuracies(network, made(range(UNSEEN_SEEDS, UNSEEN_SEEDS + 20)))
    row = {
        "row": "parts of made shapes, vertices of 80 unseen ones, GraphSAGE",
        "ours": round(100 * measured["vertices"], 2),
        "parts": {name: round(100 * value, 1) for name, value in measured["parts"].items()},
        "kinds": {name: round(100 * value, 1) for name, value in measured["kinds"].items()},
        "commonest_part": round(100 * measured["commonest_part"], 1),
        "published": None,
        "seconds": round(seconds, 1),
    }
    return [row, *real_meshes(network, folder / "meshes_common")]


def real_meshes(network: GCN, folder: Path) -> list[Row]:
    """What the network says of meshes without known parts: shares of vertices, no accuracy."""
    rows = []
    for file in sorted(folder.glob("*.obj")):
        graph = pellucid.read(file)
        if isinstance(graph, pellucid.Graph):
            shares = np.bincount(parts_of(network, [prepared(graph, PREPARATION)]), minlength=len(PARTS))
            said = {
                name: round(100 * share / graph.num_nodes, 1)
                for name, share in zip(PARTS, shares, strict=True)
                if share
            }
            rows.append({"row": f"mesh {file.stem}, parts unknown", "vertices": graph.num_nodes, "said": said})
    return rows


ROWS: dict[str, tuple[str | None, Callable[[Path, int], list[Row]]]] = {
    "karate": (None, karate),
    "cora": ("planetoid_cora", cora),
    "facebook": ("musae_facebook", facebook),
    "meshes": ("meshes_common", meshes),
    "mutag": ("tud_mutag", mutag),
    "proteins": ("tud_proteins", proteins),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="The graph models of pellucid train beside what was published.")
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds the data sets")
    parser.add_argument("--json", action="store_true", help="print one JSON list of rows")
    parser.add_argument("--only", default=",".join(ROWS), help=f"some of {','.join(ROWS)}")
    parser.add_argument("--seeds", type=int, default=10, help="how many runs a spread is over (10)")
    options = parser.parse_args()
    rows = []
    for name in options.only.split(","):
        if name not in ROWS:
            parser.error(f"no rows {name!r}, expected some of {', '.join(ROWS)}")
        needed, measure = ROWS[name]
        if needed is not None and not (options.data / needed).is_dir():
            print(f"{name} is left out: no folder {needed} in {options.data.name}", file=sys.stderr)
            continue
        found = measure(options.data, options.seeds)
        rows += found
        if not options.json:
            for row in found:
                print(told(row), flush=True)
    if options.json:
        print(json.dumps(rows, indent=1))


def told(row: Row) -> str:
    if "said" in row:
        return f"{row['row']}: " + ", ".join(f"{part} {share} %" for part, share in row["said"].items())
    deviation, known = row.get("ours_deviation"), row["published"]
    ours = f"{row['ours']} %" if deviation is None else f"{row['ours']} ± {deviation} %"
    other = "" if row.get("published_deviation") is None else f" ± {row['published_deviation']:.1f}"
    return f"{row['row']}: {ours}; published {'nothing' if known is None else f'{known:.1f}{other} %'}"


if __name__ == "__main__":
    main()
