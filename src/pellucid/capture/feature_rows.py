"""Rows of node features, dense or sparse: some of them, or all with some set to 0."""

import torch
from torch import Tensor


def select_rows(x: Tensor, nodes: Tensor) -> Tensor:
    """The features of some nodes, in their order; a node may be named more than once.

    Args:
        x: (nodes, features), dense or coalesced sparse.
        nodes: (chosen,).
    """
    if not x.is_sparse:
        return x.index_select(0, nodes)
    (rows, columns), values = x.indices(), x.values()
    starts = torch.searchsorted(rows, torch.arange(len(x) + 1, device=rows.device))
    sizes = starts[nodes + 1] - starts[nodes]
    row = torch.repeat_interleave(torch.arange(len(nodes), device=rows.device), sizes)
    first = torch.repeat_interleave(starts[nodes] - sizes.cumsum(0) + sizes, sizes)
    place = first + torch.arange(len(row), device=rows.device)
    return _sparse(torch.stack([row, columns[place]]), values[place], (len(nodes), x.shape[1]))


def without_rows(x: Tensor, gone: Tensor) -> Tensor:
    """The features with those of some nodes set to 0.

    Args:
        x: (nodes, features), dense or coalesced sparse.
        gone: bool (nodes,).
    """
    if not x.is_sparse:
        return x * ~gone[:, None]
    kept = ~gone[x.indices()[0]]
    return _sparse(x.indices()[:, kept], x.values()[kept], tuple(x.shape))


def _sparse(indices: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    return torch.sparse_coo_tensor(indices, values, shape, is_coalesced=True, check_invariants=False)
