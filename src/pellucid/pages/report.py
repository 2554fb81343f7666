"""`report`: from a model and a picture or a graph to a page in one call."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from pellucid.capture.batches import as_graph
from pellucid.capture.hastening import Precision, check_precision
from pellucid.errors import SettingError
from pellucid.inputs.image import Image
from pellucid.inputs.picture_reading import read_picture
from pellucid.insights.probe_pictures import ProbePictures, probe_from
from pellucid.models.graph_arguments import takes_graphs
from pellucid.models.loading import load
from pellucid.models.model import Model
from pellucid.pages.bundle import Progress, make_bundle
from pellucid.pages.graph_bundle import make_graph_bundle
from pellucid.pages.page import write_page
from pellucid.pages.words import Catalogue


def report(
    model: Model | nn.Module | str,
    input: Any,
    *,
    to: str | Path,
    methods: Sequence[str] | None = None,
    target: str = "top:1",
    lang: str = "en",
    seed: int = 0,
    probe: str | Path | ProbePictures | None = None,
    precision: Precision = "float32",
    remark: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write one self-contained page about what a model does with a picture or a graph, and why it answers as it does.

    Args:
        model: A `Model`, an `nn.Module`, or what `pellucid.load` takes.
        input: An `Image`, or for a model of graphs a `Graph`; or what `pellucid.read` takes.
        to: The page to write, e.g. `cat.html`; it is written whole or not at all.
        methods: Methods by name or in text form; None takes the usual ones that apply to the model, and the page says
            which were left out.
        target: What to explain, e.g. `top:1` or `class:tabby`; on graphs `node:17`, `edge:3-17` or `graph`.
        lang: "en" or "ko".
        seed: For every random draw.
        probe: Where to measure form and class along the depth: a folder with 64 pictures or more (folders in it are
            classes), or "drawings" for pellucid's own; None leaves it out, since it takes minutes. For pictures only.
        precision: In which form methods of many passes run, as for `explain`. For pictures only.
        remark: What a reader should know about this input before anything else.
        progress: Called with the steps done and the steps in all.

    Returns:
        The path of the page.

    Raises:
        SettingError: The folder does not exist, or there is no such language.
        InputError, ModelError, MethodError, TargetError: Something cannot be used; says what to do.
    """
    Catalogue(lang)
    check_precision(precision)
    path = Path(to)
    if not path.parent.is_dir():
        raise SettingError("to", given=str(to), expected="a file in a folder that exists", hint="make the folder first")
    known = model if isinstance(model, Model) else load(model)
    if takes_graphs(known.module):
        if probe is not None:
            raise SettingError("probe", given=str(probe), expected="nothing, since this model takes graphs")
        if precision != "float32":
            raise SettingError("precision", given=precision, expected="float32, since this model takes graphs")
        graphs = make_graph_bundle(
            known, as_graph(known, input), methods=methods, target=target, seed=seed, remark=remark, progress=progress
        )
        return write_page(graphs, path, lang=lang)
    image = input if isinstance(input, Image) else read_picture(input)
    bundle = make_bundle(
        known,
        image,
        methods=methods,
        target=target,
        seed=seed,
        probe=None if probe is None else probe_from(probe),
        precision=precision,
        remark=remark,
        progress=progress,
    )
    return write_page(bundle, path, lang=lang)
