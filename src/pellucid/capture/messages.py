"""Along which arcs a model's layers pass messages: noted in one pass, and changed for another.

Two kinds of layers are known: pellucid's own, which have one `Normalise` each, and PyG's `MessagePassing`, by the hooks
that it offers. Nothing here imports PyG.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pellucid.models.graph_layers import Normalise


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """What one call of a layer passed messages along.

    Attributes:
        arcs: (2, arcs): from and to, self-loops that the layer added among them.
        constants: What belongs to an arc and does not depend on the node features, by name: normalised weights.
        fixed: Whether everything that belongs to an arc is among the constants, so that both can be given to the layer.
            Attention depends on the features: it is computed anew in every pass.
    """

    arcs: Tensor
    constants: Mapping[str, Tensor]
    fixed: bool


Routes = Mapping[str, Sequence[Route]]


def message_layers(module: nn.Module) -> dict[str, nn.Module]:
    """The parts of a model that pass messages, by name."""
    return {name: part for name, part in module.named_modules() if isinstance(part, Normalise) or _is_pyg(part)}


def convolution_of(name: str, part: nn.Module) -> str:
    """The name of the whole layer that a part which passes messages belongs to."""
    return name.rpartition(".")[0] if isinstance(part, Normalise) else name


@contextmanager
def noted_routes(module: nn.Module) -> Iterator[dict[str, list[Route]]]:
    """Note along which arcs each layer passes messages, call by call. Features should require a gradient.

    Yields:
        By layer, filled while the model runs.
    """
    found: dict[str, list[Route]] = {}

    def note(name: str, arcs: Tensor, constants: dict[str, Tensor], *, fixed: bool) -> None:
        found.setdefault(name, []).append(Route(arcs=arcs.detach(), constants=constants, fixed=fixed))

    with uncached(module), ExitStack() as undo:
        part: Any
        for name, part in message_layers(module).items():
            if isinstance(part, Normalise):

                def after(_: nn.Module, __: Any, result: Any, name: str = name) -> None:
                    note(name, result[0], {"weights": result[1].detach()}, fixed=True)

                undo.callback(part.register_forward_hook(after).remove)
            else:

                def before(layer: Any, inputs: Any, name: str = name) -> None:
                    edge_index, _, kwargs = inputs
                    mine = _per_arc(layer, edge_index, kwargs)
                    fixed = not any(value.requires_grad for value in mine.values())
                    constants = {key: value.detach() for key, value in mine.items() if fixed}
                    note(name, edge_index, constants, fixed=fixed)

                undo.callback(part.register_propagate_forward_pre_hook(before).remove)
        yield found


@dataclass(slots=True)
class Steering:
    """What layers are made to do while a model runs.

    Attributes:
        routes: Along which arcs each layer passes messages, by layer and call; where a route is fixed, it replaces what
            the layer would do.
        given: The arcs that the model is given, (2, arcs).
        nodes: How many nodes there are.
        mask: A factor for the messages along each given arc, (arcs,); None for none. May be changed between passes.
        running: Whether the pass that runs now is meant; others go their own way.
    """

    routes: Routes
    given: Tensor
    nodes: int
    mask: Tensor | None = None
    running: bool = False
    _calls: dict[str, int] = field(default_factory=dict)
    _which: dict[tuple[str, int], Tensor] = field(default_factory=dict)

    @contextmanager
    def passing(self, mask: Tensor | None) -> Iterator[None]:
        """One pass of the model, with a mask or without."""
        self._calls.clear()
        self.mask, self.running = mask, True
        try:
            yield
        finally:
            self.mask, self.running = None, False

    def next_route(self, name: str) -> Route:
        """The route of this call of a layer."""
        self._calls[name] = self._calls.get(name, -1) + 1
        return self.routes[name][self._calls[name]]

    def factor(self, name: str, arcs: Tensor) -> Tensor | None:
        """The factor of each message along some arcs, in this call of a layer: 1 for loops that it has added itself."""
        if self.mask is None:
            return None
        place = (name, self._calls[name])
        if place not in self._which:
            self._which[place] = self._find(arcs)
        return torch.cat([self.mask, self.mask.new_ones(1)])[self._which[place]]

    def _find(self, arcs: Tensor) -> Tensor:
        """Which of the given arcs some arcs are; the number after the last one for those that are none."""
        keys, order = torch.sort(self.given[0] * self.nodes + self.given[1])
        if not len(keys):
            return torch.zeros(arcs.shape[1], dtype=torch.long, device=arcs.device)
        wanted = arcs[0] * self.nodes + arcs[1]
        place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
        return torch.where(keys[place] == wanted, order[place], len(keys))


@contextmanager
def steered(module: nn.Module, steering: Steering) -> Iterator[Steering]:
    """Make layers pass messages along given arcs, with given factors. Everything is put back afterwards."""
    with uncached(module), ExitStack() as undo:
        for name, part in message_layers(module).items():
            if isinstance(part, Normalise):
                _steer_ours(part, name, steering, undo)
            else:
                _steer_pyg(part, name, steering, undo)
        yield steering


def _steer_ours(part: Any, name: str, steering: Steering, undo: ExitStack) -> None:
    usual = part.forward

    def forward(*given: Any) -> Any:
        if not steering.running:
            return usual(*given)
        route = steering.next_route(name)
        weights, factor = route.constants["weights"], steering.factor(name, route.arcs)
        return route.arcs, weights if factor is None else weights * factor

    # In the place of its forward, not after it: degrees need not be computed in every pass to be thrown away.
    if "forward" in vars(part):  # a run inside of a run
        undo.callback(setattr, part, "forward", usual)
    else:
        undo.callback(vars(part).pop, "forward")
    part.forward = forward


def _steer_pyg(part: Any, name: str, steering: Steering, undo: ExitStack) -> None:
    along: list[Tensor] = []

    def before(layer: Any, inputs: Any) -> Any:
        if not steering.running:
            return None
        edge_index, size, kwargs = inputs
        route = steering.next_route(name)
        along[:] = [route.arcs if route.fixed else edge_index]
        return (route.arcs, size, {**kwargs, **route.constants}) if route.fixed else None

    def message(layer: Any, inputs: Any, out: Tensor) -> Tensor | None:
        factor = steering.factor(name, along[0]) if steering.running else None
        if factor is None:
            return None
        sides = [1] * out.dim()
        sides[layer.node_dim] = -1
        return out * factor.view(sides)

    undo.callback(part.register_propagate_forward_pre_hook(before).remove)
    undo.callback(part.register_message_forward_hook(message).remove)


@contextmanager
def narrowed(module: nn.Module, receivers: Tensor) -> Iterator[None]:
    """Let messages reach some nodes only, after degrees were computed of all arcs: others cannot matter to a target.

    Args:
        module: The model.
        receivers: bool (nodes,).
    """
    with ExitStack() as undo:
        part: Any
        for part in message_layers(module).values():
            if isinstance(part, Normalise):

                def after(_: nn.Module, __: Any, result: Any) -> Any:
                    kept = receivers.index_select(0, result[0][1]).nonzero().flatten()
                    return result[0].index_select(1, kept), result[1].index_select(0, kept)

                undo.callback(part.register_forward_hook(after).remove)
            elif getattr(part, "flow", "") == "source_to_target":

                def before(layer: Any, inputs: Any) -> Any:
                    edge_index, size, kwargs = inputs
                    kept = receivers.index_select(0, edge_index[1]).nonzero().flatten()
                    mine = {
                        name: value.index_select(0, kept) for name, value in _per_arc(layer, edge_index, kwargs).items()
                    }
                    return edge_index.index_select(1, kept), size, {**kwargs, **mine}

                undo.callback(part.register_propagate_forward_pre_hook(before).remove)
        yield


def _per_arc(layer: Any, edge_index: Tensor, kwargs: Mapping[str, Any]) -> dict[str, Tensor]:
    """What PyG hands to a layer for each arc; what belongs to nodes is known by the endings of its names."""
    names = set(layer.inspector.get_flat_param_names(["message", "aggregate", "update"]))
    of_nodes = {name[:-2] for name in names if name.endswith(("_i", "_j"))}
    return {
        name: value
        for name, value in kwargs.items()
        if isinstance(value, Tensor) and name not in of_nodes and value.shape[:1] == edge_index.shape[1:]
    }


def _is_pyg(part: nn.Module) -> bool:
    # PyG's layers offer hooks inside of what they do, and say where a message's axis of arcs is.
    return hasattr(part, "register_propagate_forward_pre_hook") and hasattr(part, "register_message_forward_hook")


@contextmanager
def uncached(module: nn.Module) -> Iterator[None]:
    """What layers remember of another graph is not used meanwhile, nor overwritten."""
    with ExitStack() as undo:
        for part in message_layers(module).values():
            for name in ("cached", "_cached_edge_index", "_cached_adj_t", "_cached_x", "_cached_h"):
                if name in vars(part):
                    undo.callback(setattr, part, name, vars(part)[name])
                    setattr(part, name, False if name == "cached" else None)
        yield
