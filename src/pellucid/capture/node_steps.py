"""One node's way through a graph network, as numbers and as text."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pellucid.capture.graph_steps import Floats, LayerSteps

_MOST = 8  # numbers of a vector that are written out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NodeSteps:
    """What happens to one node, layer by layer. `print(steps)` writes it out.

    Attributes:
        node: Its number.
        name: What it is called.
        neighbours: (neighbours,): the nodes with an edge to it.
        layers: What each graph convolution does for it.
        logits: (classes,), where the model answers for nodes; else None.
        class_names: Names of the classes, or None.
        label: Its class, -1 where unknown; None where the graph has no labels.
        featureless: Whether nodes are described by the identity matrix.
    """

    node: int
    name: str
    neighbours: npt.NDArray[np.int64]
    layers: tuple[LayerSteps, ...]
    logits: Floats | None
    class_names: tuple[str, ...] | None
    label: int | None
    featureless: bool

    def __str__(self) -> str:
        names = dict(zip(self.layers[0].senders.tolist(), self.layers[0].names, strict=True))
        called = ", ".join(names.get(each, str(each)) for each in self.neighbours.tolist()[:20]) or "none"
        more = f" and {len(self.neighbours) - 20} more" if len(self.neighbours) > 20 else ""
        lines = [f"{self.name}: neighbours {called}{more}"]
        if self.featureless:
            lines.append("no features: its row of X is 1 at itself and 0 elsewhere")
        for step in self.layers:
            lines += ["", *_layer_lines(step)]
        if self.logits is not None:
            best = int(self.logits.argmax())
            name = self.class_names[best] if self.class_names else f"class {best}"
            lines += ["", f"logits {_vector(self.logits)}: {name}"]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<NodeSteps of {self.name}: {len(self.layers)} layers, {len(self.neighbours)} neighbours>"


def _layer_lines(step: LayerSteps) -> list[str]:
    lines = [f"{step.layer}"]
    width = max(map(len, step.names), default=0)
    for number, name in enumerate(step.names):
        lines.append(f"  {step.weights[number]:8.4f} × {name:<{width}}  {_vector(step.inputs[number])}")
    lines.append(f"  sum        {_vector(step.aggregated)}")
    lines.append(f"  times W    {_vector(step.transformed)}")
    if step.bias is not None:
        lines.append(f"  plus b     {_vector(step.value)}")
    for _, op, values in step.then:
        lines.append(f"  {op:<10} {_vector(values)}")
    return lines


def _vector(values: Floats) -> str:
    shown = " ".join(f"{value:.4g}" for value in values[:_MOST])
    return f"[{shown}{' …' if len(values) > _MOST else ''}]" + (f" ({len(values)})" if len(values) > _MOST else "")
