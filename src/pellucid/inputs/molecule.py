"""What a molecule is besides a graph: how its atoms and bonds are written."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Molecule:
    """How to draw a graph whose nodes are atoms and whose edges are bonds.

    Attributes:
        symbols: The element of each atom ("C", "Cl").
        charges: The formal charge of each atom; empty where that is not known, as are the four below.
        hydrogens: How many hydrogen atoms each atom carries that are no nodes of the graph.
        atom_stereo: Of each atom "R" or "S" where it is a stereocentre, else "".
        bond_stereo: Of each edge "E" or "Z" where it is a double bond with a configuration, else "".
        smiles: How the molecule was written; empty where it came from elsewhere.
    """

    symbols: tuple[str, ...]
    charges: tuple[int, ...] = ()
    hydrogens: tuple[int, ...] = ()
    atom_stereo: tuple[str, ...] = ()
    bond_stereo: tuple[str, ...] = ()
    smiles: str = ""
