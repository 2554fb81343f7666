"""Where a SMILES string goes wrong: the first character that cannot be, or the bracket or ring that stays open.

Reference:
    OpenSMILES specification 1.0, 2016.
"""

import re
from dataclasses import dataclass

from pellucid.inputs.elements import ELEMENTS

_AROMATIC = "b|c|n|o|p|s|se|as|te|si"
_SYMBOL = "|".join(sorted(ELEMENTS, key=len, reverse=True))
_TOKEN = re.compile(
    rf"""(?P<atom>Br|Cl|[BCNOPSFIbcnops*]
      |\[\d*(?:{_SYMBOL}|{_AROMATIC}|\*|\#\d+)(?:@(?:@|TH[12]|AL[12]|SP[1-3]|TB\d+|OH\d+)?)?(?:H\d*)?(?:\++\d*|-+\d*)?(?::\d+)?\])
      |(?P<ring>\d|%\d\d|%\(\d{{1,5}}\))
      |(?P<bond>->|<-|[-=\#$:/\\~])
      |(?P<open>\()
      |(?P<close>\))
      |(?P<dot>\.)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong in a SMILES string.

    Attributes:
        position: The place of the character, counted from 1.
        problem: What is wrong there, as a phrase.
    """

    position: int
    problem: str


def atom_positions(smiles: str) -> list[int]:
    """Where each atom is written, counted from 1, in the order of the atoms."""
    return [found.start() + 1 for found in _TOKEN.finditer(smiles) if found["atom"]]


def first_fault(smiles: str) -> Fault | None:
    """The first place that no continuation could mend, or what is left open at the end; None where the text is sound.

    Args:
        smiles: The text, without spaces.
    """
    place, previous = 0, ""
    opened: list[int] = []
    rings: dict[str, int] = {}
    while place < len(smiles):
        found = _TOKEN.match(smiles, place)
        if found is None:
            if smiles[place] == "[":
                return Fault(position=place + 1, problem=_bracket(smiles, place))
            return Fault(position=place + 1, problem="no atom, bond or ring begins so")
        kind = str(found.lastgroup)
        if problem := _cannot_follow(kind, previous, bool(opened)):
            return Fault(position=place + 1, problem=problem)
        if kind == "open":
            opened.append(place)
        elif kind == "close":
            opened.pop()
        elif kind == "ring":
            number = found[0].strip("%()")
            rings.pop(number) if number in rings else rings.update({number: place})
        previous, place = kind, found.end()
    if previous in ("bond", "dot", "open"):
        return Fault(position=len(smiles), problem="an atom must follow")
    if opened:
        return Fault(position=opened[-1] + 1, problem="this branch is never closed")
    if rings:
        return Fault(position=min(rings.values()) + 1, problem="this ring is never closed")
    return None


def _cannot_follow(kind: str, previous: str, in_branch: bool) -> str:
    if kind == "close":
        if not in_branch:
            return "there is no open branch to close"
        return "an atom must come before" if previous in ("open", "bond", "dot") else ""
    if kind == "ring":
        return "" if previous in ("atom", "ring", "bond", "close") and previous else "a ring needs an atom before it"
    first_in_branch = ("open",) if kind != "bond" else ()
    if kind in ("bond", "open", "dot") and previous in ("", "dot", "bond", *first_in_branch):
        return "an atom must come before"
    return ""


def _bracket(smiles: str, place: int) -> str:
    end = smiles.find("]", place)
    if end < 0:
        return "this bracket is never closed"
    return f"{smiles[place : end + 1]!r} is no atom"
