"""Many graphs that belong together, as data sets for the classification of graphs have them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pellucid.errors import InputError
from pellucid.inputs.graph import Graph


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphSet:
    """Graphs with one meaning of their features, edge types and labels. Made by `pellucid.read` or by hand.

    `graphs[3]`, `len(graphs)` and iteration give the graphs.

    Attributes:
        graphs: The graphs. All have the same number of features and, where they have any, the same edge types.
        name: What to call the data set.
        class_names: Names of the classes that `Graph.label` numbers; None where labels are values, or there are none.
        node_type_names: What kinds of nodes there are; their one-hot codes are the first features. Or None.
        edge_type_names: What kinds of edges there are, or None.
        splits: Named sets of graphs ("train", "test"), each bool (graphs,).
        notes: What reading had to do, as short sentences.

    Raises:
        InputError: There is no graph, or they do not fit together; says which.
    """

    graphs: tuple[Graph, ...]
    name: str = "graphs"
    class_names: tuple[str, ...] | None = None
    node_type_names: tuple[str, ...] | None = None
    edge_type_names: tuple[str, ...] | None = None
    splits: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        graphs = tuple(self.graphs)
        if not graphs:
            raise InputError(f"the data set {self.name!r} has no graphs, expected one or more.")
        strangers = [index for index, each in enumerate(graphs) if not isinstance(each, Graph)]
        if strangers:
            kind = type(graphs[strangers[0]]).__name__
            raise InputError(f"graph {strangers[0]} of {self.name!r} is a {kind}, expected a Graph.")
        _alike(self.name, [0 if each.featureless else each.num_features for each in graphs], "features")
        _alike(self.name, [each.edge_type_names for each in graphs if each.edge_types is not None], "edge types")
        splits = {str(name): np.array(mask) for name, mask in self.splits.items()}
        for name, mask in splits.items():
            if mask.dtype != np.bool_ or mask.shape != (len(graphs),):
                raise InputError(
                    f"split {name!r} has {mask.dtype} of shape {mask.shape}, expected bool of shape ({len(graphs)},)."
                )
            mask.flags.writeable = False
        if self.class_names is not None:
            numbers = [each.label for each in graphs]
            top = len(self.class_names)
            bad = [
                index
                for index, label in enumerate(numbers)
                if label is not None and (label != int(label) or not 0 <= label < top)
            ]
            if bad:
                raise InputError(
                    f"the label of graph {bad[0]} of {self.name!r} is {numbers[bad[0]]}, expected 0 to {top - 1}, "
                    f"since {top} classes are named ({len(bad)} such)."
                )
        object.__setattr__(self, "graphs", graphs)
        object.__setattr__(self, "splits", splits)
        object.__setattr__(self, "notes", tuple(self.notes))

    @property
    def labels(self) -> tuple[int | float | None, ...]:
        """The label of each graph."""
        return tuple(each.label for each in self.graphs)

    def __len__(self) -> int:
        return len(self.graphs)

    def __iter__(self) -> Iterator[Graph]:
        return iter(self.graphs)

    def __getitem__(self, index: int) -> Graph:
        return self.graphs[index]

    def __repr__(self) -> str:
        nodes, edges = sum(each.num_nodes for each in self), sum(each.num_edges for each in self)
        classes = "" if self.class_names is None else f", {len(self.class_names)} classes"
        notes = f": {'; '.join(self.notes)}" if self.notes else ""
        return f"<GraphSet {self.name!r} {len(self):,} graphs, {nodes:,} nodes, {edges:,} edges{classes}{notes}>"


def _alike(name: str, values: list[object], what: str) -> None:
    different = [index for index, value in enumerate(values) if value != values[0]]
    if different:
        index = different[0]
        raise InputError(
            f"graph {index} of {name!r} has {values[index]} as {what}, graph 0 has {values[0]} "
            f"({len(different)} such); a data set has one meaning of them."
        )
