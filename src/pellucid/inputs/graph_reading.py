"""Which graph something is: an object of another library, a folder of a data set, or a file, by what it holds."""

import io
import os
import re
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import scipy.sparse

from pellucid.errors import InputError
from pellucid.inputs.archives import ZIP_START, unzip
from pellucid.inputs.edge_lists import from_edge_list, read_edge_list, read_nodes
from pellucid.inputs.files import quoted, read_file, readable
from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_json import FORMAT, read_json
from pellucid.inputs.graph_set import GraphSet
from pellucid.inputs.matlab import is_matlab, read_matlab
from pellucid.inputs.mesh_reading import Kind, MeshNodes, mesh_kind, read_mesh
from pellucid.inputs.motif_pickles import read_motif_pickle
from pellucid.inputs.musae import musae_name, read_musae
from pellucid.inputs.networkx_graphs import from_networkx, is_networkx
from pellucid.inputs.npz_graphs import read_npz
from pellucid.inputs.planetoid import planetoid_names, read_planetoid
from pellucid.inputs.pyg_data import from_pyg, is_pyg_data
from pellucid.inputs.rationales import rationale_name, read_rationales
from pellucid.inputs.restricted_pickle import is_pickle
from pellucid.inputs.scipy_graphs import from_scipy
from pellucid.inputs.tu import read_tu, tu_name

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")
_EDGE_LISTS = (".csv", ".tsv", ".edges", ".edgelist", ".cites")
_PICKLES = (".pkl", ".pickle")
_MOST_NAMES = 10_000


def graph_of_object(source: object, *, directed: bool | None) -> Graph | GraphSet | None:
    """The graph that an object of networkx, PyG or scipy is, or a list of edges; None where it is none of them.

    A list of such graphs is a `GraphSet`.

    Raises:
        InputError: It is one, and something does not fit together.
    """
    if is_networkx(source):
        return from_networkx(source, directed=directed)
    if is_pyg_data(source):
        return from_pyg(source, directed=directed)
    if scipy.sparse.issparse(source):
        return from_scipy(source, directed=directed)
    if not isinstance(source, list | tuple) or not source:
        return None
    if all(isinstance(each, tuple) for each in source):
        return from_edge_list(source, directed=directed)
    if all(isinstance(each, Graph) or is_networkx(each) or is_pyg_data(each) for each in source):
        graphs = [each if isinstance(each, Graph) else graph_of_object(each, directed=directed) for each in source]
        return GraphSet(graphs=tuple(each for each in graphs if isinstance(each, Graph)))
    return None


def graph_of_folder(path: str, *, directed: bool | None) -> Graph | GraphSet | None:
    """The data set in a folder, or the one that a file of several belongs to; None where there is none.

    Raises:
        InputError: It is damaged, or the folder holds several.
    """
    # Unlike those of pathlib, the questions of os.path take a path that no file can have.
    place = Path(path)
    if re.fullmatch(r"ind\..+\.(x|y|tx|ty|allx|ally|graph|test\.index)", place.name) and os.path.isfile(path):
        names = planetoid_names(_names(place.parent))
        name = next((each for each in names if place.name.startswith(f"ind.{each}.")), None)
        return None if name is None else _planetoid(place.parent, name)
    if place.name.endswith("_A.txt") and os.path.isfile(f"{path[:-6]}_graph_indicator.txt"):
        return _tu(place.parent, place.name[:-6], directed)
    if not os.path.isdir(path):
        return None
    names = _names(place)
    several = planetoid_names(names)
    if len(several) > 1:
        raise InputError(
            f"{quoted(path)} holds {len(several)} data sets ({readable(', '.join(several[:5]))}); give a file of the "
            f"one that is meant, {quoted(str(place / f'ind.{several[0]}.graph'))}."
        )
    called = quoted(path)
    if several:
        return _planetoid(place, several[0])
    if name := tu_name(names):
        return _tu(place, name, directed)
    if name := musae_name(names):
        return read_musae(_files(place, (f"{name}_", f"{name}.json"), names), name, called=called)
    if name := rationale_name(names):
        wanted = (f"{name}_", "x_true.npz", "y_true.npz", "true_raw_attribution_datadicts.npz")
        return read_rationales(_files(place, wanted, names), name, called=called)
    return None


def member_of_archive(path: str) -> tuple[bytes, str] | None:
    """The content and the name of a file inside an archive, for paths such as 'sets.zip/syn1.pkl'; else None."""
    found = re.match(r"(.+\.zip)[/\\]([^/\\]+)$", path, re.IGNORECASE)
    if found is None or not os.path.isfile(found[1]):
        return None
    members = unzip(read_file(found[1]), called=quoted(found[1]))
    if found[2] not in members:
        raise InputError(
            f"{quoted(found[1])} holds no {readable(found[2])!r}, expected one of "
            f"{readable(', '.join(sorted(members)[:5]))}."
        )
    return members[found[2]], found[2]


def graph_of_content(
    content: bytes,
    *,
    called: str,
    file: str,
    directed: bool | None,
    mesh_nodes: MeshNodes,
    nodes: str | os.PathLike[str] | None,
) -> Graph | GraphSet | None:
    """The graph that a file holds, by its first bytes and then by its name; None where it may be a picture.

    Args:
        content: The whole file.
        called: What an error calls it, quoted.
        file: Its name, or "" for bytes without a file.
        directed: Whether edges have a direction; None asks the file.
        mesh_nodes: What the nodes of a mesh are.
        nodes: A table of the nodes beside an edge list.

    Raises:
        InputError: It is a graph, and damaged.
    """
    suffix, name = Path(file).suffix.lower(), readable(Path(file).stem) or "graph"
    if content.startswith(_PICTURES) or (content.startswith(b"BM") and b"\0" in content[:30]):
        return None
    if content.startswith(ZIP_START):
        return _of_archive(content, called=called, suffix=suffix, name=name, directed=directed)
    if suffix == ".npz":
        raise InputError(f"{called} does not begin as .npz files do; copy or download it again.")
    if is_matlab(content) or suffix == ".mat":
        if not is_matlab(content):
            newer = content.startswith(b"MATLAB 7.3") or content.startswith(b"\x89HDF")
            hint = "is a MATLAB file of version 7.3; save it with -v7." if newer else "is no MATLAB file of version 5."
            raise InputError(f"{called} {hint}")
        return read_matlab(content, called=called, name=name, directed=directed)
    if is_pickle(content) or suffix in _PICKLES:
        return read_motif_pickle(content, called=called, name=name)
    kind: Kind | None = mesh_kind(content)
    if kind is None:
        kind = next((each for each in get_args(Kind) if suffix == f".{each}"), None)
    if kind is not None:
        return read_mesh(content, called=called, name=name, nodes=mesh_nodes, kind=kind)
    return _of_text(content, called=called, suffix=suffix, name=name, directed=directed, nodes=nodes)


def _of_text(
    content: bytes,
    *,
    called: str,
    suffix: str,
    name: str,
    directed: bool | None,
    nodes: str | os.PathLike[str] | None,
) -> Graph | None:
    is_table = suffix in _EDGE_LISTS
    if b"\0" in content[:1000] and not is_table and suffix != ".json":
        return None
    start = content[:100_000].decode("utf-8", errors="replace").removeprefix("\ufeff").lstrip()
    is_json = suffix == ".json" or (start.startswith("{") and f'"{FORMAT}"' in start)
    is_matrix = start.startswith("%%MatrixMarket")
    if not is_json and not is_table and not is_matrix and not _looks_like_edges(start):
        return None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{called}, line {line}: no text in UTF-8; save it in that encoding.") from error
    if is_json:
        return read_json(text, called=called, name=name)
    if is_matrix:
        raise InputError(
            f"{called} is a Matrix Market file; read it with scipy.io.mmread and give pellucid the matrix."
        )
    beside = None
    if nodes is not None:
        beside = read_nodes(read_file(nodes).decode("utf-8", errors="replace"), called=quoted(os.fsdecode(nodes)))
    if suffix == ".cites" and directed is None:
        # Rows are "cited citing", and the arc runs from the first: what one paper says reaches the other.
        directed = True
    return read_edge_list(text, called=called, name=name, directed=directed, nodes=beside)


def _of_archive(
    content: bytes, *, called: str, suffix: str, name: str, directed: bool | None
) -> Graph | GraphSet | None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [Path(each.filename).name for each in archive.infolist() if not each.is_dir()]
    except Exception:
        if suffix in (".npz", ".zip"):
            unzip(content, called=called)  # says what is wrong
        return None
    if names and all(each.endswith(".npy") for each in names):
        return read_npz(content, called=called, name=name, directed=directed)
    pickles = [each for each in names if each.endswith(_PICKLES)]
    if tu_name(names) is None and not planetoid_names(names) and musae_name(names) is None and not pickles:
        return None
    files = unzip(content, called=called)
    if found := tu_name(list(files)):
        return read_tu(files, found, called=called, directed=directed)
    if several := planetoid_names(list(files)):
        return read_planetoid(files, several[0], called=called)
    if found := musae_name(list(files)):
        return read_musae(files, found, called=called)
    if len(pickles) > 1:
        member = f"{called[:-1]}/{readable(sorted(pickles)[0])}'"
        raise InputError(
            f"{called} holds {len(pickles)} graphs ({readable(', '.join(sorted(pickles)[:5]))}); give one of them, "
            f"{member}."
        )
    return read_motif_pickle(files[pickles[0]], called=called, name=readable(Path(pickles[0]).stem))


def _looks_like_edges(start: str) -> bool:
    """Whether the first lines are pairs of whole numbers, and what may follow them, in equal columns."""
    lines = [line for line in start.splitlines()[:30] if line.strip() and not line.lstrip().startswith(("#", "%"))]
    rows = [re.split(r"[\s,;]+", line.strip()) for line in lines[:20]]
    rows = rows[1:] if len(rows) > 1 and not rows[0][0].lstrip("+-").isdigit() else rows
    return bool(rows) and all(
        2 <= len(row) == len(rows[0]) <= 4 and row[0].isdigit() and row[1].isdigit() for row in rows
    )


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry, _ in zip(entries, range(_MOST_NAMES), strict=False)]
    except OSError:
        return []
    return sorted(found)


def _files(folder: Path, wanted: tuple[str, ...], names: list[str]) -> Mapping[str, bytes]:
    return {
        name: read_file(folder / name)
        for name in names
        if name.startswith(wanted) and stat.S_ISREG((folder / name).stat().st_mode)
    }


def _planetoid(folder: Path, name: str) -> Graph:
    return read_planetoid(_files(folder, (f"ind.{name}.",), _names(folder)), name, called=quoted(str(folder)))


def _tu(folder: Path, name: str, directed: bool | None) -> GraphSet:
    names = _names(folder)
    texts = tuple(each for each in names if "readme" in each.lower())
    return read_tu(_files(folder, (f"{name}_", *texts), names), name, called=quoted(str(folder)), directed=directed)
