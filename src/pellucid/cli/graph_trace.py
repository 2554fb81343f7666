"""`pellucid graph trace`: what a graph network does for one node, step by step, with all numbers."""

from typing import TYPE_CHECKING, Any

from pellucid.cli import streams
from pellucid.cli.graphs import GraphName, GraphOptions, NodeName, graphed, node_of
from pellucid.cli.loading import ModelName, ModelOptions, Preparation, loaded
from pellucid.cli.talking import Talk
from pellucid.errors import ModelError

if TYPE_CHECKING:
    from pellucid.capture.graph_steps import LayerSteps, ReadoutSteps
    from pellucid.capture.graph_trace import GraphTrace
    from pellucid.models.model import Model


def graph_trace(
    model: ModelName,
    graph: GraphName,
    *,
    node: NodeName = None,
    using: ModelOptions,
    reading: GraphOptions,
    talk: Talk,
) -> int:
    """Write out a node's way through a graph network: who sends, with what weight, what comes out, layer by layer.

    Without --node, the readout of a network for whole graphs, and the steps of the node that adds most to its answer.
    """
    known = graph_model(model, using=using, talk=talk)
    found = graphed(graph, reading=reading, talk=talk)
    chosen = None if node is None else node_of(found, node)

    from pellucid.capture.graph_trace import trace_graph

    trace = trace_graph(known, found)
    readout = None if trace.readout_kind is None else trace.readout()
    if chosen is None and readout is not None:
        best = int(readout.logits.argmax())
        chosen = int(abs(readout.shares[:, best]).argmax())
    elif chosen is None:
        from pellucid.errors import SettingError

        trace.node(0)  # where steps are not known, that is what to say
        raise SettingError("--node", given=None, expected=f"0 to {found.num_nodes - 1}")
    steps = trace.node(chosen)
    if talk.as_json:
        record: dict[str, Any] = {
            "pellucid": "graph trace",
            "model": trace.model,
            "weights_digest": trace.weights_digest,
            "graph": found.name,
            "digest": found.digest,
            "node": chosen,
            "name": steps.name,
            "neighbours": steps.neighbours.tolist(),
            "layers": [_layer(step) for step in steps.layers],
            "logits": None if steps.logits is None else steps.logits.tolist(),
            "readout": None if readout is None else _readout(readout),
        }
        streams.put_json(record)
        return 0
    for line in str(steps).splitlines():
        streams.put_aligned(line)
    if readout is not None:
        _put_readout(trace, readout)
    return 0


def graph_model(name: str, *, using: ModelOptions, talk: Talk) -> "Model":
    """A model that takes graphs.

    Raises:
        ModelError: It takes pictures.
    """
    from pellucid.models.graph_arguments import takes_graphs

    known = loaded(name, using=using, preparation=Preparation(), talk=talk)
    if not takes_graphs(known.module):
        raise ModelError(f"{known.name} takes pictures, expected a model whose forward takes x and edge_index.")
    return known


def _put_readout(trace: "GraphTrace", readout: "ReadoutSteps") -> None:
    from pellucid.figures.numbers import number

    best = int(readout.logits.argmax())
    names = trace.class_names
    streams.put("")
    streams.put(f"{readout.kind} over {len(readout.vectors)} nodes; shares of the logit of "
                f"{names[best] if names else f'class {best}'}")  # fmt: skip
    shares = readout.shares[:, best]
    for place in sorted(range(len(shares)), key=lambda each: -abs(shares[each]))[:10]:
        streams.put_aligned(f"{number(shares[place], sign=True):>10} {trace.graph.node_name(place)}")
    bias = 0.0 if readout.bias is None else float(readout.bias[best])
    streams.put(f"all {len(shares)} nodes {number(float(shares.sum()))}, plus b {number(bias)}: "
                f"{number(float(readout.logits[best]))}")  # fmt: skip


def _layer(step: "LayerSteps") -> dict[str, Any]:
    return {
        "name": step.layer,
        "senders": step.senders.tolist(),
        "names": list(step.names),
        "weights": step.weights.tolist(),
        "degrees": step.degrees.tolist(),
        "inputs": step.inputs.tolist(),
        "aggregated": step.aggregated.tolist(),
        "shares": step.shares.tolist(),
        "transformed": step.transformed.tolist(),
        "bias": None if step.bias is None else step.bias.tolist(),
        "value": step.value.tolist(),
        "then": [{"site": site, "op": op, "values": values.tolist()} for site, op, values in step.then],
    }


def _readout(readout: "ReadoutSteps") -> dict[str, Any]:
    return {
        "kind": readout.kind,
        "pooled": readout.pooled.tolist(),
        "shares": readout.shares.tolist(),
        "bias": None if readout.bias is None else readout.bias.tolist(),
        "logits": readout.logits.tolist(),
    }
