"""The letters of atoms: symbol, hydrogens and charge, with the hydrogens where no bond is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pellucid.figures.numbers import MINUS
from pellucid.figures.svg import clean, element, text_room

Carbons = Literal["skeletal", "terminal", "all"]
"""Which carbon atoms have a letter: none that needs none, those at the ends of chains, or all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtomLetters:
    """What is written at an atom: its symbol, what stands before it, and what after."""

    symbol: str
    before: tuple[tuple[str, str], ...]
    after: tuple[tuple[str, str], ...]

    def clear(self, size: float) -> float:
        """How far from the middle of the atom bonds end."""
        return max(0.58 * size, text_room(self.symbol, size=size) / 2 + 2)

    def drawn(self, x: float, y: float, *, size: float, disc: float, on_disc: str, beyond: str, ground: str) -> str:
        """The letters; the symbol has its middle at (x, y).

        Args:
            x: The middle of the atom.
            y: The middle of the atom.
            size: Of the letters, in pixels.
            disc: The radius of the atom's disc; 0 where it has none.
            on_disc: The colour of letters on the disc.
            beyond: The colour of the others.
            ground: The colour around those, which may lie across a line.
        """
        base, half = y + 0.36 * size, text_room(self.symbol, size=size) / 2
        parts = [_line([(self.symbol, "main", on_disc, "")], x, base, size=size, anchor="middle")]
        for pieces, side in ((self.before, "end"), (self.after, "start")):
            if not pieces:
                continue
            lines, far = [], half
            # From the symbol outwards: what still lies on the disc has its ink.
            for words, where in pieces if side == "start" else reversed(pieces):
                wide = text_room(words, size=_letter_size(size, where))
                inside = far + wide / 2 < disc
                lines.append((words, where, on_disc if inside else beyond, "" if inside else ground))
                far += wide
            ordered = lines if side == "start" else lines[::-1]
            parts.append(_line(ordered, x - half if side == "end" else x + half, base, size=size, anchor=side))
        return "".join(parts)


def lettered(
    symbol: str,
    *,
    charge: int,
    hydrogens: int,
    atom: int,
    near: Sequence[Sequence[int]],
    places: np.ndarray,
    carbons: Carbons,
    forced: bool,
) -> AtomLetters | None:
    """What is written at an atom, or None where two lines meet without a letter.

    Args:
        symbol: The element.
        charge: Its formal charge.
        hydrogens: How many hydrogen atoms it carries that are not drawn.
        atom: Its place.
        near: The atoms that each atom is bound to.
        places: Where all atoms are, in pixels.
        carbons: Which carbon atoms have a letter.
        forced: Whether it has one in any case.
    """
    bound = len(near[atom])
    plain = symbol == "C" and charge == 0 and bound > 0 and not forced
    if plain and not (carbons == "all" or (carbons == "terminal" and bound == 1)):
        return None
    hydrogen = (("H", "main"),) if hydrogens else ()
    counted = (*hydrogen, (str(hydrogens), "low")) if hydrogens > 1 else hydrogen
    size = abs(charge)
    sign = f"{size if size > 1 else ''}{'+' if charge > 0 else MINUS}"
    charged = ((sign, "high"),) if charge else ()
    if bound and float(np.mean(places[list(near[atom])][:, 0] - places[atom, 0])) > 0.1:
        return AtomLetters(symbol=symbol, before=counted, after=charged)
    return AtomLetters(symbol=symbol, before=(), after=(*counted, *charged))


def _letter_size(size: float, where: str) -> int:
    return round(size if where == "main" else 0.72 * size)


def _line(pieces: Sequence[tuple[str, str, str, str]], x: float, y: float, *, size: float, anchor: str) -> str:
    """Words, their height on the line, their colour and the colour around them, one after the other."""
    inside, level = "", 0.0
    for words, where, fill, ground in pieces:
        edge = {"stroke": ground, "stroke_width": 3, "stroke_linejoin": "round", "paint_order": "stroke"}
        wanted = {"main": 0.0, "low": 0.22 * size, "high": -0.36 * size}[where]
        # `dy` moves from where the last piece stood.
        shift = round(wanted - level, 1)
        inside += element(
            "tspan", clean(words), fill=fill, font_size=_letter_size(size, where), dy=shift or None,
            **(edge if ground else {}),
        )  # fmt: skip
        level = wanted
    return element("text", inside, x=float(x), y=float(y), text_anchor=None if anchor == "start" else anchor)
