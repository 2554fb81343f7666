"""Graph convolutional networks of our own, for reading, teaching and the recipes."""

import itertools
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.errors import SettingError
from pellucid.models.graph_layers import Arcs, GINConvolution, GraphConvolution, SAGEConvolution, Weights
from pellucid.models.readouts import ReadoutName, readout_of

Level = Literal["node", "edge", "graph"]
Convolution = Literal["gcn", "gin", "sage"]


class GCN(nn.Module):
    """A graph convolutional network for nodes, edges or whole graphs.

    Nodes: the last convolution returns the logits, as in Kipf & Welling. Edges: the vectors of the two ends are
    multiplied, and a linear layer returns the logits. Graphs: a readout makes one vector of all nodes, and a linear
    layer returns the logits. Between convolutions: batch norm where asked for, ReLU, residual where asked for, dropout.

    Args:
        in_features: Features of a node.
        classes: How many logits a node, an edge or a graph gets.
        hidden: Channels between the convolutions.
        layers: How many convolutions: how many hops a node sees.
        level: What gets a class: "node", "edge" or "graph".
        convolution: "gcn", "gin" (a perceptron of two layers each) or "sage".
        readout: "mean" (the textbook's), "sum", "max" or "attention"; for graphs.
        every_layer: Whether the readouts of all layers are put side by side (Xu et al. 2019); for graphs.
        dropout: Probability of dropping a value in training, before each convolution.
        batch_norm: Whether values are normalised after each convolution but the last of a node network.
        residual: Whether a layer adds its input where sizes agree.

    Attributes:
        settings: All of these by name: `GCN(**settings)` has the same weights by name and shape.

    Raises:
        SettingError: A size is below 1, or a word is unknown.

    Reference:
        Kipf & Welling, Semi-Supervised Classification with Graph Convolutional Networks, ICLR 2017.
    """

    def __init__(
        self,
        in_features: int,
        classes: int,
        *,
        hidden: int = 16,
        layers: int = 2,
        level: Level = "node",
        convolution: Convolution = "gcn",
        readout: ReadoutName = "mean",
        every_layer: bool = False,
        dropout: float = 0.5,
        batch_norm: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__()
        for name, size in (("in_features", in_features), ("classes", classes), ("hidden", hidden), ("layers", layers)):
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise SettingError(name, given=size, expected="a whole number, 1 or more")
        for name, word, words in (
            ("level", level, get_args(Level)),
            ("convolution", convolution, get_args(Convolution)),
        ):
            if word not in words:
                raise SettingError(name, given=word, expected=" or ".join(map(repr, words)))
        for name, switch in (("every_layer", every_layer), ("batch_norm", batch_norm), ("residual", residual)):
            if not isinstance(switch, bool):
                raise SettingError(name, given=switch, expected="True or False")
        if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
            raise SettingError("dropout", given=dropout, expected="0 or more and below 1", hint="0.5 is usual")
        self.settings: dict[str, int | float | str] = {
            "in_features": in_features,
            "classes": classes,
            "hidden": hidden,
            "layers": layers,
            "level": level,
            "convolution": convolution,
            "readout": readout,
            "every_layer": every_layer,
            "dropout": dropout,
            "batch_norm": batch_norm,
            "residual": residual,
        }
        self.level, self.dropout, self.residual, self.every_layer = level, dropout, residual, every_layer
        widths = [in_features, *[hidden] * layers]
        if level == "node":
            widths[-1] = classes
        self.convolutions = nn.ModuleList(_layer(convolution, *pair) for pair in itertools.pairwise(widths))
        inner = layers if level != "node" else layers - 1
        self.norms = nn.ModuleList(nn.BatchNorm1d(hidden) for _ in range(inner * batch_norm))
        self.activations = nn.ModuleList(nn.ReLU() for _ in range(inner))
        if level == "graph":
            self.readout = readout_of(readout, hidden)
        if level != "node":
            self.classify = nn.Linear(hidden * (layers if every_layer and level == "graph" else 1), classes)

    def forward(
        self,
        x: Tensor,
        edge_index: Arcs,
        edge_weight: Weights | None = None,
        batch: Tensor | None = None,
        pairs: Tensor | None = None,
    ) -> Tensor:
        """Logits.

        Args:
            x: Node features (nodes, in_features), dense or sparse.
            edge_index: Arcs (2, arcs): from and to; an undirected edge is there in both directions.
            edge_weight: (arcs,), or None where all count alike.
            batch: To which graph each node belongs, (nodes,), in ascending order; None for one graph.
            pairs: The edges that get a class, (2, edges); None for all arcs.

        Returns:
            (nodes, classes), (edges, classes) or (graphs, classes).
        """
        seen = []
        for number, convolution in enumerate(self.convolutions):
            before = x
            x = convolution(_dropped(x, self.dropout, training=self.training), edge_index, edge_weight)
            if number < len(self.activations):
                x = self.activations[number](self.norms[number](x) if self.norms else x)
                if self.residual and x.shape == before.shape:
                    x = x + before
                seen.append(x)
        if self.level == "node":
            return x
        if self.level == "edge":
            first, second = edge_index if pairs is None else pairs
            return self.classify(x[first] * x[second])  # type: ignore[no-any-return]
        if batch is None:
            batch = torch.zeros(x.shape[0], dtype=torch.long, device=x.device)
        graphs = int(batch[-1]) + 1
        told = [self.readout(each, batch, graphs) for each in (seen if self.every_layer else seen[-1:])]
        whole = told[0] if len(told) == 1 else torch.cat(told, dim=1)
        return self.classify(F.dropout(whole, self.dropout, training=self.training))  # type: ignore[no-any-return]


def _layer(convolution: Convolution, before: int, after: int) -> nn.Module:
    if convolution == "gcn":
        return GraphConvolution(before, after)
    if convolution == "sage":
        return SAGEConvolution(before, after)
    mlp = nn.Sequential(nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU(), nn.Linear(after, after))
    return GINConvolution(mlp)


def _dropped(x: Tensor, share: float, *, training: bool) -> Tensor:
    if not training or share == 0:
        return x
    if not x.is_sparse:
        return F.dropout(x, share, training=True)
    x = x.coalesce()
    values = F.dropout(x.values(), share, training=True)
    return torch.sparse_coo_tensor(x.indices(), values, x.shape, is_coalesced=True, check_invariants=False)
