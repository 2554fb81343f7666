"""Neighbourhoods in a union: exact, with the weights of the whole graph, and no trace on the model."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import graph_models as samples
import pellucid
from pellucid.capture import passes
from pellucid.capture.graph_asks import Aim, Blocks, union_of
from pellucid.capture.graph_engine import Deleted, GraphRun, WholePass, whole_pass, without
from pellucid.capture.graph_settling import settled
from pellucid.capture.unions import neighbourhoods, whole_graphs
from pellucid.errors import ModelError, OutputError
from pellucid.inputs.graph import Graph
from pellucid.models.gcn import GCN
from pellucid.models.graph_arguments import arguments_of

GRAPH = samples.graph()


@pytest.fixture(scope="module")
def models() -> dict[str, nn.Module]:
    return samples.node_models()


def whole_of(model: nn.Module, *graphs: Graph) -> WholePass:
    return whole_pass(model, arguments_of(model, list(graphs or (GRAPH,))))


def cut(whole: WholePass, nodes: list[int]) -> GraphRun:
    targets = np.array(nodes)[:, None]
    union = neighbourhoods(
        whole.arguments.edge_index.numpy(), nodes=whole.arguments.nodes, targets=targets, depth=whole.depth
    )
    return GraphRun(whole, union)


@pytest.mark.parametrize("name", samples.NODE_MODELS)
@pytest.mark.parametrize("directed", [False, True], ids=["undirected", "directed"])
def test_the_neighbourhood_gives_the_answer_of_the_whole_graph(
    models: dict[str, nn.Module], name: str, directed: bool
) -> None:
    whole = whole_of(models[name], samples.graph(3, directed=directed))
    nodes = [*range(samples.NODES), 0, 5]  # a node may be asked twice
    with cut(whole, nodes) as run, torch.no_grad():
        found = run.logits()
    torch.testing.assert_close(found, whole.answer.logits[nodes], atol=1e-6, rtol=1e-6)
    assert len(run.union.node) < len(nodes) * samples.NODES


@pytest.mark.parametrize("name", samples.NODE_MODELS)
def test_the_whole_pass_gives_the_answer_of_the_model(models: dict[str, nn.Module], name: str) -> None:
    model = models[name].eval()
    whole = whole_of(model)
    arguments = arguments_of(model, [GRAPH])
    if name != "pyg-gcn-cached":  # that one would remember this graph
        with torch.no_grad():
            plain = model(arguments.x, arguments.edge_index)
        shown = whole.answer.logits.log_softmax(1) if whole.answer.looked_through else whole.answer.logits
        torch.testing.assert_close(shown, plain, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("name", "hops"), [("gcn", 2), ("gcn-deep", 3), ("pyg-gat", 2), ("pyg-parallel", 2)])
def test_hops_are_counted_along_the_way_to_the_answer(models: dict[str, nn.Module], name: str, hops: int) -> None:
    assert whole_of(models[name]).depth == hops


@pytest.mark.parametrize("name", samples.NODE_MODELS)
def test_a_mask_of_ones_changes_nothing_and_one_of_zeros_does(models: dict[str, nn.Module], name: str) -> None:
    whole = whole_of(models[name])
    with cut(whole, [0, 3, 7]) as run, torch.no_grad():
        plain = run.logits()
        arcs = run.union.arcs.shape[1]
        assert torch.equal(run.logits(mask=torch.ones(arcs)), plain)
        assert not torch.allclose(run.logits(mask=torch.zeros(arcs)), plain, atol=1e-4)


def test_degrees_counted_inside_the_cut_would_be_wrong(models: dict[str, nn.Module]) -> None:
    whole = whole_of(models["gcn"])
    union = neighbourhoods(
        whole.arguments.edge_index.numpy(), nodes=samples.NODES, targets=np.arange(samples.NODES)[:, None], depth=2
    )
    nothing = Deleted(
        nodes=torch.zeros(len(union.node), dtype=torch.bool), arcs=torch.zeros(union.arcs.shape[1], dtype=torch.bool)
    )
    recounted = without(whole, union, nothing)
    assert float((recounted - whole.answer.logits).abs().max()) > 1e-3


@pytest.mark.parametrize("name", samples.NODE_MODELS)
def test_a_deleted_edge_is_really_deleted(models: dict[str, nn.Module], name: str) -> None:
    model = models[name]
    whole = whole_of(model)
    aim = Aim(nodes=(GRAPH.edges[20, 0].item(),), graph=0, weights=torch.ones(samples.CLASSES))
    union = union_of(whole, [aim], further=1)
    gone = torch.from_numpy(whole.arguments.edge_of.numpy()[union.arc] == 20)
    found = without(whole, union, Deleted(nodes=torch.zeros(len(union.node), dtype=torch.bool), arcs=gone))
    left = Graph(
        edges=np.delete(GRAPH.edges, 20, axis=0), num_nodes=samples.NODES, features=GRAPH.features, edge_types=None
    )
    expected = whole_of(model, left).answer.logits[list(aim.nodes)]
    assert bool(gone.any())
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", samples.NODE_MODELS)
def test_nothing_is_left_behind(models: dict[str, nn.Module], name: str) -> None:
    model = models[name].train()
    before = samples.state_of(model)
    whole = whole_of(model)
    with Blocks(whole, [Aim(nodes=(4,), graph=0, weights=torch.ones(samples.CLASSES))]) as blocks:
        mask = torch.ones(blocks.edges, requires_grad=True)
        blocks.slopes(blocks.score(blocks.logits(edges=mask)).sum(), [mask])
        blocks.read(blocks.node_sites()[-1])
    samples.assert_same_state(before, samples.state_of(model))


def test_a_run_inside_of_a_run_leaves_the_outer_one_as_it_was(models: dict[str, nn.Module]) -> None:
    whole = whole_of(models["gcn"])
    with cut(whole, [0, 3]) as outer, torch.no_grad():
        before = outer.logits()
        with cut(whole, [5]) as inner:
            inner.logits()
        assert torch.equal(outer.logits(), before)
    assert not any("forward" in vars(part) for part in models["gcn"].modules())


def test_nothing_is_left_behind_after_a_raise(models: dict[str, nn.Module]) -> None:
    model = models["pyg-gat"].train()
    before = samples.state_of(model)
    whole = whole_of(model)

    with pytest.raises(ModelError, match=r"the model stopped on a graph of .* IndexError"), cut(whole, [1]) as run:
        run.logits(mask=torch.ones(1))  # too short
    with pytest.raises(ModelError, match=r"the model stopped at site 'first.*' on a graph of 40 nodes with 3 features"):
        whole_of(model, Graph(edges=GRAPH.edges, num_nodes=samples.NODES, features=np.ones((samples.NODES, 3))))
    samples.assert_same_state(before, samples.state_of(model))


class _Plain(nn.Module):
    """A model that does not say whether it answers for nodes or for graphs."""

    def __init__(self, *, pooled: bool) -> None:
        super().__init__()
        self.net, self.pooled = GCN(samples.FEATURES, samples.CLASSES), pooled

    def forward(self, x: torch.Tensor, edge_index: torch.Tensor, batch: Any = None) -> torch.Tensor:
        found: torch.Tensor = self.net(x, edge_index)
        return (
            found.new_zeros(int(batch.max()) + 1, found.shape[1]).index_add(0, batch, found) if self.pooled else found
        )


@pytest.mark.parametrize("graphs", [1, 3])
def test_of_graphs_of_one_node_it_is_found_out_what_the_rows_are_about(graphs: int) -> None:
    few = [Graph(edges=[], num_nodes=1, features=np.ones((1, samples.FEATURES)))] * graphs
    assert whole_of(_Plain(pooled=True).eval(), *few).rows == "graphs"
    assert whole_of(_Plain(pooled=False).eval(), *few).rows == "nodes"
    single: Any = samples.Alone()
    assert whole_of(single, few[0]).rows == "graphs"


def test_a_model_that_returns_one_number_for_each_node_can_lose_edges() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = GCN(samples.FEATURES, 1)

        def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
            return self.net(x, edge_index)[:, 0]  # type: ignore[no-any-return]

    torch.manual_seed(0)
    model = Flat().eval()
    found = pellucid.explain(model, GRAPH, method="occlusion", target="node:3")
    plain = pellucid.explain(model.net, GRAPH, method="occlusion", target="node:3")
    for mine, theirs in zip(found.parts, plain.parts, strict=True):
        np.testing.assert_allclose(mine.values, theirs.values, atol=1e-6)


def test_a_model_that_takes_data_gets_the_types_of_edges() -> None:
    from torch_geometric.nn import RGCNConv

    class Typed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = RGCNConv(samples.FEATURES, samples.CLASSES, 3)

        def forward(self, data: Any) -> torch.Tensor:
            return self.layer(data.x, data.edge_index, data.edge_type)  # type: ignore[no-any-return]

    torch.manual_seed(0)
    model = Typed().eval()
    given = arguments_of(model, [GRAPH])
    with torch.no_grad():
        expected = model.layer(given.x, given.edge_index, given.edge_type)
    torch.testing.assert_close(whole_of(model).answer.logits, expected)


def test_what_a_cached_layer_remembers_of_another_graph_is_not_used() -> None:
    from torch_geometric.nn import GCNConv

    torch.manual_seed(0)
    fresh, used = samples.Two(GCNConv), samples.Two(GCNConv, cached=True)
    used.load_state_dict(fresh.state_dict())
    other = arguments_of(used, [samples.graph(9)])
    used.eval()(other.x, other.edge_index)
    remembered = used.first._cached_edge_index
    torch.testing.assert_close(whole_of(used).answer.logits, whole_of(fresh).answer.logits)
    assert used.first._cached_edge_index is remembered
    assert used.first.cached


def test_edge_features_are_cut_with_their_arcs() -> None:
    torch.manual_seed(0)
    whole = whole_of(samples.Attributed())
    nodes = list(range(samples.NODES))
    with cut(whole, nodes) as run, torch.no_grad():
        torch.testing.assert_close(run.logits(), whole.answer.logits[nodes], atol=1e-6, rtol=1e-6)
        assert run.attributes is not None
        changed = run.logits(attributes=run.attributes * 0)
    assert not torch.allclose(changed, whole.answer.logits[nodes], atol=1e-4)


def test_a_layer_that_couples_all_nodes_is_found_out() -> None:
    torch.manual_seed(0)
    assert settled(whole_of(samples.Coupled())).coupled
    assert not settled(whole_of(samples.node_models()["pyg-gat"])).coupled


def test_graphs_of_a_batch_are_blocks_of_their_own() -> None:
    torch.manual_seed(0)
    for model in (samples.Pooled(), GCN(samples.FEATURES, 3, level="graph", readout="attention")):
        graphs = [samples.graph(seed, nodes=12 + seed, edges=15) for seed in range(4)]
        whole = whole_of(model, *graphs)
        assert whole.rows == "graphs"
        one_by_one = torch.cat([whole_of(model, graph).answer.logits for graph in graphs])
        torch.testing.assert_close(whole.answer.logits, one_by_one, atol=1e-6, rtol=1e-6)
        chosen = np.array([2, 0, 2])
        union = whole_graphs(
            whole.arguments.edge_index.numpy(), membership=whole.arguments.batch.numpy(), chosen=chosen
        )
        with GraphRun(whole, union) as run, torch.no_grad():
            torch.testing.assert_close(run.logits(), one_by_one[chosen], atol=1e-6, rtol=1e-6)


def test_a_model_that_takes_all_nodes_for_one_graph_is_known() -> None:
    assert whole_of(samples.Alone()).alone
    assert not whole_of(GCN(samples.FEATURES, 3, level="graph")).alone


def test_what_the_features_alone_make_is_computed_once(models: dict[str, nn.Module]) -> None:
    calls = []
    model = models["gcn"]
    assert isinstance(model, GCN)
    whole = whole_of(model)
    with cut(whole, [0, 1]) as run, torch.no_grad():
        mode = _Counting(calls)
        with mode:
            first = run.logits()
            second = run.logits()
        assert calls.count("linear") == 3  # the first layer once, the second layer twice
        changed = run.logits(features=run.features * 2)
    assert torch.equal(first, second)
    assert not torch.allclose(first, changed)


def test_an_output_of_another_length_is_refused() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:
            return x[:7]

    with pytest.raises(OutputError, match=r"7 rows for 1 graph of 40 nodes, expected one row for each node"):
        whole_of(Odd())


class _Counting(torch.overrides.TorchFunctionMode):
    def __init__(self, calls: list[str]) -> None:
        super().__init__()
        self.calls = calls

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls.append(getattr(function, "__name__", ""))
        return function(*args, **(kwargs or {}))


def test_the_norms_of_a_twin_are_settled_on_a_graph() -> None:
    torch.manual_seed(0)
    twin = GCN(samples.FEATURES, samples.CLASSES, layers=2, batch_norm=True)
    arguments = arguments_of(twin, [GRAPH])
    seen: list[torch.Tensor] = []
    handle = twin.norms[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach().clone()))
    state = torch.get_rng_state()
    passes.settle_norms(twin, [arguments])
    handle.remove()
    assert torch.equal(state, torch.get_rng_state())
    torch.testing.assert_close(twin.norms[0].running_mean, seen[0].mean(0))
    assert not twin.training


def test_the_first_argument_of_a_forward_may_have_any_name() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = GCN(samples.FEATURES, samples.CLASSES)

        def forward(this, x: torch.Tensor, edge_index: torch.Tensor) -> torch.Tensor:  # noqa: N805
            return this.net(x, edge_index)  # type: ignore[no-any-return]

    assert whole_of(Model()).rows == "nodes"
