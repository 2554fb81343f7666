"""Why eight layers are worse than two: GCNs of 2, 4 and 8 layers on Cora, measured along their depth.

    python benchmarks/graph_depth.py [--json] [--draw FOLDER] [--layers 2 4 8] [--seeds 3] [--nodes 32]
                                     [--epochs 200] [--residual]

Each network is trained as Kipf & Welling do (16 channels, dropout 0.5, weight decay 5e-4 on the first layer, Adam at
0.01, 200 epochs, the planetoid split); of several seeds the first is measured, and the accuracies of all are printed.
Last comes smoothing alone: the 32 leading components of the features through layers whose W is the identity, without
bias and ReLU, as deep as the deepest network.
The data are looked for in `planetoid_cora` in the folder PELLUCID_DATA/graphs.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pellucid
from pellucid.insights.graph_depth_results import GraphDepth, GraphDepthSite
from pellucid.insights.own_features import own_of
from pellucid.models.gcn import GCN
from pellucid.models.graph_arguments import arguments_of
from pellucid.models.graph_layers import GraphConvolution

ROOT = Path(__file__).resolve().parents[1]


def cora() -> pellucid.Graph:
    """The citation graph, each row of features summing to 1 as Kipf & Welling have it."""
    place = Path(os.environ.get("PELLUCID_DATA", ROOT.parent / "shared" / "data")) / "graphs" / "planetoid_cora"
    graph = pellucid.read(place / "ind.cora.graph")
    assert isinstance(graph, pellucid.Graph)
    sums = graph.features.sum(axis=1)
    features = graph.features.multiply(1 / sums.clip(min=1)[:, None]).tocsr()
    return pellucid.Graph(
        edges=graph.edges, num_nodes=graph.num_nodes, features=features, labels=graph.labels,
        class_names=graph.class_names, splits=graph.splits, name="Cora",
    )  # fmt: skip


def trained(graph: pellucid.Graph, *, layers: int, seed: int, epochs: int, residual: bool) -> GCN:
    """A network after some epochs."""
    assert graph.labels is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = GCN(graph.num_features, int(graph.labels.max()) + 1, layers=layers, residual=residual)
        given = arguments_of(network, [graph])
        wanted, train = torch.from_numpy(graph.labels.copy()), torch.from_numpy(graph.splits["train"].copy())
        first, *others = network.convolutions
        rest = [parameter for layer in others for parameter in layer.parameters()]
        groups = [{"params": first.parameters(), "weight_decay": 5e-4}, {"params": rest, "weight_decay": 0.0}]
        optimiser = torch.optim.Adam(groups, lr=0.01)
        network.train()
        for _ in range(epochs):
            loss = F.cross_entropy(network(given.x, given.edge_index)[train], wanted[train])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return network.eval()


class Smoothing(nn.Module):
    """Messages alone: every W is the identity."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        made = [GraphConvolution(channels, channels, bias=False) for _ in range(layers)]
        for layer in made:
            nn.init.eye_(layer.linear.weight)
        self.layers = nn.ModuleList(made)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Node features to as many, smoothed."""
        for layer in self.layers:
            x = layer(x, edge_index)
        return x


def smoothed(graph: pellucid.Graph, *, layers: int) -> GraphDepth:
    """What is left of the leading components without any weights."""
    own = own_of(graph, seed=0)
    assert own is not None
    components = pellucid.Graph(
        edges=graph.edges, num_nodes=graph.num_nodes, features=own.values, labels=graph.labels, splits=graph.splits,
        name="Cora's leading components",
    )  # fmt: skip
    return pellucid.along_graph_depth(Smoothing(own.values.shape[1], layers), components, nodes=0)


def accuracy(network: GCN, graph: pellucid.Graph, split: str) -> float:
    """Share of the nodes of a split whose class is right."""
    assert graph.labels is not None
    given = arguments_of(network, [graph])
    with torch.no_grad():
        said = network(given.x, given.edge_index).argmax(1).numpy()
    mine = graph.splits[split]
    return float((said == graph.labels)[mine].mean())


def rows_of(found: GraphDepth) -> list[dict[str, Any]]:
    """One row for each site, the control in brackets beside it."""
    rows = []
    for site, twin in zip(found.sites, found.twin, strict=True):
        rows.append({"site": site.name, "network": site.to_record(), "random": twin.to_record()})
    return rows


def numbers(site: GraphDepthSite) -> list[str]:
    """What stands in the cells of a table."""
    cells = [site.own and site.own.value, site.emerged and site.emerged.value, site.cosine]
    shares = " ".join(f"{share.value:.2f}".removeprefix("0") for share in site.hops)
    return [*("—" if each is None else f"{each:.2f}" for each in cells), f"{site.relative_energy:.4f}", shares]


def printed(found: GraphDepth) -> None:
    """The table of one network, in brackets the same with random weights."""
    print("| site | own features, R² | class told | mean cosine | relative energy | slopes at hop 0, 1, 2, … |")
    print("|---|---|---|---|---|---|")
    for site, twin in zip(found.sites, found.twin, strict=True):
        both = zip(numbers(site), numbers(twin), strict=True)
        print(f"| {' | '.join([site.name, *(f'{one} ({other})' for one, other in both)])} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--draw", type=Path, help="a folder for the drawings")
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=32, help="nodes at which slopes are taken")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--residual", action="store_true", help="each layer adds its input")
    given = parser.parse_args()
    graph, results = cora(), []
    for layers in given.layers:
        networks = [
            trained(graph, layers=layers, seed=seed, epochs=given.epochs, residual=given.residual)
            for seed in range(given.seeds)
        ]
        scores = {split: [accuracy(each, graph, split) for each in networks] for split in ("train", "test")}
        started = time.perf_counter()
        found = pellucid.along_graph_depth(networks[0], graph, nodes=given.nodes)
        seconds = time.perf_counter() - started
        results.append({"layers": layers, "accuracy": scores, "seconds": seconds, "sites": rows_of(found)})
        if given.draw is not None:
            given.draw.mkdir(parents=True, exist_ok=True)
            found.draw().save(given.draw / f"graph-depth-{layers}.svg")
        if not given.json:
            said = ", ".join(f"{split} {' '.join(f'{v:.3f}' for v in values)}" for split, values in scores.items())
            print(f"\n{layers} layers: accuracy {said}; measured in {seconds:.0f} s\n")
            printed(found)
            around = " ".join(f"{count:.0f}" for count in found.around)
            print(f"\nnodes at hop 0, 1, 2, …: {around}; components hold {found.asked_share:.2f} of the variance")
    alone = smoothed(graph, layers=max(given.layers))
    if not given.json:
        print(f"\nsmoothing alone, {max(given.layers)} layers\n")
        printed(alone)
    results.append({"smoothing alone": max(given.layers), "sites": rows_of(alone)})
    if given.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
