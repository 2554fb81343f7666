"""Along the depth of a graph network: what a node keeps of itself, what it hears from others, how alike all become.

Five numbers per site that has a row for each node, the counterpart of form and class in pictures (`depth.py`):

- own features: R² of reading them back from the node's vector (`own_features.py`);
- class emerged: held-out accuracy of a linear probe on node vectors (`probe.py`);
- hops: which share of the squared slopes to all features lies at which distance (`capture/hop_slopes.py`);
- cosine and energy: how alike the vectors of all, and of linked, nodes are (`smoothing.py`).

The same numbers for the same architecture with random weights are the control: a random network mixes too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from torch import Tensor, nn

from pellucid.capture import passes
from pellucid.capture.batches import as_graph
from pellucid.capture.graph_engine import WholePass, site_values, whole_pass
from pellucid.capture.hop_slopes import HopSlopes, hop_slopes
from pellucid.capture.messages import uncached
from pellucid.capture.operations import SOFTMAXES
from pellucid.capture.sites import Site
from pellucid.errors import ModelError, NotFiniteError, SettingError
from pellucid.inputs.graph import Graph
from pellucid.insights.graph_depth_results import INPUT, GraphDepth, GraphDepthSite
from pellucid.insights.own_features import Own, own_of, read_back
from pellucid.insights.probe import chance, probe_accuracy, usable
from pellucid.insights.smoothing import dirichlet_energy, laplacian, mean_cosine
from pellucid.intervals import Estimate, mean_of
from pellucid.models.graph_arguments import arguments_of, takes_graphs
from pellucid.models.loading import load
from pellucid.models.model import Model
from pellucid.models.untrained import untrained

Floats = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]


def along_graph_depth(
    model: Model | nn.Module | str,
    graph: Graph | Any,
    *,
    nodes: int = 16,
    twin: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> GraphDepth:
    """Measure what happens to the nodes of a graph along the depth of a network.

    One site stands for each layer that passes messages: the last one before the next layer's messages, with a row for
    each node. A final softmax is looked through.

    Args:
        model: A `Model`, an `nn.Module`, or what `pellucid.load` takes. It is left exactly as it was.
        graph: A `Graph`, or what `pellucid.read` makes one of.
        nodes: How many nodes the dependence on hops is measured at, drawn at random; 0 leaves it out. The time grows
            with them and with the channels; everything else is measured at all nodes.
        twin: Whether to measure the untrained twin too.
        seed: For every random draw.
        progress: Called with the steps done and the steps in all.

    Returns:
        Frozen results; `.draw()` shows them.

    Raises:
        InputError: This is no graph.
        ModelError: The model takes no graphs, or no site of it has a row for each node.
        NotFiniteError: A site has NaN or infinity.
        CapacityError: What a node sees is too large to take derivatives of.
        SettingError: A number is below 0.
    """
    for name, given in (("nodes", nodes), ("seed", seed)):
        if isinstance(given, bool) or not isinstance(given, int) or given < 0:
            raise SettingError(name, given=given, expected="a whole number, 0 or more")
    known = load(model)
    if not takes_graphs(known.module):
        raise ModelError(
            f"{known.name} takes no graphs: its forward has no edge_index; use along_depth for networks that take "
            "pictures, or wrap the model in a module whose forward takes x and edge_index."
        )
    graph = as_graph(known, graph)
    whole = whole_pass(known.module, arguments_of(known.module, [graph]))
    sites = layer_sites(whole)
    measure = _Measure.of(graph, nodes=nodes, seed=seed)
    steps = iter(range(1, 2 * (len(sites) + 1) + 1))
    total = (len(sites) + 1) * (1 + twin)

    def step() -> None:
        number = next(steps)
        if progress is not None:
            progress(number, total)

    first = measure.of_input(graph)
    step()
    found, around = measure.of_sites(whole, sites, step)
    control: tuple[GraphDepthSite, ...] = ()
    if twin:
        other = untrained(known.module, seed=seed)
        with uncached(other):
            passes.settle_norms(other, [whole.arguments])
        step()
        control = (first, *measure.of_sites(whole_pass(other, whole.arguments), sites, step)[0])
    return GraphDepth(
        sites=(first, *found),
        twin=control,
        graph=graph.name,
        digest=graph.digest,
        nodes=graph.num_nodes,
        asked=None if measure.own is None else measure.own.what,
        asked_values=0 if measure.own is None else measure.own.values.shape[1],
        asked_share=None if measure.own is None else measure.own.share,
        classes=len(set(measure.labels)),
        probed=len(measure.labels),
        chance=chance(measure.labels) if measure.labels else None,
        left_out=measure.left_out,
        sampled=len(measure.sampled),
        around=around,
        seed=seed,
    )


def layer_sites(whole: WholePass) -> list[Site]:
    """For each number of layers that have passed messages the last site on the way to the answer with a row per node.

    Raises:
        ModelError: There is none.
    """
    nodes = whole.arguments.nodes
    last = max((site.index for site in whole.sites if site.kind == "activation"), default=len(whole.sites))
    found: dict[int, Site] = {}
    for site in whole.sites:
        # A graph may have as many edges as nodes: after the last activation, rows of an answer for edges are no nodes.
        beyond = whole.rows == "edges" and site.index > last
        rows = len(site.shape) == 2 and site.shape[0] == nodes and not beyond
        if rows and site.name in whole.reach and site.op not in SOFTMAXES:
            found[whole.reach[site.name]] = site
    if not found:
        raise ModelError("no site of this model has a row of values for each node, so there is nothing to follow.")
    return [found[reach] for reach in sorted(found)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Measure:
    """What is asked of every site.

    Attributes:
        own: What is read back, or None.
        delta: The Laplacian.
        judged: The nodes whose class is asked, (probed,).
        labels: Their classes.
        left_out: How many labelled nodes are not asked.
        sampled: The nodes whose slopes are taken, (sampled,).
        seed: For folds and resampling.
    """

    own: Own | None
    delta: scipy.sparse.csr_array
    judged: npt.NDArray[np.int64]
    labels: tuple[str, ...]
    left_out: int
    sampled: npt.NDArray[np.int64]
    seed: int

    @classmethod
    def of(cls, graph: Graph, *, nodes: int, seed: int) -> "_Measure":
        labels = np.full(graph.num_nodes, -1) if graph.labels is None else graph.labels
        # A network may know the classes of its training nodes by heart.
        there = np.flatnonzero((labels >= 0) & ~graph.splits.get("train", np.zeros(graph.num_nodes, dtype=bool)))
        judged, _ = usable([str(label) for label in labels[there].tolist()])
        judged = there[judged]
        count = min(nodes, graph.num_nodes)
        return cls(
            own=own_of(graph, seed=seed),
            delta=laplacian(graph),
            judged=judged,
            labels=tuple(map(str, labels[judged].tolist())),
            left_out=int((labels >= 0).sum()) - len(there),
            sampled=np.sort(np.random.default_rng(seed).choice(graph.num_nodes, count, replace=False)),
            seed=seed,
        )

    def of_input(self, graph: Graph) -> GraphDepthSite:
        """The features themselves: what is read back can be read there, and every slope lies at hop 0."""
        seen = None if self.own is None or graph.featureless else self.own.values
        cosine, zeros = mean_cosine(graph.features)
        energy, relative = dirichlet_energy(graph.features, self.delta)
        return GraphDepthSite(
            name=INPUT,
            op=INPUT,
            channels=graph.num_features,
            reach=0,
            own=None if seen is None else Estimate(value=1.0, low=1.0, high=1.0, count=len(seen)),
            emerged=None if seen is None else self._emerged(seen),
            hops=(Estimate(value=1.0, low=1.0, high=1.0, count=len(self.sampled)),) if len(self.sampled) else (),
            unmoved=0,
            cosine=cosine,
            zeros=zeros,
            energy=energy,
            relative_energy=relative,
        )

    def of_sites(
        self, whole: WholePass, sites: list[Site], step: Callable[[], None]
    ) -> tuple[tuple[GraphDepthSite, ...], tuple[float, ...]]:
        """The numbers of some sites, and how many nodes lie at each distance from a sampled one."""
        found, around = [], (1.0,) if len(self.sampled) else ()
        for site in sites:
            values = site_values(whole, [site.name])[site.name]
            slopes = None
            if len(self.sampled):
                slopes = hop_slopes(whole, site.name, self.sampled, expected=values)
                around = max(around, tuple(slopes.counts.mean(axis=0).tolist()), key=len)
            found.append(self._of_site(site, whole.reach[site.name], values, slopes))
            step()
        return tuple(found), around

    def _of_site(self, site: Site, reach: int, values: Tensor, slopes: HopSlopes | None) -> GraphDepthSite:
        vectors: Floats = values.double().cpu().numpy()
        wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(wrong):
            few = ", ".join(map(str, wrong[:5].tolist()))
            raise NotFiniteError(
                f"site {site.name!r} has NaN or infinity at {len(wrong)} of {len(vectors)} nodes ({few}); load weights "
                "that are whole, or look at the features."
            )
        cosine, zeros = mean_cosine(vectors)
        energy, relative = dirichlet_energy(vectors, self.delta)
        shares = np.zeros((0, reach + 1)) if slopes is None else slopes.shares
        moved = shares[np.isfinite(shares).all(axis=1)]
        return GraphDepthSite(
            name=site.name,
            op=site.op,
            channels=vectors.shape[1],
            reach=reach,
            own=None if self.own is None else read_back(vectors, self.own, seed=self.seed),
            emerged=self._emerged(vectors),
            hops=tuple(mean_of(column, seed=self.seed) for column in moved.T) if len(moved) else (),
            unmoved=len(shares) - len(moved),
            cosine=cosine,
            zeros=zeros,
            energy=energy,
            relative_energy=relative,
        )

    def _emerged(self, vectors: Floats) -> Estimate | None:
        if not self.labels:
            return None
        return probe_accuracy(vectors[self.judged], self.labels, seed=self.seed)
