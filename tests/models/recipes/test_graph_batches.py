"""Batches of graphs, beside the graphs one by one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import InputError
from pellucid.inputs.graph import Graph
from pellucid.models.gcn import GCN
from pellucid.models.graph_arguments import arguments_of
from pellucid.models.recipes.graph_batches import GraphStock, parted, stratified


def some_graphs() -> list[Graph]:
    chance = np.random.default_rng(0)
    found = []
    for nodes, edges in ((4, [(0, 1), (1, 2), (3, 3)]), (1, []), (3, [(0, 2)]), (5, [(0, 1), (1, 2), (2, 3), (3, 4)])):
        features = chance.normal(size=(nodes, 2)).astype(np.float32)
        found.append(Graph(edges=np.array(edges).reshape(-1, 2), num_nodes=nodes, features=features))
    return found


@settings(deadline=None, max_examples=30)
@given(numbers=st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_a_batch_is_what_the_same_graphs_are_as_arguments(numbers: list[int]) -> None:
    graphs = some_graphs()
    found = GraphStock.of(graphs).batch(torch.tensor(numbers))
    expected = arguments_of(GCN(2, 1), [graphs[number] for number in numbers])
    assert torch.equal(found.x, expected.x)
    assert torch.equal(found.edge_index, expected.edge_index)
    assert torch.equal(found.batch, expected.batch)
    firsts = [0, 4, 5, 8]
    assert found.nodes.tolist() == [
        firsts[number] + node for number in numbers for node in range(graphs[number].num_nodes)
    ]


def test_making_a_stock_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    assert len(GraphStock.of(some_graphs())) == 4
    assert torch.equal(before, torch.get_rng_state())


def test_graphs_without_features_are_refused() -> None:
    with pytest.raises(InputError, match=r"graph 4 has no features \(1 of 5\)"):
        GraphStock.of([*some_graphs(), Graph(edges=[(0, 1)])])


@given(count=st.integers(1, 50), size=st.integers(1, 20))
def test_parts_hold_each_number_once_and_are_nearly_equal(count: int, size: int) -> None:
    parts = parted(count, size, torch.Generator().manual_seed(0))
    assert sorted(torch.cat(parts).tolist()) == list(range(count))
    sizes = [len(part) for part in parts]
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


@given(labels=st.lists(st.integers(0, 2), min_size=10, max_size=80), parts=st.integers(2, 10))
def test_each_part_has_its_share_of_each_class(labels: list[int], parts: int) -> None:
    array = np.array(labels)
    found = stratified(array, parts, seed=0)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(labels)))
    for label in set(labels):
        shares = [int((array[part] == label).sum()) for part in found]
        assert max(shares) - min(shares) <= 1
    again = stratified(array, parts, seed=0)
    assert all((one == other).all() for one, other in zip(found, again, strict=True))
