"""A graph as one JSON document, whole: what is written reads back equal, with the same digest."""

import json
from typing import Any

import numpy as np
import scipy.sparse

from pellucid.errors import InputError, did_you_mean, with_article
from pellucid.inputs.counting import counted
from pellucid.inputs.files import naming, readable
from pellucid.inputs.graph import Graph
from pellucid.inputs.graph_edges import node_count
from pellucid.inputs.mesh import Mesh
from pellucid.inputs.molecule import Molecule
from pellucid.inputs.sparse_matrices import checked_sparse

FORMAT = "pellucid-graph"
VERSION = 1

_LISTS = (
    "edge_types",
    "edge_weights",
    "edge_features",
    "labels",
    "positions",
    "edge_truth",
    "node_truth",
    "node_contributions",
)
_NAMES = ("edge_type_names", "class_names", "node_names", "feature_names", "edge_feature_names")
_PLAIN = ("name", "directed", "num_nodes", "label")
_KEYS = ("format", "version", *_PLAIN, "edges", "features", *_LISTS, *_NAMES, "splits", "body", "notes")
_PER_ATOM = ("symbols", "charges", "hydrogens", "atom_stereo", "bond_stereo")
_WHOLE = ("edge_types", "labels")
_BOOLS = ("edge_truth", "node_truth")


def to_json(graph: Graph) -> str:
    """The graph as a JSON document; `read_json` and `pellucid.read` take it back.

    Keys are the fields of `Graph`; what is None or empty is left out. Sparse features are an object of `shape`,
    `indptr`, `indices` and `values` (compressed rows), a split is the list of its node numbers, a body is an object
    with the one key `molecule` or `mesh`.
    """
    document: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    document |= {key: getattr(graph, key) for key in _PLAIN if getattr(graph, key) is not None}
    if graph.label is not None:
        document["label"] = np.asarray(graph.label).item()
    document["edges"] = graph.edges.tolist()
    if not graph.featureless:
        features = graph.features
        document["features"] = _sparse(features) if scipy.sparse.issparse(features) else features.tolist()
    document |= {key: getattr(graph, key).tolist() for key in _LISTS if getattr(graph, key) is not None}
    document |= {key: list(getattr(graph, key)) for key in _NAMES if getattr(graph, key) is not None}
    if graph.splits:
        document["splits"] = {name: np.flatnonzero(mask).tolist() for name, mask in graph.splits.items()}
    if isinstance(graph.body, Molecule):
        body = graph.body
        fields = ("symbols", "charges", "hydrogens", "atom_stereo", "bond_stereo", "smiles")
        document["body"] = {"molecule": {key: getattr(body, key) for key in fields}}
    elif isinstance(graph.body, Mesh):
        mesh = graph.body
        document["body"] = {
            "mesh": {"vertices": mesh.vertices.tolist(), "faces": mesh.faces.tolist(), "nodes": mesh.nodes}
        }
    if graph.notes:
        document["notes"] = list(graph.notes)
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def read_json(text: str, *, called: str, name: str = "graph") -> Graph:
    """The graph that a JSON document holds.

    Args:
        text: The document.
        called: What an error calls it, quoted.
        name: What to call the graph if the document does not say.

    Raises:
        InputError: It is no JSON, of another kind, or its parts do not fit together.
    """
    return graph_of(parsed(text, called=called), called=called, name=name)


def parsed(text: str, *, called: str) -> Any:
    """What a JSON document holds.

    Raises:
        InputError: It is no JSON, or holds NaN or infinity; names the line.
    """
    try:
        return json.loads(text.removeprefix("\ufeff"), parse_constant=_not_a_number)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{called}, line {error.lineno}, column {error.colno}: no JSON ({error.msg}); "
            "if the file ends there, it is cut off: copy it again."
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{called} cannot be read as JSON ({readable(str(error))}); mend it.") from error


def graph_of(document: Any, *, called: str, name: str = "graph") -> Graph:
    """The graph of a document that has been parsed; see `read_json`."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        if isinstance(document, dict) and "nodes" in document and ("links" in document or "edges" in document):
            key = "links" if "links" in document else "edges"
            raise InputError(
                f"{called} looks like a graph that networkx wrote; read it with networkx.node_link_graph("
                f'document, edges="{key}") and give pellucid what that returns.'
            )
        what = with_article(type(document).__name__)
        raise InputError(
            f'{called} holds {what} without "format": "{FORMAT}", expected a graph as Graph.to_json writes it.'
        )
    if document.get("version") != VERSION:
        raise InputError(
            f"{called} has version {document.get('version')!r}, expected {VERSION}; a newer pellucid may read it."
        )
    unknown = [key for key in document if key not in _KEYS]
    if unknown:
        raise InputError(
            f"{called} has the unknown key {readable(unknown[0])!r}{did_you_mean(unknown[0], list(_KEYS)) or '.'}"
        )
    with naming(called):
        given = {key: document[key] for key in (*_PLAIN, *_NAMES, "notes") if document.get(key) is not None}
        given.setdefault("name", name)
        _kinds(document)
        for key in _LISTS:
            if document.get(key) is not None:
                given[key] = _array(document[key], key)
        given["edges"] = _array(document.get("edges", []), "edges")
        given["features"] = _features(document.get("features"))
        nodes = given.get("num_nodes")
        if document.get("splits"):
            if not isinstance(nodes, int):
                raise InputError("splits need num_nodes, to know how many nodes there are.")
            node_count(np.zeros((0, 2), dtype=np.int64), nodes)  # before so many are allocated
            given["splits"] = {key: _mask(rows, nodes, key) for key, rows in document["splits"].items()}
        given["body"] = _body(document.get("body"))
        graph = Graph(**given)
        _body_fits(graph.body, graph.num_nodes)
        return graph


def _kinds(document: dict[str, Any]) -> None:
    expected = {
        "directed": bool,
        "splits": dict,
        "body": dict,
        "notes": list,
        "name": str,
        **dict.fromkeys(_NAMES, list),
    }
    for key, kind in expected.items():
        if document.get(key) is not None and not isinstance(document[key], kind):
            given = with_article(type(document[key]).__name__)
            raise InputError(f"{key} is {given}, expected {with_article(kind.__name__)}.")
    label = document.get("label")
    if label is not None and (isinstance(label, bool) or not isinstance(label, int | float)):
        raise InputError(f"label is {readable(str(label))!r}, expected a number.")


def _array(value: Any, key: str) -> Any:
    try:
        array = np.array(value)
    except ValueError as error:
        raise InputError(f"{key} has rows of different lengths; give all rows the same.") from error
    if array.dtype.kind not in "iufb":
        if array.size == 0:
            return array.astype(np.int64 if key in _WHOLE else np.float64)
        raise InputError(f"{key} holds {array.dtype}, expected numbers{' or true and false' if key in _BOOLS else ''}.")
    if array.size == 0 and key in (*_WHOLE, *_BOOLS):
        return array.astype(np.bool_ if key in _BOOLS else np.int64)
    return array


def _features(value: Any) -> Any:
    if isinstance(value, dict):
        missing = [key for key in ("shape", "indptr", "indices", "values") if key not in value]
        if missing:
            raise InputError(f"sparse features have no {missing[0]!r}, expected shape, indptr, indices and values.")
        parts = [_array(value[key], key) for key in ("values", "indices", "indptr")]
        if any(each.dtype.kind == "f" and each.size for each in parts[1:]):
            raise InputError("indices and indptr of sparse features hold fractions, expected whole numbers.")
        parts = [parts[0].astype(np.float32), parts[1].astype(np.int64), parts[2].astype(np.int64)]
        return checked_sparse(scipy.sparse.csr_array, parts, value["shape"], called="features")
    return None if value is None else _array(value, "features")


def _mask(rows: Any, nodes: int, key: str) -> Any:
    numbers = np.asarray(rows)
    if numbers.size and (
        numbers.ndim != 1 or numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= nodes
    ):
        raise InputError(f"split {readable(key)!r} holds more than node numbers from 0 to {nodes - 1}.")
    mask = np.zeros(nodes, dtype=np.bool_)
    mask[numbers.astype(np.int64)] = True
    return mask


def _body(value: dict[str, Any] | None) -> Molecule | Mesh | None:
    if value is None:
        return None
    try:
        ((kind, fields),) = value.items()
        if kind == "molecule":
            tuples: dict[str, Any] = {key: tuple(fields.pop(key)) for key in _PER_ATOM if key in fields}
            return Molecule(**tuples, **fields)
        if kind == "mesh":
            vertices = np.array(fields.pop("vertices"), dtype=np.float64).reshape(-1, 3)
            faces = np.array(fields.pop("faces"), dtype=np.int64).reshape(-1, 3)
            return Mesh(vertices=vertices, faces=faces, **fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"body cannot be read ({readable(str(error))}), expected a molecule or a mesh.") from error
    raise InputError(f"body is {readable(str(kind))!r}, expected 'molecule' or 'mesh'.")


def _body_fits(body: Any, nodes: int) -> None:
    """Refuse what drawing would stumble over: atoms, vertices or faces that are not there."""
    if isinstance(body, Molecule):
        for name in ("symbols", "charges", "hydrogens", "atom_stereo"):
            count = len(getattr(body, name))
            if count != nodes and (count or name == "symbols"):
                raise InputError(f"the molecule has {count} {name} for {counted(nodes, 'atom')}; give one for each.")
    if isinstance(body, Mesh):
        if body.nodes not in ("vertices", "faces"):
            raise InputError(f"nodes of the mesh are {body.nodes!r}, expected 'vertices' or 'faces'.")
        count = len(getattr(body, body.nodes))
        if count != nodes:
            raise InputError(f"the mesh has {count} {body.nodes} for {counted(nodes, 'node')}; give one for each.")
        if body.faces.size and not 0 <= body.faces.min() <= body.faces.max() < len(body.vertices):
            raise InputError(f"the mesh has faces that name no vertex, expected 0 to {len(body.vertices) - 1}.")


def _sparse(features: Any) -> dict[str, Any]:
    return {
        "shape": list(features.shape),
        "indptr": features.indptr.tolist(),
        "indices": features.indices.tolist(),
        "values": features.data.tolist(),
    }


def _not_a_number(word: str) -> Any:
    raise ValueError(f"it holds {word}, expected finite numbers")
