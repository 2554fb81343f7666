"""The data sets that recipes train on: read from a folder, and refused where they are of another kind."""

from pathlib import Path

from pellucid.errors import InputError
from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_reading import graph_of_folder
from pellucid.inputs.graph_set import GraphSet
from pellucid.inputs.reading import read


def one_graph(place: Path, *, expected: str) -> Graph:
    """The graph in a folder or file.

    Args:
        place: Where.
        expected: What should be there, as a phrase.

    Raises:
        InputError: There is nothing, or something else.
    """
    found = _read(place, expected)
    if not isinstance(found, Graph):
        raise InputError(f"{place.name!r} holds {_kind(found)}, expected one graph: {expected}.")
    return found


def many_graphs(place: Path, *, expected: str) -> GraphSet:
    """The graphs in a folder or file, with the classes of all of them.

    Args:
        place: Where.
        expected: What should be there, as a phrase.

    Raises:
        InputError: There is nothing, something else, or graphs without classes.
    """
    found = _read(place, expected)
    if not isinstance(found, GraphSet):
        raise InputError(f"{place.name!r} holds {_kind(found)}, expected many graphs: {expected}.")
    if found.class_names is None or any(label is None for label in found.labels):
        raise InputError(f"the graphs of {place.name!r} have no classes, expected one for each: {expected}.")
    return found


def _read(place: Path, expected: str) -> object:
    if place.is_dir():
        found = graph_of_folder(str(place), directed=None)
        if found is None:
            raise InputError(f"the folder {place.name!r} holds no data set that is known here, expected {expected}.")
        return found
    return read(place)


def _kind(found: object) -> str:
    return {Graph: "one graph", GraphSet: "many graphs"}.get(type(found), "a picture")
