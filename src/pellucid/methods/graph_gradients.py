"""Methods for graphs that follow slopes: to node features, to the messages along edges, and to node vectors."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from pellucid.capture.graph_asks import Blocks, GraphParts
from pellucid.errors import MethodError, SettingError
from pellucid.methods.catalogue import register_graph

Where = Literal["both", "features", "edges"]


@register_graph("saliency")
@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSaliency:
    """How fast the score changes with each node feature, and with the strength of the messages along each edge.

    Signed. The value of an edge is the slope at the factor 1 that multiplies its messages in all layers, both
    directions together.

    Reference:
        Simonyan et al., Deep Inside Convolutional Networks, 2013, section 3; for graphs Baldassarre & Azizpour,
        Explainability Techniques for Graph Convolutional Networks, 2019.
    """

    def attribute(self, blocks: Blocks, *, seed: int) -> GraphParts:
        """The slopes."""
        nodes, edges = _slopes(blocks, blocks.features, blocks.ones(blocks.edges))
        return GraphParts(nodes=nodes, edges=edges)


@register_graph("input-x-gradient")
@dataclass(frozen=True, slots=True, kw_only=True)
class GraphInputXGradient:
    """The slope times the value: what each feature and each edge adds, as far as the model is linear.

    For an edge the value is the factor 1 of its messages, so its attribution is its saliency.

    Reference:
        Shrikumar et al., Not Just a Black Box: Learning Important Features Through Propagating Activation Differences,
        2016.
    """

    def attribute(self, blocks: Blocks, *, seed: int) -> GraphParts:
        """Slopes times values."""
        nodes, edges = _slopes(blocks, blocks.features, blocks.ones(blocks.edges))
        return GraphParts(nodes=nodes * blocks.features, edges=edges)


@register_graph("integrated-gradients")
@dataclass(frozen=True, slots=True, kw_only=True)
class GraphIntegratedGradients:
    """What each node feature adds on the way from all features 0, and each edge on the way from no messages at all.

    Two paths, one after the other: features with all edges there, edges with all features there. Each sums to the
    change of the score along its path, up to the quadrature error, which is reported as `features completeness gap` and
    `edges completeness gap` in units of the score.

    Attributes:
        steps: Points on each path (Gauss-Legendre), 1 or more.
        of: `features`, `edges` or `both`.

    Reference:
        Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017, eq. 1.
    """

    steps: int = 32
    of: str = "both"

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            hint = "32 suits most models"
            raise SettingError("steps", given=self.steps, expected="a whole number, 1 or more", hint=hint)
        if self.of not in get_args(Where):
            raise SettingError("of", given=self.of, expected="'features', 'edges' or 'both'")

    def attribute(self, blocks: Blocks, *, seed: int) -> GraphParts:
        """The integrals along both paths, with their gaps."""
        points, weights = np.polynomial.legendre.leggauss(self.steps)
        points, weights = (points + 1) / 2, weights / 2
        features, ones = blocks.features, blocks.ones(blocks.edges)
        nodes, edges = torch.zeros_like(features), torch.zeros_like(ones)
        for point, weight in zip(points.tolist(), weights.tolist(), strict=True):
            if self.of != "edges":
                nodes += weight * _slopes(blocks, features * point, ones)[0] * features
            if self.of != "features":
                edges += weight * _slopes(blocks, features, ones * point)[1]
        checks = {}
        with torch.no_grad():
            end = blocks.score(blocks.logits())
            if self.of != "edges":
                change = end - blocks.score(blocks.logits(features=torch.zeros_like(features)))
                found = blocks.sum_per_block(nodes.sum(1), blocks.block_of_node)
                checks["features completeness gap"] = found - change
            if self.of != "features":
                change = end - blocks.score(blocks.logits(edges=torch.zeros_like(ones)))
                checks["edges completeness gap"] = blocks.sum_per_block(edges, blocks.block_of_edge) - change
        return GraphParts(
            nodes=None if self.of == "edges" else nodes, edges=None if self.of == "features" else edges, checks=checks
        )


@register_graph("grad-cam")
@dataclass(frozen=True, slots=True, kw_only=True)
class GraphGradCAM:
    """Which nodes' vectors speak for the class: each channel weighted by its mean slope over the nodes of the block.

    Evidence against the class is cut at 0. Nothing is rescaled. A node too far away for its vector at this site to
    reach the target has the value 0.

    Attributes:
        site: The site whose values are read, one row for each node; `last` is the last one before the logits or the
            readout, which says most about the class.

    Reference:
        Pope et al., Explainability Methods for Graph Convolutional Neural Networks, CVPR 2019, eq. 11.
    """

    site: str = "last"

    def attribute(self, blocks: Blocks, *, seed: int) -> GraphParts:
        """The map over the nodes of each block."""
        name = _last_node_site(blocks) if self.site == "last" else self._chosen(blocks)
        logits, values = blocks.read(name)
        [slopes] = blocks.slopes(blocks.score(logits).sum(), [values])
        sizes = blocks.sum_per_block(values.new_ones(len(values)), blocks.block_of_node)
        means = slopes.new_zeros(blocks.count, slopes.shape[1]).index_add(0, blocks.block_of_node, slopes)
        means = means / sizes[:, None]
        found = (means[blocks.block_of_node] * values.detach()).sum(1)
        # Further out the cut ends too early for this layer: the vectors there are not those of the whole graph, and no
        # message can bring them to the target.
        near = blocks.union.hops <= blocks.whole.depth - blocks.whole.reach.get(name, 0)
        shown = found.relu() * torch.from_numpy(near).to(found.device)
        empty = blocks.sum_per_block(shown, blocks.block_of_node) == 0
        told = ("no positive evidence: no node speaks for the class here",)
        notes = dict.fromkeys(empty.nonzero().flatten().tolist(), told)
        return GraphParts(nodes=shown, notes=notes)

    def _chosen(self, blocks: Blocks) -> str:
        known = blocks.node_sites()
        if self.site not in known:
            raise MethodError(
                f"grad-cam cannot read site {self.site!r}: expected one with a row for each node: {', '.join(known)}."
            )
        return self.site


def _slopes(blocks: Blocks, features: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """The slopes of every block's score at some features and edge factors."""
    x, mask = features.detach().clone().requires_grad_(True), edges.detach().clone().requires_grad_(True)
    at_nodes, at_edges = blocks.slopes(blocks.score(blocks.logits(features=x, edges=mask)).sum(), [x, mask])
    return at_nodes, at_edges


def _last_node_site(blocks: Blocks) -> str:
    known = blocks.node_sites()
    if not known:
        raise MethodError("grad-cam needs a site with a row for each node before the logits, and this model has none.")
    return known[-1]
