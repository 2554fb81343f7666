"""The drawings of a page about a graph: each wide and narrow, since letters keep their size; surfaces as pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from pellucid.figures.bars import BarsFigure, draw_bars
from pellucid.figures.graph import GraphFigure, draw_graph
from pellucid.figures.layout import layout
from pellucid.figures.legend import end_labels
from pellucid.figures.matrix import TABLE, MatrixFigure, draw_matrix
from pellucid.figures.mesh import MeshFigure
from pellucid.figures.molecule import MoleculeFigure
from pellucid.figures.wording import Wording
from pellucid.inputs.molecule import Molecule
from pellucid.methods.graph_drawing import MOST, draw_subject
from pellucid.methods.graph_subject import GraphSubject
from pellucid.pages.inline import Inline
from pellucid.pages.pictures import bar, data_url
from pellucid.pages.words import Catalogue, sentences

WIDE, NARROW = 680, 318
"""Pixels of a drawing beside its text, and of one on a phone of 360 pixels."""
_BARS, _MOLECULE = 480, 440
_THUMBNAIL = 160

Figure = GraphFigure | MoleculeFigure | MeshFigure


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A drawing as a page has it.

    Attributes:
        wide: For a wide page and for paper; None for a surface.
        narrow: For a phone; None for a surface.
        views: Of a surface: pictures with what is said about each.
        bar: The colours of a surface's values, or None.
        ends: What stands below the ends of the bar.
        zero: Whether 0 is marked in the middle of the bar.
        unit: What a value is.
    """

    wide: Inline | None
    narrow: Inline | None
    views: tuple[tuple[str, int, str], ...] = ()
    bar: str | None = None
    ends: tuple[str, str] = ("", "")
    zero: bool = False
    unit: str = ""


def wording_of(words: Catalogue) -> Wording:
    """The words that are written into a drawing, in a page's language."""
    known = sentences(words.language)
    fields = Wording.__dataclass_fields__
    return Wording(**{name: known[f"figure.{name}"] for name in fields})


def both(draw: Callable[[int], Figure | BarsFigure | MatrixFigure], words: Catalogue, *, wide: int = WIDE) -> Shown:
    """A drawing in the two widths of a page; a surface, whose pictures fit anywhere, once."""
    first = draw(wide)
    if not isinstance(first, MeshFigure):
        narrow = draw(NARROW)
        assert not isinstance(narrow, MeshFigure)
        return Shown(wide=Inline(first), narrow=Inline(narrow))
    wording = wording_of(words)
    views = tuple(
        (
            data_url(first.view_png(place)),
            first.views[place].shape[0],
            wording.view.format(azimuth=round(around), elevation=round(up)),
        )
        for place, (around, up) in enumerate(first.angles)
    )
    if first.scale is None:
        return Shown(wide=None, narrow=None, views=views)
    return Shown(
        wide=None,
        narrow=None,
        views=views,
        bar=bar(first.scale.kind),
        ends=end_labels(first.scale),
        zero=first.scale.low < 0 < first.scale.high,
        unit=first.unit,
    )


def draw_values(
    subject: GraphSubject,
    words: Catalogue,
    *,
    nodes: npt.NDArray[Any] | None = None,
    edges: npt.NDArray[Any] | None = None,
    target: Sequence[int] = (),
    unit: str = "",
    edge_unit: str = "",
    wide: int = WIDE,
) -> Shown:
    """A graph, a molecule or a surface, with values or without."""
    wording = wording_of(words)
    if isinstance(subject.source.body, Molecule):
        wide = min(wide, _MOLECULE)

    def draw(width: int) -> Figure:
        return draw_subject(
            subject, nodes=nodes, edges=edges, target=target, unit=unit, edge_unit=edge_unit, width=width,
            wording=wording,
        )  # fmt: skip

    return both(draw, words, wide=wide)


def draw_strongest(
    values: npt.NDArray[Any], names: Sequence[str], words: Catalogue, *, unit: str = "", top: int = 10
) -> Shown:
    """The values furthest from zero as bars; those that are 0 have none."""
    wording, top = wording_of(words), min(top, max(1, int(np.count_nonzero(values))))
    return both(
        lambda width: draw_bars(values, names, unit=unit, top=top, width=width, wording=wording), words, wide=_BARS
    )


def draw_numbers(
    matrix: Any,
    words: Catalogue,
    *,
    names: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    groups: npt.NDArray[np.int64] | None = None,
    group_names: Sequence[str] | None = None,
    unit: str = "",
    wide: int = WIDE,
) -> Shown:
    """A matrix: numbers where it is small, else a picture of its cells."""
    wording, small = wording_of(words), max(matrix.shape) <= TABLE
    given = scipy.sparse.csr_array(matrix) if scipy.sparse.issparse(matrix) else np.asarray(matrix)

    def draw(width: int) -> MatrixFigure:
        return draw_matrix(
            given, row_names=names if small else None, column_names=columns if small else None,
            groups=None if small else groups, group_names=group_names, unit=unit, width=width, wording=wording,
        )  # fmt: skip

    return both(draw, words, wide=wide)


def small_picture(
    subject: GraphSubject,
    target: Sequence[int],
    *,
    width: int = _THUMBNAIL,
    named: Sequence[str] = (),
) -> Inline:
    """A graph with next to no letters, to be told from others.

    Args:
        subject: The graph, or the part of it.
        target: What is ringed, by its numbers in the whole graph.
        width: In pixels.
        named: What the ringed nodes are called; nobody else is.
    """
    graph = subject.graph
    count = min(graph.num_nodes, MOST)
    kept = np.sort(np.lexsort((np.arange(graph.num_nodes), subject.hops))[:count])
    inside = np.isin(graph.edges, kept).all(axis=1)
    place = np.full(graph.num_nodes, -1, dtype=np.int64)
    place[kept] = np.arange(count)
    ends = place[graph.edges[inside]]
    where = layout(ends, num_nodes=count) if graph.positions is None else graph.positions[kept, :2]
    marked = [int(place[np.searchsorted(subject.nodes, node)]) for node in target]
    names = [""] * count
    for node, name in zip(marked, named, strict=False):
        names[node] = name
    # Described by its name alone, it needs no language.
    drawn = draw_graph(where, ends, node_names=names, highlighted=marked, width=width, description=subject.name)
    return Inline(drawn)
