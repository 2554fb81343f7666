"""What was measured along the depth of a graph network: one record per site, and what it was measured on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.intervals import Estimate

if TYPE_CHECKING:
    from pellucid.figures.svg import Drawing

INPUT = "input"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphDepthSite:
    """What was measured at one site.

    Attributes:
        name: The site; "input" for the features themselves.
        op: Its operation.
        channels: How many values a node has there.
        reach: How many layers have passed messages up to here: how many hops a node can see.
        own: R² of reading a node's own features back from its vector; None where that could not be asked.
        emerged: Accuracy of a linear probe for the node's class; None where too few nodes have one.
        hops: For each distance from 0 to `reach` the share of the squared slopes that lies there: the mean over the
            sampled nodes, which sums to 1; empty where none was sampled, or all of them depend on nothing.
        unmoved: How many of the sampled nodes depend on no feature at all; they are left out of `hops`.
        cosine: Mean cosine between the vectors of two nodes, −1 … 1, over all pairs; None for fewer than two vectors.
        zeros: How many nodes have a vector of zeros, which has no direction.
        energy: Dirichlet energy for each node, in squared units of the site.
        relative_energy: Dirichlet energy over ‖H‖², 0 … 2; None where all vectors are 0.
    """

    name: str
    op: str
    channels: int
    reach: int
    own: Estimate | None
    emerged: Estimate | None
    hops: tuple[Estimate, ...]
    unmoved: int
    cosine: float | None
    zeros: int
    energy: float
    relative_energy: float | None

    def to_record(self) -> dict[str, Any]:
        """As JSON types."""
        plain = ("name", "op", "channels", "reach", "unmoved", "cosine", "zeros", "energy", "relative_energy")
        return {
            **{name: getattr(self, name) for name in plain},
            "own": None if self.own is None else self.own.to_record(),
            "emerged": None if self.emerged is None else self.emerged.to_record(),
            "hops": [share.to_record() for share in self.hops],
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphDepth:
    """What a graph network keeps of a node, hears from others and makes of both, and its untrained twin.

    Attributes:
        sites: In order of execution; the first is the input.
        twin: The same sites of the untrained twin; empty if there was none.
        graph: What the graph is called.
        digest: The graph's digest.
        nodes: How many nodes it has.
        asked: What was read back: "features", "components" (the leading principal ones) or "log degree"; None where all
            nodes have the same.
        asked_values: How many numbers that are for each node.
        asked_share: How much of the variance of the features they are, 0 … 1; None for the degree.
        classes: How many classes the probe told apart; 0 where too few nodes have one.
        probed: How many nodes it was asked about.
        chance: What always naming the most frequent class would score; None without classes.
        left_out: How many labelled nodes the probe did not use, since the network may have learnt them.
        sampled: How many nodes the dependence on hops was measured at.
        around: The mean number of nodes at each distance from a sampled node, itself at 0 first.
        seed: For every random draw.
    """

    sites: tuple[GraphDepthSite, ...]
    twin: tuple[GraphDepthSite, ...]
    graph: str
    digest: str
    nodes: int
    asked: str | None
    asked_values: int
    asked_share: float | None
    classes: int
    probed: int
    chance: float | None
    left_out: int
    sampled: int
    around: tuple[float, ...]
    seed: int

    def draw(self, *, width: int = 760) -> "Drawing":
        """All of it as one drawing: the network in colour, random weights in grey.

        Args:
            width: In pixels, 480 or more.
        """
        from pellucid.insights.graph_depth_drawing import draw_graph_depth

        return draw_graph_depth(self, width=width)

    def to_record(self) -> dict[str, Any]:
        """As JSON types."""
        plain = (
            "graph", "digest", "nodes", "asked", "asked_values", "asked_share", "classes", "probed", "chance",
            "left_out", "sampled", "seed",
        )  # fmt: skip
        return {
            "sites": [site.to_record() for site in self.sites],
            "twin": [site.to_record() for site in self.twin],
            **{name: getattr(self, name) for name in plain},
            "around": list(self.around),
        }

    def _repr_svg_(self) -> str:
        return self.draw().alone()

    def __repr__(self) -> str:
        said = [site.cosine for site in self.sites if site.cosine is not None]
        alike = f", mean cosine {said[0]:.2f} … {said[-1]:.2f}" if said else ""
        control = ", with its untrained twin" if self.twin else ""
        return f"<GraphDepth of {self.graph!r}: {len(self.sites)} sites, {self.nodes:,} nodes{alike}{control}>"
