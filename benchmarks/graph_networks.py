"""The networks that the graph benchmarks explain, and how they are trained: small, on a processor, in seconds."""

import copy
import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.inputs.graph import Graph
from pellucid.models.gcn import GCN
from pellucid.models.graph_arguments import GraphArguments, arguments_of
from pellucid.models.graph_layers import GraphConvolution


class NodeNetwork(nn.Module):
    """Three convolutions of 20 channels, vectors scaled to length 1, ReLU; all three side by side, one linear layer.

    The network of GNNExplainer and PGExplainer for nodes.
    """

    def __init__(self, features: int, classes: int, *, hidden: int = 20) -> None:
        super().__init__()
        widths = [features, hidden, hidden, hidden]
        self.convolutions = nn.ModuleList(GraphConvolution(a, b) for a, b in itertools.pairwise(widths))
        self.activations = nn.ModuleList(nn.ReLU() for _ in range(3))
        self.classify = nn.Linear(3 * hidden, classes)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Logits (nodes, classes)."""
        seen = []
        for convolution, activation in zip(self.convolutions, self.activations, strict=True):
            x = activation(F.normalize(convolution(x, edge_index), dim=1))
            seen.append(x)
        return self.classify(torch.cat(seen, dim=1))  # type: ignore[no-any-return]


class GraphNetwork(nn.Module):
    """Three convolutions of 20 channels with ReLU; mean and maximum over the nodes side by side, one linear layer.

    The network of PGExplainer for graphs, with batch norm: without it, it does not learn BA-2motifs.
    """

    def __init__(self, features: int, classes: int, *, hidden: int = 20) -> None:
        super().__init__()
        widths = [features, hidden, hidden, hidden]
        self.convolutions = nn.ModuleList(GraphConvolution(a, b) for a, b in itertools.pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(3))
        self.activations = nn.ModuleList(nn.ReLU() for _ in range(3))
        self.classify = nn.Linear(2 * hidden, classes)

    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor) -> Tensor:
        """Logits (graphs, classes)."""
        for convolution, norm, activation in zip(self.convolutions, self.norms, self.activations, strict=True):
            x = activation(norm(convolution(x, edge_index)))
        graphs = int(batch[-1]) + 1
        total = x.new_zeros(graphs, x.shape[1]).index_add(0, batch, x)
        sizes = x.new_zeros(graphs).index_add(0, batch, torch.ones_like(x[:, 0]))
        # ReLU leaves nothing below 0, so 0 is a safe start for a maximum.
        largest = x.new_zeros(graphs, x.shape[1]).scatter_reduce(0, batch[:, None].expand_as(x), x, "amax")
        return self.classify(torch.cat([total / sizes[:, None], largest], dim=1))  # type: ignore[no-any-return]


def trained_on_nodes(graph: Graph, *, seed: int, epochs: int = 800, lr: float = 0.01) -> tuple[nn.Module, float]:
    """A `NodeNetwork` trained on the split of a graph, as it was best on the validation nodes; its test accuracy."""
    torch.manual_seed(seed)
    assert graph.labels is not None
    labels = torch.from_numpy(graph.labels.copy())
    splits = {name: torch.from_numpy(mask.copy()) for name, mask in graph.splits.items()}
    model = NodeNetwork(graph.num_features, int(labels.max()) + 1)
    given = arguments_of(model, [graph])
    x = given.x.to_dense() if given.x.is_sparse else given.x
    optimiser = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    best, kept = -1.0, copy.deepcopy(model.state_dict())
    for epoch in range(epochs):
        logits = model.train()(x, given.edge_index)
        optimiser.zero_grad()
        F.cross_entropy(logits[splits["train"]], labels[splits["train"]]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if epoch % 20 == 19:
            with torch.no_grad():
                right = (model.eval()(x, given.edge_index).argmax(1) == labels).float()
            if float(right[splits["val"]].mean()) >= best:
                best, kept = float(right[splits["val"]].mean()), copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)
    with torch.no_grad():
        right = (model.eval()(x, given.edge_index).argmax(1) == labels).float()
    return model.eval(), float(right[splits["test"]].mean())


def trained_on_graphs(
    graphs: Sequence[Graph], *, seed: int, epochs: int = 100, batch: int = 128, lr: float = 0.005
) -> tuple[nn.Module, float]:
    """A `GraphNetwork` trained on 80 % of some graphs, as it was best on 10 %; its accuracy on the other 10 %."""
    torch.manual_seed(seed)
    labels = torch.tensor([int(graph.label or 0) for graph in graphs])
    order = torch.randperm(len(graphs))
    first, second = len(graphs) * 8 // 10, len(graphs) * 9 // 10
    train, val, test = order[:first], order[first:second], order[second:]
    model = GraphNetwork(graphs[0].num_features, int(labels.max()) + 1)
    whole = {name: _batch(model, graphs, chosen) for name, chosen in (("val", val), ("test", test))}
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    best, kept = -1.0, copy.deepcopy(model.state_dict())
    parts = [_batch(model, graphs, piece) for piece in torch.split(train, batch)]
    for _ in range(epochs):
        model.train()
        for place in torch.randperm(len(parts)).tolist():
            given, chosen = parts[place]
            optimiser.zero_grad()
            F.cross_entropy(model(given.x, given.edge_index, given.batch), labels[chosen]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        schedule.step()
        reached = _accuracy(model, *whole["val"], labels)
        if reached >= best:
            best, kept = reached, copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)
    return model.eval(), _accuracy(model, *whole["test"], labels)


def trained_on_cora(graph: Graph, model: nn.Module, *, seed: int = 0, epochs: int = 200) -> float:
    """Train a model of two convolutions as Kipf & Welling do, and say its test accuracy."""
    torch.manual_seed(seed)
    assert graph.labels is not None
    labels = torch.from_numpy(graph.labels.copy())
    splits = {name: torch.from_numpy(mask.copy()) for name, mask in graph.splits.items()}
    given = arguments_of(model, [graph])
    x = given.x.to_dense() if given.x.is_sparse else given.x
    x = x / x.sum(1, keepdim=True).clamp(min=1)
    layers: Any = model.convolutions if isinstance(model, GCN) else list(model.children())
    groups: list[list[Any]] = [list(layer.parameters()) for layer in layers]
    parameters: Any = [{"params": groups[0], "weight_decay": 5e-4}, *({"params": group} for group in groups[1:])]
    optimiser = torch.optim.Adam(parameters, lr=0.01)
    for _ in range(epochs):
        optimiser.zero_grad()
        logits = model.train()(x, given.edge_index)
        F.cross_entropy(logits[splits["train"]], labels[splits["train"]]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        right = (model.eval()(x, given.edge_index).argmax(1) == labels).float()
    return float(right[splits["test"]].mean())


def _batch(model: nn.Module, graphs: Sequence[Graph], chosen: Tensor) -> tuple[GraphArguments, Tensor]:
    given = arguments_of(model, [graphs[number] for number in chosen.tolist()])
    return given.with_features(given.x.to_dense() if given.x.is_sparse else given.x), chosen


@torch.no_grad()
def _accuracy(model: nn.Module, given: GraphArguments, chosen: Tensor, labels: Tensor) -> float:
    logits = model.eval()(given.x, given.edge_index, given.batch)
    return float((logits.argmax(1) == labels[chosen]).float().mean())
