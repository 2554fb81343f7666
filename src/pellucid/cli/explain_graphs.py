"""`pellucid explain` where the model takes graphs: pages, saved numbers and bundles, one for each graph."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.cli import streams
from pellucid.cli.graphs import GraphOptions, graphed
from pellucid.cli.places import for_methods
from pellucid.cli.talking import Talk
from pellucid.cli.wording import told
from pellucid.errors import PellucidError, SettingError

if TYPE_CHECKING:
    from pellucid.inputs.graph import Graph
    from pellucid.methods.explanation import Explanation
    from pellucid.models.model import Model

_SHOWN = 5
_USUAL = ("gnn-explainer",)
"""What explains where no page is wanted and no method was named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphPlace:
    """Where the results of one graph go.

    Attributes:
        page: The page, or None.
        save: The base of the saved explanations, or None.
        bundle: The base of the saved bundle, or None.
    """

    page: Path | None
    save: Path | None
    bundle: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of every graph.

    Attributes:
        methods: Methods in text form, or None for the usual ones.
        target: The target.
        seed: For every random draw.
        lang: Language of the page.
    """

    methods: list[str] | None
    target: str
    seed: int
    lang: str


def refuse_for_graphs(given: dict[str, object]) -> None:
    """Refuse options that make no sense for graphs.

    Raises:
        SettingError: One of them was given.
    """
    hints = {
        "--png": "pellucid graph explain -o FILE.svg draws on the graph",
        "--dry-run": "methods for graphs have no plan, and what is saved says what it cost",
    }
    for option, value in given.items():
        if value:
            hint = hints.get(option, "leave it out")
            raise SettingError(
                option, given=streams.plain(str(value)), expected="nothing, since this model takes graphs", hint=hint
            )


def explain_graphs(
    model: "Model",
    names: Sequence[str],
    places: Sequence[GraphPlace],
    asked: Asked,
    *,
    reading: GraphOptions,
    talk: Talk,
) -> int:
    """Explain graphs one after the other; returns the exit code."""
    from pellucid.methods.catalogue import GRAPH_METHODS, method_from
    from pellucid.methods.graph_targets import check_graph_target

    for text in asked.methods or ():
        method_from(text, among=GRAPH_METHODS)
    check_graph_target(asked.target)
    results: list[dict[str, Any]] = []
    failed = 0
    with talk.progress("explaining") as report:
        for number, (name, place) in enumerate(zip(names, places, strict=True)):

            def step(done: int, total: int, before: int = number) -> None:
                report(round(100 * (before + done / max(total, 1))), 100 * len(names))

            try:
                graph = graphed(name, reading=reading, talk=talk)
                found, left_out, files = _made(model, graph, place, asked, reading, progress=step)
            except PellucidError as error:
                if len(names) == 1 or error.exit_code != 1:
                    raise
                failed += 1
                message = told(error)
                streams.say(f"error: {message}" if Path(name).name in message else f"error: {name}: {message}")
                results.append({"graph": Path(name).name, "error": streams.plain(message)})
                continue
            results.append(_result(model, graph, found, left_out, files))
            for method, reason in left_out.items():
                talk.say(f"note: {graph.name}: {method} was left out: {reason}")
            best = int(found[0].logits.argmax())
            talk.say(f"{graph.name}: the answer is {_class(model, graph, best)}, explained is {found[0].target.text}")
            if not talk.as_json:
                for file in results[-1]["files"]:
                    streams.put(file)
    if talk.as_json:
        streams.put_json({"pellucid": "explanations", "model": model.name, "graphs": results})
    if failed:
        streams.say(f"{failed} of {len(names)} graphs failed, {len(names) - failed} done")
    return 1 if failed == len(names) else 3 if failed else 0


def _made(
    model: "Model", graph: "Graph", place: GraphPlace, asked: Asked, reading: GraphOptions, *, progress: Any
) -> tuple[list["Explanation"], dict[str, str], list[Path]]:
    """The explanations of one graph, why some methods were left out, and the files that were written."""
    files: list[Path] = []
    left_out: dict[str, str] = {}
    if place.page is None and place.bundle is None:
        from pellucid.methods.explaining import explain_many

        methods = asked.methods or list(_USUAL)
        found = list(
            explain_many(model, [graph], methods=methods, targets=[asked.target], seed=asked.seed, progress=progress)
        )
    else:
        from pellucid.pages.graph_bundle import make_graph_bundle
        from pellucid.pages.page import write_page

        words = ["pellucid", "explain", model.source, graph.name, *reading.said]
        words += [f"--method={text}" for text in asked.methods or ()]
        bundle = make_graph_bundle(
            model,
            graph,
            methods=asked.methods or None,
            target=asked.target,
            seed=asked.seed,
            command=shlex.join([*words, f"--target={asked.target}", f"--seed={asked.seed}"]),
            progress=progress,
        )
        if place.page is not None:
            files.append(write_page(bundle, place.page, lang=asked.lang))
        if place.bundle is not None:
            files.append(bundle.save(place.bundle))
        found = list(bundle.explanations)
        left_out = {row["method"]: row["reason"] for row in bundle.record["methods_left_out"]}
    if place.save is not None:
        names = [each.method for each in found]
        files += [each.save(path) for each, path in zip(found, for_methods(place.save, names), strict=True)]
    return found, left_out, files


def _result(
    model: "Model", graph: "Graph", found: Sequence["Explanation"], left_out: dict[str, str], files: Sequence[Path]
) -> dict[str, Any]:
    logits = found[0].logits
    best = sorted(range(len(logits)), key=lambda index: -float(logits[index]))[:_SHOWN]
    return {
        "graph": graph.name,
        "digest": graph.digest,
        "answer": [
            {"class": index, "name": _class(model, graph, index), "logit": float(logits[index])} for index in best
        ],
        "explanations": [explanation.to_record()[0] for explanation in found],
        "left_out": [{"method": name, "reason": reason} for name, reason in left_out.items()],
        "files": [str(file) for file in files],
        "error": None,
    }


def _class(model: "Model", graph: "Graph", index: int) -> str:
    names = model.class_names or graph.class_names
    return names[index] if names is not None and index < len(names) else f"class {index}"
