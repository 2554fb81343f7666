"""Every error that pellucid raises on purpose, as one tree.

    PellucidError
    ├── SettingError          (ValueError)       a setting or argument has a value that makes no sense
    ├── InputError            (ValueError)       a picture or graph cannot be read, or is refused
    ├── ModelError            (ValueError)       a model cannot be loaded or used
    │   ├── ModelNameError                       no model of that name; names the nearest
    │   ├── CheckpointError                      a weights file does not fit, is damaged or is something else
    │   ├── UntrustedModelError (PermissionError) loading would run foreign code and nobody has said so
    │   ├── OutputError                          the model's output is no table of logits, one row per picture
    │   ├── NotFiniteError                       NaN or infinity in a weight or in a site's values
    │   └── TooSmallError                        the picture is too small for the model; names the site
    ├── SiteError             (KeyError)         no site of that name; names the nearest
    ├── TargetError           (ValueError)       no such class, output or unit
    ├── MethodError           (ValueError)       no such method, or one that does not fit this model
    ├── CapacityError         (MemoryError)      it would take more memory than the limit; says the way out
    ├── ArchiveError          (ValueError)       a saved result is damaged or of another kind
    └── MissingExtraError     (ImportError)      an optional library is needed; says the install line

A message says what was given, what was expected and what to do next. `exit_code` is what the command line ends with.
"""

from difflib import get_close_matches
from typing import ClassVar


class PellucidError(Exception):
    """What all errors of pellucid have in common: one clear line for the user."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        # KeyError shows the repr of its argument; a sentence should stay a sentence.
        return str(self.args[0]) if self.args else ""


class SettingError(PellucidError, ValueError):
    """A setting or argument has a value that makes no sense.

    Args:
        name: The setting, as the user writes it.
        given: The value that was given.
        expected: What would be right, as a phrase.
        hint: What suits most users; ends the sentence.
    """

    exit_code = 2

    def __init__(self, name: str, *, given: object, expected: str, hint: str = "") -> None:
        tail = f"; {hint}." if hint else "."
        # What an option of the command line lacks, nobody calls None there.
        told = "missing" if given is None and name.startswith("--") else f"{given!r}"
        super().__init__(f"{name} is {told}, expected {expected}{tail}")


class InputError(PellucidError, ValueError):
    """A picture or a graph cannot be read, or is refused."""


class ModelError(PellucidError, ValueError):
    """A model cannot be loaded or used."""


class ModelNameError(ModelError):
    """No model of that name, or what was given names none."""

    exit_code = 2


class CheckpointError(ModelError):
    """A weights file does not fit, is damaged or is something else."""


class UntrustedModelError(ModelError, PermissionError):
    """Loading would run foreign code and nobody has said that this is wanted."""

    exit_code = 4


class OutputError(ModelError):
    """The model's output is no table of logits with one row per picture."""


class NotFiniteError(ModelError):
    """NaN or infinity in a weight or in a site's values."""


class TooSmallError(ModelError):
    """The picture is too small for the model; names the site and the least size."""


class SiteError(PellucidError, KeyError):
    """No site of that name."""

    exit_code = 2


class TargetError(PellucidError, ValueError):
    """No such class, output or unit."""

    exit_code = 2


class MethodError(PellucidError, ValueError):
    """No such method, or one that does not fit this model."""

    exit_code = 2


class CapacityError(PellucidError, MemoryError):
    """It would take more memory than the limit allows."""


class ArchiveError(PellucidError, ValueError):
    """A saved result is damaged or of another kind."""


class MissingExtraError(PellucidError, ImportError):
    """An optional library is needed.

    Args:
        library: What could not be imported.
        purpose: What it is needed for, as a phrase.
        extra: The extra of pellucid that brings it.
    """

    def __init__(self, library: str, *, purpose: str, extra: str) -> None:
        super().__init__(
            f"{purpose} needs {library}, which is not installed. Install it: pip install 'pellucid[{extra}]'"
        )


def with_article(word: str) -> str:
    """A type's name as a sentence has it: "a dict", "an int"."""
    return f"{'an' if word[:1].lower() in tuple('aeiou') else 'a'} {word}"


def did_you_mean(given: str, known: list[str]) -> str:
    """A closing phrase that names the nearest known word, "; did you mean 'features.20'?", or nothing."""
    near = get_close_matches(given, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
