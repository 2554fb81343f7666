"""What a model's source string means; the only place that takes it apart."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pellucid.errors import ModelNameError, did_you_mean
from pellucid.models.bundled import bundled

SEED = "xai"
RANDOM = "random"

_SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".pt2", ".bin", ".th", ".tar", ".pkl", ".pickle", ".npz", ".npy")
_FOREIGN_SUFFIXES = (".onnx", ".h5", ".hdf5", ".keras", ".pb", ".tflite", ".gguf", ".msgpack", ".mlmodel")

Kind = Literal["bundled", "seed", "timm", "torchvision", "code", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source string, taken apart.

    Attributes:
        kind: Which of the forms it has.
        name: The model's name, or the callable for `code`, or the file's name for `file`.
        file: The Python file for `code`, the weights file for `file`.
        weights: The file after `@`, the word "random", or None.
    """

    kind: Kind
    name: str
    file: Path | None = None
    weights: Path | Literal["random"] | None = None

    @property
    def shown(self) -> str:
        """The source without folders: a page must not tell how somebody's disk is laid out."""
        weights = self.weights.name if isinstance(self.weights, Path) else self.weights
        return self.stem + (f"@{weights}" if weights else "")

    @property
    def stem(self) -> str:
        """`shown` without what is after `@`."""
        if self.kind == "code" and self.file is not None:
            return f"{self.file.name}:{self.name}"
        return f"{self.kind}/{self.name}" if self.kind in ("timm", "torchvision") else self.name


def forms() -> str:
    """All forms that a source may have, as a phrase for an error."""
    names = ", ".join(repr(name) for name in (*bundled(), SEED))
    return (
        f"{names}, 'torchvision/NAME' or 'timm/NAME' (also with @WEIGHTS-FILE or @random), 'net.py:build', "
        "or a .safetensors, .pt, .pth or .ckpt file together with its architecture"
    )


def parse(text: str | Path) -> Source:
    """Take a source string apart. Only whether a file exists is looked up; nothing is read or imported.

    Raises:
        ModelNameError: It has none of the known forms.
    """
    if isinstance(text, Path):
        if text.suffix.partition(":")[0] != ".py":
            return Source(kind="file", name=text.name, file=text.expanduser())
        text = str(text)
    if ".py:" in text:
        file, _, rest = text.rpartition(".py:")
        name, _, weights = rest.partition("@")
        if not name:
            raise ModelNameError(f"{text!r} names no callable after the colon; write {Path(file).name}.py:build.")
        return Source(kind="code", name=name, file=Path(f"{file}.py").expanduser(), weights=_weights(weights))
    stem, _, weights = text.partition("@")
    if stem == SEED:
        return Source(kind="seed", name=SEED, weights=_weights(weights))
    if stem in bundled():
        return Source(kind="bundled", name=stem, weights=_weights(weights))
    zoo, slash, name = stem.partition("/")
    if slash and zoo == "torchvision" and name:
        return Source(kind="torchvision", name=name, weights=_weights(weights))
    if slash and zoo == "timm" and name:
        return Source(kind="timm", name=name, weights=_weights(weights))
    if text.endswith(".py"):
        raise ModelNameError(
            f"{text!r} is a Python file; say also which callable builds the model: {Path(text).name}:build."
        )
    path = Path(text).expanduser()
    if text and ("/" in text or "\\" in text or path.suffix.lower() in _SUFFIXES + _FOREIGN_SUFFIXES or path.exists()):
        return Source(kind="file", name=path.name, file=path)
    raise ModelNameError(f"no model {text!r}{did_you_mean(stem, [*bundled(), SEED]) or '.'} Expected {forms()}.")


def _weights(text: str) -> Path | Literal["random"] | None:
    if text == RANDOM:
        return "random"
    return Path(text).expanduser() if text else None
