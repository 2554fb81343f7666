"""What a node keeps, hears and becomes, on graphs and networks whose answers are known."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import graph_models as samples
import pellucid
from pellucid.errors import CapacityError, InputError, ModelError, NotFiniteError, SettingError
from pellucid.inputs.graph import Graph
from pellucid.insights.graph_depth import along_graph_depth
from pellucid.insights.graph_depth_results import GraphDepth, GraphDepthSite
from pellucid.models.gcn import GCN
from pellucid.models.graph_layers import GraphConvolution

GRAPH = samples.graph()
WIDTH = 6


def ring(nodes: int = 24, *, features: Any = None, labels: Any = None) -> Graph:
    """Each node between two others; features are noise unless given."""
    edges = [(i, (i + 1) % nodes) for i in range(nodes)]
    noise = np.random.default_rng(0).normal(size=(nodes, WIDTH))
    return Graph(edges=edges, num_nodes=nodes, features=noise if features is None else features, labels=labels)


def complete(nodes: int = 20) -> Graph:
    pairs = [(i, j) for i in range(nodes) for j in range(i)]
    return Graph(edges=pairs, num_nodes=nodes, features=np.random.default_rng(1).normal(size=(nodes, WIDTH)) + 0.5)


class Layers(nn.Module):
    """Convolutions whose W is the identity, so that only messages act."""

    def __init__(self, count: int = 1, *, normalisation: Any = "row", self_loops: bool = True) -> None:
        super().__init__()
        settings = {"normalisation": normalisation, "self_loops": self_loops, "bias": False}
        self.layers = nn.ModuleList(GraphConvolution(WIDTH, WIDTH, **settings) for _ in range(count))
        for layer in self.layers:
            nn.init.eye_(layer.linear.weight)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, edge_index)
        return x


class OwnOnly(nn.Module):
    """Takes the graph and hears nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Linear(WIDTH, WIDTH, bias=False)
        nn.init.eye_(self.same.weight)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.same(x)  # type: ignore[no-any-return]


def last(model: nn.Module, graph: Graph, **rest: Any) -> GraphDepthSite:
    return along_graph_depth(model, graph, **{"twin": False, **rest}).sites[-1]


def hops(site: GraphDepthSite) -> list[float]:
    return [share.value for share in site.hops]


def test_what_hears_nobody_keeps_all_of_a_node() -> None:
    site = last(OwnOnly(), ring())
    assert site.own is not None
    assert site.own.value == pytest.approx(1.0, abs=1e-4)
    assert hops(site) == [1.0]
    assert site.reach == 0


def test_a_mean_over_neighbours_hears_only_them() -> None:
    site = last(Layers(self_loops=False), ring())
    # Noise of the neighbours says nothing about a node's own.
    assert hops(site) == [0.0, 1.0]
    assert site.own is not None
    assert site.own.value < 0.1


def test_means_with_oneself_on_a_ring_have_the_shares_of_a_random_walk() -> None:
    # Weights (1, 1, 1) / 3 once, (1, 2, 3, 2, 1) / 9 twice: squared and summed for each distance.
    found = along_graph_depth(Layers(2), ring(), twin=False)
    assert hops(found.sites[1]) == pytest.approx([1 / 3, 2 / 3], abs=1e-6)
    assert hops(found.sites[2]) == pytest.approx([9 / 19, 8 / 19, 2 / 19], abs=1e-6)
    assert found.around == (1.0, 2.0, 2.0)


def test_a_complete_graph_with_means_has_one_vector_after_one_layer() -> None:
    site = last(Layers(), complete())
    assert site.cosine == pytest.approx(1.0, abs=1e-6)
    assert site.energy == pytest.approx(0.0, abs=1e-9)
    assert site.relative_energy == pytest.approx(0.0, abs=1e-9)
    assert site.own is not None
    assert site.own.value < 0.05


def test_nodes_grow_alike_with_the_depth() -> None:
    found = along_graph_depth(Layers(8), ring(12), twin=False)
    energies = [site.relative_energy for site in found.sites]
    assert all(a is not None and b is not None and a > b for a, b in itertools.pairwise(energies))


@pytest.mark.parametrize("name", samples.NODE_MODELS)
def test_shares_of_hops_are_those_of_plain_derivatives(name: str) -> None:
    model = samples.node_models()[name].eval()
    found = along_graph_depth(model, GRAPH, nodes=samples.NODES, twin=False)
    arcs = torch.from_numpy(GRAPH.arcs()[0])
    x = torch.from_numpy(GRAPH.features.copy())

    def whole(features: Tensor) -> Tensor:
        if not isinstance(model, samples.Two):
            return model(features, arcs)  # type: ignore[no-any-return]
        # What is measured is before the softmax.
        return model.second(torch.relu(model.first(features, arcs)), arcs)  # type: ignore[no-any-return]

    jacobian = torch.autograd.functional.jacobian(whole, x)  # node, channel, node, feature
    squares = (jacobian**2).sum(dim=(1, 3)).double().numpy()
    distance = _distances(GRAPH)
    reach = found.sites[-1].reach
    shares = []
    for node in range(samples.NODES):
        total = squares[node].sum()
        if total > 0:
            shares.append([squares[node][distance[node] == hop].sum() / total for hop in range(reach + 1)])
    np.testing.assert_allclose(hops(found.sites[-1]), np.mean(shares, axis=0), atol=1e-5)
    assert found.sites[-1].unmoved == samples.NODES - len(shares)
    assert sum(hops(found.sites[-1])) == pytest.approx(1.0)


def test_features_that_enter_by_a_linear_layer_are_not_derived_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.capture import passes

    wide, seen = 0, passes.derivative

    def counted(total: Tensor, inputs: Any, **rest: Any) -> Any:
        nonlocal wide
        wide += any(each.shape[1] == WIDTH for each in inputs)
        return seen(total, inputs, **rest)

    monkeypatch.setattr(passes, "derivative", counted)
    torch.manual_seed(0)
    along_graph_depth(GCN(WIDTH, 3, hidden=5), ring(), twin=False)
    assert wide == 2  # one for each site, to see that there is no other way in

    class Twice(nn.Module):
        """The linear layer is not all: the features are added again behind it."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = GraphConvolution(WIDTH, WIDTH)

        def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
            return self.layer(x, edge_index) + 10 * x

    site = last(Twice(), ring())
    assert hops(site)[0] > 0.9


def _distances(graph: Graph) -> np.ndarray:
    """From each node back along the arcs, by repeated steps."""
    step = (graph.adjacency().T.toarray() != 0).astype(int)
    found = np.full(step.shape, 99)
    reached = np.eye(len(step), dtype=int)
    for hop in range(len(step)):
        found[(reached > 0) & (found == 99)] = hop
        reached = ((reached @ step) > 0).astype(int)
    return found


def test_directed_messages_count_distance_the_way_they_run() -> None:
    chain = Graph(edges=[(0, 1), (1, 2), (2, 3)], directed=True, features=np.ones((4, WIDTH)))
    found = along_graph_depth(Layers(2, normalisation="none", self_loops=False), chain, nodes=4, twin=False)
    # Only nodes 2 and 3 hear somebody two steps back; the others depend on nothing.
    assert hops(found.sites[-1]) == [0.0, 0.0, 1.0]
    assert found.sites[-1].unmoved == 2


def test_a_probe_finds_the_class_where_the_network_makes_it() -> None:
    # The class of a node is the sign of its neighbours' mean; its own noise says nothing about it.
    graph = ring(200)
    mean = (Layers(self_loops=False))(torch.from_numpy(graph.features.copy()), torch.from_numpy(graph.arcs()[0]))
    graph = ring(200, labels=(mean[:, 0] > 0).long().numpy())
    found = along_graph_depth(Layers(self_loops=False), graph, twin=False, nodes=2)
    first, site = found.sites
    assert first.emerged is not None
    assert site.emerged is not None
    assert found.chance is not None
    assert first.emerged.value < found.chance + 0.15
    assert site.emerged.value > 0.9
    assert found.probed == 200


def test_nodes_that_the_network_was_trained_on_are_not_asked() -> None:
    labels = np.arange(200) % 2
    graph = Graph(
        edges=ring(200).edges, features=ring(200).features, labels=labels, splits={"train": np.arange(200) < 50}
    )
    found = along_graph_depth(Layers(), graph, twin=False, nodes=0)
    assert (found.probed, found.left_out) == (150, 50)
    assert found.sites[-1].hops == ()
    assert found.around == ()


def test_a_graph_without_features_is_asked_for_its_degrees() -> None:
    rng = np.random.default_rng(0)
    pairs = np.unique(np.sort(rng.integers(0, 60, (150, 2)), axis=1), axis=0)
    graph = Graph(edges=pairs, num_nodes=60)
    found = along_graph_depth(GCN(60, 3), graph, twin=False, nodes=3)
    assert (found.asked, found.asked_values, found.asked_share) == ("log degree", 1, None)
    assert found.sites[0].own is None
    assert found.sites[0].cosine == 0.0  # of the identity
    assert found.sites[1].own is not None
    # A layer that sums over neighbours knows how many there are.
    added = GCN(60, 3, convolution="gin")
    assert last(added, graph, nodes=0).own is not None


def test_of_many_features_the_leading_components_are_read_back() -> None:
    rng = np.random.default_rng(0)
    few = rng.normal(size=(80, 3)) @ rng.normal(size=(3, 300))
    import scipy.sparse

    for features in (few, scipy.sparse.csr_array(few)):
        graph = Graph(edges=ring(80).edges, features=features)
        model = GCN(300, 40)
        found = along_graph_depth(model, graph, twin=False, nodes=0)
        assert (found.asked, found.asked_values) == ("components", 32)
        assert found.asked_share == pytest.approx(1.0, abs=1e-6)


def test_a_large_matrix_has_the_same_components_by_the_sparse_way() -> None:
    import scipy.sparse

    from pellucid.insights import own_features

    rng = np.random.default_rng(0)
    features = scipy.sparse.random_array((260, 230), density=0.05, rng=rng, format="csr")
    graph = Graph(edges=[(0, 1)], num_nodes=260, features=features)
    found = own_features.own_of(graph, seed=0)
    assert found is not None
    centred = features.toarray() - features.toarray().mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    wanted = (left * sizes)[:, :32]
    np.testing.assert_allclose(found.values @ found.values.T, wanted @ wanted.T, atol=1e-5)
    assert found.share == pytest.approx((sizes[:32] ** 2).sum() / (sizes**2).sum(), abs=1e-6)


def test_nodes_that_are_all_the_same_have_nothing_to_read_back() -> None:
    found = along_graph_depth(Layers(), ring(features=np.ones((24, WIDTH))), twin=False)
    assert found.asked is None
    assert all(site.own is None for site in found.sites)
    assert found.sites[-1].cosine == pytest.approx(1.0)


@pytest.mark.parametrize("model", [GCN(WIDTH, 3, level="graph"), GCN(WIDTH, 3, level="edge")])
def test_networks_for_graphs_and_edges_are_followed_to_their_last_node_vectors(model: nn.Module) -> None:
    found = along_graph_depth(model, ring(), twin=False)
    assert [site.name for site in found.sites] == ["input", "activations.0", "activations.1"]


def test_a_final_softmax_is_looked_through() -> None:
    found = along_graph_depth(samples.node_models()["pyg-gcn"].eval(), GRAPH, twin=False)
    assert [site.name for site in found.sites] == ["input", "/relu", "second/add"]


def test_the_random_twin_is_measured_at_the_same_sites() -> None:
    found = along_graph_depth(samples.node_models()["gcn-deep"], GRAPH)
    assert [site.name for site in found.twin] == [site.name for site in found.sites]
    assert found.twin[0] is found.sites[0]
    assert found.twin[-1].cosine != found.sites[-1].cosine


@pytest.mark.parametrize("name", ["gcn-deep", "pyg-gcn-cached", "pyg-gat"])
def test_the_model_is_left_as_it_was(name: str) -> None:
    model = samples.node_models()[name].train()
    before = samples.state_of(model)
    along_graph_depth(model, GRAPH, nodes=4)
    samples.assert_same_state(before, samples.state_of(model))


def test_the_model_is_left_as_it_was_after_an_error() -> None:
    model = samples.node_models()["gcn"]
    with torch.no_grad():
        model.get_parameter("convolutions.0.bias").fill_(torch.nan)
    before = samples.state_of(model)
    with pytest.raises(NotFiniteError, match=r"site 'activations.0' has NaN or infinity at 40 of 40 nodes \(0, 1, 2"):
        along_graph_depth(model, GRAPH, nodes=0, twin=False)
    after = samples.state_of(model)
    before["tensors"].pop("convolutions.0.bias")
    after["tensors"].pop("convolutions.0.bias")
    samples.assert_same_state(before, after)


def test_the_same_seed_gives_the_same_numbers() -> None:
    one, other = (along_graph_depth(samples.node_models()["gin"], GRAPH, seed=3).to_record() for _ in range(2))
    assert one == other
    assert along_graph_depth(samples.node_models()["gin"], GRAPH, seed=4).to_record() != one


def test_progress_comes_to_its_end() -> None:
    seen: list[tuple[int, int]] = []
    along_graph_depth(Layers(2), ring(), nodes=2, progress=lambda *now: seen.append(now))
    assert seen == [(number, 6) for number in range(1, 7)]


class Paired(nn.Module):
    """Subtracts the mean over all nodes: each depends on all others, however far."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = GraphConvolution(WIDTH, WIDTH)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        x = self.layer(x, edge_index)
        return x - x.mean(0)


def test_a_norm_over_all_nodes_is_refused_and_the_rest_can_be_had() -> None:
    with pytest.raises(ModelError, match=r"nodes depend on more than their neighbourhoods .* give nodes=0"):
        along_graph_depth(Paired(), ring())
    assert along_graph_depth(Paired(), ring(), nodes=0).sites[-1].hops == ()


def test_what_a_node_sees_may_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.capture import hop_slopes

    monkeypatch.setattr(hop_slopes, "LIMIT", 20)
    with pytest.raises(CapacityError, match=r"has 5 nodes with 6 features.* give nodes=0"):
        along_graph_depth(Layers(2), ring(), twin=False)


def test_neighbourhoods_in_several_passes_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.capture import hop_slopes

    torch.manual_seed(0)
    model = GCN(WIDTH, 3)
    one = along_graph_depth(model, ring(), twin=False)
    monkeypatch.setattr(hop_slopes, "MOST", 40)
    other = along_graph_depth(model, ring(), twin=False)
    assert hops(other.sites[-1]) == pytest.approx(hops(one.sites[-1]))


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(SettingError, match="nodes is -1, expected a whole number, 0 or more"):
        along_graph_depth(Layers(), ring(), nodes=-1)
    with pytest.raises(ModelError, match=r"animals takes no graphs: .* use along_depth for networks"):
        along_graph_depth("animals", ring())
    with pytest.raises(InputError, match="a picture was given, expected one graph"):
        along_graph_depth(Layers(), np.zeros((5, 5, 3), dtype=np.uint8))
    with pytest.raises(InputError, match="use along_graph_depth for graphs"):
        pellucid.along_depth(pellucid.load("animals"), ring())  # type: ignore[arg-type]


@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_small_graphs_say_what_can_be_said(nodes: int) -> None:
    graph = Graph(edges=[], num_nodes=nodes, features=np.eye(nodes, WIDTH))
    found = along_graph_depth(GCN(WIDTH, 2), graph)
    assert found.sites[-1].own is None
    assert found.sites[-1].emerged is None
    assert (found.sites[0].cosine is None) == (nodes == 1)
    assert found.sampled == nodes
    assert found.draw().svg.startswith("<svg")


def test_the_drawing_shows_the_network_in_colour_and_random_weights_in_grey() -> None:
    graph = Graph(edges=GRAPH.edges, num_nodes=40, features=GRAPH.features, labels=np.arange(40) % 2)
    found = along_graph_depth(samples.node_models()["gcn-deep"], graph, nodes=6)
    drawing = found.draw()
    assert drawing.legend["sites"] == [site.name for site in found.sites]
    assert len(drawing.legend["panels"]) == 5
    for words in ("this network", "random weights", "chance", "itself", "hop 3", "convolutions.2/add"):
        assert words in drawing.svg
    alone = along_graph_depth(samples.node_models()["gcn-deep"], graph, nodes=0, twin=False).draw().svg
    assert "random weights" not in alone
    assert "itself" not in alone
    with pytest.raises(SettingError, match="width is 200, expected 480 or more"):
        found.draw(width=200)


def test_the_public_name_is_there() -> None:
    assert pellucid.along_graph_depth is along_graph_depth
    assert isinstance(along_graph_depth(Layers(), ring(), nodes=1), GraphDepth)
    assert "2 sites, 24 nodes, mean cosine" in repr(along_graph_depth(Layers(), ring(), nodes=1, twin=False))


def test_energy_is_the_sum_over_linked_pairs() -> None:
    from pellucid.insights.smoothing import dirichlet_energy, laplacian, mean_cosine

    graph = samples.graph(loops=False)
    vectors = GRAPH.features.astype(np.float64)
    degrees = graph.degrees() + 1
    scaled = vectors / np.sqrt(degrees)[:, None]
    wanted = sum(float(((scaled[i] - scaled[j]) ** 2).sum()) for i, j in graph.edges.tolist())
    energy, relative = dirichlet_energy(vectors, laplacian(graph))
    assert energy * samples.NODES == pytest.approx(wanted)
    assert relative == pytest.approx(wanted / (vectors**2).sum())
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = (unit @ unit.T)[~np.eye(len(unit), dtype=bool)]
    assert mean_cosine(vectors)[0] == pytest.approx(pairs.mean())
    assert mean_cosine(np.vstack([vectors * 1e200, 0 * vectors[:2]])) == (pytest.approx(pairs.mean()), 2)
    assert not math.isnan(energy)
