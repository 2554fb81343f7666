"""Curves of fidelity over the share of edges or nodes, beside orders of chance."""

from typing import Any

import numpy as np
import pytest
import torch

import graph_models as samples
import pellucid
from pellucid.errors import SettingError
from pellucid.inputs.graph import Graph
from pellucid.metrics.graph_curves import graph_curves
from pellucid.models.gcn import GCN

GRAPH = samples.graph()


def explained(model: Any, *targets: str, method: str = "occlusion(of=edges)") -> list[Any]:
    return list(pellucid.explain_many(model, [GRAPH], methods=[method], targets=targets))


@pytest.mark.parametrize("of", ["edges", "nodes"])
@pytest.mark.parametrize("direction", ["keep", "remove"])
def test_the_ends_of_a_curve_are_the_whole_graph_and_the_bare_target(of: Any, direction: str) -> None:
    model = samples.node_models()["gcn"]
    several = explained(model, "node:0", "node:3", method="occlusion")
    found = graph_curves(several, model=model, input=GRAPH, of=of, direction=direction, orders=3)
    lonely = Graph(edges=[], num_nodes=samples.NODES, features=GRAPH.features)
    full, bare = (
        found.explained[:, -1 if direction == "keep" else 0],
        found.explained[:, 0 if direction == "keep" else -1],
    )
    for number, each in enumerate(several):
        [kind] = each.target.classes
        alone = pellucid.explain(model, lonely, method="saliency", target=f"node:{each.target.nodes[0]}/class:{kind}")
        # Without their ring of further edges, kept subsets of the neighbourhood are a little less than the whole.
        if direction == "remove":
            assert full[number] == pytest.approx(np.exp(each.logits - _lse(each.logits))[kind], abs=1e-6)
        if direction == "keep":
            assert bare[number] == pytest.approx(np.exp(alone.logits - _lse(alone.logits))[kind], abs=1e-6)
    np.testing.assert_allclose(found.chance[:, :, 0], np.broadcast_to(found.explained[:, 0], (3, 2)), atol=1e-6)
    np.testing.assert_allclose(found.chance[:, :, -1], np.broadcast_to(found.explained[:, -1], (3, 2)), atol=1e-6)


def _lse(logits: np.ndarray) -> float:
    return float(np.logaddexp.reduce(logits))


def test_what_was_measured_by_removal_beats_chance_at_removal() -> None:
    torch.manual_seed(1)
    model = GCN(samples.FEATURES, samples.CLASSES)
    found = graph_curves(explained(model, "node:*"), model=model, input=GRAPH, direction="remove", orders=10)
    assert found.beats_chance == 1
    assert found.area < found.chance_interval.mean()
    assert "chance" in repr(found)
    assert found.to_record()["direction"] == "remove"


def test_company_and_order_do_not_matter() -> None:
    model = samples.node_models()["sage"]
    several = explained(model, "node:0", "node:3", "node:5")
    together = graph_curves(several, model=model, input=GRAPH, orders=2)
    for number, each in enumerate(several):
        alone = graph_curves(each, model=model, input=GRAPH, orders=2)
        np.testing.assert_allclose(together.explained[number], alone.explained[0], atol=1e-6)
        np.testing.assert_allclose(together.chance[:, number], alone.chance[:, 0], atol=1e-6)


@pytest.mark.parametrize(
    "given", [{"shares": (0.5,)}, {"shares": (1.0, 0.0)}, {"orders": 0}, {"direction": "up"}, {"by": "luck"}]
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any]) -> None:
    model = samples.node_models()["gcn"]
    with pytest.raises(SettingError):
        graph_curves(explained(model, "node:0"), model=model, input=GRAPH, **given)
