"""How far a node's vector depends on the features of the nodes around it: exact Jacobians, summed by distance.

The Jacobian of one site at one node v is C × nodes × features numbers. What is kept of it is, for each distance k,

    s_k(v) = Σ over nodes u at distance k, channels c and features f of (∂h_vc / ∂x_uf)²,

with distances along the arcs as messages run. Every derivative is taken, one backward pass for each channel, over the
exact neighbourhoods of many nodes side by side; what lies further than the site reaches has a slope of exactly 0.

Where features enter through linear layers alone, as in a graph convolution, ∂h / ∂x_u = (∂h / ∂z_u) W for their values
z, so that Σ_f is a quadratic form with W Wᵀ, and no derivative has the width of the features. Whether that is the only
way in is tested in every pass, at one random combination of all channels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pellucid.capture import passes
from pellucid.capture.graph_engine import GraphRun, WholePass
from pellucid.capture.sites import INPUT
from pellucid.capture.unions import Union, neighbourhoods
from pellucid.errors import CapacityError, ModelError

MOST = 16_000_000
"""Most feature values of the neighbourhoods that are run at once."""
LIMIT = 500_000_000
"""Most feature values of one neighbourhood: 2 GB, and a few times that while derivatives are taken."""
_CLOSE = 1e-3
"""Largest difference between a cut neighbourhood and the whole graph, as a share of the site's largest value."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HopSlopes:
    """What one site at some nodes depends on.

    Attributes:
        squares: float64 (nodes, hops + 1): s_k of each node.
        counts: int64 (nodes, hops + 1): how many nodes there are at each distance.
    """

    squares: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """(nodes, hops + 1): s_k as a share of the sum over k; NaN for a node that depends on nothing."""
        total = self.squares.sum(axis=1, keepdims=True)
        shares = np.full_like(self.squares, np.nan)
        np.divide(self.squares, total, out=shares, where=total > 0)
        return shares


def hop_slopes(whole: WholePass, site: str, nodes: npt.NDArray[np.int64], *, expected: Tensor) -> HopSlopes:
    """The squared slopes of a site at some nodes, by distance.

    Args:
        whole: The pass over the whole graph.
        site: A site with a row for each node.
        nodes: (nodes,): the nodes whose vectors are looked at.
        expected: (all nodes, channels): what the site returns for the whole graph.

    Raises:
        CapacityError: A neighbourhood with its features does not fit into memory.
        ModelError: Nodes depend on more than their neighbourhoods, or no derivative can be taken.
    """
    reach = whole.reach[site]
    # Even of what no message has reached, the first layer's arcs are asked for.
    depth = max(reach, 1)
    nearer = replace(whole, depth=depth)
    found = [_of_union(nearer, site, union, reach, expected) for union in _unions(nearer, nodes)]
    return HopSlopes(
        squares=np.concatenate([each.squares for each in found]), counts=np.concatenate([each.counts for each in found])
    )


def _unions(whole: WholePass, nodes: npt.NDArray[np.int64]) -> Iterator[Union]:
    """The neighbourhoods, as many at a time as fit."""
    arcs, width = whole.arguments.edge_index.cpu().numpy(), int(whole.arguments.x.shape[1])

    def union(some: list[int]) -> Union:
        # A model that answers for edges is asked about the edge from a node to itself.
        targets = np.repeat(np.array(some, dtype=np.int64)[:, None], 2 if whole.rows == "edges" else 1, axis=1)
        return neighbourhoods(arcs, nodes=whole.arguments.nodes, targets=targets, depth=whole.depth)

    waiting: list[int] = []
    values = 0
    for node in nodes.tolist():
        size = len(union([node]).node) * width
        if size > LIMIT:
            raise CapacityError(
                f"what node {node} sees has {size // width:,} nodes with {width:,} features, {size * 4 / 1e9:.1f} GB "
                "to take derivatives of; give nodes=0 to leave the dependence on hops out, or fewer features."
            )
        if waiting and (values + size > MOST or whole.alone):
            yield union(waiting)
            waiting, values = [], 0
        waiting.append(node)
        values += size
    if waiting:
        yield union(waiting)


def _of_union(whole: WholePass, site: str, union: Union, reach: int, expected: Tensor) -> HopSlopes:
    device = whole.arguments.x.device
    target = torch.from_numpy(union.target[:, 0]).to(device)
    doors = _doors(whole)
    with GraphRun(whole, union) as run, torch.enable_grad():
        x = run.features.detach().clone().requires_grad_(True)
        _, [values, *entered] = run.read_all([site, *doors], x)
        mine = values[target]
        _check_same(mine.detach(), expected[torch.from_numpy(union.node[union.target[:, 0]]).to(device)], site)
        total = torch.zeros(len(union.node), dtype=torch.float64, device=device)
        if mine.requires_grad:  # what no derivative leads to, as a constant, has no slope
            weights = list(doors.values())
            if doors and _is_all(mine, x, entered, weights):
                total = _through(mine, entered, weights)
            else:
                total = _directly(mine, x)
    near = union.hops <= reach
    place = union.block[near] * (reach + 1) + union.hops[near]
    shape, size = (union.blocks, reach + 1), union.blocks * (reach + 1)
    squares: npt.NDArray[np.float64] = np.zeros(size)
    np.add.at(squares, place, total.cpu().numpy()[near])
    return HopSlopes(squares=squares.reshape(shape), counts=np.bincount(place, minlength=size).reshape(shape))


def _doors(whole: WholePass) -> dict[str, Tensor]:
    """The linear layers that seem to take the features themselves, and their weights (channels, features)."""
    parts, found = dict(whole.module.named_modules()), {}
    for site in whole.sites:
        weight = getattr(parts.get(site.name.partition("/")[0].partition("#")[0]), "weight", None)
        rows, wanted = (whole.arguments.nodes, site.shape[-1]), (site.shape[-1], whole.arguments.x.shape[1])
        if (
            site.op == "linear"
            and site.shape == rows
            and INPUT in site.inputs
            and isinstance(weight, Tensor)
            and weight.shape == wanted
        ):
            found[site.name] = weight.detach()
    return found


def _is_all(mine: Tensor, x: Tensor, entered: Sequence[Tensor], weights: Sequence[Tensor]) -> bool:
    """Whether the values reach the features through these layers alone: a random combination of them tells."""
    random = torch.rand(mine.shape, generator=torch.Generator().manual_seed(0)).to(mine)
    whole, *parts = passes.derivative((mine * random).sum(), [x, *entered], retain_graph=True)
    if whole is None:
        return False
    told = torch.zeros_like(whole)
    for slope, weight in zip(parts, weights, strict=True):
        if slope is not None:
            told += slope @ weight
    return bool((told - whole).abs().max() <= 1e-4 * whole.abs().max())


def _through(mine: Tensor, entered: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """For each node of the union the squared slopes, by way of the layers that take the features."""
    joined = torch.cat(list(weights)).double()
    gram, total = joined @ joined.T, torch.zeros(len(entered[0]), dtype=torch.float64, device=mine.device)
    for channel in range(mine.shape[1]):
        slopes = passes.derivative(mine[:, channel].sum(), entered, retain_graph=True)
        row = torch.cat([torch.zeros_like(z) if g is None else g for z, g in zip(entered, slopes, strict=True)], dim=1)
        total += ((row.double() @ gram) * row.double()).sum(dim=1)
    return total


def _directly(mine: Tensor, x: Tensor) -> Tensor:
    """The same by derivatives as wide as the features."""
    total = torch.zeros(len(x), dtype=torch.float64, device=mine.device)
    for channel in range(mine.shape[1]):
        [slope] = passes.derivative(mine[:, channel].sum(), [x], retain_graph=True)
        if slope is not None:
            total += torch.linalg.vector_norm(slope, dim=1, dtype=torch.float64).square()
    return total


def _check_same(found: Tensor, expected: Tensor, site: str) -> None:
    """A norm over all nodes makes each depend on all others: then a neighbourhood is not enough."""
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    gap = float((found - expected).abs().max()) if expected.numel() else 0.0
    if gap > _CLOSE * (scale or 1.0):
        raise ModelError(
            f"at site {site!r} nodes depend on more than their neighbourhoods (cut out, values move by {gap:.2g}): "
            "a norm or a readout over all nodes stands before it; give nodes=0 to leave the dependence on hops out."
        )
