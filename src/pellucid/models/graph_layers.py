"""Layers that pass messages along arcs: graph convolution, GIN and GraphSAGE, each equal to PyG's layer of that name.

Each has one `Normalise`, which says along which arcs messages run and with what weights; whoever wants to look at that,
or to change it for one pass, hooks that module. All take node features (nodes, features), dense or sparse, and arcs
(2, arcs) as PyG has them: from, to. Nothing of size nodes × nodes is ever made.
"""

from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pellucid.errors import SettingError

Normalisation = Literal["symmetric", "row", "none"]
Aggregation = Literal["sum", "mean"]
Arcs = Int[Tensor, "2 arcs"]
Weights = Float[Tensor, " arcs"]


def propagate(values: Float[Tensor, "nodes channels"], arcs: Arcs, weights: Weights) -> Tensor:
    """Â X: each node receives the sum of its senders' values times the weights of the arcs, (nodes, channels)."""
    senders, receivers = arcs[0], arcs[1]
    messages = values.index_select(0, senders) * weights[:, None]
    return values.new_zeros(values.shape).index_add(0, receivers, messages)


class Normalise(nn.Module):
    """The weights of Â, arc by arc: self-loops added where a node has none, then divided by degrees.

    Args:
        normalisation: "symmetric": w_ij / sqrt(d_i d_j) (Kipf & Welling 2017); "row": w_ij / d_i, i the receiver;
            "none": as they are. A node's degree is the sum of the weights that it receives.
        self_loops: Whether nodes without a loop get one of weight 1.
    """

    def __init__(self, normalisation: Normalisation = "symmetric", *, self_loops: bool = True) -> None:
        super().__init__()
        if normalisation not in get_args(Normalisation):
            raise SettingError("normalisation", given=normalisation, expected="'symmetric', 'row' or 'none'")
        self.normalisation, self.self_loops = normalisation, self_loops

    def forward(self, arcs: Arcs, weights: Weights | None, nodes: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The arcs, loops last, and the weight of each."""
        if weights is None:
            weights = torch.ones(arcs.shape[1], dtype=dtype, device=arcs.device)
        if self.self_loops:
            looped = torch.zeros(nodes, dtype=torch.bool, device=arcs.device)
            looped[arcs[0, arcs[0] == arcs[1]]] = True
            missing = (~looped).nonzero().flatten()
            arcs = torch.cat([arcs, missing.expand(2, -1)], dim=1)
            weights = torch.cat([weights, weights.new_ones(len(missing))])
        if self.normalisation == "none":
            return arcs, weights
        senders, receivers = arcs[0], arcs[1]
        degrees = weights.new_zeros(nodes).index_add(0, receivers, weights)
        scale = degrees.pow(-0.5 if self.normalisation == "symmetric" else -1.0)
        # A node of degree zero receives nothing, so its factor is never used; infinity would spoil the others.
        scale = scale.masked_fill(scale == torch.inf, 0.0)
        weights = scale[receivers] * weights
        return arcs, weights * scale[senders] if self.normalisation == "symmetric" else weights

    def extra_repr(self) -> str:
        """The settings, as `print(model)` shows them."""
        return f"{self.normalisation!r}, self_loops={self.self_loops}"


class GraphConvolution(nn.Module):
    """H' = Â H W + b, the graph convolution of Kipf & Welling; equal to PyG's `GCNConv`.

    W is applied first, since it usually makes the rows shorter; (Â H) W is the same.

    Args:
        in_features: Features of a node.
        out_features: Features of a node afterwards.
        bias: Whether there is a b.
        normalisation: See `Normalise`.
        self_loops: See `Normalise`.

    Reference:
        Kipf & Welling, Semi-Supervised Classification with Graph Convolutional Networks, ICLR 2017, eq. 2.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        normalisation: Normalisation = "symmetric",
        self_loops: bool = True,
    ) -> None:
        super().__init__()
        self.normalise = Normalise(normalisation, self_loops=self_loops)
        self.linear = nn.Linear(in_features, out_features, bias=False)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Begin anew: W as Glorot & Bengio draw it, b at 0."""
        nn.init.xavier_uniform_(self.linear.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, edge_index: Arcs, edge_weight: Weights | None = None) -> Tensor:
        """Node features (nodes, in_features), dense or sparse, to (nodes, out_features)."""
        arcs, weights = self.normalise(edge_index, edge_weight, x.shape[0], x.dtype)
        received = propagate(self.linear(x), arcs, weights)
        return received if self.bias is None else received + self.bias


class GINConvolution(nn.Module):
    """h'_i = MLP((1 + ε) h_i + Σ_j h_j); equal to PyG's `GINConv`.

    Args:
        mlp: From (nodes, in_features) to (nodes, out_features).
        eps: ε; 0 is the paper's GIN-0.
        train_eps: Whether ε is learnt.

    Reference:
        Xu et al., How Powerful are Graph Neural Networks?, ICLR 2019, eq. 4.1.
    """

    def __init__(self, mlp: nn.Module, *, eps: float = 0.0, train_eps: bool = False) -> None:
        super().__init__()
        self.normalise = Normalise("none", self_loops=False)
        self.mlp = mlp
        self._first_eps = float(eps)
        self.eps: Tensor
        if train_eps:
            self.eps = nn.Parameter(torch.tensor(float(eps)))
        else:
            self.register_buffer("eps", torch.tensor(float(eps)))

    def reset_parameters(self) -> None:
        """Begin anew with an ε that is learnt; the perceptron's layers begin by themselves."""
        if isinstance(self.eps, nn.Parameter):
            nn.init.constant_(self.eps, self._first_eps)

    def forward(self, x: Tensor, edge_index: Arcs, edge_weight: Weights | None = None) -> Tensor:
        """Node features (nodes, in_features) to (nodes, out_features)."""
        x = x.to_dense() if x.is_sparse else x
        arcs, weights = self.normalise(edge_index, edge_weight, x.shape[0], x.dtype)
        return self.mlp(propagate(x, arcs, weights) + (1 + self.eps) * x)  # type: ignore[no-any-return]


class SAGEConvolution(nn.Module):
    """h'_i = W₁ mean_j h_j + W₂ h_i + b; equal to PyG's `SAGEConv`.

    Args:
        in_features: Features of a node.
        out_features: Features of a node afterwards.

    Reference:
        Hamilton et al., Inductive Representation Learning on Large Graphs, NeurIPS 2017, algorithm 1 with the mean.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.normalise = Normalise("row", self_loops=False)
        self.neighbours = nn.Linear(in_features, out_features)
        self.own = nn.Linear(in_features, out_features, bias=False)

    def forward(self, x: Tensor, edge_index: Arcs, edge_weight: Weights | None = None) -> Tensor:
        """Node features (nodes, in_features), dense or sparse, to (nodes, out_features)."""
        arcs, weights = self.normalise(edge_index, edge_weight, x.shape[0], x.dtype)
        if x.is_sparse:  # the mean of rows times W is the mean of the rows' products
            received = propagate(x @ self.neighbours.weight.T, arcs, weights) + self.neighbours.bias
        else:
            received = self.neighbours(propagate(x, arcs, weights))
        return received + self.own(x)  # type: ignore[no-any-return]
