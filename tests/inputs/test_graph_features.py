"""Preparing features: sums, sparseness, names."""

import numpy as np
import pytest
import scipy.sparse

from pellucid.errors import InputError, SettingError
from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_features import PREPARATIONS, prepared, row_normalised
from pellucid.inputs.karate import karate_club

ROWS = np.array([[2.0, 0, 2], [0, 0, 0], [0, -3, 1]], dtype=np.float32)
EXPECTED = [[0.5, 0, 0.5], [0, 0, 0], [0, -0.75, 0.25]]


def graph(features: object) -> Graph:
    return Graph(edges=[(0, 1), (1, 2)], features=features, labels=np.array([0, 1, 1]), feature_names=("a", "b", "c"))


def test_rows_sum_to_one_and_rows_of_zeros_stay() -> None:
    assert row_normalised(graph(ROWS)).features.tolist() == EXPECTED


def test_sparse_features_stay_sparse_and_are_the_same() -> None:
    found = row_normalised(graph(scipy.sparse.csr_array(ROWS)))
    assert scipy.sparse.issparse(found.features)
    assert found.features.dtype == np.float32
    assert found.features.toarray().tolist() == EXPECTED


def test_everything_else_is_kept_and_a_second_time_changes_nothing() -> None:
    first = row_normalised(graph(ROWS))
    assert first.feature_names == ("a", "b", "c")
    assert first.labels.tolist() == [0, 1, 1]
    assert row_normalised(first).digest == first.digest


def test_the_identity_is_normalised_already() -> None:
    club = karate_club()
    assert row_normalised(club) is club


def test_nothing_is_prepared_where_the_card_says_nothing() -> None:
    one = graph(ROWS)
    assert prepared(one, None) is one
    assert prepared(one, "row-normalised").digest == row_normalised(one).digest


def test_an_unknown_preparation_gets_the_nearest() -> None:
    with pytest.raises(SettingError, match="'row-normalised' or 'surface-features'; did you mean 'row-normalised'"):
        prepared(graph(ROWS), "row-normalized")


def test_what_needs_a_surface_says_so() -> None:
    assert "surface-features" in PREPARATIONS
    with pytest.raises(InputError, match="'graph' is no mesh, and features of a surface need one; read an OBJ"):
        prepared(graph(ROWS), "surface-features")
