"""A molecule as chemists write it, with values of atoms as discs and values of bonds as bands below the lines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.errors import SettingError
from pellucid.figures.atoms import AtomLetters, Carbons, lettered
from pellucid.figures.bonds import bond_lines, neighbours
from pellucid.figures.colour import Kind, Scale
from pellucid.figures.grid import kept
from pellucid.figures.key import MarkKey, ScaleKey, key
from pellucid.figures.legend import described
from pellucid.figures.numbers import number
from pellucid.figures.paint import checked_values, fills, ink_on, scale_of
from pellucid.figures.svg import DARK, INK, LIGHT, PAGE, Drawing, clean, document, element, px, shortened, text
from pellucid.figures.wording import ENGLISH, Wording

_EDGE, _TITLE = 8.0, 15
_BOND, _SHORTEST = 44.0, 16.0
"""Pixels of a bond of usual length, and of the shortest that letters are drawn on."""
_DISC, _SMALL_DISC, _BAND = 0.4, 0.29, 0.34
"""Radius of a disc, of one that leaves bands of bonds to be seen, and width of a band, as shares of a bond."""
_EMPTY = "#8a929b"
_NUMBER = "#5c6570"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MoleculeFigure(Drawing):
    """A drawn molecule.

    Attributes:
        places: float64 (atoms, 2), where each atom lies, in pixels, read-only.
        bond: Pixels of a bond of usual length.
    """

    places: np.ndarray
    bond: float


def draw_molecule(
    symbols: Sequence[str],
    positions: np.ndarray,
    bonds: np.ndarray,
    *,
    bond_types: np.ndarray | Sequence[int] | None = None,
    charges: Sequence[int] | None = None,
    hydrogens: Sequence[int] | None = None,
    atom_values: np.ndarray | Sequence[float] | None = None,
    bond_values: np.ndarray | Sequence[float] | None = None,
    highlighted: Sequence[int] = (),
    carbons: Carbons = "skeletal",
    numbered: bool = False,
    kind: Kind | None = None,
    low: float | None = None,
    high: float | None = None,
    bond_kind: Kind | None = None,
    bond_low: float | None = None,
    bond_high: float | None = None,
    unit: str = "",
    bond_unit: str = "",
    title: str = "",
    description: str = "",
    width: int = 420,
    wording: Wording = ENGLISH,
) -> MoleculeFigure:
    """Draw a molecule.

    Carbon atoms are corners without a letter, other atoms their symbols with hydrogens and charge. With values it lies
    on white, in light and in dark pages: each atom on a disc, each bond on a band of the colour of its value. A dashed
    ring has no value.

    Args:
        symbols: The element of each atom.
        positions: (atoms, 2); y points up.
        bonds: (bonds, 2), the two atoms of each.
        bond_types: 0 … 3: single, double, triple, aromatic; all single unless given.
        charges: The formal charge of each atom.
        hydrogens: How many hydrogen atoms each atom carries that are no atoms of `symbols`.
        atom_values: One for each atom.
        bond_values: One for each bond.
        highlighted: Atoms that get a ring and a letter.
        carbons: Which carbon atoms have letters: "skeletal" (only those that need one), "terminal" or "all".
        numbered: Whether each atom has its number beside it, so that a text can name it.
        kind: "signed" or "sequential"; decided by the values unless given.
        low: The low end of the atoms' scale, where several drawings share it.
        high: The high end.
        bond_kind: As `kind`.
        bond_low: As `low`.
        bond_high: As `high`.
        unit: What an atom's value is.
        bond_unit: What a bond's value is.
        title: A line above.
        description: What it is, for those who cannot see it; the numbers of atoms and bonds unless given.
        width: In pixels; letters keep their size.
        wording: The words of the key.
    """
    where, ends, types = _checked(symbols, positions, bonds, bond_types, width)
    count = len(where)
    charge, hydrogen = _whole(charges, count, "charges"), _whole(hydrogens, count, "hydrogens")
    for atom in highlighted:
        if not 0 <= atom < count:
            raise SettingError("highlighted", given=atom, expected=f"atoms 0 to {count - 1}")
    if carbons not in ("skeletal", "terminal", "all"):
        raise SettingError("carbons", given=carbons, expected="'skeletal', 'terminal' or 'all'")
    values = checked_values(atom_values, count=count, name="atom_values")
    weights = checked_values(bond_values, count=len(ends), name="bond_values")
    scale = None if values is None else scale_of(values, kind=kind, low=low, high=high)
    bond_scale = None if weights is None else scale_of(weights, kind=bond_kind, low=bond_low, high=bond_high)
    top = _EDGE + (_TITLE + 12 if title else 0)
    places, bond, bottom = _fitted(where, ends, width=width, top=top)
    near = neighbours(count, ends)
    letters = [
        lettered(
            str(symbols[atom]), charge=charge[atom], hydrogens=hydrogen[atom], atom=atom, near=near, places=places,
            carbons=carbons, forced=atom in highlighted,
        )
        for atom in range(count)
    ]  # fmt: skip
    size = float(np.clip(0.36 * bond, 10, 15))
    coloured = values is not None or weights is not None
    line = DARK if coloured else INK
    parts = [text(shortened(title, room=width - 2 * _EDGE, size=_TITLE), x=_EDGE, y=_EDGE + _TITLE, size=_TITLE,
                  fill=INK, weight=600)]  # fmt: skip
    if coloured:
        parts.append(element("rect", x=0, y=float(top), width=width, height=float(bottom - top), fill=LIGHT))
    discs: list[str | None] = [None] * count
    disc = (_DISC if weights is None else _SMALL_DISC) * bond
    if weights is not None and bond_scale is not None:
        parts += _bands(weights, bond_scale, places, ends, bond, symbols)
    if values is not None and scale is not None:
        discs = fills(values, scale)
        parts += _discs(values, discs, places, disc, symbols)
    for atom in dict.fromkeys(highlighted):
        x, y = places[atom].tolist()
        parts.append(element("circle", cx=x, cy=y, r=disc + 3, fill="none", stroke=line, stroke_width=2))
    clear = np.array([0.0 if each is None else each.clear(size) for each in letters])
    parts.append(_drawn_bonds(bond_lines(places, ends, types, clear=clear, gap=0.13 * bond), line, rimmed=coloured))
    parts += _drawn_letters(letters, places, discs, size=size, disc=disc, coloured=coloured)
    if numbered:
        parts += _numbers(
            places, near, away=max(disc if coloured else 0.0, 0.6 * size) + 8, top=top, bottom=bottom, width=width
        )
    scales = [ScaleKey(scale=scale, what=wording.atoms if bond_scale else "", unit=unit)] if scale else []
    scales += [ScaleKey(scale=bond_scale, what=wording.bonds, unit=bond_unit)] if bond_scale else []
    drawn, taken = key(
        scales, _empty(values, weights, wording), left=_EDGE, top=bottom + 14, width=width - 2 * _EDGE, wording=wording
    )
    height = bottom + (14 + taken if drawn else 0) + _EDGE
    said = description or wording.molecule.format(atoms=number(count), bonds=number(len(ends)))
    legend = {"atoms": described(scale, unit=unit)} if scale else {}
    legend |= {"bonds": described(bond_scale, unit=bond_unit)} if bond_scale else {}
    return MoleculeFigure(
        svg=document([*parts, *drawn], width=width, height=height, title=title or said, description=said),
        width=width, height=round(height), title=title, legend=legend, places=kept(places), bond=bond,
    )  # fmt: skip


def _bands(
    weights: np.ndarray, scale: Scale, places: np.ndarray, ends: np.ndarray, bond: float, symbols: Sequence[str]
) -> list[str]:
    parts = []
    for (a, b), value, colour in zip(ends.tolist(), weights.tolist(), fills(weights, scale), strict=True):
        (x, y), (u, v) = places[a].tolist(), places[b].tolist()
        told = f"<title>{clean(f'{symbols[a]} {a} – {symbols[b]} {b}: {number(value)}')}</title>"
        path = f"M{px(x)} {px(y)}L{px(u)} {px(v)}"
        if colour is None:
            inside = element("path", d=path, stroke=_EMPTY, stroke_width=_BAND * bond, stroke_dasharray="2 3",
                             stroke_opacity=0.5)  # fmt: skip
        else:
            # The rim shows a white band, whose value is 0, on the white ground.
            inside = element("path", d=path, stroke=_EMPTY, stroke_width=_BAND * bond + 1)
            inside += element("path", d=path, stroke=colour, stroke_width=_BAND * bond)
        parts.append(f"<g>{told}{inside}</g>")
    return parts


def _discs(
    values: np.ndarray, colours: Sequence[str | None], places: np.ndarray, disc: float, symbols: Sequence[str]
) -> list[str]:
    parts = []
    for atom, (colour, value) in enumerate(zip(colours, values.tolist(), strict=True)):
        x, y = places[atom].tolist()
        inside = f"<title>{clean(f'{symbols[atom]} {atom}: {number(value)}')}</title>" + element(
            "circle", cx=x, cy=y, r=disc, fill=colour or LIGHT, stroke=_EMPTY, stroke_width=1,
            stroke_dasharray=None if colour else "2.5 2.5",
        )  # fmt: skip
        parts.append(f"<g>{inside}</g>")
    return parts


def _numbers(
    places: np.ndarray, near: Sequence[Sequence[int]], *, away: float, top: float, bottom: float, width: float
) -> list[str]:
    """The number of each atom, where most room is between its bonds."""
    parts = []
    for atom, (x, y) in enumerate(places.tolist()):
        turns = sorted(float(np.arctan2(*(places[other] - places[atom])[::-1])) for other in near[atom])
        ends = [*turns[1:], turns[0] + 2 * np.pi] if turns else []
        gap, before = max(
            ((end - begin, begin) for begin, end in zip(turns, ends, strict=True)), default=(np.pi, -np.pi)
        )
        turn = before + gap / 2
        u = float(np.clip(x + away * np.cos(turn), 8, width - 8))
        v = float(np.clip(y + away * np.sin(turn), top + 8, bottom - 2))
        parts.append(text(str(atom), x=u, y=v + 4, size=11, fill=_NUMBER, anchor="middle"))
    return parts


def _drawn_bonds(bonds: Sequence[Sequence[tuple[np.ndarray, np.ndarray, bool]]], line: str, *, rimmed: bool) -> str:
    whole = "".join(_move(a, b) for each in bonds for a, b, dashed in each if not dashed)
    broken = "".join(_move(a, b) for each in bonds for a, b, dashed in each if dashed)
    inside = ""
    if rimmed:
        # Light on both sides of each line, so that it is seen on dark discs.
        inside += element("path", d=whole + broken, stroke=LIGHT, stroke_width=4.4, stroke_opacity=0.75)
    inside += element("path", d=whole, stroke=line, stroke_width=1.8) if whole else ""
    inside += element("path", d=broken, stroke=line, stroke_width=1.8, stroke_dasharray="3.5 2.5") if broken else ""
    return element("g", inside, fill="none", stroke_linecap="round") if whole else ""


def _move(a: np.ndarray, b: np.ndarray) -> str:
    return f"M{px(float(a[0]))} {px(float(a[1]))}L{px(float(b[0]))} {px(float(b[1]))}"


def _drawn_letters(
    letters: Sequence[AtomLetters | None],
    places: np.ndarray,
    discs: Sequence[str | None],
    *,
    size: float,
    disc: float,
    coloured: bool,
) -> list[str]:
    line, ground = (DARK, LIGHT) if coloured else (INK, PAGE)
    parts = []
    for atom, each in enumerate(letters):
        if each is None:
            continue
        x, y = places[atom].tolist()
        colour = discs[atom]
        if coloured and not colour:
            # Bands of bonds meet below the letter.
            parts.append(element("circle", cx=x, cy=y, r=each.clear(size) - 0.5, fill=LIGHT))
        parts.append(
            each.drawn(x, y, size=size, disc=disc if colour else 0.0, on_disc=ink_on(colour) if colour else line,
                       beyond=line, ground=ground)
        )  # fmt: skip
    return parts


def _empty(values: np.ndarray | None, weights: np.ndarray | None, wording: Wording) -> list[MarkKey]:
    counts = sum(int((~np.isfinite(each)).sum()) for each in (values, weights) if each is not None)
    if not counts:
        return []
    ring = element("circle", cx=11, cy=0, r=6, fill=LIGHT, stroke=_EMPTY, stroke_width=1, stroke_dasharray="2.5 2.5")
    return [MarkKey(drawn=ring, name=f"{wording.no_value}: {number(counts)}")]


def _fitted(where: np.ndarray, ends: np.ndarray, *, width: int, top: float) -> tuple[np.ndarray, float, float]:
    """Positions in pixels, pixels of a bond, and where the molecule ends below."""
    apart = np.hypot(*(where[ends[:, 0]] - where[ends[:, 1]]).T) if len(ends) else np.zeros(0)
    usual = float(np.median(apart[apart > 0])) if (apart > 0).any() else 1.0
    extent = np.ptp(where, axis=0)
    # Letters with hydrogens and charges reach beyond their atoms.
    side = 40.0
    fits = (width - 2 * side) / float(extent[0]) if extent[0] > 0 else np.inf
    grow = min(_BOND / usual, fits)
    middle = (where.max(axis=0) + where.min(axis=0)) / 2
    high = grow * float(extent[1])
    up = 28.0
    places = (where - middle) * (grow, -grow) + (width / 2, top + up + high / 2)
    return places, max(grow * usual, _SHORTEST), top + 2 * up + high


def _checked(
    symbols: Sequence[str],
    positions: np.ndarray,
    bonds: np.ndarray,
    types: np.ndarray | Sequence[int] | None,
    width: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    count = len(symbols)
    where = np.asarray(positions)
    if count == 0 or where.shape != (count, 2) or where.dtype.kind not in "fiu" or not np.isfinite(where).all():
        raise SettingError(
            "positions", given=f"{where.dtype} {where.shape}", expected=f"finite numbers of shape ({count}, 2)",
            hint="one place for each symbol",
        )  # fmt: skip
    ends = np.asarray(bonds)
    if ends.size == 0:
        ends = np.zeros((0, 2), dtype=np.int64)
    if ends.ndim != 2 or ends.shape[1] != 2 or ends.dtype.kind not in "iu":
        raise SettingError("bonds", given=f"{ends.dtype} {ends.shape}", expected="whole numbers of shape (bonds, 2)")
    if ends.size and not (ends.min() >= 0 and ends.max() < count):
        raise SettingError("bonds", given=f"ends {ends.min()} to {ends.max()}", expected=f"atoms 0 to {count - 1}")
    if (ends[:, 0] == ends[:, 1]).any():
        raise SettingError("bonds", given="a bond from an atom to itself", expected="two different atoms")
    kinds = np.zeros(len(ends), dtype=np.int64) if types is None else np.asarray(types)
    if kinds.shape != (len(ends),) or (kinds.size and not np.isin(kinds, range(4)).all()):
        raise SettingError(
            "bond_types", given=f"{kinds.dtype} {kinds.shape}", expected=f"{len(ends)} numbers 0 to 3",
            hint="single, double, triple, aromatic",
        )  # fmt: skip
    if width < 160:
        raise SettingError("width", given=width, expected="160 or more")
    return where.astype(np.float64), ends.astype(np.int64), kinds.astype(np.int64)


def _whole(numbers: Sequence[int] | None, count: int, name: str) -> list[int]:
    if numbers is None or len(numbers) == 0:
        return [0] * count
    if len(numbers) != count:
        raise SettingError(name, given=f"{len(numbers)} numbers", expected=f"{count}")
    return [int(each) for each in numbers]
