"""Molecules: orders of bonds are counts of lines, letters stand where chemists put them, values have their colours."""

from xml.etree import ElementTree

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdDepictor

from pellucid.errors import SettingError
from pellucid.figures.bonds import AROMATIC, DOUBLE, SINGLE, TRIPLE, bond_lines
from pellucid.figures.colour import palette, signed
from pellucid.figures.molecule import MoleculeFigure, draw_molecule

SVG = "{http://www.w3.org/2000/svg}"
ORDER = {"SINGLE": SINGLE, "DOUBLE": DOUBLE, "TRIPLE": TRIPLE, "AROMATIC": AROMATIC}


def drawn(smiles: str, **wishes: object) -> MoleculeFigure:
    mol = Chem.MolFromSmiles(smiles)
    rdDepictor.Compute2DCoords(mol)
    atoms, bonds = list(mol.GetAtoms()), list(mol.GetBonds())
    return draw_molecule(
        [atom.GetSymbol() for atom in atoms],
        mol.GetConformer().GetPositions()[:, :2],
        np.array([[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()] for bond in bonds]).reshape(-1, 2),
        bond_types=[ORDER[bond.GetBondType().name] for bond in bonds],
        charges=[atom.GetFormalCharge() for atom in atoms],
        hydrogens=[atom.GetTotalNumHs() for atom in atoms],
        **wishes,  # type: ignore[arg-type]
    )


def elements(svg: str, name: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(f"{SVG}{name}"))


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in elements(svg, "text")]


def strokes(svg: str) -> tuple[int, int]:
    """How many solid and how many dashed lines there are."""
    paths = [p for p in elements(svg, "path") if p.get("stroke-width") == "1.8"]
    count = {bool(p.get("stroke-dasharray")): p.get("d", "").count("M") for p in paths}
    return count.get(False, 0), count.get(True, 0)


@pytest.mark.parametrize(
    ("smiles", "solid", "dashed"),
    [
        ("CC", 1, 0),
        ("C=C", 2, 0),
        ("C#C", 3, 0),
        ("c1ccccc1", 6, 6),
        ("CC(=O)O", 4, 0),
        ("C", 0, 0),
        ("C1=CC=CCC1", 8, 0),
    ],
)
def test_a_bond_is_as_many_lines_as_its_order_and_aromatic_ones_have_a_dashed_second(
    smiles: str, solid: int, dashed: int
) -> None:
    assert strokes(drawn(smiles).svg) == (solid, dashed)


def test_the_second_line_lies_inside_the_ring_and_on_both_sides_at_the_end_of_a_chain() -> None:
    angles = np.arange(6) * np.pi / 3
    ring = 100 + 40 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    bonds = np.array([[i, (i + 1) % 6] for i in range(6)])
    for kind in (DOUBLE, AROMATIC):
        for lines in bond_lines(ring, bonds, np.full(6, kind), clear=np.zeros(6), gap=5.0):
            far = [float(np.hypot(*((a + b) / 2 - 100))) for a, b, _ in lines]
            assert far[1] == pytest.approx(far[0] - 5.0, abs=0.01)
            assert np.hypot(*(lines[1][1] - lines[1][0])) < np.hypot(*(lines[0][1] - lines[0][0]))
    ((first, second),) = bond_lines(np.array([[0.0, 0], [40, 0]]), np.array([[0, 1]]), np.array([DOUBLE]),
                                    clear=np.zeros(2), gap=5.0)  # fmt: skip
    assert first[0][1] == -second[0][1] != 0


def test_lines_end_before_letters() -> None:
    ((line,),) = bond_lines(np.array([[0.0, 0], [40, 0]]), np.array([[0, 1]]), np.array([SINGLE]),
                            clear=np.array([0.0, 9.0]), gap=5.0)  # fmt: skip
    assert line[0].tolist() == [0, 0]
    assert line[1].tolist() == [31, 0]


def test_carbon_is_a_corner_and_other_atoms_have_letters_with_hydrogens_and_charge() -> None:
    assert texts(drawn("CCO").svg)[0] in ("O", "OH")
    assert "".join(texts(drawn("C").svg)) == "CH4"
    assert "".join(texts(drawn("[NH4+]").svg)) == "NH4+"
    assert "".join(texts(drawn("[O-2]").svg)) == "O2−"
    assert texts(drawn("CC").svg) == []
    assert "".join(texts(drawn("CC", carbons="terminal").svg)).count("C") == 2
    assert "".join(texts(drawn("C1CCCCC1", carbons="all").svg)).count("C") == 6
    assert "".join(texts(drawn("C1CCCCC1", highlighted=[2]).svg)).count("C") == 1


def test_hydrogens_stand_on_the_side_without_a_bond() -> None:
    for side, wanted in ((1.0, ["O", "H"]), (-1.0, ["O", "H"])):
        figure = draw_molecule(["C", "O"], np.array([[0.0, 0.0], [side, 0.0]]), np.array([[0, 1]]), hydrogens=[3, 1])
        assert texts(figure.svg) == wanted
        symbol, hydrogen = elements(figure.svg, "text")
        assert (float(hydrogen.get("x", 0)) - float(symbol.get("x", 0))) * side > 0


def test_charges_are_raised_and_counts_lowered() -> None:
    figure = drawn("[NH4+]")
    spans = {"".join(s.itertext()): float(s.get("dy", 0)) for s in elements(figure.svg, "tspan")}
    assert spans["4"] > 0
    assert spans["+"] < 0


def test_values_of_atoms_and_bonds_have_the_colours_of_their_scales() -> None:
    values = np.array([-1.0, 0.0, 0.5])
    figure = drawn("CCO", atom_values=values, bond_values=[2.0, 1.0], unit="logits", bond_unit="가중치")
    wanted = ["#{:02x}{:02x}{:02x}".format(*c) for c in palette("signed")[signed(values, 1.0)].tolist()]
    assert [c.get("fill") for c in elements(figure.svg, "circle")] == wanted
    assert {"−1", "+1", "atoms: logits", "bonds: 가중치"} <= set(texts(figure.svg))
    assert figure.legend["bonds"]["high"] == 2.0
    assert elements(figure.svg, "rect")[0].get("fill") == "#ffffff"


def test_without_values_its_lines_follow_the_page_and_nothing_lies_below() -> None:
    figure = drawn("CCO")
    assert not elements(figure.svg, "rect")
    assert 'stroke="var(--ink, currentColor)"' in figure.svg
    assert figure.legend == {}


def test_values_that_are_equal_or_missing_are_drawn() -> None:
    equal = drawn("CCO", atom_values=[0.2] * 3)
    assert len({c.get("fill") for c in elements(equal.svg, "circle")}) == 1
    assert "every value is 0.200" in texts(equal.svg)
    missing = drawn("CCO", atom_values=[0.2, np.nan, 1.0])
    assert "no value: 1" in texts(missing.svg)
    assert [bool(c.get("stroke-dasharray")) for c in elements(missing.svg, "circle")][:3] == [False, True, False]


def test_equal_input_gives_equal_bytes_and_everything_lies_inside() -> None:
    for smiles in ("CC(=O)Oc1ccccc1C(=O)O", "[Na+].[Cl-]", "CCCCCCCCCCCCCCCCCCCCCCCC", "O"):
        for width in (160, 420):
            figure = drawn(smiles, width=width)
            assert figure.svg == drawn(smiles, width=width).svg
            assert figure.places.min() > 8
            assert (figure.places < np.array([figure.width, figure.height]) - 8).all()


def test_what_does_not_fit_together_is_refused_in_one_line() -> None:
    places, bonds = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0, 1]])
    for given, wishes, line in (
        ((["C"], places, bonds), {}, "positions is 'float64 (2, 2)', expected finite numbers of shape (1, 2)"),
        ((["C", "O"], places, np.array([[0, 4]])), {}, "bonds is 'ends 0 to 4', expected atoms 0 to 1."),
        ((["C", "O"], places, np.array([[1, 1]])), {}, "bonds is 'a bond from an atom to itself', expected two"),
        ((["C", "O"], places, bonds), {"bond_types": [7]}, "bond_types is 'int64 (1,)', expected 1 numbers 0 to 3"),
        ((["C", "O"], places, bonds), {"charges": [1]}, "charges is '1 numbers', expected 2."),
        ((["C", "O"], places, bonds), {"atom_values": [1.0]}, "atom_values is 'float64 (1,)', expected 2 numbers"),
        ((["C", "O"], places, bonds), {"highlighted": [2]}, "highlighted is 2, expected atoms 0 to 1."),
        ((["C", "O"], places, bonds), {"carbons": "some"}, "carbons is 'some', expected 'skeletal', 'terminal' or"),
    ):
        with pytest.raises(SettingError) as caught:
            draw_molecule(*given, **wishes)  # type: ignore[arg-type]
        assert str(caught.value).startswith(line)


def test_numbered_atoms_can_be_found_by_their_numbers() -> None:
    figure = drawn("CC(=O)Oc1ccccc1C(=O)O", numbered=True)
    small = [each for each in elements(figure.svg, "text") if each[0].get("fill") == "#5c6570"]
    assert ["".join(each.itertext()) for each in small] == [str(atom) for atom in range(13)]
    for each, (x, y) in zip(small, figure.places, strict=True):
        away = np.hypot(float(each.get("x", 0)) - x, float(each.get("y", 0)) - 4 - y)
        others = np.delete(figure.places, int(each[0].text or 0), axis=0)
        nearest = np.hypot(*(others - (float(each.get("x", 0)), float(each.get("y", 0)) - 4)).T).min()
        assert away < nearest
