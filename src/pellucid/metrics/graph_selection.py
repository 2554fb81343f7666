"""Which edges or nodes an explanation names: their values, their order, and how many of them count."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from pellucid.capture.graph_remains import Of
from pellucid.errors import SettingError
from pellucid.methods.explanation import Explanation
from pellucid.methods.graph_subject import GraphSubject

By = Literal["value", "magnitude"]
Floats = npt.NDArray[np.float64]


def word(name: str, given: str, words: Any) -> Any:
    """A setting that is one of a few words.

    Raises:
        SettingError: It is none of them.
    """
    known = get_args(words)
    if given not in known:
        listed = [*map(repr, known)]
        raise SettingError(name, given=given, expected=f"{', '.join(listed[:-1])} or {listed[-1]}")
    return given


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """How much of an explanation counts as the explanation.

    One of three: the strongest `top` edges or nodes; the strongest `share` of them, rounded up; or, where both are
    None, each as far as its value says, which must then be from 0 to 1 (soft masks).

    Attributes:
        top: How many, 0 or more.
        share: What share, from 0 to 1.
        by: Whether values are ordered as they are, or by their magnitude, so that what speaks against counts too.
    """

    top: int | None = None
    share: float | None = None
    by: str = "value"

    def __post_init__(self) -> None:
        if self.top is not None and (isinstance(self.top, bool) or not isinstance(self.top, int) or self.top < 0):
            raise SettingError("top", given=self.top, expected="a whole number, 0 or more")
        if self.share is not None and not 0 <= self.share <= 1:
            raise SettingError("share", given=self.share, expected="0 to 1")
        if self.top is not None and self.share is not None:
            raise SettingError("top", given=self.top, expected="None where share is given", hint="give one of the two")
        word("by", self.by, By)

    @property
    def soft(self) -> bool:
        """Whether values themselves say how much of each counts."""
        return self.top is None and self.share is None

    def count(self, places: int) -> int:
        """How many of some places are chosen."""
        if self.share is not None:
            # 0.1 × 30 is a little more than 3 in floating point.
            return int(np.ceil(self.share * places - 1e-9))
        return min(self.top or 0, places)


def values_of(explanation: Explanation, *, of: Of, by: str = "value") -> Floats:
    """One value for each edge, or each node, of what an explanation is about.

    A node's features are added up. Where an explanation has no values for edges, an edge has the mean of its ends.

    Args:
        explanation: An explanation of a graph.
        of: "edges" or "nodes".
        by: "value", or "magnitude" for absolute values (of each feature, before they are added up).

    Returns:
        float64 (edges,) or (nodes,), in the order of the subject's numbers.

    Raises:
        SettingError: It has values for neither.
    """
    subject = subject_of(explanation)
    parts = {part.name: part.values.astype(np.float64) for part in explanation.parts}
    if by == "magnitude":
        parts = {name: np.abs(values) for name, values in parts.items()}
    nodes = parts.get("nodes")
    if nodes is not None and nodes.ndim == 2:
        nodes = nodes.sum(axis=1)
    if of == "edges" and "edges" in parts:
        return parts["edges"]
    if nodes is None:
        raise SettingError(
            "of",
            given=of,
            expected=f"something that {explanation.method} gives values for: {', '.join(parts)}",
            hint="explain with a method for edges or nodes",
        )
    if of == "nodes":
        return nodes
    ends = np.searchsorted(subject.nodes, ends_of(explanation))
    return np.asarray(nodes[ends].mean(axis=1)) if len(ends) else np.zeros(0)


def ends_of(explanation: Explanation) -> npt.NDArray[np.int64]:
    """The ends of the subject's edges as nodes of the whole graph, (edges, 2)."""
    subject = subject_of(explanation)
    if subject.source.digest == subject.digest:
        return subject.source.edges[subject.edges]
    return subject.nodes[subject.source.edges]


def subject_of(explanation: Explanation) -> GraphSubject:
    """The graph that an explanation is about.

    Raises:
        SettingError: It is about a picture.
    """
    if not isinstance(explanation.subject, GraphSubject):
        raise SettingError("explanations", given=repr(explanation), expected="explanations of graphs")
    return explanation.subject
