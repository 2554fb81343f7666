"""The area under the ROC curve against known edges, and that its protocol decides."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid
from pellucid.errors import InputError, SettingError
from pellucid.inputs.graph import Graph
from pellucid.methods.explanation import Explanation
from pellucid.methods.parts import Part
from pellucid.metrics.edge_truth import TruthProtocol, area_under_roc, edge_truth_auc
from pellucid.models.gcn import GCN

# Two triangles of true edges joined by one edge, with a loop: 0-1-2 and 3-4-5.
EDGES = [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (4, 5), (0, 0)]
TRUE = [True, True, True, False, True, True, True, False]
GRAPH = Graph(edges=EDGES, features=np.eye(6), edge_truth=TRUE, name="two triangles")
MODEL = GCN(6, 2)


def explained(node: int, *values: float) -> Explanation:
    why = pellucid.explain(MODEL, GRAPH, method="saliency", target=f"node:{node}")
    found = np.asarray(values, dtype=np.float32)
    return replace(why, parts=(Part(name="edges", place="input", axes=("edges",), values=found),))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=12))
def test_the_area_is_the_share_of_pairs_in_order(pairs: list[tuple[int, bool]]) -> None:
    values, true = np.array([value for value, _ in pairs], dtype=float), np.array([hit for _, hit in pairs])
    counted = [1.0 if one > other else 0.5 if one == other else 0.0 for one in values[true] for other in values[~true]]
    area = area_under_roc(values, true)
    assert np.isnan(area) if not counted else area == pytest.approx(np.mean(counted))


def test_node_0_sees_its_triangle_and_what_hangs_on_it() -> None:
    # Edges that reach node 0 within two layers: its triangle, 2-3, and its loop.
    why = explained(0, 3, 1, 2, 1, 9)
    assert why.subject.edges.tolist() == [0, 1, 2, 3, 7]  # type: ignore[union-attr]
    score = edge_truth_auc(why, input=GRAPH)
    assert (score.edges, score.true_edges) == (4, 3)
    assert score.auc == pytest.approx((1 + 0.5 + 1) / 3)
    assert "2 of" not in repr(score)


def test_the_protocol_decides() -> None:
    why = explained(0, -3, 1, 2, 1.5, 9)

    def area(**settings: Any) -> float:
        return edge_truth_auc(why, input=GRAPH, protocol=TruthProtocol(**settings)).auc

    assert area() == pytest.approx(1 / 3)
    assert area(by="magnitude") == pytest.approx(2 / 3)
    assert area(self_loops=True) == pytest.approx(1 / 6)
    with pytest.raises(InputError, match="3 of 3 edges are true"):
        area(hops=1)


def test_edges_out_of_reach_count_where_the_protocol_says_so() -> None:
    # From node 2 everything is within two hops; 4-5 lies between two outermost nodes.
    plain = edge_truth_auc(explained(2, 1, 1, 1, 0.5, 1, 1, 0.2), input=GRAPH)
    wide = edge_truth_auc(explained(2, 1, 1, 1, 0.5, 1, 1, 0.2), input=GRAPH, protocol=TruthProtocol(unreachable=True))
    assert (plain.edges, plain.auc) == (6, 1)
    assert (wide.edges, wide.auc) == (7, pytest.approx(5 / 6))


def test_over_all_and_over_each_are_different_numbers() -> None:
    several = [explained(0, 3, 3, 3, 1, 0), explained(2, 30, 30, 30, 20, 30, 30, 0)]
    all_of_them = edge_truth_auc(several, input=GRAPH)
    each = edge_truth_auc(several, input=GRAPH, protocol=TruthProtocol(over="each"))
    assert each.auc == 1
    assert all_of_them.auc == pytest.approx((8 * 2 - 3) / 16)
    assert each.to_record()["protocol"]["over"] == "each"


def test_what_does_not_fit_is_refused() -> None:
    why = explained(0, 3, 1, 2, 1, 9)
    with pytest.raises(InputError, match="has no edge_truth"):
        edge_truth_auc(why, input=replace(GRAPH, edge_truth=None))
    with pytest.raises(SettingError, match="expected the explained graph, two triangles"):
        edge_truth_auc(why, input=Graph(edges=[(0, 1)], name="another"))
    for wrong in ({"over": "some"}, {"hops": 0}, {"by": "luck"}):
        with pytest.raises(SettingError):
            TruthProtocol(**wrong)  # type: ignore[arg-type]
