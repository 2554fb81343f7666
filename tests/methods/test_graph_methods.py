"""What holds for every method on graphs, over the registry; a new method is tested on the day it is added."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import graph_models as samples
import pellucid
from pellucid.errors import InputError, MethodError, ModelError, NotFiniteError, SettingError, TargetError
from pellucid.inputs.graph import Graph
from pellucid.methods.catalogue import GRAPH_METHODS, method_from
from pellucid.methods.explanation import Explanation
from pellucid.methods.graph_subject import GraphSubject
from pellucid.models.gcn import GCN

GRAPH = samples.graph()
QUICK = {"gnn-explainer": "gnn-explainer(epochs=8)", "integrated-gradients": "integrated-gradients(steps=4)"}
METHODS = [QUICK.get(name, name) for name in GRAPH_METHODS]


@pytest.fixture(scope="module")
def models() -> dict[str, nn.Module]:
    return samples.node_models()


def many(model: Any, graphs: Any, method: str, *targets: str, **rest: Any) -> list[Explanation]:
    return list(pellucid.explain_many(model, graphs, methods=[method], targets=targets, **rest))


def test_the_first_set_of_methods_is_there() -> None:
    first = {"saliency", "input-x-gradient", "integrated-gradients", "grad-cam", "occlusion", "gnn-explainer"}
    assert first <= set(GRAPH_METHODS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["gcn", "pyg-gat", "pyg-gcn-cached"])
def test_the_model_is_left_as_it_was(models: dict[str, nn.Module], method: str, name: str) -> None:
    model = models[name].train()
    before = samples.state_of(model)
    many(model, [GRAPH], method, "node:3", "node:0/class:1")
    samples.assert_same_state(before, samples.state_of(model))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["gcn-deep", "gin", "pyg-gcn-improved", "pyg-sage", "pyg-gat", "pyg-parallel"])
def test_many_targets_at_once_are_as_one_by_one(models: dict[str, nn.Module], method: str, name: str) -> None:
    nodes = (0, 1, 5, samples.NODES - 1, samples.NODES - 2)  # with a self-loop, in a pair, without any edge
    together = many(models[name], [GRAPH], method, *(f"node:{node}" for node in nodes))
    for node, one in zip(nodes, together, strict=True):
        alone = pellucid.explain(models[name], GRAPH, method=method, target=f"node:{node}")
        assert one.target.nodes == alone.target.nodes == (node,)
        for mine, theirs in zip(one.parts, alone.parts, strict=True):
            np.testing.assert_allclose(mine.values, theirs.values, atol=1e-5, err_msg=f"{mine.name} of node {node}")


@pytest.mark.parametrize("method", METHODS)
def test_graphs_of_a_list_are_as_one_by_one(method: str) -> None:
    torch.manual_seed(0)
    graphs = [samples.graph(seed, nodes=9 + seed, edges=12) for seed in range(3)]
    for model in (GCN(samples.FEATURES, 3, level="graph"), samples.Pooled().eval(), samples.Alone()):
        together = many(model, graphs, method, "graph")
        assert len(together) == 3
        for graph, one in zip(graphs, together, strict=True):
            alone = pellucid.explain(model, graph, method=method, target="top:1")
            for mine, theirs in zip(one.parts, alone.parts, strict=True):
                np.testing.assert_allclose(mine.values, theirs.values, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_bits(models: dict[str, nn.Module], method: str) -> None:
    one, other = (pellucid.explain(models["gcn"], GRAPH, method=method, target="node:5", seed=3) for _ in range(2))
    assert one.same_as(other)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("target", ["node:5", "graph"])
def test_what_is_saved_comes_back(tmp_path: Path, method: str, target: str) -> None:
    torch.manual_seed(0)
    model = GCN(samples.FEATURES, 3, level=target.partition(":")[0])  # type: ignore[arg-type]
    why = pellucid.explain(model, GRAPH, method=method, target=target)
    back = Explanation.load(why.save(tmp_path / "why"))
    assert back.same_as(why)
    assert isinstance(back.subject, GraphSubject)
    assert isinstance(why.subject, GraphSubject)
    assert back.subject.graph.digest == why.subject.graph.digest
    assert back.subject.nodes.tolist() == why.subject.nodes.tolist()
    assert Explanation.load(back.save(tmp_path / "again")).same_as(why)


@pytest.mark.parametrize("method", METHODS)
def test_what_lies_outside_of_the_neighbourhood_has_no_value(models: dict[str, nn.Module], method: str) -> None:
    why = pellucid.explain(models["gcn"], GRAPH, method=method, target="node:0")
    assert isinstance(why.subject, GraphSubject)
    # Deleting an edge changes the degrees of its ends, so that looks one hop further.
    assert int(why.subject.hops.max()) <= 2 + (why.method == "occlusion")
    assert 0 in why.subject.nodes
    assert 1 < len(why.subject.nodes) < samples.NODES
    ends = GRAPH.edges[why.subject.edges]
    assert set(ends.flatten().tolist()) <= set(why.subject.nodes.tolist())
    for part in why.parts:
        rows = {"nodes": len(why.subject.nodes), "edges": len(why.subject.edges)}
        assert len(part.values) == rows.get(part.name, len(part.values))


SMALL = {
    "one node": Graph(edges=[], num_nodes=1, features=np.ones((1, samples.FEATURES))),
    "no edges": Graph(edges=[], num_nodes=4, features=np.ones((4, samples.FEATURES))),
    "only a loop": Graph(edges=[(0, 0)], num_nodes=1, features=np.ones((1, samples.FEATURES))),
    "two components": Graph(edges=[(0, 1), (2, 3)], features=np.ones((4, samples.FEATURES))),
    "one way": Graph(edges=[(1, 0), (2, 1)], features=np.ones((3, samples.FEATURES)), directed=True),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("level", ["node", "graph"])
def test_small_and_odd_graphs_and_target_0_are_explained(method: str, kind: str, level: Any) -> None:
    torch.manual_seed(0)
    model = GCN(samples.FEATURES, 3, level=level)
    why = pellucid.explain(model, SMALL[kind], method=method, target="graph" if level == "graph" else "node:0")
    assert why.target.nodes == (() if level == "graph" else (0,))
    assert all(np.isfinite(part.values).all() for part in why.parts)


@pytest.mark.parametrize("method", METHODS)
def test_a_featureless_graph_is_explained_by_its_identity_matrix(method: str) -> None:
    torch.manual_seed(0)
    graph = Graph(edges=[(0, 1), (1, 2), (2, 3), (3, 0), (3, 1)])
    why = pellucid.explain(GCN(4, 2), graph, method=method, target="node:3")
    assert all(np.isfinite(part.values).all() for part in why.parts)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_couples_all_nodes_is_explained_on_the_whole_graph(method: str) -> None:
    torch.manual_seed(0)
    why = pellucid.explain(samples.Coupled(), GRAPH, method=method, target="node:3")
    assert isinstance(why.subject, GraphSubject)
    assert len(why.subject.nodes) == samples.NODES
    if method == "saliency":
        torch.manual_seed(0)
        model = samples.Coupled().eval()
        x = torch.from_numpy(GRAPH.features.copy()).requires_grad_(True)
        [slope] = torch.autograd.grad(model(x, torch.from_numpy(GRAPH.arcs()[0]))[3, why.target.classes[0]], [x])
        np.testing.assert_allclose(why.part("nodes").values, slope, atol=1e-5)


def test_a_model_that_draws_is_refused() -> None:
    class Noisy(nn.Module):
        def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
            self.calls = getattr(self, "calls", 0) + 1
            return x[:, :3] * self.calls

    with pytest.raises(ModelError, match="gives another answer to the same graph when it is asked again"):
        pellucid.explain(Noisy(), GRAPH, method="saliency", target="node:3")


def test_star_means_every_node_and_every_edge(models: dict[str, nn.Module]) -> None:
    found = many(models["gcn"], [GRAPH], "saliency", "node:*")
    assert [why.target.nodes for why in found] == [(node,) for node in range(samples.NODES)]
    edges = many(GCN(samples.FEATURES, 2, level="edge"), GRAPH, "saliency", "edge:*")
    assert [why.target.nodes for why in edges] == list(map(tuple, GRAPH.edges.tolist()))


def test_progress_counts_to_the_end(models: dict[str, nn.Module]) -> None:
    seen: list[tuple[int, int]] = []
    many(models["gcn"], [GRAPH], "saliency", "node:*", progress=lambda made, total: seen.append((made, total)))
    assert seen[-1] == (samples.NODES, samples.NODES)


def test_logits_and_score_are_those_of_the_whole_graph(models: dict[str, nn.Module]) -> None:
    why = pellucid.explain(models["pyg-gcn"], GRAPH, method="saliency", target="node:5/class:1")
    assert why.looked_through == "log_softmax"
    model = models["pyg-gcn"].eval()
    arcs = torch.from_numpy(GRAPH.arcs()[0])
    plain = model(torch.from_numpy(GRAPH.features.copy()), arcs)[5]
    np.testing.assert_allclose(torch.tensor(why.logits).log_softmax(0), plain.detach(), atol=1e-6)
    assert why.score == pytest.approx(float(why.logits[1]))


WRONG: list[tuple[str, str, type[Exception], str]] = [
    ("saliency", "node:99", TargetError, "out of range: the graph has 40 nodes, 0 to 39"),
    ("saliency", "node:x", TargetError, "names node 'x', and there is none; give its number"),
    ("saliency", "nod:3", TargetError, "cannot be read; did you mean 'node'"),
    ("saliency", "node:", TargetError, "cannot be read"),
    ("saliency", "graph", TargetError, "is about a graph, and this model answers for nodes; write node:0"),
    ("saliency", "top:1", TargetError, "is about a graph, and this model answers for nodes"),
    ("saliency", "edge:0-1", TargetError, "is about an edge"),
    ("saliency", "node:1/class:7", TargetError, "out of range: the model has 3 outputs"),
    ("saliency", "node:1/unit:'a'/2", TargetError, "units are explained in pictures"),
    ("guided-backpropagation", "node:1", MethodError, "no method for graphs 'guided-backpropagation'"),
    ("gnn-explainer(epochs=0)", "node:1", SettingError, "epochs is 0"),
    ("gnn-explainer(nodes=all)", "node:1", SettingError, "none or node or feature or node-feature"),
    ("gnn-explainer(edges=false)", "node:1", SettingError, "at least one mask"),
    ("occlusion(removal=hide)", "node:1", SettingError, "'delete' or 'silence'"),
    ("integrated-gradients(of=all)", "node:1", SettingError, "'features', 'edges' or 'both'"),
    ("grad-cam(site=second)", "node:1", MethodError, "expected one with a row for each node"),
]


@pytest.mark.parametrize(("method", "target", "error", "said"), WRONG, ids=[f"{m} {t}" for m, t, _, _ in WRONG])
def test_what_makes_no_sense_is_refused_by_name(
    models: dict[str, nn.Module], method: str, target: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        pellucid.explain(models["gcn"], GRAPH, method=method, target=target)


def test_nodes_are_found_by_name() -> None:
    graph = Graph(edges=[(0, 1), (1, 2)], features=np.ones((3, 8)), node_names=("Ann", "Bob", "Bob"))
    why = pellucid.explain(GCN(8, 2), graph, method="saliency", target="node:Ann")
    assert why.target.text.startswith("Ann (node 0): class ")
    with pytest.raises(TargetError, match="node 'Bob' is ambiguous: 2 nodes have that name"):
        pellucid.explain(GCN(8, 2), graph, method="saliency", target="node:Bob")


def test_class_names_of_the_graph_are_used() -> None:
    graph = Graph(edges=[(0, 1)], features=np.ones((2, 8)), class_names=("good", "bad"))
    why = pellucid.explain(GCN(8, 2), graph, method="saliency", target="node:0/class:bad")
    assert why.target.text == "node 0: bad (class 1)"


def test_edge_types_need_types() -> None:
    graph = Graph(edges=[(0, 1)], features=np.ones((2, 8)))
    with pytest.raises(MethodError, match="needs a graph whose edges have types"):
        pellucid.explain(GCN(8, 2), graph, method="gnn-explainer(edge_types=true)", target="node:0")


def test_a_picture_model_takes_no_graph_and_a_graph_model_no_picture() -> None:
    with pytest.raises(InputError, match="a graph was given, and animals takes pictures"):
        pellucid.explain("animals", GRAPH, method="saliency")
    with pytest.raises(InputError, match="a picture was given, expected one graph"):
        pellucid.explain(GCN(8, 2), np.zeros((5, 5, 3), dtype=np.uint8), method="saliency", target="node:0")


def test_what_read_makes_a_graph_of_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "graph.json"
    path.write_text(GRAPH.to_json())
    model = samples.node_models()["gcn"]
    plain = pellucid.explain(model, GRAPH, method="saliency", target="node:3")
    for given in (path, str(path), GRAPH.to_networkx(), GRAPH.to_pyg()):
        why = pellucid.explain(model, given, method="saliency", target="node:3")
        np.testing.assert_allclose(why.part("nodes").values, plain.part("nodes").values, atol=1e-6)


def test_explain_takes_one_target() -> None:
    with pytest.raises(TargetError, match="is many targets, and explain takes one; use explain_many"):
        pellucid.explain(samples.node_models()["gcn"], GRAPH, method="saliency", target="node:*")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("target", ["node:5", "graph"])
def test_every_explanation_draws_itself_before_and_after_saving(tmp_path: Path, method: str, target: str) -> None:
    torch.manual_seed(0)
    model = GCN(samples.FEATURES, 3, level=target.partition(":")[0])  # type: ignore[arg-type]
    why = pellucid.explain(model, GRAPH, method=method, target=target)
    drawn = why.draw()
    assert drawn.legend
    back = Explanation.load(why.save(tmp_path / "why"))
    assert back.draw().svg == drawn.svg  # type: ignore[union-attr]
    assert why._repr_svg_() == drawn.alone()  # type: ignore[union-attr]


def test_weights_that_are_not_finite_are_named() -> None:
    model = GCN(samples.FEATURES, 3)
    nn.init.constant_(model.convolutions[0].linear.weight, torch.nan)
    with pytest.raises(NotFiniteError, match="NaN or infinite for 40 of 40 nodes"):
        pellucid.explain(model, GRAPH, method="saliency", target="node:0")


def test_graphs_of_different_features_are_refused() -> None:
    other = Graph(edges=[(0, 1)], features=np.ones((2, 3)))
    with pytest.raises(InputError, match=r"features of different lengths \(3, 8\)"):
        many(GCN(8, 2), [GRAPH, other], "saliency", "node:0")


def test_settings_belong_to_an_instance() -> None:
    first, second = (
        method_from("gnn-explainer(edge_size=9.0)", among=GRAPH_METHODS),
        method_from("gnn-explainer", among=GRAPH_METHODS),
    )
    assert (first.edge_size, second.edge_size) == (9.0, 0.005)
