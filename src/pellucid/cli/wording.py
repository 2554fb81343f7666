"""Errors of the library in the words of the command line: where it speaks of `crop=None`, here stands `--crop none`."""

import re

from pellucid.errors import PellucidError

_OPTIONS = {
    "crop": "--crop",
    "resize": "--resize",
    "filter": "--filter",
    "mean": "--mean",
    "std": "--std",
    "scale": "--value-scale",
    "channels": "--channels",
    "rows": "--rows",
    "columns": "--columns",
    "sites": "--site",
    "keep": "--keep",
    "limit": "--limit",
    "device": "--device",
    "weights": "--weights",
    "architecture": "--architecture",
    "num_classes": "--num-classes",
}
_NAME = "|".join(_OPTIONS)
# At the beginning stands the setting that an error is about: "crop is 0, expected …", "rows, columns is (2, 2), …".
_SUBJECT = re.compile(rf"(?:{_NAME})(?:, (?:{_NAME}))* is ")
# Elsewhere its name counts only with a value. Behind a quote it is part of a foreign name: 'crop=1.png'.
_SETTING = re.compile(rf"(?<!['\"\w])({_NAME})=(\([^)]*\)|'[^']*'|\w+)")
_PHRASES = {
    "raise limit": "raise --limit",
    "give the architecture: a module, ": "give --architecture: ",
    ", or use select() for all": "",
    "or leave it out to use pellucid's own drawings": "or say --probe drawings",
}


def told(error: PellucidError) -> str:
    """The message of an error as it is told on the command line."""
    message = str(error)
    if message.startswith("channels is ") and "'RGB' or 'BGR'" in message:
        message = "--channels-order" + message.removeprefix("channels")
    subject = _SUBJECT.match(message)
    if subject is not None:
        written = re.sub(_NAME, lambda name: _OPTIONS[name[0]], subject[0])
        message = written + message[subject.end() :]
    message = _SETTING.sub(lambda found: f"{_OPTIONS[found[1]]} {_value(found[2])}", message)
    for phrase, here in _PHRASES.items():
        message = message.replace(phrase, here)
    return message


def _value(text: str) -> str:
    """A value as an option takes it: `None` is none, `(height, width)` is HEIGHTxWIDTH."""
    if text.startswith("("):
        inner = text.strip("()")
        return "x".join(part.strip() if part.strip().isdigit() else part.strip().upper() for part in inner.split(","))
    return "none" if text == "None" else text.strip("'")
