"""Graph layers: equal to PyG's with the weights copied, and to dense matrix products."""

import numpy as np
import pytest
import torch
from torch import nn

from pellucid.errors import SettingError
from pellucid.inputs.graph import Graph
from pellucid.models.graph_layers import (
    GINConvolution,
    GraphConvolution,
    Normalisation,
    Normalise,
    SAGEConvolution,
    propagate,
)

pyg = pytest.importorskip("torch_geometric.nn")

# Six nodes: a self-loop at 3, a duplicate arc 4→3, node 5 without any.
ARCS = torch.tensor([[0, 1, 1, 2, 3, 3, 4, 4], [1, 0, 2, 1, 3, 1, 3, 3]])
WEIGHTS = torch.tensor([0.5, 1.0, 2.0, 0.1, 3.0, 1.0, 0.7, 0.2])
X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("self_loops", [True, False])
def test_a_graph_convolution_equals_pyg(weights: torch.Tensor | None, sparse: bool, self_loops: bool) -> None:
    ours = GraphConvolution(4, 5, self_loops=self_loops)
    peer = pyg.GCNConv(4, 5, add_self_loops=self_loops)
    nn.init.normal_(ours.bias)
    peer.lin.weight, peer.bias = ours.linear.weight, ours.bias
    found = ours(X.to_sparse() if sparse else X, ARCS, weights)
    torch.testing.assert_close(found, peer(X, ARCS, weights), atol=1e-6, rtol=0)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_a_sage_convolution_equals_pyg(sparse: bool) -> None:
    ours, peer = SAGEConvolution(4, 5), pyg.SAGEConv(4, 5)
    peer.lin_l.weight, peer.lin_l.bias = ours.neighbours.weight, ours.neighbours.bias
    peer.lin_r.weight = ours.own.weight
    torch.testing.assert_close(ours(X.to_sparse() if sparse else X, ARCS), peer(X, ARCS), atol=1e-6, rtol=0)


@pytest.mark.parametrize("eps", [0.0, 0.3])
@pytest.mark.parametrize("train_eps", [False, True])
def test_a_gin_convolution_equals_pyg(eps: float, train_eps: bool) -> None:
    mlp = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    ours, peer = GINConvolution(mlp, eps=eps, train_eps=train_eps), pyg.GINConv(mlp, eps=eps, train_eps=train_eps)
    torch.testing.assert_close(ours(X, ARCS), peer(X, ARCS), atol=1e-6, rtol=0)
    assert ("eps" in dict(ours.named_parameters())) is train_eps


@pytest.mark.parametrize("normalisation", ["symmetric", "row", "none"])
@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("self_loops", [False, True])
def test_the_layer_and_the_graph_have_the_same_normalised_adjacency(
    normalisation: Normalisation, directed: bool, self_loops: bool
) -> None:
    edges = [(0, 1), (1, 2), (2, 3), (3, 0), (3, 1), (4, 4)]
    graph = Graph(edges=edges, num_nodes=6, directed=directed, edge_weights=[1, 2, 0.5, 1, 3, 2])
    arcs, numbers = graph.arcs()
    assert graph.edge_weights is not None
    weights = torch.tensor(graph.edge_weights[numbers])
    arcs, weights = Normalise(normalisation, self_loops=self_loops)(torch.tensor(arcs), weights, 6, torch.float32)
    matrix = torch.zeros(6, 6)
    matrix[arcs[1], arcs[0]] = weights
    expected = graph.normalised_adjacency(normalisation=normalisation, self_loops=self_loops).toarray()
    np.testing.assert_allclose(matrix.numpy(), expected, atol=1e-6)


def test_a_node_that_receives_nothing_gets_the_bias_and_nothing_infinite() -> None:
    layer = GraphConvolution(4, 5, self_loops=False)
    nn.init.constant_(layer.bias, 2.0)
    found = layer(X, ARCS)
    assert found[5].tolist() == [2.0] * 5
    assert bool(torch.isfinite(found).all())


def test_duplicate_arcs_count_twice() -> None:
    values = torch.tensor([[1.0], [10.0]])
    assert propagate(values, torch.tensor([[1, 1], [0, 0]]), torch.ones(2)).tolist() == [[20.0], [0.0]]


def test_a_graph_without_arcs_convolves_each_node_alone() -> None:
    layer = GraphConvolution(4, 5)
    none = torch.zeros(2, 0, dtype=torch.long)
    torch.testing.assert_close(layer(X, none), layer.linear(X) + layer.bias)


def test_an_unknown_normalisation_is_refused() -> None:
    with pytest.raises(SettingError, match="normalisation is 'max', expected 'symmetric', 'row' or 'none'"):
        GraphConvolution(4, 5, normalisation="max")  # type: ignore[arg-type]
