"""What the numbers in a TU data set mean, as the text beside it says."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_HEADING = re.compile(r"(node|edge|class|graph) labels\b(.*)", re.IGNORECASE)
_ENTRY = re.compile(r"\s+(-?\d+)\s+(\S+)\s*$")
_VALENCES = {"1": "single", "2": "double", "3": "triple"}

# Debnath et al., J. Med. Chem. 34(2), 1991: 125 of the 188 compounds are mutagenic; the text beside is silent.
_KNOWN_CLASSES = {"MUTAG": {-1: "not mutagenic", 1: "mutagenic"}}
_KNOWN_NODES = {"MUTAG": dict(enumerate(("C", "N", "O", "F", "I", "Cl", "Br")))}
_KNOWN_EDGES = {"MUTAG": dict(enumerate(("aromatic", "single", "double", "triple")))}


@dataclass(frozen=True, slots=True, kw_only=True)
class TUNames:
    """What the label numbers of nodes, edges and graphs mean; empty where nothing says so."""

    nodes: dict[int, str] = field(default_factory=dict)
    edges: dict[int, str] = field(default_factory=dict)
    classes: dict[int, str] = field(default_factory=dict)


def tu_names(name: str, texts: Iterable[str]) -> TUNames:
    """The names that the texts beside a data set give, or that are known for it.

    A text lists them under "Node labels", "Edge labels" or "Class labels", a number and a word in each line.

    Args:
        name: The data set.
        texts: What lies beside it.
    """
    found: dict[str, dict[int, str]] = {"node": {}, "edge": {}, "class": {}}
    for text in texts:
        _collect(text, found)
    return TUNames(
        nodes=found["node"] or _KNOWN_NODES.get(name, {}),
        edges=found["edge"] or _KNOWN_EDGES.get(name, {}),
        classes=found["class"] or _KNOWN_CLASSES.get(name, {}),
    )


def _collect(text: str, found: dict[str, dict[int, str]]) -> None:
    kind, are_valences = "", False
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            kind = {"graph": "class"}.get(heading[1].lower(), heading[1].lower())
            are_valences |= kind == "edge" and "valence" in heading[2].lower()
        elif line.startswith(("=", "#")):
            kind = ""
        elif kind and (entry := _ENTRY.match(line)):
            word = _VALENCES.get(entry[2], entry[2]) if are_valences and kind == "edge" else entry[2]
            found[kind].setdefault(int(entry[1]), word)
