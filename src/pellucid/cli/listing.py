"""`pellucid list`: the words that pellucid knows."""

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import streams
from pellucid.cli.tables import Column, put_table
from pellucid.cli.talking import Talk

if TYPE_CHECKING:
    from pellucid.registry import Registry

Rows = list[dict[str, Any]]


class Topic(StrEnum):
    """What can be listed."""

    models = "models"
    methods = "methods"
    graph_methods = "graph-methods"
    targets = "targets"
    graph_targets = "graph-targets"
    sites = "sites"
    channels = "channels"
    filters = "filters"


def list_names(
    topic: Annotated[
        Topic | None,
        typer.Argument(
            metavar="[TOPIC]",
            help="models, methods, graph-methods, targets, graph-targets, sites, channels or filters.",
            show_default="all",
        ),
    ] = None,
    *,
    talk: Talk,
) -> int:
    """List models and methods, and the forms in which targets, sites and channels are written."""
    wanted = list(Topic) if topic is None else [topic]
    found = {each.value: _ROWS[each]() for each in wanted}
    if talk.as_json:
        streams.put_json(found)
        return 0
    for place, (name, rows) in enumerate(found.items()):
        if place:
            streams.put("")
        _put(name, rows)
    return 0


def _put(name: str, rows: Rows) -> None:
    cells = []
    for row in rows:
        settings = row.get("settings")
        written = f" Settings: {', '.join(f'{key}={value}' for key, value in settings.items())}." if settings else ""
        cells.append([row["name"], row["text"] + written])
    put_table([Column(header=name), Column(header="", wraps=True)], cells)


def _models() -> Rows:
    from pellucid.models.loading import list_models

    others = {
        "torchvision/NAME": "a model of torchvision: its cached weights, or with @WEIGHTS-FILE or @random",
        "timm/NAME": "a model of timm, likewise",
        "net.py:build": "what a callable in a Python file returns; runs the file, so it needs --trust",
        "weights.safetensors": "a weights file (.safetensors, .pt, .pth, .ckpt), together with --architecture, "
        "or alone if `pellucid train` made it for graphs",
    }
    return [{"name": name, "text": text} for name, text in {**list_models(), **others}.items()]


def _methods() -> Rows:
    from pellucid.methods.catalogue import METHODS

    return _described(METHODS)


def _graph_methods() -> Rows:
    from pellucid.methods.catalogue import GRAPH_METHODS

    return _described(GRAPH_METHODS)


def _described(methods: "Registry[Any]") -> Rows:
    import dataclasses

    rows = []
    for name in methods:
        kind = methods[name]
        first = (kind.__doc__ or "").split("\n\n")[0]
        settings = {field.name: field.default for field in dataclasses.fields(kind)}
        rows.append({"name": name, "text": " ".join(first.split()), "settings": settings})
    return rows


def _forms(**forms: str) -> Callable[[], Rows]:
    return lambda: [{"name": name, "text": text} for name, text in forms.items()]


def _filters() -> Rows:
    from pellucid.models.preprocessing import FILTERS

    known = {
        "nearest": "the nearest pixel: blocks stay blocks",
        "box": "the mean of the pixels below",
        "bilinear": "what most models were trained with",
        "hamming": "sharper than bilinear at the same cost",
        "bicubic": "smooth and sharp; may go beyond the range a little",
        "lanczos": "the sharpest of the common ones",
    }
    return [{"name": name, "text": known.get(name, "as this version of Pillow has it")} for name in FILTERS]


_ROWS: dict[Topic, Callable[[], Rows]] = {
    Topic.models: _models,
    Topic.methods: _methods,
    Topic.graph_methods: _graph_methods,
    Topic.targets: _forms(
        **{
            "top:1": "the class with the largest logit; top:2 the second, and so on",
            "top:1-5": "the five with the largest logits, for explain_many: five targets, which share passes",
            "class:281, class:tabby": "a class by number or by name; a part of a name if it is unique",
            "contrast:tabby,lynx": "the logit of the first class minus that of the second",
            "output:2": "an output that is no class",
            "unit:'features.40'/7": "the mean over positions of one channel of a site",
            "unit:'features.40'/7@3,5": "that channel at one position: row 3, column 5, counted from 0",
        }
    ),
    Topic.graph_targets: _forms(
        **{
            "node:17": "the class of a node with the largest logit; a node by its number or name",
            "node:17/class:2": "a class of a node; also /top:2, /contrast:a,b and /output:0",
            "edge:3-17": "an edge by its ends; edge:3-17/class:1",
            "graph, graph/class:1": "the whole graph",
        }
    ),
    Topic.sites: _forms(
        **{
            "features.20": "a site by name; `pellucid trace MODEL PICTURE` lists them",
            "layer1.0.relu#2": "the second call of that name",
            "layer1": "a container: its last site",
            "'layer1.*'": "a pattern",
            "kind:conv": "all sites of a kind",
            "last:conv": "the last one of a kind",
            "@12": "a site by its place in the order of execution, from 0",
        }
    ),
    Topic.channels: _forms(
        **{
            "0-15": "a range",
            "3,7,12": "numbers",
            "top:16": "the most active ones, by their mean",
            "textbook": "0-3, 10-13, 20-23 and 30-33, as row * 10 + column picks them",
            "all": "every one",
        }
    ),
    Topic.filters: _filters,
}
