"""The lines of chemical bonds: one, two, three, or one and a dashed one, on the right side and clear of letters."""

from collections import deque
from collections.abc import Sequence

import numpy as np

SINGLE, DOUBLE, TRIPLE, AROMATIC = range(4)
Line = tuple[np.ndarray, np.ndarray, bool]
"""From, to, and whether it is dashed."""

_INSET = 0.13
"""By how much the shorter line of a double bond ends before each atom, as a share of the bond."""


def bond_lines(
    places: np.ndarray, bonds: np.ndarray, types: np.ndarray, *, clear: np.ndarray, gap: float
) -> list[list[Line]]:
    """The lines of each bond.

    Args:
        places: (atoms, 2), in pixels.
        bonds: (bonds, 2).
        types: (bonds,), 0 … 3: single, double, triple, aromatic.
        clear: (atoms,), how far from the middle of each atom its bonds end: 0 where it has no letter.
        gap: Pixels between the lines of one bond.
    """
    near = neighbours(len(places), bonds)
    found = []
    for (a, b), kind in zip(bonds.tolist(), types.tolist(), strict=True):
        start, end = places[a], places[b]
        step = end - start
        long = float(np.hypot(*step)) or 1.0
        along = step / long
        aside = np.array([-along[1], along[0]])
        # Letters that are larger than the bond is long still leave a piece of it.
        fit = min(1.0, 0.7 * long / (clear[a] + clear[b])) if clear[a] + clear[b] > 0 else 1.0
        first, last = start + along * clear[a] * fit, end - along * clear[b] * fit
        if kind == TRIPLE:
            found.append([(first + aside * k * gap, last + aside * k * gap, False) for k in (0, 1, -1)])
        elif kind in (DOUBLE, AROMATIC):
            side = _side(a, b, places, near)
            if side == 0 and kind == DOUBLE:
                found.append([(first + aside * k * gap / 2, last + aside * k * gap / 2, False) for k in (1, -1)])
                continue
            # An atom at which nothing else is bound needs no room for another bond's line.
            inset = [long * _INSET if len(near[atom]) > 1 and clear[atom] == 0 else 0.0 for atom in (a, b)]
            shift = aside * gap * (side or 1)
            second = (first + shift + along * inset[0], last + shift - along * inset[1], kind == AROMATIC)
            found.append([(first, last, False), second])
        else:
            found.append([(first, last, False)])
    return found


def neighbours(count: int, bonds: np.ndarray) -> list[list[int]]:
    """The atoms that each atom is bound to."""
    near: list[list[int]] = [[] for _ in range(count)]
    for a, b in bonds.tolist():
        near[a].append(b)
        near[b].append(a)
    return near


def _side(a: int, b: int, places: np.ndarray, near: Sequence[Sequence[int]]) -> int:
    """On which side of a bond its second line lies: inside its smallest ring, else where more is bound; 0 is both."""
    ring = _ring(a, b, near)
    inner = ring or [atom for end, other in ((a, b), (b, a)) for atom in near[end] if atom != other]
    if not ring and (len(near[a]) == 1 or len(near[b]) == 1):
        return 0
    step = places[b] - places[a]
    sides = [float(np.sign(np.round(step[0] * out[1] - step[1] * out[0], 6))) for out in places[inner] - places[a]]
    return int(np.sign(sum(sides)))


def _ring(a: int, b: int, near: Sequence[Sequence[int]]) -> list[int]:
    """The atoms of a smallest ring through a bond, or none: the shortest way from one end to the other without it."""
    came, queue = {a: a}, deque([a])
    while queue:
        atom = queue.popleft()
        for other in near[atom]:
            if other in came or (atom == a and other == b):
                continue
            came[other] = atom
            if other == b:
                ring = [b]
                while ring[-1] != a:
                    ring.append(came[ring[-1]])
                return ring
            queue.append(other)
    return []
