"""What docs/graph-depth.md says of the citation graph, as far as it needs no training."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pellucid
from pellucid.insights.own_features import own_of
from pellucid.models.gcn import GCN
from pellucid.models.graph_layers import GraphConvolution


@pytest.fixture(scope="module")
def cora(shared_data: Path) -> pellucid.Graph:
    graph = pellucid.read(shared_data / "graphs" / "planetoid_cora" / "ind.cora.graph")
    assert isinstance(graph, pellucid.Graph)
    return graph


class Smoothing(nn.Module):
    """Messages alone."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        layers = [GraphConvolution(channels, channels, bias=False) for _ in range(count)]
        for layer in layers:
            nn.init.eye_(layer.linear.weight)
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, edge_index)
        return x


def test_smoothing_alone_makes_nodes_alike_and_does_not_lose_the_class(cora: pellucid.Graph) -> None:
    own = own_of(cora, seed=0)
    assert own is not None
    assert (own.what, own.values.shape) == ("components", (2708, 32))
    words = pellucid.Graph(
        edges=cora.edges, num_nodes=2708, features=own.values, labels=cora.labels, splits=cora.splits
    )
    found = pellucid.along_graph_depth(Smoothing(32, 4), words, nodes=0, twin=False)
    energies = [site.relative_energy for site in found.sites]
    assert energies == sorted(energies, reverse=True)
    first, last = found.sites[0], found.sites[-1]
    assert first.emerged is not None
    assert last.emerged is not None
    assert last.emerged.low > first.emerged.high
    assert found.left_out == 140
    assert found.probed == 2708 - 140


def test_hops_of_a_wide_sparse_graph_are_shared_out(cora: pellucid.Graph) -> None:
    torch.manual_seed(0)
    found = pellucid.along_graph_depth(GCN(cora.num_features, 7), cora, nodes=8)
    for site in (*found.sites, *found.twin):
        assert sum(share.value for share in site.hops) == pytest.approx(1.0)
    assert len(found.sites[-1].hops) == 3
    assert found.around[0] == 1.0
