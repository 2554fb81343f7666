"""Class names: from a list, from JSON in the shapes that people use, or from a text file with one name a line."""

import json
from collections.abc import Sequence
from pathlib import Path

from pellucid.errors import ModelError

_SHAPES = 'a list of names, a list of {"index", "name"}, or a dict of index to name (or to [synset, name])'


def class_names_of(given: Sequence[str] | str | Path) -> tuple[str, ...]:
    """Class names in the order of the model's outputs.

    Args:
        given: The names themselves, or a .json or .txt file with them.

    Raises:
        ModelError: The file cannot be read, has another shape, or leaves an index without a name.
    """
    if not isinstance(given, str | Path):
        return _checked(list(given), "class_names")
    path = Path(given).expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ModelError(f"class names cannot be read from {path}: {reason}; expected a .json or .txt file.") from error
    if path.suffix.lower() != ".json":
        # An empty last line is the usual end of a file; an empty line between names would shift all that follow.
        return _checked([line.strip() for line in text.rstrip().splitlines()], path.name)
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ModelError(f"{path.name} is no JSON ({error}); expected {_SHAPES}.") from error
    return _checked(_from_json(content, path.name), path.name)


def _from_json(content: object, file: str) -> list[object]:
    if isinstance(content, list) and all(isinstance(entry, str) for entry in content):
        return content
    if isinstance(content, list) and all(
        isinstance(entry, dict) and {"index", "name"} <= entry.keys() for entry in content
    ):
        pairs = [(entry["index"], entry["name"]) for entry in content]
    elif isinstance(content, dict):
        pairs = [(key, value[-1] if isinstance(value, list) and value else value) for key, value in content.items()]
    else:
        raise ModelError(f"{file} holds something else; expected {_SHAPES}.")
    try:
        by_index = {int(index): name for index, name in pairs}
    except (TypeError, ValueError) as error:
        raise ModelError(f"{file} has an index that is no whole number; expected {_SHAPES}.") from error
    missing = next((index for index in range(len(pairs)) if index not in by_index), None)
    if missing is not None:
        raise ModelError(f"{file} has {len(pairs)} names but none for index {missing}; the indices must run from 0.")
    return [by_index[index] for index in range(len(pairs))]


def _checked(names: list[object], where: str) -> tuple[str, ...]:
    if not names:
        raise ModelError(f"{where} holds no class name, expected one for each output.")
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise ModelError(f"{where} has {name!r} as the name of class {index}, expected a text that is not empty.")
    return tuple(str(name) for name in names)
