"""Methods that learn masks over a graph."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.capture.graph_asks import Blocks, GraphParts
from pellucid.errors import MethodError, SettingError
from pellucid.methods.catalogue import register_graph

Start = Literal["zero", "random"]
FeatureMask = Literal["none", "node", "feature", "node-feature"]
_EPS = 1e-15
_WORDS = {"start": get_args(Start), "nodes": get_args(FeatureMask)}


@register_graph("gnn-explainer")
@dataclass(frozen=True, slots=True, kw_only=True)
class GNNExplainer:
    """Which edges and features are enough for the answer: masks between 0 and 1, learnt to be few and to keep it.

    The loss is the cross entropy of the explained class (of a contrast: among its two classes; behind a sigmoid: of
    that class or not; for an output: the squared difference to the unmasked output), plus the size of each mask and its
    mean entropy. As in PyG, the first step goes without those two, and they count only what had a slope in that step. A
    mask multiplies messages after normalisation: it silences them, it does not delete edges.

    Attributes:
        epochs: Steps of Adam.
        lr: Its step size.
        edges: Whether edges get a mask.
        nodes: What else gets one: `none`; `node`: one value a node; `feature`: one a feature, the same for all nodes;
            `node-feature`: one for each value.
        edge_types: Whether each edge type gets one, which multiplies that of its edges.
        edge_features: Whether each edge feature gets one, the same for all edges; for models that take edge features.
        tie: Whether the two directions of an undirected edge share one value. Without, the value of an edge is the mean
            of both.
        edge_size: Weight of the sum of the edge mask.
        edge_entropy: Weight of its mean entropy.
        node_size: Weight of the mean of the node or feature mask.
        node_entropy: Weight of its mean entropy.
        start: `zero`: all masks at one half, so that the result is the same every time; `random`: as PyG draws them.
        restarts: Runs with a random start (the first as `start` says); the result is their mean, and their agreement
            is reported as `rank agreement`, the mean Spearman correlation between runs.

    Reference:
        Ying et al., GNNExplainer: Generating Explanations for Graph Neural Networks, NeurIPS 2019.
    """

    epochs: int = 100
    lr: float = 0.01
    edges: bool = True
    nodes: str = "none"
    edge_types: bool = False
    edge_features: bool = False
    tie: bool = True
    edge_size: float = 0.005
    edge_entropy: float = 1.0
    node_size: float = 1.0
    node_entropy: float = 0.1
    start: str = "zero"
    restarts: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "restarts"):
            given = getattr(self, name)
            if isinstance(given, bool) or not isinstance(given, int) or given < 1:
                raise SettingError(name, given=given, expected="a whole number, 1 or more")
        if not self.lr > 0:
            raise SettingError("lr", given=self.lr, expected="more than 0", hint="0.01 is usual")
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                raise SettingError(name, given=getattr(self, name), expected=" or ".join(words))
        if not (self.edges or self.edge_types or self.edge_features or self.nodes != "none"):
            expected = "at least one mask: edges, nodes, edge_types or edge_features"
            raise SettingError("edges", given=False, expected=expected)

    @property
    def needs_features(self) -> bool:
        """Only a mask over features does."""
        return self.nodes != "none"

    def attribute(self, blocks: Blocks, *, seed: int) -> GraphParts:
        """The masks of every block, learnt at once; what is outside a mask's reach has a slope of 0 and stays."""
        if self.edge_types and blocks.edge_types is None:
            raise MethodError("edge_types=true needs a graph whose edges have types; this one has none.")
        if self.edge_features and blocks.run.attributes is None:
            raise MethodError("edge_features=true needs a graph whose edges have features or types; this one has none.")
        with torch.no_grad():
            plain = blocks.logits()
        runs = [self._learnt(blocks, plain, seed=seed + run, first=run == 0) for run in range(self.restarts)]
        mean = {name: torch.stack([run[name] for run in runs]).mean(0) for name in runs[0]}
        checks = {}
        if self.restarts > 1:
            name = next(iter(runs[0]))
            block = blocks.block_of_node if name == "nodes" and self.nodes != "feature" else None
            block = blocks.block_of_edge if name == "edges" else block
            checks["rank agreement"] = _agreement([run[name] for run in runs], block, blocks.count)
        per_edge = mean.get("edges")
        nodes = mean.get("nodes")
        return GraphParts(
            nodes=nodes if self.nodes in ("node", "node-feature") else None,
            features=nodes if self.nodes == "feature" else None,
            edges=per_edge,
            edge_types=mean.get("edge_types"),
            edge_features=mean.get("edge_features"),
            checks=checks,
        )

    def _learnt(self, blocks: Blocks, plain: Tensor, *, seed: int, first: bool) -> dict[str, Tensor]:
        masks = self._started(blocks, seed=seed, random=self.start == "random" or not first)
        for mask in masks.values():
            mask.requires_grad_(True)
        steps = [_Adam(mask, lr=self.lr) for mask in masks.values()]
        reached: dict[str, Tensor] = {}
        for _ in range(self.epochs):
            logits = self._masked(blocks, masks)
            loss = self._misses(blocks, logits, plain)
            for name in reached:
                loss = loss + self._regular(blocks, name, masks[name], reached[name])
            slopes = blocks.slopes(loss, list(masks.values()))
            if not reached:
                reached = {name: slope != 0 for name, slope in zip(masks, slopes, strict=True)}
            for step, slope in zip(steps, slopes, strict=True):
                step(slope)
        return {name: self._finished(blocks, name, mask, reached[name]) for name, mask in masks.items()}

    def _started(self, blocks: Blocks, *, seed: int, random: bool) -> dict[str, Tensor]:
        whole, like = blocks.whole.arguments, blocks.whole.answer.logits
        nodes, features = len(blocks.union.node), whole.x.shape[1]
        shapes: dict[str, tuple[int, ...]] = {}
        values = self._values(blocks)
        if values is not None:
            shapes["nodes"] = (len(values[0]),)
        elif self.nodes != "none":
            rows = blocks.count if self.nodes == "feature" else nodes
            shapes["nodes"] = (rows, 1 if self.nodes == "node" else features)
        if self.edges:
            shapes["edges"] = (blocks.edges if self.tie else len(blocks.edge_of_arc),)
        if self.edge_types:
            shapes["edge_types"] = (blocks.count, blocks.types)
        if self.edge_features and blocks.run.attributes is not None:
            shapes["edge_features"] = (blocks.count, blocks.run.attributes.shape[1])
        if not random:
            return {name: like.new_zeros(shape) for name, shape in shapes.items()}
        # Drawn for the whole graph and sliced, as PyG does: a target gets the same start, whoever its neighbours are,
        # and a graph, whatever others are beside it.
        batch = whole.batch.cpu()
        sizes, arcs = (torch.bincount(of, minlength=whole.graphs) for of in (batch, batch[whole.edge_index[0].cpu()]))
        drawn: dict[str, list[Tensor]] = {name: [] for name in shapes}
        columns = {name: shape[1:] for name, shape in shapes.items()}
        columns |= {} if values is None else {"nodes": (features,)}
        for in_graph, in_arcs in zip(sizes.tolist(), arcs.tolist(), strict=True):
            generator = torch.Generator().manual_seed(seed)
            for name, starts in drawn.items():
                rows, std = {"nodes": 1 if self.nodes == "feature" else in_graph, "edges": in_arcs}.get(name, 1), 0.1
                if name == "edges":
                    std = math.sqrt(2.0) * math.sqrt(2.0 / (2 * in_graph))
                starts.append(torch.randn(rows, *columns[name], generator=generator) * std)
        graph = torch.tensor([aim.graph for aim in blocks.aims])
        places = dict.fromkeys(shapes, graph)
        if self.nodes in ("node", "node-feature"):
            places["nodes"] = torch.from_numpy(blocks.union.node)
        if self.edges:
            # The first arc of an edge is the edge itself.
            edge, arc = torch.from_numpy(blocks.edge), torch.from_numpy(blocks.union.arc)
            places["edges"] = _first_arc(whole.edge_of.cpu())[edge] if self.tie else arc
        started = {name: torch.cat(starts)[places[name]] for name, starts in drawn.items()}
        if values is not None:
            started["nodes"] = started["nodes"][values[0].cpu(), values[1].cpu()]
        return {name: start.to(like) for name, start in started.items()}

    def _values(self, blocks: Blocks) -> tuple[Tensor, Tensor] | None:
        """The node and the feature of each value that gets a mask of its own, where those that are 0 get none."""
        return blocks.run.nonzero() if self.nodes == "node-feature" else None

    def _masked(self, blocks: Blocks, masks: dict[str, Tensor]) -> Tensor:
        arcs = None
        scale = masks["nodes"].sigmoid() if "nodes" in masks else None
        if "edges" in masks:
            arcs = masks["edges"].sigmoid()
            arcs = arcs[blocks.edge_of_arc] if self.tie else arcs
        if "edge_types" in masks:
            assert blocks.edge_types is not None
            by_edge = masks["edge_types"].sigmoid()[blocks.block_of_edge, blocks.edge_types][blocks.edge_of_arc]
            arcs = by_edge if arcs is None else arcs * by_edge
        attributes = blocks.run.attributes
        if "edge_features" in masks and attributes is not None:
            shown = masks["edge_features"].sigmoid()[blocks.block_of_edge[blocks.edge_of_arc]]
            attributes = attributes * shown
        else:
            attributes = None
        return blocks.logits(scale=scale, arcs=arcs, attributes=attributes)

    @staticmethod
    def _misses(blocks: Blocks, logits: Tensor, plain: Tensor) -> Tensor:
        """How far the masked answers are from the explained ones, summed over blocks, so that none weighs another."""
        values = (blocks.score(logits) - blocks.score(plain)).square()
        if logits.shape[1] == 1:
            return values.sum()
        whole = F.cross_entropy(logits, blocks.weights.argmax(1), reduction="none")
        # One class rather than another: the cross entropy between these two alone.
        alone = (blocks.weights != 0).sum(1) > 1
        # Behind a sigmoid each class is a question of its own.
        alone = alone | (blocks.whole.answer.looked_through == "sigmoid")
        classes = torch.where(alone, F.softplus(-blocks.score(logits)), whole)
        return torch.where(blocks.are_values, values, classes).sum()

    def _regular(self, blocks: Blocks, name: str, mask: Tensor, reached: Tensor) -> Tensor:
        shown, counts = mask.sigmoid(), reached.to(mask.dtype)
        entropy = -shown * torch.log(shown + _EPS) - (1 - shown) * torch.log(1 - shown + _EPS)
        block = self._block_of(blocks, name, arcs=not self.tie)

        def summed(values: Tensor) -> Tensor:
            rows = (values * counts).sum(1) if values.dim() > 1 else values * counts
            return rows if block is None else blocks.sum_per_block(rows, block)

        many = summed(torch.ones_like(shown)).clamp(min=1)
        of_edges = name == "edges"
        size = summed(shown) if of_edges else summed(shown) / many
        weights = (self.edge_size, self.edge_entropy) if of_edges else (self.node_size, self.node_entropy)
        return (weights[0] * size + weights[1] * summed(entropy) / many).sum()

    def _block_of(self, blocks: Blocks, name: str, *, arcs: bool = False) -> Tensor | None:
        """The block of each row of a mask; None where there is a row for each block."""
        if name == "edges":
            return blocks.block_of_edge[blocks.edge_of_arc] if arcs else blocks.block_of_edge
        if name == "nodes" and (values := self._values(blocks)) is not None:
            return blocks.block_of_node[values[0]]
        return blocks.block_of_node if name == "nodes" and self.nodes != "feature" else None

    def _finished(self, blocks: Blocks, name: str, mask: Tensor, reached: Tensor) -> Tensor:
        """The mask from 0 to 1, and 0 where nothing depends on it."""
        shown = mask.detach().sigmoid() * reached
        if name == "nodes" and (values := self._values(blocks)) is not None:
            everywhere = shown.new_zeros(len(blocks.block_of_node), blocks.whole.arguments.x.shape[1])
            return everywhere.index_put(values, shown)
        if name == "nodes":
            return shown[:, 0] if self.nodes == "node" else shown
        if name == "edges" and not self.tie:
            total = shown.new_zeros(blocks.edges).index_add(0, blocks.edge_of_arc, shown)
            return total / shown.new_zeros(blocks.edges).index_add(0, blocks.edge_of_arc, torch.ones_like(shown))
        return shown


class _Adam:
    """Adam for one tensor, step by step as `torch.optim.Adam`, whose import takes two seconds.

    Reference:
        Kingma & Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, algorithm 1.
    """

    def __init__(self, mask: Tensor, *, lr: float) -> None:
        self._mask, self._lr, self._count = mask, lr, 0
        self._mean, self._square = torch.zeros_like(mask), torch.zeros_like(mask)

    @torch.no_grad()
    def __call__(self, slope: Tensor) -> None:
        self._count += 1
        self._mean.lerp_(slope, 0.1)
        self._square.mul_(0.999).addcmul_(slope, slope, value=0.001)
        root = (self._square.sqrt() / math.sqrt(1 - 0.999**self._count)).add_(1e-8)
        self._mask.addcdiv_(self._mean, root, value=-self._lr / (1 - 0.9**self._count))


def _first_arc(edge_of: Tensor) -> Tensor:
    """The first arc of each edge."""
    edges = int(edge_of.max()) + 1 if len(edge_of) else 0
    first = torch.full((edges,), len(edge_of), dtype=torch.long)
    return first.scatter_reduce(0, edge_of, torch.arange(len(edge_of)), reduce="amin")


def _agreement(runs: list[Tensor], block: Tensor | None, blocks: int) -> Tensor:
    """The mean Spearman correlation between runs, block by block; NaN where a block has nothing to rank."""
    found = []
    for number in range(blocks):
        mine = [run[number : number + 1] if block is None else run[block == number] for run in runs]
        ranks = torch.stack([_ranks(values.flatten()) for values in mine])
        found.append(_mean_correlation(ranks))
    return torch.tensor(found)


def _ranks(values: Tensor) -> Tensor:
    """Ranks with ties at their mean."""
    _, inverse, counts = torch.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum(0).double()
    middle: Tensor = ends - (counts.double() - 1) / 2
    return middle[inverse]


def _mean_correlation(ranks: Tensor) -> float:
    centred = ranks - ranks.mean(1, keepdim=True)
    lengths = centred.norm(dim=1)
    if bool((lengths == 0).any()):
        return float("nan")
    pairs = list(_pairs(len(ranks)))
    return sum(float(centred[a] @ centred[b] / (lengths[a] * lengths[b])) for a, b in pairs) / len(pairs)


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    return ((a, b) for a in range(count) for b in range(a + 1, count))
