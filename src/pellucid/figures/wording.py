"""The few words that are written into a drawing, so that a page in another language can give its own."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Words and phrases; in braces what a drawing fills in.

    Attributes:
        nodes: What the colours of nodes are called.
        edges: What the colours of edges are called.
        atoms: What the colours of atoms are called.
        bonds: What the colours of bonds are called.
        no_value: What NaN and infinity are called.
        unknown: What a node without a group is called.
        equal: Where all values are one.
        beyond: Where the scale is narrower than the values.
        more: What is left out of a list.
        shape: How large a matrix is.
        cell: What one cell of a reduced matrix stands for.
        empty: What an empty cell stands for.
        graph: What a graph is described as, for those who cannot see it.
        molecule: What a molecule is described as.
        view: From where a mesh is seen, in degrees (in an SVG or a page; a PNG has plain letters).
    """

    nodes: str = "nodes"
    edges: str = "edges, by colour and width"
    atoms: str = "atoms"
    bonds: str = "bonds"
    no_value: str = "no value"
    unknown: str = "not known"
    equal: str = "every value is {value}"
    beyond: str = "{share} % beyond the ends, up to {value}"
    more: str = "and {count} more, together {sum}"
    shape: str = "{rows} × {columns} entries"
    cell: str = "one cell is the sum of {rows} × {columns} entries"
    empty: str = "0"
    graph: str = "nodes: {nodes}, edges: {edges}"
    molecule: str = "atoms: {atoms}, bonds: {bonds}"
    view: str = "{azimuth}° around, {elevation}° up"


ENGLISH = Wording()
