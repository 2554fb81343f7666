"""How the features of a graph are prepared for a model that was trained on prepared ones: from a graph to a graph."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse

from pellucid.errors import SettingError, did_you_mean
from pellucid.inputs.graph import Graph
from pellucid.inputs.mesh_features import surface_features


def with_features(graph: Graph, features: Any, *, feature_names: tuple[str, ...] | None) -> Graph:
    """The same graph with other features."""
    return replace(graph, features=features, feature_names=feature_names)


def row_normalised(graph: Graph) -> Graph:
    """The same graph, the absolute features of each node summing to 1; rows of zeros stay. Sparse features stay sparse.

    Done twice it changes nothing more.
    """
    if graph.featureless:
        return graph
    sums = np.asarray(abs(graph.features).sum(axis=1), dtype=np.float64).ravel()
    factors = np.divide(1.0, sums, out=np.zeros_like(sums), where=sums > 0)
    if scipy.sparse.issparse(graph.features):
        features = scipy.sparse.csr_array(graph.features.multiply(factors[:, np.newaxis]).astype(np.float32))
    else:
        features = (graph.features * factors[:, np.newaxis]).astype(np.float32)
    return with_features(graph, features, feature_names=graph.feature_names)


PREPARATIONS: Mapping[str, Callable[[Graph], Graph]] = {
    "row-normalised": row_normalised,
    "surface-features": surface_features,
}
"""What a model card may name as `preparation`."""


def prepared(graph: Graph, preparation: str | None) -> Graph:
    """A graph as a model was trained on it.

    Args:
        graph: The graph as it was read.
        preparation: What the model card says under `preparation`; None leaves the graph as it is.

    Raises:
        SettingError: No preparation has this name.
        InputError: The preparation needs a surface, and the graph has none.
    """
    if preparation is None:
        return graph
    if preparation not in PREPARATIONS:
        known = " or ".join(map(repr, PREPARATIONS))
        raise SettingError(
            "preparation", given=preparation, expected=known + did_you_mean(preparation, [*PREPARATIONS])
        )
    return PREPARATIONS[preparation](graph)
