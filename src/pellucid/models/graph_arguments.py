"""What a graph model takes: which of its arguments mean what, and a graph as those arguments."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pellucid.errors import InputError, ModelError
from pellucid.inputs.graph import Graph
from pellucid.models.gcn import GCN

# How models call what they take. The first word is ours.
_MEANINGS: Mapping[str, tuple[str, ...]] = {
    "x": ("x", "features", "node_features", "node_feat", "h"),
    "edge_index": ("edge_index", "edges", "arcs"),
    "edge_weight": ("edge_weight", "edge_weights"),
    "edge_attr": ("edge_attr", "edge_features", "edge_feat"),
    "edge_type": ("edge_type", "edge_types"),
    "batch": ("batch", "batch_index"),
    "pairs": ("pairs", "edge_label_index"),
    "data": ("data",),
}
_MEANING = {name: meaning for meaning, names in _MEANINGS.items() for name in names}
DENSE_IDENTITY = 10_000
"""Most nodes whose identity matrix is made dense, for models that cannot take it sparse."""
DENSE_VALUES = 1_000_000_000
"""Most values of sparse features that are made dense, for the same models."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphArguments:
    """One graph, or several side by side, as tensors.

    Attributes:
        x: Node features (nodes, features), dense or sparse.
        edge_index: Arcs (2, arcs): from and to.
        edge_weight: (arcs,), or None.
        edge_attr: (arcs, features): edge features, or one column for each edge type; None where edges have neither.
        edge_type: (arcs,), or None.
        batch: To which graph each node belongs, (nodes,), ascending.
        graphs: How many graphs there are.
        edge_of: The edge of each arc, (arcs,), counted through all graphs.
        pairs: The ends of the edges that are asked about, (2, edges), for models that answer for edges.
    """

    x: Tensor
    edge_index: Tensor
    edge_weight: Tensor | None
    edge_attr: Tensor | None
    edge_type: Tensor | None
    batch: Tensor
    graphs: int
    edge_of: Tensor
    pairs: Tensor | None = None

    @property
    def nodes(self) -> int:
        """How many nodes there are in all."""
        return int(self.x.shape[0])

    def with_features(self, x: Tensor) -> "GraphArguments":
        """The same graph with other features."""
        return replace(self, x=x)

    def clone(self) -> "GraphArguments":
        """The same, in memory that a model may write to."""
        return replace(self, x=self.x.clone(), edge_index=self.edge_index.clone(), batch=self.batch.clone())

    def for_model(self, module: nn.Module) -> dict[str, Any]:
        """As the arguments of a model's forward.

        Raises:
            ModelError: The model wants something that is no part of a graph.
            InputError: The model wants edge features and the graph has none.
        """
        given: dict[str, Any] = {}
        for name, meaning in meanings(module).items():
            value = self._data() if meaning == "data" else getattr(self, meaning)
            if value is not None:
                given[name] = value
            elif _is_required(module, name):
                raise InputError(
                    f"the model takes {name!r}, and this graph has none; give the graph {_WANTED[meaning]}."
                )
        return given

    def _data(self) -> Any:
        from torch_geometric.data import Data

        parts = {name: getattr(self, name) for name in _OF_DATA}
        return Data(**{name: part for name, part in parts.items() if part is not None})


_OF_DATA = ("x", "edge_index", "edge_weight", "edge_attr", "edge_type", "batch")

_WANTED = {"edge_weight": "edge_weights", "edge_attr": "edge_features or edge_types", "edge_type": "edge_types"}


def takes_graphs(module: nn.Module) -> bool:
    """Whether a model's forward takes a graph: node features and arcs, or PyG's `data`."""
    names = _parameters(module)
    return bool({_MEANING.get(name) for name in names} & {"edge_index"}) or (
        len(names) == 1 and next(iter(names)) == "data"
    )


def meanings(module: nn.Module) -> dict[str, str]:
    """From the names of a model's arguments to what they mean, in order.

    Raises:
        ModelError: A required argument means nothing known.
    """
    found = {}
    for name, parameter in _parameters(module).items():
        if name in _MEANING:
            found[name] = _MEANING[name]
        elif parameter.default is parameter.empty:
            raise ModelError(
                f"the model's forward takes {name!r}, and nobody knows what that is; expected names as x, edge_index, "
                "edge_weight, edge_attr, edge_type, batch or data. Wrap the model in a module with such a forward."
            )
    if not {"edge_index", "data"} & set(found.values()):
        raise ModelError(
            f"{type(module).__name__} does not take graphs: its forward has no edge_index; give it a picture, or wrap "
            "it in a module whose forward takes x and edge_index."
        )
    return found


def arguments_of(module: nn.Module, graphs: Sequence[Graph]) -> GraphArguments:
    """Graphs side by side, as tensors of the model's type on its device.

    Features stay sparse where the model can take that.

    Raises:
        InputError: The graphs have features of different lengths, or the identity would be a large dense matrix.
    """
    if not graphs:
        raise InputError("no graph was given, expected one or more.")
    widths = {graph.num_features for graph in graphs}
    if len(widths) > 1:
        few = ", ".join(map(str, sorted(widths)[:5]))
        raise InputError(f"the graphs have features of different lengths ({few}); give all of them the same.")
    weight = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    device, dtype = weight.device, weight.dtype
    offsets = np.cumsum([0, *(graph.num_nodes for graph in graphs)])
    firsts = np.cumsum([0, *(graph.num_edges for graph in graphs)])
    arcs, edge_of, numbers = [], [], []
    for graph, offset, first in zip(graphs, offsets, firsts, strict=False):
        pairs, edges = graph.arcs()
        arcs.append(pairs + offset)
        edge_of.append(edges + first)
        numbers.append(edges)

    def per_arc(name: str) -> Tensor | None:
        values = [getattr(graph, name) for graph in graphs]
        if name == "edge_weights" and any(value is not None for value in values):
            ones = [np.ones(graph.num_edges, dtype=np.float32) for graph in graphs]
            values = [one if value is None else value for value, one in zip(values, ones, strict=True)]
        if any(value is None for value in values):
            return None
        if len({value.shape[1:] for value in values}) > 1:
            raise InputError(f"the graphs have {name} of different lengths; give all of them the same.")
        rows = [value[edges] for value, edges in zip(values, numbers, strict=True)]
        return torch.from_numpy(np.concatenate(rows)).to(device)

    edge_type = per_arc("edge_types")
    edge_attr = per_arc("edge_features")
    if edge_attr is None and edge_type is not None:
        names = graphs[0].edge_type_names or ()
        edge_attr = torch.nn.functional.one_hot(
            edge_type, max(len(names), int(edge_type.max()) + 1 if len(edge_type) else 1)
        )
    edge_weight = per_arc("edge_weights")
    return GraphArguments(
        x=_features(module, graphs, dtype).to(device),
        edge_index=torch.from_numpy(np.concatenate(arcs, axis=1)).to(device),
        edge_weight=None if edge_weight is None else edge_weight.to(dtype),
        edge_attr=None if edge_attr is None else edge_attr.to(dtype),
        edge_type=edge_type,
        batch=torch.from_numpy(np.repeat(np.arange(len(graphs)), np.diff(offsets))).to(device),
        graphs=len(graphs),
        edge_of=torch.from_numpy(np.concatenate(edge_of)).to(device),
        pairs=_asked_pairs(module, graphs, offsets, device),
    )


def _asked_pairs(
    module: nn.Module, graphs: Sequence[Graph], offsets: npt.NDArray[np.int64], device: torch.device
) -> Tensor | None:
    """All edges, each once, for models that answer for edges."""
    if "pairs" not in meanings(module).values() or getattr(module, "level", "edge") != "edge":
        return None
    pairs = [graph.edges.T + offset for graph, offset in zip(graphs, offsets, strict=False)]
    return torch.from_numpy(np.concatenate(pairs, axis=1)).to(device)


def _features(module: nn.Module, graphs: Sequence[Graph], dtype: torch.dtype) -> Tensor:
    import scipy.sparse

    if not any(scipy.sparse.issparse(graph.features) for graph in graphs):
        return torch.from_numpy(np.concatenate([graph.features for graph in graphs])).to(dtype)
    whole = scipy.sparse.vstack([scipy.sparse.csr_array(graph.features) for graph in graphs], format="csr")
    if not isinstance(module, GCN):
        if any(graph.featureless and graph.num_nodes > DENSE_IDENTITY for graph in graphs):
            size = whole.shape[0] * whole.shape[1] * 4 / 1e9
            raise InputError(
                f"the graph has no features, and the identity of its {whole.shape[0]:,} nodes would be a dense matrix "
                f"of {size:.1f} GB for this model; give features, or use pellucid's GCN, which takes it sparse."
            )
        if whole.shape[0] * whole.shape[1] > DENSE_VALUES:
            raise InputError(
                f"{whole.shape[0]:,} nodes with {whole.shape[1]:,} sparse features each would be a dense matrix of "
                f"{whole.shape[0] * whole.shape[1] * 4 / 1e9:,.1f} GB for this model; use pellucid's GCN, which takes "
                "them sparse, or fewer features."
            )
        return torch.from_numpy(whole.toarray()).to(dtype)
    rows = torch.from_numpy(np.repeat(np.arange(whole.shape[0]), np.diff(whole.indptr)))
    indices = torch.stack([rows, torch.from_numpy(whole.indices.astype(np.int64))])
    values = torch.from_numpy(whole.data.copy()).to(dtype)
    return torch.sparse_coo_tensor(indices, values, whole.shape, is_coalesced=True, check_invariants=False)


def _parameters(module: nn.Module) -> Mapping[str, inspect.Parameter]:
    forward = module.forward
    if inspect.ismethod(forward):  # its first argument is the module, whatever its name
        return _of_function(forward.__func__, bound=True)
    return _of_function(forward, bound=False)


@lru_cache(maxsize=256)
def _of_function(forward: Callable[..., Any], *, bound: bool) -> Mapping[str, inspect.Parameter]:
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = list(inspect.signature(forward).parameters.items())
    return {name: each for name, each in found[bound:] if each.kind in plain}


def _is_required(module: nn.Module, name: str) -> bool:
    parameter = _parameters(module)[name]
    return parameter.default is parameter.empty
