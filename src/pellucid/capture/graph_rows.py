"""Features of a union's nodes that are made only where a model asks for more than their product with a matrix.

Thousands of neighbourhoods side by side hold each node many times over. A first layer multiplies features by weights:
the product of the whole graph is taken once and its rows are handed out. Of features mostly 0 that a mask scales, only
what is not 0 is multiplied.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pellucid.capture.operations import SOFTMAXES, function_op
from pellucid.capture.provenance import storage_of

DENSE = 0.2
"""From this share of features that are not 0, multiplying all of them is faster."""


@dataclass(slots=True)
class Known:
    """What is computed once for a whole graph.

    Attributes:
        x: Its features, (nodes, features), dense or sparse.
        weights: Where the model's own parameters lie: only products with those are kept.
        products: Products of all nodes' features with weights.
        nonzero: The features that are not 0, as rows in compressed form; None before anybody asks, False if too many.
    """

    x: Tensor
    weights: frozenset[Any]
    products: dict[Any, Tensor] = field(default_factory=dict)
    nonzero: Any = None

    def sparse(self) -> tuple[Tensor, Tensor, Tensor] | None:
        """Bounds of rows, columns and values of what is not 0; None where that is too much to pay."""
        if self.nonzero is None:
            x = self.x if self.x.is_sparse else self.x.to_sparse()
            x = x.coalesce()
            self.nonzero = False
            if x._nnz() < DENSE * x.numel():
                rows, columns = x.indices()
                bounds = torch.searchsorted(rows, torch.arange(x.shape[0] + 1, device=rows.device))
                self.nonzero = (bounds, columns, x.values())
        return self.nonzero or None


class Rows:
    """Some rows of a graph's features, perhaps scaled.

    Args:
        known: What is known of the whole graph.
        nodes: Which rows, (nodes,).
    """

    def __init__(self, known: Known, nodes: Tensor) -> None:
        self._known, self._nodes = known, nodes
        self._dense: Tensor | None = None
        self._chosen: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
        self._scale: tuple[Tensor, Tensor | None] | None = None
        self._picked: dict[Any, Tensor] = {}
        # NaN: whatever got past the eyes of `Watch` would be seen in the answer.
        poison = torch.full((), torch.nan, dtype=known.x.dtype, device=known.x.device)
        self.stand_in = poison.expand(len(nodes), known.x.shape[1])

    def scaled(self, scale: Tensor, row: Tensor | None) -> "Rows":
        """The same rows, each value multiplied by that of `scale`, (nodes or scales, 1 or features).

        Args:
            scale: The factors; (values,) for one to each value that `nonzero` names.
            row: Which row of `scale` belongs to each node, (nodes,); None where they are the same.
        """
        other = Rows(self._known, self._nodes)
        other._dense, other._chosen, other._scale = self._dense, self._sparse_rows(), (scale, row)
        return other

    def dense(self) -> Tensor:
        """All values, (nodes, features)."""
        if self._dense is None:
            x = self._known.x.index_select(0, self._nodes)
            self._dense = x.to_dense() if x.is_sparse else x
        if self._scale is None:
            return self._dense
        scale, row = self._scale
        if scale.dim() == 1:
            _, owner, columns, values = self._values()
            return torch.zeros_like(self._dense).index_put((owner, columns), values * scale)
        return self._dense * (scale if row is None else scale[row])

    def nonzero(self) -> tuple[Tensor, Tensor] | None:
        """The row and the column of each value that is not 0; None where these are too many to be kept apart."""
        chosen = self._sparse_rows()
        return None if chosen is None else (chosen[1], chosen[2])

    def times(
        self, function: Callable[..., Tensor], op: str, rest: tuple[Any, ...], named: Mapping[str, Any]
    ) -> Tensor:
        """What a product with weights of the model returns."""
        if self._scale is not None:
            return self._scaled_times(function, op, rest, named)
        products, tensors = self._known.products, [each for each in (*rest, *named.values()) if each is not None]
        key = (op, *((storage_of(each), each.storage_offset(), each.shape, each.stride()) for each in tensors))
        if key not in products:
            products[key] = function(self._known.x, *rest, **named)
        if key not in self._picked:
            self._picked[key] = products[key].index_select(0, self._nodes)
        return self._picked[key]

    def can_multiply(self, rest: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
        """Whether everything else that goes into a product is the model's own, and fixed: a matrix, perhaps a bias."""
        others = [each for each in (*rest, *named.values()) if each is not None]
        if not all(
            isinstance(each, Tensor) and not each.requires_grad and storage_of(each) in self._known.weights
            for each in others
        ):
            return False
        # A vector or a stack of matrices makes no product with a row for each node and a column for each channel.
        return bool(others) and others[0].dim() == 2

    def _scaled_times(
        self, function: Callable[..., Tensor], op: str, rest: tuple[Any, ...], named: Mapping[str, Any]
    ) -> Tensor:
        chosen = self._sparse_rows()
        if chosen is None or self._scale is None:
            return function(self.dense(), *rest, **named)
        weight = rest[0] if rest else next(iter(named.values()))
        bias = rest[1] if len(rest) > 1 else named.get("bias")
        table = weight.T if op == "linear" else weight
        bounds, owner, columns, values = chosen
        scale, row = self._scale
        if scale.dim() == 2:
            row_of_value = owner if row is None else row[owner]
            # index_select of a flat array: its derivative adds up fast.
            place = row_of_value if scale.shape[1] == 1 else row_of_value * scale.shape[1] + columns
            scale = scale.reshape(-1).index_select(0, place)
        factors = values * scale
        found = F.embedding_bag(
            columns, table.contiguous(), bounds, mode="sum", per_sample_weights=factors, include_last_offset=True
        )
        return found if bias is None else found + bias

    def _values(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        chosen = self._sparse_rows()
        assert chosen is not None, "factors of single values need values that are kept apart"
        return chosen

    def _sparse_rows(self) -> tuple[Tensor, Tensor, Tensor, Tensor] | None:
        """Bounds of these rows, the row of each value that is not 0, its column, and the values."""
        sparse = self._known.sparse()
        if sparse is not None and self._chosen is None:
            bounds, columns, values = sparse
            first, sizes = bounds[self._nodes], bounds[self._nodes + 1] - bounds[self._nodes]
            mine = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
            owner = torch.repeat_interleave(sizes)
            place = torch.arange(len(owner), device=owner.device) + (first - mine[:-1])[owner]
            self._chosen = (mine, owner, columns[place], values[place])
        return self._chosen


class Watch(TorchFunctionMode):
    """Sees what goes into the last softmax, and serves features that are not there until they are needed."""

    def __init__(self, rows: Rows | None) -> None:
        super().__init__()
        self.before: Tensor | None = None
        self._rows = rows

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        op = function_op(function)
        if op in SOFTMAXES and args:
            self.before = args[0]
        rows = self._rows
        if rows is None or not self._holds(args, kwargs, rows.stand_in):
            return function(*args, **kwargs)
        if args and args[0] is rows.stand_in:
            if op == "dropout" and kwargs.get("training", args[2] if len(args) > 2 else True) is False:
                return rows.stand_in
            if op in ("linear", "matmul", "mm") and rows.can_multiply(args[1:], kwargs):
                return rows.times(function, op, args[1:], kwargs)
            if getattr(function, "__name__", "") in ("__get__", "size", "dim", "numel", "is_floating_point"):
                told = function(*args, **kwargs)
                if not isinstance(told, Tensor):  # its shape or type, which are right
                    return told
        made = rows.dense()

        def real(value: Any) -> Any:
            if isinstance(value, list | tuple) and type(value) in (list, tuple):
                return type(value)(real(each) for each in value)
            return made if value is rows.stand_in else value

        return function(*real(args), **{name: real(value) for name, value in kwargs.items()})

    @staticmethod
    def _holds(args: tuple[Any, ...], kwargs: Mapping[str, Any], wanted: Tensor) -> bool:
        for value in (*args, *kwargs.values()):
            if value is wanted or (isinstance(value, list | tuple) and any(each is wanted for each in value)):
                return True
        return False
