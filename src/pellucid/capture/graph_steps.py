"""The steps of a graph convolution for one node, with its numbers: who sends, with what weight, what comes out.

Within a layer everything is linear, so each sender's share of a node's value is exact. Through several layers shares
are passed back along the arcs, layer by layer, so the work grows with their number and not with the number of paths.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.errors import MethodError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Between = Literal["relu", "nothing", "other", "end"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """One graph convolution of a pass: Z = Â H W + b.

    Attributes:
        name: The layer's name.
        inputs: H, (nodes, channels before), dense or sparse.
        arcs: (2, arcs): from and to, with the self-loops that the layer has added.
        weights: (arcs,): the entries of Â.
        matrix: W, (channels before, channels after).
        bias: b, (channels after,), or None.
        then: What is done to each value on its own afterwards: name of the site, operation, values (nodes, channels).
    """

    name: str
    inputs: Any
    arcs: Ints
    weights: Floats
    matrix: Floats
    bias: Floats | None
    then: tuple[tuple[str, str, Floats], ...]

    def rows(self, nodes: Ints) -> Floats:
        """H of some nodes, (nodes, channels before)."""
        rows = self.inputs[nodes]
        return (rows.toarray() if scipy.sparse.issparse(rows) else np.asarray(rows)).astype(np.float64)

    def senders(self, node: int) -> tuple[Ints, Floats]:
        """Who sends to a node, itself included where it has a loop, ascending; and the weights."""
        mine = np.flatnonzero(self.arcs[1] == node)
        order = mine[np.argsort(self.arcs[0, mine], kind="stable")]
        return self.arcs[0, order], self.weights[order]

    def to_record(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """As JSON types, and the arrays that belong to them."""
        arrays: dict[str, Any] = {"arcs": self.arcs, "weights": self.weights, "matrix": self.matrix}
        if self.bias is not None:
            arrays["bias"] = self.bias
        if scipy.sparse.issparse(self.inputs):
            matrix = self.inputs
            arrays |= {"input rows": matrix.indptr, "input columns": matrix.indices, "input values": matrix.data}
        else:
            arrays["inputs"] = self.inputs
        arrays |= {f"then {number}": values for number, (_, _, values) in enumerate(self.then)}
        steps = [[site, op] for site, op, _ in self.then]
        return {"name": self.name, "shape": list(self.inputs.shape), "then": steps}, arrays

    @classmethod
    def from_record(cls, record: Mapping[str, Any], arrays: Mapping[str, Any]) -> "Layer":
        """From what `to_record` gave."""
        inputs = arrays.get("inputs")
        if inputs is None:
            parts = (arrays["input values"], arrays["input columns"], arrays["input rows"])
            inputs = scipy.sparse.csr_array(parts, shape=tuple(record["shape"]))
        return cls(
            name=record["name"],
            inputs=inputs,
            arcs=arrays["arcs"],
            weights=arrays["weights"],
            matrix=arrays["matrix"],
            bias=arrays.get("bias"),
            then=tuple((site, op, arrays[f"then {number}"]) for number, (site, op) in enumerate(record["then"])),
        )

    @property
    def between(self) -> Between:
        """What stands between this layer's values and the next one's inputs."""
        steps = [op for _, op, _ in self.then if op not in ("dropout", "identity")]
        if not steps:
            return "nothing"
        return "relu" if steps == ["relu"] else "other"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerSteps:
    """What one layer does for one node.

    Attributes:
        layer: The layer's name.
        node: The node.
        senders: (senders,): who sends to it, itself included where it has a loop.
        names: What they are called.
        weights: (senders,): the weight of each, row `node` of Â.
        degrees: (senders,): how much each of them receives, itself included.
        inputs: (senders, channels before): what they send.
        aggregated: (channels before,): (Â H) of the node, the weighted sum.
        matrix: (channels before, channels after): W.
        transformed: (channels after,): (Â H) W.
        bias: (channels after,), or None.
        value: (channels after,): what the layer returns for the node.
        then: What is done with it afterwards: site, operation, result.
    """

    layer: str
    node: int
    senders: Ints
    names: tuple[str, ...]
    weights: Floats
    degrees: Floats
    inputs: Floats
    aggregated: Floats
    matrix: Floats
    transformed: Floats
    bias: Floats | None
    value: Floats
    then: tuple[tuple[str, str, Floats], ...]

    @property
    def shares(self) -> Floats:
        """(senders, channels after): what each sender adds to the value; with the bias they sum to it, exactly."""
        return self.weights[:, None] * (self.inputs @ self.matrix)

    @property
    def result(self) -> Floats:
        """What goes on to the next layer: the value after everything that is done to it alone."""
        return self.then[-1][2] if self.then else self.value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadoutSteps:
    """How the vectors of a graph's nodes become one, and that the logits.

    Attributes:
        kind: "mean", "sum" or "max".
        vectors: (nodes, channels).
        pooled: (channels,).
        matrix: (channels, classes).
        bias: (classes,), or None.
        logits: (classes,).
    """

    kind: str
    vectors: Floats
    pooled: Floats
    matrix: Floats
    bias: Floats | None
    logits: Floats

    @property
    def parts(self) -> Floats:
        """(nodes, channels): what each node adds to the pooled vector."""
        if self.kind == "mean":
            return self.vectors / len(self.vectors)
        if self.kind == "sum":
            return self.vectors
        # The first of those that have the largest value gets it.
        best = self.vectors.argmax(axis=0)
        parts = np.zeros_like(self.vectors)
        parts[best, np.arange(len(best))] = self.vectors[best, np.arange(len(best))]
        return parts

    @property
    def shares(self) -> Floats:
        """(nodes, classes): what each node adds to the logits; with the bias they sum to them, exactly."""
        return self.parts @ self.matrix


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flow:
    """What reaches one logit of a node or graph from everywhere, through all layers.

    Attributes:
        target: The number of the logit.
        logit: Its value.
        nodes: (nodes,): what each node's own features add to it.
        features: (nodes, features) sparse: the same, feature by feature.
        arcs: For each layer, (arcs,): what the message along each of its arcs carries to the logit.
        biases: For each layer, and for the readout if there is one, what the bias adds.
        exact: Whether the network is linear between its layers. Otherwise the activations are taken as they were in
            this pass: everything still sums to the logit, but a share would be another one if activations changed.
    """

    target: int
    logit: float
    nodes: Floats
    features: scipy.sparse.csr_array
    arcs: tuple[Floats, ...]
    biases: tuple[float, ...]
    exact: bool

    @property
    def gap(self) -> float:
        """The sum of all shares minus the logit: 0 up to rounding."""
        return float(self.nodes.sum() + sum(self.biases) - self.logit)


def layer_steps(layer: Layer, node: int, *, names: Mapping[int, str], degrees: Floats) -> LayerSteps:
    """What one layer does for one node."""
    senders, weights = layer.senders(node)
    inputs = layer.rows(senders)
    aggregated = weights @ inputs
    transformed = aggregated @ layer.matrix
    return LayerSteps(
        layer=layer.name,
        node=node,
        senders=senders,
        names=tuple(names[each] for each in senders.tolist()),
        weights=weights,
        degrees=degrees[senders],
        inputs=inputs,
        aggregated=aggregated,
        matrix=layer.matrix,
        transformed=transformed,
        bias=layer.bias,
        value=transformed if layer.bias is None else transformed + layer.bias,
        then=tuple((site, op, values[node]) for site, op, values in layer.then),
    )


def flow(layers: tuple[Layer, ...], *, start: Floats, target: int, logit: float, above: tuple[float, ...]) -> Flow:
    """Pass a logit's shares back from the last layer to the features.

    Args:
        layers: The layers, in order; between them nothing but a ReLU.
        start: (nodes, channels): the slope of the logit with respect to what the last layer hands on.
        target: The number of the logit.
        logit: Its value.
        above: What biases after the last layer add.

    Raises:
        MethodError: Something else stands between two layers.
    """
    slope, arcs, biases, exact = start, [], list(above), True
    for layer in reversed(layers):
        if layer.between == "other":
            ops = ", ".join(op for _, op, _ in layer.then)
            raise MethodError(
                f"shares cannot be passed back through {ops} after {layer.name!r}; look at one layer alone."
            )
        if layer.between == "relu":
            slope, exact = slope * (layer.then[-1][2] > 0), False
        senders, receivers = layer.arcs
        reached = np.flatnonzero(slope.any(axis=1))
        active = np.flatnonzero(np.isin(receivers, reached))
        mine = slope[receivers[active]]
        sent = np.unique(senders[active])
        place = np.searchsorted(sent, senders[active])
        messages = (layer.rows(sent) @ layer.matrix)[place] * layer.weights[active, None]
        carried = np.zeros(layer.arcs.shape[1])
        carried[active] = (messages * mine).sum(axis=1)
        arcs.append(carried)
        biases.append(0.0 if layer.bias is None else float((slope @ layer.bias).sum()))
        back = np.zeros((layer.inputs.shape[0], layer.matrix.shape[1]))
        np.add.at(back, senders[active], layer.weights[active, None] * mine)
        slope = _times(back, layer.matrix)
    first = layers[0].inputs
    features = scipy.sparse.csr_array(first).astype(np.float64).multiply(slope).tocsr()
    return Flow(
        target=target,
        logit=logit,
        nodes=np.asarray(features.sum(axis=1)).ravel(),
        features=features,
        arcs=tuple(reversed(arcs)),
        biases=tuple(reversed(biases)),
        exact=exact,
    )


def _times(back: Floats, matrix: Floats) -> Any:
    """Back Wᵀ; sparse where it would be large and most rows are zero, so that nothing of nodes × features is made."""
    rows = np.flatnonzero(back.any(axis=1))
    if len(back) * len(matrix) <= 4_000_000:
        return back @ matrix.T
    values = back[rows] @ matrix.T
    columns = np.tile(np.arange(values.shape[1]), len(rows))
    shape = (len(back), len(matrix))
    return scipy.sparse.csr_array((values.ravel(), (np.repeat(rows, values.shape[1]), columns)), shape=shape)
