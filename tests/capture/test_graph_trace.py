"""The glass box: every number of a graph convolution, against a computation by hand; shares that sum to the value."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import graph_models as samples
import pellucid
from pellucid.capture.graph_trace import GraphTrace
from pellucid.capture.trace import Trace
from pellucid.errors import CapacityError, InputError, MethodError, SettingError, SiteError
from pellucid.inputs.graph import Graph
from pellucid.models.gcn import GCN

GRAPH = samples.graph()
SQUARE = Graph(edges=[(0, 1), (1, 2), (2, 3), (3, 0), (3, 1)])


def traced(model: Any, graph: Graph = GRAPH, **rest: Any) -> GraphTrace:
    found = pellucid.trace(model, graph, **rest)
    assert isinstance(found, GraphTrace)
    return found


def test_four_nodes_by_hand() -> None:
    net = GCN(4, 2, hidden=2, level="graph", layers=1)
    with torch.no_grad():
        net.convolutions[0].linear.weight.copy_(torch.tensor([[1.0, 2, 3, 4], [-1, 0, 1, 0]]))
        net.convolutions[0].bias.copy_(torch.tensor([0.5, -0.5]))
        net.classify.weight.copy_(torch.tensor([[1.0, 0], [0, 2]]))
        net.classify.bias.copy_(torch.tensor([0.0, 1.0]))
    trace = traced(net, SQUARE)
    step = trace.node(3).layers[0]
    # Degrees with loops: 3, 4, 3, 4. Row 3 of Â: 1/√12, 1/4, 1/√12, 1/4.
    twelfth = 12**-0.5
    assert step.senders.tolist() == [0, 1, 2, 3]
    assert step.degrees.tolist() == [3, 4, 3, 4]
    np.testing.assert_allclose(step.weights, [twelfth, 0.25, twelfth, 0.25], atol=1e-7)
    np.testing.assert_allclose(step.aggregated, [twelfth, 0.25, twelfth, 0.25], atol=1e-7)
    first = twelfth * 1 + 0.25 * 2 + twelfth * 3 + 0.25 * 4
    second = -twelfth + twelfth
    np.testing.assert_allclose(step.transformed, [first, second], atol=1e-6)
    np.testing.assert_allclose(step.value, [first + 0.5, second - 0.5], atol=1e-6)
    np.testing.assert_allclose(step.result, [first + 0.5, 0], atol=1e-6)
    readout = trace.readout()
    hidden = np.maximum(
        SQUARE.normalised_adjacency().toarray() @ np.array([[1, -1], [2, 0], [3, 1], [4, 0.0]]) + [0.5, -0.5], 0
    )
    np.testing.assert_allclose(readout.vectors, hidden, atol=1e-6)
    np.testing.assert_allclose(readout.pooled, hidden.mean(0), atol=1e-6)
    np.testing.assert_allclose(readout.logits, [hidden.mean(0)[0], 2 * hidden.mean(0)[1] + 1], atol=1e-6)


@pytest.mark.parametrize("name", ["gcn", "gcn-deep", "pyg-gcn", "pyg-gcn-cached", "pyg-gcn-improved"])
def test_the_shares_of_a_layer_sum_to_its_value(name: str) -> None:
    model = samples.node_models()[name].eval()
    trace = traced(model)
    for number, layer in enumerate(trace.layers):
        site = trace[layer.name].values
        assert site is not None
        for node in range(samples.NODES):
            step = trace.steps(node, number)
            bias = 0 if step.bias is None else step.bias
            np.testing.assert_allclose(step.shares.sum(0) + bias, step.value, atol=1e-6)
            np.testing.assert_allclose(step.value, site[node], atol=1e-5)


@pytest.mark.parametrize("name", ["gcn", "pyg-gcn", "pyg-gcn-improved"])
def test_a_flow_through_all_layers_sums_to_the_logit(name: str) -> None:
    trace = traced(samples.node_models()[name].eval())
    for node in (0, 3, samples.NODES - 1):
        for target in range(samples.CLASSES):
            found = trace.flow(node=node, target=target)
            assert abs(found.gap) < 1e-6
            assert not found.exact
            np.testing.assert_allclose(np.asarray(found.features.sum(1)).ravel(), found.nodes, atol=1e-12)
            # The last layer's messages and bias bring the whole logit; the first's messages, all but the biases.
            assert found.arcs[-1].sum() + found.biases[-1] == pytest.approx(found.logit, abs=1e-6)
            assert found.arcs[0].sum() == pytest.approx(found.nodes.sum(), abs=1e-6)


def test_a_flow_is_the_slope_times_the_input() -> None:
    model = samples.node_models()["gcn"].eval()
    trace = traced(model)
    x = torch.from_numpy(GRAPH.features.copy()).requires_grad_(True)
    [slope] = torch.autograd.grad(model(x, torch.from_numpy(GRAPH.arcs()[0]))[3, 1], [x])
    np.testing.assert_allclose(trace.flow(node=3, target=1).features.toarray(), (slope * x).detach(), atol=1e-6)


def test_without_activations_a_flow_is_exact_and_says_so() -> None:
    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            net = GCN(samples.FEATURES, 3)
            self.first, self.second = net.convolutions

        def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(x, edge_index), edge_index)  # type: ignore[no-any-return]

    torch.manual_seed(0)
    model = Linear()
    found = traced(model).flow(node=3, target=1)
    assert found.exact
    # Exact: without a node's features the logit really falls by the node's share.
    for node in np.flatnonzero(found.nodes)[:5]:
        features = GRAPH.features.copy()
        features[node] = 0
        left = Graph(edges=GRAPH.edges, num_nodes=samples.NODES, features=features)
        after = traced(model, left).output
        assert after is not None
        assert found.logit - float(after[3, 1]) == pytest.approx(found.nodes[node], abs=1e-5)


@pytest.mark.parametrize("readout", ["mean", "sum", "max"])
def test_the_flow_of_a_graph_sums_to_its_logit(readout: Any) -> None:
    torch.manual_seed(0)
    model = GCN(samples.FEATURES, 3, level="graph", readout=readout)
    for part in model.convolutions:
        nn.init.normal_(part.bias)
    trace = traced(model)
    assert abs(trace.flow(target=2).gap) < 1e-5
    steps = trace.readout()
    np.testing.assert_allclose(steps.shares.sum(0) + steps.bias, steps.logits, atol=1e-5)


def test_a_featureless_graph_says_so() -> None:
    shown = str(traced(GCN(4, 2), SQUARE).node(3))
    assert "neighbours node 0, node 1, node 2" in shown
    assert "its row of X is 1 at itself and 0 elsewhere" in shown
    assert "0.2887 × node 0  [1 0 0 0]" in shown


def test_sites_are_selected_and_summarised_as_for_pictures() -> None:
    model = samples.node_models()["gcn"]
    assert traced(model).select("kind:activation")[0].name == "activations.0"
    few = traced(model, sites="convolutions.1")
    kept = [site.name for site in few if site.values is not None]
    assert kept == ["convolutions.1/add"]
    summary = traced(model, keep="statistics")
    assert summary["activations.0"].values is None
    assert summary["activations.0"].statistics is not None
    assert 0 < summary["activations.0"].statistics.zeros < 1


@pytest.mark.parametrize("name", ["gcn", "pyg-gcn-cached", "pyg-gat"])
def test_the_model_is_left_as_it_was(name: str) -> None:
    model = samples.node_models()[name].train()
    before = samples.state_of(model)
    traced(model)
    samples.assert_same_state(before, samples.state_of(model))


@pytest.mark.parametrize("level", ["node", "graph"])
@pytest.mark.parametrize("graph", [GRAPH, SQUARE], ids=["features", "identity"])
def test_a_saved_trace_comes_back_with_its_steps(tmp_path: Path, level: Any, graph: Graph) -> None:
    torch.manual_seed(0)
    trace = traced(GCN(graph.num_features, 2, level=level), graph)
    back = Trace.load(trace.save(tmp_path / "trace"))
    assert isinstance(back, GraphTrace)
    assert back.graph.digest == graph.digest
    assert str(back.node(3)) == str(trace.node(3))
    node = 3 if level == "node" else None
    assert back.flow(target=1, node=node).nodes.tolist() == trace.flow(target=1, node=node).nodes.tolist()
    assert repr(back) == repr(trace)


def test_a_name_stands_for_its_node() -> None:
    graph = Graph(edges=[(0, 1)], features=np.ones((2, 8)), node_names=("Ann", "Bob"))
    trace = traced(GCN(8, 2), graph)
    assert trace.node("Bob").node == 1
    with pytest.raises(SettingError, match="node is 'Cem', expected 0 to 1; or a name such as 'Ann'"):
        trace.node("Cem")


def test_what_cannot_be_shown_is_refused_with_the_way_out() -> None:
    models = samples.node_models()
    with pytest.raises(SiteError, match="trace with keep='values'"):
        traced(models["gcn"], keep="statistics").node(3)
    with pytest.raises(SiteError, match="no chain of graph convolutions whose steps are known"):
        traced(models["pyg-gat"]).node(3)
    with pytest.raises(MethodError, match="passed back through batch_norm, relu after 'convolutions"):
        traced(models["gcn-deep"]).flow(node=3, target=0)
    with pytest.raises(SettingError, match="node is 40, expected 0 to 39"):
        traced(models["gcn"]).node(40)
    with pytest.raises(SettingError, match="target is 3, expected 0 to 2"):
        traced(models["gcn"]).flow(node=3, target=3)
    with pytest.raises(SettingError, match="expected a node"):
        traced(models["gcn"]).flow(target=0)
    with pytest.raises(SiteError, match="no mean, sum or max readout"):
        traced(models["gcn"]).readout()
    with pytest.raises(CapacityError, match="for 1 graph take"):
        traced(models["gcn"], limit=100)
    with pytest.raises(InputError, match="a graph was given, and animals takes pictures"):
        pellucid.trace("animals", GRAPH)
    with pytest.raises(InputError, match="a picture was given, expected one graph"):
        pellucid.trace(models["gcn"], np.zeros((5, 5, 3), dtype=np.uint8))


def test_a_large_graph_is_traced_and_explained_without_anything_dense() -> None:
    nodes = 60_000  # nodes × nodes would be 14 GB
    rng = np.random.default_rng(0)
    graph = Graph(edges=np.unique(np.sort(rng.integers(0, nodes, (120_000, 2)), axis=1), axis=0), num_nodes=nodes)
    model = GCN(nodes, 3)
    trace = traced(model, graph, keep="statistics")
    assert trace.output is not None
    assert trace.output.shape == (nodes, 3)
    found = traced(model, graph).flow(node=17, target=0)
    assert abs(found.gap) < 1e-6
