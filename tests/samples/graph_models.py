"""Small graphs and graph models that several tests use: ours, and PyG's five layers."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.inputs.graph import Graph
from pellucid.models.gcn import GCN

NODES, FEATURES, CLASSES = 40, 8, 3


def graph(seed: int = 0, *, nodes: int = NODES, edges: int = 55, directed: bool = False, loops: bool = True) -> Graph:
    """A random graph with self-loops, isolated nodes, two components and three edge types."""
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, nodes - 3, (edges, 2))
    pairs = np.concatenate([pairs, [[1, 1], [nodes - 2, nodes - 3]]])
    if not directed:
        pairs = np.sort(pairs, axis=1)
    pairs = np.unique(pairs, axis=0)
    pairs = pairs if loops else pairs[pairs[:, 0] != pairs[:, 1]]
    return Graph(
        edges=pairs,
        num_nodes=nodes,
        features=rng.normal(size=(nodes, FEATURES)),
        directed=directed,
        edge_types=rng.integers(0, 3, len(pairs)),
        edge_type_names=("single", "double", "triple"),
        name="a random graph",
    )


class Two(nn.Module):
    """Two layers of PyG, for nodes; log-softmax at the end, as its examples have it."""

    def __init__(self, layer: Any, **settings: Any) -> None:
        super().__init__()
        self.first, self.second = layer(FEATURES, 16, **settings), layer(16, CLASSES, **settings)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return F.log_softmax(self.second(F.relu(self.first(x, edge_index)), edge_index), dim=1)


class Parallel(nn.Module):
    """Two layers side by side and one after them: three layers, but only two hops."""

    def __init__(self) -> None:
        from torch_geometric.nn import GCNConv, SAGEConv

        super().__init__()
        self.one, self.other = GCNConv(FEATURES, 6), SAGEConv(FEATURES, 6)
        self.last = GCNConv(6, CLASSES, cached=True)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.last(F.relu(self.one(x, edge_index) + self.other(x, edge_index)), edge_index)  # type: ignore[no-any-return]


class Pooled(nn.Module):
    """PyG layers and a mean over the nodes of each graph."""

    def __init__(self) -> None:
        from torch_geometric.nn import GINConv

        super().__init__()
        self.first = GINConv(nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU()))
        self.second = GINConv(nn.Sequential(nn.Linear(8, 8), nn.ReLU()))
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        from torch_geometric.nn import global_mean_pool

        x = self.second(self.first(x, edge_index), edge_index)
        return self.head(global_mean_pool(x, batch))  # type: ignore[no-any-return]


class Alone(nn.Module):
    """A model that takes all nodes for one graph."""

    def __init__(self) -> None:
        super().__init__()
        self.net = GCN(FEATURES, CLASSES)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.net(x, edge_index).mean(0, keepdim=True)  # type: ignore[no-any-return]


class Attributed(nn.Module):
    """Layers that take the features of edges: attention over them, and sums that they change."""

    def __init__(self, edge_features: int = 3) -> None:
        from torch_geometric.nn import GATConv, GINEConv

        super().__init__()
        self.first = GINEConv(nn.Linear(FEATURES, FEATURES), edge_dim=edge_features)
        self.second = GATConv(FEATURES, CLASSES, edge_dim=edge_features)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        return self.second(F.relu(self.first(x, edge_index, edge_attr)), edge_index, edge_attr)  # type: ignore[no-any-return]


class Coupled(nn.Module):
    """A normalisation over all nodes between two layers: every node depends on every other."""

    def __init__(self) -> None:
        from torch_geometric.nn import GCNConv, PairNorm

        super().__init__()
        self.first, self.norm, self.second = GCNConv(FEATURES, 6), PairNorm(), GCNConv(6, CLASSES)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.second(self.norm(self.first(x, edge_index)), edge_index)  # type: ignore[no-any-return]


def _gin(before: int, after: int) -> nn.Module:
    from torch_geometric.nn import GINConv

    mlp = nn.Sequential(nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU(), nn.Linear(after, after))
    return GINConv(mlp, train_eps=True)  # type: ignore[no-any-return]


def node_models() -> dict[str, nn.Module]:
    """Models that answer for nodes, with running statistics that are not those of a fresh layer."""
    from torch_geometric.nn import GATConv, GCNConv, GraphConv, SAGEConv

    torch.manual_seed(0)
    models: dict[str, nn.Module] = {
        "gcn": GCN(FEATURES, CLASSES),
        "gcn-deep": GCN(FEATURES, CLASSES, layers=3, batch_norm=True, residual=True),
        "sage": GCN(FEATURES, CLASSES, convolution="sage"),
        "gin": GCN(FEATURES, CLASSES, convolution="gin"),
        "pyg-gcn": Two(GCNConv),
        "pyg-gcn-cached": Two(GCNConv, cached=True),
        "pyg-gcn-improved": Two(GCNConv, improved=True),
        "pyg-gin": Two(_gin),
        "pyg-sage": Two(SAGEConv),
        "pyg-gat": Two(GATConv),
        "pyg-graph": Two(GraphConv),
        "pyg-parallel": Parallel(),
    }
    for model in models.values():
        for part in model.modules():
            if isinstance(part, nn.BatchNorm1d):
                nn.init.normal_(part.running_mean, std=0.3)
                nn.init.uniform_(part.running_var, 0.5, 2.0)
    return models


NODE_MODELS = (
    "gcn", "gcn-deep", "sage", "gin", "pyg-gcn", "pyg-gcn-cached", "pyg-gcn-improved", "pyg-gin", "pyg-sage",
    "pyg-gat", "pyg-graph", "pyg-parallel",
)  # fmt: skip


def state_of(module: nn.Module) -> dict[str, Any]:
    """Everything that a pass could leave behind, for comparison."""
    return {
        "tensors": {k: v.detach().clone() for k, v in (*module.named_parameters(), *module.named_buffers())},
        "identity": {k: id(v) for k, v in (*module.named_parameters(), *module.named_buffers())},
        "wants": {k: (v.requires_grad, v.grad) for k, v in module.named_parameters()},
        "training": [part.training for part in module.modules()],
        "hooks": [
            {
                name: len(value)
                for name, value in vars(part).items()
                if name.endswith("hooks") and hasattr(value, "__len__")
            }
            for part in module.modules()
        ],
        "caches": [
            {
                name: vars(part)[name]
                for name in ("cached", "_cached_edge_index", "_explain", "_edge_mask")
                if name in vars(part)
            }
            for part in module.modules()
        ],
        "random": torch.random.get_rng_state(),
    }


def assert_same_state(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Two states are the same to the bit."""
    assert before["identity"] == after["identity"]
    for name, tensor in before["tensors"].items():
        assert torch.equal(tensor, after["tensors"][name]), name
    assert torch.equal(before["random"], after["random"])
    for what in ("wants", "training", "hooks"):
        assert before[what] == after[what], what
    for one, other in zip(before["caches"], after["caches"], strict=True):
        assert {k: id(v) for k, v in one.items()} == {k: id(v) for k, v in other.items()}
