"""Readouts: from the vectors of a graph's nodes to one vector for the graph."""

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pellucid.errors import SettingError, did_you_mean

ReadoutName = Literal["mean", "sum", "max", "attention"]
Nodes = Float[Tensor, "nodes channels"]
Membership = Int[Tensor, " nodes"]


class MeanReadout(nn.Module):
    """The mean over the nodes of each graph, as the textbook does."""

    def forward(self, x: Nodes, batch: Membership, graphs: int) -> Tensor:
        """(nodes, channels) to (graphs, channels); `batch` says to which graph a node belongs."""
        sizes = x.new_zeros(graphs).index_add(0, batch, x.new_ones(len(x)))
        return x.new_zeros(graphs, x.shape[1]).index_add(0, batch, x) / sizes.clamp(min=1)[:, None]


class SumReadout(nn.Module):
    """The sum over the nodes of each graph."""

    def forward(self, x: Nodes, batch: Membership, graphs: int) -> Tensor:
        """(nodes, channels) to (graphs, channels)."""
        return x.new_zeros(graphs, x.shape[1]).index_add(0, batch, x)


class MaxReadout(nn.Module):
    """The largest value of each channel among the nodes of each graph."""

    def forward(self, x: Nodes, batch: Membership, graphs: int) -> Tensor:
        """(nodes, channels) to (graphs, channels)."""
        places = batch[:, None].expand(-1, x.shape[1])
        return x.new_zeros(graphs, x.shape[1]).scatter_reduce(0, places, x, reduce="amax", include_self=False)


class AttentionReadout(nn.Module):
    """A weighted mean over the nodes of each graph, with weights that the network computes from their vectors.

    Reference:
        Li et al., Gated Graph Sequence Neural Networks, ICLR 2016, eq. 7, with a softmax over the nodes as the gate.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Linear(channels, 1)

    def forward(self, x: Nodes, batch: Membership, graphs: int) -> Tensor:
        """(nodes, channels) to (graphs, channels)."""
        gate = self.gate(x)[:, 0]
        highest = gate.new_full((graphs,), -torch.inf).scatter_reduce(0, batch, gate, reduce="amax")
        powers = (gate - highest[batch].detach()).exp()
        shares = powers / powers.new_zeros(graphs).index_add(0, batch, powers)[batch]
        return x.new_zeros(graphs, x.shape[1]).index_add(0, batch, shares[:, None] * x)


_PLAIN: Mapping[str, type[nn.Module]] = {"mean": MeanReadout, "sum": SumReadout, "max": MaxReadout}
READOUTS = (*_PLAIN, "attention")


def readout_of(name: ReadoutName, channels: int) -> nn.Module:
    """The readout of a name.

    Raises:
        SettingError: There is none of that name.
    """
    if name == "attention":
        return AttentionReadout(channels)
    if name not in READOUTS:
        expected = "'mean', 'sum', 'max' or 'attention'"
        raise SettingError("readout", given=name, expected=expected + did_you_mean(str(name), list(READOUTS)))
    return _PLAIN[name]()
