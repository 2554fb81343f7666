"""Products that are taken once for the whole graph are those that the model asks for."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import graph_models as samples
import pellucid
from pellucid.inputs.graph import Graph
from pellucid.methods.graph_masks import GNNExplainer
from pellucid.models.graph_arguments import arguments_of
from pellucid.models.graph_layers import GraphConvolution

DENSE = samples.graph()
# Mostly 0, so that only what is not 0 is multiplied.
SPARSE = Graph(
    edges=DENSE.edges,
    num_nodes=DENSE.num_nodes,
    features=np.where(np.random.default_rng(0).random(DENSE.features.shape) < 0.15, DENSE.features, 0.0),
)


class Slices(nn.Module):
    """One parameter cut into three weights of the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.layer = nn.Parameter(torch.randn(18, samples.FEATURES)), GraphConvolution(6, samples.CLASSES)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        one, two, three = self.weight.chunk(3)
        return self.layer(F.linear(x, one) * F.linear(x, two) + F.linear(x, three), edge_index)  # type: ignore[no-any-return]


class Stack(nn.Module):
    """A stack of weights, as several heads have it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, samples.FEATURES, 6))
        self.layer = GraphConvolution(6, samples.CLASSES)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.layer(torch.matmul(x, self.weight).sum(0), edge_index)  # type: ignore[no-any-return]


class Vector(nn.Module):
    """A weight that is a vector, as gates have it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(samples.FEATURES))
        self.layer = GraphConvolution(samples.FEATURES, samples.CLASSES)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.layer(x * torch.sigmoid(x @ self.weight)[:, None], edge_index)  # type: ignore[no-any-return]


@pytest.mark.parametrize("model", [Slices, Stack, Vector])
@pytest.mark.parametrize("graph", [DENSE, SPARSE], ids=["dense", "sparse"])
def test_features_are_multiplied_by_the_weights_that_the_model_takes(model: type[nn.Module], graph: Graph) -> None:
    torch.manual_seed(0)
    net = model().eval()
    given = arguments_of(net, [graph])
    with torch.no_grad():
        expected = net(given.x, given.edge_index)[3]
    for method in ("occlusion", GNNExplainer(epochs=2, nodes="node-feature")):
        why = pellucid.explain(net, graph, method=method, target="node:3")
        np.testing.assert_allclose(why.logits, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["gcn", "pyg-gat", "pyg-graph"])
def test_a_mask_of_what_is_not_0_is_the_mask_of_all(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = samples.node_models()[name].eval()
    method = GNNExplainer(epochs=20, nodes="node-feature", restarts=2)
    few = pellucid.explain(model, SPARSE, method=method, target="node:3")
    monkeypatch.setattr("pellucid.capture.graph_rows.DENSE", 0.0)
    everything = pellucid.explain(model, SPARSE, method=method, target="node:3")
    assert np.count_nonzero(few.part("nodes").values)
    for mine, other in zip(few.parts, everything.parts, strict=True):
        np.testing.assert_allclose(mine.values, other.values, atol=1e-5)
    assert few.checks["rank agreement"] == pytest.approx(everything.checks["rank agreement"], abs=1e-3)
