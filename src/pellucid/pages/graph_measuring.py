"""The numbers that a page states about a graph: what it holds, the steps of one node, the readout, the flow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.capture.graph_steps import Floats, Flow, LayerSteps, ReadoutSteps
from pellucid.capture.graph_trace import GraphTrace
from pellucid.inputs.graph import Graph
from pellucid.inputs.mesh import Mesh
from pellucid.inputs.molecule import Molecule

CHANNELS, ARRIVING = 8, 6
"""Columns of a table of numbers, and of one that has two columns more; of a longer vector the strongest, and the sum
of the rest."""
SENDERS = 10
"""Rows of a table of senders; of more the strongest, and the sum of the rest."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cut:
    """Which places of a long row are shown.

    Attributes:
        shown: Their numbers, ascending.
        rest: How many are not.
    """

    shown: npt.NDArray[np.int64]
    rest: int

    @classmethod
    def of(cls, strength: Floats, *, most: int, always: Sequence[int] = ()) -> "Cut":
        """The strongest places.

        Args:
            strength: One number for each place, larger for what matters more.
            most: How many there is room for.
            always: Places that are shown in any case.
        """
        count = len(strength)
        if count <= most:
            return cls(shown=np.arange(count), rest=0)
        strength = np.where(np.isin(np.arange(count), always), np.inf, strength)
        order = np.lexsort((np.arange(count), -strength))
        # What has no effect takes no room; one place at least says that nothing has.
        most = min(most, max(1, int(np.count_nonzero(strength))))
        return cls(shown=np.sort(order[:most]), rest=count - most)

    def columns(self, values: Floats) -> list[Any]:
        """The shown entries along the last axis, and behind them the sum of the rest where there is one."""
        kept = values[..., self.shown]
        if self.rest:
            left = values.sum(axis=-1) - kept.sum(axis=-1)
            kept = np.concatenate([kept, left[..., None]], axis=-1)
        found: list[Any] = kept.tolist()
        return found


def graph_facts(graph: Graph) -> dict[str, Any]:
    """What a graph holds, in JSON types."""
    degrees = graph.adjacency().sum(axis=0)
    types = []
    if graph.edge_types is not None:
        counts = np.bincount(graph.edge_types, minlength=len(graph.edge_type_names or ()))
        types = [{"name": graph.edge_type_name(i), "count": int(n)} for i, n in enumerate(counts.tolist())]
    dense = graph.num_nodes * graph.num_features
    filled = graph.features.nnz if scipy.sparse.issparse(graph.features) else int(np.count_nonzero(graph.features))
    weights = graph.edge_weights
    body = "molecule" if isinstance(graph.body, Molecule) else "mesh" if isinstance(graph.body, Mesh) else "graph"
    return {
        "body": body,
        "nodes": graph.num_nodes,
        "edges": graph.num_edges,
        "directed": graph.directed,
        "loops": int((graph.edges[:, 0] == graph.edges[:, 1]).sum()),
        "alone": int(np.count_nonzero(np.bincount(graph.edges.ravel(), minlength=graph.num_nodes) == 0)),
        "degree": {"least": float(degrees.min()), "median": float(np.median(degrees)), "most": float(degrees.max())},
        "types": types,
        "weights": None if weights is None or not len(weights) else [float(weights.min()), float(weights.max())],
        "features": {
            "count": graph.num_features,
            "identity": graph.featureless,
            "filled": filled / dense if dense else 0.0,
            "low": _end(graph.features, "min"),
            "high": _end(graph.features, "max"),
        },
    }


def true_class(graph: Graph, nodes: Sequence[int], *, classes: int) -> int | None:
    """The class that is known of a node or of the graph; None where it is not known, or is a value and no class."""
    if len(nodes) == 1 and graph.labels is not None:
        found = int(graph.labels[nodes[0]])
    elif not nodes and isinstance(graph.label, int):
        found = graph.label
    else:
        return None
    return found if 0 <= found < classes else None


def node_record(trace: GraphTrace, node: int, *, weights: Mapping[int, float]) -> dict[str, Any]:
    """The steps of one node in JSON types, long rows cut to their strongest entries.

    Args:
        trace: The trace.
        node: The node.
        weights: The weight of each logit in the explained score; those logits are always shown.
    """
    steps = trace.node(node)
    last = len(steps.layers) - 1
    answers = steps.logits is not None
    layers = []
    for number, step in enumerate(steps.layers):
        always = [index for index in weights if index < len(step.value)] if number == last and answers else []
        layers.append(_layer_record(step, always=always))
    return {
        "node": node,
        "featureless": steps.featureless,
        "answers": answers,
        "layers": layers,
    }


def readout_record(steps: ReadoutSteps, *, weights: Mapping[int, float]) -> dict[str, Any]:
    """The readout in JSON types."""
    towards = _weighted(steps.matrix, weights)
    shares = steps.parts @ towards
    cut = Cut.of(np.abs(steps.pooled * towards), most=CHANNELS)
    rows = Cut.of(np.abs(shares), most=SENDERS)
    order = rows.shown[np.lexsort((rows.shown, -np.abs(shares[rows.shown])))]
    parts = steps.parts
    left = parts.sum(axis=0) - parts[order].sum(axis=0)
    bias = 0.0 if steps.bias is None else float(sum(w * steps.bias[i] for i, w in weights.items()))
    return {
        "kind": steps.kind,
        "nodes": len(steps.vectors),
        "channels": cut.shown.tolist(),
        "more_channels": cut.rest,
        "rows": [{"node": int(n), "parts": cut.columns(parts[n]), "share": float(shares[n])} for n in order.tolist()],
        "more_rows": rows.rest,
        "others": {"parts": cut.columns(left), "share": float(shares.sum() - shares[order].sum())},
        "pooled": cut.columns(steps.pooled),
        "towards": [float(value) for value in towards[cut.shown]],
        "products": cut.columns(steps.pooled * towards),
        "bias": bias,
        "score": float(shares.sum() + bias),
    }


def flow_of(trace: GraphTrace, node: int | None, weights: Mapping[int, float]) -> tuple[dict[str, Any], Floats, Floats]:
    """What reaches the explained score through all layers.

    Args:
        trace: The trace.
        node: The node that is asked about, or None for the whole graph.
        weights: The weight of each logit in the score.

    Returns:
        A record; the share of each node, (nodes,); the share of each feature, (features,).

    Raises:
        SettingError, SiteError, MethodError: The shares cannot be passed back; says why.
    """
    nodes, features = np.zeros(trace.graph.num_nodes), np.zeros(trace.graph.num_features)
    biases: list[float] = []
    found: list[Flow] = []
    for target, weight in weights.items():
        each = trace.flow(target=target, node=node)
        found.append(each)
        nodes += weight * each.nodes
        features += weight * np.asarray(each.features.sum(axis=0)).ravel()
        mine = [weight * bias for bias in each.biases]
        biases = mine if not biases else [a + b for a, b in zip(biases, mine, strict=True)]
    record = {
        "exact": all(each.exact for each in found),
        "biases": biases,
        "layers": [layer.name for layer in trace.layers],
        "score": float(sum(w * each.logit for w, each in zip(weights.values(), found, strict=True))),
        "sum": float(nodes.sum() + sum(biases)),
    }
    return record, nodes, features


def _layer_record(step: LayerSteps, *, always: Sequence[int]) -> dict[str, Any]:
    before = Cut.of(np.abs(step.aggregated) * np.linalg.norm(step.matrix, axis=1), most=ARRIVING)
    after = Cut.of(np.abs(step.value), most=CHANNELS, always=always)
    shares = step.shares
    size = np.abs(step.weights)
    # Equal weights may differ in their last digits, since a product has an order.
    heaviest = np.flatnonzero(size >= size.max(initial=0) * (1 - 1e-6))
    rows = Cut.of(np.abs(shares).sum(axis=1), most=SENDERS, always=[*_places(step, step.node), *heaviest[:1].tolist()])
    order = rows.shown[np.lexsort((rows.shown, -step.weights[rows.shown], step.senders[rows.shown] != step.node))]
    left = np.setdiff1d(np.arange(len(step.senders)), order)
    return {
        "name": step.layer,
        "width": [int(side) for side in step.matrix.shape],
        "senders": len(step.senders),
        "heaviest": len(heaviest),
        "channels": before.shown.tolist(),
        "more_channels": before.rest,
        "outputs": after.shown.tolist(),
        "more_outputs": after.rest,
        "rows": [
            {
                "node": int(step.senders[place]),
                "weight": float(step.weights[place]),
                "degree": float(step.degrees[place]),
                "inputs": before.columns(step.inputs[place]),
                "shares": after.columns(shares[place]),
            }
            for place in order.tolist()
        ],
        "others": {
            "count": len(left),
            "weight": float(step.weights[left].sum()),
            "inputs": before.columns((step.weights[left, None] * step.inputs[left]).sum(axis=0)),
            "shares": after.columns(shares[left].sum(axis=0)),
        },
        "weights": float(step.weights.sum()),
        "aggregated": before.columns(step.aggregated),
        "transformed": after.columns(step.transformed),
        "bias": None if step.bias is None else after.columns(step.bias),
        "value": after.columns(step.value),
        "then": [{"op": op, "values": after.columns(values)} for _, op, values in step.then],
    }


def _places(step: LayerSteps, node: int) -> list[int]:
    return [int(place) for place in np.flatnonzero(step.senders == node)]


def _weighted(matrix: Floats, weights: Mapping[int, float]) -> Floats:
    """The column of a matrix that leads to the score."""
    total = np.zeros(len(matrix))
    for index, weight in weights.items():
        total = total + weight * matrix[:, index]
    return total


def _end(features: Any, which: str) -> float:
    return float(getattr(features, which)()) if 0 not in features.shape else 0.0
