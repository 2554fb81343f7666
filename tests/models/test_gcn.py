"""Our graph network: its levels, its readouts, and a hand computation."""

from typing import Any

import pytest
import torch

from pellucid.errors import SettingError
from pellucid.models.gcn import GCN
from pellucid.models.readouts import READOUTS, readout_of

ARCS = torch.tensor([[0, 1, 1, 2, 3, 4], [1, 0, 2, 1, 4, 3]])
X = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
TWO = torch.tensor([0, 0, 0, 1, 1])


def test_a_node_network_is_the_formula_of_kipf_and_welling() -> None:
    net = GCN(4, 3, hidden=6).eval()
    adjacency = torch.eye(5)
    adjacency[ARCS[1], ARCS[0]] = 1
    half = torch.diag(adjacency.sum(1) ** -0.5)
    normalised = half @ adjacency @ half
    first, second = (each.linear.weight.T for each in net.convolutions)
    expected = normalised @ torch.relu(normalised @ X @ first) @ second
    torch.testing.assert_close(net(X, ARCS), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("level", ["node", "edge", "graph"])
@pytest.mark.parametrize("convolution", ["gcn", "gin", "sage"])
@pytest.mark.parametrize("options", [{}, {"batch_norm": True, "residual": True, "layers": 3, "every_layer": True}])
def test_sparse_and_dense_features_give_the_same_logits(level: Any, convolution: Any, options: dict[str, Any]) -> None:
    net = GCN(4, 3, level=level, convolution=convolution, **options).eval()
    dense, sparse = net(X, ARCS, batch=TWO), net(X.to_sparse(), ARCS, batch=TWO)
    torch.testing.assert_close(dense, sparse, atol=1e-5, rtol=0)
    assert dense.shape == ({"node": 5, "edge": 6, "graph": 2}[level], 3)


@pytest.mark.parametrize("name", READOUTS)
@pytest.mark.parametrize("every_layer", [False, True])
def test_graphs_of_a_batch_do_not_mix(name: Any, every_layer: bool) -> None:
    net = GCN(4, 3, level="graph", readout=name, every_layer=every_layer).eval()
    both = net(X, ARCS, batch=TWO)
    first = net(X[:3], ARCS[:, :4])
    second = net(X[3:], ARCS[:, 4:] - 3)
    torch.testing.assert_close(both, torch.cat([first, second]), atol=1e-6, rtol=0)


def test_readouts_are_what_they_are_called() -> None:
    x = torch.tensor([[1.0, -5.0], [3.0, -1.0], [2.0, 4.0]])
    batch = torch.tensor([0, 0, 1])
    assert readout_of("mean", 2)(x, batch, 2).tolist() == [[2, -3], [2, 4]]
    assert readout_of("sum", 2)(x, batch, 2).tolist() == [[4, -6], [2, 4]]
    assert readout_of("max", 2)(x, batch, 2).tolist() == [[3, -1], [2, 4]]
    attention = readout_of("attention", 2)
    shares = torch.softmax(attention.gate(x[:2])[:, 0], dim=0)
    torch.testing.assert_close(attention(x, batch, 2)[0], shares @ x[:2])


def test_edges_get_a_class_in_both_directions_alike() -> None:
    net = GCN(4, 3, level="edge").eval()
    pairs = torch.tensor([[0, 2], [2, 0]])
    found = net(X, ARCS, pairs=pairs)
    torch.testing.assert_close(found[0], found[1])


def test_dropout_of_sparse_features_drops_and_rescales_only_in_training() -> None:
    net = GCN(4, 3, dropout=0.5)
    net.train()
    torch.manual_seed(0)
    one, other = net(X.to_sparse(), ARCS), net(X.to_sparse(), ARCS)
    assert not torch.equal(one, other)
    net.eval()
    assert torch.equal(net(X.to_sparse(), ARCS), net(X.to_sparse(), ARCS))


def test_residual_adds_the_input_of_a_layer_where_sizes_agree() -> None:
    torch.manual_seed(1)
    plain = GCN(4, 2, hidden=4, layers=2, residual=False).eval()
    added = GCN(4, 2, hidden=4, layers=2, residual=True).eval()
    added.load_state_dict(plain.state_dict())
    first = torch.relu(plain.convolutions[0](X, ARCS)) + X
    torch.testing.assert_close(added(X, ARCS), added.convolutions[1](first, ARCS))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"hidden": 0}, "hidden is 0, expected a whole number, 1 or more"),
    ({"level": "nodes"}, "level is 'nodes', expected 'node' or 'edge' or 'graph'"),
    ({"convolution": "gat"}, "convolution is 'gat'"),
    ({"dropout": 1.0}, "dropout is 1.0, expected 0 or more and below 1"),
    ({"level": "graph", "readout": "median"}, "readout is 'median', expected 'mean', 'sum', 'max' or 'attention'"),
]


@pytest.mark.parametrize(("given", "said"), WRONG, ids=[said[:12] for _, said in WRONG])
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        GCN(4, 3, **given)


@pytest.mark.parametrize(
    "settings", [{"batch_norm": 10**9}, {"residual": "no"}, {"every_layer": 1}, {"dropout": "half"}, {"dropout": True}]
)
def test_a_switch_is_true_or_false_and_dropout_a_number(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=next(iter(settings))):
        GCN(4, 2, **settings)


def test_a_list_is_the_name_of_no_readout() -> None:
    with pytest.raises(SettingError, match="readout is"):
        readout_of(["mean"], 4)  # type: ignore[arg-type]
