"""Explanations with the model and the graphs that they are about, ready to ask the model again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from pellucid.capture.graph_asks import Aim
from pellucid.capture.graph_engine import WholePass
from pellucid.capture.graph_remains import Of, Remains
from pellucid.capture.graph_settling import settled_passes
from pellucid.errors import SettingError
from pellucid.inputs.graph import Graph
from pellucid.methods.explanation import Explanation
from pellucid.methods.graph_targets import aim_of
from pellucid.metrics.graph_selection import subject_of
from pellucid.metrics.provenance import check_model
from pellucid.models.loading import load
from pellucid.models.model import Model

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matched:
    """One explanation in a batch of graphs.

    Attributes:
        number: Its place among the given explanations.
        explanation: The explanation.
        graph: Its graph.
        whole: The pass over the batch.
        aim: Its target.
        edges: int64 (edges,): the numbers of its edges in the batch.
        nodes: int64 (nodes,): the numbers of its nodes there, targets not among them: a target is never taken away.
        free: bool (nodes of the subject,): which of its nodes these are.
    """

    number: int
    explanation: Explanation
    graph: Graph
    whole: WholePass
    aim: Aim
    edges: Ints
    nodes: Ints
    free: npt.NDArray[np.bool_]

    def places(self, of: Of) -> Ints:
        """The numbers of its edges or nodes in the batch."""
        return self.edges if of == "edges" else self.nodes

    def remains(self, of: Of, factors: npt.NDArray[np.float64], *, elsewhere: float) -> Remains:
        """What is left of its graph where each place keeps a factor."""
        return Remains(aim=self.aim, places=self.places(of), factors=factors, elsewhere=elsewhere)


def as_list(explanations: Explanation | Sequence[Explanation]) -> list[Explanation]:
    """Explanations of graphs as a list.

    Raises:
        SettingError: There is none, or one is about a picture.
    """
    several = [explanations] if isinstance(explanations, Explanation) else list(explanations)
    if not several:
        raise SettingError("explanations", given=several, expected="one or more")
    for each in several:
        subject_of(each)
    return several


def matched(
    explanations: Sequence[Explanation], *, model: Model | nn.Module | str, input: Any
) -> Iterator[list[Matched]]:
    """Explanations by the batch of graphs that the model sees at once.

    Args:
        explanations: Explanations of graphs.
        model: The model that was explained.
        input: The graph that was explained, or several.

    Raises:
        SettingError: An explanation is about another model or another graph; digests say so.
    """
    known = load(model)
    check_model(explanations, known)
    graphs = {graph.digest: graph for graph in ([input] if isinstance(input, Graph) else input)}
    wanted: dict[str, list[int]] = {}
    for number, each in enumerate(explanations):
        if each.input_digest not in graphs:
            given = ", ".join(f"{graph.name} ({key[:12]})" for key, graph in list(graphs.items())[:3])
            raise SettingError(
                "input",
                given=given or "no graph",
                expected=f"the explained graph, {subject_of(each).name} ({each.input_digest[:12]})",
            )
        wanted.setdefault(each.input_digest, []).append(number)
    mine = [graphs[key] for key in wanted]
    explained = list(wanted.values())
    for numbers, whole in settled_passes(known.module, mine):
        yield list(_batch(whole, [mine[n] for n in numbers], [explained[n] for n in numbers], explanations))


def _batch(
    whole: WholePass, graphs: list[Graph], numbers: list[list[int]], explanations: Sequence[Explanation]
) -> Iterator[Matched]:
    offset = first_edge = 0
    for place, (graph, mine) in enumerate(zip(graphs, numbers, strict=True)):
        for number in mine:
            explanation = explanations[number]
            subject = subject_of(explanation)
            classes = whole.answer.logits.shape[1]
            aim = aim_of(explanation.target, graph=place, offset=offset, classes=classes)
            free = ~np.isin(subject.nodes, explanation.target.nodes)
            yield Matched(
                number=number,
                explanation=explanation,
                graph=graph,
                whole=whole,
                aim=aim,
                edges=subject.edges + first_edge,
                nodes=subject.nodes[free] + offset,
                free=free,
            )
        offset, first_edge = offset + graph.num_nodes, first_edge + graph.num_edges
