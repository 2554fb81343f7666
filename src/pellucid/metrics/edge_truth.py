"""Explanations against edges that are known to matter: the area under the ROC curve, with the protocol that made it.

The same masks can score .97 or .51 under another choice of targets and edges, so the choice is part of the result.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.stats

from pellucid.errors import InputError, SettingError
from pellucid.inputs.graph import Graph
from pellucid.methods.explanation import Explanation
from pellucid.methods.parts import read_only
from pellucid.metrics.graph_matching import as_list
from pellucid.metrics.graph_selection import By, ends_of, subject_of, values_of, word

Over = Literal["all", "each"]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthProtocol:
    """What is compared, and how. An undirected edge always counts once.

    Attributes:
        targets: Which targets were explained, in words; only told.
        over: `all`: one area over the edges of all targets together, as the papers have it; `each`: one for each
            target, of which the mean is taken.
        hops: Both ends of an edge must be within so many hops of the target; None: all that the target can see.
        unreachable: Whether edges within these hops count that cannot change the answer: those between two of the
            outermost nodes. They get the value 0.
        self_loops: Whether edges of a node to itself count.
        by: Whether values are ordered by `value` or by `magnitude`.
    """

    targets: str = "as given"
    over: str = "all"
    hops: int | None = None
    unreachable: bool = False
    self_loops: bool = False
    by: str = "value"

    def __post_init__(self) -> None:
        word("over", self.over, Over)
        word("by", self.by, By)
        if self.hops is not None and (isinstance(self.hops, bool) or not isinstance(self.hops, int) or self.hops < 1):
            raise SettingError("hops", given=self.hops, expected="None or a whole number, 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TruthScore:
    """How well values tell true edges from others.

    Attributes:
        auc: The probability that a true edge has a larger value than another one, ties counting half; 0.5 is chance.
        each: (explanations,): the area for each alone; NaN where all of its edges are true, or none.
        edges: How many edges were compared.
        true_edges: How many of them are true.
        protocol: What was compared, and how.
    """

    auc: float
    each: Floats
    edges: int
    true_edges: int
    protocol: TruthProtocol

    def __post_init__(self) -> None:
        object.__setattr__(self, "each", read_only(self.each))

    def to_record(self) -> dict[str, Any]:
        """As JSON types."""
        each = [None if np.isnan(value) else value for value in self.each.tolist()]
        kept = {"auc": self.auc, "edges": self.edges, "true_edges": self.true_edges}
        return {**kept, "each": each, "protocol": asdict(self.protocol)}

    def __repr__(self) -> str:
        hops = "" if self.protocol.hops is None else f" within {self.protocol.hops} hops"
        return (
            f"<TruthScore AUC {self.auc:.3f} over {self.protocol.over}: {len(self.each)} targets "
            f"({self.protocol.targets}), {self.true_edges:,} of {self.edges:,} edges{hops} true>"
        )


def edge_truth_auc(
    explanations: Explanation | Sequence[Explanation], *, input: Any, protocol: TruthProtocol | None = None
) -> TruthScore:
    """Score explanations against `Graph.edge_truth`.

    Args:
        explanations: One or many; values of nodes are given to edges as the mean of the two ends.
        input: The graph that was explained, or several, with `edge_truth`.
        protocol: What is compared, and how.

    Raises:
        InputError: A graph has no truth, or all edges are true, or none.
        SettingError: An explanation is about another graph.
    """
    protocol = TruthProtocol() if protocol is None else protocol
    several = as_list(explanations)
    graphs = {graph.digest: graph for graph in ([input] if isinstance(input, Graph) else input)}
    values, truths = [], []
    for explanation in several:
        graph = graphs.get(explanation.input_digest)
        if graph is None:
            wanted = f"the explained graph, {subject_of(explanation).name} ({explanation.input_digest[:12]})"
            raise SettingError("input", given=", ".join(each.name for each in graphs.values()), expected=wanted)
        if graph.edge_truth is None:
            raise InputError(f"{graph.name} has no edge_truth; give a graph whose true edges are known.")
        found, true = _compared(explanation, graph, protocol)
        values.append(found)
        truths.append(true)
    each = np.array([area_under_roc(*pair) for pair in zip(values, truths, strict=True)])
    together = np.concatenate(truths)
    area = area_under_roc(np.concatenate(values), together)
    if protocol.over == "each":
        area = float(np.nanmean(each)) if not np.isnan(each).all() else np.nan
    if np.isnan(area):
        raise InputError(
            f"{int(together.sum())} of {len(together)} edges are true; expected some that are and some that are not: "
            "choose other targets or more hops."
        )
    return TruthScore(auc=area, each=each, edges=len(together), true_edges=int(together.sum()), protocol=protocol)


def area_under_roc(values: Floats, true: Bools) -> float:
    """The share of pairs (true, other) in which the true one has the larger value, ties counting half; NaN if none."""
    hits, rest = int(true.sum()), int((~true).sum())
    if not hits or not rest:
        return float("nan")
    ranks = scipy.stats.rankdata(values)
    return float((ranks[true].sum() - hits * (hits + 1) / 2) / (hits * rest))


def _compared(explanation: Explanation, graph: Graph, protocol: TruthProtocol) -> tuple[Floats, Bools]:
    subject = subject_of(explanation)
    assert graph.edge_truth is not None
    values = values_of(explanation, of="edges", by=protocol.by)
    edges, ends = subject.edges, ends_of(explanation)
    if protocol.unreachable:
        inside = np.isin(graph.edges, subject.nodes).all(axis=1)
        further = np.setdiff1d(np.flatnonzero(inside), edges)
        edges = np.concatenate([edges, further])
        ends = np.concatenate([ends, graph.edges[further]])
        values = np.concatenate([values, np.zeros(len(further))])
    counts = np.ones(len(edges), dtype=bool)
    if protocol.hops is not None:
        hops = subject.hops[np.searchsorted(subject.nodes, ends)]
        counts &= (hops <= protocol.hops).all(axis=1)
    if not protocol.self_loops:
        counts &= ends[:, 0] != ends[:, 1]
    return values[counts], graph.edge_truth[edges[counts]]
