"""The matrices of a graph: adjacency and its normalisations. Sparse throughout."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.errors import SettingError

if TYPE_CHECKING:
    from pellucid.inputs.graph import Graph

NORMALISATIONS = ("symmetric", "row", "none")


def adjacency(graph: "Graph", *, self_loops: bool) -> scipy.sparse.csr_array:
    """A, or A + I for nodes without a loop of their own; see `Graph.adjacency`."""
    (senders, receivers), numbers = graph.arcs()
    weights = np.ones(len(numbers)) if graph.edge_weights is None else graph.edge_weights[numbers].astype(np.float64)
    if self_loops:
        # As PyG's add_remaining_self_loops: a loop that is there keeps its weight.
        without = np.setdiff1d(np.arange(graph.num_nodes), senders[senders == receivers])
        senders, receivers = np.concatenate([senders, without]), np.concatenate([receivers, without])
        weights = np.concatenate([weights, np.ones(len(without))])
    shape = (graph.num_nodes, graph.num_nodes)
    return scipy.sparse.csr_array((weights, (senders, receivers)), shape=shape)


def normalised_adjacency(graph: "Graph", *, normalisation: str, self_loops: bool) -> scipy.sparse.csr_array:
    """Â, with the messages that a node receives in its row; see `Graph.normalised_adjacency`."""
    if normalisation not in NORMALISATIONS:
        raise SettingError("normalisation", given=normalisation, expected="'symmetric', 'row' or 'none'")
    received = adjacency(graph, self_loops=self_loops).T.tocsr()
    if normalisation == "none":
        return received
    degrees = np.asarray(received.sum(axis=1)).ravel()
    if normalisation == "row":
        return (scipy.sparse.diags_array(_power(degrees, -1.0)) @ received).tocsr()
    half = scipy.sparse.diags_array(_power(degrees, -0.5))
    return (half @ received @ half).tocsr()


def _power(degrees: npt.NDArray[np.float64], exponent: float) -> npt.NDArray[np.float64]:
    """Degrees to a negative power; 0 stays 0, since a node of degree zero receives nothing."""
    result = np.zeros_like(degrees)
    np.power(degrees, exponent, out=result, where=degrees > 0)
    return result
