"""`pellucid.read`: a picture, a graph or a data set of graphs from wherever it comes."""

import os
from pathlib import Path
from typing import Any, TypeAlias, overload

import numpy.typing as npt
import PIL.Image

from pellucid.errors import InputError
from pellucid.inputs.arrays import Background
from pellucid.inputs.files import quoted, read_file
from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_reading import graph_of_content, graph_of_folder, graph_of_object, member_of_archive
from pellucid.inputs.graph_set import GraphSet
from pellucid.inputs.image import Image
from pellucid.inputs.mesh_reading import MeshNodes
from pellucid.inputs.picture_reading import checked_settings, picture_of, read_picture
from pellucid.inputs.smiles import PREFIX, read_smiles

Source: TypeAlias = Any  # what other libraries make has no type here


@overload
def read(
    source: Image | PIL.Image.Image | npt.NDArray[Any], *, background: Background = ..., max_pixels: int = ...
) -> Image: ...
@overload
def read(source: Graph) -> Graph: ...
@overload
def read(source: GraphSet) -> GraphSet: ...
@overload
def read(
    source: Source,
    *,
    background: Background = ...,
    max_pixels: int = ...,
    directed: bool | None = ...,
    mesh_nodes: MeshNodes = ...,
    nodes: str | os.PathLike[str] | None = ...,
) -> Image | Graph | GraphSet: ...


def read(
    source: Source,
    *,
    background: Background = (255, 255, 255),
    max_pixels: int = 50_000_000,
    directed: bool | None = None,
    mesh_nodes: MeshNodes = "vertices",
    nodes: str | os.PathLike[str] | None = None,
) -> Image | Graph | GraphSet:
    """Read a picture, a graph or a data set of graphs; what a file is, its content says.

    **Pictures** become upright 8-bit RGB. Files are PNG, JPEG, WebP, BMP, TIFF or GIF. EXIF orientation is applied;
    grey, palette, CMYK and 16-bit pictures are converted; colours with an embedded profile are converted to sRGB; of an
    animation the first frame is taken. `Image.notes` says what was done.

    Arrays are **RGB**, height first: uint8, uint16 (65535 is white) or floats from 0 to 1, of shape (height, width),
    (height, width, 1), (height, width, 3) or (height, width, 4). What `cv2.imread` returns is BGR, and nothing in the
    array tells: swap it with `array[..., ::-1]`, or red and blue change places and the model sees another picture.

    **Graphs** come from networkx, PyG, scipy sparse matrices, lists of (from, to), edge lists in CSV, JSON, .npz, .mat,
    meshes (OBJ, OFF, PLY, STL), SMILES (`"smiles:CCO"`), and folders or archives of data sets in the formats of
    planetoid, TU, MUSAE and graph-attribution. docs/graph-inputs.md has the table. A file in an archive is
    `"sets.zip/syn1.pkl"`. Pickles are read only where they hold plain data.

    Args:
        source: A path, the bytes of a file, a Pillow image, an array, an object of one of the libraries above; or an
            `Image`, `Graph` or `GraphSet`, which is returned as it is.
        background: Red, green and blue, 0 to 255, of what is put behind transparent places of a picture.
        max_pixels: The most pixels a picture may have; it is compared before decoding. A side may have 20 000.
        directed: Whether the edges of a graph have a direction; None asks the source, and edge lists are undirected.
        mesh_nodes: Whether the nodes of a mesh are its "vertices" or its "faces".
        nodes: A table of the nodes of an edge list: CSV with their ids, and any of label, name and columns of numbers.

    Returns:
        An `Image`, whose digest is that of the file's bytes or of the shape and pixels; or a `Graph`; or a `GraphSet`.

    Raises:
        InputError: There is no such file, it is nothing that is known here, is damaged, empty or too large.
        SettingError: A setting makes no sense.
        MissingExtraError: A SMILES is given, and RDKit is not installed.
    """
    background = checked_settings(background, max_pixels)
    if isinstance(source, Image | Graph | GraphSet):
        return source
    if isinstance(source, str) and source.startswith(PREFIX):
        return read_smiles(source.removeprefix(PREFIX))
    if isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        found = graph_of_folder(path, directed=directed) if path else None
        if found is not None:
            return found
        member = member_of_archive(path)
        content, file = (read_file(path), Path(path).name) if member is None else member
        called = quoted(path)
    elif isinstance(source, bytes | bytearray | memoryview):
        content, file, path, called = bytes(source), "", None, "the file"
    else:
        graph = graph_of_object(source, directed=directed)
        return read_picture(source, background=background, max_pixels=max_pixels) if graph is None else graph
    held = graph_of_content(content, called=called, file=file, directed=directed, mesh_nodes=mesh_nodes, nodes=nodes)
    return picture_of(content, path=path, background=background, max_pixels=max_pixels) if held is None else held


def read_graph(
    name: str,
    *,
    directed: bool | None = None,
    mesh_nodes: MeshNodes = "vertices",
    nodes: str | os.PathLike[str] | None = None,
) -> Graph | GraphSet:
    """As `read` of a path or a SMILES, where nothing but a graph will do.

    Raises:
        InputError: As `read`; and it is a picture, or a folder or a file that holds no graph.
    """
    hint = "see docs/graph-inputs.md for what is read as one."
    if name.startswith(PREFIX):
        return read_smiles(name.removeprefix(PREFIX))
    if not name:
        raise InputError("the path is empty, expected the path of a graph.")
    found = graph_of_folder(name, directed=directed)
    if found is not None:
        return found
    if os.path.isdir(name):
        raise InputError(f"{quoted(name)} is a folder without a data set of graphs, expected a graph; name a file.")
    member = member_of_archive(name)
    content, file = (read_file(name), Path(name).name) if member is None else member
    held = graph_of_content(
        content, called=quoted(name), file=file, directed=directed, mesh_nodes=mesh_nodes, nodes=nodes
    )
    if held is not None:
        return held
    try:
        picture_of(content, path=name, background=(255, 255, 255), max_pixels=50_000_000)
    except InputError as error:
        raise InputError(f"{quoted(name)} holds nothing that is known as a graph; {hint}") from error
    raise InputError(f"{quoted(name)} is a picture, expected a graph; {hint}")
