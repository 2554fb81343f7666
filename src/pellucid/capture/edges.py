"""Where a later backward pass can read the slope at a site, also when its memory is written to afterwards."""

from dataclasses import dataclass

from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge

_Layout = tuple[tuple[int, ...], tuple[int, ...], int]


@dataclass(frozen=True, slots=True)
class Edge:
    """A place in the autograd graph, and what part of the values there belongs to the site.

    Attributes:
        at: The place.
        whole: Layout in memory of the values at that place; None where they are the site's own.
        part: Layout of the site's values in the same memory.
    """

    at: GradientEdge
    whole: _Layout | None = None
    part: _Layout | None = None

    def slope(self, found: Tensor) -> Tensor:
        """The slope at the site from the one that was found at the place."""
        if self.whole is None or self.part is None:
            return found
        sides, steps, first = self.whole
        last = first + sum((side - 1) * step for side, step in zip(sides, steps, strict=True))
        memory = found.new_zeros(last + 1)
        memory.as_strided(sides, steps, first).copy_(found)
        return memory.as_strided(*self.part).clone()


def own_edge(tensor: Tensor) -> Edge:
    """The place of a tensor itself."""
    return Edge(get_gradient_edge(tensor))


def memory_edge(tensor: Tensor) -> Edge | None:
    """The place of the memory that a view shows a part of; None for a tensor that is no view.

    When a view or what it shows is written to in place, autograd goes on from the memory as a whole, past the view.
    """
    base = tensor._base
    if base is None or not base.requires_grad:
        return None
    return Edge(get_gradient_edge(base), _layout(base), _layout(tensor))


def _layout(tensor: Tensor) -> _Layout:
    return tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset())
