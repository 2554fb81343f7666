"""SMILES become graphs of atoms and bonds, or an error that says at which character."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, rdBase

from pellucid.errors import InputError, MissingExtraError
from pellucid.inputs.graph import BOND_TYPES, Graph
from pellucid.inputs.molecule import Molecule
from pellucid.inputs.reading import read
from pellucid.inputs.smiles import FEATURES, read_smiles
from pellucid.inputs.smiles_text import atom_positions, first_fault


def molecule(graph: Graph) -> Molecule:
    assert isinstance(graph.body, Molecule)
    return graph.body


def test_ethanol_is_three_atoms_and_two_single_bonds() -> None:
    graph = read("smiles:CCO")
    assert isinstance(graph, Graph)
    assert molecule(graph).symbols == ("C", "C", "O")
    assert molecule(graph).hydrogens == (3, 2, 1)
    assert graph.edges.tolist() == [[0, 1], [1, 2]]
    assert graph.edge_type_names == BOND_TYPES
    assert graph.node_names == ("C0", "C1", "O2")
    assert graph.positions is not None
    assert graph.positions.shape == (3, 2)
    lengths = np.linalg.norm(np.diff(graph.positions, axis=0), axis=1)
    np.testing.assert_allclose(lengths, 1.5, atol=0.01)


def test_all_four_bond_types_are_edge_types() -> None:
    graph = read_smiles("C#CC=Cc1ccccc1")
    assert graph.edge_types is not None
    assert set(graph.edge_types.tolist()) == {0, 1, 2, 3}
    assert np.bincount(graph.edge_types).tolist() == [2, 1, 1, 6]


def test_features_say_what_their_names_say() -> None:
    graph = read_smiles("[NH4+].c1ccsc1[Si]([Cu])=O")
    rows = [dict(zip(FEATURES, row, strict=True)) for row in graph.features.tolist()]
    assert (rows[0]["N"], rows[0]["charge"], rows[0]["hydrogens"], rows[0]["degree"]) == (1, 1, 4, 0)
    sulphur = next(row for row in rows if row["S"])
    assert (sulphur["aromatic"], sulphur["in a ring"], sulphur["degree"]) == (1, 1, 2)
    copper = rows[[each == "Cu" for each in molecule(graph).symbols].index(True)]
    assert copper["other element"] == 1
    assert all(sum(row[name] for name in FEATURES[:14]) == 1 for row in rows)


def test_parts_stereo_and_written_hydrogens_are_kept_or_noted() -> None:
    assert read_smiles("[Na+].[Cl-]").notes[0] == "2 parts without a bond between them"
    assert molecule(read_smiles("N[C@@H](C)C(=O)O")).atom_stereo[1] == "S"
    assert molecule(read_smiles("F/C=C/F")).bond_stereo == ("", "E", "")
    assert molecule(read_smiles("F/C=C\\F")).bond_stereo == ("", "Z", "")
    assert read_smiles("[H]OC").notes == ("1 hydrogen atom of the SMILES counted at the neighbour",)
    assert read_smiles("C").num_edges == 0
    assert read_smiles("CO wood alcohol").name == "wood alcohol"
    assert read_smiles("N->[Cu]").edge_type_names == (*BOND_TYPES, "dative")


BAD = {
    "CCX": (3, "no atom, bond or ring begins so"),
    "CC)": (3, "no open branch to close"),
    "CC(C": (3, "never closed"),
    "c1ccccc": (2, "this ring is never closed"),
    "C[Zz]C": (2, "'[Zz]' is no atom"),
    "C[N": (2, "this bracket is never closed"),
    "C==C": (3, "an atom must come before"),
    "CC=": (3, "an atom must follow"),
    "()": (1, "an atom must come before"),
    "1CC": (1, "a ring needs an atom before it"),
    "CO중": (3, "no atom, bond or ring begins so"),
    "CF(C)C": (2, "F has more bonds than it can have"),
    "c1cccc1": (1, "cannot be laid along the aromatic ring"),
    "CC(C)(C)(C)(C)C": (2, "C has more bonds than it can have"),
}


@pytest.mark.parametrize("smiles", BAD)
def test_a_wrong_smiles_names_its_first_bad_character(smiles: str, capfd: pytest.CaptureFixture[str]) -> None:
    place, problem = BAD[smiles]
    with pytest.raises(InputError) as caught:
        read(f"smiles:{smiles}")
    message = str(caught.value)
    assert f"character {place}" in message
    assert problem in message
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("smiles", "said"),
    [
        ("", "the SMILES is empty"),
        ("C" * 5001, "has 5,001 characters, the limit is 5,000"),
        ("C11", "no molecule that RDKit can read"),
    ],
)
def test_empty_long_and_impossible_smiles_are_one_line(smiles: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(f"smiles:{smiles}")


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="CNOcn()[]=#12+-H@.%/\\ l", max_size=12))
def test_what_the_text_check_refuses_rdkit_refuses_too(text: str) -> None:
    words = text.split()
    if words and first_fault(words[0]) is not None:
        with rdBase.BlockLogs():
            assert Chem.MolFromSmiles(words[0]) is None


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=20))
def test_any_text_is_a_molecule_or_one_line(text: str) -> None:
    said = ""
    try:
        read_smiles(text)
    except InputError as error:
        said = str(error)
    assert "\n" not in said


def test_real_molecules_are_read_as_rdkit_reads_them(shared_data: Path) -> None:
    with open(shared_data / "graphs" / "smiles_property" / "delaney-processed.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1128
    for row in rows[::5]:
        graph = read_smiles(row["smiles"])
        other = Chem.MolFromSmiles(row["smiles"])
        assert graph.num_nodes == other.GetNumAtoms()
        assert graph.num_edges == other.GetNumBonds()
        assert len(atom_positions(row["smiles"])) == Chem.MolFromSmiles(row["smiles"], sanitize=False).GetNumAtoms()
        hydrogens = sum(molecule(graph).hydrogens)
        assert hydrogens == Chem.AddHs(other).GetNumAtoms() - other.GetNumAtoms()


def test_without_rdkit_the_install_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pellucid\[molecules\]'"):
        read("smiles:CCO")


def test_reading_imports_neither_torch_nor_rdkit_nor_networkx() -> None:
    program = (
        "import sys, pellucid.inputs.reading; "
        "sys.exit(any(each in sys.modules for each in ('torch', 'rdkit', 'networkx', 'trimesh')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_atomic_number_that_no_element_has_is_refused() -> None:
    with pytest.raises(InputError, match="is no molecule that RDKit can read"):
        read_smiles("[#200]")


def test_isotopes_are_counted_as_left_out() -> None:
    assert read_smiles("[13CH4]").notes == ("1 isotope number left out",)


def test_a_chain_too_long_to_lay_out_is_read_without_a_drawing() -> None:
    chain = read_smiles("C" * 1_501)
    assert chain.positions is None
    assert "more than 1,500 atoms, so there is no drawing in the plane" in chain.notes
