"""What is left of a graph: the same logits as those of the graph that is really left, made and run by itself."""

import numpy as np
import pytest
import torch
from torch import nn

import graph_models as samples
from pellucid.capture.graph_asks import Aim
from pellucid.capture.graph_engine import WholePass, whole_pass
from pellucid.capture.graph_remains import Of, Remains, Removal, logits_of_remains
from pellucid.capture.unions import neighbourhoods, whole_graphs
from pellucid.inputs.graph import Graph
from pellucid.models.gcn import GCN
from pellucid.models.graph_arguments import arguments_of

GRAPH = samples.graph()
WEIGHTS = torch.eye(samples.CLASSES)[0]
FIELDS = ("block", "node", "hops", "arcs", "arc", "target")


@pytest.fixture(scope="module")
def models() -> dict[str, nn.Module]:
    return {name: model.eval() for name, model in samples.node_models().items()}


def passed(model: nn.Module, *graphs: Graph) -> WholePass:
    return whole_pass(model, arguments_of(model, list(graphs)))


def subsets(places: int, count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.sort(rng.permutation(places)[: rng.integers(0, places + 1)]) for _ in range(count)]


def wanted(node: int, places: np.ndarray, *, only: bool) -> Remains:
    aim = Aim(nodes=(node,), graph=0, weights=WEIGHTS)
    return Remains(aim=aim, places=places, factors=np.full(len(places), float(only)), elsewhere=float(not only))


@pytest.mark.parametrize("name", samples.NODE_MODELS)
@pytest.mark.parametrize("only", [True, False])
def test_deleted_edges_are_really_gone(models: dict[str, nn.Module], name: str, only: bool) -> None:
    chosen = subsets(GRAPH.num_edges, 8)
    nodes = [0, 3, 3, 1, 38, 5, 0, 7]
    asked = [wanted(node, places, only=only) for node, places in zip(nodes, chosen, strict=True)]
    found = logits_of_remains(passed(models[name], GRAPH), asked, of="edges", removal="delete")
    for node, places, row in zip(nodes, chosen, found, strict=True):
        kept = np.zeros(GRAPH.num_edges, dtype=bool)
        kept[places] = True
        kept = kept if only else ~kept
        left = Graph(edges=GRAPH.edges[kept], num_nodes=samples.NODES, features=GRAPH.features)
        torch.testing.assert_close(row, passed(models[name], left).answer.logits[node], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["gcn", "gin", "pyg-gcn", "pyg-gat", "pyg-parallel"])
@pytest.mark.parametrize("only", [True, False])
def test_deleted_nodes_take_their_edges_along_and_the_target_stays(
    models: dict[str, nn.Module], name: str, only: bool
) -> None:
    chosen = subsets(samples.NODES, 6)
    nodes = [0, 3, 3, 1, 38, 5]
    asked = [wanted(node, places, only=only) for node, places in zip(nodes, chosen, strict=True)]
    found = logits_of_remains(passed(models[name], GRAPH), asked, of="nodes", removal="delete")
    for node, places, row in zip(nodes, chosen, found, strict=True):
        kept = np.zeros(samples.NODES, dtype=bool)
        kept[places] = True
        kept = kept if only else ~kept
        kept[node] = True
        place = np.cumsum(kept) - 1
        edges = GRAPH.edges[kept[GRAPH.edges].all(axis=1)]
        left = Graph(edges=place[edges], num_nodes=int(kept.sum()), features=GRAPH.features[kept])
        torch.testing.assert_close(row, passed(models[name], left).answer.logits[place[node]], atol=1e-5, rtol=0)


def test_silenced_edges_are_zeros_in_the_normalised_matrix(models: dict[str, nn.Module]) -> None:
    model = models["gcn"]
    chosen = subsets(GRAPH.num_edges, 5)
    asked = [wanted(3, places, only=False) for places in chosen]
    found = logits_of_remains(passed(model, GRAPH), asked, of="edges", removal="silence")
    first, second = model.convolutions  # type: ignore[union-attr,misc]
    for places, row in zip(chosen, found, strict=True):
        matrix = torch.from_numpy(GRAPH.normalised_adjacency().toarray()).float()
        one, other = torch.from_numpy(GRAPH.edges[places]).T
        matrix[one, other] = matrix[other, one] = 0
        hidden = torch.relu(matrix @ torch.from_numpy(GRAPH.features.copy()) @ first.linear.weight.T + first.bias)
        expected = (matrix @ hidden @ second.linear.weight.T + second.bias)[3]
        torch.testing.assert_close(row, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("removal", ["delete", "silence"])
@pytest.mark.parametrize("of", ["edges", "nodes"])
def test_many_at_once_are_as_one_by_one(models: dict[str, nn.Module], of: Of, removal: Removal) -> None:
    places = GRAPH.num_edges if of == "edges" else samples.NODES
    nodes = [0, 3, 3, 1, 0, 7]
    asked = [wanted(node, each, only=node == 3) for node, each in zip(nodes, subsets(places, 6), strict=True)]
    whole = passed(models["pyg-sage"], GRAPH)
    together = logits_of_remains(whole, asked, of=of, removal=removal)
    alone = torch.cat([logits_of_remains(whole, [each], of=of, removal=removal) for each in asked])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_a_graph_that_loses_all_nodes_keeps_one_bare_one() -> None:
    torch.manual_seed(0)
    model = GCN(samples.FEATURES, 3, level="graph")
    graphs = [samples.graph(seed, nodes=9, edges=12) for seed in range(2)]
    nothing = np.zeros(0, dtype=np.int64)
    aims = [Aim(nodes=(), graph=number, weights=WEIGHTS) for number in (1, 0)]
    asked = [Remains(aim=aim, places=nothing, factors=np.zeros(0), elsewhere=0.0) for aim in aims]
    found = logits_of_remains(passed(model, *graphs), asked, of="nodes", removal="delete")
    bare = Graph(edges=[], num_nodes=1, features=np.zeros((1, samples.FEATURES)))
    torch.testing.assert_close(found, passed(model, bare).answer.logits.expand(2, -1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("targets", [[[0], [3], [38]], [[0, 1], [3, 7], [2, 2]]])
def test_copies_of_blocks_are_what_a_new_search_would_find(targets: list[list[int]]) -> None:
    arcs, aims, which = GRAPH.arcs()[0], np.array(targets), np.array([2, 0, 0, 1, 2])
    copied = neighbourhoods(arcs, nodes=samples.NODES, targets=aims, depth=2).repeated(which)
    searched = neighbourhoods(arcs, nodes=samples.NODES, targets=aims[which], depth=2)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(copied, name), getattr(searched, name), err_msg=name)


def test_copies_of_whole_graphs_are_what_a_new_search_would_find() -> None:
    arcs, membership, which = np.array([[0, 1, 3, 4], [1, 0, 4, 3]]), np.array([0, 0, 1, 2, 2]), np.array([2, 0, 1, 2])
    copied = whole_graphs(arcs, membership=membership, chosen=np.arange(3)).repeated(which)
    searched = whole_graphs(arcs, membership=membership, chosen=which)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(copied, name), getattr(searched, name), err_msg=name)
