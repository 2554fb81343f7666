"""Small graphs and networks for the tests of pages about graphs."""

from typing import Any

import numpy as np
import torch

from pellucid.inputs.graph import Graph
from pellucid.models.gcn import GCN
from pellucid.models.model import Model
from pellucid.models.preprocessing import Preprocessing
from pellucid.pages.graph_bundle import GraphBundle, make_graph_bundle


def four_nodes(**changes: Any) -> Graph:
    """A triangle with a tail: small enough for every number to be on the page."""
    given: dict[str, Any] = {
        "edges": [(0, 1), (1, 2), (2, 3), (0, 2)],
        "features": np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 2.0]]),
        "labels": [0, 1, 1, -1],
        "name": "four",
    }
    return Graph(**{**given, **changes})


def ring(nodes: int = 30, **changes: Any) -> Graph:
    """A ring with chords and without features: too large for numbers, small enough to be drawn whole."""
    edges = [(node, (node + 1) % nodes) for node in range(nodes)] + [(0, node) for node in range(2, nodes - 1, 4)]
    return Graph(**{"edges": edges, "num_nodes": nodes, "name": "ring", **changes})


def network(graph: Graph, *, classes: int = 2, seed: int = 3, **settings: Any) -> Model:
    """A GCN with random weights and biases, as `pellucid.load` would give it."""
    torch.manual_seed(seed)
    module = GCN(graph.num_features, classes, **{"hidden": 3, **settings}).eval()
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
    return Model(module=module, name="net", preprocessing=Preprocessing.none(), class_names=None, source="net.py:build")


def made(graph: Graph | None = None, *, target: str = "node:2", settings: Any = None, **changes: Any) -> GraphBundle:
    """A bundle of the four nodes, or of another graph."""
    graph = four_nodes() if graph is None else graph
    return make_graph_bundle(network(graph, **(settings or {})), graph, target=target, **changes)
