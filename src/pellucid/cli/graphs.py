"""The options that name a graph, and a node of it."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pellucid.cli.streams import plain
from pellucid.cli.talking import Talk
from pellucid.errors import SettingError, did_you_mean

if TYPE_CHECKING:
    from pellucid.inputs.graph import Graph

_GRAPH = "Reading a graph"
_SMILES = "smiles:"

GraphName = Annotated[
    str,
    typer.Argument(
        metavar="GRAPH",
        help="A graph: an edge list, JSON, .npz, .mat, a mesh (OBJ, OFF, PLY, STL), a folder of planetoid or MUSAE, "
        "smiles:CCO, or karate. See docs/graph-inputs.md.",
    ),
]
NodeName = Annotated[
    str | None, typer.Option("--node", metavar="NODE", help="A node, by its number or its name.", show_default="none")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOptions:
    """How a graph is read. What is not said is asked of the source."""

    directed: Annotated[
        bool,
        typer.Option("--directed", help="Edges lead from the first to the second end.", rich_help_panel=_GRAPH),
    ] = False
    mesh_nodes: Annotated[
        str,
        typer.Option(
            "--mesh-nodes", metavar="WORD", help="The nodes of a mesh: vertices or faces.", rich_help_panel=_GRAPH
        ),
    ] = "vertices"
    nodes: Annotated[
        str | None,
        typer.Option("--nodes", metavar="FILE", help="A CSV about the nodes of an edge list.", rich_help_panel=_GRAPH),
    ] = None
    item: Annotated[
        int | None,
        typer.Option(
            "--item", metavar="N", min=0, help="Which graph of a data set of several, from 0.", rich_help_panel=_GRAPH
        ),
    ] = None
    prepare: Annotated[
        str | None,
        typer.Option(
            "--prepare",
            metavar="WORD",
            help="Prepare features as the model was trained on: row-normalised or surface-features.",
            rich_help_panel=_GRAPH,
        ),
    ] = None

    @property
    def said(self) -> list[str]:
        """The options that were given."""
        return [f"--{name.replace('_', '-')}" for name, usual in _USUAL.items() if getattr(self, name) != usual]

    @property
    def files(self) -> list[str]:
        """What is read besides the graph itself."""
        return [] if self.nodes is None else [self.nodes]


_USUAL = {"directed": False, "mesh_nodes": "vertices", "nodes": None, "item": None, "prepare": None}


def graphed(name: str, *, reading: GraphOptions, talk: Talk) -> "Graph":
    """The graph that a name and the options mean; what reading had to do is told.

    Raises:
        InputError: There is no such graph, it cannot be read, or it is a picture.
        SettingError: It is a data set of several graphs, and nobody says which; or an option makes no sense.
    """
    if reading.mesh_nodes not in ("vertices", "faces"):
        raise SettingError("--mesh-nodes", given=reading.mesh_nodes, expected="vertices or faces")
    from pellucid.inputs.graph_features import prepared

    found = prepared(_read(name, reading), reading.prepare)
    for note in found.notes:
        talk.say(f"note: {plain(found.name)}: {note}")
    return found


def file_name(name: str) -> str:
    """What a file about a graph is called: a SMILES is no path."""
    return re.sub(r"[^\w=#+-]+", "-", name).strip("-") if name.startswith(_SMILES) else name


def node_of(graph: "Graph", text: str, *, option: str = "--node") -> int:
    """The number of a node that was named.

    Raises:
        SettingError: There is none.
    """
    names = graph.node_names or ()
    same = [number for number, name in enumerate(names) if name == text]
    if len(same) > 1:
        few = ", ".join(map(str, same[:5]))
        raise SettingError(option, given=text, expected=f"a number, since {len(same)} nodes have that name ({few})")
    if same:
        return same[0]
    if text.isdecimal() and int(text) < graph.num_nodes:
        return int(text)
    near = did_you_mean(text, list(names)).removeprefix("; did you mean ").removesuffix("?")
    expected = f"0 to {graph.num_nodes - 1}" + (f", or a name such as {names[0]!r}" if names else "")
    raise SettingError(option, given=text, expected=expected, hint=f"the nearest name is {near}" if near else "")


def _read(name: str, reading: GraphOptions) -> "Graph":
    from pellucid.inputs.graph_set import GraphSet
    from pellucid.inputs.mesh_reading import MeshNodes
    from pellucid.inputs.reading import read_graph

    mesh_nodes: MeshNodes = "faces" if reading.mesh_nodes == "faces" else "vertices"
    built_in = name == "karate" and not Path(name).exists()
    if reading.nodes is not None and (built_in or name.startswith(_SMILES)):
        raise SettingError("--nodes", given=reading.nodes, expected=f"nothing, since {name!r} is no edge list")
    if built_in:
        from pellucid.inputs.karate import karate_club

        found: Graph | GraphSet = karate_club()
    else:
        found = read_graph(name, directed=reading.directed or None, mesh_nodes=mesh_nodes, nodes=reading.nodes)
    if isinstance(found, GraphSet):
        last = len(found) - 1
        if reading.item is None and last:
            raise SettingError("--item", given=None, expected=f"0 to {last}, since {name!r} holds {last + 1} graphs")
        if (reading.item or 0) > last:
            raise SettingError("--item", given=reading.item, expected=f"0 to {last}")
        chosen = found[reading.item or 0]
        return chosen if chosen.class_names else replace(chosen, class_names=found.class_names)
    if reading.item:
        raise SettingError("--item", given=reading.item, expected=f"nothing, since {name!r} is one graph")
    if reading.directed and not found.directed:
        raise SettingError("--directed", given="said", expected=f"nothing, since edges of {name!r} have no direction")
    return found
