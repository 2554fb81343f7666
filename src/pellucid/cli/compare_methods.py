"""`pellucid compare MODEL PICTURE --methods M`: several methods on one picture, side by side."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.cli import streams
from pellucid.cli.loading import ModelOptions, Preparation, files_of, loaded, pictured
from pellucid.cli.places import distinct, for_each, for_methods, writable_base
from pellucid.cli.talking import Talk
from pellucid.errors import SettingError

if TYPE_CHECKING:
    from pellucid.pages.gallery import Gallery


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for.

    Attributes:
        methods: Methods in text form; `all` among them.
        target: What they explain.
        seed: For every random draw.
        lang: "en" or "ko".
    """

    methods: Sequence[str]
    target: str
    seed: int
    lang: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the results go: as the options said it."""

    output: Path | None
    png: Path | None
    save: Path | None
    bundle: Path | None


def compare_methods(
    model: str,
    picture: str,
    wanted: Wanted,
    places: Places,
    *,
    using: ModelOptions,
    preparation: Preparation,
    talk: Talk,
) -> int:
    """Explain a picture by several methods, and write what was asked for."""
    pages, png, save, base = _checked(picture, places, as_json=talk.as_json, read=files_of(model, using))

    from pellucid.methods.applying import chosen_methods
    from pellucid.methods.targets import check
    from pellucid.pages.gallery_making import make_gallery
    from pellucid.pages.gallery_page import write_gallery
    from pellucid.pages.gallery_sheet import write_gallery_png

    chosen_methods(wanted.methods)
    check(wanted.target)
    known = loaded(model, using=using, preparation=preparation, talk=talk)
    image, remark = pictured(picture, known, talk=talk)
    words = ["pellucid", "compare", known.source, image.name, *(f"--methods={text}" for text in wanted.methods)]
    with talk.progress("explaining, percent") as report:
        found = make_gallery(
            known,
            image,
            methods=wanted.methods,
            target=wanted.target,
            seed=wanted.seed,
            remark=remark,
            command=shlex.join([*words, f"--target={wanted.target}", f"--seed={wanted.seed}"]),
            progress=lambda done, total: report(100 * done / total, 100),
        )
    files = []
    if pages is not None:
        files.append(write_gallery(found, pages[0], lang=wanted.lang))
    if png is not None:
        files.append(write_gallery_png(found, png[0]))
    if save is not None:
        names = [each.method for each in found.explanations]
        files += [each.save(path) for path, each in zip(for_methods(save, names), found.explanations, strict=True)]
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


def _checked(
    picture: str, places: Places, *, as_json: bool, read: Sequence[Path]
) -> tuple[list[Path] | None, list[Path] | None, Path | None, Path | None]:
    """Where everything goes; refused before any work if it cannot go there."""
    if places.png is not None and not places.png.is_dir() and places.png.suffix.lower() != ".png":
        raise SettingError("--png", given=str(places.png), expected="a name that ends in .png, or a folder that exists")
    page_anyway = not as_json and all(each is None for each in (places.png, places.save, places.bundle))
    default = "-methods" if page_anyway else ""
    pages = for_each([picture], places.output, option="--output", suffix=".html", default=default, read=read)
    png = for_each([picture], places.png, option="--png", suffix=".png", read=read)
    save, base = (
        None if given is None else writable_base(given, option=option, read=[picture, *read])
        for given, option in ((places.save, "--save"), (places.bundle, "--bundle"))
    )
    distinct(
        {"--output": pages or [], "--png": png or []},
        bases={"--save": [*filter(None, [save])], "--bundle": [*filter(None, [base])]},
    )
    return pages, png, save, base


def _said(found: "Gallery") -> list[str]:
    """What was explained, what was left out, and which two methods agree most and least."""
    record, first = found.record, found.explanations[0]
    lines = [f"note: {row['method']} was left out: {row['reason']}" for row in record["left_out"]]
    name = record["picture"]["name"]
    lines.append(f"{name}: {len(found.explanations)} methods explain {first.target.text}, score {first.score:.4g}")
    names, rows = record["agreement"]["names"], record["agreement"]["absolute"]
    count = len(found.explanations)
    pairs = [
        (rows[i][j], names[i], names[j]) for i in range(count) for j in range(i + 1, count) if rows[i][j] is not None
    ]
    if pairs:
        (high, *most), (low, *least) = max(pairs), min(pairs)
        lines.append(f"highest rank agreement {high:.2f}: {' and '.join(most)}")
        if len(pairs) > 1:
            lines.append(f"lowest rank agreement {low:.2f}: {' and '.join(least)}")
    return lines


def _document(found: "Gallery", files: "Sequence[Path]") -> dict[str, Any]:
    record = found.record
    plain = ("model", "picture", "input", "answer", "explanations", "left_out", "agreement", "remark")
    return {"pellucid": "gallery", **{name: record[name] for name in plain}, "files": [str(file) for file in files]}
