"""Fidelity of explanations on graphs: does the answer need what is named, and is what is named enough?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from pellucid.capture.graph_remains import Of, Removal, logits_of_remains
from pellucid.errors import SettingError
from pellucid.methods.explanation import Explanation
from pellucid.methods.parts import read_only
from pellucid.metrics.graph_answers import Reading
from pellucid.metrics.graph_matching import Matched, as_list, matched
from pellucid.metrics.graph_selection import Selection, values_of, word
from pellucid.metrics.ordering import ordered
from pellucid.models.model import Model

About = Literal["model", "phenomenon"]
Floats = npt.NDArray[np.float64]
_NAMES = ("plus", "minus", "accuracy_plus", "accuracy_minus", "unfaithfulness", "sparsity")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphFidelity:
    """How true explanations of graphs are, one number each; `mean` and `repr` say it for all.

    G is the graph, S what the explanation names, p the probability of the target's class (of the true class for a
    phenomenon), or the output itself where it is no class.

    Attributes:
        of: Whether `edges` or `nodes` were taken away.
        removal: `delete` or `silence`.
        about: `model`: does the explanation fit what the model does; `phenomenon`: what is true.
        unit: What `plus` and `minus` are in: "probability" or "output".
        plus: (explanations,): p(G) − p(G without S); of outputs the size of that. Large: the answer needs S.
        minus: (explanations,): p(G) − p(S alone); of outputs the size of that. Near 0: S is enough.
        accuracy_plus: (explanations,): 1 where G without S is decided otherwise, else 0; for a phenomenon where that
            makes right wrong, or wrong right. NaN for outputs, which decide nothing.
        accuracy_minus: (explanations,): the same for S alone.
        unfaithfulness: (explanations,): 1 − exp(−KL(answer to G ‖ answer to S alone)), 0 to 1; NaN for outputs.
        sparsity: (explanations,): the share of edges or nodes that S leaves out, 0 to 1.
        places: (explanations,): how many edges or nodes each could name.

    Reference:
        Amara et al., GraphFramEx, LoG 2022; Yuan et al., Explainability in Graph Neural Networks: A Taxonomic Survey,
        TPAMI 2023, whose signed differences `plus` and `minus` are.
    """

    of: str
    removal: str
    about: str
    unit: str
    plus: Floats
    minus: Floats
    accuracy_plus: Floats
    accuracy_minus: Floats
    unfaithfulness: Floats
    sparsity: Floats
    places: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in (*_NAMES, "places"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def __len__(self) -> int:
        return len(self.plus)

    def mean(self, name: str) -> float:
        """The mean of one of the numbers over explanations.

        Raises:
            SettingError: There is none of that name.
        """
        if name not in _NAMES:
            raise SettingError("name", given=name, expected=" or ".join(map(repr, _NAMES)))
        return float(getattr(self, name).mean())

    @property
    def characterisation(self) -> float:
        """The harmonic mean of mean fidelity+ and 1 − mean fidelity−, by accuracy, 0 to 1; NaN for outputs.

        Reference:
            Amara et al., GraphFramEx, LoG 2022, the characterisation score with equal weights.
        """
        plus, kept = self.mean("accuracy_plus"), 1 - self.mean("accuracy_minus")
        return 0.0 if plus == 0 or kept == 0 else 2 / (1 / plus + 1 / kept)

    def to_record(self) -> dict[str, Any]:
        """As JSON types; what is not a number is None."""
        found: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, np.ndarray):
                value = [None if isinstance(x, float) and np.isnan(x) else x for x in value.tolist()]
            found[each.name] = value
        return found

    def __repr__(self) -> str:
        numbers = f"fidelity+ {self.mean('plus'):.3f}, fidelity− {self.mean('minus'):.3f} ({self.unit})"
        if self.unit == "probability":
            numbers += f", by accuracy {self.mean('accuracy_plus'):.3f} and {self.mean('accuracy_minus'):.3f}"
        return (
            f"<GraphFidelity of {len(self)} explanations by {self.removal} of {self.of}: {numbers}, "
            f"sparsity {self.mean('sparsity'):.2f}>"
        )


def evaluate_graph(
    explanations: Explanation | Sequence[Explanation],
    *,
    model: Model | nn.Module | str,
    input: Any,
    of: str = "edges",
    removal: str = "delete",
    select: Selection | None = None,
    about: str = "model",
    seed: int = 0,
) -> GraphFidelity:
    """Measure how true explanations of graphs are, by asking the model without, and with only, what they name.

    A node that is taken away takes its edges along; the target itself is never taken away and never counted. S alone
    is the graph with no other edges, or nodes, anywhere. Loops that a layer adds by itself stay.

    Args:
        explanations: One or many; of nodes, edges or graphs, of one kind.
        model: The model that was explained; it is left exactly as it was.
        input: The graph that was explained, or several.
        of: What is taken away; values of nodes are given to edges as the mean of the two ends.
        removal: `delete` takes it out of the graph, and the model computes degrees and means anew; `silence` multiplies
            messages by 0 after normalisation, and features of nodes. The two are different questions.
        select: What counts as named; None is the strongest 20 %.
        about: `model`, or `phenomenon`, which needs labels in the graph.
        seed: For the order of equal values.

    Returns:
        Numbers in the order of the explanations.

    Raises:
        SettingError: An explanation is about another model or graph, has no values for this, or a word is unknown.
    """
    select = Selection(share=0.2) if select is None else select
    places: Of = word("of", of, Of)
    how: Removal = word("removal", removal, Removal)
    asked: About = word("about", about, About)
    if select.soft and (removal != "silence" or of != "edges"):
        raise SettingError(
            "select",
            given="soft masks",
            expected="top or share",
            hint="only messages along edges can be weakened, by removal='silence'; an edge is there or it is not",
        )
    several = as_list(explanations)
    table = {name: np.full(len(several), np.nan) for name in _NAMES}
    sizes = np.zeros(len(several), dtype=np.int64)
    units = set()
    for batch in matched(several, model=model, input=input):
        for mine, row, unit in _measured(batch, places, how, select, asked, seed):
            units.add(unit)
            sizes[mine.number] = len(mine.places(places))
            for name, value in row.items():
                table[name][mine.number] = value
    if len(units) > 1:
        raise SettingError("explanations", given="classes and outputs", expected="one of the two", hint="split them")
    return GraphFidelity(of=of, removal=removal, about=about, unit=units.pop(), places=sizes, **table)


def _measured(
    batch: Sequence[Matched], of: Of, removal: Removal, select: Selection, about: About, seed: int
) -> Iterator[tuple[Matched, dict[str, float], str]]:
    whole = batch[0].whole
    named = [_named(mine, of, select, seed) for mine in batch]
    # One union for all: the graph itself, without what is named, and that alone.
    full = [mine.remains(of, np.ones_like(each), elsewhere=1.0) for mine, each in zip(batch, named, strict=True)]
    less = [mine.remains(of, 1 - each, elsewhere=1.0) for mine, each in zip(batch, named, strict=True)]
    only = [mine.remains(of, each, elsewhere=0.0) for mine, each in zip(batch, named, strict=True)]
    rows = logits_of_remains(whole, [*full, *less, *only], of=of, removal=removal)
    answers = rows.reshape(3, len(batch), -1)
    for number, (mine, each) in enumerate(zip(batch, named, strict=True)):
        reading = Reading.of(
            mine.explanation.target, columns=answers.shape[2], looked_through=whole.answer.looked_through
        )
        row = _compared(mine, reading, answers[:, number : number + 1], about)
        row["sparsity"] = 1 - float(each.mean()) if len(each) else 0.0
        yield mine, row, reading.unit


def _compared(mine: Matched, reading: Reading, answers: Tensor, about: About) -> dict[str, float]:
    full, less, only = answers
    faith = float(reading.unfaithfulness(full, only))
    if about == "phenomenon":
        label = _label(mine, reading, full.shape[1])
        reading = Reading(kind="softmax", classes=(label,))
        right = [bool(answer.argmax(1) == label) for answer in answers]
        changed = [float(right[0] != right[1]), float(right[0] != right[2])]
    elif reading.kind == "value":
        changed = [np.nan, np.nan]
    else:
        changed = [float(not reading.same_decision(full, other)) for other in (less, only)]
    amounts = [float(reading.amount(answer)) for answer in answers]
    differences = [amounts[0] - amounts[1], amounts[0] - amounts[2]]
    if reading.kind == "value":
        differences = [abs(each) for each in differences]
    return {
        "plus": differences[0],
        "minus": differences[1],
        "accuracy_plus": changed[0],
        "accuracy_minus": changed[1],
        "unfaithfulness": faith,
    }


def _named(mine: Matched, of: Of, select: Selection, seed: int) -> Floats:
    """How far each edge or node is named, from 0 to 1."""
    values = values_of(mine.explanation, of=of, by=select.by)
    values = values if of == "edges" else values[mine.free]
    if select.soft:
        if len(values) and not (values.min() >= 0 and values.max() <= 1):
            raise SettingError(
                "select",
                given=f"soft masks with values from {values.min():.3g} to {values.max():.3g}",
                expected="values from 0 to 1",
                hint="give top or share",
            )
        return values
    chosen = np.zeros(len(values))
    chosen[ordered(values, seed=seed)[: select.count(len(values))]] = 1.0
    return chosen


def _label(mine: Matched, reading: Reading, classes: int) -> int:
    nodes, graph = mine.explanation.target.nodes, mine.graph
    label: float | int | None = None
    if len(nodes) == 1 and graph.labels is not None:
        label = int(graph.labels[nodes[0]])
    elif not nodes:
        label = graph.label
    if reading.kind != "softmax" or label is None or not 0 <= label < classes or label != int(label):
        raise SettingError(
            "about",
            given="phenomenon",
            expected=f"one true class of {classes} for {mine.explanation.target.text} in {graph.name}",
            hint="give the graph labels, or use about='model'",
        )
    return int(label)


__all__ = ["GraphFidelity", "Selection", "evaluate_graph"]
