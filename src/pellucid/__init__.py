"""See what a convolutional network does with a picture, layer by layer, and why it answers as it does.

    model = pellucid.load("animals")
    cat = pellucid.read("cat.png")
    trace = pellucid.trace(model, cat)
    why = pellucid.explain(model, cat, method="grad-cam")

Importing pellucid is light: torch comes in with the first name that needs it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.capture.trace import Trace as Trace
    from pellucid.capture.trace import trace as trace
    from pellucid.capture.watching import watch as watch
    from pellucid.inputs.graph import Graph as Graph
    from pellucid.inputs.graph_set import GraphSet as GraphSet
    from pellucid.inputs.image import Image as Image
    from pellucid.inputs.reading import read as read
    from pellucid.insights.depth import along_depth as along_depth
    from pellucid.insights.filters import inspect_filters as inspect_filters
    from pellucid.insights.graph_depth import along_graph_depth as along_graph_depth
    from pellucid.insights.path import path_of_decision as path_of_decision
    from pellucid.methods.explaining import explain as explain
    from pellucid.methods.explaining import explain_many as explain_many
    from pellucid.methods.explanation import Explanation as Explanation
    from pellucid.methods.planning import plan as plan
    from pellucid.models.loading import load as load
    from pellucid.models.model import Model as Model
    from pellucid.models.preprocessing import Preprocessing as Preprocessing
    from pellucid.pages.compare import compare as compare
    from pellucid.pages.report import report as report

__version__ = "0.1.0"

_HOMES = {
    "Explanation": "pellucid.methods.explanation",
    "Graph": "pellucid.inputs.graph",
    "GraphSet": "pellucid.inputs.graph_set",
    "Image": "pellucid.inputs.image",
    "Model": "pellucid.models.model",
    "Preprocessing": "pellucid.models.preprocessing",
    "Trace": "pellucid.capture.trace",
    "along_depth": "pellucid.insights.depth",
    "along_graph_depth": "pellucid.insights.graph_depth",
    "compare": "pellucid.pages.compare",
    "explain": "pellucid.methods.explaining",
    "explain_many": "pellucid.methods.explaining",
    "inspect_filters": "pellucid.insights.filters",
    "load": "pellucid.models.loading",
    "path_of_decision": "pellucid.insights.path",
    "plan": "pellucid.methods.planning",
    "read": "pellucid.inputs.reading",
    "report": "pellucid.pages.report",
    "trace": "pellucid.capture.trace",
    "watch": "pellucid.capture.watching",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
