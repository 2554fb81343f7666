"""Explanations against the known truth: the papers' own graphs and networks, every method, every seed.

    python benchmarks/graph_truth.py [--data DIR] [--only syn1 …] [--seeds 3] [--json | --markdown] [--to FILE]

A network is trained for each seed. Explained is the class that the network itself gives to a target, right or wrong.
The protocol is that of the papers: all edges of the 3-hop neighbourhoods of all targets together (of graphs: all edges
of all graphs), an undirected edge once, loops left out. Nothing is chosen by its result: signed values are ordered both
as they are and by magnitude, and every seed counts.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import graph_networks
import torch
from torch import nn

import pellucid
from pellucid.inputs.graph import Graph
from pellucid.methods.explanation import Explanation
from pellucid.metrics.edge_truth import TruthProtocol, edge_truth_auc

METHODS = (
    ("saliency", ("value", "magnitude")),
    ("integrated-gradients(of=edges, steps=16)", ("value", "magnitude")),
    ("grad-cam", ("value",)),
    ("occlusion(of=edges)", ("value", "magnitude")),
    ("gnn-explainer", ("value",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """One data set of the papers.

    Attributes:
        title: Its name there.
        file: Where it is, in the folder of graphs.
        nodes: The explained nodes; None where graphs are explained.
        published: The area that the GNNExplainer paper, or PGExplainer's for it, reports.
        replicated: What others found for GNNExplainer when they repeated it.
        slow: Methods that are left out, since their time grows with edges times targets.
    """

    title: str
    file: str
    nodes: tuple[int, ...] | None
    published: float
    replicated: float
    slow: tuple[str, ...] = ()


_HOUSES = tuple(range(400, 700, 5))
RACES = {
    "syn1": Race(
        title="BA-Shapes",
        file="pgexplainer_syn/datasets.zip/syn1.pkl",
        nodes=_HOUSES,
        published=0.925,
        replicated=0.742,
    ),
    "syn2": Race(
        title="BA-Community",
        file="pgexplainer_syn/datasets.zip/syn2.pkl",
        nodes=(*_HOUSES, *range(1100, 1400, 5)),
        published=0.836,
        replicated=0.708,
        slow=("occlusion(of=edges)",),
    ),
    "syn3": Race(
        title="Tree-Cycles",
        file="pgexplainer_syn/datasets.zip/syn3.pkl",
        nodes=tuple(range(511, 871, 6)),
        published=0.948,
        replicated=0.540,
    ),
    "syn4": Race(
        title="Tree-Grid",
        file="pgexplainer_syn/datasets.zip/syn4.pkl",
        nodes=tuple(range(511, 800)),
        published=0.875,
        replicated=0.714,
    ),
    "ba2motifs": Race(
        title="BA-2motifs", file="ba2motifs_graphsvx/ba2motifs.npz", nodes=None, published=0.742, replicated=0.499
    ),
    "mutagenicity": Race(
        title="Mutagenicity",
        file="mutagenicity_gt/Mutagenicity.zip",
        nodes=None,
        published=0.727,
        replicated=0.587,
    ),
}


def rows_of(name: str, read: Any, *, seed: int, epochs: int | None = None) -> Iterator[dict[str, Any]]:
    """The rows of one data set for one seed.

    Args:
        name: A key of `RACES`.
        read: What `pellucid.read` gave.
        seed: For the network.
        epochs: Of training; None for the usual number.
    """
    race, many = RACES[name], {} if epochs is None else {"epochs": epochs}
    if race.nodes is not None:
        model, accuracy = graph_networks.trained_on_nodes(read, seed=seed, **many)
        inputs, targets = [read], [f"node:{node}" for node in race.nodes]
        told, hops = f"{len(targets)} nodes of motifs", 3
    else:
        graphs = list(read)
        model, accuracy = graph_networks.trained_on_graphs(graphs, seed=seed, **many)
        inputs, targets, hops = explained_graphs(graphs), ["graph"], None
        told = f"{len(inputs)} graphs with true edges"
    for method, orders in METHODS:
        if method in race.slow:
            continue
        started = time.perf_counter()
        found = list(explanations(model, inputs, method, targets))
        seconds = time.perf_counter() - started
        for by in orders:
            protocol = TruthProtocol(targets=told, hops=hops, unreachable=hops is not None, by=by)
            score = edge_truth_auc(found, input=inputs, protocol=protocol)
            yield {
                "row": name,
                "title": race.title,
                "method": method,
                "by": by,
                "seed": seed,
                "auc": round(score.auc, 4),
                "edges": score.edges,
                "true_edges": score.true_edges,
                "targets": len(found),
                "accuracy": round(accuracy, 4),
                "accuracy_of_targets": round(right(found, inputs), 4),
                "published": race.published,
                "replicated": race.replicated,
                "seconds": round(seconds, 1),
            }


def explanations(
    model: nn.Module, graphs: Sequence[Graph], method: str, targets: Sequence[str]
) -> Iterator[Explanation]:
    """One explanation for each target, some graphs at a time."""
    for start in range(0, len(graphs), 256):
        yield from pellucid.explain_many(model, graphs[start : start + 256], methods=[method], targets=targets)


def explained_graphs(graphs: Sequence[Graph]) -> list[Graph]:
    """Graphs of class 0 where that is what their true edges make (mutagens), else all with true edges."""
    known = [graph for graph in graphs if graph.edge_truth is not None and graph.edge_truth.any()]
    rare = len(known) < len(graphs)
    return [graph for graph in known if not rare or graph.label == 0]


def right(found: Sequence[Explanation], graphs: Sequence[Graph]) -> float:
    """The share of explained targets to which the network gives the true class."""
    by_digest = {graph.digest: graph for graph in graphs}
    hits = []
    for each in found:
        graph, nodes = by_digest[each.input_digest], each.target.nodes
        assert not nodes or graph.labels is not None
        true = graph.labels[nodes[0]] if nodes and graph.labels is not None else graph.label
        hits.append(int(each.logits.argmax()) == true)
    return sum(hits) / len(hits)


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table of all rows: means over seeds, with the smallest and the largest."""
    lines = [
        "| data set | test accuracy | that of the targets | method | order | AUC, mean (least to most) | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    keys = list(dict.fromkeys((row["title"], row["method"], row["by"]) for row in rows))
    for title, method, by in keys:
        mine = [row for row in rows if (row["title"], row["method"], row["by"]) == (title, method, by)]
        areas = [row["auc"] for row in mine]
        accuracies = [statistics.mean(row[key] for row in mine) for key in ("accuracy", "accuracy_of_targets")]
        lines.append(
            f"| {title} | {accuracies[0]:.3f} | {accuracies[1]:.3f} | `{method}` | {by} | "
            f"{statistics.mean(areas):.3f} ({min(areas):.3f} to {max(areas):.3f}) | {len(areas)} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Train, explain, score, and print."""
    parser = argparse.ArgumentParser(description="Explanations of graphs against the known truth.")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PELLUCID_DATA", "data")) / "graphs")
    parser.add_argument("--only", nargs="+", choices=list(RACES), default=list(RACES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON list of rows")
    parser.add_argument("--to", type=Path, help="also write the rows here after every seed, and go on from there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = json.loads(options.to.read_text()) if options.to is not None and options.to.is_file() else []
    known = {(row["row"], row["seed"]) for row in rows}
    # Seeds are the outer loop: stopped early, there are fewer of them and no data set is missing.
    for seed in range(options.seeds):
        for name in options.only:
            if (name, seed) in known:
                continue
            rows.extend(rows_of(name, pellucid.read(options.data / RACES[name].file), seed=seed))
            if options.to is not None:
                options.to.write_text(json.dumps(rows, indent=1) + "\n")
    rows = [row for row in rows if row["row"] in options.only]
    print(json.dumps(rows, indent=1) if options.json else markdown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
