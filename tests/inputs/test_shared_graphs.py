"""The real graphs of the shared folder have the numbers that the READMEs beside them and their papers give."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from pellucid.errors import InputError
from pellucid.inputs.graph import BOND_TYPES, BondType, Graph
from pellucid.inputs.graph_set import GraphSet
from pellucid.inputs.molecule import Molecule
from pellucid.inputs.rationales import ATOMS
from pellucid.inputs.reading import read


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Path:
    place = shared_data / "graphs"
    if not place.is_dir():
        pytest.skip("needs real graphs: the folder of real data has no folder 'graphs'")
    return place


def graph(source: Any, **options: Any) -> Graph:
    found = read(source, **options)
    assert isinstance(found, Graph)
    return found


def graphs(source: Any) -> GraphSet:
    found = read(source)
    assert isinstance(found, GraphSet)
    return found


def test_planetoid_cora_has_the_split_of_kipf_and_welling(real: Path) -> None:
    cora = graph(real / "planetoid_cora")
    assert (cora.num_nodes, cora.num_edges, cora.num_features) == (2708, 5278, 1433)
    assert {key: int(mask.sum()) for key, mask in cora.splits.items()} == {"train": 140, "val": 500, "test": 1000}
    assert cora.labels is not None
    assert np.bincount(cora.labels[cora.splits["train"]]).tolist() == [20] * 7
    assert scipy.sparse.issparse(cora.features)
    assert cora.features.nnz == 49216


def test_three_copies_of_cora_are_one_network(real: Path) -> None:
    named, cites = graph(real / "shchur_npz" / "cora.npz"), graph(real / "pygcn_cora" / "cora.cites")
    assert named.directed
    assert cites.directed
    assert named.num_edges == cites.num_edges == 5429
    assert named.node_names is not None
    assert cites.node_names is not None
    ours = {(cites.node_names[a], cites.node_names[b]) for a, b in cites.edges}
    assert ours == {(named.node_names[a], named.node_names[b]) for a, b in named.edges}
    assert named.class_names is not None
    assert "Theory" in named.class_names
    # Planetoid's copy has the same degrees and the same words, under other numbers.
    planetoid = graph(real / "planetoid_cora")
    undirected = named.adjacency() + named.adjacency().T
    np.testing.assert_array_equal(np.sort((undirected > 0).sum(axis=1)), np.sort(planetoid.degrees()))
    words = [np.sort(np.asarray((each.features != 0).sum(axis=1))) for each in (named, planetoid)]
    np.testing.assert_array_equal(*words)
    assert np.bincount(named.labels).sum() == 2708  # type: ignore[arg-type]


def test_the_facebook_pages_are_read_within_seconds_and_stay_sparse(real: Path) -> None:
    began = time.perf_counter()
    pages = graph(real / "musae_facebook")
    # Alone it takes one second; the limit leaves room for other work on the same machine.
    assert time.perf_counter() - began < 10
    assert (pages.num_nodes, pages.num_edges, pages.num_features) == (22470, 171002, 4714)
    assert scipy.sparse.issparse(pages.features)
    assert pages.class_names == ("company", "government", "politician", "tvshow")
    assert pages.labels is not None
    assert np.bincount(pages.labels).tolist() == [6495, 6880, 5768, 3327]
    assert pages.node_names is not None
    assert pages.node_names[0] == "The Voice of China 中国好声音"


def test_mutag_has_the_four_bond_types(real: Path) -> None:
    mutag = graphs(real / "tud_mutag")
    assert len(mutag) == 188
    assert sum(each.num_nodes for each in mutag) == 3371
    assert sum(each.num_edges for each in mutag) == 7442 // 2
    assert np.bincount(mutag.labels).tolist() == [63, 125]
    assert mutag.class_names == ("not mutagenic", "mutagenic")
    assert mutag.node_type_names == ("C", "N", "O", "F", "I", "Cl", "Br")
    assert mutag.edge_type_names == BOND_TYPES
    types = np.bincount(np.concatenate([each.edge_types for each in mutag]))
    expected = {BondType.AROMATIC: 4708, BondType.SINGLE: 2008, BondType.DOUBLE: 724, BondType.TRIPLE: 2}
    assert types.tolist() == [expected[bond] // 2 for bond in BondType]
    assert isinstance(mutag[0].body, Molecule)
    assert mutag[0].body.symbols[-3:] == ("N", "O", "O")  # the nitro group


def test_proteins_are_read(real: Path) -> None:
    proteins = graphs(real / "tud_proteins")
    assert len(proteins) == 1113
    assert sum(each.num_nodes for each in proteins) == 43471
    assert sum(each.num_edges for each in proteins) == 162088 // 2
    assert np.bincount(proteins.labels).tolist() == [663, 450]
    assert proteins[0].num_features == 3


def test_mutagenicity_is_read_from_its_archive_with_the_true_edges(real: Path) -> None:
    found = graphs(real / "mutagenicity_gt" / "Mutagenicity.zip")
    assert len(found) == 4337
    assert sum(each.num_nodes for each in found) == 131488
    assert found.class_names == ("mutagen", "nonmutagen")
    assert np.bincount(found.labels).tolist() == [2401, 1936]
    assert found.edge_type_names == BOND_TYPES
    truths = [each.edge_truth for each in found if each.edge_truth is not None]
    assert sum(int(truth.sum()) for truth in truths) == 7352 // 2
    with_truth = [bool(truth.any()) for truth in truths]
    assert sum(with_truth) == 1356
    assert sum(has and each.label == 0 for has, each in zip(with_truth, found, strict=True)) == 1015
    # Every true edge is a bond of a nitrogen to oxygen or hydrogen.
    for each in found:
        assert isinstance(each.body, Molecule)
        symbols = each.body.symbols
        assert all({symbols[a], symbols[b]} in ({"N", "O"}, {"N", "H"}) for a, b in each.edges[each.edge_truth])


def test_political_blogs_have_no_features(real: Path) -> None:
    blogs = graph(real / "polblogs" / "polblogs.npz")
    assert (blogs.num_nodes, blogs.num_edges) == (1490, 19025)
    assert blogs.directed
    assert blogs.featureless


@pytest.mark.parametrize(("name", "nodes", "edges"), [("Reed98", 962, 18812), ("Amherst41", 2235, 90954)])
def test_facebook100_is_read(real: Path, name: str, nodes: int, edges: int) -> None:
    college = graph(real / "facebook100" / f"{name}.mat")
    assert (college.num_nodes, college.num_edges) == (nodes, edges)
    assert not college.directed
    assert college.class_names == ("gender 1", "gender 2")
    assert scipy.sparse.issparse(college.features)


@pytest.mark.parametrize(
    ("name", "nodes", "edges", "true", "classes"),
    [
        ("syn1", 700, 2055, 480, 4),
        ("syn2", 1400, 4460, 960, 8),
        ("syn3", 871, 971, 360, 2),
        ("syn4", 1231, 1565, 960, 2),
    ],
)
def test_the_planted_motifs_are_marked(real: Path, name: str, nodes: int, edges: int, true: int, classes: int) -> None:
    found = graph(real / "pgexplainer_syn" / "datasets.zip" / f"{name}.pkl")
    assert (found.num_nodes, found.num_edges) == (nodes, edges)
    assert found.edge_truth is not None
    assert int(found.edge_truth.sum()) == true
    assert found.labels is not None
    assert found.labels.max() + 1 == classes
    assert sum(int(mask.sum()) for mask in found.splits.values()) == nodes
    if name in ("syn1", "syn3", "syn4"):
        assert found.node_truth is not None
        np.testing.assert_array_equal(found.node_truth, found.labels > 0)


def test_an_archive_of_several_graphs_asks_which(real: Path) -> None:
    with pytest.raises(InputError, match=r"holds 4 graphs \(syn1.pkl, syn2.pkl, syn3.pkl, syn4.pkl\); give one"):
        read(real / "pgexplainer_syn" / "datasets.zip")


def test_the_two_motifs_are_the_last_five_nodes(real: Path) -> None:
    found = graphs(real / "ba2motifs_graphsvx" / "ba2motifs.npz")
    assert len(found) == 1000
    assert np.bincount(found.labels).tolist() == [500, 500]
    assert sum(each.num_edges for each in found) / 1000 == pytest.approx(25.48, abs=0.03)
    assert "40 graphs have an edge of a node to itself" in found.notes
    for each in found:
        assert each.node_truth is not None
        assert np.flatnonzero(each.node_truth).tolist() == [20, 21, 22, 23, 24]
        assert each.edge_truth is not None
        inside = (each.edges >= 20).all(axis=1)
        np.testing.assert_array_equal(each.edge_truth, inside)


@pytest.fixture(scope="module")
def benzene(real: Path) -> GraphSet:
    return graphs(real / "mol_rationale_benzene")


def test_benzene_rings_are_marked_atom_by_atom(benzene: GraphSet) -> None:
    found = benzene
    assert len(found) == 12000
    assert found.class_names == ("no benzene", "benzene")
    assert {key: int(mask.sum()) for key, mask in found.splits.items()} == {"train": 10000, "test": 2000}
    for each in found.graphs[:500]:
        assert each.node_truth is not None
        assert bool(each.node_truth.any()) == bool(each.label)
        # Rings of six, all carbon, joined by aromatic bonds.
        assert each.node_truth.sum() == 0 or each.node_truth.sum() >= 6
        assert (each.features[each.node_truth].argmax(axis=1) == ATOMS.index("C")).all()


def test_the_contributions_of_crippen_sum_to_the_label(real: Path) -> None:
    found = graphs(real / "mol_rationale_crippen")
    assert len(found) == 1127
    assert found.class_names is None
    for each in found:
        assert each.node_contributions is not None
        assert each.label == pytest.approx(each.node_contributions.sum(), abs=1e-4)


def test_the_atoms_of_the_rationales_are_those_of_their_smiles(benzene: GraphSet) -> None:
    from rdkit import Chem

    for each in benzene.graphs[:300]:
        assert isinstance(each.body, Molecule)
        other = Chem.MolFromSmiles(each.body.smiles)
        assert tuple(atom.GetSymbol() for atom in other.GetAtoms()) == each.body.symbols
        bonds = {
            frozenset((b.GetBeginAtomIdx(), b.GetEndAtomIdx())): str(b.GetBondType()).lower() for b in other.GetBonds()
        }
        assert each.edge_types is not None
        ours = {
            frozenset(pair): each.edge_type_name(kind)
            for pair, kind in zip(each.edges.tolist(), each.edge_types, strict=True)
        }
        assert ours == bonds
