"""`pellucid compare`: two pictures in one model, one picture in two models, or one picture by several methods."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import streams
from pellucid.cli.compare_methods import Places, Wanted, compare_methods
from pellucid.cli.explain import Language, LanguageOption
from pellucid.cli.loading import ModelName, ModelOptions, Preparation, files_of, loaded, pictured
from pellucid.cli.places import distinct, for_each, writable_base
from pellucid.cli.talking import Talk
from pellucid.errors import SettingError

if TYPE_CHECKING:
    from pellucid.pages.comparison import Comparison

_RANDOM = "random"
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})


def compare(
    model: ModelName,
    picture: Annotated[
        str | None,
        typer.Argument(metavar="PICTURE", help="A picture: PNG, JPEG, WebP, BMP, TIFF or GIF.", show_default=False),
    ] = None,
    picture2: Annotated[
        str | None,
        typer.Argument(
            metavar="[PICTURE2]",
            help="Another picture for the same model; or say --with or --methods.",
            show_default=False,
        ),
    ] = None,
    *,
    against: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="MODEL2",
            help="Another model for the same picture, as MODEL; `random` is the same architecture with its weights "
            "drawn anew. --trust, --device and the preparation count for both; --architecture, --classes and "
            "--num-classes do where MODEL2 is a weights file.",
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--methods",
            "--method",
            metavar="TEXT",
            help="A method that explains PICTURE, as grad-cam or 'integrated-gradients(steps=100)'; may be repeated: "
            "all are shown side by side. `all` stands for every method that applies to MODEL.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What --methods explain, as class:tabby. See `pellucid list targets`.",
            show_default="top:1",
        ),
    ] = None,
    site: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SELECTOR",
            help="Sites of MODEL whose maps are drawn; may be repeated; not with --methods.",
            show_default="up to five over the depth",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the page goes.",
            show_default="PICTURE-compared.html or PICTURE-methods.html here, unless other options say what is wanted",
        ),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the maps of --methods, and how far they agree, as one PNG."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="BASE",
            help="Save the explanation of each of --methods as BASE-METHOD.json and BASE-METHOD.safetensors.",
        ),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="BASE", help="Save the comparison as BASE.json and BASE.safetensors, for `pellucid report`."
        ),
    ] = None,
    lang: LanguageOption = Language.en,
    seed: Annotated[int, typer.Option(metavar="N", min=0, max=2**32 - 1, help="For every random draw.")] = 0,
    using: ModelOptions,
    preparation: Preparation,
    talk: Talk,
) -> int:
    """Show where two passes part: two pictures in one model, or one picture in two; or what several methods say."""
    if picture is None:
        raise SettingError("PICTURE", given="missing", expected="a picture after the model", hint=_way_out(model))
    given = {"PICTURE2": picture2, "--with": against, "--methods": methods}
    named = [name for name, value in given.items() if value]
    if len(named) != 1:
        raise SettingError(
            "PICTURE2, --with or --methods",
            given=" and ".join(named) or "missing",
            expected="one of them: another picture, another model, or several methods",
        )
    if methods:
        if site:
            raise SettingError(
                "--site", given=site[0], expected="nothing with --methods", hint="say it as 'grad-cam(site=NAME)'"
            )
        return compare_methods(
            model,
            picture,
            Wanted(methods=methods, target=target or "top:1", seed=seed, lang=lang.value),
            Places(output=output, png=png, save=save, bundle=bundle),
            using=using,
            preparation=preparation,
            talk=talk,
        )
    for option, value in (("--target", target), ("--png", png), ("--save", save)):
        if value is not None:
            raise SettingError(option, given=str(value), expected="nothing without --methods", hint="leave it out")
    default = "-compared" if bundle is None and not talk.as_json else ""
    read: list[str | Path] = [
        *([] if picture2 is None else [picture2]),
        *files_of(model, using),
        *files_of(against or "", using),
    ]
    pages = for_each([picture], output, option="--output", suffix=".html", default=default, read=read)
    base = None if bundle is None else writable_base(bundle, option="--bundle", read=[picture, *read])
    distinct({"--output": pages or []}, bases={"--bundle": [] if base is None else [base]})

    from pellucid.models.untrained import untrained_model
    from pellucid.pages.compared import write_comparison
    from pellucid.pages.comparing import Side, make_comparison

    known = loaded(model, using=using, preparation=preparation, talk=talk)
    image, remark = pictured(picture, known, talk=talk)
    first = Side(model=known, image=image, remark=remark)
    words = ["pellucid", "compare", known.source, image.name]
    if picture2 is not None:
        image2, remark2 = pictured(picture2, known, talk=talk)
        second = Side(model=known, image=image2, remark=remark2)
        words.append(image2.name)
    elif against == _RANDOM:
        second = Side(model=untrained_model(known, seed=seed), image=image)
        words += ["--with=random", f"--seed={seed}"]
    else:
        known2 = loaded(str(against), using=_of_second(str(against), using), preparation=preparation, talk=talk)
        second = Side(model=known2, image=image, remark=pictured(picture, known2, talk=replace(talk, quiet=True))[1])
        words.append(f"--with={known2.source}")
    words += [f"--site={selector}" for selector in site or ()]
    with talk.progress("comparing") as report:
        found = make_comparison(
            first,
            second,
            sites=site,
            seed=seed if against == _RANDOM else None,
            command=shlex.join(words),
            progress=report,
        )
    files = []
    if pages is not None:
        files.append(write_comparison(found, pages[0], lang=lang.value))
    if base is not None:
        files.append(found.save(base))
    for line in _said(found):
        talk.say(line)
    if talk.as_json:
        streams.put_json(_document(found, files))
    else:
        for file in files:
            streams.put(str(file))
    return 0


def _way_out(model: str) -> str:
    """What to say where only one word was given: the model is missing, or the picture is."""
    if Path(model).is_file() and Path(model).suffix.lower() in _PICTURES:
        return f"the model comes first: pellucid compare animals {shlex.quote(streams.plain(model))} --methods all"
    return "pellucid compare MODEL PICTURE --methods all"


def _of_second(source: str, using: ModelOptions) -> ModelOptions:
    """The options of the first model as far as they mean the second one as well."""
    from pellucid.models.sources import parse

    if parse(source).kind == "file":
        return replace(using, weights=None)
    return replace(using, weights=None, architecture=None, classes=None, num_classes=None)


def _said(found: "Comparison") -> list[str]:
    """Both answers, and where the two are furthest apart."""
    from pellucid.figures.numbers import number
    from pellucid.pages.compared import best_of
    from pellucid.pages.differing import farthest

    lines = []
    for place, (letter, side) in enumerate(zip("AB", found.record["sides"], strict=True)):
        best = best_of(found.record, place)
        name = best["name"] or f"class {best['index']}"
        if found.record["answer"]["forms"][place] == "values":
            name = number(best["logit"], digits=4)
        lines.append(f"{letter}: {side['picture']['name']} in {side['model']['name']}: the answer is {name}")
    far = farthest(found.record)
    if far is not None and not far["distance"]:
        lines.append("they differ at no aligned site")
    elif far is not None:
        lines.append(f"furthest apart at {far['first']}: distance {far['distance']:.3f} of at most 2")
    return lines


def _document(found: "Comparison", files: "list[Path]") -> dict[str, Any]:
    record = found.record
    return {
        "pellucid": "comparison",
        "sides": [{name: side[name] for name in ("model", "picture", "remark")} for side in record["sides"]],
        "answer": record["answer"],
        "input": record["input"],
        "sites": record["pairs"],
        "alone": record["alone"],
        "files": [str(file) for file in files],
    }
