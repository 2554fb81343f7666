"""`pellucid explain`: why a model gave an answer, as a page, as pictures, as saved numbers."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import streams
from pellucid.cli.dry_run import dry_run
from pellucid.cli.explain_graphs import Asked, GraphPlace, explain_graphs, refuse_for_graphs
from pellucid.cli.graphs import GraphOptions, file_name
from pellucid.cli.loading import ModelName, ModelOptions, Preparation, files_of, loaded, pictured, probed
from pellucid.cli.places import distinct, for_each, for_methods
from pellucid.cli.talking import Talk
from pellucid.cli.wording import told
from pellucid.errors import InputError, PellucidError, SettingError

if TYPE_CHECKING:
    from pellucid.inputs.image import Image
    from pellucid.insights.probe_pictures import ProbePictures
    from pellucid.methods.explanation import Explanation
    from pellucid.models.model import Model

_SHOWN = 5
_USUAL = ("grad-cam",)
"""What explains where no page is wanted and no method was named."""


class Language(StrEnum):
    """The languages of a page."""

    en = "en"
    ko = "ko"


LanguageOption = Annotated[Language, typer.Option(metavar="en|ko", help="Language of the page.")]
BundleOption = Annotated[
    Path | None,
    typer.Option(
        metavar="BASE",
        help="Save all that the page needs as BASE.json and BASE.safetensors, for `pellucid report`; a folder for "
        "several pictures.",
    ),
]
SeedOption = Annotated[int, typer.Option(metavar="N", min=0, max=2**32 - 1, help="For every random draw.")]


class PrecisionName(StrEnum):
    """How methods run that need many passes."""

    float32 = "float32"
    fused = "fused"
    fast = "fast"


PrecisionOption = Annotated[
    PrecisionName,
    typer.Option(
        metavar="float32|fused|fast",
        help="How methods run that need many passes: as the model is; with batch norms folded; or in bfloat16, with a "
        "note of how far that is off.",
    ),
]

ProbeOption = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Measure form and class along the depth on the pictures of a folder, 16 or more; 64 give narrow "
        "intervals. Folders in it are classes. `drawings` takes pellucid's own drawings.",
        show_default="left out, since it takes minutes",
    ),
]


def explain(
    model: ModelName,
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Pictures: PNG, JPEG, WebP, BMP, TIFF or GIF; or for a model of graphs: files, folders, smiles:CCO, "
            "karate.",
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the page goes; a folder for several inputs.",
            show_default="INPUT-explained.html here, unless --png, --save, --bundle or --json say what is wanted",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="A method, as grad-cam or 'integrated-gradients(steps=100)'; may be repeated; "
            "see `pellucid list methods`.",
            show_default="three for a page, else grad-cam or gnn-explainer; one that does not apply is left out",
        ),
    ] = None,
    target: Annotated[
        str,
        typer.Option(metavar="TEXT", help="What to explain, as class:tabby or node:17. See `pellucid list targets`."),
    ] = "top:1",
    lang: LanguageOption = Language.en,
    seed: SeedOption = 0,
    precision: PrecisionOption = PrecisionName.float32,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="BASE",
            help="Save the explanation as BASE.json and BASE.safetensors; a folder for several inputs.",
        ),
    ] = None,
    bundle: BundleOption = None,
    png: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the explanation over the picture; a folder for several pictures."),
    ] = None,
    original: Annotated[
        bool, typer.Option("--original", help="Draw the PNG over the picture as it was, not as the model sees it.")
    ] = False,
    probe: ProbeOption = None,
    dry: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what the methods would take, in passes, seconds and memory, and stop."),
    ] = False,
    using: ModelOptions,
    preparation: Preparation,
    reading: GraphOptions,
    talk: Talk,
) -> int:
    """Say why a model gave its answer to a picture or a graph: a page, and with --png or --save pictures and numbers.

    Several methods or inputs give several files: the method's or the input's name is added to the file's.
    """
    nothing_named = all(given is None for given in (output, png, save, bundle)) and not talk.as_json
    read = [*files_of(model, using), *map(Path, reading.files)]
    places = _places(list(map(file_name, pictures)), output, png, save, bundle, page_anyway=nothing_named, read=read)
    if probe is not None and not places[0].wants_bundle:
        raise SettingError(
            "--probe", given=streams.plain(probe), expected="a page or a bundle to put it in", hint="say -o or --bundle"
        )

    from pellucid.methods.catalogue import method_from
    from pellucid.methods.targets import check
    from pellucid.models.graph_arguments import takes_graphs
    from pellucid.pages.bundle import METHODS

    _check_words(method or (), target)
    probing = None if probe is None else probed(probe, talk=talk)
    known = loaded(model, using=using, preparation=preparation, talk=talk)
    if takes_graphs(known.module):
        prepared = {f"--{name}": value for name, value in preparation.settings().items()}
        said = {"--precision": precision.value * (precision != PrecisionName.float32), "--dry-run": "yes" * dry}
        refuse_for_graphs({"--png": png, "--original": original, "--probe": probe, **said, **prepared})
        return explain_graphs(
            known,
            pictures,
            [GraphPlace(page=each.page, save=each.save, bundle=each.bundle) for each in places],
            Asked(methods=method, target=target, seed=seed, lang=lang.value),
            reading=reading,
            talk=talk,
        )
    for text in method or ():
        method_from(text)
    check(target)
    if reading.said:
        option = reading.said[0]
        raise SettingError(option, given="for a picture", expected="a model that takes graphs", hint="leave it out")
    for name in pictures:
        if name == "karate" or name.startswith("smiles:"):
            raise InputError(f"{known.name} takes pictures, and {name!r} is a graph; give a picture or a graph model.")

    if dry:
        image, _ = pictured(pictures[0], known, talk=talk)
        usual = METHODS if places[0].wants_bundle else _USUAL
        record = dry_run(known, image, method or usual, target, pictures=len(pictures), talk=talk)
        if talk.as_json:
            streams.put_json({"pellucid": "plan", "model": known.name, **record})
        return 0
    results: list[dict[str, Any]] = []
    failed = 0
    with talk.progress("explaining, percent") as report:
        for number, (picture, place) in enumerate(zip(pictures, places, strict=True)):

            def step(done: float, total: int, before: int = number) -> None:
                report(100 * (before + done / max(total, 1)) / len(pictures), 100)

            try:
                image, remark = pictured(picture, known, talk=talk)
                found, left_out = _explanations(
                    known, image, method, target, seed, precision, remark, place, lang, probing, report=step
                )
            except PellucidError as error:
                # A wrong word on the command line is wrong for every picture.
                if len(pictures) == 1 or error.exit_code != 1:
                    raise
                failed += 1
                message = told(error)
                named = Path(picture).name in message
                streams.say(f"error: {message}" if named else f"error: {picture}: {message}")
                results.append({"picture": Path(picture).name, "error": streams.plain(message)})
                continue
            files = _write(found, place, image if original else None)
            results.append(_result(known, image, found, left_out, remark, [*place.made_with_the_bundle, *files]))
            for name, reason in left_out.items():
                talk.say(f"note: {image.name}: {name} was left out: {reason}")
            talk.say(f"{image.name}: {_answer(known, found[0])}")
            if not talk.as_json:
                for file in results[-1]["files"]:
                    streams.put(file)
    if talk.as_json:
        streams.put_json({"pellucid": "explanations", "model": known.name, "pictures": results})
    if failed:
        streams.say(f"{failed} of {len(pictures)} pictures failed, {len(pictures) - failed} done")
    skipped = bool(probing and probing.skipped)
    return 1 if failed == len(pictures) else 3 if failed or skipped else 0


def _check_words(methods: Sequence[str], target: str) -> None:
    """Refuse what is no method and no target, of pictures or of graphs, before a model is loaded."""
    from pellucid.methods.catalogue import GRAPH_METHODS, method_from
    from pellucid.methods.graph_targets import check_graph_target
    from pellucid.methods.targets import check

    for text in methods:
        try:
            method_from(text)
        except PellucidError as error:
            if not _fits(partial(method_from, text, among=GRAPH_METHODS)):
                raise error
    try:
        check(target)
    except PellucidError as error:
        if not _fits(partial(check_graph_target, target)):
            raise error


def _fits(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except PellucidError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the results of one picture go."""

    page: Path | None
    png: Path | None
    save: Path | None
    bundle: Path | None

    @property
    def wants_bundle(self) -> bool:
        """Whether more is wanted than explanations: all that a page needs."""
        return self.page is not None or self.bundle is not None

    @property
    def made_with_the_bundle(self) -> list[Path]:
        """The page and the saved bundle, as far as they are wanted."""
        saved = None if self.bundle is None else self.bundle.with_name(f"{self.bundle.name}.json")
        return [path for path in (self.page, saved) if path is not None]


def _places(
    pictures: Sequence[str],
    output: Path | None,
    png: Path | None,
    save: Path | None,
    bundle: Path | None,
    *,
    page_anyway: bool,
    read: Sequence[Path],
) -> list[_Place]:
    if png is not None and not png.is_dir() and len(pictures) == 1 and png.suffix.lower() != ".png":
        raise SettingError("--png", given=str(png), expected="a name that ends in .png, or a folder that exists")
    none: list[Path | None] = [None] * len(pictures)
    default = "-explained" if page_anyway else ""
    pages = for_each(pictures, output, option="--output", suffix=".html", default=default, read=read) or none
    pngs = for_each(pictures, png, option="--png", suffix=".png", read=read) or none
    saves = for_each(pictures, save, option="--save", suffix="", read=read) or none
    bundles = for_each(pictures, bundle, option="--bundle", suffix="", read=read) or none
    distinct(
        {"--output": [*filter(None, pages)], "--png": [*filter(None, pngs)]},
        bases={"--save": [*filter(None, saves)], "--bundle": [*filter(None, bundles)]},
    )
    return [
        _Place(page=page, png=drawing, save=base, bundle=whole)
        for page, drawing, base, whole in zip(pages, pngs, saves, bundles, strict=True)
    ]


def _explanations(
    model: "Model",
    image: "Image",
    methods: list[str] | None,
    target: str,
    seed: int,
    precision: PrecisionName,
    remark: str | None,
    place: _Place,
    lang: Language,
    probe: "ProbePictures | None",
    *,
    report: Callable[[float, int], None],
) -> tuple[list["Explanation"], dict[str, str]]:
    """The explanations by the named methods or the usual ones, and why some of the usual ones were left out."""
    if not place.wants_bundle and methods:
        from pellucid.methods.explaining import explain_many

        made = explain_many(
            model,
            [image],
            methods=methods,
            targets=[target],
            seed=seed,
            precision=precision.value,
            progress=report,
        )
        return list(made), {}
    if not place.wants_bundle:
        from pellucid.methods.usual import explain_usual

        usual = explain_usual(
            model, image, methods=_USUAL, target=target, seed=seed, precision=precision.value, progress=report
        )
        return list(usual.explanations), dict(usual.left_out)
    from pellucid.pages.bundle import make_bundle
    from pellucid.pages.page import write_page

    words = ["pellucid", "explain", model.source, image.name, *(f"--method={text}" for text in methods or ())]
    if probe is not None:
        words.append(f"--probe={probe.name}")
    if precision != PrecisionName.float32:
        words.append(f"--precision={precision.value}")
    bundle = make_bundle(
        model,
        image,
        methods=methods or None,
        target=target,
        seed=seed,
        probe=probe,
        remark=remark,
        precision=precision.value,
        command=shlex.join([*words, f"--target={target}", f"--seed={seed}"]),
        progress=report,
    )
    if place.page is not None:
        write_page(bundle, place.page, lang=lang.value)
    if place.bundle is not None:
        bundle.save(place.bundle)
    return list(bundle.explanations), {row["method"]: row["reason"] for row in bundle.record["methods_left_out"]}


def _write(explanations: Sequence["Explanation"], place: _Place, original: "Image | None") -> list[Path]:
    files = []
    names = [each.method for each in explanations]
    if place.png is not None:
        for path, found in zip(for_methods(place.png, names), explanations, strict=True):
            title = f"{found.method}: {found.target.text}"
            drawn = found.bars() if found.parts[0].axes == ("channels",) else found.overlay(original=original)
            files.append(drawn.save(path, title=title, lines=found.notes))
    if place.save is not None:
        for path, found in zip(for_methods(place.save, names), explanations, strict=True):
            files.append(found.save(path))
    return files


def _result(
    model: "Model",
    image: "Image",
    found: Sequence["Explanation"],
    left_out: Mapping[str, str],
    remark: str | None,
    files: Sequence[Path],
) -> dict[str, Any]:
    best = sorted(range(len(found[0].logits)), key=lambda index: -float(found[0].logits[index]))[:_SHOWN]
    return {
        "picture": image.name,
        "digest": image.digest,
        "answer": [
            {"class": index, "name": model.class_name(index), "logit": float(found[0].logits[index])} for index in best
        ],
        "explanations": [explanation.to_record()[0] for explanation in found],
        "left_out": [{"method": name, "reason": reason} for name, reason in left_out.items()],
        "remark": remark,
        "files": [str(file) for file in files],
        "error": None,
    }


def _answer(model: "Model", explanation: "Explanation") -> str:
    index = int(explanation.logits.argmax())
    return f"the answer is {model.class_name(index)}, explained is {explanation.target.text}"
