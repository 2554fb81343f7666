"""From a SMILES string to a graph of atoms and bonds."""

from typing import Any

import numpy as np

from pellucid.errors import InputError, MissingExtraError
from pellucid.inputs.files import naming, readable
from pellucid.inputs.graph import BOND_TYPES, Graph
from pellucid.inputs.molecule import Molecule
from pellucid.inputs.smiles_text import atom_positions, first_fault

PREFIX = "smiles:"
ELEMENT_COLUMNS = ("H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Se", "Br", "I")
FEATURES = (*ELEMENT_COLUMNS, "other element", "degree", "charge", "hydrogens", "aromatic", "in a ring")
MAX_LENGTH = 5_000
_MOST_DRAWN = 1_500  # atoms; laying out 5 000 in a chain takes minutes


def read_smiles(smiles: str, *, name: str | None = None, label: float | int | None = None) -> Graph:
    """The graph of a molecule: a node is an atom that is not hydrogen, an edge is a bond.

    Edge types are single, double, triple and aromatic (`BondType`). The features of an atom are those of `FEATURES`:
    its element as one-hot code, the number of its neighbours in the graph, its formal charge, the number of its
    hydrogens that are no nodes, whether it is aromatic, and whether it is in a ring. Positions are a drawing in the
    plane; `body` keeps charges, hydrogens and stereochemistry.

    Args:
        smiles: The molecule, or several parts with a dot between; what follows a space is its name.
        name: What to call the graph; None takes the name after the space, or the SMILES.
        label: The label of the graph.

    Raises:
        InputError: It is no SMILES, or no molecule can be so; says at which character.
        MissingExtraError: RDKit is not installed.
    """
    words = smiles.split(maxsplit=1)
    if not words:
        raise InputError("the SMILES is empty, expected a molecule such as 'smiles:CCO'.")
    text = words[0]
    called = f"the SMILES '{readable(text, limit=60)}'"
    if len(text) > MAX_LENGTH:
        raise InputError(
            f"{called} has {len(text):,} characters, the limit is {MAX_LENGTH:,}; give a smaller molecule."
        )
    if fault := first_fault(text):
        character = readable(text[fault.position - 1])
        raise InputError(f"{called}: character {fault.position} ({character!r}): {fault.problem}; mend it.")
    molecule, drawing = _molecule(text, called)
    atoms, bonds = list(molecule.GetAtoms()), list(molecule.GetBonds())
    types, type_names = _bond_types(bonds)
    notes = []
    if (parts := _parts(molecule)) > 1:
        notes.append(f"{parts} parts without a bond between them")
    if written := len(atom_positions(text)) - len(atoms):
        notes.append(f"{written} hydrogen atom{'s' * (written != 1)} of the SMILES counted at the neighbour")
    if drawing is None:
        notes.append(f"more than {_MOST_DRAWN:,} atoms, so there is no drawing in the plane")
    if isotopes := sum(atom.GetIsotope() != 0 for atom in atoms):
        notes.append(f"{isotopes} isotope number{'s' * (isotopes != 1)} left out")
    body = Molecule(
        symbols=tuple(atom.GetSymbol() for atom in atoms),
        charges=tuple(atom.GetFormalCharge() for atom in atoms),
        hydrogens=tuple(atom.GetTotalNumHs() for atom in atoms),
        atom_stereo=tuple(atom.GetProp("_CIPCode") if atom.HasProp("_CIPCode") else "" for atom in atoms),
        bond_stereo=tuple(_configuration(bond) for bond in bonds),
        smiles=text,
    )
    with naming(called):
        return Graph(
            edges=np.array([(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in bonds], dtype=np.int64),
            num_nodes=len(atoms),
            features=np.array([_features(atom) for atom in atoms], dtype=np.float32),
            feature_names=FEATURES,
            edge_types=types,
            edge_type_names=type_names,
            node_names=tuple(f"{atom.GetSymbol()}{atom.GetIdx()}" for atom in atoms),
            positions=drawing,
            body=body,
            label=label,
            name=name or (readable(words[1].strip()) if len(words) > 1 else readable(text, limit=60)),
            notes=tuple(notes),
        )


def _molecule(text: str, called: str) -> tuple[Any, Any]:
    try:
        from rdkit import Chem, rdBase
        from rdkit.Chem import rdDepictor
    except ImportError as error:
        raise MissingExtraError("rdkit", purpose="Reading a SMILES", extra="molecules") from error
    # RDKit writes its complaints to stderr, where they would stand beside our one line.
    with rdBase.BlockLogs():
        as_written: Any = Chem.SmilesParserParams()
        as_written.sanitize = False
        as_written.removeHs = False
        unchecked = Chem.MolFromSmiles(text, as_written)
        molecule = Chem.MolFromSmiles(text)
        if molecule is None:
            raise InputError(_problem(unchecked, Chem, text, called))
        Chem.AssignStereochemistry(molecule, cleanIt=True, force=True)
        if molecule.GetNumAtoms() > _MOST_DRAWN:
            return molecule, None
        rdDepictor.Compute2DCoords(molecule)
    return molecule, np.array(molecule.GetConformer().GetPositions())[:, :2]


def _problem(unchecked: Any, chem: Any, text: str, called: str) -> str:
    try:
        problems = [] if unchecked is None else chem.DetectChemistryProblems(unchecked)
    except RuntimeError:  # an atomic number beyond those that RDKit knows
        problems = []
    if not problems:
        return f"{called} is no molecule that RDKit can read; check its ring numbers and bonds."
    first = problems[0]
    atoms = list(first.GetAtomIndices()) if hasattr(first, "GetAtomIndices") else [first.GetAtomIdx()]
    places = atom_positions(text)
    place = places[atoms[0]] if atoms[0] < len(places) else 1
    atom = unchecked.GetAtomWithIdx(atoms[0]).GetSymbol()
    if first.GetType() == "AtomValenceException":
        return f"{called}: character {place}: {atom} has more bonds than it can have; mend it or give its charge."
    if first.GetType() in ("KekulizeException", "AtomKekulizeException"):
        return f"{called}: character {place}: single and double bonds cannot be laid along the aromatic ring; mend it."
    return f"{called}: character {place}: {readable(first.Message())}; mend it."


def _features(atom: Any) -> list[float]:
    symbol = atom.GetSymbol()
    return [
        *(float(symbol == element) for element in ELEMENT_COLUMNS),
        float(symbol not in ELEMENT_COLUMNS),
        atom.GetDegree(),
        atom.GetFormalCharge(),
        atom.GetTotalNumHs(),
        float(atom.GetIsAromatic()),
        float(atom.IsInRing()),
    ]


def _bond_types(bonds: list[Any]) -> tuple[Any, tuple[str, ...]]:
    words = [str(bond.GetBondType()).lower() for bond in bonds]
    names = (*BOND_TYPES, *sorted(set(words) - set(BOND_TYPES)))
    return np.array([names.index(word) for word in words], dtype=np.int64), names


def _configuration(bond: Any) -> str:
    return {"STEREOE": "E", "STEREOZ": "Z", "STEREOTRANS": "E", "STEREOCIS": "Z"}.get(str(bond.GetStereo()), "")


def _parts(molecule: Any) -> int:
    from rdkit import Chem

    return len(Chem.GetMolFrags(molecule))
