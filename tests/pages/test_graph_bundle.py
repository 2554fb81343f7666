from pathlib import Path

import numpy as np
import pytest
import torch
from tests.pages.graphs import four_nodes, made, network, ring

import graph_models as samples
from pellucid.errors import ArchiveError, MethodError, SettingError, TargetError
from pellucid.models.gcn import GCN
from pellucid.models.loading import load
from pellucid.pages.bundle import Bundle
from pellucid.pages.graph_bundle import METHODS, GraphBundle, make_graph_bundle
from pellucid.pages.page import render


def test_what_is_saved_is_loaded_as_a_bundle_of_a_graph(tmp_path: Path) -> None:
    bundle = made()
    loaded = Bundle.load(bundle.save(tmp_path / "b"))
    assert isinstance(loaded, GraphBundle)
    assert loaded.record["about"] == "graph"
    assert loaded.graph.digest == bundle.graph.digest == four_nodes().digest
    assert all(one.same_as(other) for one, other in zip(bundle.explanations, loaded.explanations, strict=True))
    assert render(loaded) == render(bundle)


def test_explanations_are_those_of_explain() -> None:
    bundle = made()
    assert tuple(each.method for each in bundle.explanations) == METHODS
    graph = four_nodes()
    import pellucid

    for mine in bundle.explanations:
        alone = pellucid.explain(network(graph), graph, method=mine.method, target="node:2")
        np.testing.assert_array_equal(mine.values, alone.values)


@pytest.mark.parametrize("target", ["node:2", "node:2/class:1", "node:2/contrast:0,1"])
def test_senders_shares_and_the_bias_sum_to_the_value_and_the_logits_are_the_models(target: str) -> None:
    bundle = made(target=target)
    [steps] = bundle.record["steps"]
    assert steps["answers"]
    for layer in steps["layers"]:
        shares = np.array([row["shares"] for row in layer["rows"]])
        np.testing.assert_allclose(shares.sum(0), layer["transformed"], atol=1e-12)
        np.testing.assert_allclose(np.add(layer["transformed"], layer["bias"]), layer["value"], atol=1e-12)
    np.testing.assert_allclose(steps["layers"][-1]["value"], bundle.explanations[0].logits, atol=1e-6)


@pytest.mark.parametrize(
    ("level", "target"), [("node", "node:2/contrast:0,1"), ("graph", "graph"), ("graph", "class:1")]
)
def test_what_flows_sums_to_the_explained_score(level: str, target: str) -> None:
    bundle = made(target=target, settings={"level": level})
    flow, why = bundle.record["flow"], bundle.explanations[0]
    assert flow["sum"] == pytest.approx(why.score, abs=1e-6)
    assert bundle.arrays["flow nodes"].sum() + sum(flow["biases"]) == pytest.approx(why.score, abs=1e-6)
    assert bundle.arrays["flow features"].sum() == pytest.approx(bundle.arrays["flow nodes"].sum())


def test_rows_of_a_readout_sum_to_the_pooled_vector_and_their_shares_to_the_score() -> None:
    bundle = made(ring(), target="graph/class:1", settings={"level": "graph", "hidden": 12})
    found = bundle.record["readout"]
    parts = np.array([row["parts"] for row in found["rows"]]).sum(0) + found["others"]["parts"]
    np.testing.assert_allclose(parts, found["pooled"], atol=1e-12)
    shares = sum(row["share"] for row in found["rows"]) + found["others"]["share"]
    assert shares + found["bias"] == pytest.approx(bundle.explanations[0].score, abs=1e-6)
    assert len(found["channels"]) == 8
    assert found["more_channels"] == 4


def test_a_network_for_edges_shows_both_ends_and_no_logits_among_their_values() -> None:
    # As many edges as nodes: rows of logits are not those of nodes.
    bundle = made(target="edge:0-2", settings={"level": "edge"})
    assert [steps["node"] for steps in bundle.record["steps"]] == [0, 2]
    assert not any(steps["answers"] for steps in bundle.record["steps"])
    assert "multiplied" in bundle.record["flow_unknown"]


def test_a_network_whose_steps_are_not_known_says_so_and_lists_its_sites() -> None:
    model = load(samples.node_models()["gin"].eval())
    bundle = make_graph_bundle(model, samples.graph(), target="node:3", methods=["saliency"])
    assert bundle.record["steps"] == []
    assert "no chain of graph convolutions" in bundle.record["steps_unknown"]
    assert "message arcs" not in bundle.arrays
    assert len(bundle.record["sites"]) > 5


def test_the_known_label_is_kept_where_it_is_a_class() -> None:
    assert made().record["true_class"] == 1
    assert made(target="node:3").record["true_class"] is None
    assert made(four_nodes(label=1), target="graph", settings={"level": "graph"}).record["true_class"] == 1
    assert made(four_nodes(label=2.5), target="graph", settings={"level": "graph"}).record["true_class"] is None


def test_occlusion_is_left_out_unasked_where_it_would_take_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.pages.graph_bundle._COPIES", 10)
    [left] = made().record["methods_left_out"]
    assert left["method"] == "occlusion"
    assert "copies of the graph" in left["reason"]


def test_a_model_is_left_as_it_was() -> None:
    graph = four_nodes()
    model = network(graph)
    before = samples.state_of(model.module)
    make_graph_bundle(model, graph, target="node:2")
    samples.assert_same_state(before, samples.state_of(model.module))


def test_values_beyond_the_limit_are_not_kept_and_the_page_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    import pellucid.capture.graph_trace as tracing
    from pellucid.errors import CapacityError

    whole = tracing.trace_graph

    def small(*given: object, keep: str = "values", **rest: object) -> object:
        if keep == "values":
            raise CapacityError("the values of 5 sites for 1 graph take 9.00 GB, more than the limit of 4.00 GB; no.")
        return whole(*given, keep=keep, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr("pellucid.pages.graph_bundle.trace_graph", small)
    bundle = made()
    assert bundle.record["steps_unknown"].endswith("more than the limit of 4.00 GB")
    assert "more than the limit of 4.00 GB" in render(bundle)


def test_what_cannot_be_asked_is_refused() -> None:
    graph = four_nodes()
    with pytest.raises(TargetError, match="answers for nodes; write node:0"):
        make_graph_bundle(network(graph), graph, target="graph")
    with pytest.raises(SettingError, match="a list with at least one method"):
        make_graph_bundle(network(graph), graph, target="node:2", methods="saliency")
    with pytest.raises(MethodError, match="no method"):
        make_graph_bundle(network(graph), graph, target="node:2", methods=["guided-backpropagation"])


def test_a_damaged_bundle_of_a_graph_is_refused(tmp_path: Path) -> None:
    bundle = made(methods=["saliency"])
    lacking = GraphBundle(record={k: v for k, v in bundle.record.items() if k != "facts"}, arrays=bundle.arrays)
    with pytest.raises(ArchiveError, match="lacks facts"):
        Bundle.load(lacking.save(tmp_path / "b"))


def test_long_vectors_are_cut_to_what_has_an_effect_and_the_rest_is_summed() -> None:
    bundle = made(ring(), target="node:0", settings={"hidden": 20})
    first, last = bundle.record["steps"][0]["layers"]
    # Without features, only those who send have an effect.
    assert len(first["channels"]) == 6
    assert len(first["outputs"]) == 8
    assert first["more_outputs"] == 12
    whole = np.array(first["value"])
    trace_value = _value_of(bundle)
    assert whole[-1] == pytest.approx(trace_value.sum() - trace_value[first["outputs"]].sum())
    assert len(first["rows"]) <= 10
    assert last["more_outputs"] == 0


def _value_of(bundle: GraphBundle) -> np.ndarray:
    graph = bundle.graph
    module = network(ring(), hidden=20).module
    assert isinstance(module, GCN)
    arcs = torch.from_numpy(graph.arcs()[0])
    x = torch.from_numpy(graph.features.toarray())
    with torch.no_grad():
        found: np.ndarray = module.convolutions[0](x, arcs)[0].double().numpy()
    return found
