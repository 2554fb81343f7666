"""GNNExplainer: equal to PyG's with the same start, and right where PyG's is known to go wrong."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import graph_models as samples
import pellucid
from pellucid.capture.graph_asks import Aim, Blocks
from pellucid.capture.graph_engine import whole_pass
from pellucid.errors import MethodError
from pellucid.inputs.graph import Graph
from pellucid.methods.graph_masks import GNNExplainer, _Adam
from pellucid.models.gcn import GCN
from pellucid.models.graph_arguments import arguments_of

# PyG leaves loops out of its mask where a layer adds some, so the comparison goes without any.
GRAPH = samples.graph(loops=False)


def learnt(
    model: nn.Module, nodes: list[int], method: GNNExplainer, *, seed: int = 0
) -> tuple[dict[str, Tensor], Blocks]:
    """The raw masks of some nodes' own classes, before the two directions of an edge are joined."""
    whole = whole_pass(model, arguments_of(model, [GRAPH]))
    best = torch.eye(samples.CLASSES)[whole.answer.logits.argmax(1)]
    with Blocks(whole, [Aim(nodes=(node,), graph=0, weights=best[node]) for node in nodes]) as blocks:
        with torch.no_grad():
            plain = blocks.logits()
        found: dict[str, Tensor] = {}
        finish = GNNExplainer._finished

        def noting(self: GNNExplainer, blocks: Blocks, name: str, mask: Tensor, reached: Tensor) -> Tensor:
            found[name] = mask.detach().sigmoid() * reached
            return finish(self, blocks, name, mask, reached)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(GNNExplainer, "_finished", noting)
            method._learnt(blocks, plain, seed=seed, first=True)
    return found, blocks


def peers(model: nn.Module, node: int, *, nodes: str | None, epochs: int, seed: int = 0) -> Any:
    from torch_geometric.explain import Explainer
    from torch_geometric.explain import GNNExplainer as Peer

    known = getattr(model, "second", None) is not None
    explainer = Explainer(
        model,
        Peer(epochs=epochs),
        explanation_type="model",
        edge_mask_type="object",
        node_mask_type=nodes,
        model_config={
            "mode": "multiclass_classification",
            "task_level": "node",
            "return_type": "log_probs" if known else "raw",
        },
    )
    arguments = arguments_of(model, [GRAPH])
    x = arguments.x.to_dense() if arguments.x.is_sparse else arguments.x
    torch.manual_seed(seed)
    return explainer(x, arguments.edge_index, index=node)


@pytest.mark.parametrize("name", ["pyg-gcn", "pyg-gin", "pyg-sage", "pyg-gat", "pyg-graph"])
@pytest.mark.parametrize(
    ("ours", "theirs"), [("none", None), ("feature", "common_attributes"), ("node-feature", "attributes")]
)
def test_equals_pyg_with_the_same_start(name: str, ours: str, theirs: str | None) -> None:
    model = samples.node_models()[name].eval()
    for node in (0, 3):
        masks, blocks = learnt(model, [node], GNNExplainer(start="random", tie=False, nodes=ours, epochs=60))
        peer = peers(model, node, nodes=theirs, epochs=60)
        arcs = torch.zeros(GRAPH.arcs()[0].shape[1])
        arcs[torch.from_numpy(blocks.union.arc)] = masks["edges"]
        torch.testing.assert_close(arcs, peer.edge_mask, atol=1e-4, rtol=0)
        if theirs == "common_attributes":
            torch.testing.assert_close(masks["nodes"][0], peer.node_mask[0], atol=1e-4, rtol=0)
        if theirs == "attributes":
            nodes = torch.zeros(samples.NODES, samples.FEATURES)
            nodes[torch.from_numpy(blocks.union.node)] = masks["nodes"]
            torch.testing.assert_close(nodes, peer.node_mask, atol=1e-4, rtol=0)


def test_the_prediction_alone_moves_the_mask() -> None:
    method = "gnn-explainer(edge_size=0.0, edge_entropy=0.0, epochs=20)"
    why = pellucid.explain(samples.node_models()["gcn"], GRAPH, method=method, target="node:3")
    assert float(np.ptp(why.part("edges").values)) > 0.01


def test_an_undirected_edge_has_one_value() -> None:
    why = pellucid.explain(samples.node_models()["gcn"], GRAPH, method="gnn-explainer(epochs=5)", target="node:3")
    assert len(why.part("edges").values) == len(np.unique(why.subject.edges))  # type: ignore[union-attr]


def test_each_edge_type_gets_a_value_and_unused_types_get_none() -> None:
    graph = Graph(
        edges=[(0, 1), (1, 2), (5, 6)], num_nodes=7, features=GRAPH.features[:7], edge_types=[0, 2, 1],
        edge_type_names=("single", "double", "triple"),
    )  # fmt: skip
    method = "gnn-explainer(edges=false, edge_types=true, epochs=10)"
    why = pellucid.explain(samples.node_models()["gcn"], graph, method=method, target="node:1")
    values = why.part("edge_types").values
    assert values.shape == (3,)
    assert values[1] == 0  # the only edge of that type is in another component
    assert values[0] > 0
    assert values[2] > 0


def test_restarts_report_how_far_they_agree_and_the_first_is_deterministic() -> None:
    model = samples.node_models()["gcn"]
    plain = pellucid.explain(model, GRAPH, method="gnn-explainer(epochs=30)", target="node:3", seed=1)
    other = pellucid.explain(model, GRAPH, method="gnn-explainer(epochs=30)", target="node:3", seed=2)
    assert np.array_equal(plain.values, other.values)
    several = pellucid.explain(model, GRAPH, method="gnn-explainer(epochs=30, restarts=4)", target="node:3")
    assert -1 <= several.checks["rank agreement"] <= 1


def test_another_explainer_can_follow_on_the_same_model() -> None:
    model = samples.node_models()["pyg-gcn"].eval()
    before = samples.state_of(model)
    pellucid.explain(model, GRAPH, method="gnn-explainer(epochs=3)", target="node:3")
    pellucid.explain(model, GRAPH, method="saliency", target="node:3")
    samples.assert_same_state(before, samples.state_of(model))


def test_graphs_of_a_batch_neither_share_a_mask_nor_average_their_losses() -> None:
    torch.manual_seed(0)
    model = GCN(samples.FEATURES, 3, level="graph")
    graphs = [samples.graph(seed, nodes=8 + 4 * seed, edges=10 + 3 * seed) for seed in range(3)]
    method = "gnn-explainer(nodes=feature, epochs=30)"
    together = list(pellucid.explain_many(model, graphs, methods=[method], targets=["graph"]))
    for graph, one in zip(graphs, together, strict=True):
        alone = pellucid.explain(model, graph, method=method, target="graph")
        for name in ("edges", "features"):
            np.testing.assert_allclose(one.part(name).values, alone.part(name).values, atol=1e-5)


def test_a_model_with_one_output_is_explained_by_its_value() -> None:
    torch.manual_seed(0)
    model = GCN(samples.FEATURES, 1, level="graph")
    why = pellucid.explain(model, GRAPH, method="gnn-explainer(epochs=10)", target="graph/output:0")
    assert float(np.ptp(why.values)) > 0


@pytest.mark.parametrize("nodes", ["node", "feature"])
def test_a_graph_gets_the_same_random_start_whatever_graphs_are_beside_it(nodes: str) -> None:
    torch.manual_seed(0)
    model = GCN(samples.FEATURES, 3, level="graph")
    graphs = [samples.graph(seed, nodes=8 + 4 * seed, edges=10 + 3 * seed) for seed in range(3)]
    method = f"gnn-explainer(start=random, nodes={nodes}, edge_types=true, epochs=10)"
    together = list(pellucid.explain_many(model, graphs, methods=[method], targets=["graph"]))
    for graph, one in zip(graphs, together, strict=True):
        alone = pellucid.explain(model, graph, method=method, target="graph")
        for mine, theirs in zip(one.parts, alone.parts, strict=True):
            np.testing.assert_allclose(mine.values, theirs.values, atol=1e-5)


def test_an_output_among_others_is_explained_by_its_value_and_not_as_a_class() -> None:
    model = samples.node_models()["gcn"]
    weak = "gnn-explainer(edge_size=0.0, edge_entropy=0.0, epochs=300, lr=0.1)"
    whole = whole_pass(model, arguments_of(model, [GRAPH]))
    gaps = {}
    for target in ("output:1", "class:1"):
        why = pellucid.explain(model, GRAPH, method=weak, target=f"node:4/{target}")
        aim = Aim(nodes=(4,), graph=0, weights=torch.eye(samples.CLASSES)[1])
        with Blocks(whole, [aim]) as blocks, torch.no_grad():
            masked = blocks.score(blocks.logits(edges=torch.from_numpy(why.values.copy())))
        gaps[target] = abs(float(masked) - why.score)
    assert gaps["output:1"] < 0.01
    assert gaps["class:1"] > 0.1


def test_behind_a_sigmoid_other_classes_do_not_matter() -> None:
    class Labels(nn.Module):
        def __init__(self, others: float) -> None:
            super().__init__()
            self.net = samples.node_models()["gcn"]
            self.register_buffer("factors", torch.tensor([others, 1.0, others]))

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return torch.sigmoid(self.net(x, edge_index) * self.factors)

    one, other = (
        pellucid.explain(Labels(others), GRAPH, method="gnn-explainer", target="node:4/class:1")
        for others in (1.0, 5.0)
    )
    np.testing.assert_allclose(one.values, other.values, atol=1e-6)


@pytest.mark.parametrize("target", ["node:*", "node:39"])
def test_restarts_of_a_node_without_edges_have_nothing_to_rank(target: str) -> None:
    model = samples.node_models()["gcn"]
    lonely = Graph(edges=[[0, 1], [1, 2]], num_nodes=40, features=GRAPH.features)
    method = "gnn-explainer(restarts=2, epochs=3)"
    found = list(pellucid.explain_many(model, lonely, methods=[method], targets=[target]))
    assert np.isnan(found[-1].checks["rank agreement"])


def test_an_edge_that_carries_nothing_is_worth_nothing() -> None:
    # Node 2 has no features, so the message along edge 1-2 says nothing in one layer.
    torch.manual_seed(0)
    graph = Graph(edges=[(0, 1), (1, 2)], features=[[1.0, 2.0], [0.5, 1.0], [0.0, 0.0]])
    why = pellucid.explain(GCN(2, 2, layers=1), graph, method="gnn-explainer", target="node:1")
    assert why.values[0] > 0
    assert why.values[1] == 0


def test_each_edge_feature_gets_a_value() -> None:
    torch.manual_seed(0)
    model = samples.Attributed()
    method = "gnn-explainer(edge_features=true, epochs=20)"
    why = pellucid.explain(model, GRAPH, method=method, target="node:3")
    values = why.part("edge_features").values
    assert values.shape == (3,)
    assert float(np.ptp(values)) > 0
    alone = [pellucid.explain(model, GRAPH, method=method, target=f"node:{node}") for node in (0, 3)]
    both = list(pellucid.explain_many(model, [GRAPH], methods=[method], targets=["node:0", "node:3"]))
    for one, other in zip(alone, both, strict=True):
        np.testing.assert_allclose(one.part("edge_features").values, other.part("edge_features").values, atol=1e-5)


def test_edge_features_need_some() -> None:
    graph = Graph(edges=[(0, 1)], features=np.ones((2, samples.FEATURES)))
    with pytest.raises(MethodError, match="edge_features=true needs a graph whose edges have features or types"):
        pellucid.explain(
            samples.node_models()["gcn"], graph, method="gnn-explainer(edge_features=true)", target="node:0"
        )


def test_the_steps_are_those_of_torchs_adam() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, peer = torch.zeros(50), torch.zeros(50, requires_grad=True)
    step, optimiser = _Adam(ours, lr=0.01), torch.optim.Adam([peer], lr=0.01)
    for _ in range(30):
        slope = torch.randn(50, generator=generator)
        peer.grad = slope.clone()
        optimiser.step()
        step(slope)
    torch.testing.assert_close(ours, peer.detach(), atol=1e-7, rtol=1e-6)
