"""Blocks give the answers of the whole, or the whole graph is run: at every level, and after deletions."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import graph_models as samples
import pellucid
from pellucid.inputs.graph import Graph
from pellucid.metrics.graph_curves import graph_curves
from pellucid.models.graph_arguments import arguments_of

GRAPH = samples.graph()


def answers(model: nn.Module, graph: Graph) -> np.ndarray:
    arguments = arguments_of(model, [graph])
    with torch.no_grad():
        return np.asarray(model(**arguments.for_model(model)))


class Ends(nn.Module):
    """Answers for edges, after a layer that passes messages three times, or a norm over all nodes."""

    def __init__(self, kind: str) -> None:
        from torch_geometric.nn import GCNConv, PairNorm, TAGConv

        super().__init__()
        self.first = TAGConv(samples.FEATURES, 6) if kind == "three hops" else GCNConv(samples.FEATURES, 6)
        self.norm = PairNorm() if kind == "norm" else nn.Identity()
        self.last = nn.Linear(12, samples.CLASSES)

    def forward(self, x: Tensor, edge_index: Tensor, edge_label_index: Tensor) -> Tensor:
        x = self.norm(self.first(x, edge_index)).relu()
        return self.last(torch.cat([x[edge_label_index[0]], x[edge_label_index[1]]], dim=1))  # type: ignore[no-any-return]


class NormedGraphs(nn.Module):
    """Answers for graphs, and normalises over all nodes that it is given."""

    def __init__(self, kind: str) -> None:
        from torch_geometric.nn import GCNConv, PairNorm

        super().__init__()
        self.first, self.second = GCNConv(samples.FEATURES, 6), GCNConv(6, samples.CLASSES)
        self.norm = PairNorm() if kind == "pair norm" else nn.BatchNorm1d(6, track_running_stats=False)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        from torch_geometric.nn import global_mean_pool

        x = self.norm(self.first(x, edge_index)).relu()
        return global_mean_pool(self.second(x, edge_index), batch)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["three hops", "norm"])
def test_an_edge_is_explained_by_the_answer_of_the_whole_graph(kind: str) -> None:
    torch.manual_seed(0)
    model = Ends(kind).eval()
    found = list(pellucid.explain_many(model, GRAPH, methods=["saliency"], targets=["edge:*"]))
    np.testing.assert_allclose(np.stack([each.logits for each in found]), answers(model, GRAPH), atol=1e-6)


@pytest.mark.parametrize("kind", ["pair norm", "batch norm"])
def test_graphs_that_would_change_each_other_are_run_apart(kind: str) -> None:
    torch.manual_seed(0)
    model = NormedGraphs(kind).eval()
    graphs = [samples.graph(seed, nodes=9 + seed, edges=12) for seed in range(3)]
    told: list[tuple[int, int]] = []
    together = list(
        pellucid.explain_many(
            model, graphs, methods=["occlusion"], targets=["graph"], progress=lambda *each: told.append(each)
        )
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
    for graph, found in zip(graphs, together, strict=True):
        before = answers(model, graph)[0]
        np.testing.assert_allclose(found.logits, before, atol=1e-6)
        edges = next(part.values for part in found.parts if part.name == "edges")
        for edge in range(graph.num_edges):
            after = answers(model, without_edges(graph, np.arange(graph.num_edges) == edge))[0]
            best = before.argmax()
            np.testing.assert_allclose(edges[edge], before[best] - after[best], atol=1e-5)


def test_a_metric_asks_a_model_with_a_norm_over_all_nodes_about_the_whole_graph() -> None:
    torch.manual_seed(0)
    model = samples.Coupled().eval()
    found = list(pellucid.explain_many(model, GRAPH, methods=["saliency"], targets=["node:3", "node:5"]))
    curves = graph_curves(found, model=model, input=GRAPH, orders=1)
    expected = [float(torch.from_numpy(each.logits.copy()).softmax(0).max()) for each in found]
    np.testing.assert_allclose(curves.explained[:, -1], expected, atol=1e-6)


def _cheb(before: int, after: int) -> Any:
    from torch_geometric.nn import ChebConv

    return ChebConv(before, after, K=2)


def _both_ways(before: int, after: int) -> Any:
    from torch_geometric.nn import DirGNNConv, GCNConv

    return DirGNNConv(GCNConv(before, after))


@pytest.mark.parametrize("layer", [_cheb, _both_ways])
@pytest.mark.parametrize("directed", [False, True], ids=["undirected", "directed"])
def test_a_deletion_counts_the_arcs_out_of_a_node_as_in_the_rebuilt_graph(layer: Any, directed: bool) -> None:
    torch.manual_seed(0)
    model = samples.Two(layer).eval()
    graph = samples.graph(1, directed=directed)
    targets = [f"node:{node}/class:0" for node in (0, 5, 11)]
    for found in pellucid.explain_many(model, graph, methods=["occlusion"], targets=targets):
        subject: Any = found.subject
        edges = next(part.values for part in found.parts if part.name == "edges")
        node = found.target.nodes[0]
        for place, edge in list(enumerate(subject.edges))[:6]:
            rest = without_edges(graph, np.arange(graph.num_edges) == edge)
            [after] = pellucid.explain_many(model, rest, methods=["saliency"], targets=[f"node:{node}/class:0"])
            np.testing.assert_allclose(edges[place], found.score - after.score, atol=1e-5)


def without_edges(graph: Graph, gone: np.ndarray) -> Graph:
    types = graph.edge_types
    assert types is not None
    return Graph(
        edges=graph.edges[~gone],
        num_nodes=graph.num_nodes,
        features=graph.features,
        directed=graph.directed,
        edge_types=types[~gone],
        edge_type_names=graph.edge_type_names,
    )
