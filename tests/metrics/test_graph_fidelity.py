"""Fidelity of explanations on graphs: by hand, against PyG where it means the same, for every kind of target."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import graph_models as samples
import pellucid
from pellucid.errors import SettingError
from pellucid.inputs.graph import Graph
from pellucid.methods.explanation import Explanation
from pellucid.methods.parts import Part
from pellucid.metrics.graph_fidelity import GraphFidelity, evaluate_graph
from pellucid.metrics.graph_selection import Selection
from pellucid.models.gcn import GCN

GRAPH = samples.graph(loops=False)
PATH = Graph(edges=[(0, 1), (1, 2)], features=[[1.0], [2.0], [4.0]], labels=[0, 1, 1], name="a path")
NUMBERS = ("plus", "minus", "accuracy_plus", "accuracy_minus", "unfaithfulness", "sparsity")


class Sums(nn.Module):
    """One layer whose logits are (own value, sum of the neighbours' values)."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return torch.cat([x, self.received(x, edge_index)], dim=1)

    def __init__(self) -> None:
        from torch_geometric.nn import SimpleConv

        super().__init__()
        self.received = SimpleConv(aggr="sum")


def with_values(explanation: Explanation, **values: Sequence[float]) -> Explanation:
    """The same explanation with other values."""
    parts = tuple(
        Part(name=name, place="input", axes=(name,), values=np.asarray(each, dtype=np.float32))
        for name, each in values.items()
    )
    return replace(explanation, parts=parts)


def about(model: Any, graph: Any, *targets: str, method: str = "saliency") -> list[Explanation]:
    return list(pellucid.explain_many(model, [graph], methods=[method], targets=targets))


def middle(target: str = "node:1/class:1") -> Explanation:
    """Edge 1-2 is named for the middle node; its logits are (2, 5), (2, 1) without it and (2, 4) with it alone."""
    return with_values(about(Sums(), PATH, target)[0], edges=[0.0, 1.0])


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def test_probabilities_of_a_path_by_hand() -> None:
    found = evaluate_graph(middle(), model=Sums(), input=PATH, select=Selection(top=1))
    assert found.unit == "probability"
    assert found.plus[0] == pytest.approx(sigmoid(5 - 2) - sigmoid(1 - 2))
    assert found.minus[0] == pytest.approx(sigmoid(5 - 2) - sigmoid(4 - 2))
    assert (found.accuracy_plus[0], found.accuracy_minus[0]) == (1, 0)
    assert found.sparsity[0] == 0.5
    assert found.places[0] == 2
    assert found.characterisation == 1


def test_unfaithfulness_is_that_of_the_original_from_the_masked() -> None:
    found = evaluate_graph(middle(), model=Sums(), input=PATH, select=Selection(top=1))
    p, q = sigmoid(5 - 2), sigmoid(4 - 2)
    divergence = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    reverse = q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))
    assert found.unfaithfulness[0] == pytest.approx(1 - np.exp(-divergence))
    assert abs(divergence - reverse) > 1e-3


def test_a_phenomenon_is_about_the_true_class() -> None:
    wrong = replace(PATH, labels=np.array([0, 0, 1]))
    found = evaluate_graph(middle(), model=Sums(), input=wrong, select=Selection(top=1), about="phenomenon")
    # The true class is 0: the model errs, without edge 1-2 it is right, with it alone it errs.
    assert found.plus[0] == pytest.approx(sigmoid(2 - 5) - sigmoid(2 - 1))
    assert (found.accuracy_plus[0], found.accuracy_minus[0]) == (1, 0)


def test_an_output_is_measured_in_its_own_unit() -> None:
    found = evaluate_graph(middle("node:1/output:1"), model=Sums(), input=PATH, select=Selection(top=1))
    assert found.unit == "output"
    assert (found.plus[0], found.minus[0]) == (4, 1)
    assert np.isnan([found.accuracy_plus[0], found.unfaithfulness[0]]).all()


def test_a_contrast_is_decided_between_its_two_classes() -> None:
    found = evaluate_graph(middle("node:1/contrast:1,0"), model=Sums(), input=PATH, select=Selection(top=1))
    assert found.plus[0] == pytest.approx(sigmoid(3) - sigmoid(-1))
    assert found.accuracy_plus[0] == 1


def test_a_removed_node_takes_its_edges_along_and_the_target_is_never_removed() -> None:
    named = with_values(about(Sums(), PATH, "node:1/class:1")[0], nodes=[1.0, 9.0, 2.0])
    found = evaluate_graph(named, model=Sums(), input=PATH, of="nodes", select=Selection(top=1))
    # Node 1 is the target; of the others node 2 counts most.
    assert found.plus[0] == pytest.approx(sigmoid(3) - sigmoid(-1))
    assert found.minus[0] == pytest.approx(sigmoid(3) - sigmoid(2))
    assert found.places[0] == 2


def test_values_of_nodes_are_given_to_edges_as_the_mean_of_the_ends() -> None:
    named = with_values(about(Sums(), PATH, "node:1/class:1")[0], nodes=[1.0, 0.0, 2.0])
    found = evaluate_graph(named, model=Sums(), input=PATH, select=Selection(top=1))
    assert found.plus[0] == pytest.approx(sigmoid(3) - sigmoid(-1))


def test_deleting_and_silencing_differ_by_the_degrees() -> None:
    torch.manual_seed(0)
    model = GCN(samples.FEATURES, samples.CLASSES)
    found = [
        evaluate_graph(about(model, GRAPH, "node:*"), model=model, input=GRAPH, removal=removal)
        for removal in ("delete", "silence")
    ]
    assert np.abs(found[0].plus - found[1].plus).max() > 1e-3


@pytest.mark.parametrize("of", ["edges", "nodes"])
@pytest.mark.parametrize("removal", ["delete", "silence"])
def test_many_at_once_are_as_one_by_one_and_the_model_is_left_alone(of: Any, removal: Any) -> None:
    model = samples.node_models()["pyg-gcn-cached"].train()
    several = about(model, GRAPH, "node:0", "node:5/class:2", "node:38", "node:3/contrast:0,1")
    before = samples.state_of(model)
    together = evaluate_graph(several, model=model, input=GRAPH, of=of, removal=removal)
    samples.assert_same_state(before, samples.state_of(model))
    for number, each in enumerate(several):
        alone = evaluate_graph(each, model=model, input=GRAPH, of=of, removal=removal)
        for name in NUMBERS:
            np.testing.assert_allclose(getattr(together, name)[number], getattr(alone, name)[0], atol=1e-6)


@pytest.mark.parametrize("of", ["edges", "nodes"])
def test_several_graphs_and_a_model_that_takes_one_at_a_time(of: Any) -> None:
    torch.manual_seed(0)
    graphs = [samples.graph(seed, nodes=9 + seed, edges=12) for seed in range(3)]
    for model in (GCN(samples.FEATURES, 3, level="graph"), samples.Pooled().eval(), samples.Alone()):
        several = list(pellucid.explain_many(model, graphs, methods=["saliency"], targets=["graph"]))
        together = evaluate_graph(several[::-1], model=model, input=graphs, of=of)
        for number, each in enumerate(several[::-1]):
            alone = evaluate_graph(each, model=model, input=graphs[::-1], of=of)
            np.testing.assert_allclose(together.plus[number], alone.plus[0], atol=1e-6)


def test_edges_as_targets() -> None:
    torch.manual_seed(0)
    model = GCN(samples.FEATURES, 2, level="edge")
    one, other = GRAPH.edges[0].tolist()
    found = evaluate_graph(about(model, GRAPH, f"edge:{one}-{other}"), model=model, input=GRAPH)
    assert -1 <= found.plus[0] <= 1


def test_everything_named_is_enough_and_nothing_named_is_not_needed() -> None:
    model = samples.node_models()["gcn"]
    several = about(model, GRAPH, "node:0", "node:3")
    whole = evaluate_graph(several, model=model, input=GRAPH, select=Selection(share=1.0), removal="silence")
    none = evaluate_graph(several, model=model, input=GRAPH, select=Selection(top=0))
    np.testing.assert_allclose(whole.minus, 0, atol=1e-6)
    np.testing.assert_allclose(none.plus, 0, atol=1e-6)
    assert (none.sparsity == 1).all()


@pytest.mark.parametrize("name", ["pyg-gcn", "pyg-sage", "pyg-gin"])
@pytest.mark.parametrize("about_what", ["model", "phenomenon"])
def test_equals_pyg_where_the_two_mean_the_same(name: str, about_what: Any) -> None:
    """PyG multiplies messages by soft masks; its KL runs the other way, so only its direction is compared."""
    from torch_geometric.explain import Explainer, metric
    from torch_geometric.explain import Explanation as PyGExplanation
    from torch_geometric.explain.algorithm import DummyExplainer

    labels = np.random.default_rng(0).integers(0, samples.CLASSES, samples.NODES)
    graph = replace(GRAPH, labels=labels)
    model = samples.node_models()[name].eval()
    x, arcs = torch.from_numpy(graph.features.copy()), torch.from_numpy(graph.arcs()[0])
    peer = Explainer(
        model,
        DummyExplainer(),
        explanation_type=about_what,
        edge_mask_type="object",
        model_config={"mode": "multiclass_classification", "task_level": "node", "return_type": "log_probs"},
    )
    rng = np.random.default_rng(1)
    for node in (0, 3, 5, 7, 11):
        [why] = about(model, graph, f"node:{node}")
        values = rng.uniform(size=graph.num_edges).astype(np.float32)
        edges = why.subject.edges  # type: ignore[union-attr]
        mine = evaluate_graph(
            with_values(why, edges=values[edges].tolist()), model=model, input=graph, removal="silence",
            select=Selection(), about=about_what,
        )  # fmt: skip
        mask = torch.from_numpy(values[graph.arcs()[1]])
        with torch.no_grad():
            prediction = model(x, arcs)
        target = torch.from_numpy(labels) if about_what == "phenomenon" else prediction.argmax(1)
        theirs = PyGExplanation(
            x=x, edge_index=arcs, edge_mask=mask, index=torch.tensor([node]), target=target, prediction=prediction,
            _model_args=[],
        )  # fmt: skip
        assert (mine.accuracy_plus[0], mine.accuracy_minus[0]) == metric.fidelity(peer, theirs)
        p = prediction[node].exp().double()
        q = peer.get_masked_prediction(x, arcs, None, mask)[node].exp().double()
        assert mine.unfaithfulness[0] == pytest.approx(1 - float(torch.exp(-(p * (p / q).log()).sum())), abs=1e-6)
        reverse = 1 - float(torch.exp(-(q * (q / p).log()).sum()))
        assert metric.unfaithfulness(peer, theirs) == pytest.approx(reverse, abs=1e-6)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"of": "pixels"}, "of is 'pixels', expected 'edges' or 'nodes'."),
    ({"select": Selection()}, "only messages along edges can be weakened"),
    ({"input": GRAPH}, "expected the explained graph, a path ("),
    ({"model": GCN(1, 2)}, "expected the explained one, Sums ("),
]


@pytest.mark.parametrize(("changed", "says"), REFUSED)
def test_what_does_not_fit_is_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError) as caught:
        evaluate_graph(middle(), **{"model": Sums(), "input": PATH, **changed})
    assert says in str(caught.value)


def test_a_phenomenon_needs_labels() -> None:
    with pytest.raises(SettingError, match="give the graph labels"):
        evaluate_graph(middle(), model=Sums(), input=replace(PATH, labels=None), about="phenomenon")


@pytest.mark.parametrize("given", [{"top": -1}, {"share": 1.5}, {"top": 1, "share": 0.5}, {"by": "luck"}])
def test_a_selection_that_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        Selection(**given)


def test_a_result_says_what_it_is() -> None:
    found = evaluate_graph(middle(), model=Sums(), input=PATH)
    assert isinstance(found, GraphFidelity)
    assert "by delete of edges" in repr(found)
    assert found.to_record()["plus"] == found.plus.tolist()
    with pytest.raises(SettingError):
        found.mean("luck")
