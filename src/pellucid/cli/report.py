"""`pellucid report`: pages from saved bundles, and an index of a folder of them; no model is needed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import streams
from pellucid.cli.explain import Language, LanguageOption
from pellucid.cli.places import apart, writable
from pellucid.cli.talking import Talk
from pellucid.errors import ArchiveError, PellucidError, SettingError

if TYPE_CHECKING:
    from pellucid.pages.index import Entry, LeftOut

_INDEX = "index.html"


def report(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Saved bundles (BASE or BASE.json) or folders of them; see explain --bundle.",
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the page goes; a folder for several.",
            show_default="NAME.html beside each bundle, and index.html in a folder of them",
        ),
    ] = None,
    lang: LanguageOption = Language.en,
    talk: Talk,
) -> int:
    """Make pages from saved bundles, and for a folder of them an index; the model is not needed."""
    rooms = _rooms(paths, output)
    jobs = [(room, source, page) for room in rooms for source, page in room.pages]

    from pellucid.pages.index import LeftOut, entry, write_index
    from pellucid.pages.saved import load_saved, write_saved

    results: list[dict[str, Any]] = []
    with talk.progress("writing pages") as progress:
        for done, (room, source, page) in enumerate(jobs):
            progress(done, len(jobs))
            try:
                saved = load_saved(source)
                write_saved(saved, page, lang=lang.value)
                room.entries.append(entry(saved, page))
            except PellucidError as error:
                if len(jobs) == 1:
                    raise _named(error, source) from error
                reason = _without(str(error), source.parent)
                room.left_out.append(LeftOut(name=source.name, reason=reason))
                results.append({"bundle": source.name, "page": None, "error": streams.plain(reason)})
                streams.say(f"error: {_named(error, source)}")
                continue
            results.append({"bundle": source.name, "page": str(page), "error": None})
            if not talk.as_json:
                streams.put(str(page))
    indexes = []
    for room in rooms:
        if room.index is not None and room.entries:
            write_index(room.entries, room.index, left_out=room.left_out, passed_over=room.passed_over, lang=lang.value)
            indexes.append(str(room.index))
        if room.passed_over:
            talk.say(f"{room.passed_over} other JSON file{'s' if room.passed_over > 1 else ''} passed over")
    if talk.as_json:
        passed_over = sum(room.passed_over for room in rooms)
        streams.put_json({"pellucid": "pages", "pages": results, "indexes": indexes, "passed_over": passed_over})
    else:
        for index in indexes:
            streams.put(index)
    failed = sum(result["error"] is not None for result in results)
    if failed:
        streams.say(f"{failed} of {len(jobs)} bundles left out, {len(jobs) - failed} pages written")
    return 0 if not failed else 1 if failed == len(jobs) else 3


@dataclass(slots=True, kw_only=True)
class _Room:
    """One folder that pages go to: from which bundles, and what becomes of them."""

    pages: list[tuple[Path, Path]]
    index: Path | None
    passed_over: int = 0
    entries: "list[Entry]" = field(default_factory=list)
    left_out: "list[LeftOut]" = field(default_factory=list)


def _rooms(paths: Sequence[Path], output: Path | None) -> list[_Room]:
    """Where every page goes; decided, and refused if it cannot be, before any page is made."""
    groups: list[tuple[Path | None, list[Path], int]] = []
    for path in paths:
        if path.is_dir():
            sources, passed_over = _inside(path)
            groups.append((path, sources, passed_over))
        else:
            groups.append((None, [path], 0))
    every = [source for _, sources, _ in groups for source in sources]
    with_folder = any(folder is not None for folder, _, _ in groups)
    if output is not None and not output.is_dir():
        if with_folder or len(every) > 1:
            shown = streams.plain(str(output))
            hint = "" if output.exists() or output.suffix else f"make it first: mkdir -p '{shown}'"
            raise SettingError("--output", given=shown, expected="a folder that exists, for several pages", hint=hint)
        return [_Room(pages=[(every[0], writable(output, option="--output", read=_files(every)))], index=None)]
    if output is not None:
        wanted = with_folder or len(every) > 1
        return [_room(output, every, indexed=wanted, passed_over=sum(passed for _, _, passed in groups))]
    return [
        _room(folder or sources[0].parent, sources, indexed=folder is not None, passed_over=passed_over)
        for folder, sources, passed_over in groups
    ]


def _inside(folder: Path) -> tuple[list[Path], int]:
    from pellucid.pages.saved import find_saved

    found = find_saved(folder)
    if not found.bundles:
        other = f", and {found.passed_over} other JSON files" if found.passed_over else ""
        raise ArchiveError(
            f"'{streams.plain(str(folder))}' holds no saved bundle{other}; make one: "
            "pellucid explain MODEL PICTURE --bundle BASE."
        )
    return list(found.bundles), found.passed_over


def _room(folder: Path, sources: Sequence[Path], *, indexed: bool, passed_over: int) -> _Room:
    # The index's own name is taken, so that a bundle of that name does not fall victim to it.
    taken = [Path(_INDEX).stem] if indexed else []
    stems = [source.name.removesuffix(".json").removesuffix(".safetensors") for source in sources]
    names = apart([*taken, *stems])[len(taken) :]
    return _Room(
        pages=[
            (source, writable(folder / f"{name}.html", option="--output"))
            for source, name in zip(sources, names, strict=True)
        ],
        index=writable(folder / _INDEX, option="--output") if indexed else None,
        passed_over=passed_over,
    )


def _files(sources: Sequence[Path]) -> list[Path]:
    """What saved bundles lie in, by whichever of their names they were given."""
    bases = [source.name.removesuffix(".json").removesuffix(".safetensors") for source in sources]
    return [
        source.with_name(f"{base}{suffix}")
        for source, base in zip(sources, bases, strict=True)
        for suffix in (".json", ".safetensors")
    ]


def _named(error: PellucidError, source: Path) -> PellucidError:
    """The error with the name of the bundle that it is about."""
    return error if source.stem in str(error) else ArchiveError(f"{source}: {error}")


def _without(text: str, folder: Path) -> str:
    # The index is shown to others; where somebody keeps their files is not theirs to know.
    return text.replace(f"{folder}/", "")
