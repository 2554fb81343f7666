"""Slopes, integrated gradients, Grad-CAM and occlusion on graphs, against definitions computed on whole graphs."""

import captum.attr
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import graph_models as samples
import pellucid
from pellucid.inputs.graph import Graph
from pellucid.methods.explanation import Explanation
from pellucid.methods.graph_subject import GraphSubject
from pellucid.models.gcn import GCN
from pellucid.models.graph_layers import GraphConvolution

GRAPH = samples.graph()
X = torch.from_numpy(GRAPH.features.copy())
ARCS, EDGE_OF = (torch.from_numpy(each) for each in GRAPH.arcs())
NODE, CLASS = 3, 1
TARGET = f"node:{NODE}/class:{CLASS}"


@pytest.fixture(scope="module")
def models() -> dict[str, nn.Module]:
    return {name: model.eval() for name, model in samples.node_models().items()}


def explained(model: nn.Module, method: str, target: str = TARGET) -> Explanation:
    return pellucid.explain(model, GRAPH, method=method, target=target)


def on_the_whole(why: Explanation, name: str) -> np.ndarray:
    """The values of a part, at the nodes or edges of the whole graph; 0 outside of the neighbourhood."""
    values = why.part(name).values
    places = getattr(why.subject, name)
    whole = np.zeros((samples.NODES if name == "nodes" else GRAPH.num_edges, *values.shape[1:]))
    whole[places] = values
    return whole


def logit(model: nn.Module, x: Tensor, arcs: Tensor = ARCS) -> Tensor:
    """The explained logit of a model without a softmax."""
    return model(x, arcs)[NODE, CLASS]  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["gcn", "gcn-deep", "sage", "gin", "pyg-parallel"])
def test_saliency_is_the_slope_on_the_whole_graph(models: dict[str, nn.Module], name: str) -> None:
    x = X.clone().requires_grad_(True)
    [slope] = torch.autograd.grad(logit(models[name], x), [x])
    np.testing.assert_allclose(on_the_whole(explained(models[name], "saliency"), "nodes"), slope, atol=1e-6)
    product = on_the_whole(explained(models[name], "input-x-gradient"), "nodes")
    np.testing.assert_allclose(product, (slope * X).detach(), atol=1e-6)


def test_the_saliency_of_an_edge_is_the_slope_of_its_messages(models: dict[str, nn.Module]) -> None:
    model = models["gcn"]
    values = on_the_whole(explained(model, "saliency"), "edges")

    @torch.no_grad()
    def with_factor(edge: int, factor: float) -> float:
        """Â computed first, one edge's entries multiplied, both layers by hand."""
        matrix = torch.from_numpy(GRAPH.normalised_adjacency().toarray()).float()
        one, other = GRAPH.edges[edge]
        matrix[one, other] = matrix[one, other] * factor
        if one != other:
            matrix[other, one] = matrix[other, one] * factor
        first, second = model.convolutions  # type: ignore[union-attr,misc]
        hidden = torch.relu(matrix @ X @ first.linear.weight.T + first.bias)
        return float((matrix @ hidden @ second.linear.weight.T + second.bias)[NODE, CLASS])

    for edge in np.flatnonzero(values):
        slope = (with_factor(edge, 1 + 1e-2) - with_factor(edge, 1 - 1e-2)) / 2e-2
        assert values[edge] == pytest.approx(slope, abs=1e-3)


@pytest.mark.parametrize("name", ["gcn", "gin", "pyg-parallel"])
def test_integrated_gradients_of_features_equal_captum(models: dict[str, nn.Module], name: str) -> None:
    def alone(x: Tensor) -> Tensor:
        return torch.stack([logit(models[name], each) for each in x])

    peer = captum.attr.IntegratedGradients(alone)
    expected = peer.attribute(X[None], method="gausslegendre", n_steps=32)[0]
    why = explained(models[name], "integrated-gradients(steps=32, of=features)")
    np.testing.assert_allclose(on_the_whole(why, "nodes"), expected.detach(), atol=1e-5)


def test_integrated_gradients_add_up_along_both_paths(models: dict[str, nn.Module]) -> None:
    why = explained(models["pyg-sage"], "integrated-gradients(steps=300)")
    nothing = Graph(edges=[], num_nodes=samples.NODES, features=GRAPH.features)
    lonely = pellucid.explain(models["pyg-sage"], nothing, method="saliency", target=TARGET)
    # GraphSAGE adds no loops, so a graph without edges is one without messages.
    assert why.part("edges").values.sum() == pytest.approx(why.score - lonely.score, abs=5e-3)
    assert abs(why.checks["edges completeness gap"]) < 5e-3
    assert abs(why.checks["features completeness gap"]) < 5e-3


@pytest.mark.parametrize("name", ["gcn", "sage", "gin", "pyg-gcn", "pyg-gat", "pyg-graph", "pyg-parallel"])
def test_occlusion_by_deletion_is_a_loop_of_whole_graphs(models: dict[str, nn.Module], name: str) -> None:
    model = models[name]
    why = explained(model, "occlusion")
    edges, nodes = on_the_whole(why, "edges"), on_the_whole(why, "nodes")
    for edge in range(0, GRAPH.num_edges, 4):
        left = Graph(edges=np.delete(GRAPH.edges, edge, axis=0), num_nodes=samples.NODES, features=GRAPH.features)
        after = pellucid.explain(model, left, method="saliency", target=TARGET).score
        assert edges[edge] == pytest.approx(why.score - after, abs=1e-5)
    for node in range(0, samples.NODES, 3):
        touching = (GRAPH.edges == node).any(axis=1)
        features = GRAPH.features.copy()
        features[node] = 0
        left = Graph(edges=GRAPH.edges[~touching], num_nodes=samples.NODES, features=features)
        after = pellucid.explain(model, left, method="saliency", target=TARGET).score
        assert nodes[node] == pytest.approx(why.score - after, abs=1e-5)


def test_a_node_of_a_graph_is_deleted_with_its_place_in_the_readout() -> None:
    torch.manual_seed(0)
    model = GCN(samples.FEATURES, 3, level="graph", readout="mean")
    why = pellucid.explain(model, GRAPH, method="occlusion(of=nodes)", target="class:1")
    for node in (0, 7, 39):
        kept = np.delete(np.arange(samples.NODES), node)
        place = np.full(samples.NODES, -1)
        place[kept] = np.arange(len(kept))
        edges = place[GRAPH.edges]
        left = Graph(edges=edges[(edges >= 0).all(axis=1)], num_nodes=len(kept), features=GRAPH.features[kept])
        after = pellucid.explain(model, left, method="saliency", target="class:1").score
        assert why.values[node] == pytest.approx(why.score - after, abs=1e-5)


def test_silencing_and_deleting_are_different_questions(models: dict[str, nn.Module]) -> None:
    both = {
        name: [
            on_the_whole(explained(models[name], f"occlusion(of=edges, removal={removal})"), "edges")
            for removal in ("delete", "silence")
        ]
        for name in ("gcn", "pyg-graph")
    }
    assert np.abs(both["gcn"][0] - both["gcn"][1]).max() > 1e-3
    # Where nothing is normalised, they are the same.
    np.testing.assert_allclose(*both["pyg-graph"], atol=1e-5)


@torch.no_grad()
def test_silencing_an_edge_is_setting_its_entries_of_the_matrix_to_0(models: dict[str, nn.Module]) -> None:
    model = models["gcn"]
    why = explained(model, "occlusion(of=edges, removal=silence)")
    values = on_the_whole(why, "edges")
    first, second = model.convolutions  # type: ignore[union-attr,misc]
    for edge in np.flatnonzero(values)[:8]:
        matrix = torch.from_numpy(GRAPH.normalised_adjacency().toarray()).float()
        one, other = GRAPH.edges[edge]
        matrix[one, other] = matrix[other, one] = 0
        hidden = torch.relu(matrix @ X @ first.linear.weight.T + first.bias)
        after = float((matrix @ hidden @ second.linear.weight.T + second.bias)[NODE, CLASS])
        assert values[edge] == pytest.approx(why.score - after, abs=1e-5)


def test_grad_cam_is_the_formula_of_pope_and_others() -> None:
    torch.manual_seed(0)
    model = GCN(samples.FEATURES, 3, level="graph").eval()
    why = pellucid.explain(model, GRAPH, method="grad-cam", target="class:1")
    x = X
    for convolution in model.convolutions:
        assert isinstance(convolution, GraphConvolution)
        x = F.relu(convolution(x, ARCS))
    values = x.detach().requires_grad_(True)
    [slope] = torch.autograd.grad(model.classify(values.mean(0))[1], [values])
    expected = F.relu((slope.mean(0) * values).sum(1))
    np.testing.assert_allclose(why.values, expected.detach(), atol=1e-6)


def test_grad_cam_of_a_node_is_about_vectors_of_the_whole_graph_that_can_reach_it() -> None:
    torch.manual_seed(0)
    model = GCN(samples.FEATURES, 3, layers=3)
    for part in model.convolutions:
        nn.init.uniform_(part.bias, 0.5, 1.0)  # a node that receives nothing would have a vector, too
    why = pellucid.explain(model, GRAPH, method="grad-cam", target="node:0/class:1")
    assert isinstance(why.subject, GraphSubject)
    trace = pellucid.trace(model, GRAPH)
    vectors, weight = trace["activations.1"].values.numpy(), model.convolutions[2].linear.weight[1].detach().numpy()
    heard = GRAPH.normalised_adjacency().toarray()[0]
    nodes = why.subject.nodes
    alpha = heard.sum() * weight / len(nodes)
    wanted = np.where(heard[nodes] != 0, np.maximum(vectors[nodes] @ alpha, 0), 0)
    assert int(why.subject.hops.max()) == 3
    np.testing.assert_allclose(why.part("nodes").values, wanted, atol=1e-5)


def test_no_positive_evidence_is_said() -> None:
    torch.manual_seed(0)
    model = GCN(samples.FEATURES, 2, level="graph")
    nn.init.constant_(model.classify.weight, -1.0)
    why = pellucid.explain(model, GRAPH, method="grad-cam", target="class:1")
    assert "no positive evidence" in why.notes[0]
    assert not why.values.any()
