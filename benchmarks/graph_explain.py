"""Explaining every node of Cora: ours, all at once, against PyG and against loops of whole graphs.

    python benchmarks/graph_explain.py [--data DIR] [--json] [--only ROW …] [--sample 6] [--rounds 3]

Ours explains all 2 708 nodes; the peer, one node at a time, explains a sample of them. Both run in one process and in
turns: each round times ours once and a part of the sample; the ratio is that of the seconds for one node, its median
over rounds. Agreement is measured in the same run: of the union against one node alone, and, with the peer's own start
and without tying the directions of an edge, against the peer.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import graph_networks
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pellucid
from pellucid.inputs.graph import Graph
from pellucid.methods.explanation import Explanation
from pellucid.methods.graph_subject import GraphSubject
from pellucid.models.gcn import GCN
from pellucid.models.graph_arguments import arguments_of


class PyGLayers(nn.Module):
    """The same network made of PyG's layers."""

    def __init__(self, features: int, classes: int) -> None:
        from torch_geometric.nn import GCNConv

        super().__init__()
        self.first, self.second = GCNConv(features, 16), GCNConv(16, classes)

    @classmethod
    def like(cls, model: GCN) -> "PyGLayers":
        """The same network with the same weights."""
        layers: Any = model.convolutions
        first, last = (layer.linear.weight for layer in layers)
        made = cls(first.shape[1], last.shape[0])
        for mine, theirs in zip(layers, (made.first, made.second), strict=True):
            theirs.lin.weight = nn.Parameter(mine.linear.weight.detach().clone())
            theirs.bias = nn.Parameter(mine.bias.detach().clone())
        return made.eval()

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Logits (nodes, classes)."""
        x = F.dropout(x, 0.5, training=self.training)
        x = F.dropout(F.relu(self.first(x, edge_index)), 0.5, training=self.training)
        return self.second(x, edge_index)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """One row.

    Attributes:
        method: Ours, as it is timed.
        peer: What it is timed against.
        goal: How many times as fast it should be.
        pyg: Whether the network is made of PyG's layers.
        features: The peer's mask of features, or None.
    """

    method: str
    peer: str
    goal: float
    pyg: bool = False
    features: str | None = None


RACES = {
    "cora-edge-mask": Race(method="gnn-explainer", peer="PyG GNNExplainer", goal=400),
    "cora-edge-mask-pyg-layers": Race(method="gnn-explainer", peer="PyG GNNExplainer", goal=150, pyg=True),
    "cora-edge-and-feature-mask": Race(
        method="gnn-explainer(nodes=feature)", peer="PyG GNNExplainer", goal=75, features="common_attributes"
    ),
    "cora-edge-deletion": Race(method="occlusion(of=edges)", peer="a loop of whole graphs", goal=200),
}


def race(name: str, graph: Graph, *, sample: int, rounds: int) -> dict[str, Any]:
    """One row, timed and compared."""
    mine = RACES[name]
    torch.manual_seed(0)
    classes = len(graph.class_names or ()) or int(graph.labels.max()) + 1  # type: ignore[union-attr]
    trained = GCN(graph.num_features, classes)
    accuracy = graph_networks.trained_on_cora(graph, trained)
    # PyG explains its own layers only, so that it gets the same network made of those.
    twin = PyGLayers.like(trained)
    model: nn.Module = twin if mine.pyg else trained
    nodes = np.random.default_rng(0).permutation(graph.num_nodes)[: sample * rounds].tolist()
    peer = deletion_loop(model, graph) if "deletion" in name else pyg_explainer(twin, graph, mine.features)
    list(pellucid.explain_many(model, [graph], methods=[mine.method], targets=["node:0", "node:1"]))
    peer(nodes[0])
    ours, theirs, ratios = [], [], []
    for turn in range(rounds):
        started = time.perf_counter()
        found = list(pellucid.explain_many(model, [graph], methods=[mine.method], targets=["node:*"]))
        ours.append((time.perf_counter() - started) / graph.num_nodes)
        started = time.perf_counter()
        for node in nodes[turn * sample : (turn + 1) * sample]:
            peer(node)
        theirs.append((time.perf_counter() - started) / sample)
        ratios.append(theirs[-1] / ours[-1])
    told = [f"accuracy {accuracy:.3f}", f"union to one by one {union_difference(model, graph, mine, found, nodes):.1e}"]
    told.append(f"to the peer {peer_difference(model, graph, mine, peer, nodes[: min(sample, 6)], found):.1e}")
    return {
        "row": name,
        "ours_seconds": statistics.median(ours),
        "peer": f"{mine.peer}, seconds for one node of {graph.num_nodes:,}",
        "peer_seconds": statistics.median(theirs),
        "ratio": round(statistics.median(ratios), 1),
        "goal": mine.goal,
        "agreement": "; ".join(told),
    }


def pyg_explainer(model: nn.Module, graph: Graph, features: str | None) -> Callable[[int], Any]:
    """PyG's GNNExplainer, as it is used."""
    from torch_geometric.explain import Explainer, GNNExplainer

    explainer = Explainer(
        model,
        GNNExplainer(epochs=100),
        explanation_type="model",
        edge_mask_type="object",
        node_mask_type=features,
        model_config={"mode": "multiclass_classification", "task_level": "node", "return_type": "raw"},
    )
    given = arguments_of(model, [graph])
    x = given.x.to_dense() if given.x.is_sparse else given.x

    def run(node: int, seed: int = 0) -> Any:
        torch.manual_seed(seed)
        return explainer(x, given.edge_index, index=node)

    return run


def deletion_loop(model: nn.Module, graph: Graph) -> Callable[[int], dict[int, float]]:
    """The fall of a node's logit for each edge of its neighbourhood, one whole graph after another."""
    given = arguments_of(model, [graph])
    x = given.x.to_dense() if given.x.is_sparse else given.x
    edges = graph.edges

    @torch.no_grad()
    def run(node: int) -> dict[int, float]:
        near = np.union1d(graph.neighbours(node), [node])
        near = np.unique(np.concatenate([near, *(graph.neighbours(each) for each in near.tolist())]))
        # An edge of a node two hops away carries no message in time, but it counts in that node's degree.
        reaching = np.flatnonzero(np.isin(edges, near).any(axis=1))
        whole = model(x, given.edge_index)[node]
        best = int(whole.argmax())
        found = {}
        for edge in reaching.tolist():
            left = given.edge_index[:, given.edge_of != edge]
            found[edge] = float(whole[best] - model(x, left)[node, best])
        return found

    return run


def union_difference(
    model: nn.Module, graph: Graph, race: Race, found: Sequence[Explanation], nodes: Sequence[int]
) -> float:
    """The largest difference between a node explained among all others and alone."""
    worst = 0.0
    for node in nodes[:8]:
        alone = pellucid.explain(model, graph, method=race.method, target=f"node:{node}")
        for one, other in zip(found[node].parts, alone.parts, strict=True):
            worst = max(worst, float(np.abs(one.values - other.values).max(initial=0)))
    return worst


def peer_difference(
    model: nn.Module,
    graph: Graph,
    race: Race,
    peer: Callable[[int], Any],
    nodes: Sequence[int],
    found: Sequence[Explanation],
) -> float:
    """The largest difference to the peer; of masks with its own start, and its two directions of an edge averaged."""
    worst = 0.0
    for node in nodes:
        theirs, mine = peer(node), found[node]
        if not isinstance(theirs, dict):
            settings = "start=random, tie=False" + (", nodes=feature" if race.features else "")
            mine = pellucid.explain(model, graph, method=f"gnn-explainer({settings})", target=f"node:{node}")
        subject = mine.subject
        assert isinstance(subject, GraphSubject)
        edges = mine.part("edges").values
        if isinstance(theirs, dict):
            expected = np.array([theirs[edge] for edge in subject.edges.tolist()])
        else:
            expected = _per_edge(theirs.edge_mask.numpy(), graph, subject)
            if race.features:
                difference = np.abs(mine.part("features").values - theirs.node_mask[0].numpy())
                worst = max(worst, float(difference.max()))
        worst = max(worst, float(np.abs(edges - expected).max(initial=0)))
    return worst


def _per_edge(mask: np.ndarray, graph: Graph, subject: GraphSubject) -> np.ndarray:
    """The mean over those directions of each edge that can reach the target."""
    arcs, edge_of = graph.arcs()
    hops = np.full(graph.num_nodes, 99)
    hops[subject.nodes] = subject.hops
    reaching = hops[arcs[1]] < 2
    total = np.bincount(edge_of[reaching], weights=mask[reaching], minlength=graph.num_edges)
    count = np.bincount(edge_of[reaching], minlength=graph.num_edges)
    return np.asarray(total[subject.edges] / count[subject.edges])


def main() -> int:
    """Run the races and print one table or one JSON list."""
    parser = argparse.ArgumentParser(description="Explaining every node of Cora, against PyG and whole graphs.")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PELLUCID_DATA", "data")) / "graphs")
    parser.add_argument("--json", action="store_true", help="print one JSON list of rows")
    parser.add_argument("--only", nargs="+", choices=list(RACES), default=list(RACES))
    parser.add_argument("--sample", type=int, default=6, help="nodes of the peer in a round (6)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(2)
    graph = pellucid.read(options.data / "planetoid_cora" / "ind.cora.x")
    rows = [race(name, graph, sample=options.sample, rounds=options.rounds) for name in options.only]
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        print(f"{row['row']}: {row['ours_seconds'] * 1e3:.2f} ms a node, {row['peer']}: {row['peer_seconds']:.2f} s")
        print(f"  {row['ratio']} times as fast (goal {row['goal']}); {row['agreement']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
